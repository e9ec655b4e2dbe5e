"""Files written once must decode for ever: the same symbols to the bit, the same pixels to within a level or two."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semcomp.codec.codec import Codec
from tools.conformance import LARGEST_DIFFERENCE, MEAN_DIFFERENCE

GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(GOLDEN.glob("*.semc"))


def test_there_are_golden_files() -> None:
    assert len(FILES) >= 8


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_golden_file(codec: Codec, file: Path) -> None:
    data = file.read_bytes()
    with np.load(file.with_suffix(".npz")) as expected:
        for plain in (False, True):
            symbols = codec.read_symbols(data, plain=plain)
            np.testing.assert_array_equal(symbols.z, expected["z"])
            np.testing.assert_array_equal(symbols.y, expected["y"])
    picture = codec.decode(data)
    with Image.open(file.with_suffix(".png")) as expected_picture:
        assert picture.mode == expected_picture.mode and picture.size == expected_picture.size
        difference = np.abs(np.asarray(picture).astype(int) - np.asarray(expected_picture))
    assert difference.max() <= LARGEST_DIFFERENCE and difference.mean() <= MEAN_DIFFERENCE
