"""A head on latents, beside networks of equal size on decoded pictures and on originals: how right, and how fast.

For each rate the quality is sought whose files of the validation pictures have that mean; every picture is then a real
file, and every figure comes from its bytes. Times are medians over the files, from bytes to an answer, all in one run:

    latents    entropy decoding, mean path, head
    decoded    the whole decoder, then the network that was trained on decoded pictures
    decoding   the whole decoder alone

The networks to compare with are trained by heads.fit with `source: decoded` and `source: originals`.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import common
from benchmarks.common import Check, at_least
from heads.cache import to_network
from heads.data import Dataset, find_dataset, read_rgb
from heads.file import NetworkHead, full_resolution, read_head
from heads.fit import FitConfig
from heads.metrics import confusion, mean_iou
from semcomp import config as configuration
from semcomp.semantics import Labels, Segmentation, load_head


def quality_for(codec: Any, pictures: Sequence[np.ndarray], bpp: float) -> int:
    """The quality whose mean rate over the pictures is nearest to `bpp`; the analysis of each runs once."""
    from semcomp.image import from_array

    prepared = [(from_array(pixels), codec.analyse(from_array(pixels))) for pixels in pictures]

    def rate(quality: int) -> float:
        sizes = [
            8 * len(codec.pack(p, codec.quantize(y, p, quality=quality), quality=quality)) / (p.width * p.height)
            for p, y in prepared
        ]
        return float(np.mean(sizes))

    low, high = 1, 100
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if rate(middle) <= bpp else (low, middle)
    return min((low, high), key=lambda quality: abs(rate(quality) - bpp))


class Score:
    """Accumulates answers: top-1 or mean IoU, in percent."""

    def __init__(self, dataset: Dataset):
        self.dataset, self.right, self.count = dataset, 0, 0
        self.matrix = np.zeros((len(dataset.classes),) * 2, np.int64)

    def add(self, answer: Any, sample: Any) -> None:
        """`answer` is Labels, Segmentation, or logits of a network that sees pixels."""
        if self.dataset.task == "classify":
            best = answer.names[0] if isinstance(answer, Labels) else self.dataset.classes[int(answer.argmax())]
            self.right += best == self.dataset.classes[sample.target]
            self.count += 1
            return
        mask = self.dataset.mask(sample)
        label_map = answer.label_map if isinstance(answer, Segmentation) else None
        if label_map is None:
            label_map = full_resolution(answer, height=mask.shape[0], width=mask.shape[1])
        self.matrix += confusion(mask, label_map, len(self.dataset.classes))

    @property
    def percent(self) -> float:
        return round(100 * self.right / self.count if self.count else mean_iou(self.matrix), 2)


def timed(work: Callable[[], Any], seconds: list[float]) -> Any:
    """What `work` returns; its time is appended."""
    began = time.perf_counter()
    result = work()
    seconds.append(time.perf_counter() - began)
    return result


def measure(
    codec: Any, head: Any, dataset: Dataset, quality: int, decoded: NetworkHead | None, options: argparse.Namespace
) -> dict[str, Any]:
    """Scores and times at one quality."""
    scores = {"latents": Score(dataset), "decoded": Score(dataset)}
    times: dict[str, list[float]] = {"latents": [], "decoded": [], "decoding": []}
    rates = []
    samples = common.spread(dataset.val, options.limit or len(dataset.val))
    for sample in common.progress(samples, total=len(samples), label=f"quality {quality}", options=options):
        pixels = read_rgb(sample.image)
        data = codec.encode(pixels, quality=quality)
        rates.append(8 * len(data) / (pixels.shape[0] * pixels.shape[1]))
        scores["latents"].add(timed(lambda d=data: head(codec.latents(d)), times["latents"]), sample)
        picture = timed(lambda d=data: np.asarray(codec.decode(d)), times["decoding"])
        if decoded is not None:
            value = timed(lambda p=picture: answer_of(decoded, p, dataset.task), times["decoded"])
            times["decoded"][-1] += times["decoding"][-1]
            scores["decoded"].add(value, sample)
    row = {"quality": quality, "bpp": round(float(np.mean(rates)), 4), "latents": scores["latents"].percent}
    if decoded is not None:
        row["decoded"] = scores["decoded"].percent
    return {**row, "ms": {name: round(1000 * float(np.median(t)), 2) for name, t in times.items() if t}}


def answer_of(network: NetworkHead, pixels: np.ndarray, task: str) -> Any:
    """What a network answers that sees pixels (H, W, 3): logits, as far as the comparison needs them."""
    logits = network.logits(to_network(pixels[None]), 1)
    if task == "classify":
        return logits[0]
    full_resolution(logits, height=pixels.shape[0], width=pixels.shape[1])  # counts into the time, as for the head
    return logits


def on_originals(network: NetworkHead, dataset: Dataset, options: argparse.Namespace) -> float:
    """Score of a network on pictures that were never compressed."""
    score = Score(dataset)
    for sample in common.spread(dataset.val, options.limit or len(dataset.val)):
        score.add(
            network.logits(to_network(read_rgb(sample.image)[None]), 1)[
                slice(None) if dataset.task == "segment" else 0
            ],
            sample,
        )
    return score.percent


def checks_of(rows: list[dict[str, Any]], originals: float | None, task: str) -> list[Check]:
    """The limits: no worse than pixels of equal rate, near originals at the highest rate, and faster."""
    slack = 1.0 if task == "classify" else 0.0
    checks = []
    for row in rows:
        if "decoded" in row:
            name = f"at {row['bpp']:.2f} bpp, points above the network on decoded pictures"
            checks.append(at_least(name, round(row["latents"] - row["decoded"], 2), -slack, ""))
    if originals is not None and task == "segment":
        value = round(rows[-1]["latents"] - originals, 2)
        checks.append(at_least("at the highest rate, points above the network on originals", value, -3, ""))
    for row in rows:
        ms = row["ms"]
        if "decoded" in ms:
            name = f"at {row['bpp']:.2f} bpp, times faster than decoding and the network"
            checks.append(at_least(name, round(ms["decoded"] / ms["latents"], 2), 2, ""))
        name = f"at {row['bpp']:.2f} bpp, times faster than decoding alone"
        checks.append(at_least(name, round(ms["decoding"] / ms["latents"], 2), 1, ""))
    return checks


def main(arguments: list[str] | None = None) -> int:
    """The program."""
    parser = common.make_parser(
        "recognition",
        __doc__,
        "python -m benchmarks.recognition configs/head_street.yaml --decoded out/street_decoded.safetensors",
    )
    parser.add_argument("config", type=Path, help="the head's configuration: names its validation pictures")
    parser.add_argument("--head", metavar="NAME_OR_PATH", help="head to measure (default: the configuration's name)")
    parser.add_argument("--decoded", type=Path, metavar="FILE", help="network trained on decoded pictures")
    parser.add_argument("--originals", type=Path, metavar="FILE", help="network trained on originals")
    parser.add_argument("--bpp", type=float, nargs="+", default=[0.15, 0.3, 0.6], help="rates (0.15 0.3 0.6)")
    parser.add_argument("--threads", type=int, default=2, help="threads of every network (2)")
    parser.add_argument("--limit", type=int, metavar="N", help="take only N pictures")
    options = parser.parse_args(arguments)
    config = configuration.load(FitConfig, options.config)
    codec = common.load_codec(options, threads=options.threads)
    head = load_head(options.head or config.name)
    dataset = find_dataset(config.task, replace(config.data, hold_out=None))
    decoded = read_head(options.decoded) if options.decoded else None
    some = [read_rgb(sample.image) for sample in common.spread(dataset.val, 24)]
    with torch.inference_mode():
        head(codec.latents(codec.encode(some[0])))  # the first run of a network is a slow one
        rows = [measure(codec, head, dataset, quality_for(codec, some, bpp), decoded, options) for bpp in options.bpp]
        originals = on_originals(read_head(options.originals), dataset, options) if options.originals else None
    figure = "top-1" if config.task == "classify" else "mIoU"
    lines = [f"{len(dataset.val)} pictures; {figure} in %, ms from bytes to answer on {options.threads} threads", ""]
    lines.append(f"{'bpp':>6}{'quality':>9}{'latents':>9}{'decoded':>9}{'ms':>9}{'decoded':>9}{'decoding':>10}")
    for row in rows:
        ms = row["ms"]
        lines.append(
            f"{row['bpp']:6.3f}{row['quality']:9d}{row['latents']:9.2f}{row.get('decoded', float('nan')):9.2f}"
            f"{ms['latents']:9.1f}{ms.get('decoded', float('nan')):9.1f}{ms['decoding']:10.1f}"
        )
    if originals is not None:
        lines.append(f"originals: {originals:.2f}")
    result = {"head": head.name, "pictures": len(dataset.val), "figure": figure, "rows": rows, "originals": originals}
    return common.finish(
        "recognition", options, result=result, checks=checks_of(rows, originals, config.task), table="\n".join(lines)
    )


if __name__ == "__main__":
    sys.exit(common.guarded(main))
