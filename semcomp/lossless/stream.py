"""Lossless and near-lossless images as bytes: a header (head.py), and the words of the entropy coder."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.errors import FormatError, ImageError, ModelError
from semcomp.lossless.colour import ColourTransform, Planes, forward, inverse
from semcomp.lossless.general import SEARCH_GAIN, decode_general, encode_general, has_webp, looks_drawn
from semcomp.lossless.geometry import level_sizes
from semcomp.lossless.head import (
    MARKS,
    MAX_PIXELS,
    MAX_SIDE,
    REPEATED,
    Form,
    Head,
    Mark,
    channels_of,
    marked_levels,
    unpack_head,
)
from semcomp.lossless.level import Networks
from semcomp.lossless.model import LosslessModel
from semcomp.lossless.step import MAX_NEAR
from semcomp.lossless.symbols import WORD, StepReader, StepWriter, read_outliers
from semcomp.lossless.walk import Walk

Pixels = NDArray[np.unsignedinteger[Any]]
"""uint8 or uint16"""


def encode_lossless(
    pixels: Pixels,
    *,
    model: LosslessModel,
    networks: Networks | None = None,
    near: int = 0,
    transform: ColourTransform | None = None,
    general: bool = True,
    plain: bool = False,
) -> bytes:
    """Encode an image of 8 or 16 bits exactly, or so that no value is off by more than ``near``.

    Args:
        pixels: uint8 or uint16, (H, W) for grey or (H, W, 3) for RGB.
        model: The networks and tables.
        networks: The model's networks on another backend. None runs them on numpy.
        near: The largest error of any channel of any pixel, 0..8; 0 for 16 bits.
        transform: How RGB becomes luma and two colour differences. None takes YCoCg-R, and GREEN with ``near``.
        general: Store a drawn image as lossless WebP where that is smaller.
        plain: Use the plain Python entropy coder even where constriction is installed. The bytes are the same.

    Returns:
        The bytes for :func:`decode_lossless`.

    Raises:
        ImageError: The pixels have another type or shape.
        ValueError: ``near`` is out of its range, or the transform would let errors add up.
    """
    _check(pixels, near, transform)
    factor, tried = _factor(pixels), None
    small = pixels.dtype == np.uint8 or factor == REPEATED
    if general and small and not near and looks_drawn(pixels) and has_webp():
        tried = len(encode_general(_values(pixels, factor), quick=True))
        if tried * 8 < pixels.shape[0] * pixels.shape[1]:  # the networks need about a bit for any pixel
            return _general(pixels, model, factor)
    if transform is None:
        transform = ColourTransform.GREEN if near else ColourTransform.YCOCG
    form = Form.GREY if pixels.ndim == 2 else Form.RGB + transform
    data = _predicted(pixels, model, networks or model, form=form, near=near, factor=factor, plain=plain)
    if tried is None or tried > SEARCH_GAIN * len(data):
        return data
    return min(data, _general(pixels, model, factor), key=len)


def _predicted(
    pixels: Pixels, model: LosslessModel, networks: Networks, *, form: int, near: int, factor: int, plain: bool
) -> bytes:
    """The bytes of the networks."""
    values = _values(pixels, factor)
    bits = 8 * values.itemsize
    if form == Form.GREY:
        planes = values[None].astype(np.int16 if bits == 8 else np.int32)
    else:
        planes = forward(values, ColourTransform(form - Form.RGB))
    first = planes[:, 0, 0].astype(np.int32)
    if near and form != Form.GREY:
        planes = forward(values, ColourTransform.NONE)
    networks = networks.suited(pixels=values.shape[0] * values.shape[1], bits=bits)
    writer = StepWriter(model, bits=bits, coding=networks.coding)
    coded = _walk(model, networks, writer, form, near, bits).run(pixels.shape[0], pixels.shape[1], first, planes)
    image = _pixels_of(coded, form, bits) if near else pixels
    symbols, needed = writer.finish(plain=plain)
    levels = range(1, marked_levels(form, *pixels.shape[:2]) + 1)
    head = Head(
        form=form,
        near=near,
        bits=bits,
        factor=factor,
        width=pixels.shape[1],
        height=pixels.shape[0],
        model_id=model.id,
        crc=_crc(image),
        first=tuple(first.tolist()),
        marks=tuple(Mark(needed.get(level, 0), _crc(_reduced(image, level))) for level in levels),
    )
    return head.pack() + symbols


def decode_lossless(
    data: bytes,
    *,
    model: LosslessModel,
    networks: Networks | None = None,
    plain: bool = False,
    max_pixels: int = MAX_PIXELS,
    reduce: int = 0,
) -> Pixels:
    """Decode what :func:`encode_lossless` wrote.

    Args:
        data: The bytes.
        model: The networks and tables that wrote them.
        networks: The model's networks on another backend. None runs them on numpy.
        plain: Use the plain Python entropy coder even where constriction is installed.
        max_pixels: Larger images are refused.
        reduce: 0..3. Only every 2^reduce-th row and column is decoded, and the bytes may end where `bytes_needed` says.

    Returns:
        uint8 or uint16, (H, W) or (H, W, 3): the pixels.

    Raises:
        FormatError: The bytes are damaged, or of another version.
        ModelError: Another model wrote them.
    """
    if not 0 <= reduce <= MARKS:
        raise ValueError(f"reduce is {reduce}, expected 0..{MARKS}")
    head, at = unpack_head(data, max_pixels=max_pixels)
    if head.form in (Form.GENERAL, Form.GENERAL_GREY):
        image = decode_general(data[at:], width=head.width, height=head.height)
        image = _samples(image[..., 0] if head.form == Form.GENERAL_GREY else image, head.factor)
        _verify(image, head.crc)
        return _reduced(image, reduce)
    if head.model_id != model.id:
        raise ModelError(
            f"lossless weights {head.model_id.hex()} wrote the pixels, and these are {model.id.hex()}: "
            "pass lossless_weights=FILE with the former"
        )
    level = min(reduce, len(head.marks))
    end = _end(data, head, at, level) if level else len(data)
    if end > len(data):
        raise FormatError(f"the lossless pixels are cut off at byte {len(data)} of {end}; copy the file again")
    chosen = (networks or model).suited(pixels=head.width * head.height >> 2 * level, bits=head.bits)
    reader = StepReader(model, data[at:end], bits=head.bits, plain=plain, coding=chosen.coding)
    return _read(reader, head, model, chosen, level)


def _read(reader: StepReader, head: Head, model: LosslessModel, networks: Networks, level: int) -> Pixels:
    """The pixels of a level."""

    def check(number: int, planes: Planes) -> None:
        """Refuse a level that is not what the header says before a finer one is decoded, and takes time and memory."""
        if level <= number <= len(head.marks) and number:
            found = Mark(reader.used, _crc(_image(planes, head)))
            if found != head.marks[number - 1]:
                raise FormatError(f"1/{1 << number} of the size is not what the header says; copy the file again")

    first = np.array(head.first, np.int32)
    check(len(level_sizes(head.height, head.width)) - 1, first.reshape(-1, 1, 1))
    walk = _walk(model, networks, reader, head.form, head.near, head.bits)
    image = _image(walk.run(head.height, head.width, first, None, until=level, check=check), head)
    if not level:
        _verify(image, head.crc)
        reader.finish()
    return image


def _image(planes: Planes, head: Head) -> Pixels:
    """The samples of decoded planes."""
    return _samples(_pixels_of(planes, head.form, head.bits), head.factor)


def bytes_needed(data: bytes, reduce: int) -> int | None:
    """How many bytes `decode_lossless` needs with ``reduce``. None if it needs all, or these are too few to tell.

    Args:
        data: The first bytes, MAX_HEAD_BYTES or more, or all of them.
        reduce: 0..3
    """
    head, at = unpack_head(data)
    level = min(reduce, len(head.marks))
    return None if not level else _end(data, head, at, level)


def _end(data: bytes, head: Head, at: int, level: int) -> int:
    """Where the words of a level end."""
    start = at + (read_outliers(data[at:])[1] if head.bits > 8 else 0)
    return start + WORD * head.marks[level - 1].words


def _verify(image: Pixels, crc: int) -> None:
    if _crc(image) != crc:
        raise FormatError("the decoded pixels do not match their checksum; copy the file again")


def _reduced(image: Pixels, level: int) -> Pixels:
    """Every 2^level-th row and column."""
    return image[:: 1 << level, :: 1 << level]


def _check(pixels: Pixels, near: int, transform: ColourTransform | None) -> None:
    if (
        pixels.dtype not in (np.uint8, np.uint16)
        or pixels.ndim not in (2, 3)
        or (pixels.ndim == 3 and pixels.shape[2] != 3)
    ):
        raise ImageError(f"pixels are {pixels.dtype} {pixels.shape}, expected uint8 or uint16, (H, W) or (H, W, 3)")
    height, width = pixels.shape[:2]
    if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE and height * width <= MAX_PIXELS):
        raise ImageError(
            f"the image is {width}x{height}, expected 1..{MAX_SIDE} pixels a side and at most {MAX_PIXELS} in all"
        )
    if not 0 <= near <= MAX_NEAR:
        raise ValueError(f"near is {near}, expected 0..{MAX_NEAR}")
    if near and pixels.dtype == np.uint16:
        raise ValueError(f"near is {near}, which 16-bit images cannot have; expected 0")
    if near and transform not in (None, ColourTransform.GREEN):
        raise ValueError(f"near needs the transform GREEN, not {transform!r}: errors of others add up")


def _walk(
    model: LosslessModel, networks: Networks, coder: StepWriter | StepReader, form: int, near: int, bits: int
) -> Walk:
    return Walk(
        networks=networks,
        on_numpy=model,
        coder=coder,
        channels=channels_of(form),
        differences=form not in (Form.GREY, Form.RGB + ColourTransform.YCOCG),
        bits=bits,
        near=near,
    )


def _pixels_of(planes: Planes, form: int, bits: int) -> Pixels:
    """The image of decoded planes. FormatError where a value does not fit into a pixel."""
    image = planes[0] if form == Form.GREY else inverse(planes, ColourTransform(form - Form.RGB))
    if image.min() < 0 or image.max() >> bits:
        raise FormatError(f"the decoded values do not fit into {bits}-bit pixels; copy the file again")
    return image.astype(np.uint8 if bits == 8 else np.uint16)


def _factor(pixels: Pixels) -> int:
    """What every sample is a multiple of: REPEATED, or a power of two where low bits are zero. 1 for 8 bits."""
    if pixels.dtype == np.uint8 or not pixels.any():
        return 1
    if np.array_equal(pixels >> 8, pixels & 255):
        return REPEATED
    used = int(np.bitwise_or.reduce(pixels, axis=None))
    return used & -used


def _values(pixels: Pixels, factor: int) -> Pixels:
    """The values that are coded."""
    if factor == REPEATED:
        return (pixels >> 8).astype(np.uint8)
    return np.floor_divide(pixels, np.uint16(factor)) if factor > 1 else pixels


def _samples(values: Pixels, factor: int) -> Pixels:
    """Coded values as samples."""
    return values.astype(np.uint16) * np.uint16(factor) if factor > 1 else values


def _crc(pixels: Pixels) -> int:
    return zlib.crc32(pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).tobytes())


def _general(pixels: Pixels, model: LosslessModel, factor: int) -> bytes:
    """The bytes of the general coder."""
    head = Head(
        form=Form.GENERAL_GREY if pixels.ndim == 2 else Form.GENERAL,
        near=0,
        bits=8,
        factor=factor,
        width=pixels.shape[1],
        height=pixels.shape[0],
        model_id=model.id,
        crc=_crc(pixels),
        first=(),
    )
    return head.pack() + encode_general(_values(pixels, factor))
