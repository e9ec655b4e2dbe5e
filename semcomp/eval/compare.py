"""One picture by semcomp, JPEG, WebP and AVIF at equal bytes, and the page that shows them.

The other codecs come from classical.py. Each runs at the quality whose file is nearest to semcomp's size. PSNR is over
RGB and all pixels.
"""

from __future__ import annotations

import base64
import html
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from semcomp.eval.classical import AVIF, JPEG, WEBP, PillowCodec
from semcomp.eval.size import file_of_size
from semcomp.imaging.metrics import psnr_db
from semcomp.imaging.picture import Picture, to_pil

_LOSSLESS_PIXELS = 1_000_000
"""Up to this size the page holds the original and semcomp's result losslessly.

Larger pictures are AVIF 4:4:4 of quality 90: 0.6 MB for 2048x1366 pixels at 42 dB, where lossless WebP takes 2.5 MB.
"""
_LARGEST_SIDE = {"JPEG": 65500, "WEBP": 16383, "AVIF": 32768}
"""Pixels a side that each format can hold, and that its readers accept."""

RIVALS = (JPEG, WEBP, AVIF)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """The file of one codec."""

    name: str
    setting: str
    """For example "quality 34"."""
    data: bytes
    decoded: Image.Image
    """RGB."""
    bpp: float
    psnr_db: float
    mime: str
    """MIME type of `data` if a browser can show it, else empty."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values. An infinite PSNR is null."""
        psnr = round(self.psnr_db, 4) if np.isfinite(self.psnr_db) else None
        return {
            "name": self.name,
            "setting": self.setting,
            "bytes": len(self.data),
            "bpp": round(self.bpp, 6),
            "psnr_db": psnr,
        }

    def line(self) -> str:
        """One line for a person."""
        size = f"{len(self.data):,} B"
        return f"{self.name:<8}{size:>12}  {self.bpp:.3f} bpp  {self.psnr_db:6.2f} dB  {self.setting}"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The original and the results of all codecs."""

    original: Image.Image
    """RGB."""
    entries: tuple[Entry, ...]
    """One per codec. semcomp is the first."""


def at_equal_bytes(picture: Picture, data: bytes, decoded: Image.Image, *, quality: int) -> Comparison:
    """Compare semcomp's file of a picture with the rivals' files of equal size.

    Args:
        picture: The picture. Transparency is shown on white.
        data: The `.semc` file of the picture.
        decoded: What `data` decodes to.
        quality: Quality of `data`.

    Returns:
        The comparison. Rivals that this build of Pillow lacks, and those that cannot hold the picture's size, are left
        out.
    """
    original = on_white(to_pil(picture))
    pixels = np.asarray(original)
    ours = on_white(decoded)
    first = Entry(
        name="semcomp",
        setting=f"quality {quality}",
        data=data,
        decoded=ours,
        mime="",
        bpp=8 * len(data) / (picture.width * picture.height),
        psnr_db=psnr_db(pixels, np.asarray(ours)),
    )
    side = max(original.size)
    available = [rival for rival in RIVALS if rival.available and side <= _LARGEST_SIDE[rival.format]]
    others = [rival_at_size(original, rival, target_bytes=len(data)) for rival in available]
    return Comparison(original=original, entries=(first, *others))


def rival_at_size(original: Image.Image, rival: PillowCodec, *, target_bytes: int) -> Entry:
    """The file of `rival` whose size is nearest to `target_bytes`."""
    pixels = np.asarray(original)
    quality, data = file_of_size(rival, pixels, target_bytes=target_bytes)
    decoded = rival.decode(data)
    setting = f"quality {quality}"
    if quality == rival.lowest and len(data) > 1.1 * target_bytes:
        setting += ", its lowest: it cannot get this small"
    return Entry(
        name=rival.label,
        setting=setting,
        data=data,
        decoded=Image.fromarray(decoded),
        mime=f"image/{rival.format.lower()}",
        bpp=8 * len(data) / (original.width * original.height),
        psnr_db=psnr_db(pixels, decoded),
    )


def on_white(image: Image.Image) -> Image.Image:
    """Convert an image of mode L, LA, RGB or RGBA to RGB, with transparency on white."""
    if image.mode in ("LA", "RGBA"):
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image.convert("RGB")


def comparison_page(comparison: Comparison, *, title: str) -> str:
    """One HTML page that holds its images, its style and its script."""
    original = comparison.original
    lossless = original.width * original.height <= _LOSSLESS_PIXELS
    layers = [{"name": "Original", "src": _shown(original, lossless=lossless)}]
    for entry in comparison.entries:
        src = data_url(entry.data, entry.mime) if entry.mime else _shown(entry.decoded, lossless=lossless)
        layers.append({"name": entry.name, "src": src, **entry.to_dict()})
    content = {
        "title": title,
        "width": original.width,
        "height": original.height,
        "lossless": lossless,
        "crops": interesting_crops(np.asarray(original.convert("L"))),
        "layers": layers,
    }
    template = (Path(__file__).parent / "compare.html").read_text(encoding="utf-8")
    script = json.dumps(content, ensure_ascii=True).replace("</", "<\\/")
    return template.replace("__TITLE__", html.escape(title)).replace("__CONTENT__", script)


def interesting_crops(grey: NDArray[np.uint8], *, count: int = 3) -> list[list[float]]:
    """Centres (x, y in 0..1) of the `count` most detailed places of a picture (H, W). They keep a distance."""
    height, width = grey.shape
    cell = max(8, min(height, width) // 8)
    rows, columns = max(1, height // cell), max(1, width // cell)
    area = grey[: rows * cell, : columns * cell].astype(np.float32)
    steps = np.zeros_like(area)
    steps[:, 1:] += np.abs(np.diff(area, axis=1))
    steps[1:] += np.abs(np.diff(area, axis=0))
    detail = np.add.reduceat(
        np.add.reduceat(steps, np.arange(0, area.shape[0], cell), 0), np.arange(0, area.shape[1], cell), 1
    )
    crops: list[list[float]] = []
    for index in np.argsort(-detail, axis=None, kind="stable"):
        y, x = (float(value) + 0.5 for value in np.unravel_index(index, detail.shape))
        centre = [min(x * cell / width, 1.0), min(y * cell / height, 1.0)]
        if all(abs(centre[0] - other[0]) + abs(centre[1] - other[1]) > 0.3 for other in crops):
            crops.append([round(value, 4) for value in centre])
        if len(crops) == count:
            break
    return crops


def _shown(image: Image.Image, *, lossless: bool) -> str:
    """Return the data: URL of a picture: WebP or AVIF, or PNG if Pillow or the size rules those out."""
    buffer = io.BytesIO()
    if lossless and features.check("webp") and max(image.size) <= _LARGEST_SIDE["WEBP"]:
        image.save(buffer, "WEBP", lossless=True, quality=80, method=4)
        return data_url(buffer.getvalue(), "image/webp")
    if not lossless and features.check("avif") and max(image.size) <= _LARGEST_SIDE["AVIF"]:
        image.save(buffer, "AVIF", quality=90, subsampling="4:4:4", speed=8)
        return data_url(buffer.getvalue(), "image/avif")
    image.save(buffer, "PNG")
    return data_url(buffer.getvalue(), "image/png")


def data_url(data: bytes, mime: str) -> str:
    """The data: URL of a file."""
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"
