"""Blocks about many files: what a file costs, engines, kills, the service."""

from collections.abc import Mapping
from typing import Any

from benchmarks.tables.markdown import Block, Record, plural, signed, table

VERBS = {
    "info": "`info`",
    "embed": "`embed`",
    "classify": "`classify` (imagenette)",
    "segment": "`segment` (street)",
    "encode": "`encode`",
    "decode": "`decode` (to PNG)",
}
CORE_HOUR, GB_MONTH, READ, WRITE = 0.04, 0.023, 0.0004 / 1000, 0.005 / 1000
"""Prices in dollars."""
LARGE_MPX = 12
CORES, CLUSTER = 8, 1000
"""Cores of one machine, and of a cluster, in what is computed on paper."""
SHARD = 1000


def verbs(record: Record) -> str:
    """Processor time and bytes of every verb."""
    found = record["verbs"]
    first = next(iter(found.values()))
    rows = []
    for name, label in VERBS.items():
        row = found[name]
        ms = row["cpu_ms_per_file"]
        files = 1000 / ms
        shown = f"{round(files, -2):,.0f}" if files > 1000 else f"{files:.0f}"
        read = f"{round(row['read_bytes_per_file'], -2):,.0f}"
        times = [f"{ms:.2f}" if ms < 1 else f"{ms:.1f}", shown]
        rows.append([label, *times, read, f"{row['parquet_bytes_per_file']:,.0f}"])
    sizes = [found[verb]["read_bytes_per_file"] / 1000 for verb in ("encode", "info")]
    starts = [row["process_cpu_seconds"] - row["files"] * row["cpu_ms_per_file"] / 1000 for row in found.values()]
    head = (
        f"{plural(first['files'], 'photo')} of {first['megapixels']:.3f} megapixels (mean), at quality 40: "
        f"{sizes[0]:.0f} KB "
        f"as PNG, {sizes[1]:.1f} KB as `.semc`. One thread; reading, the network and the row\nare counted, starting "
        "is not. A "
        f"process takes up to {max(starts):.1f} CPU seconds to start and to load its weights.\n\n"
    )
    header = ["verb", "CPU ms a file", "files a second and core", "bytes read", "bytes of Parquet"]
    return head + table(header, rows)


def costs(record: Record) -> str:
    """Core-hours, bytes and dollars for a million and a billion photos, computed from the table of verbs."""
    found = record["verbs"]
    scale = LARGE_MPX / next(iter(found.values()))["megapixels"]
    cases = ((1e6, 1.0), (1e9, 1.0), (1e9, scale))
    rows = []
    for verb in ("encode", "classify", "embed", "info"):
        cells = []
        for count, larger in cases:
            hours = count * found[verb]["cpu_ms_per_file"] / 3.6e6 * (1.0 if verb == "info" else larger)
            cells.append(f"{_three(hours)} ({_dollars(hours * CORE_HOUR)})")
        rows.append([f"`{verb}`, core-hours", *cells])
    sizes = [count * found["info"]["read_bytes_per_file"] * larger for count, larger in cases]
    rows.append(["`.semc` files, a month", *(f"{_bytes(size)} ({_dollars(size / 1e9 * GB_MONTH)})" for size in sizes)])
    for label, verb in (("labels", "classify"), ("vectors", "embed")):
        row = [_bytes(count * found[verb]["parquet_bytes_per_file"]) for count, _ in cases]
        rows.append([f"{label} in Parquet", *row])
    rows.append(["reads of single files", *(_dollars(count * READ) for count, _ in cases)])
    rows.append(["writes of single files", *(_dollars(count * WRITE) for count, _ in cases)])
    shards = [_dollars(count / SHARD * (READ + WRITE)) for count, _ in cases]
    rows.append([f"reads and writes of shards of {SHARD:,}", *shards])
    prices = (
        f"A core-hour is taken as ${CORE_HOUR:.2f}, a gigabyte in an object store as ${GB_MONTH} a month, 1,000 reads "
        f"as ${1000 * READ:.4f} and 1,000 writes as\n${1000 * WRITE:.3f}. Work grows with the pixels: photos of "
        f"{LARGE_MPX} megapixels cost {scale:.0f} times as much."
    )
    mpx = next(iter(found.values()))["megapixels"]
    columns = (f"10^6 of {mpx:.1f} Mpx", f"10^9 of {mpx:.1f} Mpx", f"10^9 of {LARGE_MPX} Mpx")
    return f"{prices}\n\n{table(['', *columns], rows)}"


def bounds(record: Record) -> str:
    """What bounds runs of a million to a billion photos."""
    found = record["verbs"]
    ms = {verb: row["cpu_ms_per_file"] for verb, row in found.items()}
    hours = {verb: 1e6 * ms[verb] / 3.6e6 / CORES for verb in ("encode", "classify")}
    # Megabytes a second that one core reads.
    read = {verb: found[verb]["read_bytes_per_file"] / ms[verb] / 1000 for verb in ("encode", "classify", "info")}
    many = 1e8 * ms["encode"] / 3.6e6 / CLUSTER
    photos = 1e9
    singles = (_dollars(photos * READ), _dollars(photos * WRITE))
    return (
        f"- **10^6.** The networks. {CORES} cores encode in {hours['encode']:.1f} hours and classify in "
        f"{hours['classify']:.1f}. One machine and the pool are enough.\n"
        f"- **10^7 to 10^8.** Still the networks, on a Ray cluster: a core that classifies reads "
        f"{read['classify']:.2f} MB a second, one that encodes {read['encode']:.1f} MB. {CLUSTER:,} cores encode 10^8 "
        f"in {many:.1f} hours\n  and read {read['encode'] * CLUSTER / 1000:.1f} GB a second, which one bucket serves "
        "from many prefixes. Start one run for each million files, each with a folder of its own, because a plan is "
        "held in memory.\n"
        f"- **10^9.** Requests cost as much as the work: 10^9 small files are {singles[0]} to read once and "
        f"{singles[1]} to write. Keep `.semc` files in shards of {SHARD:,} (`--shards`), and requests cost\n"
        f"  {_dollars(photos / SHARD * (READ + WRITE))}. Ask stored labels first (`info`): that is bound by reading, "
        f"{read['info']:.0f} MB a second and core.\n"
        f"- **Entropy decoding** is what `embed` does beside a mean: {ms['embed']:.0f} ms, {_share(ms)} of what "
        "`classify` takes. A head that learns on vectors instead of latents costs no\n  network at all once the "
        "vectors are stored."
    )


def _share(ms: Mapping[str, float]) -> str:
    return f"{100 * ms['embed'] / ms['classify']:.0f} %"


def _three(value: float) -> str:
    """Three significant digits."""
    return f"{float(f'{value:.3g}'):,.10g}"


def _dollars(value: float) -> str:
    if value < 10:
        return "below $0.01" if value < 0.005 else f"${value:.2f}"
    return f"${float(f'{value:.2g}'):,.10g}"


def _bytes(count: float) -> str:
    unit, size = ("TB", 1e12) if count >= 1e12 else ("GB", 1e9)
    return f"{float(f'{count / size:.3g}'):,.10g} {unit}"


def killed(record: Record) -> str:
    """Rows after two kills."""
    runs = record["killed"]
    rows = [
        ["rows lost", *(f"{run['lost']:,}" for run in runs.values())],
        ["rows that came twice", *(f"{run['doubled']:,}" for run in runs.values())],
        ["files that were left for the last run", *(f"{run['done_in_the_last_run']:,}" for run in runs.values())],
    ]
    head = f"{record['files']:,} files, `{record['verb']}`, blocks of {record['block']:,}:\n\n"
    return head + table(["", *(_engine(name) for name in runs)], rows)


def _engine(name: str) -> str:
    return {"processes": "pool", "ray": "Ray"}.get(name, name)


def engines(record: Record) -> str:
    """Pool and Ray beside each other."""
    runs: Mapping[str, Mapping[str, Any]] = record["engines"]
    pool = runs["processes"]
    rows = []
    for label, key, form in (
        ("seconds in all", "seconds", "{:,.1f}"),
        ("files a second after the start", "steady_files_per_second", "{:,.0f}"),
        ("CPU seconds before the first block is done", "cpu_seconds_to_first_block", "{:.1f}"),
        ("CPU ms a file after the start", "steady_cpu_ms_per_file", "{:.2f}"),
        ("largest worker after the first block, MiB", "worker_mib_first", "{:,.0f}"),
        ("largest worker after the last block, MiB", "worker_mib_last", "{:,.0f}"),
        ("all processes, shared memory counted in each, MiB", "all_processes_mib", "{:,.0f}"),
    ):
        cells = []
        for run in runs.values():
            text = form.format(run[key])
            if run is not pool and "after the start" in label:
                text += f" ({signed(100 * (run[key] / pool[key] - 1))} %)"
            cells.append(text)
        rows.append([label, *cells])
    head = f"{record['files']:,} files, `{record['verb']}`, blocks of {record['block']:,}, one run each:\n\n"
    return head + table(["", *(_engine(name) for name in runs)], rows)


def growth(record: Record) -> str:
    """How much a worker grows in a run, and what starting Ray costs."""
    runs: Mapping[str, Mapping[str, Any]] = record["engines"]
    grown = [
        f"{run['worker_mib_last'] - run['worker_mib_first']:.0f} MiB ({_engine(name)})" for name, run in runs.items()
    ]
    text = f"- Over {record['files']:,} files, a worker grows by {' and '.join(grown)}."
    if "ray" in runs:
        more = runs["ray"]["cpu_seconds_to_first_block"] - runs["processes"]["cpu_seconds_to_first_block"]
        word = "more" if more > 0 else "less"
        text += f"\n- Starting Ray takes {abs(more):.0f} CPU seconds {word} than starting the pool."
    return text


def workers(record: Record) -> str:
    """One worker and two."""
    one, two = (record["workers"][count]["files_per_second"] for count in ("1", "2"))
    return (
        f"Two workers of the pool do {two:.0f} files a second and one does {one:.0f}, start included: "
        f"{two / one:.2f} times as "
        "many (at least 1.8 was the goal)."
    )


def service(record: Record) -> str:
    """The service under load."""
    return (
        f"{record['clients']} clients posted a photo of 576x576 pixels {record['requests']} times. "
        f"{record['answered']} were "
        f"answered with a file at {record['cpu_ms_per_answer']:.0f}\nCPU ms each, {record['sent_away']} were sent "
        "away with "
        f"503, and {record['other'] or 'none'} failed. Memory was {record['mib_idle']:.0f} MiB idle, "
        f"{record['mib_after_a_fifth']:.0f} MiB after a fifth of the requests and {record['mib_at_the_end']:.0f} MiB "
        "at the end."
    )


BLOCKS: dict[str, Block] = {
    "scale_verbs.table": verbs,
    "scale_verbs.costs": costs,
    "scale_verbs.bounds": bounds,
    "scale_killed.table": killed,
    "scale_killed.engines": engines,
    "scale_killed.growth": growth,
    "scale_engines.engines": engines,
    "scale_workers.text": workers,
    "service.text": service,
}
