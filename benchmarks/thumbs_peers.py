"""Peers of thumbnail codes, written from the published formats: ThumbHash, BlurHash, and photo codecs without headers.

Every peer maps a uint8 image (H, W, 3) and a byte budget to (decoded uint8 image, bytes), or None where nothing fits.
"""

import io
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"


def _cosines(size: int, count: int) -> NDArray[Any]:
    """cos(pi k (x + 1/2) / size), shape (count, size)."""
    return np.asarray(np.cos(np.pi * np.arange(count)[:, None] * (np.arange(size) + 0.5) / size))


def _triangle(nx: int, ny: int) -> list[tuple[int, int]]:
    """ThumbHash's (cx, cy) without the mean, in the order of the format."""
    return [(cx, cy) for cy in range(ny) for cx in range(nx) if (cx or cy) and cx * ny < nx * (ny - cy)]


def _thumbhash_sizes(width: int, height: int) -> tuple[int, int]:
    longer = max(width, height)
    return max(1, math.floor(7 * width / longer + 0.5)), max(1, math.floor(7 * height / longer + 0.5))


def _nearest(value: float, top: int) -> int:
    return int(min(max(math.floor(value + 0.5), 0), top))


def thumbhash(image: NDArray[Any], _: int = 0) -> tuple[NDArray[Any], int]:
    """Encode an opaque image as ThumbHash and decode it at its own size (evanw/thumbhash, 5 bytes and nibbles)."""
    height, width = image.shape[:2]
    r, g, b = np.moveaxis(image.astype(np.float64) / 255, -1, 0)
    lx, ly = _thumbhash_sizes(width, height)
    planes = {"l": ((r + g + b) / 3, max(3, lx), max(3, ly)), "p": ((r + g) / 2 - b, 3, 3), "q": (r - g, 3, 3)}
    bits = {"l": (63, 0.0, 31, 1.0), "p": (31.5, 31.5, 63, 1.25), "q": (31.5, 31.5, 63, 1.25)}
    decoded, nibbles = {}, 0
    for name, (plane, nx, ny) in planes.items():
        fx, fy = _cosines(width, nx), _cosines(height, ny)
        spectrum = fy @ plane @ fx.T / (width * height)
        order = _triangle(nx, ny)
        ac = np.array([spectrum[cy, cx] for cx, cy in order])
        gain, shift, steps, boost = bits[name]
        scale = float(np.abs(ac).max(initial=0))
        told = np.array([_nearest(15 * (0.5 + 0.5 / scale * v), 15) if scale else 8 for v in ac])
        nibbles += len(told)
        scale_told = _nearest(steps * scale, steps) / steps * boost
        result = np.zeros_like(spectrum)
        result[0, 0] = (_nearest(gain * spectrum[0, 0] + shift, 63) - shift) / gain
        for (cx, cy), value in zip(order, told, strict=True):
            result[cy, cx] = 2 * (value / 7.5 - 1) * scale_told
        decoded[name] = fy.T @ result @ fx
    blue = decoded["l"] - 2 / 3 * decoded["p"]
    red = (3 * decoded["l"] - blue + decoded["q"]) / 2
    pixels = np.stack([red, red - decoded["q"], blue], -1)
    return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8), 5 + (nibbles + 1) // 2


def _to_linear(pixels: NDArray[Any]) -> NDArray[Any]:
    x = pixels.astype(np.float64) / 255
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def _from_linear(x: NDArray[Any]) -> NDArray[Any]:
    x = np.clip(x, 0, 1)
    return (np.where(x <= 0.0031308, x * 12.92, 1.055 * x ** (1 / 2.4) - 0.055) * 255 + 0.5).astype(np.uint8)


def blurhash(image: NDArray[Any], budget: int) -> tuple[NDArray[Any], int] | None:
    """Encode as BlurHash with the largest grid that fits, and decode it. A byte is one base-83 character."""
    fitting = [(n, m) for n in range(1, 10) for m in range(1, n + 1) if 6 + 2 * (n * m - 1) <= budget and n - m <= 1]
    if not fitting:
        return None
    nx, ny = max(fitting, key=lambda pair: pair[0] * pair[1])
    height, width = image.shape[:2]
    fx, fy = _cosines(width, nx), _cosines(height, ny)
    spectrum = np.einsum("yh,hwc,xw->yxc", fy, _to_linear(image), fx) / (width * height)
    mean, ac = spectrum[0, 0].copy(), 2 * spectrum.reshape(-1, 3)[1:]
    largest = float(np.abs(ac).max(initial=0))
    top = min(max(math.floor(largest * 166 - 0.5), 0), 82)
    scale = (top + 1) / 166
    power = np.sign(ac) * np.sqrt(np.abs(ac / scale))
    told = np.clip(np.floor(power * 9 + 9.5), 0, 18)
    back = np.sign(told - 9) * ((told - 9) / 9) ** 2 * scale
    values = np.concatenate([_to_linear(_from_linear(mean))[None], back]).reshape(ny, nx, 3)
    pixels = np.einsum("yh,yxc,xw->hwc", fy, values, fx)
    return _from_linear(pixels), 6 + 2 * (nx * ny - 1)


def _jpeg(image: Image.Image) -> Iterator[tuple[bytes, int]]:
    for quality in (1, 2, 3, 5, 8, 11, 15, 20, 26, 33, 41, 50, 60, 70, 80, 88, 94, 97):
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=quality, optimize=True)
        data = stream.getvalue()
        scan = data.index(b"\xff\xda")
        yield data, len(data) - scan - 2 - int.from_bytes(data[scan + 2 : scan + 4], "big") - 2


def _webp(image: Image.Image) -> Iterator[tuple[bytes, int]]:
    for quality in (0, 1, 2, 4, 7, 11, 16, 22, 30, 40, 50, 60, 70, 80, 88, 94, 98, 100):
        stream = io.BytesIO()
        image.save(stream, "WEBP", quality=quality, method=6)
        yield stream.getvalue(), len(stream.getvalue()) - 30


def _jpegxl(image: Image.Image) -> Iterator[tuple[bytes, int]]:
    import imagecodecs

    for distance in (25, 20, 16, 13, 10, 8, 6, 4.5, 3.4, 2.5, 1.8, 1.2, 0.8, 0.5, 0.3, 0.15, 0.07):
        data = bytes(imagecodecs.jpegxl_encode(np.asarray(image), distance=distance, effort=7, usecontainer=False))
        yield data, len(data)


def ladder(name: str, image: NDArray[Any]) -> list[tuple[NDArray[Any], int]]:
    """Everything that a photo codec makes of an image: (decoded, bytes without headers), one for each quality."""
    makers = {"jpeg": _jpeg, "webp": _webp, "jpegxl": _jpegxl}
    steps = []
    for data, size in makers[name](Image.fromarray(image)):
        if name == "jpegxl":
            import imagecodecs

            decoded = np.asarray(imagecodecs.jpegxl_decode(data))[..., :3]
        else:
            decoded = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        steps.append((decoded, size))
    return steps


def within(steps: list[tuple[NDArray[Any], int]], budget: int) -> tuple[NDArray[Any], int] | None:
    """The largest of a ladder's steps that fits, or None."""
    fitting = [step for step in steps if step[1] <= budget]
    return max(fitting, key=lambda step: step[1]) if fitting else None
