"""The images that the generator is measured on: photos, or street scenes with masks and a network that judges them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import common
from heads.datasets import read_rgb
from heads.evaluate import PixelNetwork
from heads.find_dataset import find_dataset
from heads.fit_config import FitConfig
from heads.head_file import read_head
from semcomp import config as configuration
from semcomp.errors import SemcompError


@dataclass(frozen=True, kw_only=True)
class Scene:
    """An image, with its mask if there is one."""

    path: Path
    truth: Callable[[], NDArray[np.uint8]] | None = None

    def pixels(self) -> NDArray[np.uint8]:
        """uint8 (H, W, 3)."""
        return read_rgb(self.path)


def find_scenes(source: Path, judge: Path | None) -> tuple[list[Scene], PixelNetwork | None]:
    """Photos of a folder, or a configuration's validation images with their masks and the network that judges them.

    Raises:
        SemcompError: A folder has a judge, a configuration has none, or the judge does not fit.
    """
    if source.is_dir():
        if judge is not None:
            raise SemcompError(f"{source} has no masks, so --judge has nothing to do: name a segmenter's configuration")
        return [Scene(path=path) for path in common.find_photos([source])], None
    if judge is None:
        raise SemcompError(f"give --judge a network that sees pixels, to find the classes of {source}")
    config = configuration.load(FitConfig, source)
    dataset = find_dataset("segment", replace(config.data, hold_out=None))
    network = read_head(judge)
    if network.classes != dataset.classes or network.network.config.source != "pixels":
        raise SemcompError(f"{judge} must see pixels and know {', '.join(dataset.classes)}")
    return [Scene(path=sample.image, truth=partial(dataset.truth, sample)) for sample in dataset.val], network
