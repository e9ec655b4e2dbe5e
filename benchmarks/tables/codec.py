"""Blocks about the codec itself: rate, speed, memory, exactness, damage, effort."""

from benchmarks.tables.markdown import Block, Record, check_value, fixed, plural, signed, table

SHOWN = (1, 10, 25, 40, 50, 60, 75, 90, 100)
"""Qualities of the table, of those that were measured."""
GIB = 1 << 30


def bd_rates(record: Record) -> str:
    """BD-rate of every codec against every rival."""
    rates = record["bd_rate"]
    rivals = list(rates["semcomp"])
    rows = [
        [name, *("" if against.get(rival) is None else signed(against[rival]) for rival in rivals)]
        for name, against in rates.items()
    ]
    return f"{plural(record['photos'], 'photo')}:\n\n" + table(["", *(f"vs {rival}" for rival in rivals)], rows)


def qualities(record: Record) -> str:
    """Rate and PSNR by quality."""
    curve = record["curves"]["semcomp"]
    points = [n for n, quality in enumerate(curve["setting"]) if quality in SHOWN]
    return table(
        ["quality", *(str(curve["setting"][n]) for n in points)],
        [
            ["bpp", *(fixed(curve["bpp"][n], 3) for n in points)],
            ["PSNR, dB", *(fixed(curve["psnr_db"][n], 2) for n in points)],
        ],
    )


def rate_notes(record: Record) -> str:
    """What the files keep to."""
    worst, total = (check_value(record, f"payload against likelihood, {what}") for what in ("worst", "all"))
    beside, steps = check_value(record, "bytes besides"), check_value(record, "steps of quality")
    lines = [
        f"- The bytes of real files differ from the likelihood under the integer tables by {fixed(total, 2)} % in all, "
        f"and by {fixed(worst, 2)} % at worst.",
        f"- Everything besides the symbols takes at most {beside:.0f} bytes.",
    ]
    if steps is not None:
        name = next(check["name"] for check in record["checks"] if check["name"].startswith("steps of quality"))
        photos = name.rpartition("x ")[2]
        kept = "makes a larger file than the one before" if steps == 0 else f"but {steps:.0f} grows the file"
        lines.append(f"- Each of the 100 qualities {kept}, on {photos}.")
    return "\n".join(lines)


def speed(record: Record) -> str:
    """Times of both codecs by threads."""
    rows = []
    for one in record["measured"]:
        ms = {name: value["median"] for name, value in one["ms"].items()}
        ratio = {way: one["ratios"][way]["networks / whole"] for way in ("encode", "decode")}
        times = [f"{ms[f'{who} {way}']:.0f} ms" for who in ("semcomp", "mbt networks") for way in ("encode", "decode")]
        rows.append([str(one["threads"]), *times, fixed(ratio["encode"], 1), fixed(ratio["decode"], 1)])
    header = ["threads", "semcomp encode", "decode", "mbt2018-mean encode", "decode"]
    return table([*header, "times faster: encode", "decode"], rows)


def stages(record: Record) -> str:
    """Times of every stage on the most threads."""
    one = record["measured"][-1]
    both = one["stages_ms"]
    names = [*both["encode"], *(name for name in both["decode"] if name not in both["encode"])]
    names = [name for name in names if name != "rest"] + ["rest"]
    rows = [[way, *(fixed(of.get(name, {}).get("median"), 1) for name in names)] for way, of in both.items()]
    coding = {way: one["entropy_coding_ms"][way]["semcomp"] for way in both}
    return (
        f"The stages on {plural(one['threads'], 'thread')}, in ms:\n\n{table(['', *names], rows)}\n\n"
        f"Entropy coding takes {coding['encode']:.1f} ms (encode) and {coding['decode']:.1f} ms (decode), with its "
        "Python."
    )


def throughput(record: Record) -> str:
    """Files a second by way of running the command."""
    head = f"{plural(record['count'], 'file')}:\n\n"
    return head + table(["", "files a second"], [[way, fixed(n, 1)] for way, n in record["files_per_second"].items()])


def contention(record: Record) -> str:
    """Times alone and beside busy processes."""
    rows = [
        [
            row["setting"],
            f"`{row['target']}`",
            f"{row['alone']:.2f} s",
            f"{row['beside']:.2f} s",
            fixed(row["ratio"], 1),
        ]
        for row in record["rows"]
    ]
    return table(["setting", "target", "alone", "beside", "ratio"], rows)


def small_pictures(record: Record) -> str:
    """Two threads beside one, by size and way of waiting."""
    sizes = ["x".join(map(str, row["size"])) for row in record["small"][0]["sizes"]]
    rows = [
        [f"{one['waiting']}: {name}", *(fixed(row["times_as_fast"][name], 2) for row in one["sizes"])]
        for one in record["small"]
        for name in one["sizes"][0]["times_as_fast"]
    ]
    return table(["", *sizes], rows)


def processes(record: Record) -> str:
    """Processor time of commands."""
    times = [f"`{name}` takes {seconds:.2f} s" for name, seconds in record["processes"].items()]
    return f"As a process, {' and '.join(times)} of the processor, the import of torch included where it is needed."


def memory(record: Record) -> str:
    """Peaks of encoding and decoding."""
    encode, decode = record["encode"], record["decode"]
    return (
        f"A photo of {record['width'] * record['height'] / 1e6:.0f} megapixels takes at most "
        f"{encode['peak_bytes'] / GIB:.1f} GiB to encode ({encode['seconds']:.0f} s on "
        f"{plural(encode['threads'], 'thread')}) and {decode['peak_bytes'] / GIB:.1f} GiB to decode "
        f"({decode['seconds']:.0f} s), torch included."
    )


def exactness(record: Record) -> str:
    """Differing symbols over all arrangements."""
    files = record["photos"] * len(record["qualities"])
    control = "does differ" if record["control"] else "does not differ, so that this run proves nothing"
    return (
        f"{plural(record['photos'], 'photo')} at {len(record['qualities'])} qualities make {files} files. Each was "
        "read "
        f"under {record['arrangement_count']} arrangements: 1 and 2 threads, oneDNN on and off, NCHW and NHWC, "
        "float32, "
        f"bytes and int64, both coders. **{record['differing']} symbols differ.** The control, a path with weights "
        "that are not "
        f"integers, {control}."
    )


def damage(record: Record) -> str:
    """What hostile files did."""
    violations = record["violations"]
    count = record["mutations"] + record["truncations"]
    if violations:
        found = ", ".join(f"{number} of {kind}" for kind, number in violations.items())
        return f"{count:,} files were mutated or truncated. **Violations:** {found}."
    return (
        f"{count:,} files were mutated or truncated. Half of the mutated ones got correct checksums again.\n\n"
        "- Only errors of semcomp's own tree came out.\n"
        "- No wrong image came out without a warning.\n"
        "- No file took more than twice the time and memory of its original, plus 2 ms, 256 KiB, and what its bytes "
        "may "
        "claim. A file has at least one\n  byte for every 64x64 pixels."
    )


def effort(record: Record) -> str:
    """What every effort above 5 buys."""
    rows = [
        [
            number,
            f"{signed(row['bytes'])} %",
            f"{signed(row['db'], 2)} dB",
            f"{signed(row['bd_rate'])} %",
            f"{signed(row['worst_cost'])} %",
            f"{row['seconds']:.1f} s",
        ]
        for number, row in record["figures"].items()
        if number != "5"
    ]
    header = [
        "effort",
        "bytes",
        "PSNR",
        "BD-rate",
        "rate + lmbda * distortion, worst file",
        "time at 768x512, one core",
    ]
    return table(header, rows)


BLOCKS: dict[str, Block] = {
    "rate.bd": bd_rates,
    "rate.qualities": qualities,
    "rate.notes": rate_notes,
    "speed.times": speed,
    "speed.stages": stages,
    "throughput.table": throughput,
    "contention.table": contention,
    "small_pictures.table": small_pictures,
    "processes.text": processes,
    "memory.peaks": memory,
    "exactness.symbols": exactness,
    "fuzz.damage": damage,
    "effort.table": effort,
}
