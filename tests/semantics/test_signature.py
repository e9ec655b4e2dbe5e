"""Signatures of z: what they keep, what they leave out, and the file that they come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from heads.signature import Views, fit, projection_of, save, similarities
from semcomp.codec.codec import Codec
from semcomp.errors import ModelError
from semcomp.semantics.signature import (
    CROP_MARGIN,
    WINDOWS,
    Signature,
    best_cosines,
    fields_of,
    load_signature,
    quantized,
    unit_rows,
)
from semcomp.weights.files import WEIGHTS


@pytest.mark.parametrize(("width", "height"), [(192, 192), (500, 130), (64, 64), (65, 1), (40, 700)])
def test_fields_average_the_image_whatever_its_size(width: int, height: int) -> None:
    rows, columns = -(-height // 64), -(-width // 64)
    constant = np.full((2, rows, columns), 7, np.int16)
    assert np.abs(fields_of(constant, width=width, height=height)).max() < 1e-4
    assert fields_of(constant, width=width, height=height).shape == (2, 3, 3)


def test_fields_of_a_part_are_its_own_means() -> None:
    z = np.array([[[0, 0, 3, 3, 6, 6, 9, 9]]], np.int16)
    fields = fields_of(z, width=512, height=64, window=(0.0, 0.0, 0.75, 1.0))  # means 0, 3 and 6
    assert np.allclose(fields[0, 0], np.array([-3, 0, 3]) / (np.sqrt(6) + 0.5), atol=1e-5)


def test_a_field_sees_its_third_alone() -> None:
    z = np.zeros((1, 3, 3), np.int16)
    z[0, 0, 2] = 9
    fields = fields_of(z, width=192, height=192)[0]
    assert fields[0, 2] == fields.max() and np.allclose(np.delete(fields.ravel(), 2), fields[0, 0])
    assert fields_of(z, width=129, height=192)[0, 0, 2] < fields[0, 2], "a position that is hardly begun counts little"


def test_quantized_vectors_keep_their_direction() -> None:
    vector = np.random.default_rng(0).normal(size=144)
    small = quantized(1e-3 * vector).astype(float)
    assert small @ vector / np.linalg.norm(small) / np.linalg.norm(vector) > 0.9999
    assert (quantized(np.zeros(4)) == 0).all()


def test_the_projection_drops_what_variants_change() -> None:
    """Channels 0 to 9 tell photos apart, the others are the noise of variants."""
    rng, views = np.random.default_rng(0), []
    for _ in range(60):
        photo = np.zeros((40, 3, 3), np.float32)
        photo[:10] = rng.normal(size=(10, 3, 3))
        noise = rng.normal(size=(3, 40, 3, 3)).astype(np.float32)
        noise[:, :10] *= 0.1
        views.append(Views(photo + noise[0], (photo + noise[1], photo + noise[2])))
    signature = Signature(projection=projection_of(views[:40]), threshold=0.9, entropy_id=b"12345678")
    alike, different = similarities(signature, views[40:])
    assert alike.min() > 0.9 > different.max() + 0.2


def test_a_signature_of_a_codec_comes_back_from_its_file(codec: Codec, tmp_path: Path) -> None:
    rng, paths = np.random.default_rng(0), []
    for number in range(6):
        pixels = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(pixels).resize((200, 160), Image.Resampling.BICUBIC).save(paths[-1])
    signature = fit(codec, paths, held=2, variants=2, quiet=True)
    save(signature, tmp_path / "s.safetensors")
    again = load_signature(tmp_path / "s.safetensors")
    assert again.entropy_id == codec.entropy_id and again.threshold == signature.threshold <= 1
    assert np.array_equal(again.projection, signature.projection) and "4 photos, 2 variants of each" in again.origin
    data = codec.encode(paths[0], quality=60)
    z = codec.read_z(data)
    assert np.array_equal(z, codec.read_symbols(data).z)
    vector = again.of(z, width=200, height=160)
    assert vector.dtype == np.int8 and (np.abs(vector).max(1) == 127).all() and len(vector) == len(WINDOWS)


def test_a_crop_is_nearest_to_its_own_place() -> None:
    rng = np.random.default_rng(0)
    z = rng.integers(-9, 10, (6, 10, 10)).astype(np.int16)
    signature = Signature(projection=np.eye(6, dtype=np.float32), threshold=0.9, entropy_id=b"12345678")
    whole, crop, other = (
        unit_rows(signature.of(each, width=64 * each.shape[2], height=64 * each.shape[1]))[None]
        for each in (z, z[:, 2:, 1:9], rng.integers(-9, 10, (6, 10, 10)).astype(np.int16))
    )
    cosines = whole[0] @ crop[0, 0]
    assert (
        WINDOWS[int(cosines.argmax())][:2] == pytest.approx((0.1, 0.2))
        and cosines.max() > 0.99 > cosines[0] + CROP_MARGIN
    )
    for one, two in ((whole, crop), (crop, whole)):
        assert best_cosines(one, two)[0, 0] == pytest.approx(cosines.max() - CROP_MARGIN, abs=1e-3)
        assert best_cosines(one, one)[0, 0] == pytest.approx(1) and best_cosines(one, other)[0, 0] < 0.7


def test_a_file_without_a_signature_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"python -m heads\.signature"):
        load_signature(tmp_path / "none.safetensors")
    with pytest.raises(ModelError, match="its format is"):
        load_signature(WEIGHTS / "street.safetensors")
