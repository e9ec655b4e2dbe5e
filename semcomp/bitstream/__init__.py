"""Bytes to integers and back: the container, its chunks, the entropy coders. It needs numpy and the standard library.

FORMAT.md specifies the file, FORMAT_PAYLOADS.md the bodies of its optional chunks.
"""
