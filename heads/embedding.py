"""Fits the embedding that comes with semcomp: python -m heads.embedding photos/ -o semcomp/weights/embed.safetensors

What the head `things` sees in a photo before it names it are some thousand values. Their principal components over many
photos keep in a few values which photos are alike (Jegou and Chum 2012, without whitening). Nothing is trained.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save as serialized
from tqdm import tqdm

from heads.command_line import photos_parser, run
from heads.datasets import DataError, drawn_pictures, read_rgb
from heads.photos import PART, Recall
from semcomp.codec.codec import Codec, load
from semcomp.semantics.embedding import Embedding
from semcomp.semantics.head import EMBED, Head, load_head
from semcomp.semantics.projection import FORMAT, Projection
from semcomp.storage.files import write_whole

VALUES = 128
QUALITIES = (5, 100)
Features = NDArray[np.float32]


def views(codec: Codec, head: Head, photos: Iterable[NDArray[np.uint8]], *, seed: int = 0) -> Iterator[Features]:
    """Give the features of each photo, uint8 (H, W, 3), and of a part of it, each at a quality of its own: (2, C)."""
    rng = np.random.default_rng(seed)
    for pixels in photos:
        height, width = (round(PART * side) for side in pixels.shape[:2])
        top, left = (int(rng.integers(0, extra + 1)) for extra in (pixels.shape[0] - height, pixels.shape[1] - width))
        rows = []
        for view in (pixels, np.ascontiguousarray(pixels[top : top + height, left : left + width])):
            latents = codec.latents_of_image(view, quality=int(rng.integers(QUALITIES[0], QUALITIES[1] + 1)))
            rows.append(head.features(head.seen(latents)))
        yield np.stack(rows)


def components(features: Features, *, values: int) -> tuple[Features, Features, float]:
    """Find the directions in which features (N, C) differ most.

    Returns:
        The matrix (D, C) and the shift (D,) that bring features to `values` values, or to as many as there are
        directions; and the share of the variance that these keep.
    """
    mean = features.mean(0, dtype=np.float64)
    _, spread, directions = np.linalg.svd(features - mean, full_matrices=False)
    matrix = directions[:values]
    share = float((spread[:values] ** 2).sum() / (spread**2).sum())
    return matrix.astype(np.float32), (-matrix @ mean).astype(np.float32), share


def fit(
    codec: Codec, head: Head, photos: Iterable[NDArray[np.uint8]], *, held: int, values: int = VALUES
) -> Projection:
    """Fit a projection to the features of a head.

    Args:
        codec: The codec.
        head: A head for its latents that gives features.
        photos: Photos, uint8 (H, W, 3).
        held: How many of them, the last ones, are asked about instead.
        values: Number of values of an embedding.

    Raises:
        ModelError: The head gives no features.
    """
    rows = np.stack(list(views(codec, head, photos)))
    matrix, shift, share = components(rows[:-held].reshape(-1, rows.shape[2]), values=values)
    half = Projection(
        weight=matrix.astype(np.float16).astype(np.float32),
        bias=shift.astype(np.float16).astype(np.float32),
        name=EMBED.stem,
        head=head.name,
        entropy_id=codec.entropy_id,
        origin=f"{len(rows) - held} photos; {len(shift)} values keep {100 * share:.1f} % of the features' variance",
    )
    score = Recall(())
    for number, pair in enumerate(rows[-held:]):
        for row, is_part in zip(pair, (False, True), strict=True):
            score.add(Embedding.of(half.of(row), head=half.name), (number, is_part))
    told = f"{score.figure} {score.figures['recall']:.1f} % of parts of {held} other photos"
    return replace(half, origin=f"{half.origin}; {told}")


def save(projection: Projection, path: Path) -> None:
    """Write the file of a projection, in half precision."""
    metadata = {"format": FORMAT, "entropy_id": projection.entropy_id.hex()}
    metadata |= {name: getattr(projection, name) for name in ("name", "head", "origin")}
    tensors = {"weight": projection.weight.astype(np.float16), "bias": projection.bias.astype(np.float16)}
    write_whole(str(path), serialized(tensors, metadata=metadata))


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    told = "Fit the embedding by which similar photos are found."
    parser = photos_parser("heads.embedding", description=told, output="embed.safetensors", limit=1500)
    parser.add_argument("--head", default="things", metavar="NAME", help="head whose features it reads (things)")
    o = parser.parse_args(argv)

    def work() -> None:
        paths = drawn_pictures(o.folder, o.limit)
        if len(paths) < 4:
            raise DataError(f"{o.folder} has {len(paths)} photos; at least four are needed")
        chosen = [paths[k] for k in np.random.default_rng(1).permutation(len(paths))]
        bar = tqdm(chosen, desc="photos", unit="photo", disable=o.quiet or not sys.stderr.isatty(), leave=False)
        projection = fit(load(o.model), load_head(o.head), map(read_rgb, bar), held=max(1, len(paths) // 4))
        save(projection, o.output)
        print(f"{o.output}\n  {projection.origin}")

    return run("heads.embedding", work, interrupted="")


if __name__ == "__main__":
    sys.exit(main())
