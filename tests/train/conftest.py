"""What the tests of trainings share."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.lossless.conftest import photo


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """A folder with three photos of 270x280 in exact/, and three in compressed/."""
    for name in ("exact", "compressed"):
        (tmp_path / name).mkdir()
        for number in range(3):
            Image.fromarray(photo(270, 280, seed=number)).save(tmp_path / name / f"{number}.png")
    return tmp_path
