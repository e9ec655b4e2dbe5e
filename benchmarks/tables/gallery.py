"""The blocks of the gallery: figures and sheets of ten photos."""

from collections.abc import Mapping
from typing import Any

from benchmarks.tables.markdown import Block, Record, fixed, table

ALT = {
    "near": "close-ups: original, and three rates",
    "ways": "original, generated, kept in part, label map",
    "jpeg": "close-ups: original, JPEG, restored",
}


def share(part: float, whole: float) -> str:
    """A part in percent of a whole, with digits that mean something."""
    percent = 100 * part / whole
    return f"{percent:.1f} %" if percent < 10 else f"{percent:.0f} %"


def figures(record: Record) -> str:
    """Bytes of every photo in every way."""
    rows = record["pictures"]
    rates = [f"at most {rate:g} bpp" for rate in record["rates"]]
    header = ["", "PNG", *rates, "generated", "kept in part"]
    header += ["exactly"] if "exact_bytes" in rows[0] else []
    lines = []
    for row in rows:
        sizes = [row["png_bytes"], *(rate["bytes"] for rate in row["rates"])]
        sizes += [row["generated"]["bytes"], row["kept"]["bytes"]]
        sizes += [row["exact_bytes"]] if "exact_bytes" in row else []
        lines.append([row["title"], *(f"{size:,}" for size in sizes)])
    return table(header, lines)


def photos(record: Record) -> str:
    """Every photo with its sheets."""
    return "\n\n".join(_photo(row) for row in record["pictures"])


def _photo(row: Mapping[str, Any]) -> str:
    """One photo."""
    parts = [f"## {row['title']}", _sheet(row, "near"), _rates(row), _sheet(row, "ways"), _ways(row)]
    if "restored" in row:
        parts += [_sheet(row, "jpeg"), _restored(row)]
    return "\n\n".join(parts)


def _sheet(row: Mapping[str, Any], kind: str) -> str:
    return f"![{row['title']}, {ALT[kind]}](gallery/{row['name']}-{kind}.webp)"


def _rates(row: Mapping[str, Any]) -> str:
    """What the close-ups cost."""
    lines = [
        [
            f"{rate['bpp']:.2f} bpp",
            f"{rate['bytes']:,}",
            fixed(rate["psnr_db"], 1),
            f"{rate['jpeg_bytes']:,}" if rate["jpeg_bytes"] else "no such file",
        ]
        for rate in row["rates"]
    ]
    return table(["faithful", "bytes", "PSNR, dB", "bytes of a JPEG file of this PSNR"], lines)


def _ways(row: Mapping[str, Any]) -> str:
    """What the whole photos cost, and what the head saw."""
    found = row["labels"]["areas"]
    seen = ", ".join(f"{name} {100 * area:.0f} %" for name, area in found.items()) or "background alone"
    head = row["labels"]["head"]
    said = f"Label map of `{head}`: {seen}."
    if not row["labels"]["known"]:
        said = f"`{head}` keeps quiet here, because it is not sure. The map is its guess: {seen}."
    text = f"Generated: {row['generated']['bytes']:,} bytes. Kept in part: {row['kept']['bytes']:,} bytes.\n{said}"
    if "exact_bytes" in row:
        exact, png = row["exact_bytes"], row["png_bytes"]
        text += f"\nExact pixels: {exact:,} bytes, {share(exact, png)} of the PNG file."
    return text


def _restored(row: Mapping[str, Any]) -> str:
    """What the restorer gave back."""
    one = row["restored"]
    return (
        f"A JPEG file of {one['bytes']:,} bytes: a plain decoder shows {one['jpeg_db']:.1f} dB, the restorer "
        f"{one['psnr_db']:.1f} dB."
    )


BLOCKS: dict[str, Block] = {"gallery.figures": figures, "gallery.photos": photos}
