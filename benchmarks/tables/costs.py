"""Blocks about what things cost: arithmetic, efforts, the plan of many files."""

from typing import Any

from benchmarks.tables.markdown import Block, Record, fixed, plural, table

GIB, LARGE_MPX = 1 << 30, 24
FLOAT32_EXACT = 1 << 24


def arithmetic(record: Record) -> str:
    """Multiply-adds of the codec."""
    costs = record["codec"]
    return (
        f"Encoding takes {costs['encode']:.1f} thousand multiply-adds a pixel, and decoding {costs['decode']:.1f}. "
        "`semcomp models` prints the parts."
    )


def largest_sum(record: Record) -> str:
    """How far integer sums are from what float32 cannot hold."""
    return (
        f"The largest sum that the integer networks can reach is {record['largest_sum'] / 1e6:.1f} million. float32 "
        f"adds integers up to {FLOAT32_EXACT / 1e6:.1f} million exactly."
    )


def sigma(record: Record) -> str:
    """The sigma path in bytes and in float32."""
    times = {name: value["median"] for name, value in record["sigma_ms"].items()}
    if "bytes" not in times:
        return f"The sigma path takes {times['float32']:.1f} ms on one thread. This processor has no products of bytes."
    return (
        f"The sigma path multiplies bytes and takes {times['bytes']:.1f} ms on one thread. With float32 it takes "
        f"{times['float32']:.1f} ms."
    )


def efforts(record: Record) -> str:
    """What the encoder does at every effort, and for how long."""
    rows = []
    for row in record["times"]:
        first, last = row["efforts"][0], row["efforts"][-1]
        if row["rounds"]:
            what = f"It rounds again {row['rounds']} times, with the gradient of the error."
        elif row["steps"]:
            what = f"It fits the latents to the picture in {row['steps']} steps."
        elif row["weighs"]:
            what = "It weighs bits against error when it rounds. 5 is the default."
        else:
            what = "It rounds every latent to the nearest symbol."
        number = str(first) if first == last else f"{first} to {last}"
        rows.append([number, what, f"{fixed(row['seconds'], 2 if row['seconds'] < 1 else 0)} s"])
    size = "x".join(map(str, record["size"]))
    return table(["effort", "what the encoder does", f"time at {size}, one core"], rows)


def effort_memory(record: Record) -> str:
    """Time of large pictures at the highest effort, and memory."""
    slowest = record["times"][-1]
    per_megapixel = slowest["seconds"] / (record["size"][0] * record["size"][1] / 1e6)
    sizes = [_peaks(row) for row in record["memory"]]
    return (
        f"At effort {slowest['efforts'][-1]} a megapixel takes about {per_megapixel:.0f} s of one core, and "
        f"{LARGE_MPX} megapixels take about {LARGE_MPX * per_megapixel / 60:.0f} minutes. {' '.join(sizes)}"
    )


def _peaks(row: dict[str, Any]) -> str:
    megapixels = row["size"][0] * row["size"][1] / 1e6
    (default, least), *others = row["peak_bytes"].items()
    more = " and ".join(f"{peak / GIB:.1f} GiB at effort {level}" for level, peak in others)
    return (
        f"A process that encodes {megapixels:.1f} megapixels has at most {least / GIB:.1f} GiB at effort {default}, "
        f"{more}."
    )


def plan(record: Record) -> str:
    """The plan of many files."""
    return (
        f"The plan of {plural(record['files'], 'file')} takes {record['cpu_seconds']:.0f} CPU seconds and "
        f"{record['peak_bytes'] / 1e9:.1f} GB in the process that plans. It is {record['plan_bytes'] / 1e6:.1f} MB on "
        "disk."
    )


BLOCKS: dict[str, Block] = {
    "arithmetic.codec": arithmetic,
    "arithmetic.sums": largest_sum,
    "arithmetic.sigma": sigma,
    "effort_costs.table": efforts,
    "effort_costs.memory": effort_memory,
    "plan.text": plan,
}
