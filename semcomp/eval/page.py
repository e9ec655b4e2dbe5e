"""The report of `semcomp eval`: one HTML page that holds its images and its style."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from semcomp.errors import MissingExtraError
from semcomp.eval.compare import data_url
from semcomp.eval.plot import Chart, draw
from semcomp.eval.published import published
from semcomp.eval.run import Row
from semcomp.eval.summary import Result, in_words
from semcomp.eval.worst import AMPLIFIED

Worst = Mapping[str, Sequence[tuple[str, float]]]


def report_page(result: Result, *, title: str, command: str, worst: Worst, shown: Mapping[str, Row]) -> str:
    """The page as HTML.

    Args:
        result: What `summarise` returned.
        title: Title of the page.
        command: The command line that measured the result.
        worst: The worst pictures of each codec, with their loss in dB.
        shown: What `worst.show` made of these pictures.
    """
    parts = [*_head(result, title, command), *_figures(result, command), *_tables(result), *_published(result)]
    for name, ranked in worst.items():
        parts += _worst(result, name, ranked, shown)
    template = Path(__file__).with_name("report.html").read_text(encoding="utf-8")
    return template.replace("__TITLE__", escape(title)).replace("__CONTENT__", "\n".join(parts))


def chart(result: Result, metric: str, *, footer: str = "") -> Chart:
    """The chart of one metric of a result."""
    facts = {name: codec for name, codec in result["codecs"].items() if "curve" in codec}
    anchor = result["codecs"].get(result["anchor"], {}).get("label", "")
    bd = {facts[name]["label"]: {anchor: value} for name, value in result["bd_rate"].get(metric, {}).items()}
    brackets = f"; in brackets, bytes at equal quality against {anchor}" if bd else ""
    kodak = result["kodak"] and metric == "psnr_db"
    return Chart(
        curves={codec["label"]: codec["curve"] for codec in facts.values()},
        bd=bd,
        metric=metric,
        anchor=anchor,
        title=f"Mean over {result['pictures']} pictures{brackets}",
        footer=footer,
        published=published()["curves"] if kodak else {},
    )


def _head(result: Result, title: str, command: str) -> Iterable[str]:
    size, pixels = result["file_bytes"], result["pixels"]
    yield f"<h1>{escape(title)}</h1>"
    yield f'<p class="soft">{escape(command)} · {result["date"]}</p>'
    bpp = f", {8 * size / pixels:.2f} bits per pixel" if pixels else ""
    yield f"<p>{result['pictures']} pictures, {pixels / 1e6:.1f} megapixels; as they are, {size:,} bytes{bpp}.</p>"
    for name in result["bd_rate"].get("psnr_db", {}):
        yield f"<p>{escape(result['codecs'][name]['label'])}: {escape(in_words(result, name))}.</p>"
    for note in result["notes"]:
        yield f'<p class="soft">{escape(note)}.</p>'
    for failure in result["failures"]:
        text = f"{failure['picture']}, {failure['codec']}: {failure['message']}"
        yield f'<p class="bad">{escape(text)}</p>'
    for check in result.get("thresholds", ()):
        verdict = "holds" if check["passed"] else "does not hold"
        text = f"{check['name']}: {check['value']}, limit {check['limit']:g}: {verdict}"
        yield f'<p class="{"" if check["passed"] else "bad"}">{escape(text)}</p>'


def _figures(result: Result, command: str) -> Iterable[str]:
    for metric in result["metrics"]:
        file = io.BytesIO()
        try:
            draw(chart(result, metric), file, format="svg")
        except MissingExtraError as error:
            yield f'<p class="soft">No plot: {escape(str(error))}</p>'
            return
        url = data_url(file.getvalue(), "image/svg+xml")
        yield f'<h2>{metric.replace("_", " ")}</h2><img class="plot" alt="{metric} over bits per pixel" src="{url}">'
        yield f'<p class="soft">{escape(command)}, {result["date"]}</p>'


def _tables(result: Result) -> Iterable[str]:
    yield "<h2>Codecs</h2>"
    yield '<p class="soft">Times of one picture in ms: median (quartiles). Memory: peak of a process that codes the '
    yield "largest picture, and what the process held before.</p>"
    yield _table(
        ("codec", "encode", "decode", "Mpx/s in", "Mpx/s out", "peak MiB", "before MiB", "version"),
        [_speed(codec) for codec in result["codecs"].values()],
    )
    for codec in result["codecs"].values():
        if curve := codec.get("curve"):
            yield f"<h3>{escape(codec['label'])}</h3>"
            keys = [key for key in curve if key not in ("encode_s", "decode_s")]
            rows = [[key, *(_plain(value) for value in curve[key])] for key in keys if key != "setting"]
            yield _table((codec["unit"], *map(str, curve["setting"])), rows)


def _speed(codec: Mapping[str, Any]) -> list[str]:
    def time(direction: str) -> str:
        value = codec.get(f"{direction}_ms")
        return f"{value['median']:.1f} ({value['low']:.1f} .. {value['high']:.1f})" if value else "-"

    def mebibytes(key: str) -> str:
        value = codec.get("memory_bytes", {}).get(key)
        return f"{value / 2**20:.0f}" if value else "-"

    rates = [_plain(codec.get(f"{direction}_mpx_s")) for direction in ("encode", "decode")]
    return [
        codec["label"],
        time("encode"),
        time("decode"),
        *rates,
        mebibytes("peak"),
        mebibytes("before"),
        codec["version"],
    ]


def _published(result: Result) -> Iterable[str]:
    """The table of published results, with a line for this run."""
    ours = result["bd_rate"].get("psnr_db", {}).get("semcomp")
    if ours is None or result["anchor"] != "jpeg":
        return
    yield "<h2>Published results on Kodak</h2>"
    where = "on the same pictures" if result["kodak"] else "on these pictures: other pictures, so compare with care"
    yield f'<p class="soft">semcomp was measured {where}. {escape(published()["table_source"])}.</p>'
    rows: list[tuple[float, list[str]]] = [(ours, ["semcomp (measured here)", f"{ours:+.1f}", ""])]
    for one in published()["table"]:
        cost = ", ".join(f"{value:g}" for value in one["kmac_per_px"] or ())
        rows.append((one["bd_rate_vs_jpeg"], [one["name"], f"{one['bd_rate_vs_jpeg']:+d}", cost]))
    ranked = [row for _, row in sorted(rows, key=lambda item: -item[0])]
    yield _table(("codec", "BD-rate vs JPEG, %", "kMAC/px encode, decode"), ranked)


def _worst(result: Result, name: str, ranked: Sequence[tuple[str, float]], shown: Mapping[str, Row]) -> Iterable[str]:
    label = result["codecs"][name]["label"]
    alone = sum("curve" in codec for codec in result["codecs"].values()) == 1
    yield f"<details><summary>The pictures with the largest loss for {escape(label)}</summary>"
    yield f'<p class="soft">All codecs at equal bytes. Differences are {AMPLIFIED} times larger; brighter is worse.</p>'
    for picture, loss in ranked:
        row = shown.get(picture)
        if row is None or name not in row["views"]:
            continue
        view = row["views"][name]
        what = "" if alone else f": {loss:.2f} dB below the best of the others"
        yield f"<h3>{escape(Path(picture).name)}{what}</h3>"
        yield f'<div class="row"><figure><img alt="original" src="{view["original"]}">'
        yield "<figcaption>original</figcaption></figure>"
        for other, images in view["codecs"].items():
            entry = row["codecs"][other]
            caption = f"{entry['label']}<br>{entry['bytes']:,} B, {_plain(entry['psnr_db'])} dB<br>{entry['setting']}"
            yield f'<figure><img alt="{escape(entry["label"])}" src="{images["shown"]}">'
            yield f'<img alt="difference" src="{images["difference"]}"><figcaption>{caption}</figcaption></figure>'
        yield "</div>"
    yield "</details>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = "".join(f"<th>{escape(text)}</th>" for text in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{cells}</tr>{body}</table></div>'


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
