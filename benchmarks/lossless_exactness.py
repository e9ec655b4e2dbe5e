"""Does every backend write the same lossless bytes, and read the same pixels?

Every photo, and pictures of every other mode, are written by torch on one thread. Each other backend writes them again
and reads the file: torch on two threads and in float32, numpy, and exported graphs in onnxruntime
on one and two threads. Chromium reads the files of 8 bits, where it is installed. Every file that is not written alike
and every wrong sample is counted; there must be none.

Needs the graphs: make bench-lossless-exactness
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks import common
from benchmarks.common import at_most
from benchmarks.web import Browser, node
from benchmarks.web_symbols import is_installed, middle
from benchmarks.weights_ids import weights_id
from semcomp.bitstream.container import Chunk, ChunkKind
from semcomp.edge import EdgeCodec
from semcomp.errors import ModelError, SemcompError
from semcomp.imaging.exact import ExactPicture
from semcomp.lossless.colour import ColourTransform
from semcomp.lossless.level import Networks
from semcomp.lossless.model import LosslessModel, load_model
from semcomp.lossless.step import MAX_NEAR
from semcomp.lossless.stream import decode_lossless, encode_lossless
from semcomp.lossless.weights import EMBEDDED
from semcomp.networks.lossless_fast import WORTH, TorchNetworks
from semcomp.pipeline.lossless import file_of

BROWSER = "chromium"
MODE_SIDE = 200
"""Pixels of the photo that other modes are made of."""


@dataclass(frozen=True)
class Backend:
    """One way to compute."""

    name: str
    networks: Networks | None
    threads: int = 1


@dataclass(frozen=True)
class Case:
    """A picture, and how it is written."""

    name: str
    pixels: NDArray[Any]
    options: dict[str, Any]


@dataclass
class Tally:
    """What a backend did differently."""

    files: int = 0
    samples: int = 0
    bytes: int = 0
    """Files that were not written alike."""
    wrong: int = 0
    """Samples that were read otherwise."""


def modes(pixels: NDArray[np.uint8]) -> Iterator[Case]:
    """Pictures of every mode but RGB of 8 bits, made of one photo."""
    rng = np.random.default_rng(0)
    deep = pixels.astype(np.uint16) * 256 + rng.integers(0, 256, pixels.shape).astype(np.uint16)
    yield Case("grey", np.ascontiguousarray(pixels[..., 1]), {})
    yield Case("rgb of 16 bits", deep, {})
    yield Case("grey of 16 bits", np.ascontiguousarray(deep[..., 1]), {})
    yield Case("12 of 16 bits", deep >> 4 << 4, {})
    yield Case("8 bits in 16", pixels.astype(np.uint16) * 257, {})
    yield Case("drawing", np.ascontiguousarray(pixels // 128 * 255), {})
    yield Case("row", np.ascontiguousarray(pixels[:1]), {})
    yield from (Case(f"at most {near} off", pixels, {"near": near}) for near in range(1, MAX_NEAR + 1))
    yield from (
        Case(f"transform {name}", pixels, {"transform": ColourTransform[name], "general": False})
        for name in ("NONE", "GREEN")
    )


def backends(model: LosslessModel, graphs: Path) -> list[Backend]:
    """All but the first one, which writes the files."""

    def client(threads: int) -> Networks:
        coder = EdgeCodec(graphs, threads=threads).lossless_coder()
        if coder.model.id != model.id:
            raise ModelError(f"{graphs} has graphs of other lossless weights: export them again")
        networks: Networks = coder.networks
        return networks

    compiled = TorchNetworks(model).suited(pixels=WORTH, bits=8)
    return [
        *([Backend("compiled, 2 threads", compiled, threads=2)] if compiled.xp is np else []),
        Backend("torch, 2 threads", TorchNetworks(model, compiled=False), threads=2),
        Backend("torch in float32", TorchNetworks(model, by_bytes=False)),
        Backend("numpy", None),
        Backend("onnxruntime, 1 thread", client(1)),
        Backend("onnxruntime, 2 threads", client(2)),
    ]


def check(case: Case, data: bytes, pixels: NDArray[Any], backend: Backend, tally: Tally, model: LosslessModel) -> None:
    """Write a case again, and read its file."""
    torch.set_num_threads(backend.threads)
    how: dict[str, Any] = {"model": model, "networks": backend.networks}
    tally.bytes += encode_lossless(case.pixels, **how, **case.options) != data
    count(tally, decode_lossless(data, **how), pixels)
    torch.set_num_threads(1)


def count(tally: Tally, found: NDArray[Any], pixels: NDArray[Any]) -> None:
    """Count a file that was read."""
    tally.files += 1
    tally.samples += pixels.size
    same = found.shape == pixels.shape and found.dtype == pixels.dtype
    tally.wrong += int(np.count_nonzero(found != pixels)) if same else pixels.size


def whole_file(data: bytes, pixels: NDArray[Any]) -> bytes:
    """The file around the bytes of pixels (H, W) or (H, W, 3)."""
    return file_of(ExactPicture(pixels=pixels), [Chunk(ChunkKind.LOSSLESS, data)])


def read_in_browser(graphs: Path, files: dict[str, tuple[bytes, NDArray[Any]]]) -> Tally:
    """What Chromium shows of files of 8 bits."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        browser = Browser(graphs, Path(folder), name=BROWSER)
        for name, (data, _) in files.items():
            browser.file(name, data, decode=True)
        rows = browser.run()["rows"]
        for name, (_, pixels) in files.items():
            if "error" in rows[name]:
                raise SemcompError(f"{BROWSER}, {name}: {rows[name]['error']['message']}")
            shown = browser.saved(name, "rgba", "u1").reshape(*pixels.shape[:2], 4)
            count(tally, shown[..., :3] if pixels.ndim == 3 else shown[..., 0], pixels)
    return tally


def cases(options: argparse.Namespace) -> Iterator[Case]:
    """All photos, and then every mode."""
    paths = common.find_photos(options.photos)
    paths = common.spread(paths, options.count) if options.count else paths
    for path in paths:
        with Image.open(path) as image:
            yield Case(path.name, np.asarray(image.convert("RGB")), {})
    yield from modes(middle(paths[0], MODE_SIDE))


def compare(options: argparse.Namespace, model: LosslessModel) -> dict[str, Tally]:
    """Differences by backend."""
    graphs = options.graphs.resolve()
    first, others = TorchNetworks(model, compiled=False), backends(model, graphs)
    tallies = {name: Tally() for name in ["torch, 1 thread", *(backend.name for backend in others)]}
    files: dict[str, tuple[bytes, NDArray[Any]]] = {}
    for number, case in enumerate(cases(options)):
        data = encode_lossless(case.pixels, model=model, networks=first, **case.options)
        pixels = decode_lossless(data, model=model, networks=first)
        exact = np.abs(pixels.astype(np.int64) - case.pixels).max() <= case.options.get("near", 0)
        count(tallies["torch, 1 thread"], pixels if exact else ~pixels, pixels)
        for backend in others:
            check(case, data, pixels, backend, tallies[backend.name], model)
        if pixels.dtype == np.uint8:
            files[f"picture{number}"] = whole_file(data, pixels), pixels
    if is_installed(BROWSER):
        node("build.mjs")
        tallies["Chromium"] = read_in_browser(graphs, files)
    return tallies


def table_of(tallies: dict[str, Tally]) -> str:
    """The counts as text."""
    lines = [f"{'':<26}{'files':>7}{'samples':>15}{'written otherwise':>19}{'wrong samples':>15}"]
    lines += [
        f"{name:<26}{tally.files:>7}{tally.samples:>15,}{tally.bytes:>19}{tally.wrong:>15}"
        for name, tally in tallies.items()
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; the exit status."""
    example = "python -m benchmarks.lossless_exactness data/val --graphs out/edge -o out/lossless_exactness.json"
    parser = common.make_parser("lossless_exactness", __doc__, example)
    parser.add_argument("photos", nargs="*", type=Path, default=[Path("data/val")], help="default: data/val")
    parser.add_argument("--graphs", type=Path, default=Path("out/edge"), metavar="DIR", help="default: out/edge")
    parser.add_argument("--count", type=int, help="photos, evenly spaced over all (default: all)")
    parser.set_defaults(model=str(EMBEDDED))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    model = load_model(options.model)
    tallies = compare(options, model)
    rows = {name: asdict(tally) for name, tally in tallies.items()}
    return common.finish(
        "lossless_exactness",
        options,
        result={"model": model.id.hex(), "backends": rows},
        checks=[
            at_most("files that were written otherwise", sum(tally.bytes for tally in tallies.values()), 0, ""),
            at_most("wrong samples", sum(tally.wrong for tally in tallies.values()), 0, ""),
        ],
        table=table_of(tallies),
        weights={"lossless": weights_id(str(options.model))},
    )


if __name__ == "__main__":
    sys.exit(common.guarded(main))
