"""One picture by semcomp, JPEG, WebP and AVIF at equal bytes, and the page that shows them side by side.

The other codecs are Pillow's, each at the quality whose file comes nearest to semcomp's size, without
metadata, as their users would run them: JPEG optimized with 4:2:0, WebP with its slowest method, AVIF at
Pillow's default speed with 4:2:0. PSNR is over RGB, all pixels.
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

_LOSSLESS_PIXELS = 4_000_000
"""Up to here the page carries the original and semcomp's result losslessly, beyond as WebP of quality 98."""


RIVALS = (JPEG, WEBP, AVIF)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One codec's file of the picture."""

    name: str
    setting: str
    """Such as "quality 34"."""
    data: bytes
    decoded: Image.Image
    """RGB."""
    bpp: float
    psnr_db: float
    mime: str
    """Of `data`, where a browser can show it as it is; else empty."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; an infinite PSNR is null."""
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
    """The original and what each codec makes of it; semcomp is the first entry."""

    original: Image.Image
    """RGB."""
    entries: tuple[Entry, ...]


def compare(picture: Picture, data: bytes, decoded: Image.Image, *, quality: int) -> Comparison:
    """Put semcomp's file of `picture` (its bytes and what they decode to) beside the rivals at equal bytes.

    Transparency is shown on white. A rival that this build of Pillow lacks is left out.
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
    available = [rival for rival in RIVALS if rival.available]
    others = [rival_at_size(original, rival, target_bytes=len(data)) for rival in available]
    return Comparison(original=original, entries=(first, *others))


def rival_at_size(original: Image.Image, rival: PillowCodec, *, target_bytes: int) -> Entry:
    """The file of `rival` that comes nearest to `target_bytes`."""
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
    """An image of any of our modes as RGB, transparency on white."""
    if image.mode in ("LA", "RGBA"):
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image.convert("RGB")


def page(comparison: Comparison, *, title: str) -> str:
    """One HTML page that needs nothing beside itself: images, style and script are inside."""
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
    """Centres (x, y in 0..1) of the `count` most detailed places of a (H, W) picture that lie apart."""
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
    buffer = io.BytesIO()
    if not features.check("webp"):
        image.save(buffer, "PNG")
        return data_url(buffer.getvalue(), "image/png")
    image.save(buffer, "WEBP", lossless=lossless, quality=80 if lossless else 98, method=4)
    return data_url(buffer.getvalue(), "image/webp")


def data_url(data: bytes, mime: str) -> str:
    """A file as an address that holds it."""
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"
