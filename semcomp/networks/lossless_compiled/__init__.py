"""Lossless coding of 8-bit images compiled by numba: the same integers as the numpy code beside it, sooner.

The package is imported where numba is installed and an image is large enough, see `jit.py`.
"""
