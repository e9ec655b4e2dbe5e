"""The exported client beside the library: symbols, bytes, and time as a ratio in one run.

Every photo is written at every quality by the library and by the client. Every file is then read by the library, by
the library's integers in numpy, and by the client on 1 and 2 threads at every graph optimisation level of onnxruntime,
with constriction and with the plain coder. Every differing symbol is counted; there must be none. Symbols that the two
encoders chose differently are shown as well: the mean path is float, and any choice decodes.

With --int8, the graphs of that folder are compared with the others too (edge_int8.py).

The graphs must be there: semcomp export onnx -o out/edge --generators all
and for --int8: semcomp export onnx -o out/edge8 --int8 --generators all --calibration data/photos
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks import common, edge_int8
from benchmarks.common import Check, at_least, at_most
from benchmarks.edge_int8 import sizes_of
from benchmarks.weights_ids import weights_ids
from semcomp.bitstream.container import read
from semcomp.codec.self_test import QUALITIES, numbers_in_int64
from semcomp.edge import EdgeCodec
from semcomp.edge.bundle import LEVELS
from semcomp.errors import SemcompError
from semcomp.imaging.metrics import psnr_db
from semcomp.imaging.picture import from_array
from semcomp.semantics.head import load_head
from semcomp.types import Symbols
from semcomp.workers import worker_pool

CLIENT_LIMIT, SYNTHESIS_LIMIT = 14e6, 6e6


def clients_of(directory: Path) -> dict[str, EdgeCodec]:
    """Every arrangement of threads and optimisation."""
    return {
        f"onnxruntime, {threads} threads, {level}": EdgeCodec(directory, threads=threads, optimisation=level)
        for threads in (1, 2)
        for level in LEVELS
    }


def differing(a: Symbols, b: Symbols) -> int:
    """Elements of z, y and the table numbers."""
    pairs = ((a.z, b.z), (a.y, b.y), (a.index, b.index))
    return sum(int(np.count_nonzero(x != y)) if x.shape == y.shape else max(x.size, y.size) for x, y in pairs)


def exactness(
    codec: Any, clients: dict[str, EdgeCodec], pixels: NDArray[np.uint8], quality: int, tally: dict[str, int]
) -> dict[str, Any]:
    """Count the differences of one photo at one quality; bytes and PSNR of both writers, symbols chosen differently."""
    picture, client = from_array(pixels), next(iter(clients.values()))
    rows, written = {}, {}
    for name, writer in (("library", codec), ("client", client)):
        symbols = writer.quantize(writer.analyse(picture), picture, quality=quality)
        data = writer.pack(picture, symbols, quality=quality)
        written[name] = symbols
        decoded = np.asarray(client.decode(data))
        rows[name] = {"bytes": len(data), "psnr_db": psnr_db(pixels, decoded)}
        index = numbers_in_int64(codec.release, symbols, quality)
        tally["numpy, int64"] += int(np.count_nonzero(index != symbols.index))
        readers: dict[str, Any] = {"torch": codec, **clients}
        for reader, one in readers.items():
            for plain in (False, True) if reader == "torch" or one is client else (False,):
                label = f"{reader}{', plain coder' if plain else ''}"
                try:
                    tally[label] += differing(one.read_symbols(data, plain=plain), symbols)
                except SemcompError:
                    tally[label] += symbols.z.size + symbols.y.size
        assert read(data).header.quality == quality
    chosen = int(np.count_nonzero(written["library"].y != written["client"].y))
    return {**rows, "chosen": chosen, "elements": written["client"].y.size}


REST = 0.3
"""Seconds before each timing: torch's threads go on spinning for a while and would take a core from the client."""


def timed(works: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, Any]:
    """Medians in ms of each, run in turn, and how many times as fast as "library" the others are.

    Each ratio compares two runs of one turn. The result has their quartiles, with the median between.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats + 2):
        for name, work in works.items():
            time.sleep(REST)
            start = time.perf_counter()
            work()
            times[name].append(1000 * (time.perf_counter() - start))
    row: dict[str, Any] = {f"{name}_ms": float(np.median(turns[2:])) for name, turns in times.items()}
    for name in works:
        if name != "library":
            ratios = np.array(times["library"][2:]) / np.array(times[name][2:])
            row[f"{name}_times_as_fast"] = [float(value) for value in np.percentile(ratios, (25, 50, 75))]
    return row


def fastest(row: Mapping[str, Any]) -> float:
    """The median ratio of the faster client. Whoever installs a client gets the graphs that suit each task best."""
    return float(max(row[f"{name}_times_as_fast"][1] for name in ("float", "int8") if f"{name}_times_as_fast" in row))


def speed(options: argparse.Namespace, directories: Mapping[str, Path], threads: int) -> dict[str, dict[str, Any]]:
    """Encode, decode, latents and heads of one photo: each client beside the library. In a process of its own."""
    codec = common.load_codec(options, threads=threads)
    clients = {name: EdgeCodec(directory, threads=threads, one_pool=True) for name, directory in directories.items()}
    pixels = common.picture_of_size(common.PHOTO, *options.size)
    data = codec.encode(pixels, quality=55)
    both: dict[str, Any] = {"library": codec, **clients}

    def row(work: Callable[[Any], Any]) -> dict[str, Any]:
        return timed({name: partial(work, one) for name, one in both.items()}, options.repeats)

    rows = {
        "encode": row(lambda one: one.encode(pixels, quality=55)),
        "decode": row(lambda one: one.decode(data)),
        "latents": row(lambda one: one.latents(data)),
        "image to latents": row(lambda one: one.latents_of_image(pixels, quality=55)),
    }
    for name in clients["float"].heads:
        works: dict[str, Callable[[], Any]] = {"library": partial(load_head(name), codec.latents(data))}
        for label, client in clients.items():
            if name in client.heads:
                works[label] = partial(client.heads[name], client.latents(data))
        rows[f"head {name}"] = timed(works, options.repeats)
    return rows


def table_of(tally: dict[str, int], rows: dict[int, dict[str, Any]], sizes: dict[str, int], what: str) -> str:
    """The result as text."""
    lines = [what, "", f"{'differing symbols':<48}"]
    lines += [f"  {name:<46}{count:>10,}" for name, count in tally.items()]
    lines += ["", "ms, medians; times as fast as the library, median and quartiles of single turns"]
    for threads, parts in rows.items():
        for name, row in parts.items():
            line = f"  {threads} threads, {name:<18}library{row['library_ms']:>8.1f}"
            for client in ("float", "int8"):
                if f"{client}_ms" in row:
                    low, middle, high = row[f"{client}_times_as_fast"]
                    line += f"   {client}{row[f'{client}_ms']:>8.1f}  {middle:.2f} ({low:.2f} to {high:.2f})"
            lines.append(line)
    lines += ["", *(f"  {name:<26}{size:>12,} bytes" for name, size in sizes.items())]
    return "\n".join(lines)


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = common.make_parser("edge", __doc__, "python -m benchmarks.edge data/val --int8 out/edge8 -o out/edge.json")
    parser.add_argument("photos", nargs="*", type=Path, default=[Path("data/val")], help="default: data/val")
    parser.add_argument("--graphs", type=Path, default=Path("out/edge"), metavar="DIR", help="default: out/edge")
    parser.add_argument("--int8", type=Path, metavar="DIR", help="int8 graphs, to be compared with those of --graphs")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="photos, evenly spaced (default: 20)")
    parser.add_argument("--pictures", type=int, metavar="N", help="images of each head's validation set (default: all)")
    parser.add_argument("--qualities", type=int, nargs="+", default=QUALITIES, help="default: 1 13 50 87 100")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="threads of the timing (default: 1 2)")
    parser.add_argument("--size", type=int, nargs=2, default=(768, 512), metavar=("W", "H"), help="default: 768 512")
    parser.add_argument("--repeats", type=int, default=15, help="repeats of every timing (default: 15)")
    return parser.parse_args(arguments)


@dataclass(kw_only=True)
class Result:
    """The measurements of one run."""

    readers: int
    differing: dict[str, int]
    """Differing symbols by reader."""
    written: list[dict[str, Any]]
    """One row for each photo and quality, see `exactness`."""
    sizes: dict[str, int]
    """Bytes of each file of the export."""
    small: int
    """Bytes of everything that a client with one head needs."""
    speed: dict[int, dict[str, dict[str, Any]]]
    """Rows of `speed` by number of threads."""
    int8: dict[str, Any] | None

    def bytes_of(self, writer: str) -> int:
        """Bytes of all files of the library or of the client."""
        return sum(row[writer]["bytes"] for row in self.written)

    def total(self, key: str) -> int:
        """The sum of `chosen` or `elements` over all files."""
        return sum(row[key] for row in self.written)

    def checks(self) -> list[Check]:
        """What has to hold."""
        more = 100 * (self.bytes_of("client") / self.bytes_of("library") - 1)
        lost = max(row["library"]["psnr_db"] - row["client"]["psnr_db"] for row in self.written)
        what = f"differing symbols over {self.readers} readers, {2 * len(self.written)} files"
        checks = [
            at_most(what, sum(self.differing.values()), 0, ""),
            at_most("analysis, entropy and the smallest head", self.small, CLIENT_LIMIT, " bytes"),
            at_most("synthesis", self.sizes["synthesis"], SYNTHESIS_LIMIT, " bytes"),
            at_most("bytes of the client's files against the library's, percent more", more, 0.5, ""),
            at_most("PSNR that the client's encoder loses at worst", lost, 0.05, " dB"),
        ]
        for threads, rows in self.speed.items():
            for name, row in rows.items():
                what = f"{name} on {threads} threads, times as fast as the library"
                checks.append(at_least(what, round(fastest(row), 3), 1, ""))
        most = max(self.speed)
        return checks + (edge_int8.checks_of(self.int8, self.speed[most]) if self.int8 else [])


def measure(codec: Any, paths: Sequence[Path], options: argparse.Namespace) -> Result:
    """Exactness on every photo, then speed, then the int8 graphs."""
    clients = clients_of(options.graphs)
    client = next(iter(clients.values()))
    names = ["numpy, int64", "torch", "torch, plain coder", *clients]
    names.insert(4, f"{next(iter(clients))}, plain coder")
    tally, written = dict.fromkeys(names, 0), []
    for path in common.progress(paths, total=len(paths), label="edge", options=options):
        with Image.open(path) as image:
            pixels = np.array(image.convert("RGB"))
        written += [exactness(codec, clients, pixels, quality, tally) for quality in options.qualities]
    directories = {"float": options.graphs, **({"int8": options.int8} if options.int8 else {})}
    rows = {}
    for threads in options.threads:
        with worker_pool(1) as process:  # a process has one pool of threads for all clients
            rows[threads] = process.submit(speed, options, directories, threads).result()
    int8: dict[str, Any] | None = None
    if options.int8:
        pair = {name: EdgeCodec(directory, threads=torch.get_num_threads()) for name, directory in directories.items()}
        int8 = edge_int8.compare(codec, pair, paths, pictures=options.pictures, options=options)
    sizes = sizes_of(client)
    refine = ["refine"] if client.coder.refines else []
    entropy = ["hyper", "sigma", *refine, "mean_first", "mean_next"]
    heads = [sizes[head["graph"]] for head in client.bundle.heads.values()]
    small = sum(sizes[name] for name in ("analysis", *entropy, "tables")) + min(heads, default=0)
    return Result(readers=len(tally), differing=tally, written=written, sizes=sizes, small=small, speed=rows, int8=int8)


def heads_of(rows: Mapping[int, dict[str, dict[str, Any]]]) -> list[str]:
    """The names of the heads that were timed."""
    return [name.removeprefix("head ") for name in next(iter(rows.values())) if name.startswith("head ")]


def main(arguments: list[str] | None = None) -> int:
    """Runs the benchmark and returns the exit status."""
    options = options_of(arguments)
    codec = common.load_codec(options)
    paths = common.spread(common.find_photos(options.photos), options.limit)
    found = measure(codec, paths, options)
    chosen, elements = found.total("chosen"), found.total("elements")
    what = f"{len(paths)} photos x {len(options.qualities)} qualities; "
    what += f"the two encoders chose {chosen:,} of {elements:,} symbols differently"
    result = {
        "model": codec.name,
        "model_id": codec.model_id.hex(),
        "photos": len(paths),
        "differing": found.differing,
        "qualities": list(options.qualities),
        "speed": {str(n): row for n, row in found.speed.items()},
        "sizes": found.sizes,
        "chosen_differently": chosen,
        "elements": elements,
        "bytes": {name: found.bytes_of(name) for name in ("library", "client")},
        "size": list(options.size),
        "int8": found.int8,
    }
    weights = weights_ids([options.model, *heads_of(found.speed)])
    table = table_of(found.differing, found.speed, found.sizes, what)
    if found.int8:
        table += f"\n\n{edge_int8.table_of(found.int8)}"
    return common.finish("edge", options, result=result, checks=found.checks(), table=table, weights=weights)


if __name__ == "__main__":
    sys.exit(common.guarded(main))
