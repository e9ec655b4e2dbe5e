"""SqueezeNet v1.0 (Iandola et al. 2016) as a teacher: what a network that knows ImageNet sees in a crop.

The weights come from an .npz file of the published network (BSD licence), layers named as in the original model
(`conv1.w`, `fire2/conv1x1_1.w`, ...), which is not part of this package.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from semcomp.errors import ModelError
from semcomp.networks.precision import fast_pixels

CHANNELS = 512
SMALLEST = 224
"""Side of the pictures that it was trained on; smaller crops are enlarged."""
_POOLED_BEFORE = (2, 5, 9)
"""Numbers of the fire modules with a max-pool in front of them."""
_MEAN_BGR = (104.0, 117.0, 123.0)


class SqueezeNet:
    """The layers up to the last fire module. ModelError where the file does not hold them."""

    def __init__(self, path: str | Path):
        try:
            with np.load(path) as file:
                self.weights = {name: torch.from_numpy(file[name]) for name in file.files}
            self._shape_known()
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"{path} does not hold SqueezeNet v1.0 ({error})") from error

    def _shape_known(self) -> None:
        expected = {"conv1.w": (96, 3, 7, 7), "fire9/conv3x3_2.w": (256, 64, 3, 3)}
        for name, shape in expected.items():
            if tuple(self.weights[name].shape) != shape:
                raise ValueError(f"{name} has shape {tuple(self.weights[name].shape)}, not {shape}")

    @torch.inference_mode()
    def features(self, x: Tensor) -> Tensor:
        """x (B, 3, H, W), RGB in [0, 1] -> float32 (B, 512, about H/16, about W/16), not negative."""
        if (short := min(x.shape[2:])) < SMALLEST:
            x = F.interpolate(x, scale_factor=SMALLEST / short, mode="bilinear", align_corners=False)
        with fast_pixels(x.device):
            *_, (_, value) = self._modules(x)
        return value.float()

    def maps(self, x: Tensor, fires: tuple[int, ...]) -> list[Tensor]:
        """x (B, 3, H, W), RGB in [0, 1] -> what the fire modules of these numbers, 2..9 ascending, give at that size.

        Gradients pass to x. Grids have about a quarter of the picture's side, an eighth from 5 on, a sixteenth at 9.
        """
        found = []
        for number, value in self._modules(x):
            if number in fires:
                found.append(value)
            if number == fires[-1]:
                break
        return found

    def _modules(self, x: Tensor) -> Iterator[tuple[int, Tensor]]:
        """The fire modules' numbers and outputs, one after the other."""
        value = 255 * x.flip(1) - torch.tensor(_MEAN_BGR, device=x.device)[:, None, None]
        value = value.contiguous(memory_format=torch.channels_last)
        value = self._convolve(value, "conv1", stride=2)
        for number in range(2, 10):
            if number in _POOLED_BEFORE:
                value = F.max_pool2d(value, 3, 2, ceil_mode=True)
            value = self._fire(value, f"fire{number}")
            yield number, value

    def grid(self, x: Tensor, side: int) -> Tensor:
        """The features, their square root, averaged to a grid: x (B, 3, H, W) -> (B, 512, side, side)."""
        return F.adaptive_avg_pool2d(self.features(x).sqrt(), side)

    def _fire(self, value: Tensor, name: str) -> Tensor:
        squeezed = self._convolve(value, f"{name}/conv1x1_1")
        wide = self._convolve(squeezed, f"{name}/conv3x3_2", padding=1)
        return torch.cat([self._convolve(squeezed, f"{name}/conv1x1_2"), wide], 1)

    def _convolve(self, value: Tensor, name: str, *, stride: int = 1, padding: int = 0) -> Tensor:
        weight, bias = self.weights[f"{name}.w"], self.weights[f"{name}.b"]
        return F.relu(F.conv2d(value, weight.to(value.device), bias.to(value.device), stride, padding))
