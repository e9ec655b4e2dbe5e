"""The format on a desktop: MIME type, thumbnails, ImageMagick, completions of shells. Standard library alone."""
