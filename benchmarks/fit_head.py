"""A head of a user's own: semcomp-fit-head on a few pictures of a few classes, beside a linear probe.

The probe is logistic regression on the features of EfficientNet-Lite2 (extra `teach`), a network of 6 M parameters that
has seen ImageNet, of the original pictures. Both learn from the same pictures of each class, and are asked about other
pictures; the head reads them from files of quality 50. Seconds include everything that semcomp-fit-head does.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks import common
from benchmarks.common import at_least, at_most
from heads.datasets import pictures_in, read_rgb
from heads.fit import main as fit_head
from heads.latent_cache import to_network
from heads.probe import logistic_regression
from heads.teachers.efficientnet import SIDE, Names
from semcomp.errors import SemcompError
from semcomp.networks.precision import fast_pixels
from semcomp.semantics.head import Labels, load_head

GOAL = 90
"""Least share in percent of the probe's right answers that the head must give."""
MINUTES = 5


def parts_of(folder: Path, names: list[str], *, train: int, test: int) -> dict[str, tuple[list[Path], list[Path]]]:
    """Draw the pictures of each class. SemcompError where a class has too few."""
    found = {}
    for name in names:
        paths = pictures_in(folder / name)
        if len(paths) < train + 1:
            raise SemcompError(f"{folder / name} has {len(paths)} pictures; {train} to learn from and more are needed")
        order = np.random.default_rng(0).permutation(len(paths)).tolist()
        chosen = [paths[k] for k in order[: train + test]]
        found[name] = (chosen[:train], chosen[train:])
    return found


@torch.inference_mode()
def features(network: Names, path: Path) -> torch.Tensor:
    """What EfficientNet-Lite2 sees in a picture, (1280,)."""
    x = to_network(read_rgb(path)[None])
    x = F.interpolate(x, size=(SIDE, SIDE), mode="bilinear", antialias=True)
    with fast_pixels(x.device):
        return network.features(x)[0].float()


def probe_of(parts: dict[str, tuple[list[Path], list[Path]]]) -> float:
    """Right answers in percent of a linear probe."""
    network = Names()
    rows = [
        [(number, features(network, path)) for number, pair in enumerate(parts.values()) for path in pair[which]]
        for which in (0, 1)
    ]
    (x, target), (asked, truth) = (
        (torch.stack([f for _, f in part]), torch.tensor([number for number, _ in part])) for part in rows
    )
    centre, spread = x.mean(0), x.std(0).clamp_min(1e-3)
    weight, bias = logistic_regression((x - centre) / spread, target, len(parts))
    answers = F.linear((asked - centre) / spread, weight, bias).argmax(1)
    return round(100 * float((answers == truth).float().mean()), 2)


def head_of(
    codec: Any, parts: dict[str, tuple[list[Path], list[Path]]], more: list[str]
) -> tuple[float, float, float, str]:
    """Right answers in percent of a head, the seconds and processor seconds that it took, and its origin in words."""
    with tempfile.TemporaryDirectory() as place:
        folder, file = Path(place) / "pictures", Path(place) / "own.safetensors"
        for name, (train, _) in parts.items():
            (folder / name).mkdir(parents=True)
            for path in train:
                (folder / name / path.name).symlink_to(path.resolve())
        began, used = time.perf_counter(), time.process_time()
        arguments = ["--data", str(folder), "-o", str(file), "--cache", str(Path(place) / "cache"), *more]
        if fit_head([*arguments, "--quiet"]):
            raise SemcompError("semcomp-fit-head failed")
        seconds, used = time.perf_counter() - began, time.process_time() - used
        head, right = load_head(file), list[bool]()
        for name, (_, test) in parts.items():
            for path in test:
                answer = head(codec.latents(codec.encode(read_rgb(path))))
                assert isinstance(answer, Labels)
                right.append(answer.names[:1] == (name,))
    return round(100 * float(np.mean(right)), 2), round(seconds, 1), round(used, 1), head.origin


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; the exit status."""
    example = "python -m benchmarks.fit_head caltech101 --classes bonsai chandelier hawksbill -o out/fit_head.json"
    parser = common.make_parser("fit_head", __doc__, example)
    parser.add_argument("folder", type=Path, help="a folder of pictures for each class")
    parser.add_argument("--classes", nargs="+", required=True, metavar="NAME", help="folders of the classes")
    parser.add_argument("--train", type=int, default=60, metavar="N", help="pictures of a class to learn from (60)")
    parser.add_argument("--test", type=int, default=40, metavar="N", help="pictures of a class to be asked about (40)")
    parser.add_argument("--fit", nargs="*", default=[], metavar="ARG", help="more of semcomp-fit-head, without dashes")
    options = parser.parse_args(arguments)
    codec = common.load_codec(options, threads=1)
    parts = parts_of(options.folder, options.classes, train=options.train, test=options.test)
    more = [part if index % 2 else f"--{part}" for index, part in enumerate(options.fit)]
    head, seconds, used, origin = head_of(codec, parts, more)
    probe = probe_of(parts)
    share = round(100 * head / max(probe, 1e-9), 1)
    asked = sum(len(test) for _, test in parts.values())
    result = {"classes": options.classes, "train": options.train, "asked": asked, "head": head, "probe": probe}
    result |= {"share": share, "seconds": seconds, "cpu_seconds": used, "origin": origin}
    table = (
        f"{len(parts)} x {options.train} pictures, {asked} others asked\n"
        f"semcomp-fit-head {head:8.2f} %  {seconds:.0f} s, {used:.0f} of the processor\n"
        f"linear probe     {probe:8.2f} %\n{origin}"
    )
    checks = [
        at_least("right answers, of those of the probe", share, GOAL, " %"),
        at_most("minutes to make the head", seconds / 60, MINUTES, ""),
    ]
    return common.finish("fit_head", options, result=result, checks=checks, table=table)


if __name__ == "__main__":
    sys.exit(common.guarded(main))
