"""What a head that embeds is trained on: photos without labels, each of which is like itself and unlike the others.

    embed    FOLDER/**/*.jpg, or data.sets, several such folders

A held-out photo is asked about twice: whole, and a part of it at another quality. The figure says for how many of
these parts the nearest whole photo is the right one.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heads.datasets import DataConfig, DataError, Dataset, Sample, pictures_in, read_rgb
from heads.score import Answer, Score
from semcomp.semantics.embedding import Embedding

PART = 0.85
"""Share of its sides that the part of a held-out photo shows."""


class Recall(Score):
    """Counts how often the nearest whole photo is the one that a part was cut from. A truth is a number and which."""

    figure = "recall@1"

    def __init__(self, classes: tuple[str, ...]):
        super().__init__(classes)
        self.whole: dict[int, NDArray[np.float64]] = {}
        self.parts: dict[int, NDArray[np.float64]] = {}

    def add(self, answer: Answer, truth: Any) -> None:
        assert isinstance(answer, Embedding)
        number, is_part = truth
        vector = answer.vector.astype(np.float64)
        (self.parts if is_part else self.whole)[number] = vector / max(1e-9, float(np.linalg.norm(vector)))

    @property
    def figures(self) -> dict[str, float]:
        numbers = list(self.whole)
        known = np.stack([self.whole[number] for number in numbers])
        right = [numbers[int((known @ vector).argmax())] == number for number, vector in self.parts.items()]
        return {"recall": round(100 * float(np.mean(right)), 2)}

    @property
    def doubts(self) -> tuple[str, ...]:
        return ()


class Photos(Dataset):
    """Photos without labels."""

    task, score = "embed", Recall

    def mask(self, sample: Sample) -> None:
        return None

    def truth(self, sample: Sample) -> Any:
        assert isinstance(sample.target, int)
        return (abs(sample.target), sample.target < 0)

    def pixels(self, sample: Sample) -> NDArray[np.uint8]:
        pixels = read_rgb(sample.image)
        if not self.truth(sample)[1]:
            return pixels
        height, width = (round(PART * side) for side in pixels.shape[:2])
        top, left = (pixels.shape[0] - height) // 3, (pixels.shape[1] - width) // 3
        return np.ascontiguousarray(pixels[top : top + height, left : left + width])


def find_photos(config: DataConfig) -> Photos:
    """List photos, and hold some out. DataError where a folder has none."""
    folders = [one.folder for one in config.sets] or ([] if config.folder is None else [config.folder])
    if not folders:
        raise DataError("data.folder is missing: give --data FOLDER, or set it in the configuration")
    paths = []
    for folder in folders:
        found = pictures_in(Path(folder).expanduser(), below=True)
        if not found:
            raise DataError(f"no photo below {folder}")
        paths += found
    samples = [Sample(path, number) for number, path in enumerate(paths, start=1)]
    order = np.random.default_rng(0).permutation(len(samples)).tolist()
    held = max(1, round(config.held_part * len(samples)))
    chosen = sorted(order[held:][: config.limit])
    if len(chosen) < 2:
        raise DataError(f"there are {len(samples)} photos; at least three are needed")
    whole = [samples[k] for k in sorted(order[:held])]
    parts = [Sample(sample.image, -(k + 1)) for k, sample in zip(sorted(order[:held]), whole, strict=True)]
    train = tuple(replace(samples[k], target=place) for place, k in enumerate(chosen))
    return Photos(classes=(), train=train, val=(*whole, *parts))
