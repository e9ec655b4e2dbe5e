"""The lossless coder of Schiopu and Munteanu on luma: a large causal window, and networks of several depths and stages.

MED predicts every pixel from three neighbours. A network of Dense Residual Learning Blocks reads the 480 pixels of a
16x31 window that a decoder knows, and predicts by how much MED errs. It learns in two stages: squared errors first,
then absolute errors with a larger batch and a smaller step. An adaptive table for each of 16 contexts of neighbouring
errors codes what is left. Its size is counted row by row and no file is written, because this is a comparison and no
format: the network is in float32, and a decoder would need one step for each wavefront of pixels.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from benchmarks import common
from train.lossless_photos import load_pool

ABOVE, ASIDE = 15, 15
"""Rows above the pixel, and columns on either side."""
WINDOW = ABOVE * (2 * ASIDE + 1) + ASIDE
CONTEXTS = 16
VALUES = 511
"""Errors are -255..255."""
PRIOR = 16.0
"""A context counts as if it had seen this many errors of a Laplace distribution before the first row."""
SCALE = 32.0

Luma = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One network of the comparison."""

    blocks: int
    branches: int = 2

    @property
    def name(self) -> str:
        return f"{self.blocks} blocks" + (", three branches" if self.branches == 3 else "")


VARIANTS = (Variant(blocks=2), Variant(blocks=3), Variant(blocks=4), Variant(blocks=3, branches=3))


class Block(nn.Module):
    """Branches of 1, 2 (and 3) dense layers, added before the non-linearity."""

    def __init__(self, width: int, branches: int):
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(layer for _ in range(depth) for layer in (nn.ReLU(), nn.Linear(width, width))))[1:]
            for depth in range(1, branches + 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, width) to (N, width)."""
        return torch.relu(torch.stack([branch(x) for branch in self.branches]).sum(0))


class WindowNetwork(nn.Module):
    """A window less MED's prediction, (N, 480), to MED's error, (N,)."""

    def __init__(self, variant: Variant, width: int):
        super().__init__()
        blocks = [Block(width, variant.branches) for _ in range(variant.blocks)]
        self.layers = nn.Sequential(nn.Linear(WINDOW, width), nn.ReLU(), *blocks, nn.Linear(width, 1))

    def forward(self, windows: Tensor) -> Tensor:
        """Gray levels in, gray levels out."""
        errors: Tensor = self.layers(windows / SCALE)[:, 0]
        return errors * SCALE


def med(luma: Luma) -> NDArray[np.int16]:
    """The median edge detector of LOCO-I for every pixel; 128 stands for what is not there."""
    padded = np.pad(luma.astype(np.int16), ((1, 0), (1, 0)), constant_values=128)
    left, up, corner = padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1]
    low, high = np.minimum(left, up), np.maximum(left, up)
    predicted: NDArray[np.int16] = np.clip(left + up - corner, low, high)
    return predicted


def offsets(stride: int) -> NDArray[np.int64]:
    """Where the pixels of a window are from its pixel, in a flat image of this many columns."""
    rows, columns = np.mgrid[-ABOVE:1, -ASIDE : ASIDE + 1]
    found: NDArray[np.int64] = (rows * stride + columns).reshape(-1)[:WINDOW]
    return found


def padded_windows(luma: Luma, rows: slice) -> tuple[Tensor, NDArray[np.int16]]:
    """Windows less MED's predictions, (N, 480) float32, and the predictions, of some rows.

    Pixels outside the image count as equal to the prediction.
    """
    predicted = med(luma)
    outside = np.pad(luma.astype(np.int16), ((ABOVE, 0), (ASIDE, ASIDE)), constant_values=-1)
    places = np.arange(rows.start, rows.stop)[:, None] + ABOVE, np.arange(luma.shape[1])[None] + ASIDE
    flat = (places[0] * outside.shape[1] + places[1]).reshape(-1, 1)
    found = outside.reshape(-1)[flat + offsets(outside.shape[1])]
    middle = predicted[rows].reshape(-1, 1)
    return torch.from_numpy(np.where(found < 0, 0, found - middle).astype(np.float32)), predicted[rows]


def samples(photos: list[Luma], batch: int, rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Windows less MED's predictions, and its errors, from one photo a batch."""
    areas = np.array([photo.size for photo in photos], float)
    predictions = [med(photo) for photo in photos]
    while True:
        number = rng.choice(len(photos), p=areas / areas.sum())
        photo, predicted = photos[number].astype(np.int16), predictions[number]
        height, width = photo.shape
        rows, columns = rng.integers(ABOVE, height, batch), rng.integers(ASIDE, width - ASIDE, batch)
        middle = predicted[rows, columns]
        windows = photo.reshape(-1)[(rows * width + columns)[:, None] + offsets(width)] - middle[:, None]
        yield (
            torch.from_numpy(windows.astype(np.float32)),
            torch.from_numpy((photo[rows, columns] - middle).astype(np.float32)),
        )


def learn(network: WindowNetwork, photos: list[Luma], options: argparse.Namespace, *, stage: int, shown: Any) -> None:
    """One stage: squared errors, or absolute errors with four times the batch and a third of the step."""
    rng = np.random.default_rng(stage)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3 if stage == 1 else 3e-4)
    steps = options.steps if stage == 1 else options.steps // 4
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    drawn = samples(photos, options.batch * (1 if stage == 1 else 4), rng)
    for _ in range(steps):
        windows, errors = next(drawn)
        misses = (network(windows) - errors) / SCALE
        loss = misses.square().mean() if stage == 1 else misses.abs().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        shown.update()


@torch.no_grad()
def predict(network: WindowNetwork | None, luma: Luma) -> NDArray[np.int64]:
    """Predictions of every pixel, 0..255; MED's where there is no network."""
    if network is None:
        return med(luma).astype(np.int64)
    parts = []
    for start in range(0, luma.shape[0], 16):
        windows, predicted = padded_windows(luma, slice(start, min(start + 16, luma.shape[0])))
        corrected = predicted + network(windows).numpy().reshape(predicted.shape)
        parts.append(np.rint(np.clip(corrected, 0, 255)).astype(np.int64))
    return np.concatenate(parts)


def bits_of(luma: Luma, predicted: NDArray[np.int64]) -> float:
    """Bits of the errors under tables that count, one for each context, after each row."""
    errors = luma.astype(np.int64) - predicted
    size = np.pad(np.abs(errors), ((2, 0), (2, 2)))
    up, left = size[1:-1, 2:-2], size[2:, 1:-3]
    near = 2 * left + 2 * up + size[1:-1, 1:-3] + size[1:-1, 3:-1] + size[:-2, 2:-2] + size[2:, :-4]
    contexts = np.minimum(np.round(2 * np.log2(1 + near)), CONTEXTS - 1).astype(np.int64)
    spread = 0.4 * 2 ** (np.arange(CONTEXTS) / 2) / 3 + 0.3
    prior = np.exp(-np.abs(np.arange(VALUES) - VALUES // 2) / spread[:, None]) + 1e-6
    counts = PRIOR * prior / prior.sum(1, keepdims=True)
    bits = 0.0
    for row, context in zip(errors + VALUES // 2, contexts, strict=True):
        bits -= float(np.log2(counts[context, row] / counts.sum(1)[context]).sum())
        np.add.at(counts, (context, row), 1.0)
    return bits


def rate(network: WindowNetwork | None, photos: list[Luma]) -> float:
    """Bits a pixel over all photos."""
    bits = sum(bits_of(photo, predict(network, photo)) for photo in photos)
    return round(bits / sum(photo.size for photo in photos), 4)


def rivals(photos: list[Luma]) -> dict[str, float]:
    """Bits a pixel of files that codecs without a window of this size write."""
    from benchmarks.lossless import rivals as codecs

    pixels = sum(photo.size for photo in photos)
    kept = [codec for codec in codecs() if "WebP" not in codec.name]
    return {codec.name: round(8 * sum(len(codec.encode(photo)) for photo in photos) / pixels, 4) for codec in kept}


def read_luma(options: argparse.Namespace) -> list[Luma]:
    """The middle of the photos, evenly spaced where there are more than asked for."""
    photos = []
    for path in common.spread(common.find_photos(options.photos), options.limit):
        with Image.open(path) as image:
            luma = np.asarray(image.convert("L"))
        top, left = (max(0, (side - options.side) // 2) for side in luma.shape)
        photos.append(np.ascontiguousarray(luma[top : top + options.side, left : left + options.side]))
    return photos


def learned_from(options: argparse.Namespace) -> list[Luma]:
    """Luma of the photos to learn from."""
    pool = load_pool([str(path) for path in options.learn], smallest=64, shrink=False, cache=options.cache)
    shapes = zip(pool.offsets, pool.sizes, strict=False)
    return [
        np.asarray(Image.fromarray(pool.flat[at : at + 3 * height * width].reshape(height, width, 3)).convert("L"))
        for at, (height, width) in shapes
    ]


def table_of(rows: list[dict[str, Any]], others: dict[str, float], med_alone: float) -> str:
    """The result as text."""
    lines = [f"{'':<26}{'kMAC/px':>10}{'stage 1':>10}{'stage 2':>10}   bits a pixel of luma"]
    for row in rows:
        lines.append(f"{row['name']:<26}{row['kmac']:>10.0f}{row['bpp'][0]:>10.3f}{row['bpp'][1]:>10.3f}")
    lines.append(f"{'MED, the same tables':<26}{'':>10}{med_alone:>10.3f}")
    return "\n".join(lines + [f"{name:<26}{'':>10}{bpp:>10.3f}" for name, bpp in others.items()])


def main(arguments: list[str] | None = None) -> int:
    """Run the comparison; the exit status."""
    example = "python -m benchmarks.causal_window data/val/gb82 data/val/cid22 --learn data/lossless -o window.json"
    parser = common.make_parser("causal_window", __doc__, example)
    parser.add_argument("photos", nargs="+", type=Path, help="lossless photos to measure, or folders of them")
    parser.add_argument(
        "--learn", nargs="+", type=Path, required=True, metavar="DIR", help="lossless photos to learn from"
    )
    parser.add_argument("--cache", type=Path, default=Path("out/causal_window"), help="where decoded photos are kept")
    parser.add_argument("--limit", type=int, default=13, metavar="N", help="at most N photos (default: 13)")
    parser.add_argument("--side", type=int, default=256, metavar="PIXELS", help="of the middle crop (default: 256)")
    parser.add_argument("--steps", type=int, default=2000, help="of stage one; stage two has a quarter (default: 2000)")
    parser.add_argument("--batch", type=int, default=2048, help="windows a step of stage one (default: 2048)")
    parser.add_argument("--width", type=int, default=128, help="values of a hidden layer (default: 128)")
    options = parser.parse_args(arguments)
    options.cache.parent.mkdir(parents=True, exist_ok=True)
    photos, learned, rows = read_luma(options), learned_from(options), []
    best, total = np.inf, len(VARIANTS) * (options.steps + options.steps // 4)
    with common.progress([], total=total, label="steps", options=options) as shown:
        for variant in VARIANTS:
            torch.manual_seed(0)
            network, rates = WindowNetwork(variant, options.width), []
            for stage in (1, 2):
                learn(network, learned, options, stage=stage, shown=shown)
                rates.append(rate(network, photos))
            weights = sum(weight.numel() for weight in network.parameters() if weight.ndim == 2)
            best = min(best, rates[-1])
            rows.append({"name": variant.name, "kmac": weights / 1000, "bpp": rates})
    alone, others = rate(None, photos), rivals(photos)
    result = {"photos": len(photos), "side": options.side, "networks": rows, "med": alone, "files": others}
    checks = [common.at_most("bits a pixel of the best network, MED has", best, alone, "")]
    return common.finish("causal_window", options, result=result, checks=checks, table=table_of(rows, others, alone))


if __name__ == "__main__":
    sys.exit(common.guarded(main))
