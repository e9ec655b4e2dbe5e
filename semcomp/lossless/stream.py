"""Lossless and near-lossless images as bytes: a header (head.py), and the words of the entropy coder."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.errors import FormatError, ImageError, ModelError
from semcomp.lossless.colour import ColourTransform, Planes, forward, inverse
from semcomp.lossless.general import decode_general, encode_general, has_webp, looks_drawn
from semcomp.lossless.head import MAX_PIXELS, MAX_SIDE, Form, Head, channels_of, unpack_head
from semcomp.lossless.model import LosslessModel
from semcomp.lossless.step import MAX_NEAR, Networks
from semcomp.lossless.symbols import StepReader, StepWriter
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
    if transform is None:
        transform = ColourTransform.GREEN if near else ColourTransform.YCOCG
    grey, deep, shift = pixels.ndim == 2, pixels.dtype == np.uint16, _zero_bits(pixels)
    form = Form.GREY if grey else Form.RGB + transform
    planes = (pixels >> shift)[None].astype(np.int32) if grey else forward(pixels >> shift, transform)
    first = planes[:, 0, 0].copy()
    if near and not grey:
        planes = forward(pixels, ColourTransform.NONE)
    bits = 16 if deep else 8
    writer = StepWriter(model, bits=bits)
    walk = _walk(networks or model, writer, form, near, bits)
    coded = walk.run(pixels.shape[0], pixels.shape[1], first, planes)
    image = _pixels_of(coded, form, bits) if near else pixels
    head = Head(
        form=form,
        near=near,
        bits=bits,
        shift=shift,
        width=pixels.shape[1],
        height=pixels.shape[0],
        model_id=model.id,
        crc=_crc(image),
        first=tuple(first.tolist()),
    )
    data = head.pack() + writer.finish(plain=plain)
    if general and not deep and not near and looks_drawn(pixels) and has_webp():
        return _smaller(data, pixels, model)
    return data


def decode_lossless(
    data: bytes,
    *,
    model: LosslessModel,
    networks: Networks | None = None,
    plain: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Pixels:
    """Decode what :func:`encode_lossless` wrote.

    Args:
        data: The bytes.
        model: The networks and tables that wrote them.
        networks: The model's networks on another backend. None runs them on numpy.
        plain: Use the plain Python entropy coder even where constriction is installed.
        max_pixels: Larger images are refused.

    Returns:
        uint8 or uint16, (H, W) or (H, W, 3): the pixels.

    Raises:
        FormatError: The bytes are damaged, or of another version.
        ModelError: Another model wrote them.
    """
    head, at = unpack_head(data, max_pixels=max_pixels)
    if head.form in (Form.GENERAL, Form.GENERAL_GREY):
        image = decode_general(data[at:], width=head.width, height=head.height)
        image = image[..., 0] if head.form == Form.GENERAL_GREY else image
    else:
        if head.model_id != model.id:
            raise ModelError(f"model {head.model_id.hex()} wrote the lossless pixels, this one is {model.id.hex()}")
        reader = StepReader(model, data[at:], bits=head.bits, plain=plain)
        walk = _walk(networks or model, reader, head.form, head.near, head.bits)
        planes = walk.run(head.height, head.width, np.array(head.first, np.int32), None)
        reader.finish()
        image = np.left_shift(_pixels_of(planes, head.form, head.bits), head.shift)
    if _crc(image) != head.crc:
        raise FormatError("the decoded pixels do not match their checksum; copy the file again")
    return image


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


def _walk(networks: Networks, coder: StepWriter | StepReader, form: int, near: int, bits: int) -> Walk:
    differences = form not in (Form.GREY, Form.RGB + ColourTransform.YCOCG)
    return Walk(
        networks=networks, coder=coder, channels=channels_of(form), differences=differences, bits=bits, near=near
    )


def _pixels_of(planes: Planes, form: int, bits: int) -> Pixels:
    """The image of decoded planes. FormatError where a value does not fit into a pixel."""
    image = planes[0] if form == Form.GREY else inverse(planes, ColourTransform(form - Form.RGB))
    if image.min() < 0 or image.max() >> bits:
        raise FormatError(f"the decoded values do not fit into {bits}-bit pixels; copy the file again")
    return image.astype(np.uint8 if bits == 8 else np.uint16)


def _zero_bits(pixels: Pixels) -> int:
    """Low bits that are zero in every sample of a 16-bit image, at most 15; 0 for 8 bits."""
    used = int(np.bitwise_or.reduce(pixels, axis=None)) if pixels.dtype == np.uint16 else 1
    return 0 if not used else (used & -used).bit_length() - 1


def _crc(pixels: Pixels) -> int:
    return zlib.crc32(pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).tobytes())


def _smaller(data: bytes, pixels: Pixels, model: LosslessModel) -> bytes:
    """The given bytes, or the general coder's bytes where they are fewer."""
    head = Head(
        form=Form.GENERAL_GREY if pixels.ndim == 2 else Form.GENERAL,
        near=0,
        bits=8,
        shift=0,
        width=pixels.shape[1],
        height=pixels.shape[0],
        model_id=model.id,
        crc=_crc(pixels),
        first=(),
    )
    general = head.pack() + encode_general(pixels)
    return general if len(general) < len(data) else data
