"""Blocks about clients without torch: exported graphs, the wheel, browsers."""

from benchmarks.tables.markdown import Block, Record, check_value, fixed, megabytes, plural, signed, table

NAMES = {"latents": "latents of a file", "chromium": "Chromium", "firefox": "Firefox"}
WHOLE = 1000
"""Every side of a photo in data/val has fewer pixels."""


def edge_symbols(record: Record) -> str:
    """Symbols of every reader."""
    wrong, readers = sum(record["differing"].values()), len(record["differing"])
    files = 2 * record["photos"] * len(record["qualities"])
    return (
        f"The library and the client each wrote {plural(record['photos'], 'photo')} at {len(record['qualities'])} "
        "qualities. "
        f"{readers} readers read all {files} files: torch, numpy, and onnxruntime on 1 and 2\nthreads at every "
        "optimisation "
        f"level, with and without constriction. **{wrong} symbols differ.**"
    )


def edge_sizes(record: Record) -> str:
    """Bytes of the graphs that a client needs."""
    small = check_value(record, "analysis, entropy and the smallest head") or 0
    synthesis = check_value(record, "synthesis") or 0
    return (
        f"Analysis, entropy path and the smallest head take {megabytes(small)} (limit 12). "
        f"The synthesis takes {megabytes(synthesis)} (limit 6)."
    )


def edge_times(record: Record) -> str:
    """Library and both exports, by threads."""
    by_threads = record["speed"]
    header, units = [""], ["threads"]
    for threads in by_threads:
        header += ["library", "float", "int8", "times as fast"]
        units += [threads] * 4
    rows = [units]
    for name in next(iter(by_threads.values())):
        row = [NAMES.get(name, name)]
        for rows_of in by_threads.values():
            one = rows_of[name]
            row += [fixed(one.get(f"{client}_ms"), 1) for client in ("library", "float", "int8")]
            row.append(fixed(max(one[key][1] for key in one if key.endswith("_times_as_fast")), 2))
        rows.append(row)
    return table(header, rows)


def edge_int8(record: Record) -> str:
    """What 8 bits cost."""
    int8 = record["int8"]
    bd = int8["bd_rate"]
    rows = [
        [
            f"`{name}`, {head['figure']}",
            f"{head['float']:.1f} %",
            f"{head['int8']:.1f} %",
            plural(head["pictures"], "image") if head.get("pictures") else "",
        ]
        for name, head in int8["heads"].items()
    ]
    text = (
        f"int8 costs {bd['int8']:.2f} % of BD-rate on {plural(int8['photos'], 'photo')} (encoder "
        f"{signed(bd['int8 encoder'], 2)}, "
        f"decoder {signed(bd['int8 decoder'], 2)}). What heads find changes little:\n\n"
        f"{table(['head', 'float', 'int8', 'measured on'], rows)}"
    )
    sizes = int8["bytes"]
    return f"{text}\n\nAll graphs take {megabytes(sizes['int8'])} instead of {megabytes(sizes['float'])}."


def edge_graphs(record: Record) -> str:
    """Bytes of the graphs in float16 and in 8 bits, and what 8 bits change."""
    int8 = record["int8"]
    bd = {"analysis": "int8 encoder", "synthesis": "int8 decoder"}
    rows = []
    for name, sizes in int8["graphs"].items():
        if sizes[0] == sizes[1]:
            continue
        changed = f"BD-rate {signed(int8['bd_rate'][bd[name]], 2)} %" if name in bd else ""
        if head := int8["heads"].get(name.removeprefix("head_")):
            changed = f"{head['figure']} {head['int8']:.1f} % instead of {head['float']:.1f} %"
        rows.append([f"`{name}`", *(f"{size / 1e6:.2f} MB" for size in sizes), changed])
    measured = sorted({head["pictures"] for head in int8["heads"].values()})
    asked = f", and heads were asked about {measured[-1]:,} images or fewer" if measured else ""
    return (
        f"{table(['graph', 'float16', 'int8', 'what int8 changes'], rows)}\n\n"
        f"BD-rate was measured on {plural(int8['photos'], 'photo')}{asked}."
    )


def wheel_graphs(record: Record) -> str:
    """The largest graphs inside the wheel."""
    rows = [[f"`{name}`", megabytes(size)] for name, size in sorted(record["graphs"].items(), key=lambda one: -one[1])]
    return table(["graph in the wheel", "bytes, compressed"], [row for row in rows if row[1] != "0.0 MB"])


def edge_answers(record: Record) -> str:
    """Answers of graphs in 8 bits beside the library's."""
    rows = []
    for name, head in record["int8"]["heads"].items():
        apart = f"{head['apart']:.3f}, at most {head['most_apart']:.3f}" if "apart" in head else ""
        same = f"{head['same']:.1f} % of {'first labels' if apart else 'pixels'}"
        rows.append([f"`{name}`", same, apart, plural(head["pictures"], "image")])
    return (
        "The wheel's graphs compute analysis, heads and their latents in 8 bits. Their answers are near the library's, "
        "and\nnot equal to them. Both read the same files of quality 50:\n\n"
        f"{table(['head', 'the same answer', 'a score differs by (median)', 'measured on'], rows)}"
    )


def wheel_symbols(record: Record) -> str:
    """Symbols of the installed client and the library."""
    found = record["symbols"]
    more = 100 * (found["client_bytes"] / found["library_bytes"] - 1)
    return (
        f"Library and client wrote {plural(record['photos'], 'photo')} at {len(record['qualities'])} qualities, and "
        "each read "
        f"all {found['files']} files. **{found['differing']} of {found['elements']:,} elements\ndiffer.** The two "
        "encoders "
        f"chose {found['chosen_differently']:,} of them differently, which any reader reads. The sum of the client's "
        "files "
        f"is {abs(more):.2f} % {'larger' if more > 0 else 'smaller'}."
    )


def wheel_sizes(record: Record) -> str:
    """Sizes and times of the wheel."""
    rows = [
        ["wheel with the graphs of codec and heads, and thumbnails", megabytes(record["wheel_bytes"]), "30 MB"],
        ["installed, with what it depends on", f"{record['install']['bytes'] / 1e6:.0f} MB", ""],
        ["`pip install`, processor", f"{record['install']['processor_seconds']:.1f} s", "15 s"],
        [
            "`semcomp encode` of a small photo as a process, processor",
            f"{record['start']['processor_seconds']:.2f} s",
            "0.6 s",
        ],
    ]
    return table(["", "measured", "goal"], rows)


def web(record: Record) -> str:
    """Symbols and times of the page."""
    speed = record["speed"]
    wrong = sum(record["differing"].values())
    text = (
        f"Chromium {speed['browser']} ran WebAssembly {'with' if speed['simd'] else 'without'} SIMD on "
        f"{plural(speed['threads'], 'thread')}. Library and page wrote {plural(record['photos'], 'photo')} at "
        f"{len(record['qualities'])} qualities, and library, onnxruntime and page read all {record['files']} files.\n"
        f"**{wrong} symbols differ.** A photo of 768x512 encodes in {speed['encode_ms'] / 1000:.2f} s (limit 2) and "
        "decodes "
        f"in {speed['decode_ms'] / 1000:.2f} s (limit 1)."
    )
    pixels = record["large_size"][0] * record["large_size"][1]
    sizes = {"large": f"{pixels / 1e6:.0f} megapixels", "giant": "160 megapixels"}
    for name, size in sizes.items():
        if (large := record["large"].get(name)) is None:
            continue
        if large["refused"]:
            text += f"\nA photo of {size} is refused with a sentence."
        else:
            text += (
                f"\nA photo of {size} takes {large['ms'] / 1000:.0f} s and at most {large['peak_bytes'] / 1e9:.1f} GB."
            )
    return text


def browsers(record: Record) -> str:
    """Symbols of the library, the client and both browsers."""
    wrong = sum(row["differing"] for row in record["rows"])
    pairs = {(row["writer"], row["reader"]) for row in record["rows"]}
    symbols = max(row["symbols"] for row in record["rows"])
    missing = f" Left out: {', '.join(record['left_out'])}." if record["left_out"] else ""
    side, photos = record["side"], max(row["files"] for row in record["rows"]) // 5
    part = f" (the middle {side}x{side} pixels)" if side < WHOLE else ""
    return (
        f"The library and the browsers wrote {plural(photos, 'photo')} of `data/val`{part} at 5 qualities.\n"
        f"**{wrong} of {symbols / 1e6:.1f} million symbols differ** in each of the {len(pairs)} pairs of writer "
        f"and reader: {', '.join(sorted({NAMES.get(reader, reader) for _, reader in pairs}))}.{missing}"
    )


def web_size(record: Record) -> str:
    """What a page downloads to show its first file."""
    ways = list(record["sum"])
    rows = [[name, *(f"{sizes[way] / 1e6:.2f} MB" for way in ways)] for name, sizes in record["first"].items()]
    rows.append(["**sum**", *(f"**{record['sum'][way] / 1e6:.2f} MB**" for way in ways)])
    return table(["to show its first file", *ways], rows)


def web_size_more(record: Record) -> str:
    """What else a page downloads."""
    (first, size), *rest = ((name, f"{sizes['brotli'] / 1e6:.2f} MB") for name, sizes in record["more"].items())
    added = [f"{first} adds {size}", *(f"{name} {more}" for name, more in rest)]
    text = f"With brotli, {', '.join(added[:-1])} and {added[-1]}."
    if "plain" in record:
        graphs = next(sizes for name, sizes in record["first"].items() if name.startswith("graphs"))
        saved = record["plain"]["brotli"] - graphs["brotli"]
        text += f" Graphs in float16 would take {megabytes(saved)} more."
    plain = record["sum"]["stored"] / record["sum"]["brotli"]
    return f"{text} Without compression the first file costs {plain:.1f} times as much."


def compact(record: Record) -> str:
    """PSNR that coarser weights lose."""
    lost = [f"{row['plain_db'] - row['compact_db']:.3f} dB at quality {row['quality']}" for row in record["rows"]]
    return (
        f"Over the middle {record['side']}x{record['side']} pixels of {plural(record['photos'], 'photo')} of "
        "`data/val`, a "
        f"decoded picture loses {', '.join(lost[:-1])} and {lost[-1]}."
    )


BLOCKS: dict[str, Block] = {
    "edge.symbols": edge_symbols,
    "edge.sizes": edge_sizes,
    "edge.times": edge_times,
    "edge_int8.heads": edge_int8,
    "edge_int8.graphs": edge_graphs,
    "edge_answers.table": edge_answers,
    "wheels.symbols": wheel_symbols,
    "wheel_sizes.table": wheel_sizes,
    "wheel_sizes.graphs": wheel_graphs,
    "web.text": web,
    "web_size.table": web_size,
    "web_size.more": web_size_more,
    "web_symbols.text": browsers,
    "compact.text": compact,
}
