"""The restorer of JPEG and JPEG 2000 files: its network, its weights, and the pictures it makes. It needs torch."""
