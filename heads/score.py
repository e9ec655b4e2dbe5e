"""How right answers are, whoever gives them."""

from typing import Any

import numpy as np
from torch import Tensor

from heads.metrics import confusion, mean_iou
from semcomp.interpolation import full_resolution
from semcomp.semantics import Labels


class Score:
    """Accumulates answers about pictures: top-1 or mean IoU, in percent."""

    def __init__(self, task: str, classes: tuple[str, ...]):
        self.task, self.classes = task, classes
        self.right = self.count = 0
        self.matrix = np.zeros((len(classes),) * 2, np.int64)

    def add(self, answer: Any, truth: Any) -> None:
        """`answer` is Labels, a Segmentation, or logits (1, K, ...); `truth` is a class's number, or a mask (H, W)."""
        if self.task == "classify":
            best = answer.names[0] if isinstance(answer, Labels) else self.classes[int(answer.argmax())]
            self.right += best == self.classes[truth]
            self.count += 1
            return
        if isinstance(answer, Tensor):
            label_map = full_resolution(answer.cpu().numpy(), height=truth.shape[0], width=truth.shape[1])
        else:
            label_map = answer.label_map
        self.matrix += confusion(truth, label_map, len(self.classes))

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
