"""Encoding and decoding, written once for every backend. No torch is needed."""
