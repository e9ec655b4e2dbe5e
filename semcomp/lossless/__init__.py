"""Lossless coding of 8-bit images: integer networks predict pixels, level by level, and tables code what they miss.

Everything here is numpy and integers, so that every machine computes the same bits. `encode_lossless` and
`decode_lossless` in stream.py are the way in.
"""
