"""Latents on disk: every training picture is cut, recoloured and encoded a few times, once, before training.

Augmentation happens in pixels, because a mirrored picture has not mirrored latents; what is stored is what a file of
that crop would give. A cache is two folders of .npy files that are mapped into memory, each named by a hash of all
that it depends on, so that a second training on the same data starts at once. What teachers say of a crop is kept apart
from its latents: a new codec asks for new latents only.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from heads.array_folders import Row, in_order, make_folders, single_threaded_pool
from heads.augment import augment
from heads.datasets import DataConfig, Dataset, Sample, read_rgb
from heads.halved_latents import seen_from
from semcomp.codec.codec import Codec

VERSION = 4
PARTS = ("given", "asked")
"""The two folders of a cache: what a network is given, and what is asked of it."""
SOURCES = ("latents", "decoded", "originals")
"""What a network is given: latents; or for comparison pixels, after the codec or before it."""


@dataclass(frozen=True)
class Teacher:
    """Something that is asked about every original crop, once."""

    answer: Callable[[NDArray[Any]], NDArray[Any]]
    """uint8 (S, S, 3) -> float16"""
    digest: str
    """Changes with what it answers."""


@dataclass(frozen=True, kw_only=True)
class Cache:
    """N training crops. What a network is given is kept with the channels last."""

    value: NDArray[Any]
    """float16 (N, S/16, S/16, M), or uint8 (N, S, S, 3)"""
    quality: NDArray[Any]
    """uint8 (N,)"""
    target: NDArray[Any]
    """int64 (N,), or uint8 (N, S, S)"""
    teacher: NDArray[Any] | None
    """float16 (N, K) or (N, S/4, S/4, K): a teacher's scores for the original crop"""
    features: NDArray[Any] | None
    """float16 (N, S/32, S/32, F): what a guide sees in the original crop"""
    fine: NDArray[Any] | None = None
    """float16 (N, S/16, S/16, 88): what a backbone would read if it saw the original crop"""
    often: NDArray[np.float64] | None = None
    """How often each crop is seen, (N,); None for all alike."""
    trust: NDArray[np.float32] | None = None
    """Weight of each crop's label in the loss, (N,); None for 1."""

    def __len__(self) -> int:
        return len(self.quality)


def to_network(value: NDArray[Any]) -> Tensor:
    """Stored crops (B, h, w, C) as the float32 (B, C, h, w) that a network takes; pixels become 0..1."""
    value = np.require(value, requirements=["C", "W"])  # torch warns of arrays that are read-only
    tensor = torch.from_numpy(value).permute(0, 3, 1, 2).float()
    return tensor.div_(255) if value.dtype == np.uint8 else tensor


def given(codec: Codec, pixels: NDArray[np.uint8], *, quality: int, source: str) -> NDArray[Any]:
    """What a network is given of one picture (H, W, 3): float16 (h, w, M), or uint8 (H, W, 3)."""
    if source == "originals":
        return pixels
    latents = codec.latents_of_image(pixels, quality=quality, precise=source == "decoded")
    if source == "decoded":
        return codec.render(latents)
    return latents.y_hat[0].permute(1, 2, 0).half().cpu().numpy()


def open_cache(
    codec: Codec,
    dataset: Dataset,
    config: DataConfig,
    *,
    source: str,
    folder: Path,
    seed: int = 0,
    teachers: Mapping[str, Teacher] | None = None,
    quiet: bool = False,
) -> Cache:
    """The cache of a dataset, made where it is not there yet, or from where it was interrupted.

    `teachers` fill `teacher`, `features` and `fine`.
    """
    recipe = _Recipe(codec=codec, dataset=dataset, config=config, source=source, seed=seed, teachers=teachers or {})
    places = {part: folder / recipe.digest(part) for part in PARTS}
    if missing := {part: place for part, place in places.items() if not place.is_dir()}:
        keys = {missing[part]: recipe.key(part) for part in missing}
        work = partial(recipe.rows, missing)
        make_folders(keys, work, pictures=len(dataset.train), copies=config.copies, quiet=quiet)
    arrays = {path.stem: np.load(path, mmap_mode="r") for place in places.values() for path in place.glob("*.npy")}
    filled: dict[str, Any] = {field.name: arrays.get(field.name) for field in fields(Cache)}
    for name in ("often", "trust"):
        values = np.repeat([getattr(sample, name) for sample in dataset.train], config.copies)
        filled[name] = None if (values == 1).all() else values
    return Cache(**filled)


@dataclass(frozen=True, kw_only=True)
class _Recipe:
    """All that a cache depends on."""

    codec: Codec
    dataset: Dataset
    config: DataConfig
    source: str
    seed: int
    teachers: Mapping[str, Teacher]

    @cached_property
    def _files(self) -> list[list[int | str]]:
        """What every file holds, which is read once for both parts."""
        with single_threaded_pool() as pool:
            return list(pool.map(lambda sample: [_digest(sample.image), _digest(sample.target)], self.dataset.train))

    def key(self, part: str) -> str:
        """JSON that changes with the contents of a part of the cache."""
        key = {"version": VERSION, "part": part, "seed": self.seed, "data": asdict(self.config), "files": self._files}
        if part == "given":
            key |= {"codec": self.codec.release.weights_id.hex(), "source": self.source}
        else:
            key |= {"teachers": {name: teacher.digest for name, teacher in self.teachers.items()}}
        return json.dumps(key, sort_keys=True)

    def digest(self, part: str) -> str:
        """Name of a part's folder."""
        return hashlib.sha256(self.key(part).encode()).hexdigest()[:16]

    def rows(self, places: Mapping[str, Path], number: int) -> list[dict[Path, Row]]:
        """Make the crops of one picture, each a row of the arrays of the parts that lie at `places`."""
        sample = self.dataset.train[number]
        pixels, mask = read_rgb(sample.image), self.dataset.mask(sample)
        if mask is not None and mask.shape != pixels.shape[:2]:
            raise ValueError(f"{sample.target} is {mask.shape[1]}x{mask.shape[0]}, its picture is of another size")
        crops = []
        for copy in range(self.config.copies):
            rng = np.random.default_rng((self.seed, number, copy))
            crop, target = augment(pixels, mask, self.config, rng)
            row = {}
            if "given" in places:
                row[places["given"]] = self._given(crop, rng)
            if "asked" in places:
                row[places["asked"]] = self._asked(crop, sample, target)
            crops.append(row)
        return crops

    def _given(self, crop: NDArray[np.uint8], rng: np.random.Generator) -> Row:
        quality = int(rng.integers(self.config.qualities[0], self.config.qualities[1] + 1))
        return {"value": given(self.codec, crop, quality=quality, source=self.source), "quality": np.uint8(quality)}

    def _asked(self, crop: NDArray[np.uint8], sample: Sample, target: NDArray[np.uint8] | None) -> Row:
        known = np.int64(sample.target) if target is None else target  # type: ignore[arg-type]
        return {"target": known, **{name: teacher.answer(crop) for name, teacher in self.teachers.items()}}


def _digest(source: int | Path) -> int | str:
    """Digest of a file's contents: a picture or a mask that was changed is encoded again, one that was moved is not."""
    return source if isinstance(source, int) else hashlib.sha256(source.read_bytes()).hexdigest()[:16]


def whole_pictures(
    codec: Codec,
    dataset: Dataset,
    config: DataConfig,
    *,
    source: str,
    halved_from: int | None = None,
    quiet: bool = False,
) -> list[tuple[Tensor, int, int | NDArray[np.uint8]]]:
    """Validation: (what a network is given, quality, target) of whole pictures, each at a quality drawn once.

    Latents of pictures whose shorter side has `halved_from` pixels are halved, as a head reads them.
    """
    low, high = config.qualities
    qualities = np.random.default_rng(0).integers(low, high + 1, len(dataset.val))

    def one(entry: tuple[int, Sample]) -> tuple[Tensor, int, int | NDArray[np.uint8]]:
        number, sample = entry
        quality, pixels = int(qualities[number]), dataset.pixels(sample)
        if source != "latents":
            value = to_network(given(codec, pixels, quality=quality, source=source)[None])
        else:
            value = seen_from(codec.latents_of_image(pixels, quality=quality), halved_from).y_hat.cpu()
        return value.half(), quality, dataset.truth(sample)

    with single_threaded_pool() as pool:
        results = in_order(pool, one, list(enumerate(dataset.val)))
        return list(tqdm(results, total=len(dataset.val), desc="validation", disable=quiet, leave=False))
