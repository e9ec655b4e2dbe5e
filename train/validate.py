"""A rate-distortion line on validation photos during training: likelihoods of rounded symbols, averaged weights.

Smooth photos and photos at native resolution stand apart, and so do low and high rates: a change that helps one may
harm the other. The floor is the PSNR without any quantisation, which the transform alone can reach.
"""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heads.datasets import read_rgb
from semcomp.eval.classical import JPEG
from semcomp.eval.curves import BD_RANGE_DB, mean_curve
from semcomp.imaging.metrics import bd_rate, psnr_db
from train.objective import Objective
from train.photos import find_photos

RANGES_DB = {"bd_rate": BD_RANGE_DB, "bd_rate_low": (26.0, 32.0), "bd_rate_high": (32.0, 38.0)}


def jpeg_curve(pictures: Sequence[NDArray[np.uint8]]) -> tuple[list[float], list[float]]:
    """JPEG's mean bpp and mean PSNR at each of its settings."""
    rows = []
    for picture in pictures:
        pixels, files = picture.shape[0] * picture.shape[1], [JPEG.encode(picture, q) for q in JPEG.settings]
        rows.append([{"bpp": 8 * len(f) / pixels, "db": psnr_db(picture, JPEG.decode(f))} for f in files])
    curve = mean_curve(rows)
    return curve["bpp"], curve["db"]


class PhotoSet:
    """Photos of one kind, and JPEG's curve on them."""

    def __init__(self, paths: Sequence[Path]):
        pictures = [read_rgb(path) for path in paths]
        self.pictures = [p[: p.shape[0] // 64 * 64, : p.shape[1] // 64 * 64] for p in pictures]
        self.jpeg = jpeg_curve(self.pictures)

    def line(self, objective: Objective, qualities: Sequence[int], *, device: torch.device) -> dict[str, Any]:
        """bpp, bpp of z, PSNR and floor at each quality, and BD-rates against JPEG in percent."""
        rows = []
        for quality in qualities:
            points = [measure_one(objective, picture, quality, device) for picture in self.pictures]
            rows.append({key: round(fmean(point[key] for point in points), 4) for key in points[0]})
        line: dict[str, Any] = {key: [row[key] for row in rows] for key in rows[0]}
        bpp, db = [row["bpp"] for row in rows], [row["psnr_db"] for row in rows]
        for name, limits in RANGES_DB.items():
            line[name] = _bd_rate(self.jpeg, bpp, db, limits)
        return line


class Validation:
    """Every `every`-th photo of `folders`, and all photos of `native`, which are at native resolution."""

    def __init__(self, folders: Sequence[str], *, every: int, qualities: Sequence[int], native: Sequence[str] = ()):
        self.qualities = qualities
        self.photos = PhotoSet(find_photos(folders)[::every])
        self.native = PhotoSet(find_photos(native)) if native else None

    @torch.no_grad()
    def run(self, objective: Objective, *, device: torch.device) -> dict[str, Any]:
        """The figures of `PhotoSet.line`. The keys of the native photos begin with native_."""
        objective.eval()
        line = {"quality": list(self.qualities), **self.photos.line(objective, self.qualities, device=device)}
        if self.native:
            native = self.native.line(objective, self.qualities, device=device)
            line |= {f"native_{key}": value for key, value in native.items()}
        objective.train()
        return line


@torch.no_grad()
def measure_one(
    objective: Objective, picture: NDArray[np.uint8], quality: int, device: torch.device
) -> dict[str, float]:
    """Rate, distortion and floor of one photo."""
    x, q = to_tensor(picture, device), torch.tensor([quality], device=device)
    with torch.autocast(device.type, dtype=torch.bfloat16):
        measured = objective(x, q, rounded=True)
        floor = (objective.unquantized(x, q) - x).square().mean()
    bpp_z = measured.bpp_z.item()
    return {
        "bpp": measured.bpp_y.item() + bpp_z,
        "bpp_z": bpp_z,
        "psnr_db": 10 * torch.log10(255**2 / measured.mse).item(),
        "floor_db": -10 * torch.log10(floor).item(),
    }


def _bd_rate(
    anchor: tuple[list[float], list[float]], bpp: list[float], db: list[float], limits: tuple[float, float]
) -> float | None:
    """BD-rate in percent, None where the curves do not overlap."""
    try:
        return round(bd_rate(*anchor, bpp, db, low_db=limits[0], high_db=limits[1]), 2)
    except ValueError:
        return None


def to_tensor(picture: NDArray[np.uint8], device: torch.device) -> Tensor:
    """uint8 H W 3 -> float32 (1, 3, H, W) in [0, 1]."""
    return torch.tensor(picture, device=device).permute(2, 0, 1)[None].float() / 255
