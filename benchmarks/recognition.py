"""A head on latents, beside networks of equal size on decoded pictures and on originals: how right, and how fast.

The ways of heads/evaluate.py are measured in one run, and held against limits. The networks to compare with are
trained by heads.fit with `source: decoded` and `source: originals`. With --codecs, the network on decoded pictures also
sees what those codecs decode from files of equal bytes.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks import common
from benchmarks.common import Check, at_least
from benchmarks.weights_ids import weights_ids
from heads.datasets import read_rgb
from heads.evaluate import measure, on_originals, quality_for
from heads.find_dataset import find_dataset
from heads.fit_config import FitConfig
from heads.head_file import NetworkHead, read_head
from heads.layers import count
from semcomp import config as configuration
from semcomp.eval.codecs import find
from semcomp.semantics.head import load_head


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


def costs_of(head: Any, network: Any) -> dict[str, float]:
    """Thousands of multiply-adds a pixel: the head from latents to its answer, the network from pixels."""
    known: dict[str, tuple[Any, str]] = {"head": (head, "latents"), "network": (network, "pixels")}
    return {
        name: round(count(one.network, source=source, latents=one.network.config.latents)["kmac_per_px"], 2)
        for name, (one, source) in known.items()
        if isinstance(one, NetworkHead)
    }


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
    parser.add_argument("--codecs", nargs="*", default=[], metavar="NAME", help="other codecs for that network (none)")
    parser.add_argument("--bpp", type=float, nargs="+", default=[0.15, 0.3, 0.6], help="rates (0.15 0.3 0.6)")
    parser.add_argument("--threads", type=int, default=2, help="threads of every network (2)")
    parser.add_argument("--limit", type=int, metavar="N", help="take only N pictures")
    options = parser.parse_args(arguments)
    config = configuration.load(FitConfig, options.config)
    codec = common.load_codec(options, threads=options.threads)
    head = load_head(options.head or config.name)
    dataset = find_dataset(config.task, replace(config.data, hold_out=None))
    decoded, reference = (read_head(file) if file else None for file in (options.decoded, options.originals))
    samples = common.spread(dataset.val, options.limit or len(dataset.val))
    some = [read_rgb(sample.image) for sample in common.spread(dataset.val, 24)]
    more: dict[str, Any] = {"network": decoded, "rivals": [find(name) for name in options.codecs]}
    more["quiet"] = options.quiet or not sys.stderr.isatty()
    with torch.inference_mode():
        head(codec.latents(codec.encode(some[0])))  # the first run of a network is a slow one
        rows = [
            measure(codec, head, dataset, samples, quality=quality_for(codec, some, bpp), **more) for bpp in options.bpp
        ]
        originals = on_originals(reference, dataset, samples) if reference else None
    figure = "top-1" if config.task == "classify" else "mIoU"
    lines = [f"{len(samples)} pictures; {figure} in %, ms from bytes to answer on {options.threads} threads", ""]
    lines.append(f"{'bpp':>6}{'quality':>9}{'latents':>9}{'decoded':>9}{'ms':>9}{'decoded':>9}{'decoding':>10}")
    for row in rows:
        ms = row["ms"]
        lines.append(
            f"{row['bpp']:6.3f}{row['quality']:9d}{row['latents']:9.2f}{row.get('decoded', float('nan')):9.2f}"
            f"{ms['latents']:9.1f}{ms.get('decoded', float('nan')):9.1f}{ms['decoding']:10.1f}"
        )
    if originals is not None:
        lines.append(f"originals: {originals:.2f}")
    result = {"head": head.name, "pictures": len(samples), "figure": figure, "rows": rows, "originals": originals}
    result |= {"threads": options.threads, "kmac_per_px": costs_of(head, decoded)}
    return common.finish(
        "recognition",
        options,
        result=result,
        checks=checks_of(rows, originals, config.task),
        table="\n".join(lines),
        weights=weights_ids([options.model, options.head or config.name]),
    )


if __name__ == "__main__":
    sys.exit(common.guarded(main))
