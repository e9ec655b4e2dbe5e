"""The photo that calibrates int8 comes with the package."""

import hashlib
from pathlib import Path

from semcomp.export.int8 import SAMPLE
from semcomp.imaging.picture import open_picture


def test_the_sample_photo_is_the_example() -> None:
    """Two equal files are one blob in git. A symbolic link would be a text file on Windows."""
    example = Path(__file__).parents[2] / "examples" / "photo.png"
    found, wanted = (hashlib.sha256(path.read_bytes()).digest() for path in (SAMPLE, example))
    assert found == wanted
    assert min(open_picture(SAMPLE).pixels.shape[:2]) >= 64
