"""Crops of pictures and masks for a teacher: cut, scaled, mirrored and recoloured differently at every step."""

import hashlib
import json
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heads.augment import augment
from heads.class_balance import epoch, repeats
from heads.datasets import DataConfig, Dataset, read_rgb
from heads.latent_cache import to_network


@dataclass(frozen=True, kw_only=True)
class Crops:
    """A batch of crops."""

    pixels: Tensor
    """float32 (B, 3, S, S), RGB in [0, 1]."""
    target: Tensor
    """int64 (B, S, S): class numbers, and VOID."""
    trust: Tensor
    """Weight of each crop's labels, (B,)."""


class CropSource:
    """Draws crops of a data set without end. The order, and what is cut, follow from the seed and the step alone."""

    def __init__(
        self, dataset: Dataset, config: DataConfig, *, batch: int, rare: float, seed: int, counts: Path | None = None
    ):
        """Count the classes.

        Args:
            dataset: Pictures and masks.
            config: How they are cut.
            batch: Crops of a step.
            rare: Share of the pictures below which a class is rare, as in `repeats`.
            seed: Seed of the order and of the crops.
            counts: File that keeps the pixels of each class, so that a training that is resumed reads no mask first.
        """
        self.dataset, self.config, self.batch, self.seed = dataset, replace(config, copies=1), batch, seed
        self.often = _often(dataset, rare, counts)
        self.steps_an_epoch = max(1, round(self.often.sum() / batch))

    def crops(self, step: int) -> Crops:
        """Draw the crops of a step."""
        number, place = divmod(step, self.steps_an_epoch)
        order = epoch(self.often, np.random.default_rng((self.seed, number)))
        chosen = [order[k % len(order)] for k in range(place * self.batch, (place + 1) * self.batch)]
        rng = np.random.default_rng((self.seed, number, place))
        rows = [self._crop(int(index), rng) for index in chosen]
        return Crops(
            pixels=to_network(np.stack([pixels for pixels, _ in rows])).contiguous(memory_format=torch.channels_last),
            target=torch.from_numpy(np.stack([mask for _, mask in rows]).astype(np.int64)),
            trust=torch.tensor([self.dataset.train[index].trust for index in chosen]),
        )

    def _crop(self, index: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[Any]]:
        sample = self.dataset.train[index]
        pixels, mask = augment(read_rgb(sample.image), self.dataset.mask(sample), self.config, rng)
        assert mask is not None
        return pixels, mask


def _often(dataset: Dataset, rare: float, counts: Path | None) -> NDArray[np.float64]:
    """How often each picture is seen: as its set says, and more often where it shows a rare class; mean 1."""
    shown = _counted(dataset, counts)
    often: NDArray[np.float64] = repeats(shown, rare) * np.array([sample.often for sample in dataset.train])
    relative: NDArray[np.float64] = often / often.mean()
    return relative


def _counted(dataset: Dataset, file: Path | None) -> NDArray[np.float64]:
    """Pixels of each class in every eighth row and column of each mask, (N, K): read where they were counted before."""
    key = hashlib.sha256(json.dumps([dataset.classes, *_states(dataset)]).encode()).hexdigest()
    if file is not None and file.is_file():
        try:
            with np.load(file) as kept:
                if str(kept["key"]) == key:
                    shown: NDArray[np.float64] = kept["shown"]
                    return shown
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            pass  # a damaged file is written again
    shown = np.array([_pixels_of(dataset, sample) for sample in dataset.train])
    if file is not None:
        temporary = file.with_suffix(".part")
        with temporary.open("wb") as stream:
            np.savez(stream, key=key, shown=shown)
        temporary.replace(file)
    return shown


def _states(dataset: Dataset) -> list[list[Any]]:
    """Path, size and time of every mask."""
    stats = [(sample.target, Path(str(sample.target)).stat()) for sample in dataset.train]
    return [[str(path), found.st_size, found.st_mtime_ns] for path, found in stats]


def _pixels_of(dataset: Dataset, sample: Any) -> NDArray[np.float64]:
    mask = dataset.mask(sample)
    assert mask is not None
    return np.bincount(mask[::8, ::8].ravel(), minlength=256)[: len(dataset.classes)].astype(np.float64)
