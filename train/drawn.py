"""Crops that a program draws: text, line art, windows, gradients and flat colour.

Photographs hold little of what screenshots, scans and diagrams are made of. A codec that never saw such content shows
texture on flat areas and blurs text. Each crop has a ground and some marks on it. All text is set in Pillow's own font.
"""

import random
import string
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

INKS: tuple[Colour, ...] = ((0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 0, 255), (0, 128, 0), (40, 40, 40))


@lru_cache(maxsize=32)
def font(size: int) -> Font:
    """Pillow's font at `size` pixels."""
    return ImageFont.load_default(size)


def colour(rng: random.Random) -> Colour:
    """A random colour: half of them grey, a third pure inks, the rest anything."""
    kind = rng.random()
    if kind < 0.35:
        return rng.choice(INKS)
    if kind < 0.55:
        level = rng.choice((0, 16, 32, 64, 128, 192, 224, 240, 248, 255))
        return level, level, level
    return rng.randrange(256), rng.randrange(256), rng.randrange(256)


def contrasting(rng: random.Random, ground: Colour) -> Colour:
    """A colour that can be told from `ground`."""
    for _ in range(20):
        ink = colour(rng)
        if sum(abs(a - b) for a, b in zip(ink, ground, strict=True)) > 120:
            return ink
    return (0, 0, 0) if sum(ground) > 384 else (255, 255, 255)


def words(rng: random.Random, length: int) -> str:
    """Pseudo-text of about `length` characters."""
    text: list[str] = []
    while len(text) < length:
        letters = rng.choices(string.ascii_lowercase + "eeaionrt", k=rng.randint(1, 9))
        if rng.random() < 0.15:
            letters = rng.choices(string.digits + ".,:%", k=rng.randint(1, 6))
        elif rng.random() < 0.2:
            letters[0] = letters[0].upper()
        text += [*letters, rng.choice((" ", " ", " ", ", ", ". "))]
    return "".join(text)


def flat(rng: random.Random, side: int) -> Image.Image:
    """One colour, or a few large areas of one colour each."""
    image = Image.new("RGB", (side, side), colour(rng))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.choice((0, 0, 1, 3))):
        draw.rectangle(_box(rng, side, smallest=side // 4), fill=colour(rng))
    return image


def gradient(rng: random.Random, side: int) -> Image.Image:
    """A linear or radial ramp between two colours."""
    y, x = np.mgrid[0:side, 0:side] / side
    if rng.random() < 0.5:
        across, down = rng.uniform(-1, 1), rng.uniform(-1, 1)
        ramp = across * x + down * y
    else:
        ramp = np.hypot(x - rng.random(), y - rng.random())
    ramp = (ramp - ramp.min()) / max(float(np.ptp(ramp)), 1e-6)
    first, last = np.array(colour(rng)), np.array(colour(rng))
    pixels = first + ramp[..., None] * (last - first)
    return Image.fromarray(np.round(pixels).astype(np.uint8))


def text(rng: random.Random, side: int) -> Image.Image:
    """Lines of text in one size on a flat ground, like a page."""
    ground = (255, 255, 255) if rng.random() < 0.5 else colour(rng)
    image = Image.new("RGB", (side, side), ground)
    draw, size = ImageDraw.Draw(image), rng.choice((8, 9, 10, 11, 12, 13, 14, 16, 18, 22, 28, 40, 64))
    ink, top = contrasting(rng, ground), rng.randint(-size, size)
    left, step = rng.randint(-side // 4, side // 8), round(size * rng.uniform(1.1, 1.7))
    while top < side:
        if rng.random() < 0.9:
            draw.text((left, top), words(rng, 3 * side // size), fill=ink, font=font(size))
        top += step
    return image


def line_art(rng: random.Random, side: int) -> Image.Image:
    """Lines, circles and polygons, with smooth edges in half of the crops."""
    factor = rng.choice((1, 2))
    large, ground = side * factor, (255, 255, 255) if rng.random() < 0.5 else colour(rng)
    image = Image.new("RGB", (large, large), ground)
    draw, ink = ImageDraw.Draw(image), contrasting(rng, ground)
    for _ in range(rng.randint(3, 25)):
        width, pen = factor * rng.randint(1, 4), ink if rng.random() < 0.7 else colour(rng)
        kind, fill = rng.random(), colour(rng) if rng.random() < 0.2 else None
        if kind < 0.45:
            draw.line([rng.randrange(large) for _ in range(4)], fill=pen, width=width)
        elif kind < 0.7:
            draw.ellipse(_box(rng, large, smallest=8), outline=pen, width=width, fill=fill)
        elif kind < 0.85:
            draw.polygon([rng.randrange(large) for _ in range(2 * rng.randint(3, 6))], outline=pen, fill=fill)
        else:
            draw.arc(_box(rng, large, smallest=8), rng.randrange(360), rng.randrange(360), fill=pen, width=width)
    return image if factor == 1 else image.resize((side, side), Image.Resampling.BOX)


def windows(rng: random.Random, side: int) -> Image.Image:
    """Windows over one another: frames, title bars, buttons, labels and fields."""
    image = flat(rng, side) if rng.random() < 0.6 else gradient(rng, side)
    draw = ImageDraw.Draw(image)
    for _ in range(rng.randint(1, 3)):
        left, top, right, bottom = _box(rng, side, smallest=side // 3)
        ground = rng.choice(((255, 255, 255), (240, 240, 240), (30, 30, 34), colour(rng)))
        ink = contrasting(rng, ground)
        draw.rectangle((left, top, right, bottom), fill=ground, outline=colour(rng))
        draw.rectangle((left, top, right, top + 18), fill=colour(rng))
        size = rng.choice((9, 10, 11, 12, 13))
        for line in range(top + 24, bottom - size, round(size * 1.8)):
            if rng.random() < 0.3:
                box = (left + 8, line - 2, min(left + rng.randint(40, 110), right), line + size + 3)
                draw.rounded_rectangle(box, radius=rng.choice((0, 3, 5)), fill=colour(rng), outline=ink)
            width = max(right - left - 16, 0) // max(size // 2, 1)
            draw.text((left + 10, line), words(rng, rng.randint(3, 30))[:width], fill=ink, font=font(size))
    return image


KINDS: dict[str, Callable[[random.Random, int], Image.Image]] = {
    "text": text,
    "line art": line_art,
    "windows": windows,
    "gradient": gradient,
    "flat": flat,
}


def draw_crop(side: int, rng: random.Random, *, kind: str | None = None) -> NDArray[np.uint8]:
    """A drawn crop, uint8 (side, side, 3), of one of the KINDS, or of a random one."""
    return np.asarray(KINDS[kind or rng.choice(tuple(KINDS))](rng, side))


def _box(rng: random.Random, side: int, *, smallest: int) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of a rectangle that may be cut off on the right and below."""
    left, top = rng.randrange(-smallest // 2, side - smallest // 2), rng.randrange(-smallest // 2, side - smallest // 2)
    return left, top, left + rng.randint(smallest, side), top + rng.randint(smallest, side)
