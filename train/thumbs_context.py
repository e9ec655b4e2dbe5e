"""Fits the context model of thumbnail codes.

    python -m train.thumbs_context configs/thumbs_context.yaml -o out/thumbs_code

The coder's walk is simulated on batches: the network sees the same integer features as in use. Then the network is
rounded, and the probability tables are counted with the rounded one. It writes code.npz.
"""

import argparse
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from semcomp.thumbs.context import FEATURES, SHIFT, ContextTables, features
from semcomp.thumbs.context import scales as exact
from semcomp.thumbs.pixels import PixelTables, shape
from semcomp.thumbs.walk import BINS, CodeTables, bins
from train.command_line import read_config
from train.thumbs_simulation import (
    Visit,
    chances_by_laplace,
    coefficients,
    constants,
    laplace,
    simulate,
    weights_of,
    zones_of,
)
from train.thumbs_softcode import LEVELS as TRAINED

Ints = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class ContextConfig:
    """One run."""

    data: str = "out/thumbs"
    """Folder that train.thumbs_data wrote."""
    shaping: str = ""
    """pixels.npz of train.thumbs_pixels where short codes are fitted, or nothing for long ones."""
    start: str = ""
    """code.npz of an earlier run whose network this one goes on with, or nothing."""
    take_every: int = 6
    """Use every sixth training thumbnail."""
    steps: int = 300
    batch: int = 16
    rate: float = 4e-3
    hidden: tuple[int, ...] = (16,)
    chroma: float = 0.75
    """Weight of chroma coefficients."""
    lowest: float = 0.5
    """How far the weight of luma's lowest frequencies falls, from 0 (not at all) to 1."""
    alpha: float = 0.6
    """Weight of alpha's coefficients."""
    first: float = 0.12
    second: float = 0.015
    """Least probabilities of a plane's two passes."""
    planes: int = 3
    """Lowest plane that is simulated while training."""


class Network(nn.Sequential):
    """Features (..., 19) -> offset of the scale from the prior, in 1/16 octave."""

    def __init__(self, hidden: Sequence[int]):
        sizes = [FEATURES, *hidden, 1]
        layers: list[nn.Module] = []
        for number, (a, b) in enumerate(itertools.pairwise(sizes)):
            layers += [nn.Linear(a, b), nn.ReLU()] if number + 2 < len(sizes) else [nn.Linear(a, b)]
        super().__init__(*layers)
        last = self[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def offset(self, x: NDArray[Any]) -> Tensor:
        result: Tensor = self(torch.from_numpy(x).float() / SHIFT)[..., 0] * 16
        return result

    def begin_with(self, layers: Sequence[tuple[NDArray[Any], NDArray[Any]]]) -> None:
        """Take over integer weights, as `rounded` gives them."""
        linear = [layer for layer in self if isinstance(layer, nn.Linear)]
        for number, (layer, (weight, bias)) in enumerate(zip(linear, layers, strict=True)):
            gain = 16 if number + 1 == len(linear) else SHIFT
            shift = SHIFT / 2 if number + 1 == len(linear) else 0
            layer.weight.data.copy_(torch.from_numpy(weight) / gain)
            layer.bias.data.copy_((torch.from_numpy(bias) - shift) / gain / SHIFT)

    def rounded(self) -> tuple[tuple[NDArray[Any], NDArray[Any]], ...]:
        """Integer weights: inputs are taken as they are, hidden values are 64 times, the output is in 1/16 octave."""
        linear = [layer for layer in self if isinstance(layer, nn.Linear)]
        pairs = []
        for number, layer in enumerate(linear):
            gain = 16 / SHIFT if number + 1 == len(linear) else 1.0
            weight = layer.weight.detach().double().numpy() * gain * SHIFT
            bias = layer.bias.detach().double().numpy() * gain * SHIFT * SHIFT
            pairs.append((np.rint(weight), np.rint(bias + SHIFT / 2 * (number + 1 == len(linear)))))
        return tuple(pairs)


def fit(config: ContextConfig, values: NDArray[Any], tables: ContextTables, zones: NDArray[Any]) -> Network:
    """Train the network on the bits that it costs; each plane counts by the share of the code that it adds."""
    torch.manual_seed(1)
    network = Network(config.hidden)
    if config.start:
        network.begin_with(read_code(Path(config.start))[1].context.layers)
    optimizer = torch.optim.Adam(network.parameters(), config.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    rng = np.random.default_rng(1)
    mean = 0.0
    for step in range(config.steps):
        batch = values[rng.integers(0, len(values), config.batch)]
        if rng.random() < 0.5:
            batch = batch.swapaxes(2, 3)
        estimates: list[Tensor] = []

        def scales(high: Ints, middle: Ints, plane: int, into: list[Tensor] = estimates) -> Ints:
            prior = tables.prior[: high.shape[1], : high.shape[2], : high.shape[2]]
            into.append(network.offset(features(tables, high, middle, plane)) + torch.from_numpy(prior))
            whole: Ints = np.floor(into[-1].detach().numpy()).astype(np.int64)
            return whole

        loss, total = torch.zeros(()), 0.0
        limits = (config.first, config.second)
        for visit in simulate(batch, tables.prior, zones, scales, chances_by_laplace, config.planes, limits):
            asked = torch.from_numpy(visit.asked)
            high = torch.from_numpy(visit.high).float()[asked]
            chance = laplace(estimates[-1][asked], high, visit.plane)
            reached = torch.from_numpy(visit.reached)[asked]
            bits = -torch.where(reached, chance, 1 - chance).log2().sum() / len(batch)
            total += float(bits.detach()) + visit.reached.sum() / len(batch)
            loss = loss + bits / max(total, 50.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        mean = total if not mean else 0.95 * mean + 0.05 * total
        if step % 20 == 19:
            print(
                f"{time.strftime('%H:%M:%S')} step {step + 1} loss {float(loss.detach()):.3f} bits {mean:.0f}",
                flush=True,
            )
    return network


def count(config: ContextConfig, values: Ints, tables: ContextTables, zones: Ints) -> dict[str, Ints]:
    """Probability tables of the rounded network, counted over thumbnails."""
    middle_bin = (np.arange(BINS) * 4 - 126) / 16
    seen = {name: np.zeros((3, BINS, 2)) for name in ("reach", "beyond", "refine", "centre")}
    prior_reach = np.stack(
        [laplace(torch.from_numpy(middle_bin * 16), torch.tensor(float(h)), 0).numpy() for h in (1, 2, 9)]
    )
    for start in range(0, len(values), 16):
        batch = values[start : start + 16]
        limits = (config.first, config.second)
        for visit in simulate(
            batch, tables.prior, zones, lambda h, m, p: exact(tables, h, m, p), chances_by_laplace, 0, limits
        ):
            _count_visit(seen, visit)
    reach = _shares(seen["reach"], prior_reach)
    beyond = _shares(seen["beyond"].sum(0, keepdims=True), np.full((1, BINS), 0.3))[0]
    refine = _shares(seen["refine"], np.repeat([[0.42], [0.46], [0.48]], BINS, 1))
    weight = np.array([0.44, 0.48, 0.49])[:, None]
    centre = (seen["centre"][..., 0] + 40 * weight) / (seen["centre"][..., 1] + 40)
    as_probability = {"reach": reach, "beyond": beyond, "refine": refine}
    result = {name: np.clip(np.rint(65536 * v), 24, 65536 - 24).astype(np.int64) for name, v in as_probability.items()}
    return {**result, "centre": np.rint(256 * centre).astype(np.int64)}


def _count_visit(seen: dict[str, NDArray[Any]], visit: Visit) -> None:
    slot = bins(visit.scale, visit.plane)
    case = np.clip(visit.high - visit.plane, 1, 3) - 1
    for bit in (0, 1):
        mask = visit.asked & (visit.reached == bool(bit))
        np.add.at(seen["reach"][..., bit], (case[mask], slot[mask]), 1)
    exponent = np.floor(np.log2(np.maximum(visit.magnitude, 1))).astype(np.int64)
    for step in range(3):
        plane = visit.plane + step
        mask = visit.reached & (exponent >= plane) & (visit.high > plane + 1)
        far = exponent > plane
        for bit in (0, 1):
            chosen = mask & (far == bool(bit))
            np.add.at(seen["beyond"][0, :, bit], bins(visit.scale, plane)[chosen], 1)
    told = visit.reached & (exponent == visit.plane)
    share = (visit.magnitude - (1 << visit.plane) + 0.0) / max((1 << visit.plane) - 1, 1)
    np.add.at(seen["centre"][0, :, 0], slot[told], share[told])
    np.add.at(seen["centre"][0, :, 1], slot[told], 1)
    if visit.refined is not None:
        known = np.clip(np.floor(np.log2(np.maximum(visit.known, 1))) - visit.plane, 1, 3).astype(np.int64) - 1
        up = (visit.magnitude >> visit.plane) & 1
        rest = (visit.magnitude & ((1 << visit.plane) - 1)) / max((1 << visit.plane) - 1, 1)
        for bit in (0, 1):
            chosen = visit.refined & (up == bit)
            np.add.at(seen["refine"][..., bit], (known[chosen], slot[chosen]), 1)
        after = np.minimum(known + 1, 2)
        np.add.at(seen["centre"][..., 0], (after[visit.refined], slot[visit.refined]), rest[visit.refined])
        np.add.at(seen["centre"][..., 1], (after[visit.refined], slot[visit.refined]), 1)


def _shares(counts: NDArray[Any], prior: NDArray[Any]) -> NDArray[Any]:
    """Share of ones, drawn towards a prior that weighs 20 counts."""
    return np.asarray((counts[..., 1] + 20 * prior) / (counts.sum(-1) + 20))


def shaped(pixels: NDArray[Any], file: str) -> NDArray[Any]:
    """Thumbnails (N, 32, 32, 3) as short codes of several lengths describe them, or unchanged without a file."""
    if not file:
        return pixels
    with np.load(file) as arrays:
        count = sum(name.startswith("shaping") and name.endswith("bias") for name in arrays)
        layers = tuple(
            (arrays[f"shaping{n}.weight"].astype(float), arrays[f"shaping{n}.bias"].astype(float)) for n in range(count)
        )
    levels = itertools.cycle(TRAINED)
    return np.stack(
        [shape(PixelTables(layers=layers), each, level) for each, level in zip(pixels, levels, strict=False)]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for code.npz")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a value of the file")
    options = parser.parse_args(arguments)
    config = read_config(parser, options, ContextConfig)
    weights = weights_of(chroma=config.chroma, lowest=config.lowest, alpha=config.alpha)
    pixels = np.load(Path(config.data) / "train.npy", mmap_mode="r")[:: config.take_every]
    values = coefficients(shaped(pixels, config.shaping), weights)
    alpha = coefficients(np.load(Path(config.data) / "alpha.npy"), weights)
    means = np.concatenate([np.abs(values).mean(0), np.abs(alpha).mean(0)])
    parts = constants(means)
    zones = zones_of(parts["prior"])
    print("zones", zones.tolist(), flush=True)
    network = fit(config, values, ContextTables(**parts, layers=()), zones)
    tables = ContextTables(**parts, layers=network.rounded())
    counted = count(config, values[:: max(1, len(values) // 480)], tables, zones)
    layers = {
        f"layer{n}.{kind}": v
        for n, pair in enumerate(tables.layers)
        for kind, v in zip(("weight", "bias"), pair, strict=True)
    }
    thresholds = np.rint(65536 * np.array([config.first, config.second])).astype(np.int64)
    options.output.mkdir(parents=True, exist_ok=True)
    np.savez(
        options.output / "code.npz", weights=weights, zones=zones, thresholds=thresholds, **parts, **counted, **layers
    )


def read_code(path: Path) -> tuple[NDArray[Any], CodeTables]:
    """Weights (4, 32, 32) and tables from code.npz."""
    with np.load(path) as file:
        a = dict(file)
    numbers = range(sum(name.endswith("bias") for name in a))
    context = ContextTables(
        prior=a["prior"],
        bound=a["bound"],
        inverse=a["inverse"],
        compand=a["compand"],
        layers=tuple((a[f"layer{n}.weight"], a[f"layer{n}.bias"]) for n in numbers),
    )
    first, second = a["thresholds"].tolist()
    return a["weights"], CodeTables(
        context=context,
        zones=a["zones"],
        reach=a["reach"],
        beyond=a["beyond"],
        refine=a["refine"],
        first=first,
        second=second,
        centre=a["centre"],
    )


if __name__ == "__main__":
    main()
