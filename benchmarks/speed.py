"""Time to encode and decode one 768x512 photo, beside CompressAI's mbt2018-mean (quality 4), and of every stage.

Both codecs run in one process on the same threads, in turn, after a warm-up; figures are medians with quartiles.
semcomp goes from a uint8 array to the bytes of a file and back to a PIL image; mbt2018-mean from a float tensor to
strings and back to a tensor. semcomp's quality 55 has the lmbda of mbt2018-mean's quality 4, whose weights are random
here (nothing is downloaded). Random weights code badly, so its networks are also timed alone. Three ratios are shown:

    whole / whole         everything of both
    networks / whole      mbt2018-mean without its entropy coding, semcomp with all it does; the limits apply here
    networks / networks   neither with entropy coding, container and conversions

Needs CompressAI: pip install 'semcomp[train]'.
"""

import argparse
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from benchmarks import common
from benchmarks.common import at_least, at_most
from semcomp.bitstream.symbol_stream import SymbolReader
from semcomp.codec import latent_coder as latents_module
from semcomp.errors import MissingExtraError
from semcomp.pipeline import base_codec as encoder_module
from semcomp.pipeline import base_decoder as decoder_module
from semcomp.pipeline import checks as checks_module
from semcomp.pipeline import latent_coder as symbols_module
from semcomp.pipeline.refined_tables import RefinedTables

ENTROPY_STAGES = ("refined tables", "coder", "container")
NETWORK_STAGES = ("analysis", "hyper analysis", "sigma path", "mean path", "synthesis")


def stages_of(codec: Any) -> list[tuple[str, Any, str]]:
    """(stage, object, name of its function): what `encode` and `decode` call, timed without what it calls itself."""
    return [
        ("analysis", codec, "analyse"),
        ("hyper analysis", codec.coder._hyper_analysis, "forward"),
        ("sigma path", codec.coder._sigma, "sums" if codec.coder.refines else "index"),
        ("refined tables", RefinedTables, "index"),
        ("refined tables", RefinedTables, "add"),
        ("mean path", codec.coder, "_passes"),
        ("rounding", latents_module, "choose_symbols"),
        ("coder", symbols_module, "encode_symbols"),
        ("coder", SymbolReader, "read"),
        ("coder", codec.coder, "z_index"),
        ("container", encoder_module, "padded"),
        ("container", decoder_module, "read"),
        ("container", checks_module, "header_crc"),
        ("container", decoder_module, "header_crc"),
        ("synthesis", codec, "render"),
        ("picture", decoder_module, "to_pil"),
    ]


@contextmanager
def stopwatches(codec: Any) -> Iterator[dict[str, float]]:
    """Seconds by stage of what runs inside, each without the stages that it calls."""
    seconds: dict[str, float] = defaultdict(float)
    inner: list[float] = []

    def timed(stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            inner.append(0.0)
            start = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                passed = time.perf_counter() - start
                seconds[stage] += passed - inner.pop()
                if inner:
                    inner[-1] += passed

        return run

    with ExitStack() as stack:
        for stage, owner, name in stages_of(codec):
            stack.enter_context(patch.object(owner, name, timed(stage, getattr(owner, name))))
        yield seconds


class Mbt2018Mean:
    """CompressAI's model, with its steps apart."""

    def __init__(self, *, quality: int = 4):
        from semcomp.torchvision_compat import declare_missing_operators

        declare_missing_operators()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                from compressai.zoo import mbt2018_mean
        except ImportError as error:
            raise MissingExtraError("CompressAI's mbt2018-mean", "train") from error
        torch.manual_seed(0)
        self.model = mbt2018_mean(quality=quality, pretrained=False).eval()
        self.model.update()

    def encode(self, x: Tensor) -> dict[str, Any]:
        coded: dict[str, Any] = self.model.compress(x)
        return coded

    def decode(self, coded: dict[str, Any]) -> Tensor:
        x_hat: Tensor = self.model.decompress(coded["strings"], coded["shape"])["x_hat"]
        return x_hat

    def encode_networks(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Analysis, hyper analysis, hyper synthesis: y, rounded z."""
        y = self.model.g_a(x)
        z = torch.round(self.model.h_a(y))
        self.model.h_s(z)
        return y, z

    def decode_networks(self, y: Tensor, z: Tensor) -> Tensor:
        """Hyper synthesis, synthesis."""
        self.model.h_s(z)
        x_hat: Tensor = self.model.g_s(y)
        return x_hat


@torch.inference_mode()
def measure(
    codec: Any, mbt: Mbt2018Mean, pixels: NDArray[np.uint8], options: argparse.Namespace, threads: int
) -> dict[str, Any]:
    """Times in ms of every run, by what was run, and of every stage of semcomp."""
    torch.set_num_threads(threads)
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    data, coded, latents = codec.encode(pixels, quality=options.quality), mbt.encode(x), mbt.encode_networks(x)
    work: dict[str, Callable[[], Any]] = {
        "semcomp encode": lambda: codec.encode(pixels, quality=options.quality),
        "mbt encode": lambda: mbt.encode(x),
        "mbt networks encode": lambda: mbt.encode_networks(x),
        "semcomp decode": lambda: codec.decode(data),
        "mbt decode": lambda: mbt.decode(coded),
        "mbt networks decode": lambda: mbt.decode_networks(*latents),
    }
    times: dict[str, list[float]] = {name: [] for name in work}
    stages: dict[str, dict[str, list[float]]] = {"encode": defaultdict(list), "decode": defaultdict(list)}
    rounds = range(options.warmup + options.repeats)
    for number in common.progress(rounds, total=len(rounds), label=f"{threads} threads", options=options):
        for name, run in work.items():
            start = time.perf_counter()
            run()
            passed = time.perf_counter() - start
            if number >= options.warmup:
                times[name].append(1000 * passed)
        for direction, of_stage in stages.items():
            with stopwatches(codec) as seconds:
                start = time.perf_counter()
                work[f"semcomp {direction}"]()
                seconds["rest"] = time.perf_counter() - start - sum(seconds.values())
            if number >= options.warmup:
                for stage, value in seconds.items():
                    of_stage[stage].append(1000 * value)
    return {
        "threads": threads,
        "bytes": {"semcomp": len(data), "mbt": sum(len(s[0]) for s in coded["strings"])},
        "ms": {name: quartiles(values) for name, values in times.items()},
        "stages_ms": {d: {name: quartiles(v) for name, v in s.items()} for d, s in stages.items()},
    }


def quartiles(values: list[float]) -> dict[str, float]:
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    return {"median": round(median, 3), "low": round(low, 3), "high": round(high, 3)}


def add_ratios(measured: dict[str, Any]) -> None:
    """How many times faster semcomp is, by what is compared; and what its entropy coding takes."""
    measured["ratios"], measured["entropy_coding_ms"] = {}, {}
    for direction, stages in measured["stages_ms"].items():
        ours, mbt, alone = (
            measured["ms"][f"{who} {direction}"]["median"] for who in ("semcomp", "mbt", "mbt networks")
        )
        networks = sum(stages[name]["median"] for name in NETWORK_STAGES if name in stages)
        measured["ratios"][direction] = {
            "whole / whole": round(mbt / ours, 2),
            "networks / whole": round(alone / ours, 2),
            "networks / networks": round(alone / networks, 2),
        }
        measured["entropy_coding_ms"][direction] = {
            "semcomp": round(sum(stages[name]["median"] for name in ENTROPY_STAGES if name in stages), 3),
            "mbt": round(mbt - alone, 3),
        }


def table_of(measured: list[dict[str, Any]], size: str) -> str:
    """The result as text."""
    lines = [f"{size}; milliseconds, median (quartiles)"]
    for one in measured:
        lines += ["", f"{one['threads']} thread(s); {one['bytes']['semcomp']:,} bytes"]
        for name, value in one["ms"].items():
            lines.append(f"  {name:<22}{value['median']:>9.1f}  ({value['low']:.1f} .. {value['high']:.1f})")
        for direction, stages in one["stages_ms"].items():
            parts = ", ".join(f"{name} {value['median']:.1f}" for name, value in stages.items())
            lines.append(f"  stages of {direction}: {parts}")
            coding, ratios = one["entropy_coding_ms"][direction], one["ratios"][direction]
            lines.append(f"    entropy coding: semcomp {coding['semcomp']:.1f}, mbt {coding['mbt']:.1f}")
            lines.append("    times faster: " + ", ".join(f"{name} {value:.1f}" for name, value in ratios.items()))
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; the exit status."""
    parser = common.make_parser("speed", __doc__, "python -m benchmarks.speed --threads 1 2 -o out/speed.json")
    parser.add_argument("photo", nargs="?", type=Path, default=common.PHOTO, help="default: examples/photo.png")
    parser.add_argument("-q", "--quality", type=int, default=55, help="of semcomp (default: 55)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="of torch (default: 1 2)")
    parser.add_argument("--repeats", type=int, default=15, help="timed runs of each (default: 15)")
    parser.add_argument("--warmup", type=int, default=2, help="runs before them (default: 2)")
    parser.add_argument("--size", type=int, nargs=2, default=(768, 512), metavar=("W", "H"), help="multiples of 64")
    options = parser.parse_args(arguments)
    if any(side <= 0 or side % 64 for side in options.size):
        parser.error(f"mbt2018-mean takes multiples of 64, not {options.size[0]}x{options.size[1]}")

    codec, mbt = common.load_codec(options), Mbt2018Mean()
    pixels = common.picture_of_size(options.photo, *options.size)
    before = torch.get_num_threads()
    measured = [measure(codec, mbt, pixels, options, threads) for threads in options.threads]
    torch.set_num_threads(before)
    checks = []
    for one in measured:
        add_ratios(one)
        suffix = f", {one['threads']} thread(s)"
        for direction, limit in (("encode", 5.0), ("decode", 8.0)):
            name = f"{direction}, times faster (networks / whole){suffix}"
            checks.append(at_least(name, one["ratios"][direction]["networks / whole"], limit, "x"))
            coding = one["entropy_coding_ms"][direction]["semcomp"]
            checks.append(at_most(f"{direction}, entropy coding and its Python{suffix}", coding, 15, " ms"))
    size = f"{options.photo.name} as {options.size[0]}x{options.size[1]}, semcomp at quality {options.quality}"
    result = {
        "model": codec.name,
        "model_id": codec.model_id.hex(),
        "quality": options.quality,
        "size": options.size,
        "psnr_db": round(_psnr(codec, pixels, options.quality), 2),
        "measured": measured,
    }
    return common.finish("speed", options, result=result, checks=checks, table=table_of(measured, size))


def _psnr(codec: Any, pixels: NDArray[np.uint8], quality: int) -> float:
    from semcomp.imaging.metrics import psnr_db

    decoded: Image.Image = codec.decode(codec.encode(pixels, quality=quality))
    return psnr_db(pixels, np.asarray(decoded))


if __name__ == "__main__":
    sys.exit(common.guarded(main))
