"""The comparison is fair, and its page needs nothing beside itself."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import semcomp
from semcomp.eval.compare import (
    RIVALS,
    Comparison,
    Entry,
    at_equal_bytes,
    comparison_page,
    interesting_crops,
    rival_at_size,
)
from semcomp.imaging.metrics import psnr_db
from semcomp.imaging.picture import from_array


@pytest.fixture
def comparison(stand_in: Any, photo: NDArray[np.uint8]) -> Any:
    picture = from_array(photo)
    data = stand_in.encode(picture, quality=60)
    return at_equal_bytes(picture, data, stand_in.decode(data), quality=60)


@pytest.mark.parametrize("rival", RIVALS, ids=lambda rival: rival.name)
def test_a_rival_gets_the_quality_nearest_in_size(rival: Any, photo: NDArray[np.uint8]) -> None:
    image = Image.fromarray(photo)

    def size(quality: int) -> int:
        buffer = io.BytesIO()
        image.save(buffer, rival.format, quality=quality, **dict(rival.options))
        return buffer.tell()

    sizes = {quality: size(quality) for quality in range(rival.lowest, rival.highest + 1, 5)}
    target = sorted(sizes.values())[len(sizes) // 2]
    entry = rival_at_size(image, rival, target_bytes=target)
    assert abs(len(entry.data) - target) <= min(abs(value - target) for value in sizes.values()) + 0.02 * target
    assert entry.psnr_db == psnr_db(photo, np.asarray(Image.open(io.BytesIO(entry.data)).convert("RGB")))
    assert entry.bpp == 8 * len(entry.data) / (131 * 90)


def test_out_of_reach_is_said(photo: NDArray[np.uint8]) -> None:
    entry = rival_at_size(Image.fromarray(photo), RIVALS[0], target_bytes=10)
    assert entry.setting == "quality 1, its lowest: it cannot get this small"
    assert rival_at_size(Image.fromarray(photo), RIVALS[0], target_bytes=10**7).setting == "quality 95"


def test_entries(comparison: Any) -> None:
    assert [entry.name for entry in comparison.entries][:2] == ["semcomp", "JPEG"]
    for entry in comparison.entries:
        assert entry.decoded.size == (131, 90) and entry.decoded.mode == "RGB"
        assert 20 < entry.psnr_db < 60
        assert entry.to_dict()["bytes"] == len(entry.data)
        assert entry.name in entry.line() and "dB" in entry.line()


def test_transparency_is_shown_on_white(stand_in: Any, photo: NDArray[np.uint8]) -> None:
    clear = from_array(np.dstack([photo, np.zeros(photo.shape[:2], np.uint8)]))
    data = stand_in.encode(clear)
    comparison = at_equal_bytes(clear, data, stand_in.decode(data), quality=50)
    assert comparison.original.getextrema() == ((255, 255),) * 3
    assert comparison.entries[0].psnr_db == float("inf") and comparison.entries[0].to_dict()["psnr_db"] is None
    assert "NaN" not in comparison_page(comparison, title="x") and "Infinity" not in comparison_page(
        comparison, title="x"
    )


def test_the_page_is_self_contained(comparison: Any) -> None:
    text = comparison_page(comparison, title='a <b> & "c"</script>.png')
    assert "__TITLE__" not in text and "__CONTENT__" not in text
    assert "<title>a &lt;b&gt; &amp; &quot;c&quot;&lt;/script&gt;.png" in text
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//|url\(|@import""", text)
    script = re.search(r'<script id="content" type="application/json">(.*?)</script>', text, re.S)
    assert script is not None
    content = json.loads(script[1])
    assert [layer["name"] for layer in content["layers"]][:3] == ["Original", "semcomp", "JPEG"]
    assert all(layer["src"].startswith("data:image/") for layer in content["layers"])
    assert content["title"] == 'a <b> & "c"</script>.png'


def test_crops_are_where_the_detail_is(photo: NDArray[np.uint8]) -> None:
    grey = np.full((100, 200), 128, np.uint8)
    grey[60:80, 150:170] = np.random.default_rng(0).integers(0, 256, (20, 20))
    x, y = interesting_crops(grey)[0]
    assert abs(x - 0.8) < 0.1 and abs(y - 0.7) < 0.15
    for shape in ((1, 1), (1, 500), (500, 1), (7, 9), (64, 64)):
        crops = interesting_crops(np.zeros(shape, np.uint8))
        assert crops and all(0 <= value <= 1 for crop in crops for value in crop)


def test_a_2k_photo_makes_a_page_that_can_be_mailed(stand_in: Any) -> None:
    """Noise of a photo's kind is the hard case; the pictures inside must not be kept losslessly."""
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (86, 128, 3), dtype=np.uint8)).resize(
        (2048, 1366), Image.Resampling.BICUBIC
    )
    noisy = np.clip(np.asarray(smooth) + rng.normal(0, 4, (1366, 2048, 3)), 0, 255).astype(np.uint8)
    original = Image.fromarray(noisy)
    entry = Entry(name="semcomp", setting="quality 50", data=b"", decoded=smooth, bpp=1.0, psnr_db=36.0, mime="")
    made = comparison_page(Comparison(original=original, entries=(entry,)), title="large")
    assert len(made) < 3_500_000
    assert "data:image/avif" in made and "at quality 90" in made


@pytest.mark.parametrize("size", [(40000, 8), (8, 40000)])
def test_a_side_beyond_a_rivals_limit_leaves_it_out(stand_in: Any, size: tuple[int, int]) -> None:
    picture = from_array(np.full((size[1], size[0], 3), 90, np.uint8))
    data = stand_in.encode(picture)
    made = at_equal_bytes(picture, data, stand_in.decode(data), quality=50)
    assert [entry.name for entry in made.entries] == ["semcomp", "JPEG"]
    assert "data:image/png" in comparison_page(made, title="long")


def test_the_pressed_button_can_be_read_in_both_themes() -> None:
    style = (Path(semcomp.__file__).parent / "eval/compare.html").read_text(encoding="utf-8")

    def luminance(colour: str) -> float:
        channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    pairs = re.findall(r"--accent: (#\w{6}); --accent-ink: (#\w{6});", style)
    assert len(pairs) == 3
    for ground, ink in pairs:
        dark, bright = sorted((luminance(ground), luminance(ink)))
        assert (bright + 0.05) / (dark + 0.05) >= 4.5  # WCAG 2.2, AA
    pressed = re.search(r"button\[aria-pressed=true\], button\[aria-pressed=true\]:hover {([^}]*)}", style)
    assert pressed and "color: var(--accent-ink)" in pressed[1] and "transition: none" in pressed[1]
