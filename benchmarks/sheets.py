"""Contact sheets: originals beside what each way of storing them shows."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

SHOWN = 10
"""Number of images on each contact sheet."""
HEADING = 48
"""Height of a contact sheet's headings, in pixels."""
COLUMNS = ("original", "generator", "faithful", "AVIF")


def write_sheets(folder: Path, shown: Sequence[tuple[float, list[NDArray[np.uint8]]]]) -> None:
    """Writes worst.png and random.png: SHOWN images each, one row for each, below the names of COLUMNS.

    `shown` holds for every image its distance from the original, and the pixels of each column.
    """
    order = np.argsort([-distance for distance, _ in shown], kind="stable")[:SHOWN]
    drawn = np.random.default_rng(0).permutation(len(shown))[:SHOWN]
    folder.mkdir(parents=True, exist_ok=True)
    for name, chosen in (("worst", order), ("random", drawn)):
        rows = [[Image.fromarray(picture) for picture in shown[number][1]] for number in chosen.tolist()]
        width = max(row[0].width for row in rows)
        sheet = Image.new("RGB", (len(COLUMNS) * width, HEADING + sum(row[0].height + 2 for row in rows)), "white")
        drawing, font, top = ImageDraw.Draw(sheet), ImageFont.load_default(HEADING // 2), HEADING
        for number, heading in enumerate(COLUMNS):
            drawing.text(((number + 0.5) * width, HEADING / 2), heading, fill="black", font=font, anchor="mm")
        for row in rows:
            for number, picture in enumerate(row):
                sheet.paste(picture, (number * width, top))
            top += row[0].height + 2
        sheet.save(folder / f"{name}.png")
