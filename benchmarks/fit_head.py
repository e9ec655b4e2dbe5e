"""A head of a user's own: semcomp-fit-head on a few pictures of a few classes, beside a linear probe.

The probe is logistic regression on the features of EfficientNet-Lite2 (extra `teach`), a network of 6 M parameters that
has seen ImageNet, of the original pictures. Both learn from the same pictures of each class, and are asked about other
pictures; the head reads them from files of quality 50. Seconds include everything that semcomp-fit-head does.

    head      what semcomp-fit-head makes, and the probe
    trunks    a linear probe on the features of each head that comes with semcomp, from the same files
"""

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks import common
from benchmarks.common import Check, at_least, at_most
from benchmarks.weights_ids import is_released, weights_ids
from heads.datasets import pictures_in, read_rgb
from heads.fit import main as fit_head
from heads.latent_cache import to_network
from heads.probe import logistic_regression
from heads.teachers.efficientnet import SIDE, Names
from semcomp.errors import SemcompError
from semcomp.networks.precision import fast_pixels
from semcomp.semantics.head import EMBED, Labels, head_names, load_embedder, load_head

GOAL = 90
"""Least share in percent of the probe's right answers that the head must give."""
MINUTES = 5
Parts = dict[str, tuple[list[Path], list[Path]]]
"""Pictures to learn from and others to be asked about, by class."""
MEASURED = ("head", "trunks")


def parts_of(folder: Path, names: list[str], *, train: int, test: int) -> Parts:
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
        return network.features_of(network.grid(x))[0].float()


def probe_of(parts: Parts, see: Callable[[Path], torch.Tensor]) -> float:
    """Right answers in percent of a linear probe on what `see` makes of a picture."""
    rows = [
        [(number, see(path)) for number, pair in enumerate(parts.values()) for path in pair[which]] for which in (0, 1)
    ]
    (x, target), (asked, truth) = (
        (torch.stack([f for _, f in part]), torch.tensor([number for number, _ in part])) for part in rows
    )
    centre, spread = x.mean(0), x.std(0).clamp_min(1e-3)
    weight, bias = logistic_regression((x - centre) / spread, target, len(parts))
    answers = F.linear((asked - centre) / spread, weight, bias).argmax(1)
    return round(100 * float((answers == truth).float().mean()), 2)


def trunks_of(codec: Any, parts: Parts, names: list[str]) -> dict[str, float]:
    """Right answers in percent of a linear probe on the features of each head."""
    embedders = {name: load_embedder(name) for name in names}
    vectors: dict[str, dict[Path, torch.Tensor]] = {name: {} for name in names}
    for path in (path for pair in parts.values() for half in pair for path in half):
        latents = codec.latents(codec.encode(read_rgb(path)))
        for name, embedder in embedders.items():
            vectors[name][path] = torch.from_numpy(embedder(latents).vector.astype(np.float32))
    return {name: probe_of(parts, seen.__getitem__) for name, seen in vectors.items()}


def head_of(codec: Any, parts: Parts, more: list[str]) -> tuple[float, float, float, str]:
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
    parser.add_argument("--only", nargs="+", choices=MEASURED, default=MEASURED, metavar="PART", help="head or trunks")
    parser.add_argument("--fit", nargs="*", default=[], metavar="ARG", help="more of semcomp-fit-head, without dashes")
    options = parser.parse_args(arguments)
    codec = common.load_codec(options, threads=1)
    parts = parts_of(options.folder, options.classes, train=options.train, test=options.test)
    asked = sum(len(test) for _, test in parts.values())
    result: dict[str, Any] = {"classes": options.classes, "train": options.train, "asked": asked}
    lines, checks = [f"{len(parts)} x {options.train} pictures, {asked} others asked"], list[Check]()
    if "head" in options.only:
        more = [part if index % 2 else f"--{part}" for index, part in enumerate(options.fit)]
        head, seconds, used, origin = head_of(codec, parts, more)
        probe = probe_of(parts, partial(features, Names()))
        share = round(100 * head / max(probe, 1e-9), 1)
        result |= {"head": head, "probe": probe, "share": share, "seconds": seconds, "cpu_seconds": used}
        result["origin"] = origin
        lines += [f"semcomp-fit-head {head:8.2f} %  {seconds:.0f} s, {used:.0f} of the processor"]
        lines += [f"linear probe     {probe:8.2f} %", origin]
        checks.append(at_least("right answers, of those of the probe", share, GOAL, " %"))
        checks.append(at_most("minutes to make the head", seconds / 60, MINUTES, ""))
    names = [name for name in (*head_names(), EMBED.stem) if is_released(name)]
    if "trunks" in options.only:
        result["trunks"] = trunks_of(codec, parts, names)
        lines += [f"probe on {name:<11}{right:5.2f} %" for name, right in result["trunks"].items()]
    seen = names if "trunks" in options.only else [name for name in names if f"trunk of {name}" in result["origin"]]
    return common.finish(
        "fit_head",
        options,
        result=result,
        checks=checks,
        table="\n".join(lines),
        weights=weights_ids([options.model, *seen]),
    )


if __name__ == "__main__":
    sys.exit(common.guarded(main))
