"""What is lost by recognising from compressed files: a head on latents beside a network that sees pixels.

For each rate the quality is sought whose files of the pictures have that mean; every picture is then a real file, and
every figure comes from its bytes. Times are medians over the files, from bytes to an answer:

    latents     entropy decoding, mean path, head
    decoded     semcomp's whole decoder, then the network that sees pixels
    jpeg ...    another codec's file of the picture that is nearest in bytes, its decoder, then the same network
    originals   the same network on pictures that were never compressed
    decoding    semcomp's whole decoder alone

`semcomp eval --task` runs it.
"""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from heads.datasets import DataConfig, DataError, Dataset, Sample, read_rgb
from heads.find_dataset import find_dataset
from heads.head_file import NetworkClassifier, NetworkHead, NetworkSegmenter, TrainedHead
from heads.latent_cache import to_network
from heads.layers import count
from heads.score import Answer
from semcomp.eval.codecs import Coder, evenly, find, installed
from semcomp.eval.size import file_of_size
from semcomp.semantics.head import Head, Labels, Segmentation, head_names, load_head
from semcomp.semantics.results import VOID

PixelNetwork = TrainedHead
"""A network that sees pixels, in the form of a head."""
SEEK = 24
"""Pictures on which the quality of a rate is sought."""
FOLDER = 16
"""Pictures that one way answers in a row, as it would in a folder, before the next way has its turn."""


def timed(work: Callable[[], Any], seconds: list[float]) -> Any:
    """What `work` returns; its time is appended."""
    began = time.perf_counter()
    result = work()
    seconds.append(time.perf_counter() - began)
    return result


def quality_for(codec: Any, pictures: Sequence[NDArray[np.uint8]], bpp: float) -> int:
    """The quality whose mean rate over the pictures is nearest to `bpp`; the analysis of each runs once."""
    from semcomp.imaging.picture import from_array

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


def answer_of(network: PixelNetwork, pixels: NDArray[np.uint8]) -> Answer:
    """Ask a network that sees pixels, uint8 (H, W, 3)."""
    value = to_network(pixels[None])
    if isinstance(network, NetworkSegmenter):
        return network.read(value, 1, height=pixels.shape[0], width=pixels.shape[1])
    return network.read(value, 1)


def measure(
    codec: Any,
    head: Head,
    dataset: Dataset,
    samples: Sequence[Sample],
    *,
    quality: int,
    network: PixelNetwork | None = None,
    rivals: Sequence[Coder] = (),
    quiet: bool = True,
) -> dict[str, Any]:
    """Scores in percent, "ms" and "bpps" by way at one quality; ways beside latents need the network."""
    coders = {rival.name: rival for rival in rivals if network}
    runs: dict[str, Callable[[bytes], Any]] = {"latents": partial(_from_latents, codec, head)}
    if network:
        runs["decoded"] = partial(_through, codec, network)
        runs |= {name: partial(_through, coder, network) for name, coder in coders.items()}
    scores = {way: dataset.new_score() for way in runs}
    times: dict[str, list[float]] = {way: [] for way in (*runs, "decoding")}
    rates: dict[str, list[float]] = {way: [] for way in runs}
    bar = tqdm(total=len(samples), desc=f"quality {quality}", disable=quiet, leave=False, file=sys.stderr)
    for begin in range(0, len(samples), FOLDER):
        folder = samples[begin : begin + FOLDER]
        pictures, truths = [read_rgb(sample.image) for sample in folder], [dataset.truth(sample) for sample in folder]
        own = [codec.encode(pixels, quality=quality) for pixels in pictures]
        files = dict.fromkeys(runs, own) | {
            name: [
                file_of_size(coder, pixels, target_bytes=len(data))[1]
                for pixels, data in zip(pictures, own, strict=True)
            ]
            for name, coder in coders.items()
        }
        for data in own:
            timed(partial(codec.decode, data), times["decoding"])
        for way, run in runs.items():
            for data, pixels, truth in zip(files[way], pictures, truths, strict=True):
                rates[way].append(8 * len(data) / (pixels.shape[0] * pixels.shape[1]))
                scores[way].add(timed(partial(run, data), times[way]), truth)
        bar.update(len(folder))
    bar.close()
    return {
        "quality": quality,
        "bpp": round(float(np.mean(rates["latents"])), 4),
        **{way: scores[way].percent for way in runs},
        "ms": {way: round(1000 * float(np.median(seconds)), 2) for way, seconds in times.items()},
        "bpps": {way: round(float(np.mean(values)), 4) for way, values in rates.items()},
    }


def _from_latents(codec: Any, head: Head, data: bytes) -> Labels | Segmentation:
    return head(codec.latents(data))


def _through(codec: Any, network: PixelNetwork, data: bytes) -> Answer:
    return answer_of(network, np.asarray(codec.decode(data)))


def on_originals(network: PixelNetwork, dataset: Dataset, samples: Sequence[Sample]) -> float:
    """Score of a network on pictures that were never compressed."""
    score = dataset.new_score()
    for sample in samples:
        score.add(answer_of(network, read_rgb(sample.image)), dataset.truth(sample))
    return score.percent


def labelled(task: str, folder: str, *, limit: int | None, void: int = VOID) -> tuple[Dataset, list[Sample]]:
    """List the images of folder/val, or all where there is no such part; at most `limit` of them, evenly spaced."""
    dataset = find_dataset(task, DataConfig(folder=folder, void=void))
    own = (Path(folder).expanduser() / "val").is_dir()
    samples = dataset.val if own else sorted((*dataset.train, *dataset.val), key=lambda sample: sample.image)
    return dataset, list(evenly(samples, limit or len(samples)))


def must_know(head: Head, dataset: Dataset, what: str) -> None:
    """DataError if a head's classes differ from the classes of the pictures, or from their order."""
    if head.task != dataset.task:
        raise DataError(f"the {what} {head.name} is for {head.task}, not for {dataset.task}")
    theirs, ours = ([name.lower() for name in names] for names in (head.classes, dataset.classes))
    if theirs != ours:
        raise DataError(
            f"the {what} {head.name} knows {', '.join(head.classes)}; the pictures are labelled with "
            f"{', '.join(dataset.classes)}: train one on them with semcomp-fit-head"
        )


def arithmetic(codec: Any, head: Head, network: PixelNetwork | None) -> dict[str, float]:
    """Thousands of multiply-adds a pixel of the picture by way; a classical decoder's are not counted."""
    parts: Mapping[str, float] = codec.describe()["kmac_per_px"]
    entropy = parts["sigma"] + parts["mean"]
    costs = {"decoding": entropy + parts["synthesis"]}
    if isinstance(head, NetworkHead):
        latents = head.network.config.latents
        costs["latents"] = entropy + count(head.network, source="latents", latents=latents)["kmac_per_px"]
    if network is not None:
        pixels = count(network.network, source="pixels", latents=0)["kmac_per_px"]
        costs |= {"decoded": costs["decoding"] + pixels, "pixels": pixels}
    return {way: round(value, 2) for way, value in costs.items()}


def run(options: Namespace) -> tuple[dict[str, Any], str]:
    """The result of `semcomp eval --task`, and the same for a person. Raises SemcompError's."""
    from semcomp.codec.codec import load

    if options.threads is not None:
        torch.set_num_threads(options.threads)
    codec = load(options.model, device=options.device)
    dataset, samples = labelled(options.task, options.inputs[0], limit=options.limit, void=options.void)
    if not options.head:
        raise DataError(f"--task {options.task} needs --head NAME; there are {', '.join(head_names())}")
    head = load_head(options.head)
    must_know(head, dataset, "head")
    network = _pixel_network(options.pixels, dataset) if options.pixels else None
    usual = [name for name in ("jpeg", "webp", "avif") if name in installed()]
    rivals = [find(name) for name in options.codecs or usual if name != "semcomp"] if network else []
    quiet = options.quiet or not sys.stderr.isatty()
    some = [read_rgb(sample.image) for sample in evenly(samples, SEEK)]
    with torch.inference_mode():
        head(codec.latents(codec.encode(some[0])))  # the first run of a network is a slow one
        qualities = sorted({quality_for(codec, some, bpp) for bpp in options.bpp})
        rows = [
            measure(codec, head, dataset, samples, quality=quality, network=network, rivals=rivals, quiet=quiet)
            for quality in qualities
        ]
        originals = on_originals(network, dataset, samples) if network else None
    result = {
        "command": "eval",
        "task": options.task,
        "pictures": len(samples),
        "figure": dataset.score.figure,
        "model_id": codec.model_id.hex(),
        "head": head.name,
        "pixels": str(options.pixels) if network else None,
        "threads": torch.get_num_threads(),
        "versions": {rival.name: rival.version for rival in rivals},
        "kmac_per_px": arithmetic(codec, head, network),
        "rows": rows,
        "originals": originals,
    }
    return result, table(result)


def _pixel_network(path: str, dataset: Dataset) -> PixelNetwork:
    network = load_head(path)
    source = network.network.config.source if isinstance(network, NetworkHead) else "latents"
    if not isinstance(network, NetworkClassifier | NetworkSegmenter) or source != "pixels":
        raise DataError(
            f"{path} reads {source}; train a network that reads pixels: "
            "semcomp-fit-head CONFIG --set source=decoded (or source=originals)"
        )
    must_know(network, dataset, "network")
    return network


def table(result: dict[str, Any]) -> str:
    """The result as text."""
    costs = result["kmac_per_px"]
    lines = [f"{result['pictures']} pictures; {result['figure']} in %, ms from bytes to answer, kMAC a pixel"]
    lines.append(f"{'bpp':>7}{'quality':>9}  {'':<12}{result['figure']:>9}{'ms':>9}{'kMAC/px':>17}")
    for row in result["rows"]:
        for way, bpp in row["bpps"].items():
            cost = costs.get(way, costs.get("pixels"))
            said = "-" if cost is None else f"{cost:.2f}" + ("" if way in costs else " + decoder")
            lines.append(f"{bpp:7.3f}{row['quality']:9d}  {way:<12}{row[way]:9.2f}{row['ms'][way]:9.1f}{said:>17}")
    if result["originals"] is None:
        lines.append("no network that sees pixels was given (--pixels FILE): latents alone")
    else:
        lines.append(f"originals, the network that sees pixels: {result['originals']:.2f}")
    return "\n".join(lines)
