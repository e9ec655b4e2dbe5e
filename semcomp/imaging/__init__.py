"""Pixels in and out: opening images, colour modes, EXIF, and measures of distortion. It needs numpy and Pillow."""
