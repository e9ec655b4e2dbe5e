"""How right answers are, whoever gives them."""

from typing import Any

import numpy as np

from heads.metrics import confusion, mean_iou
from semcomp.semantics.head import Labels, Segmentation


class Score:
    """Accumulates answers about pictures: top-1 or mean IoU, in percent."""

    def __init__(self, task: str, classes: tuple[str, ...]):
        self.task, self.classes = task, classes
        self.right = self.count = 0
        self.matrix = np.zeros((len(classes),) * 2, np.int64)

    def add(self, answer: Labels | Segmentation, truth: Any) -> None:
        """`truth` is a class's number, or a mask (H, W). Classes have the same order; letters may differ in case."""
        if isinstance(answer, Labels):
            self.right += answer.names[0].lower() == self.classes[truth].lower()
            self.count += 1
        else:
            self.matrix += confusion(truth, answer.label_map, len(self.classes))

    @property
    def figures(self) -> dict[str, float]:
        """top1; or mean_iou and pixel_accuracy."""
        if self.task == "classify":
            return {"top1": round(100 * self.right / max(1, self.count), 2)}
        accuracy = 100 * np.diag(self.matrix).sum() / max(1, self.matrix.sum())
        return {"mean_iou": round(mean_iou(self.matrix), 2), "pixel_accuracy": round(float(accuracy), 2)}

    @property
    def percent(self) -> float:
        """The first of the figures."""
        return next(iter(self.figures.values()))
