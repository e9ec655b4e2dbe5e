"""The codec `jpeg+restore` of `eval`: Pillow's bytes, the restorer's pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import semcomp
from semcomp.errors import ModelError
from semcomp.eval.classical import JPEG
from semcomp.eval.codecs import find, installed
from tests.jpeg.files import photo
from tests.restoration.conftest import restorer as restorer
from tests.restoration.conftest import weights as weights


def test_it_writes_pillows_files_and_shows_restored_ones(weights: Path) -> None:
    codec, pixels = find(f"jpeg+restore={weights}"), np.asarray(photo(40, 56))
    data = codec.encode(pixels, 35)
    assert data == JPEG.encode(pixels, 35)
    assert np.array_equal(codec.decode(data), np.asarray(semcomp.restore(data, weights=weights)))
    assert "restorer" in codec.version and codec.settings == JPEG.settings


def test_it_is_measured_on_request_alone() -> None:
    assert "jpeg+restore" not in installed()


def test_without_weights_it_says_so() -> None:
    with pytest.raises(ModelError, match="nowhere"):
        _ = find("jpeg+restore=nowhere").version
