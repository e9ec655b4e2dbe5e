"""How well a head does."""

import numpy as np

from heads.datasets import IGNORED


def confusion(truth: np.ndarray, answer: np.ndarray, classes: int) -> np.ndarray:
    """int64 (K, K): pixels by true class (rows) and answer (columns); those that truth ignores are not counted."""
    counted = truth != IGNORED
    pairs = truth[counted].astype(np.int64) * classes + answer[counted]
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def iou(matrix: np.ndarray) -> np.ndarray:
    """float64 (K,): intersection over union of each class, NaN for one that occurs in neither."""
    hit = np.diag(matrix).astype(np.float64)
    union = matrix.sum(0) + matrix.sum(1) - hit
    return np.divide(hit, union, out=np.full(len(hit), np.nan), where=union > 0)


def mean_iou(matrix: np.ndarray) -> float:
    """Mean IoU in percent over the classes that occur."""
    return float(100 * np.nanmean(iou(matrix)))
