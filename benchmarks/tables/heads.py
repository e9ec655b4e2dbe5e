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
    "all": "crop to 90 %, reduced to 50 %, JPEG of quality 30",
}
MILLION = 1_000_000
CODECS = {"jpeg": "JPEG", "webp": "WebP", "avif": "AVIF"}


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
    if "pictures" in record:
        text = f"On {plural(record['pictures'], 'image')}, {record['figure']} in percent:\n\n{text}"
    if record.get("originals") is not None:
        text += f"\n\nA network on originals that continued from the same network reaches {record['originals']:.1f}."
    return text


def other_codecs(record: Record) -> str:
    """The network on pixels of other codecs' files of equal bytes."""
    first = record["rows"][0]
    names = [name for name in first["ms"] if name not in ("latents", "decoded", "decoding")]
    if not names:
        return "The run of this record had no files of other codecs."
    rows = []
    for row in record["rows"]:
        pairs = [(row[way], row["ms"][way]) for way in ("latents", "decoded", *names)]
        rows.append([fixed(row["bpp"], 2), *(f"{fixed(score, 1)}, {fixed(ms, 1)} ms" for score, ms in pairs)])
    columns = [f"network on {CODECS.get(name, name)}" for name in names]
    return table(["bpp", "head on latents", "network on semcomp", *columns], rows)


def arithmetic(record: Record) -> str:
    """Multiply-adds of the head and of the network that it is compared with."""
    costs = record["kmac_per_px"]
    return (
        f"The head takes {costs['head']:.1f} thousand multiply-adds a pixel, and the network takes "
        f"{costs['network']:.1f}."
    )


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
    head = f"{plural(record['pictures'], 'image')}, whole files:\n\n"
    return head + table(["", "bpp", "PSNR, dB", *(["mIoU, %"] if judged else []), "KID"], rows)


def kept(record: Record) -> str:
    """What files take that keep some classes."""
    row = record["selective"]
    return (
        f"Files with `--keep {row['keep']}` at quality {row['quality']} take {row['bytes_percent']:.1f} % of the "
        "bytes of whole files, on "
        f"the {plural(row['pictures'], 'picture')} in which the head\nfinds one of these classes. PSNR changes by "
        f"{signed(-row['psnr_lost_db'], 2)} dB inside what is kept."
    )


def behind_avif(record: Record) -> str:
    """What a network finds in generated pictures, beside AVIF at twice the bytes."""
    score = {name: row["miou"] for name, row in record["global"].items() if "miou" in row}
    ways = {"the generator": "generator", "the generator and a map": "generator, map"}
    twice = score.get("AVIF, twice the bytes")
    if twice is None:
        return "The run of this record had no network that judges."
    lost = [f"{signed(score[name] - twice)} with {way}" for way, name in ways.items() if name in score]
    return f"Beside AVIF at twice the bytes, the network's mIoU changes by {' and '.join(lost)}, in points."


def embeddings(record: Record) -> str:
    """Precision by class of every embedding."""
    found: Mapping[str, float] = record["classes"]
    asked = record["asked"]
    qualities = " and ".join([", ".join(map(str, asked["qualities"][:-1])), str(asked["qualities"][-1])])
    head = (
        f"{asked['photos']:,} photos of {asked['classes']} classes, in files of quality {qualities}. Chance is "
        f"{100 / asked['classes']:.0f} %.\n\n"
    )
    rows = [[f"`{name}`", f"{share:.1f} %"] for name, share in sorted(found.items(), key=lambda item: -item[1])]
    return head + table(["embedding", "precision@10 by class"], rows)


def copies(record: Record) -> str:
    """Copies found by signature, and by `embed` or the first embedding that was measured."""
    found = record["copies"]
    heads = [name for name in ("embed", *record["classes"]) if name in found]
    columns = {"found": found.get("duplicates"), f"nearest by the embedding `{heads[0]}`": found[heads[0]]}
    columns = {title: shares for title, shares in columns.items() if shares}
    rows = [[COPIES[copy], *(f"{shares[copy]:.0f} %" for shares in columns.values())] for copy in COPIES]
    photos = f"{plural(found['photos'], 'photo')} of the validation set:\n\n"
    return photos + table(["copy, stored at quality 50", *columns], rows)


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
    hours = seconds * (MILLION / rows) ** 2 / 3600
    return (
        f"`--duplicates` compares {rows:,} photos with each other in {seconds:.1f} s of one core. The time grows with "
        f"the square of their number,\nso a million photos would take {hours:.0f} hours."
    )


def strangers(record: Record) -> str:
    """Pairs of different photos that are taken for copies."""
    found = record["strangers"]
    return (
        f"{found['photos']:,} photos of Imagenette make {found['pairs']:,} pairs of different photos. "
        f"{found['taken'] or 'None'} of them {'is' if found['taken'] == 1 else 'are'} taken for copies."
    )


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


def trunks(record: Record) -> str:
    """Linear probes on the features of heads."""
    found: Mapping[str, float] = record["trunks"]
    rows = [[f"`{name}`", f"{share:.0f} %"] for name, share in sorted(found.items(), key=lambda item: -item[1])]
    head = (
        f"Classes: {', '.join(record['classes'])}; {record['train']} photos of each to learn from, {record['asked']} "
        "others asked.\n\n"
    )
    return head + table(["trunk", "a linear classifier on its features is right in"], rows)


BLOCKS: dict[str, Block] = {
    "recognition_street.table": recognition,
    "recognition_imagenette.table": recognition,
    "recognition_street.codecs": other_codecs,
    "recognition_street.arithmetic": arithmetic,
    "recognition_imagenette.arithmetic": arithmetic,
    "labelmap.bytes": label_map,
    "generative.ways": ways,
    "generative.kept": kept,
    "generative.behind": behind_avif,
    "photos.ways": ways,
    "photos.kept": kept,
    "search_classes.table": embeddings,
    "search.copies": copies,
    "search_speed.text": search_speed,
    "search_pairs.text": search_pairs,
    "search_strangers.text": strangers,
    "fit_head.text": own_head,
    "fit_trunks.table": trunks,
}
