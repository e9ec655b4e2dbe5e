"""The restorer of JPEG files: its network, its weights, and the pictures that it makes. Torch is needed."""
