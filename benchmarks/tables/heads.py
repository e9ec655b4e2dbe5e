"""Blocks about what reads and makes pictures: heads, label maps, search, generators."""

from collections.abc import Mapping
from typing import Any

from benchmarks.tables.markdown import Block, Record, fixed, plural, signed, table

METHODS = {
    "generator": "generator",
    "generator, map": "generator, guided by a map",
    "faithful": "faithful decoder",
    "AVIF": "AVIF",
    "WebP": "WebP",
    "JPEG": "JPEG",
    "AVIF, twice the bytes": "AVIF at twice the bytes",
    "original": "originals",
}
COPIES = {
    "jpeg 30": "JPEG of quality 30",
    "half": "reduced to 50 %",
    "crop 90 %": "crop to 90 % of the sides",
    "crop 75 %": "crop to 75 % of the sides",
}


def recognition(record: Record) -> str:
    """A head beside a network on decoded pictures."""
    rows = []
    for row in record["rows"]:
        ms = row["ms"]
        scores = [fixed(row["latents"], 1), fixed(row.get("decoded"), 1)]
        times = [fixed(ms["latents"], 1), fixed(ms.get("decoded"), 1), fixed(ms["decoding"], 1)]
        rows.append([fixed(row["bpp"], 2), *scores, *times])
    header = ["bpp", "head on latents", "network on decoded pictures", "latents, ms", "decode + network, ms"]
    text = table([*header, "decoding alone, ms"], rows)
    if record.get("originals") is not None:
        text += f"\n\nA network on originals that continued from the same network reaches {record['originals']:.1f}."
    return text


def label_map(record: Record) -> str:
    """Bytes of label maps."""
    return (
        f"{record['masks']} masks of CamVid's validation set, with cells of {record['cell']} pixels, take "
        f"{record['bytes']:.0f} bytes on average, names and colours of the classes included. This is "
        f"{record['bpp']:.3f} bits\nfor a pixel of the photo. A palette PNG of the same map takes "
        f"{record['png_bytes']:.0f} bytes, lossless WebP {record['webp_bytes']:.0f}."
    )


def ways(record: Record) -> str:
    """Every way of storing the pictures at equal bytes."""
    found: Mapping[str, Mapping[str, Any]] = record["global"]
    judged = any("miou" in row for row in found.values())
    names = [name for name in METHODS if name in found and (judged or name != "original")]
    rows = []
    for name in names:
        row = found[name]
        score = [fixed(row.get("miou"), 1)] if judged else []
        kid = "" if name == "original" else fixed(row.get("kid"), 3)
        rows.append([METHODS[name], fixed(row["bpp"], 3), fixed(row["psnr_db"], 2), *score, kid])
    return table(["", "bpp", "PSNR, dB", *(["mIoU, %"] if judged else []), "KID"], rows)


def kept(record: Record) -> str:
    """What files take that keep some classes."""
    row = record["selective"]
    return (
        f"Files with `--keep {row['keep']}` at quality {row['quality']} take {row['bytes_percent']:.1f} % of the "
        "bytes of whole files, on "
        f"the {plural(row['pictures'], 'picture')} in which the head\nfinds one of these classes. PSNR changes by "
        f"{signed(-row['psnr_lost_db'], 2)} dB inside what is kept."
    )


def embeddings(record: Record) -> str:
    """Precision by class of every embedding."""
    found: Mapping[str, float] = record["classes"]
    rows = [[f"`{name}`", f"{share:.1f} %"] for name, share in sorted(found.items(), key=lambda item: -item[1])]
    return table(["embedding", "precision@10 by class"], rows)


def copies(record: Record) -> str:
    """Copies found by signature, and by the embedding of `objects` or the first one that was measured."""
    found = record["copies"]
    heads = [name for name in ("objects", *record["classes"]) if name in found]
    columns = {"found": found.get("duplicates"), f"nearest by the embedding `{heads[0]}`": found[heads[0]]}
    columns = {title: shares for title, shares in columns.items() if shares}
    rows = [[COPIES[copy], *(f"{shares[copy]:.0f} %" for shares in columns.values())] for copy in COPIES]
    return table(["copy, stored at quality 50", *columns], rows)


def search_speed(record: Record) -> str:
    """Times of a search."""
    speed = record["speed"]
    return (
        f"In an index of {speed['rows']:,} photos the first search takes {speed['first_ms'] / 1000:.1f} s "
        f"({speed['photos_a_second']:,} photos a second), the next ones {speed['ms']:.1f} ms. A photo takes "
        f"{speed['bytes_a_photo']:.0f} bytes of the index."
    )


def search_pairs(record: Record) -> str:
    """Time of a search for near-duplicates."""
    rows, seconds = record["pairs"]["rows"], record["pairs"]["cpu_seconds"]
    return f"`--duplicates` compares {rows:,} photos with each other in {seconds:.1f} s of one core."


def own_head(record: Record) -> str:
    """A head of a user's own beside a probe."""
    return (
        f"Classes: {', '.join(record['classes'])}; {record['train']} photos of each to learn from, {record['asked']} "
        "others "
        f"asked. `semcomp-fit-head` is right in {record['head']:.1f} %,\nin {record['cpu_seconds']:.0f} seconds of "
        "one core, "
        "encoding included. A linear probe on EfficientNet-Lite2, which sees the original pixels and has\nseen "
        "ImageNet, is "
        f"right in {record['probe']:.0f} %."
    )


BLOCKS: dict[str, Block] = {
    "recognition_street.table": recognition,
    "recognition_imagenette.table": recognition,
    "labelmap.bytes": label_map,
    "generative.ways": ways,
    "generative.kept": kept,
    "photos.ways": ways,
    "photos.kept": kept,
    "search_classes.table": embeddings,
    "search.copies": copies,
    "search.speed": search_speed,
    "search_pairs.text": search_pairs,
    "fit_head.text": own_head,
}
