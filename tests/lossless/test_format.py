"""The bytes of lossless files do not change: a file of today has to be read by every later version.

The model is made of integers alone, and so are the images, so that every machine writes the same bytes.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from semcomp.bitstream.fields import pack_varint
from semcomp.bitstream.frequency_tables import TOTAL, Tables
from semcomp.errors import FormatError
from semcomp.lossless.head import Form, unpack_head, zigzag
from semcomp.lossless.model import LosslessModel
from semcomp.lossless.step import MAX_NEAR, PHASES, SCALES
from semcomp.lossless.stream import decode_lossless, encode_lossless
from semcomp.lossless.symbols import OUTLIER, StepReader, StepWriter
from tests.lossless.conftest import random_model


def integer_tables() -> Tables:
    """Frequencies that fall with the square of the distance to the mean, without a float."""
    bounds, rows = [], []
    for scale in range(SCALES):
        for phase in range(PHASES):
            bound = 2 + scale
            distance = np.abs(PHASES * np.arange(-bound, bound + 1) - (phase - PHASES // 2))
            weights = np.append((1 << 20) // (16 + 64 * distance**2 // (1 + scale) ** 2), 64)
            frequencies = 1 + weights * (TOTAL - len(weights)) // weights.sum()
            frequencies[weights.argmax()] += TOTAL - frequencies.sum()
            bounds.append(bound)
            rows.append(frequencies)
    return Tables.from_arrays(np.array(bounds), np.concatenate(rows))


@pytest.fixture(scope="module")
def integers() -> LosslessModel:
    model = random_model()
    return LosslessModel(config=model.config, networks=model.networks, banks=(integer_tables(),) * 3)


def image(kind: str) -> NDArray[Any]:
    """A slope with noise, (41, 35, 3) or (41, 35), of 8 or 16 bits."""
    rows, columns, channels = np.indices((41, 35, 3))
    noise = np.random.default_rng(6).integers(0, 9, rows.shape)
    slope = 40 + 3 * rows + 2 * columns * (channels + 1) // 2 + noise
    deep: NDArray[np.uint16] = (257 * slope + 31 * noise).astype(np.uint16)
    if kind == "deep":
        return deep
    pixels = slope.astype(np.uint8)
    return np.ascontiguousarray(pixels[..., 1]) if kind == "grey" else pixels


def test_the_id_of_a_model_does_not_change(integers: LosslessModel) -> None:
    assert integers.id.hex() == "fd73f7dd633cab24"


@pytest.mark.parametrize(
    ("kind", "near", "expected"),
    [
        ("rgb", 0, "1dc9410b2832dc31"),
        ("grey", 0, "2f9e93aaccda6036"),
        ("rgb", 2, "c7c82ca2eb579418"),
        ("deep", 0, "e20001ffabffaf78"),
    ],
)
def test_files_do_not_change(integers: LosslessModel, kind: str, near: int, expected: str) -> None:
    pixels = image(kind)
    data = encode_lossless(pixels, model=integers, near=near, general=False)
    assert hashlib.sha256(data).hexdigest()[:16] == expected
    assert np.abs(decode_lossless(data, model=integers).astype(int) - pixels).max() <= near


def test_an_outlier_is_one(integers: LosslessModel) -> None:
    tables, symbols = np.zeros(4, np.int32), np.array([0, OUTLIER, 1, 0], np.int32)
    writer = StepWriter(integers, bits=16)
    writer.begin(0)
    writer.code(0, tables, symbols)
    data, _ = writer.finish()
    assert StepReader(integers, data, bits=16).code(0, tables, None).tolist() == symbols.tolist()
    head = pack_varint(1) + pack_varint(zigzag(OUTLIER))
    assert data.startswith(head)
    for value in (OUTLIER - 1, 1 - OUTLIER, 0):
        changed = pack_varint(1) + pack_varint(zigzag(value)) + data[len(head) :]
        with pytest.raises(FormatError, match="outlier"):
            StepReader(integers, changed, bits=16).code(0, tables, None)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (bytes([1, Form.GREY, MAX_NEAR, 8, 0, 0]), "claims 0x0"),
        (bytes([1, Form.GREY, MAX_NEAR + 1, 8, 0, 0]), r"cannot be 9 off \(byte 2\)"),
        (bytes([1, Form.GENERAL, 1, 8, 0, 0]), r"cannot be 1 off \(byte 2\)"),
        (bytes([1, Form.GREY, 1, 16, 0, 0]), r"cannot have depth 16 \(byte 3\)"),
    ],
)
def test_heads_that_nothing_writes_are_refused(head: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        unpack_head(head)
