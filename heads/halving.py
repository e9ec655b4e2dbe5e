"""Fits what halves latents: python -m heads.halving photos/ -o semcomp/weights/halving.safetensors

Every photo is encoded as it is, at a quality of its own, and at half its size. The matrix makes the second latents of
the first with the least squared error. Photos that did not fit it tell how far it comes.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import save as serialized
from torch import Tensor
from tqdm import tqdm

from heads.command_line import photos_parser, run
from heads.datasets import DataError, drawn_pictures, read_rgb
from semcomp.codec.codec import Codec, load
from semcomp.semantics.halving import FORMAT, Halving
from semcomp.storage.files import write_whole
from semcomp.types import STRIDE_Y

LEAST, LARGEST = 384, 704
"""Sides in pixels: the least shorter one of a photo that counts, and how much of a side is taken."""
RIDGE = 2e-3
"""Ridge of the least squares, relative to channels of variance 1."""
QUALITIES = (5, 100)


@dataclass
class Squares:
    """Sums that the least squares need. Inputs are four positions and a 1."""

    gram: Tensor = field(default_factory=lambda: torch.zeros(()))
    product: Tensor = field(default_factory=lambda: torch.zeros(()))

    def add(self, pair: "Pair") -> None:
        """Count one photo in."""
        rows, wanted = pair.rows()
        self.gram = self.gram + (rows.T @ rows).double()
        self.product = self.product + (rows.T @ wanted).double()

    def solved(self) -> Tensor:
        """Solve for the matrix: (4 M + 1, M)."""
        scale = self.gram.diagonal().clamp_min(1e-6 * self.gram[-1, -1]).sqrt()
        scaled = self.gram / scale[:, None] / scale + RIDGE * torch.eye(len(scale), dtype=torch.float64)
        solved: Tensor = torch.linalg.solve(scaled, self.product / scale[:, None]) / scale[:, None]
        return solved


@dataclass(frozen=True)
class Pair:
    """Latents of a photo and of its half: (1, M, h, w) and (1, M, h/2, w/2)."""

    whole: Tensor
    half: Tensor

    def rows(self) -> tuple[Tensor, Tensor]:
        """What is known of each position of the half, (N, 4 M + 1), and what is wanted there, (N, M)."""
        known = F.unfold(self.whole, 2, stride=2)[0].T
        return F.pad(known, (0, 1), value=1.0), self.half[0].flatten(1).T


@torch.inference_mode()
def pair_of(codec: Codec, pixels: NDArray[np.uint8], rng: np.random.Generator) -> Pair:
    """Encode the upper left part of a photo (H, W, 3), and its half."""
    height, width = (min(side, LARGEST) // (2 * STRIDE_Y) * 2 * STRIDE_Y for side in pixels.shape[:2])
    whole = np.ascontiguousarray(pixels[:height, :width])
    way = Image.Resampling.BOX if rng.random() < 0.3 else Image.Resampling.LANCZOS
    half = np.asarray(Image.fromarray(whole).resize((width // 2, height // 2), way))
    quality = int(rng.integers(QUALITIES[0], QUALITIES[1] + 1))
    given = codec.latents_of_image(whole, quality=quality).y_hat
    return Pair(given.cpu(), codec.latents_of_image(half, quality=QUALITIES[1]).y_hat.cpu())


def fit(codec: Codec, pictures: Iterable[NDArray[np.uint8]], *, held: int, seed: int = 0) -> Halving:
    """Fit the halving of a codec.

    Args:
        codec: The codec.
        pictures: Photos, uint8 (H, W, 3) with sides of at least 32.
        held: How many of them, the first ones, tell how far it comes.
        seed: Seed of qualities and filters.
    """
    squares, kept, count, rng = Squares(), list[Pair](), 0, np.random.default_rng(seed)
    for pixels in pictures:
        pair = pair_of(codec, pixels, rng)
        if len(kept) < held:
            kept.append(pair)
        else:
            squares.add(pair)
            count += 1
    matrix = squares.solved().float()
    shares = []
    for rows, wanted in (pair.rows() for pair in kept):
        error = (rows @ matrix - wanted).square().sum()
        shares.append(float(error / (wanted - wanted.mean(0)).square().sum()))
    channels = matrix.shape[1]
    return Halving(
        weight=matrix[:-1].T.reshape(channels, channels, 2, 2).half().float().numpy(),
        bias=matrix[-1].half().float().numpy(),
        entropy_id=codec.entropy_id,
        origin=f"{count} photos; error {100 * np.mean(shares):.1f} % of the variance on {held} other photos",
    )


def save(halving: Halving, path: Path) -> None:
    """Write the file of a halving, in half precision."""
    metadata = {"format": FORMAT, "entropy_id": halving.entropy_id.hex(), "origin": halving.origin}
    tensors = {"weight": halving.weight.astype(np.float16), "bias": halving.bias.astype(np.float16)}
    write_whole(str(path), serialized(tensors, metadata=metadata))


def large_photos(folder: Path, limit: int) -> list[Path]:
    """Draw photos of a folder by seed 0 whose shorter side has at least LEAST pixels.

    DataError where there are not even two.
    """

    def is_large(path: Path) -> bool:
        with Image.open(path) as image:
            return bool(min(image.size) >= LEAST)

    found = [path for path in drawn_pictures(folder, None) if is_large(path)]
    if len(found) < 2:
        raise DataError(f"{folder} has not two photos whose shorter side has {LEAST} pixels")
    return [found[k] for k in np.random.default_rng(0).permutation(len(found))[:limit]]


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    told = "Fit the matrix that makes latents of half a picture."
    o = photos_parser("heads.halving", description=told, output="halving.safetensors", limit=300).parse_args(argv)

    def work() -> None:
        quiet = o.quiet or not sys.stderr.isatty()
        paths = large_photos(o.folder, o.limit)
        bar = tqdm(paths, desc="photos", unit="photo", disable=quiet, leave=False)
        halving = fit(load(o.model), map(read_rgb, bar), held=max(1, len(paths) // 8))
        save(halving, o.output)
        print(f"{o.output}  {halving.origin}")

    return run("heads.halving", work, interrupted="")


if __name__ == "__main__":
    sys.exit(main())
