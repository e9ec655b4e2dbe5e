"""The kernel distance of images, in features of a MobileNetV2 that no loss has seen.

The network is a .tflite file, run by ai-edge-litert. The kernel distance (KID, Bińkowski et al. 2018) is the unbiased
estimate of the squared maximum mean discrepancy under the kernel (x.y / d + 1)^3, here over patches of pictures instead
of whole ones, and over features of MobileNetV2 instead of Inception: its values are comparable among themselves only.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from heads.pseudo_labels import open_tflite
from semcomp.errors import ModelError

Vectors = NDArray[np.float32]
Doubles = NDArray[np.float64]

PATCH = 120
"""Side of a patch, in pixels."""
SUBSET = 400
SUBSETS = 30


class Features:
    """The last pooled features of a MobileNetV2. ModelError where the file holds no such network."""

    def __init__(self, path: str | Path):
        self._network = open_tflite(path, need="The kernel distance", experimental_preserve_all_tensors=True)
        self._input = self._network.get_input_details()[0]
        found = [
            entry
            for entry in self._network.get_tensor_details()
            if len(entry["shape"]) >= 2 and np.prod(entry["shape"]) == entry["shape"][-1] == 1280
        ]
        if not found:
            raise ModelError(f"{path} has no layer of 1,280 pooled features: it is not a MobileNetV2")
        self._output = found[0]

    def of(self, pixels: NDArray[np.uint8]) -> Vectors:
        """float32 (patches, 1280) of a picture, uint8 (H, W, 3)."""
        return np.stack([self._one(patch) for patch in patches_of(pixels)])

    def _one(self, patch: NDArray[np.uint8]) -> Vectors:
        height, width = self._input["shape"][1:3]
        image = Image.fromarray(patch).resize((int(width), int(height)), Image.Resampling.BICUBIC)
        value: NDArray[Any] = np.asarray(image)[None]
        if self._input["dtype"] == np.float32:
            value = value.astype(np.float32) / 127.5 - 1
        self._network.set_tensor(self._input["index"], value)
        self._network.invoke()
        scale, zero = self._output["quantization"]
        raw: Vectors = self._network.get_tensor(self._output["index"]).ravel().astype(np.float32)
        return (raw - zero) * scale if scale else raw


def patches_of(pixels: NDArray[np.uint8], side: int = PATCH) -> list[NDArray[np.uint8]]:
    """Square patches that cover a picture without overlap, from its upper left; a small picture is one patch."""
    height, width = pixels.shape[:2]
    if min(height, width) < side:
        return [pixels]
    return [
        np.ascontiguousarray(pixels[top : top + side, left : left + side])
        for top in range(0, height - side + 1, side)
        for left in range(0, width - side + 1, side)
    ]


def kernel_distance(
    a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]], *, seed: int = 0
) -> tuple[float, float]:
    """Mean over random subsets, and its standard error: features (N, d) and (M, d)."""
    rng = np.random.default_rng(seed)
    size = min(SUBSET, len(a), len(b))
    if size < 2:
        raise ValueError(f"a kernel distance needs at least two patches on each side, not {len(a)} and {len(b)}")
    values = []
    for _ in range(SUBSETS):
        x, y = (group[rng.permutation(len(group))[:size]].astype(np.float64) for group in (a, b))
        values.append(_squared_discrepancy(x, y))
    return float(np.mean(values)), float(np.std(values) / np.sqrt(SUBSETS))


def _squared_discrepancy(x: Doubles, y: Doubles) -> float:
    size, width = x.shape

    def kernel(p: Doubles, q: Doubles) -> Doubles:
        products: Doubles = p @ q.T
        return (products / width + 1) ** 3

    within = [(k.sum() - np.trace(k)) / (size * (size - 1)) for k in (kernel(x, x), kernel(y, y))]
    return float(within[0] + within[1] - 2 * kernel(x, y).mean())
