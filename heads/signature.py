"""Fits what near-duplicates are found by: python -m heads.signature photos/ -o semcomp/weights/signature.safetensors

Every photo is encoded as it is and in a few variants: other qualities, JPEG, other sizes, crops. The projection is the
one that separates photos best from what these variants change (linear discriminant analysis, Fisher 1936). Photos that
did not fit it set the threshold: no two different ones reach it.
"""

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import save as serialized
from tqdm import tqdm

from heads.command_line import photos_parser, run
from heads.datasets import drawn_pictures, read_rgb
from semcomp.codec.codec import Codec, load
from semcomp.imaging.picture import from_array
from semcomp.semantics.signature import FORMAT, Signature, fields_of
from semcomp.storage.files import write_whole

CHANNELS = 8
"""K"""
RIDGE = 0.03
"""Share of the mean variance that is added to what variants change."""
MARGIN = 0.02
"""What the threshold is above the most similar ones of different photos."""
LARGEST = 512
"""Photos are reduced to this longest side first."""


@dataclass(frozen=True)
class Views:
    """One photo: fields of the photo and of its variants, each (Z, 3, 3)."""

    original: NDArray[np.float32]
    variants: tuple[NDArray[np.float32], ...]


def variant_of(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Crop, resize and recompress a photo at random, each in one of two cases."""
    if rng.random() < 0.5:
        share = rng.uniform(0.75, 0.98)
        width, height = round(image.width * share), round(image.height * share)
        left, top = int(rng.integers(image.width - width + 1)), int(rng.integers(image.height - height + 1))
        image = image.crop((left, top, left + width, top + height))
    if rng.random() < 0.5:
        factor = np.exp(rng.uniform(np.log(0.45), np.log(1.5)))
        size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
        image = image.resize(size, Image.Resampling.BICUBIC)
    if rng.random() < 0.5:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=int(rng.integers(20, 90)))
        image = Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")
    return image


@torch.inference_mode()
def fields(codec: Codec, image: Image.Image, *, quality: int) -> NDArray[np.float32]:
    """Encode an image as far as z."""
    picture = from_array(np.asarray(image))
    _, z = codec.coder.scaled(codec.analyse(picture), quality=quality)
    return fields_of(z[0].cpu().numpy().astype(np.int16), width=picture.width, height=picture.height)


def views_of(codec: Codec, path: Path, *, variants: int, rng: np.random.Generator) -> Views:
    """Encode a photo and variants of it."""
    image = Image.fromarray(read_rgb(path))
    image.thumbnail((LARGEST, LARGEST), Image.Resampling.BICUBIC)
    made = (fields(codec, variant_of(image, rng), quality=int(rng.integers(5, 101))) for _ in range(variants))
    return Views(fields(codec, image, quality=75), tuple(made))


def projection_of(views: Sequence[Views]) -> NDArray[np.float32]:
    """Find the directions in which photos differ most, compared with what variants change: (Z, K)."""

    def covariance(values: NDArray[np.float32]) -> NDArray[np.float64]:
        rows = values.transpose(0, 2, 3, 1).reshape(-1, values.shape[1]).astype(np.float64)
        return rows.T @ rows / len(rows)

    within = covariance(np.stack([variant - one.original for one in views for variant in one.variants]))
    within += RIDGE * np.trace(within) / len(within) * np.eye(len(within))
    between = covariance(np.stack([one.original for one in views]))
    root = np.linalg.inv(np.linalg.cholesky(within))
    _, vectors = np.linalg.eigh(root @ between @ root.T)
    projection: NDArray[np.float32] = (root.T @ vectors[:, : -CHANNELS - 1 : -1]).astype(np.float32)
    return projection


def similarities(signature: Signature, views: Sequence[Views]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compare signatures: the cosines of each photo with its variants (N, V), and the highest with another photo (N,).

    Variants of the other photos count too.
    """

    def unit(values: NDArray[np.float32]) -> NDArray[np.float64]:
        projected = np.einsum("...zrc,zk->...krc", values, signature.projection).reshape(*values.shape[:-3], -1)
        rows: NDArray[np.float64] = projected / np.linalg.norm(projected, axis=-1, keepdims=True).clip(1e-9)
        return rows

    originals = unit(np.stack([one.original for one in views]))
    variants = unit(np.stack([np.stack(one.variants) for one in views]))
    every = np.concatenate([originals[:, None], variants], 1)
    different = np.einsum("nd,mvd->nmv", originals, every)
    different[np.arange(len(originals)), np.arange(len(originals))] = -1
    return np.einsum("nd,nvd->nv", originals, variants), different.max((1, 2))


def fit(
    codec: Codec, paths: Sequence[Path], *, held: int, variants: int = 4, seed: int = 0, quiet: bool = False
) -> Signature:
    """Fit a signature to a codec.

    Args:
        codec: The codec.
        paths: Photos.
        held: How many of them, the last ones, set the threshold instead of the projection.
        variants: Variants of each photo.
        seed: Seed of the variants.
        quiet: Whether the progress bar is left out.
    """
    bar = tqdm(paths, desc="photos", unit="photo", disable=quiet, leave=False)
    views = [
        views_of(codec, path, variants=variants, rng=np.random.default_rng((seed, k))) for k, path in enumerate(bar)
    ]
    signature = Signature(projection=projection_of(views[:-held]), threshold=1.0, entropy_id=codec.entropy_id)
    alike, different = similarities(signature, views[-held:])
    threshold = round(min(0.98, float(different.max()) + MARGIN), 3)
    origin = (
        f"{len(views) - held} photos, {variants} variants of each; finds {100 * (alike >= threshold).mean():.1f} % of "
        f"the variants of {held} other photos and no wrong one; the most similar ones of these have "
        f"{different.max():.3f}"
    )
    return replace(signature, threshold=threshold, origin=origin)


def save(signature: Signature, path: Path) -> None:
    """Write the file of a signature."""
    metadata = {
        "format": FORMAT,
        "entropy_id": signature.entropy_id.hex(),
        "threshold": str(signature.threshold),
        "origin": signature.origin,
    }
    write_whole(str(path), serialized({"projection": signature.projection}, metadata=metadata))


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    told = "Fit the signature by which near-duplicates are found."
    o = photos_parser("heads.signature", description=told, output="signature.safetensors", limit=500).parse_args(argv)

    def work() -> None:
        paths = drawn_pictures(o.folder, o.limit)
        order = np.random.default_rng(1).permutation(len(paths))
        quiet = o.quiet or not sys.stderr.isatty()
        chosen = [paths[k] for k in order]
        signature = fit(load(o.model), chosen, held=max(1, len(paths) // 3), quiet=quiet)
        save(signature, o.output)
        print(f"{o.output}  threshold {signature.threshold}\n  {signature.origin}")

    return run("heads.signature", work, interrupted="")


if __name__ == "__main__":
    sys.exit(main())
