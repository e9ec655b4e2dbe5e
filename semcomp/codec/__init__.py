"""The torch backend: a release of weights that encodes and decodes."""
