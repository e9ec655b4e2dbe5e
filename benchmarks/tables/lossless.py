"""Blocks about exact pixels."""

from benchmarks.tables.codec import memory
from benchmarks.tables.markdown import Block, Record, fixed, plural, table


def rates(record: Record) -> str:
    """Bits a sample and speed of every codec."""
    rows = [
        [name, fixed(row["bpsp"], 3), fixed(row["encode_mpx_s"], 2), fixed(row["decode_mpx_s"], 2)]
        for name, row in record["codecs"].items()
    ]
    head = (
        f"{plural(record['photos'], 'photo')}; bits a sample of real files, megapixels a second of processor time:\n\n"
    )
    return head + table(["", "bits a sample", "encode, Mpx/s", "decode, Mpx/s"], rows)


def backends(record: Record) -> str:
    """What each backend wrote and read otherwise than torch on one thread."""
    found = record["backends"]
    rows = [
        [name, f"{row['files']:,}", f"{row['samples']:,}", f"{row['bytes']:,}", f"{row['wrong']:,}"]
        for name, row in found.items()
    ]
    head = "Torch on one thread wrote the files. Chromium reads those of 8 bits, and writes none:\n\n"
    return head + table(["", "files", "samples", "files written otherwise", "wrong samples"], rows)


def damage(record: Record) -> str:
    """What hostile files did."""
    violations = next(check["value"] for check in record["checks"] if check["name"] == "violations")
    outcomes = record["outcomes"]
    cut = sum(count for what, count in outcomes.items() if what.startswith("truncation"))
    kinds = sorted({what.partition(": ")[2] for what in outcomes})
    counts = {kind: sum(count for what, count in outcomes.items() if what.endswith(f": {kind}")) for kind in kinds}
    found = ", ".join(f"{count:,} {kind}" for kind, count in counts.items())
    return (
        f"{record['count']:,} files were changed and {cut:,} were cut off, with correct checksums of the container: "
        f"{found}. A file that is decoded shows the pixels of the original. **{violations} violations.**"
    )


BLOCKS: dict[str, Block] = {
    "lossless.table": rates,
    "lossless_clic.table": rates,
    "lossless_deep.table": rates,
    "lossless_memory.peaks": memory,
    "lossless_exactness.backends": backends,
    "lossless_fuzz.damage": damage,
}
