"""The codec's torch modules, and how they run: precision, packed layers, tiles. Nothing here reads or writes files."""
