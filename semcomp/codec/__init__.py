"""The torch backend: a release of weights, ready to encode and decode."""
