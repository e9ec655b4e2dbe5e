"""Latents on disk: every training picture is cut, recoloured and encoded a few times, once, before training.

Augmentation happens in pixels, because a mirrored picture has not mirrored latents; what is stored is what a file of
that crop would give. A cache is a folder of .npy files that are mapped into memory, named by a hash of all that it
depends on, so that a second training on the same data starts at once.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from heads.datasets import DataConfig, Dataset, Sample, read_rgb
from semcomp.codec.codec import Codec
from semcomp.errors import MissingExtraError
from semcomp.semantics.results import VOID
from semcomp.torchvision_compat import declare_missing_operators

VERSION = 2
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
    often: NDArray[np.float64] | None = None
    """How often each crop is seen, (N,); None for all alike."""
    trust: NDArray[np.float32] | None = None
    """Weight of each crop's label in the loss, (N,); None for 1."""

    def __len__(self) -> int:
        return len(self.quality)


def default_folder() -> Path:
    """Where caches lie unless told otherwise."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "semcomp" / "latents"


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
    """The cache of a dataset, made where it is not there yet. `teachers` fill `teacher` and `features`."""
    recipe = _Recipe(codec=codec, dataset=dataset, config=config, source=source, seed=seed, teachers=teachers or {})
    place = folder / recipe.digest
    if not place.is_dir():
        _make(recipe, place, quiet=quiet)
    arrays = {path.stem: np.load(path, mmap_mode="r") for path in place.glob("*.npy")}
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

    @property
    def key(self) -> str:
        """JSON that changes with the contents of the cache."""
        key = {
            "version": VERSION,
            "codec": self.codec.release.weights_id.hex(),
            "source": self.source,
            "seed": self.seed,
            "teachers": {name: teacher.digest for name, teacher in self.teachers.items()},
            "data": asdict(self.config),
            "files": [[_state(s.image), _state(s.target)] for s in self.dataset.train],
        }
        return json.dumps(key, sort_keys=True)

    @property
    def digest(self) -> str:
        """Name of the cache's folder."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:16]

    def rows(self, entry: tuple[int, Sample]) -> list[dict[str, Any]]:
        """Make the crops of one numbered picture: a row of every array each."""
        number, sample = entry
        pixels, mask = read_rgb(sample.image), self.dataset.mask(sample)
        if mask is not None and mask.shape != pixels.shape[:2]:
            raise ValueError(f"{sample.target} is {mask.shape[1]}x{mask.shape[0]}, its picture is of another size")
        draws = [np.random.default_rng((self.seed, number, copy)) for copy in range(self.config.copies)]
        return [self._row(sample, pixels, mask, rng) for rng in draws]

    def _row(
        self, sample: Sample, pixels: NDArray[np.uint8], mask: NDArray[np.uint8] | None, rng: np.random.Generator
    ) -> dict[str, Any]:
        crop, target = augment(pixels, mask, self.config, rng)
        quality = int(rng.integers(self.config.qualities[0], self.config.qualities[1] + 1))
        return {
            "value": given(self.codec, crop, quality=quality, source=self.source),
            "quality": np.uint8(quality),
            "target": np.int64(sample.target) if target is None else target,  # type: ignore[arg-type]
            **{name: teacher.answer(crop) for name, teacher in self.teachers.items()},
        }


def _state(source: int | Path) -> int | list[str | int]:
    """Path, size and time of a file, so that a picture or a mask that was changed is encoded again."""
    return source if isinstance(source, int) else [str(source.resolve()), (at := source.stat()).st_size, at.st_mtime_ns]


def _make(recipe: _Recipe, place: Path, *, quiet: bool) -> None:
    """Make a cache in a folder of its own, which gets its name when it is complete."""
    temporary = place.parent / f".{place.name}.{os.getpid()}"
    temporary.mkdir(parents=True)
    try:
        _fill(recipe, temporary, quiet=quiet)
        (temporary / "key.json").write_text(json.dumps(json.loads(recipe.key), indent=1))
        if not place.is_dir():  # else another process has made the same one meanwhile
            temporary.rename(place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _fill(recipe: _Recipe, place: Path, *, quiet: bool) -> None:
    """Write the arrays of a cache; the copies of one picture lie beside each other."""
    pictures = list(enumerate(recipe.dataset.train))
    total = len(pictures) * recipe.config.copies
    arrays: dict[str, Any] = {}
    bar = tqdm(total=total, desc="encoding crops", unit="crop", disable=quiet, leave=False)
    with single_threaded_pool() as pool, bar:
        rows = (row for rows in _in_order(pool, recipe.rows, pictures) for row in rows)
        for number, row in enumerate(rows):
            for name, value in row.items():
                value = np.asarray(value)
                if name not in arrays:
                    arrays[name] = np.lib.format.open_memmap(  # type: ignore[no-untyped-call]
                        place / f"{name}.npy", "w+", dtype=value.dtype, shape=(total, *value.shape)
                    )
                arrays[name][number] = value
            bar.update()
    for array in arrays.values():
        array.flush()


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[Any], Any], items: list[Any], *, ahead: int = 8
) -> Iterator[Any]:
    """`pool.map` that holds only a few results at a time."""
    waiting = [pool.submit(work, item) for item in items[:ahead]]
    for item in [*items[ahead:], *[None] * len(waiting)]:
        yield waiting.pop(0).result()
        if item is not None:
            waiting.append(pool.submit(work, item))


@contextmanager
def single_threaded_pool() -> Iterator[ThreadPoolExecutor]:
    """Threads, one a core, each with one thread of torch's own: small pictures gain nothing by more."""
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)


def augment(
    pixels: NDArray[np.uint8], mask: NDArray[np.uint8] | None, config: DataConfig, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """A random crop of side S, uint8 (S, S, 3), and of its mask, uint8 (S, S).

    With a mask the crop is scaled by `zoom`, so that things keep about their size; without, it shows `area` of the
    picture, whatever its size. A mask that is smaller than the window is filled up with VOID, or enlarged.
    """
    height, width = pixels.shape[:2]
    if mask is None:
        share = rng.uniform(config.area[0], config.area[1])
        aspect = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
        h = min(height, round(np.sqrt(share * height * width / aspect)))
        w = min(width, round(np.sqrt(share * height * width * aspect)))
    else:
        h = w = round(config.side / np.exp(rng.uniform(np.log(config.zoom[0]), np.log(config.zoom[1]))))
        if config.enlarge:
            h = w = min(h, height, width)
        short = (max(0, h - height), max(0, w - width))
        if any(short):
            edges = ((0, short[0]), (0, short[1]))
            pixels = np.pad(pixels, (*edges, (0, 0)), mode="reflect" if min(height, width) > max(short) else "edge")
            mask = np.pad(mask, edges, constant_values=VOID)
            height, width = mask.shape
    top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    flip = rng.random() < 0.5
    box, size = (left, top, left + w, top + h), (config.side, config.side)
    crop = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC, box=box))
    if mask is not None:
        mask = np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST, box=box))
        mask = np.ascontiguousarray(mask[:, ::-1] if flip else mask)
    crop = recolour(np.ascontiguousarray(crop[:, ::-1] if flip else crop), config.recolour, rng)
    return crop, mask


def _transforms() -> Any:
    """Import torchvision's transforms, which only training needs."""
    declare_missing_operators()
    try:
        from torchvision.transforms.v2 import functional
    except ImportError as error:
        raise MissingExtraError("Training a head", "train") from error
    return functional


def recolour(crop: NDArray[np.uint8], most: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Brightness, contrast and saturation changed by up to `most`, each. uint8 (H, W, 3)."""
    tensor = torch.from_numpy(crop.copy()).permute(2, 0, 1)
    transforms = _transforms()
    for change in (transforms.adjust_brightness, transforms.adjust_contrast, transforms.adjust_saturation):
        tensor = change(tensor, 1 + float(rng.uniform(-most, most)))
    return tensor.permute(1, 2, 0).contiguous().numpy()


def whole_pictures(
    codec: Codec, dataset: Dataset, config: DataConfig, *, source: str, quiet: bool = False
) -> list[tuple[Tensor, int, int | NDArray[np.uint8]]]:
    """Validation: (what a network is given, quality, target) of whole pictures, each at a quality drawn once."""
    low, high = config.qualities
    qualities = np.random.default_rng(0).integers(low, high + 1, len(dataset.val))

    def one(entry: tuple[int, Sample]) -> tuple[Tensor, int, int | NDArray[np.uint8]]:
        number, sample = entry
        quality, pixels = int(qualities[number]), dataset.pixels(sample)
        value = to_network(given(codec, pixels, quality=quality, source=source)[None])
        return value.half(), quality, dataset.truth(sample)

    with single_threaded_pool() as pool:
        results = _in_order(pool, one, list(enumerate(dataset.val)))
        return list(tqdm(results, total=len(dataset.val), desc="validation", disable=quiet, leave=False))
