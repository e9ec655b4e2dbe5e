"""JPEG files made for the restorer: fewer bytes at equal quality, and any viewer opens them.

This is the compact representation of Jiang et al. (2018) without a network before the codec: gradients through the
restorer move the quantised coefficients themselves. The loss counts the restored picture and what a plain viewer
shows, so that the file is good in both.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from semcomp.bitstream.container import ColorMode
from semcomp.errors import ImageError, TargetError
from semcomp.imaging.metrics import psnr_db
from semcomp.imaging.picture import Picture
from semcomp.jpeg.reader import JpegFile, JpegPlane
from semcomp.jpeg.records import records_of
from semcomp.jpeg.standard import CHROMA, LUMA
from semcomp.jpeg.writer import write_jpeg
from semcomp.restoration.network import StoredPlanes
from semcomp.restoration.planes import layout_of, restored_pixels
from semcomp.restoration.rate_model import RateModel, worthwhile
from semcomp.restoration.restorer_file import TrainedRestorer
from semcomp.restoration.transform import SIDE, enlarge, forward_dct, inverse_dct, planes_to_rgb, rgb_to_planes, shrink

_CPU = torch.device("cpu")
_COLOUR_WEIGHTS = (1.0, 1.086, 0.825)
"""Mean squared error of RGB for one unit in Y, Cb, Cr."""
_FINEST, _COARSEST = 0.02, 12.0
"""Factors on the tables of quality 50 between which the search stays."""


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
    searches: int = 9
    """Sizes of the tables that are tried for a target."""


@dataclass(frozen=True, kw_only=True)
class CompactFile:
    """An encoded file and what it is worth."""

    data: bytes
    psnr_db: float
    """PSNR of the restored picture."""
    plain_psnr_db: float
    """PSNR of what a plain viewer shows."""


def encode_compact(
    picture: Picture,
    restorer: TrainedRestorer,
    *,
    psnr: float | None = None,
    max_bytes: int | None = None,
    scale: float | None = None,
    strip: bool = False,
    config: CompactConfig | None = None,
) -> CompactFile:
    """Encode a picture as a JPEG file that was made for a restorer.

    Args:
        picture: The picture, without alpha.
        restorer: The restorer that the receiver has.
        psnr: Smallest PSNR of the restored picture in dB.
        max_bytes: Largest size of the file.
        scale: Factor on the tables of quality 50, instead of a target.
        strip: Leave ICC profile, EXIF and XMP out.
        config: How to search.

    Raises:
        ImageError: The picture is transparent.
        TargetError: The target cannot be met, or there is not exactly one.
    """
    if picture.alpha is not None:
        raise ImageError("the picture is transparent, and JPEG cannot be: encode it as .semc, or flatten it first")
    if sum(value is not None for value in (psnr, max_bytes, scale)) != 1:
        raise TargetError("give exactly one of psnr, max_bytes and scale")
    config = config or CompactConfig()
    records = {} if strip else {"icc": picture.icc, "exif": picture.exif, "xmp": picture.xmp}
    work = _Work(picture, restorer, config, records_of(**records, mark=restorer.restorer_id))
    if scale is not None:
        return work.encode(scale)
    meets: Callable[[CompactFile], bool]
    if psnr is not None:
        limit = psnr
        meets = lambda file: file.psnr_db >= limit  # noqa: E731
    else:
        assert max_bytes is not None
        most = max_bytes
        meets = lambda file: len(file.data) <= most  # noqa: E731
    found = _search(work, meets, finer_is_better=psnr is not None)
    if found is None:
        wish = f"{psnr:g} dB" if psnr is not None else f"{max_bytes:,} bytes"
        raise TargetError(f"no JPEG file of this picture meets {wish}: choose another target, or encode it as .semc")
    return found


def _search(work: _Work, meets: Callable[[CompactFile], bool], *, finer_is_better: bool) -> CompactFile | None:
    """The best file that meets a target: the coarsest tables for a PSNR, the finest ones for a size."""
    low, high = math.log(_FINEST), math.log(_COARSEST)
    best: CompactFile | None = None
    quick = work.config.searches - 3
    for number in range(work.config.searches):
        middle = (low + high) / 2
        file = work.encode(math.exp(middle), quick=number < quick)
        good = meets(file)
        if good and number >= quick:
            best = file
        if good == finer_is_better:
            low = middle
        else:
            high = middle
        if number == quick - 1:  # the gradient changes size and quality a little: the last steps search around
            low, high = middle - 0.15, middle + 0.15
    if best is None:
        file = work.encode(math.exp(low if finer_is_better else high))
        best = file if meets(file) else None
    return best


class _Work:
    """One picture, prepared for encoding at several sizes of the tables."""

    def __init__(
        self, picture: Picture, restorer: TrainedRestorer, config: CompactConfig, records: tuple[tuple[int, bytes], ...]
    ):
        self.picture, self.restorer, self.config, self.records = picture, restorer, config, records
        self.grey = picture.mode == ColorMode.L
        self.factors = (1, 1) if self.grey else (2, 2)
        unit = SIDE * self.factors[0]
        pad = ((0, -picture.height % unit), (0, -picture.width % unit), (0, 0))
        rgb = np.pad(picture.pixels, pad, mode="edge").transpose(2, 0, 1)[None]
        self.rgb = torch.from_numpy(np.ascontiguousarray(rgb)).float()
        planes = rgb_to_planes(self.rgb)
        self.luma = planes[:, :1]
        parts = [planes[:, 0], *(shrink(planes[:, number], self.factors) for number in (1, 2))]
        self.coefficients = [forward_dct(part) for part in parts[: 1 if self.grey else 3]]
        area = self.factors[0] * self.factors[1]
        self.weights = [1.0, *(area * weight for weight in _COLOUR_WEIGHTS[1:])]

    def encode(self, scale: float, *, quick: bool = False) -> CompactFile:
        """Encode with the tables of quality 50 times `scale`. `quick` leaves the gradient out."""
        steps = [self._steps(base, scale) for base in ((LUMA,) if self.grey else (LUMA, CHROMA, CHROMA))]
        lmbda = self.config.lmbda * float(steps[0].mean()) ** 2
        aims = [values / table for values, table in zip(self.coefficients, steps, strict=True)]
        numbers = self._chosen(aims, steps, lmbda)
        if self.config.iterations and not quick:
            numbers = self._descend(numbers, steps, lmbda)
        return self._measured(self._file(numbers, steps))

    def _steps(self, base: np.ndarray[tuple[int], np.dtype[np.int64]], scale: float) -> Tensor:
        shape = torch.from_numpy(base).float()
        flat = shape.log().mean().exp()
        return (scale * shape ** (1 - self.config.flatness) * flat**self.config.flatness).round().clamp(1, 255)

    def _descend(self, numbers: list[Tensor], steps: list[Tensor], lmbda: float) -> list[Tensor]:
        """Aim beside the original coefficients, where the restorer's answer is nearer to the original picture.

        The gradient at the chosen numbers tells where the bottom of the error is, if the error has the curvature that
        it has without the restorer. The numbers are then chosen again for an aim between the old and the new one.
        """
        aims = [values / table for values, table in zip(self.coefficients, steps, strict=True)]
        best, best_cost = numbers, math.inf
        for number in range(self.config.iterations + 1):
            whole = [values.requires_grad_() for values in numbers]
            bits = sum(float(RateModel(values.detach()).cost(values.detach()).sum()) for values in whole)
            error = self._error(whole, steps)
            cost = error.item() + lmbda * bits
            if cost < best_cost:
                best, best_cost = [values.detach() for values in whole], cost
            if number == self.config.iterations:
                break
            error.backward()
            for place, (values, table, weight) in enumerate(zip(whole, steps, self.weights, strict=False)):
                assert values.grad is not None
                aim = values.detach() - values.grad / (2 * weight * table**2)
                aims[place] = torch.lerp(aims[place], aim, self.config.rate)
            numbers = self._chosen(aims, steps, lmbda)
        return best

    def _chosen(self, aims: list[Tensor], steps: list[Tensor], lmbda: float) -> list[Tensor]:
        return [
            worthwhile(values, table * math.sqrt(weight), lmbda=lmbda)
            for values, table, weight in zip(aims, steps, self.weights, strict=False)
        ]

    def _error(self, whole: list[Tensor], steps: list[Tensor]) -> Tensor:
        """Squared error of restored and plain pixels, weighted, per colour channel."""
        stored = StoredPlanes(
            coefficients=tuple(values * step for values, step in zip(whole, steps, strict=True)),
            steps=torch.stack(steps)[None],
            factors=self.factors,
        )
        planes = self.restorer.network(stored)
        plain = torch.stack(
            [inverse_dct(stored.coefficients[0])]
            + [enlarge(inverse_dct(values), self.factors) for values in stored.coefficients[1:]],
            1,
        )
        restored_error, plain_error = (self._squares(values) for values in (planes, plain))
        return (1 - self.config.plain) * restored_error + self.config.plain * plain_error

    def _squares(self, planes: Tensor) -> Tensor:
        if self.grey:
            return (planes - self.luma).square().sum()
        return (planes_to_rgb(planes).clamp(0, 255) - self.rgb).square().sum() / 3

    def _file(self, numbers: list[Tensor], steps: list[Tensor]) -> JpegFile:
        planes = []
        for number, (values, step) in enumerate(zip(numbers, steps, strict=True)):
            low, high = torch.full((64,), 1023.0), torch.full((64,), 1023.0)
            low[0] = high[0] = 2047
            down, across = self.factors if number == 0 else (1, 1)
            planes.append(
                JpegPlane(
                    coefficients=values[0].clamp(-low, high).numpy().astype(np.int16),
                    steps=step.numpy().astype(np.int64),
                    horizontal=across,
                    vertical=down,
                    identifier=number + 1,
                )
            )
        return JpegFile(
            width=self.picture.width, height=self.picture.height, planes=tuple(planes), records=self.records
        )

    def _measured(self, file: JpegFile) -> CompactFile:
        data = write_jpeg(file)
        restored = restored_pixels(self.restorer.fast_on(_CPU), layout_of(file), strength=1.0, device=_CPU)
        with Image.open(io.BytesIO(data)) as image:
            shown = np.array(image)
        original = self.picture.pixels
        if self.grey:
            original, shown = original[:, :, :1], shown[:, :, None]
        return CompactFile(data=data, psnr_db=psnr_db(original, restored), plain_psnr_db=psnr_db(original, shown))
