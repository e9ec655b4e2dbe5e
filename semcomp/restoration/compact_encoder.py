"""One picture, prepared to be encoded as JPEG for the restorer with tables of several sizes."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from semcomp.bitstream.container import ColorMode
from semcomp.imaging.metrics import psnr_db
from semcomp.imaging.picture import Picture
from semcomp.jpeg.reader import JpegFile, JpegPlane
from semcomp.jpeg.standard import CHROMA, LUMA
from semcomp.jpeg.writer import write_jpeg
from semcomp.pipeline.tiles import Tile, tiles
from semcomp.restoration.network import StoredPlanes
from semcomp.restoration.planes import halo_of, layout_of, pixel_region, plane_regions, restored_pixels
from semcomp.restoration.rate_model import RateModel, worthwhile
from semcomp.restoration.restorer_file import TrainedRestorer
from semcomp.restoration.transform import SIDE, enlarge, forward_dct, inverse_dct, planes_to_rgb, rgb_to_planes, shrink

TILE = 128
"""Side of a tile in blocks of luma. Gradients through a tile and its halo take about 1 GB."""
_CPU = torch.device("cpu")
_COLOUR_WEIGHTS = (1.0, 1.086, 0.825)
"""Mean squared error of RGB for one unit in Y, Cb, Cr."""


@dataclass(frozen=True, kw_only=True)
class CompactConfig:
    """How the encoder searches."""

    flatness: float = 0.5
    """0 takes the shape of the standard's tables, 1 equal steps for all frequencies."""
    lmbda: float = 0.07
    """Squared error that a bit is worth, in squares of the mean step."""
    iterations: int = 5
    """Steps of gradient descent. 0 leaves the restorer out of the loop."""
    rate: float = 0.5
    """How far the aim moves in one step of the descent, as a share of the way to the new aim."""
    plain: float = 0.35
    """Weight of what a plain viewer shows. The restored picture has the rest."""
    quick_tries: int = 7
    """Sizes of the tables that are tried without the gradient, before the search with it."""
    precision: float = 0.031
    """The search ends when the logarithm of the tables' size is known this closely."""


@dataclass(frozen=True, kw_only=True)
class CompactFile:
    """An encoded file and what it is worth."""

    data: bytes
    psnr_db: float
    """PSNR of the restored picture."""
    plain_psnr_db: float
    """PSNR of what a plain viewer shows."""


class Attempt:
    """Coefficients that were chosen for one size of the tables. What a target does not ask for is not computed."""

    def __init__(self, picture: Picture, restorer: TrainedRestorer, file: JpegFile):
        self._picture, self._restorer, self._file = picture, restorer, file
        self._original = picture.pixels[:, :, :1] if len(file.planes) == 1 else picture.pixels

    @cached_property
    def data(self) -> bytes:
        """The bytes of the file."""
        return write_jpeg(self._file)

    @cached_property
    def psnr_db(self) -> float:
        """PSNR of the restored picture."""
        layout = layout_of(self._file)
        restored = restored_pixels(self._restorer.fast_on(_CPU), layout, strength=1.0, device=_CPU)
        return psnr_db(self._original, restored)

    def finished(self) -> CompactFile:
        """The file with all its figures."""
        with Image.open(io.BytesIO(self.data)) as image:
            shown = np.array(image).reshape(self._original.shape)
        return CompactFile(data=self.data, psnr_db=self.psnr_db, plain_psnr_db=psnr_db(self._original, shown))


class PictureEncoder:
    """One picture, prepared for encoding at several sizes of the tables."""

    def __init__(
        self,
        picture: Picture,
        restorer: TrainedRestorer,
        config: CompactConfig,
        *,
        records: tuple[tuple[int, bytes], ...],
        factors: tuple[int, int],
        on_step: Callable[[], None] | None = None,
    ):
        """`factors` says how many (rows, columns) of luma share one value of chroma. Grey pictures have (1, 1).

        `on_step` is called whenever the restorer has looked at a tile.
        """
        self._on_step = on_step or (lambda: None)
        self.picture, self.restorer, self.config, self.records = picture, restorer, config, records
        self.grey, self.factors = picture.mode == ColorMode.L, factors
        unit = SIDE * self.factors[0]
        pad = ((0, -picture.height % unit), (0, -picture.width % unit), (0, 0))
        rgb = np.pad(picture.pixels, pad, mode="edge").transpose(2, 0, 1)[None]
        self.rgb = torch.from_numpy(np.ascontiguousarray(rgb))
        planes = rgb_to_planes(self.rgb.float())
        parts = [planes[:, 0], *(shrink(planes[:, number], self.factors) for number in (1, 2))]
        area = self.factors[0] * self.factors[1]
        weights = [1.0, *(area * weight for weight in _COLOUR_WEIGHTS[1:])]
        kept = 1 if self.grey else 3
        self.coefficients = [forward_dct(part) for part in parts[:kept]]
        self.weights = weights[:kept]
        self.chroma_error = 0.0
        """Mean squared error of RGB that the smaller resolution of chroma makes, if nothing is quantised."""
        for number in (1, 2) if area > 1 else ():
            lost = enlarge(parts[number], self.factors) - planes[:, number]
            self.chroma_error += _COLOUR_WEIGHTS[number] * float(lost.square().mean())

    def encode(self, scale: float, *, quick: bool = False) -> Attempt:
        """Encode with the tables of quality 50 times `scale`. `quick` leaves the gradient out."""
        steps = [self._steps(base, scale) for base in ((LUMA,) if self.grey else (LUMA, CHROMA, CHROMA))]
        lmbda = self.config.lmbda * float(steps[0].mean()) ** 2
        aims = [values / table for values, table in zip(self.coefficients, steps, strict=True)]
        numbers = self._chosen(aims, steps, lmbda)
        if self.config.iterations and not quick:
            numbers = self._descend(aims, numbers, steps, lmbda)
        return Attempt(self.picture, self.restorer, self._file(numbers, steps))

    def _steps(self, base: np.ndarray[tuple[int], np.dtype[np.int64]], scale: float) -> Tensor:
        shape = torch.from_numpy(base).float()
        flat = shape.log().mean().exp()
        return (scale * shape ** (1 - self.config.flatness) * flat**self.config.flatness).round().clamp(1, 255)

    def _descend(self, aims: list[Tensor], numbers: list[Tensor], steps: list[Tensor], lmbda: float) -> list[Tensor]:
        """Aim beside the original coefficients, where the restorer's answer is nearer to the original picture.

        The gradient at the chosen numbers tells where the bottom of the error is, if the error has the curvature that
        it has without the restorer. The numbers are then chosen again for an aim between the old and the new one.
        """
        best, best_cost = numbers, math.inf
        for number in range(self.config.iterations + 1):
            last = number == self.config.iterations
            bits = sum(float(RateModel(values).cost(values).sum()) for values in numbers)
            error, slopes = self.error_of(numbers, steps, gradient=not last)
            if error + lmbda * bits < best_cost:
                best, best_cost = numbers, error + lmbda * bits
            if last:
                break
            for place, (values, slope, table, weight) in enumerate(
                zip(numbers, slopes, steps, self.weights, strict=True)
            ):
                aims[place] = torch.lerp(aims[place], values - slope / (2 * weight * table**2), self.config.rate)
            numbers = self._chosen(aims, steps, lmbda)
        return best

    def _chosen(self, aims: list[Tensor], steps: list[Tensor], lmbda: float) -> list[Tensor]:
        return [
            worthwhile(values, table * math.sqrt(weight), lmbda=lmbda)
            for values, table, weight in zip(aims, steps, self.weights, strict=True)
        ]

    def error_of(
        self, numbers: list[Tensor], steps: list[Tensor], *, gradient: bool = True
    ) -> tuple[float, list[Tensor]]:
        """Squared error of restored and plain pixels, weighted, per colour channel, and its gradient.

        The error is a sum over pixels. Each tile adds the pixels inside its halo, and their gradient reaches into the
        halo, so the sum over the tiles is exact.
        """
        _, rows, columns, _ = numbers[0].shape
        longest = max(rows, columns)
        halo = halo_of(self.restorer.network)
        side = TILE if longest > TILE + 2 * halo else longest
        error, slopes = 0.0, [torch.zeros_like(values) for values in numbers] if gradient else []
        for tile in tiles(rows, columns, tile=side, halo=halo):
            regions = plane_regions(*tile.source, self.factors)[: len(numbers)]
            parts = [
                values[:, region[0], region[1]].clone().requires_grad_(gradient)
                for values, region in zip(numbers, regions, strict=True)
            ]
            with torch.set_grad_enabled(gradient):
                own = self._error(parts, steps, tile)
            error += own.item()
            self._on_step()
            if gradient:
                for whole, region, slope in zip(slopes, regions, torch.autograd.grad(own, parts), strict=True):
                    whole[:, region[0], region[1]] += slope
        return error, slopes

    def _error(self, numbers: list[Tensor], steps: list[Tensor], tile: Tile) -> Tensor:
        """The error inside the halo of one tile, whose coefficients are given."""
        stored = StoredPlanes(
            coefficients=tuple(values * step for values, step in zip(numbers, steps, strict=True)),
            steps=torch.stack(steps)[None],
            factors=self.factors,
        )
        planes = self.restorer.network(stored)
        plain = torch.stack(
            [inverse_dct(stored.coefficients[0])]
            + [enlarge(inverse_dct(values), self.factors) for values in stored.coefficients[1:]],
            1,
        )
        restored_error, plain_error = (self._squares(values, tile) for values in (planes, plain))
        return (1 - self.config.plain) * restored_error + self.config.plain * plain_error

    def _squares(self, planes: Tensor, tile: Tile) -> Tensor:
        inner, target = (pixel_region(region) for region in (tile.inner, tile.target))
        rgb = self.rgb[:, :, target[0], target[1]].float()
        shown = planes[:, :, inner[0], inner[1]]
        if self.grey:
            return (shown + 128 - rgb[:, :1]).square().sum()
        return (planes_to_rgb(shown).clamp(0, 255) - rgb).square().sum() / 3

    def _file(self, numbers: list[Tensor], steps: list[Tensor]) -> JpegFile:
        planes = []
        for number, (values, step) in enumerate(zip(numbers, steps, strict=True)):
            low, high = torch.full((64,), -1023.0), torch.full((64,), 1023.0)
            low[0] = -1024  # differences of DC have at most 11 bits then, the most that the format holds
            down, across = self.factors if number == 0 else (1, 1)
            planes.append(
                JpegPlane(
                    coefficients=values[0].clamp(low, high).numpy().astype(np.int16),
                    steps=step.numpy().astype(np.int64),
                    horizontal=across,
                    vertical=down,
                    identifier=number + 1,
                )
            )
        return JpegFile(
            width=self.picture.width, height=self.picture.height, planes=tuple(planes), records=self.records
        )
