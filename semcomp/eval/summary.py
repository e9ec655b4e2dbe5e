"""Turns rows into a result with means, BD-rates, times and thresholds, and prints it as a table or as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from semcomp.eval.codecs import Coder
from semcomp.eval.curves import BD_RANGE_DB, mean_curve, saving
from semcomp.eval.measure import METRICS
from semcomp.eval.published import is_kodak
from semcomp.eval.run import EvalPlan, Row

LOSSY = (".jpg", ".jpeg", ".avif", ".heic", ".heif")
Result = dict[str, Any]


def summarise(
    plan: EvalPlan,
    rows: Sequence[Row],
    coders: Mapping[str, Coder],
    *,
    anchor: str,
    limits: tuple[float, float] = BD_RANGE_DB,
    memory: Mapping[str, Mapping[str, Any]] | None = None,
) -> Result:
    """Summarise the rows of a run.

    Args:
        plan: What was measured.
        rows: What `run` returned.
        coders: The codecs by name.
        anchor: Name of the codec that BD-rates compare with.
        limits: Range of PSNR of the BD-rates in dB.
        memory: Peak memory by codec.

    Returns:
        Plain JSON values. Means are over the pictures that every codec could encode.
    """
    by_codec: dict[str, dict[str, Row]] = {name: {} for name in coders}
    for row in rows:
        if "points" in row:
            by_codec[row["codec"]][row["picture"]] = row
    full = [name for name, coder in coders.items() if not coder.speed_only]
    pictures = [str(path) for path in plan.paths if all(str(path) in by_codec[name] for name in full)]
    first = [by_codec[full[0]][picture] for picture in pictures] if full else []
    codecs = {
        name: _of_codec(coder, by_codec[name], pictures, (memory or {}).get(name)) for name, coder in coders.items()
    }
    keys = [METRICS[metric] for metric in plan.metrics]
    bd, notes = _bd_rates(codecs, [name for name in full if "curve" in codecs[name]], anchor, keys, limits)
    notes += _cautions(plan, pictures, codecs, compared=bool(bd))
    return {
        "command": "eval",
        "date": date.today().isoformat(),
        "pictures": len(pictures),
        "pixels": sum(row["width"] * row["height"] for row in first),
        "file_bytes": sum(row["file_bytes"] for row in first),
        "metrics": keys,
        "anchor": anchor,
        "bd_range_db": list(limits),
        "threads": plan.share,
        "kodak": is_kodak([(Path(row["picture"]).name, row["width"], row["height"]) for row in first]),
        "codecs": codecs,
        "bd_rate": bd,
        "notes": notes,
        "failures": [
            {key: row[key] for key in ("picture", "codec", "error", "message")} for row in rows if "error" in row
        ],
    }


def _cautions(plan: EvalPlan, pictures: Sequence[str], codecs: Mapping[str, Any], *, compared: bool) -> Iterator[str]:
    """What a reader of the figures has to know."""
    if lossy := sum(Path(picture).suffix.lower() in LOSSY for picture in pictures):
        yield f"{lossy} of {len(pictures)} pictures were compressed before: every codec codes those artefacts"
    rough = [facts["label"] for facts in codecs.values() if len(facts.get("curve", {}).get("bpp", range(4))) < 4]
    if rough and compared:
        yield f"BD-rates are rough where a codec has fewer than four settings: {', '.join(rough)}"
    if plan.jobs > 1:
        yield f"times were taken with {plan.jobs} processes side by side: for times alone, use -j 1"


def _of_codec(
    coder: Coder, rows: Mapping[str, Row], pictures: Sequence[str], memory: Mapping[str, Any] | None
) -> dict[str, Any]:
    chosen = list(rows.values()) if coder.speed_only else [rows[picture] for picture in pictures]
    facts: dict[str, Any] = {"label": coder.label, "version": coder.version, "unit": coder.unit}
    facts["speed_only"] = coder.speed_only
    if not chosen:
        return facts
    for direction in ("encode", "decode"):
        seconds = [point[f"{direction}_s"] for row in chosen for point in row["points"]]
        pixels = sum(row["width"] * row["height"] * len(row["points"]) for row in chosen)
        low, median, high = (round(1000 * float(q), 3) for q in np.quantile(seconds, (0.25, 0.5, 0.75)))
        facts[f"{direction}_ms"] = {"median": median, "low": low, "high": high}
        facts[f"{direction}_mpx_s"] = round(pixels / 1e6 / max(sum(seconds), 1e-9), 3)
    if memory:
        facts["memory_bytes"] = dict(memory)
    if not coder.speed_only:
        facts["curve"] = mean_curve([row["points"] for row in chosen])
    return facts


def _bd_rates(
    codecs: Mapping[str, Any], names: Sequence[str], anchor: str, keys: Sequence[str], limits: tuple[float, float]
) -> tuple[dict[str, dict[str, float | None]], list[str]]:
    """BD-rates in percent by metric and codec, and notes on those that cannot be computed, which are None."""
    found: dict[str, dict[str, float | None]] = {}
    notes: list[str] = []
    for key in keys if anchor in names else ():
        found[key] = {}
        for name in names:
            if name == anchor:
                continue
            try:
                found[key][name] = saving(
                    codecs[anchor]["curve"],
                    codecs[name]["curve"],
                    metric=key,
                    limits=limits if key == "psnr_db" else None,
                )
            except ValueError as error:
                found[key][name] = None
                notes.append(f"no BD-rate of {codecs[name]['label']} by {key}: {error}")
    return found, notes


def thresholds(
    result: Result, *, subject: str, min_psnr: float | None, max_bpp: float | None, max_bd_rate: float | None
) -> list[dict[str, Any]]:
    """Check the limits that the command line was given.

    Args:
        result: What `summarise` returned.
        subject: Name of the codec.
        min_psnr: Least mean PSNR in dB over all settings.
        max_bpp: Largest mean bits per pixel over all settings.
        max_bd_rate: Largest BD-rate against the anchor in percent.

    Returns:
        One entry per limit: name, value, limit, and whether it is met. A value that was not measured is not.
    """
    curve = result["codecs"][subject].get("curve", {})
    checks = []
    if min_psnr is not None:
        value = _worst(curve, "psnr_db", min)
        checks.append(_check("least mean PSNR, dB", value, min_psnr, value is not None and value >= min_psnr))
    if max_bpp is not None:
        value = _worst(curve, "bpp", max)
        checks.append(_check("largest mean bpp", value, max_bpp, value is not None and value <= max_bpp))
    if max_bd_rate is not None:
        value = result["bd_rate"].get("psnr_db", {}).get(subject)
        name = f"BD-rate against {result['codecs'][result['anchor']]['label']}, %"
        checks.append(_check(name, value, max_bd_rate, value is not None and value <= max_bd_rate))
    return checks


def _worst(curve: Mapping[str, Any], key: str, worst: Callable[[Sequence[float]], float]) -> float | None:
    """The worst value of a figure over all settings. None where one was not measured."""
    values = curve.get(key) or [None]
    return None if None in values else worst(values)


def _check(name: str, value: float | None, limit: float, passed: bool) -> dict[str, Any]:
    return {"name": name, "value": value, "limit": limit, "passed": passed}


def table(result: Result) -> str:
    """The result as a table for a terminal."""
    megapixels, size = result["pixels"] / 1e6, result["file_bytes"]
    lines = [f"{result['pictures']} pictures, {megapixels:.1f} megapixels, {size:,} B as they are"]
    lines.append("Figures are means over the pictures. Times are medians of one picture, in ms.")
    for name, facts in result["codecs"].items():
        lines += ["", f"{facts['label']}  ({facts['version']})"]
        for key, values in facts.get("curve", {}).items():
            if key not in ("bytes", "encode_s", "decode_s"):
                lines.append(f"  {key:<9}" + "".join(f"{_number(key, value):>9}" for value in values))
        if "encode_ms" in facts:
            encode, decode = facts["encode_ms"]["median"], facts["decode_ms"]["median"]
            memory = facts.get("memory_bytes", {}).get("peak")
            held = f", peak memory {memory / 2**20:.0f} MiB" if memory else ""
            lines.append(f"  encode {encode:.1f} ms, decode {decode:.1f} ms{held}")
        if "psnr_db" in result["bd_rate"] and name in result["bd_rate"]["psnr_db"]:
            lines.append("  " + in_words(result, name))
    for note in result["notes"]:
        lines += ["", note]
    for check in result.get("thresholds", ()):
        value = "not measured" if check["value"] is None else f"{check['value']:g}"
        lines.append(f"{'ok  ' if check['passed'] else 'FAIL'}  {check['name']}: {value} (limit {check['limit']:g})")
    return "\n".join(lines)


def in_words(result: Result, name: str) -> str:
    """A sentence on the bytes that one codec saves against the anchor."""
    value, anchor = result["bd_rate"]["psnr_db"][name], result["codecs"][result["anchor"]]["label"]
    if value is None:
        return f"cannot be compared with {anchor}"
    low, high = result["bd_range_db"]
    much = f"{abs(value):.1f} % {'smaller' if value < 0 else 'larger'}"
    return f"files {much} than {anchor}'s at equal PSNR ({low:g} to {high:g} dB)"


def _number(key: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if key == "setting" else f"{value:.2f}" if key == "psnr_db" else f"{value:.4f}"


def to_csv(rows: Sequence[Row], metrics: Sequence[str]) -> str:
    """The rows as CSV, one line per picture, codec and setting."""
    text = io.StringIO()
    keys = ["setting", "bytes", "bpp", *metrics, "encode_s", "decode_s"]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["picture", "width", "height", "codec", *keys])
    for row in rows:
        for point in row.get("points", ()):
            values = [point.get(key) for key in keys]
            writer.writerow([row["picture"], row["width"], row["height"], row["codec"], *values])
    return text.getvalue()
