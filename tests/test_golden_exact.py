"""Files of exact pixels that were written once decode for ever, and the embedded weights are good for something."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from semcomp.bitstream.container import ChunkKind, read
from semcomp.codec.codec import Codec
from semcomp.imaging.exact import exact_picture
from semcomp.lossless.stream import decode_lossless
from semcomp.lossless.weights import EMBEDDED, load_weights
from tests.golden.exact import EXACT, PHOTO, exact_pictures

FILES = sorted(EXACT.glob("*.semc"))


def expected(file: Path) -> NDArray[Any]:
    """The samples of the PNG beside a file."""
    picture = exact_picture(file.with_suffix(".png"))
    return picture.pixels if picture.alpha is None else np.dstack([picture.pixels, picture.alpha])


def test_every_mode_has_a_file() -> None:
    assert {file.stem for file in FILES} == set(exact_pictures())
    assert EMBEDDED.stat().st_size <= 2_000_000


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_golden_file(codec: Codec, file: Path) -> None:
    pixels, options = exact_pictures()[file.stem]
    wanted, before = expected(file), torch.get_num_threads()
    assert wanted.dtype == pixels.dtype
    assert np.abs(wanted.astype(int) - pixels).max() <= options.get("near", 0)
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found = codec.decode_pixels(file)
            assert found.dtype == wanted.dtype and np.array_equal(found, wanted)
    finally:
        torch.set_num_threads(before)
    body = read(file.read_bytes()).get(ChunkKind.LOSSLESS)
    assert body is not None
    on_numpy = decode_lossless(body, model=load_weights(), plain=True)
    assert np.array_equal(on_numpy, wanted if file.stem != "alpha" else wanted[..., :3])


def test_a_photo_is_smaller_than_lossless_webp(codec: Codec) -> None:
    with Image.open(PHOTO) as photo:
        crop = photo.convert("RGB").crop((100, 100, 356, 356))
    webp = io.BytesIO()
    crop.save(webp, "WEBP", lossless=True, method=4)
    data = codec.encode(crop, lossless=True)
    assert np.array_equal(codec.decode_pixels(data), np.asarray(crop))
    assert len(data) < len(webp.getvalue())
