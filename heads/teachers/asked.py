"""What is asked about every original crop before a head learns: a teacher's scores, and the features of a guide."""

import hashlib
import threading
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from heads.datasets import DataError, Dataset
from heads.head_file import read_head
from heads.latent_cache import Teacher, to_network
from heads.squeezenet import SqueezeNet
from heads.teachers.deeplab import is_teacher, read_teacher
from heads.teachers.efficientnet import CLASSES, SIDE, Names, published_weights
from semcomp.networks.precision import fast_pixels

EFFICIENTNET = "efficientnet-lite2"
"""The word for the published EfficientNet-Lite2, in place of a file."""
TEACHER_SIDE = 320
"""Smaller crops are enlarged to this side for a teacher that segments, because it was trained on such."""


def teachers_of(
    dataset: Dataset, *, teacher: str | None, features: str | None, side: int, fine: bool = False
) -> dict[str, Teacher]:
    """Make the teachers of a head.

    Args:
        dataset: What the head learns from.
        teacher: File of a segmenting teacher, or of a head that sees pixels, or EFFICIENTNET for ImageNet's thousand
            names; None for none.
        features: SqueezeNet's file, or EFFICIENTNET; None for no guide.
        side: Side of a crop in pixels.
        fine: Whether to ask too what the backbone would read.

    Returns:
        The teachers, by the name of the cache's array that they fill.

    Raises:
        DataError: A teacher knows other classes.
        ModelError: A file holds something else.
        MissingExtraError: A package is missing that a teacher needs.
    """
    found = {}
    trunk = cache(_Trunk)
    if teacher == EFFICIENTNET:
        found["teacher"] = _features(trunk()) if dataset.task == "embed" else _names(trunk(), dataset)
    elif teacher:
        found["teacher"] = _segmenter(teacher, dataset) if is_teacher(teacher) else _head(teacher, dataset)
    if features == EFFICIENTNET:
        found["features"] = _grid(trunk(), side // 32)
    elif features:
        found["features"] = _squeezenet(features, side // 32)
    if fine:
        found["fine"] = _fine(trunk())
    return found


def guide_of(features: str) -> str:
    """Name the guide in words."""
    if features == EFFICIENTNET:
        return "EfficientNet-Lite2 (Tan and Le 2019, Apache-2.0)"
    return "SqueezeNet v1.0 (Iandola et al. 2016, BSD)"


def _segmenter(path: str, dataset: Dataset) -> Teacher:
    teacher = read_teacher(path)
    if teacher.info.classes != dataset.classes:
        raise DataError(f"the teacher {path} must know the same classes in the same order")

    def scores(crop: NDArray[np.uint8]) -> NDArray[np.float16]:
        # One look is enough: half of the crops are mirror images.
        return teacher.scores(crop, mirrored=False, short=TEACHER_SIDE).transpose(1, 2, 0).astype(np.float16)

    return Teacher(scores, _digest(Path(path)))


class _Trunk:
    """EfficientNet-Lite2. All that is asked about one crop after the other comes from one run."""

    def __init__(self) -> None:
        self.network = Names()
        self._seen = threading.local()

    def grid(self, crop: NDArray[np.uint8]) -> Tensor:
        """What the last block makes of a crop, enlarged to what the network was trained on: (1, 352, h, w)."""
        if getattr(self._seen, "crop", None) is not crop:
            x = to_network(crop[None])
            if x.shape[-1] < SIDE:
                x = F.interpolate(x, size=(SIDE, SIDE), mode="bilinear", antialias=True)
            with fast_pixels(x.device):
                self._seen.crop, self._seen.grid = crop, self.network.grid(x)
        grid: Tensor = self._seen.grid
        return grid


def _names(trunk: _Trunk, dataset: Dataset) -> Teacher:
    if len(dataset.classes) != CLASSES:
        raise DataError(f"{EFFICIENTNET} knows {CLASSES} classes, the data has {len(dataset.classes)}")

    @torch.inference_mode()
    def scores(crop: NDArray[np.uint8]) -> NDArray[np.float16]:
        grid = trunk.grid(crop)
        with fast_pixels(grid.device):
            return trunk.network.scores_of(grid)[0].half().numpy()

    return Teacher(scores, _digest(published_weights()))


def _features(trunk: _Trunk) -> Teacher:
    @torch.inference_mode()
    def features(crop: NDArray[np.uint8]) -> NDArray[np.float16]:
        grid = trunk.grid(crop)
        with fast_pixels(grid.device):
            return trunk.network.features_of(grid)[0].half().numpy()

    return Teacher(features, f"{_digest(published_weights())}-features")


def _grid(trunk: _Trunk, side: int) -> Teacher:
    @torch.inference_mode()
    def features(crop: NDArray[np.uint8]) -> NDArray[np.float16]:
        return F.adaptive_avg_pool2d(trunk.grid(crop).float(), side)[0].permute(1, 2, 0).half().numpy()

    return Teacher(features, _digest(published_weights()))


def _fine(trunk: _Trunk) -> Teacher:
    @torch.inference_mode()
    def features(crop: NDArray[np.uint8]) -> NDArray[np.float16]:
        x = to_network(crop[None])
        with fast_pixels(x.device):
            return trunk.network.fine_grid(x)[0].permute(1, 2, 0).half().numpy()

    return Teacher(features, f"{_digest(published_weights())}-fine")


def _head(path: str, dataset: Dataset) -> Teacher:
    head = read_head(path)
    if head.classes != dataset.classes or head.network.config.source != "pixels":
        raise DataError(f"the teacher {path} must see pixels and know the same classes in the same order")

    def scores(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        logits = head.logits(to_network(crop[None]), 1)[0]
        return (logits if logits.ndim == 1 else logits.permute(1, 2, 0)).half().numpy()

    return Teacher(scores, _digest(Path(path)))


def _squeezenet(path: str, grid: int) -> Teacher:
    network = SqueezeNet(path)

    def features(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        return network.grid(to_network(crop[None]), grid)[0].permute(1, 2, 0).half().numpy()

    return Teacher(features, _digest(Path(path)))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
