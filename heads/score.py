"""How often answers are right: top-1 for labels, mean IoU for label maps."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from semcomp.semantics.results import VOID, Labels, Segmentation

MANY = 20
"""Where there are more classes, the figures also say how often the true one is among the first five."""


def confusion(truth: NDArray[np.uint8], answer: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    """Count pixels by true class (rows) and answer (columns), int64 (K, K + 1).

    The last column counts pixels of which the answer is VOID. Pixels whose truth is VOID are not counted.
    """
    counted = truth != VOID
    said = np.minimum(answer[counted], classes)
    pairs = truth[counted].astype(np.int64) * (classes + 1) + said
    return np.bincount(pairs, minlength=classes * (classes + 1)).reshape(classes, classes + 1)


def iou(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """Intersection over union of each class, (K,), from a matrix of `confusion`. NaN where a class occurs nowhere."""
    hit = np.diag(matrix).astype(np.float64)
    union = matrix.sum(0)[: len(hit)] + matrix.sum(1) - hit
    return np.divide(hit, union, out=np.full(len(hit), np.nan), where=union > 0)


def mean_iou(matrix: NDArray[np.int64]) -> float:
    """Mean IoU in percent over the classes that occur."""
    return float(100 * np.nanmean(iou(matrix)))


class Score(ABC):
    """Accumulates answers about images. Each task has a type of its own.

    Answers and truths number the classes alike; the letters of names may differ in case.
    """

    figure: ClassVar[str]
    """The name of `percent`."""

    def __init__(self, classes: tuple[str, ...]):
        self.classes = classes

    @abstractmethod
    def add(self, answer: Labels | Segmentation, truth: Any) -> None:
        """Count one answer. An answer that knows nothing is wrong."""

    @property
    @abstractmethod
    def figures(self) -> dict[str, float]:
        """All figures in percent, by name. `percent` is the first of them."""

    @property
    def percent(self) -> float:
        """The figure by which networks are compared."""
        return next(iter(self.figures.values()))


class TopOne(Score):
    """Counts how often the first label is the true class, and of many classes one of the first five.

    A truth is the number of a class.
    """

    figure = "top-1"

    def __init__(self, classes: tuple[str, ...]):
        super().__init__(classes)
        self.right = self.near = self.count = 0

    def add(self, answer: Labels | Segmentation, truth: Any) -> None:
        assert isinstance(answer, Labels)
        said, true = [name.lower() for name in answer.names[:5]], self.classes[truth].lower()
        self.right += said[:1] == [true]
        self.near += true in said
        self.count += 1

    @property
    def figures(self) -> dict[str, float]:
        top1 = {"top1": round(100 * self.right / max(1, self.count), 2)}
        if len(self.classes) <= MANY:
            return top1
        return top1 | {"top5": round(100 * self.near / max(1, self.count), 2)}


class MeanIou(Score):
    """Counts pixels by true and answered class. A truth is a mask (H, W)."""

    figure = "mean IoU"

    def __init__(self, classes: tuple[str, ...]):
        super().__init__(classes)
        self.matrix = np.zeros((len(classes), len(classes) + 1), np.int64)

    def add(self, answer: Labels | Segmentation, truth: Any) -> None:
        assert isinstance(answer, Segmentation)
        self.matrix += confusion(truth, answer.label_map, len(self.classes))

    @property
    def figures(self) -> dict[str, float]:
        accuracy = 100 * np.diag(self.matrix).sum() / max(1, self.matrix.sum())
        return {"mean_iou": round(mean_iou(self.matrix), 2), "pixel_accuracy": round(float(accuracy), 2)}
