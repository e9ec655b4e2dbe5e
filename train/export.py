"""Turns a training run into released weights: python -m train.export runs/base semcomp/weights/base.safetensors

The program averages the weights, rounds them to what is stored, and fits integer tables to the latents of exactly
this model. The tables come from training photos: each is a histogram, smoothed by the density that it replaces.
"""

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from heads.datasets import read_rgb
from semcomp import config as configuration
from semcomp.bitstream.frequency_tables import TOTAL, Tables, quantize_pmf
from semcomp.codec.codec import Codec
from semcomp.codec.release import Release, parameters, save_release, stored_precision
from semcomp.imaging.picture import from_array
from semcomp.networks.model import CodecConfig, CodecModel
from semcomp.networks.rate_table import QUALITIES
from semcomp.networks.sigma import SCALES, Z_LIMIT, scale_table
from semcomp.types import Symbols
from train.checkpoint import load_state
from train.codec import RunConfig
from train.photos import find_photos

PHOTOS = 240
"""Number of training photos that tables are fitted to."""
Y_WIDTH = 1023
"""Largest magnitude of y that is counted. No table reaches this far."""
PRIOR_WEIGHT = 300.0
"""Weight of the ideal density, in counted symbols."""
TAIL = 2e-6
"""Smallest probability of a table's escape."""

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Frequencies = NDArray[np.uint32]

CARD = """# {name}

A codec for photographs, one model for every quality. {size:.1f} MB, {parameters:.2f} M parameters.

| | |
|---|---|
| model id | `{model_id}` |
| entropy id | `{entropy_id}` |
| trained | {steps} steps of {batch} crops of {crop}x{crop}, {minutes:.0f} minutes on {machine} |
| tables | fitted to {tables_from} of the training photos |

## Configuration

```yaml
{config}```
"""


class Histogram:
    """Counts of symbols: y by table, z by rate node and channel."""

    def __init__(self, config: CodecConfig):
        self.config = config
        self.y = np.zeros((SCALES, 2 * Y_WIDTH + 1))
        self.z = np.zeros((config.nodes * config.hyper, 2 * Z_LIMIT + 1))

    def add(self, symbols: Symbols, z_index: NDArray[np.integer[Any]]) -> None:
        """Counts an image. `z_index` holds the table number of every element of z (`LatentCoder.z_index`)."""
        coded = symbols.index >= 0
        values = np.clip(symbols.y[coded].astype(np.int64), -Y_WIDTH, Y_WIDTH) + Y_WIDTH
        self.y += _counts(symbols.index[coded].astype(np.int64), values, self.y.shape)
        self.z += _counts(z_index.astype(np.int64), symbols.z.astype(np.int64).ravel() + Z_LIMIT, self.z.shape)


def _counts(rows: Integers, columns: Integers, shape: tuple[int, ...]) -> Integers:
    return np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1]).reshape(shape)


def _table(counts: Floats, density: Floats) -> tuple[int, Frequencies]:
    """Returns (bound, frequencies). `counts` and the symmetrical `density` have the support -W..W."""
    width = len(counts) // 2
    mass = counts + PRIOR_WEIGHT * density / density.sum()
    tails = np.cumsum(mass[::-1])[::-1][width + 1 :] + np.cumsum(mass)[:width][::-1]  # mass at |v| >= 1, 2, ...
    bound = int(np.count_nonzero(tails / mass.sum() > TAIL))
    inside = mass[width - bound : width + bound + 1]
    escape = max(mass.sum() - inside.sum(), TAIL * mass.sum())
    return bound, quantize_pmf(np.append(inside, escape))


def _stack(rows: Sequence[tuple[int, Frequencies]]) -> Tables:
    bounds = np.array([bound for bound, _ in rows], np.int16)
    return Tables.from_arrays(bounds, np.concatenate([frequencies for _, frequencies in rows]))


def fit_tables_y(histogram: Histogram) -> Tables:
    """Fits the 64 tables of y. Each is smoothed by the Gaussian with its sigma."""
    normal = torch.distributions.Normal(0.0, 1.0)
    values = torch.arange(-Y_WIDTH, Y_WIDTH + 1, dtype=torch.float64)
    rows = []
    for counts, sigma in zip(histogram.y, scale_table().double(), strict=True):
        density = normal.cdf((values + 0.5) / sigma) - normal.cdf((values - 0.5) / sigma)
        rows.append(_table(counts, density.numpy()))
    return _stack(rows)


def fit_tables_z(histogram: Histogram) -> Tables:
    """Fits one table for each rate node and channel. Each borrows from its neighbours in rate, and from a Laplacian."""
    values = np.arange(-Z_LIMIT, Z_LIMIT + 1)
    counts = histogram.z.reshape(histogram.config.nodes, histogram.config.hyper, -1)
    shared = counts.copy()
    shared[1:] += 0.1 * counts[:-1]
    shared[:-1] += 0.1 * counts[1:]
    rows = []
    for row in shared.reshape(-1, counts.shape[-1]):
        total = max(row.sum(), 1.0)
        middle = (row * values).sum() / total
        spread = max((row * np.abs(values - middle)).sum() / total, 0.05)
        rows.append(_table(row, np.exp(-np.abs(values - middle) / spread) + 1e-12))
    return _stack(rows)


def uniform_tables(count: int) -> Tables:
    """Placeholder tables, used before any symbol was counted."""
    return _stack([(0, np.array([TOTAL // 2, TOTAL // 2], np.uint32))] * count)


def collect(codec: Codec, pictures: Sequence[NDArray[np.uint8]], *, optimise: bool, quiet: bool) -> Histogram:
    """Counts symbols over images, each at qualities that are spread over the whole range."""
    histogram = Histogram(codec.release.config)
    per_picture = 8
    for number, pixels in enumerate(tqdm(pictures, desc="fitting tables", disable=quiet)):
        picture = from_array(pixels)
        y = codec.analyse(picture)
        for step in range(per_picture):
            quality = 1 + (number * 7 + step * QUALITIES // per_picture) % QUALITIES
            symbols = codec.quantize(y, picture, quality=quality, optimise=optimise)
            histogram.add(symbols, codec.coder.z_index(symbols.z.shape, quality=quality))
    return histogram


def export(
    network: CodecModel, pictures: Sequence[NDArray[np.uint8]], *, name: str, skip_below: int, origin: str, quiet: bool
) -> Release:
    """Makes a release with tables fitted to `pictures`, uint8 (H, W, 3)."""
    weights = {
        key: stored_precision(key, value)
        for key, value in network.state_dict().items()
        if not key.startswith(("sigma_path.", "refiner."))
    }
    config = network.config

    def release(tables_y: Tables, tables_z: Tables) -> Release:
        return Release(
            name=name,
            config=config,
            weights=weights,
            sigma=network.sigma_path.released(),
            refiner=network.refiner.released() if network.refiner is not None else None,
            tables_y=tables_y,
            tables_z=tables_z,
            skip_below=skip_below,
            origin=origin,
        )

    draft = release(uniform_tables(SCALES), uniform_tables(config.nodes * config.hyper))
    first = collect(Codec(draft), pictures[::4], optimise=False, quiet=quiet)
    draft = release(fit_tables_y(first), fit_tables_z(first))
    second = collect(Codec(draft), pictures, optimise=True, quiet=quiet)
    return release(fit_tables_y(second), fit_tables_z(second))


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m train.export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python -m train.export runs/base semcomp/weights/base.safetensors",
    )
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("output", type=Path, help=".safetensors file to write; its stem is the codec's name")
    parser.add_argument(
        "--photos", type=int, default=PHOTOS, help=f"training photos that the tables see (default: {PHOTOS})"
    )
    parser.add_argument("--notes", type=Path, help="Markdown for the model card: data, licence, figures")
    parser.add_argument("--quiet", action="store_true")
    options = parser.parse_args(arguments)
    try:
        config = configuration.load(RunConfig, options.run / "config.yaml")
        state = load_state(options.run / "state.safetensors")
    except (ValueError, OSError) as error:
        parser.error(str(error))
    network = CodecModel(config.codec)
    codec_state = {k.removeprefix("codec."): v for k, v in state["average"].items() if k.startswith("codec.")}
    network.load_state_dict(codec_state)
    pictures = pictures_for_tables(config.data.photos, count=options.photos)
    origin = (
        f"train/codec.py, {state['step']} steps of {config.data.batch} crops of {config.data.crop}, "
        f"{state['seconds'] / 60:.0f} minutes"
    ) + (f", from {config.start_from}" if config.start_from else "")
    release = export(
        network, pictures, name=options.output.stem, skip_below=config.skip_below, origin=origin, quiet=options.quiet
    )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    save_release(release, options.output)
    row = {
        "file": str(options.output),
        "bytes": options.output.stat().st_size,
        "entropy_id": release.entropy_id.hex(),
        "model_id": release.model_id.hex(),
        "origin": origin,
    }
    print(json.dumps(row))
    card = model_card(release, config, state, size=options.output.stat().st_size, tables_from=len(pictures))
    options.output.with_suffix(".md").write_text(card + (f"\n{options.notes.read_text()}" if options.notes else ""))
    return 0


def model_card(release: Release, config: RunConfig, state: dict[str, Any], *, size: int, tables_from: int) -> str:
    """The model card with what the run itself knows. `--notes` adds data, licence and figures."""
    return CARD.format(
        name=release.name,
        size=size / 1e6,
        parameters=parameters(release) / 1e6,
        model_id=release.model_id.hex(),
        entropy_id=release.entropy_id.hex(),
        steps=state["step"],
        batch=config.data.batch,
        crop=config.data.crop,
        minutes=state["seconds"] / 60,
        machine=machine(),
        tables_from=tables_from,
        config=configuration.dump(config),
    )


def machine() -> str:
    """Describes this machine in words."""
    if torch.cuda.is_available():
        return f"one {torch.cuda.get_device_name()}"
    count = torch.get_num_threads()
    return f"{count} core{'s' * (count > 1)} ({platform.machine()}), no GPU"


def with_analysis(release: Release, analysis: nn.Module, *, name: str, origin: str) -> Release:
    """A copy of a release with another analysis. Its files stay valid, and decoding does not change."""
    moved = {f"analysis.{key}": stored_precision(key, value) for key, value in analysis.state_dict().items()}
    return replace(release, name=name, weights={**release.weights, **moved}, origin=origin)


def pictures_for_tables(folders: Sequence[str], *, count: int = PHOTOS) -> list[NDArray[np.uint8]]:
    """Reads about `count` photos below the folders, evenly spaced, uint8 (H, W, 3), to fit tables to."""
    paths = find_photos(folders)
    return [_middle(read_rgb(path)) for path in paths[:: max(1, len(paths) // count)]]


def _middle(pixels: NDArray[np.uint8], side: int = 512) -> NDArray[np.uint8]:
    """The middle of a photo. It is enough for counting, and gives every photo the same weight."""
    top, left = max(0, pixels.shape[0] - side) // 2, max(0, pixels.shape[1] - side) // 2
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])


if __name__ == "__main__":
    sys.exit(main())
