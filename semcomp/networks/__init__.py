"""The codec's torch modules, and how they run: precision, packed layers, tiles. They know no file."""
