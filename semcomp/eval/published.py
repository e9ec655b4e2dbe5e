"""Published results on Kodak's 24 pictures, from published.json."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

KODAK_PICTURES, KODAK_PIXELS = 24, 768 * 512


@lru_cache(maxsize=1)
def published() -> dict[str, Any]:
    """The results: "curves" (bpp and psnr_db by codec) and "table" (BD-rate against JPEG, kMAC per pixel)."""
    values: dict[str, Any] = json.loads(Path(__file__).with_name("published.json").read_text(encoding="utf-8"))
    return values


def is_kodak(pictures: Sequence[tuple[str, int, int]]) -> bool:
    """Whether the pictures, as (name, width, height), are Kodak's kodim01 to kodim24."""
    numbers = {match[1] for name, _, _ in pictures if (match := re.match(r"kodim(\d\d)\b", name.lower()))}
    sizes = all(width * height == KODAK_PIXELS for _, width, height in pictures)
    return len(pictures) == len(numbers) == KODAK_PICTURES and sizes
