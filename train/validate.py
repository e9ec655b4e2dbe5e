"""A rate-distortion line on validation photos during training: likelihoods of rounded symbols, averaged weights."""

from collections.abc import Sequence
from pathlib import Path
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


def jpeg_curve(pictures: Sequence[NDArray[np.uint8]]) -> tuple[list[float], list[float]]:
    """JPEG's mean bpp and mean PSNR at each of its settings."""
    rows = []
    for picture in pictures:
        pixels, files = picture.shape[0] * picture.shape[1], [JPEG.encode(picture, q) for q in JPEG.settings]
        rows.append([{"bpp": 8 * len(f) / pixels, "db": psnr_db(picture, JPEG.decode(f))} for f in files])
    curve = mean_curve(rows)
    return curve["bpp"], curve["db"]


class Validation:
    """Validation photos with JPEG's curve on them."""

    def __init__(self, folders: Sequence[str], *, every: int, qualities: Sequence[int]):
        paths: list[Path] = find_photos(folders)[::every]
        pictures = [read_rgb(path) for path in paths]
        self.pictures = [p[: p.shape[0] // 64 * 64, : p.shape[1] // 64 * 64] for p in pictures]
        self.qualities = qualities
        self.jpeg = jpeg_curve(self.pictures)

    @torch.no_grad()
    def run(self, objective: Objective, *, device: torch.device) -> dict[str, Any]:
        """Measures bpp, the share of z in it and PSNR at each quality, and BD-rate against JPEG in percent."""
        objective.eval()
        rows = []
        for quality in self.qualities:
            rows.append(np.mean([self._one(objective, p, quality, device) for p in self.pictures], 0))
        bpp, bpp_z, db = (np.round(column, 4).tolist() for column in np.transpose(rows))
        rate = bd_rate(*self.jpeg, bpp, db, low_db=BD_RANGE_DB[0], high_db=BD_RANGE_DB[1])
        objective.train()
        return {"quality": list(self.qualities), "bpp": bpp, "bpp_z": bpp_z, "psnr_db": db, "bd_rate": round(rate, 2)}

    @staticmethod
    def _one(objective: Objective, picture: NDArray[np.uint8], quality: int, device: torch.device) -> list[float]:
        x = to_tensor(picture, device)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            measured = objective(x, torch.tensor([quality], device=device), rounded=True)
        bpp_z = measured.bpp_z.item()
        return [measured.bpp_y.item() + bpp_z, bpp_z, 10 * torch.log10(255**2 / measured.mse).item()]


def to_tensor(picture: NDArray[np.uint8], device: torch.device) -> Tensor:
    """uint8 H W 3 -> float32 (1, 3, H, W) in [0, 1]."""
    return torch.tensor(picture, device=device).permute(2, 0, 1)[None].float() / 255
