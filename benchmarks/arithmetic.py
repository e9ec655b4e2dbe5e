"""What networks compute: multiply-adds a pixel, and the integer path that chooses tables, in bytes beside float32.

    codec    thousands of multiply-adds a pixel of encoding, of decoding and of every part
    heads    the same of every head that comes with semcomp
    sums     the largest magnitude that a sum of the integer networks can reach; float32 is exact below 2^24
    sigma    milliseconds of the processor that the sigma path takes for the z of one photo, in bytes and in float32

Both forms of the sigma path run in turn, after a warm-up; figures are medians with quartiles. A processor that does not
sum products of bytes exactly has float32 alone.
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks import common
from benchmarks.common import Check, at_most
from benchmarks.speed import quartiles
from benchmarks.weights_ids import is_released, weights_ids
from semcomp.networks.sigma_bytes import ByteSigma, fastest
from semcomp.semantics.head import head_names, load_head

EXACT = 1 << 24
"""float32 adds integers below this one exactly."""


def codec_costs(codec: Any) -> dict[str, Any]:
    """Thousands of multiply-adds a pixel of a codec."""
    facts = codec.describe()
    return {"encode": facts["kmac_per_px_encode"], "decode": facts["kmac_per_px_decode"], "parts": facts["kmac_per_px"]}


def head_costs(names: list[str]) -> dict[str, float]:
    """Thousands of multiply-adds a pixel of heads, from latents to the answer."""
    from heads.head_file import NetworkHead
    from heads.layers import count

    costs = {}
    for name in names:
        head = load_head(name)
        if isinstance(head, NetworkHead):
            cost = count(head.network, source="latents", latents=head.network.config.latents)
            costs[name] = round(cost["kmac_per_px"], 2)
    return costs


def largest_sum(release: Any) -> int:
    """The largest magnitude of a sum in the integer networks of a release."""
    reached: int = release.sigma.bound_of_sums()
    return reached if release.refiner is None else int(release.refiner.bound_of_sums(reached))


@torch.inference_mode()
def sigma_times(codec: Any, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Milliseconds of the sigma path by form, on one thread."""
    pixels = common.picture_of_size(options.photo, *options.size)
    z_hat = torch.from_numpy(codec.read_symbols(codec.encode(pixels, quality=options.quality)).z).float()[None]
    sigma, cpu = codec.release.sigma, torch.device("cpu")
    forms: dict[str, Any] = {"float32": sigma.to(cpu, torch.float32)}
    if isinstance(bytewise := fastest(sigma, cpu), ByteSigma):
        forms["bytes"] = bytewise
    whole = "sums" if codec.coder.refines else "index"
    work: dict[str, Callable[[], Any]] = {
        name: partial(getattr(form, whole), z_hat, options.quality) for name, form in forms.items()
    }
    times: dict[str, list[float]] = {name: [] for name in work}
    rounds = range(options.repeats + 2)
    for number in common.progress(rounds, total=len(rounds), label="sigma path", options=options):
        for name, run in work.items():
            began = time.thread_time()
            run()
            if number > 1:
                times[name].append(1000 * (time.thread_time() - began))
    return {name: quartiles(values) for name, values in times.items()}


def checks_of(result: dict[str, Any]) -> list[Check]:
    """Sums are exact, and bytes are not slower than float32."""
    checks = [at_most("largest sum of the integer networks", result["largest_sum"], EXACT - 1, "")]
    times = {name: value["median"] for name, value in result["sigma_ms"].items()}
    if "bytes" in times:
        checks.append(at_most("time of the sigma path in bytes, of float32", times["bytes"] / times["float32"], 1, ""))
    return checks


def table_of(result: dict[str, Any]) -> str:
    """The result as text."""
    codec = result["codec"]
    lines = [f"thousands of multiply-adds a pixel: encode {codec['encode']:.2f}, decode {codec['decode']:.2f}"]
    lines += [f"  {name:<20}{cost:8.2f}" for name, cost in codec["parts"].items()]
    lines += [f"  {'head ' + name:<20}{cost:8.2f}" for name, cost in result["heads"].items()]
    lines.append(f"largest sum {result['largest_sum']:,}")
    lines += [f"sigma path, {name}: {value['median']:.2f} ms" for name, value in result["sigma_ms"].items()]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; the exit status."""
    parser = common.make_parser("arithmetic", __doc__, "python -m benchmarks.arithmetic -o out/arithmetic.json")
    parser.add_argument("photo", nargs="?", type=Path, default=common.PHOTO, help="default: examples/photo.png")
    parser.add_argument("--size", type=int, nargs=2, default=(768, 512), metavar=("W", "H"), help="default: 768 512")
    parser.add_argument("-q", "--quality", type=int, default=55, help="default: 55")
    parser.add_argument("--repeats", type=int, default=31, help="timed runs of each form (default: 31)")
    options = parser.parse_args(arguments)
    threads = torch.get_num_threads()
    codec = common.load_codec(options)
    torch.set_num_threads(1)
    names = [name for name in head_names() if is_released(name)]
    result = {
        "codec": codec_costs(codec),
        "heads": head_costs(names),
        "largest_sum": largest_sum(codec.release),
        "size": list(options.size),
        "sigma_ms": sigma_times(codec, options),
    }
    torch.set_num_threads(threads)
    return common.finish(
        "arithmetic",
        options,
        result=result,
        checks=checks_of(result),
        table=table_of(result),
        weights=weights_ids([options.model, *names]),
    )


if __name__ == "__main__":
    sys.exit(common.guarded(main))
