"""Thumbnails that refine: an image as a short code, any prefix of which decodes. numpy and Pillow, without torch."""
