"""How often answers are right: top-1 for labels, mean IoU for label maps."""

from abc import ABC, abstractmethod
from collections import Counter
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from semcomp.semantics.embedding import Embedding
from semcomp.semantics.results import VOID, Labels, Segmentation

ONE_CLASS = 0.9
"""Share of the pictures from which on a classifier gives one class alone."""
LEAST_IOU = 5.0
"""Mean IoU in percent, of all classes but the one that is given most, below which a segmenter is worth nothing."""
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


Answer = Labels | Segmentation | Embedding


class Score(ABC):
    """Accumulates answers about images. Each task has a type of its own.

    Answers and truths number the classes alike; the letters of names may differ in case.
    """

    figure: ClassVar[str]
    """The name of `percent`."""

    def __init__(self, classes: tuple[str, ...]):
        self.classes = classes

    @abstractmethod
    def add(self, answer: Answer, truth: Any) -> None:
        """Count one answer. An answer that knows nothing is wrong."""

    @property
    @abstractmethod
    def figures(self) -> dict[str, float]:
        """All figures in percent, by name. `percent` is the first of them."""

    @property
    @abstractmethod
    def doubts(self) -> tuple[str, ...]:
        """Sentences that say why the head may be worth nothing: it is near chance, or gives one class alone."""

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
        self.said, self.shown = Counter[str](), Counter[str]()

    def add(self, answer: Answer, truth: Any) -> None:
        assert isinstance(answer, Labels)
        said, true = [name.lower() for name in answer.names[:5]], self.classes[truth].lower()
        self.right += said[:1] == [true]
        self.near += true in said
        self.count += 1
        self.said[said[0] if said else ""] += 1
        self.shown[true] += 1

    @property
    def figures(self) -> dict[str, float]:
        top1 = {"top1": round(100 * self.right / max(1, self.count), 2)}
        if len(self.classes) <= MANY:
            return top1
        return top1 | {"top5": round(100 * self.near / max(1, self.count), 2)}

    @property
    def doubts(self) -> tuple[str, ...]:
        if not self.count:
            return ()
        found = []
        ((_, most),), ((name, times),) = self.shown.most_common(1), self.said.most_common(1)
        chance = most / self.count
        guessed = chance * self.count + 2 * (self.count * chance * (1 - chance)) ** 0.5
        if self.right < self.count and self.right <= guessed:
            found.append(
                f"top-1 of {100 * self.right / self.count:.0f} % of {self.count} held-out pictures is near chance, "
                f"{100 * chance:.0f} %: give more pictures, or check their classes"
            )
        if times >= ONE_CLASS * self.count > most:
            found.append(f"it says {name!r} of {times} of {self.count} held-out pictures: give more of the others")
        return tuple(found)


class MeanIou(Score):
    """Counts pixels by true and answered class. A truth is a mask (H, W)."""

    figure = "mean IoU"

    def __init__(self, classes: tuple[str, ...]):
        super().__init__(classes)
        self.matrix = np.zeros((len(classes), len(classes) + 1), np.int64)

    def add(self, answer: Answer, truth: Any) -> None:
        assert isinstance(answer, Segmentation)
        self.matrix += confusion(truth, answer.label_map, len(self.classes))

    @property
    def figures(self) -> dict[str, float]:
        accuracy = 100 * np.diag(self.matrix).sum() / max(1, self.matrix.sum())
        return {"mean_iou": round(mean_iou(self.matrix), 2), "pixel_accuracy": round(float(accuracy), 2)}

    @property
    def doubts(self) -> tuple[str, ...]:
        said, shown = self.matrix.sum(0)[: len(self.classes)], self.matrix.sum(1)
        best = int(said.argmax())
        others = [k for k in np.flatnonzero(shown).tolist() if k != best]
        if not others or 100 * np.nanmean(iou(self.matrix)[others]) >= LEAST_IOU:
            return ()
        return (
            f"it says {self.classes[best]!r} of {100 * said[best] / max(1, shown.sum()):.0f} % of the held-out pixels, "
            f"and the mean IoU of the other classes is {100 * np.nanmean(iou(self.matrix)[others]):.1f}: give more "
            "pictures of these, or more steps",
        )
