"""What is asked about every original crop before a head learns: a teacher's scores, and the features of a guide."""

import hashlib
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


def teachers_of(dataset: Dataset, *, teacher: str | None, features: str | None, side: int) -> dict[str, Teacher]:
    """Make the teachers of a head.

    Args:
        dataset: What the head learns from.
        teacher: File of a segmenting teacher, or of a head that sees pixels, or EFFICIENTNET for ImageNet's thousand
            names; None for none.
        features: SqueezeNet's file, or EFFICIENTNET; None for no guide.
        side: Side of a crop in pixels.

    Returns:
        The teachers, by the name of the cache's array that they fill.

    Raises:
        DataError: A teacher knows other classes.
        ModelError: A file holds something else.
        MissingExtraError: A package is missing that a teacher needs.
    """
    found = {}
    if teacher == EFFICIENTNET:
        found["teacher"] = _features() if dataset.task == "embed" else _names(dataset)
    elif teacher:
        found["teacher"] = _segmenter(teacher, dataset) if is_teacher(teacher) else _head(teacher, dataset)
    if features == EFFICIENTNET:
        found["features"] = _efficientnet(side // 32)
    elif features:
        found["features"] = _squeezenet(features, side // 32)
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
        return teacher.scores(crop, short=TEACHER_SIDE).transpose(1, 2, 0).astype(np.float16)

    return Teacher(scores, _digest(Path(path)))


def _names(dataset: Dataset) -> Teacher:
    if len(dataset.classes) != CLASSES:
        raise DataError(f"{EFFICIENTNET} knows {CLASSES} classes, the data has {len(dataset.classes)}")
    network = Names()

    @torch.inference_mode()
    def scores(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        with fast_pixels(torch.device("cpu")):
            scores: Tensor = network(_enlarged(crop))
        return scores[0].half().numpy()

    return Teacher(scores, _digest(published_weights()))


def _features() -> Teacher:
    network = Names()

    @torch.inference_mode()
    def features(crop: NDArray[np.uint8]) -> NDArray[np.float16]:
        with fast_pixels(torch.device("cpu")):
            found = network.features(_enlarged(crop))
        return found[0].half().numpy()

    return Teacher(features, f"{_digest(published_weights())}-features")


def _enlarged(crop: NDArray[np.uint8]) -> Tensor:
    """A crop as float32 (1, 3, S, S) with S at least what EfficientNet-Lite2 was trained on."""
    x = to_network(crop[None])
    return F.interpolate(x, size=(SIDE, SIDE), mode="bilinear", antialias=True) if x.shape[-1] < SIDE else x


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


def _efficientnet(grid: int) -> Teacher:
    network = Names()

    @torch.inference_mode()
    def features(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        with fast_pixels(torch.device("cpu")):
            value = network.grid(_enlarged(crop)).float()
        return F.adaptive_avg_pool2d(value, grid)[0].permute(1, 2, 0).half().numpy()

    return Teacher(features, _digest(published_weights()))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
