"""The table of the README."""

from collections.abc import Callable, Mapping

from benchmarks.tables.markdown import Record, compared, plural, table

Row = tuple[str, str, str]
"""What was measured, what came out, and the page that says how."""


def _saved(rate: Record) -> Row:
    saved = [f"{compared(rate['bd_rate']['semcomp'][rival])} {rival}" for rival in ("JPEG", "WebP", "AVIF")]
    return f"bytes at equal PSNR, {rate['photos']} photos", ", ".join(saved), "rate"


def _times(record: Record) -> Row:
    speed = record["measured"][-1]
    ms = {way: speed["ms"][f"semcomp {way}"]["median"] for way in ("encode", "decode")}
    threads = plural(speed["threads"], "thread")
    return f"time for 768x512 on {threads}", f"encode {ms['encode']:.0f} ms, decode {ms['decode']:.0f} ms", "speed"


def _street(record: Record) -> Row:
    row = record["rows"][0]
    found = (
        f"mean IoU {row['latents']:.1f} % from latents in {row['ms']['latents']:.1f} ms; {row['decoded']:.1f} % from "
        f"decoded pixels in {row['ms']['decoded']:.1f} ms"
    )
    return f"recognition, CamVid at {row['bpp']:.2f} bpp", found, "recognition"


def _exact(record: Record) -> Row:
    files = record["photos"] * len(record["qualities"])
    found = f"{record['differing']} differing symbols in {files} files under {record['arrangement_count']} arrangements"
    return "exactness", found, "exactness"


def _damage(record: Record) -> Row:
    broken = sum(record["violations"].values())
    found = f"{broken} violations" if broken else "no crash, no silently wrong image"
    return "damage", f"{record['mutations'] + record['truncations']:,} mutated files: {found}", "robustness"


SUMMARY: dict[str, Callable[[Record], Row]] = {
    "rate": _saved,
    "speed": _times,
    "recognition_street": _street,
    "exactness": _exact,
    "fuzz": _damage,
}
"""The rows of the README's table, by their records."""


def summary(records: Mapping[str, Record]) -> str:
    """The table of the README: a row for each record of SUMMARY that is there, and the names of the others."""
    used = {name: records[name] for name in SUMMARY if name in records}
    missing = ", ".join(name for name in SUMMARY if name not in records)
    told = f"Not measured yet: {missing}."
    if not used:
        return told
    dates = sorted({record["date"] for record in used.values()})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    ids = {value for record in used.values() if (value := record["weights"].get("base"))}
    named = ", ".join(f"`{value}`" for value in sorted(ids))
    cores = next(iter(used.values()))["machine"]["cores"]
    head = f"Measured {when} with model {named}, on {cores} cores of an x86-64 server without GPU."
    rows = [SUMMARY[name](record) for name, record in used.items()]
    links = [[what, found, f"[{page}](docs/results/{page}.md)"] for what, found, page in rows]
    text = f"{head} Each link has the command.\n\n{table(['', '', 'how'], links)}"
    return f"{text}\n\n{told}" if missing else text
