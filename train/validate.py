"""A rate-distortion line on validation photos during training: likelihoods of rounded symbols, averaged weights."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from heads.data import read_rgb
from semcomp.metrics import bd_rate, psnr_db
from train.data import find_photos
from train.objective import Objective

JPEG_QUALITIES = (5, 8, 12, 18, 25, 35, 45, 55, 65, 75, 82, 88, 92, 95)
BD_RANGE_DB = (26.0, 38.0)


def jpeg_curve(pictures: Sequence[np.ndarray]) -> tuple[list[float], list[float]]:
    """Mean bpp and mean PSNR of Pillow's JPEG (4:2:0, optimized) at each of JPEG_QUALITIES."""
    bpp, db = [], []
    for quality in JPEG_QUALITIES:
        rows = []
        for picture in pictures:
            file = io.BytesIO()
            Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling=2, optimize=True)
            decoded = np.asarray(Image.open(file))
            rows.append((8 * file.tell() / (picture.shape[0] * picture.shape[1]), psnr_db(picture, decoded)))
        bpp.append(float(np.mean([row[0] for row in rows])))
        db.append(float(np.mean([row[1] for row in rows])))
    return bpp, db


class Validation:
    """Photos, and JPEG's curve on them."""

    def __init__(self, folders: Sequence[str], *, every: int, qualities: Sequence[int]):
        paths: list[Path] = find_photos(folders)[::every]
        pictures = [read_rgb(path) for path in paths]
        self.pictures = [p[: p.shape[0] // 64 * 64, : p.shape[1] // 64 * 64] for p in pictures]
        self.qualities = qualities
        self.jpeg = jpeg_curve(self.pictures)

    @torch.no_grad()
    def run(self, objective: Objective, *, device: torch.device) -> dict[str, object]:
        """bpp, of which z, and PSNR at each quality, and BD-rate against JPEG in percent."""
        objective.eval()
        rows = []
        for quality in self.qualities:
            rows.append(np.mean([self._one(objective, p, quality, device) for p in self.pictures], 0))
        bpp, bpp_z, db = (np.round(column, 4).tolist() for column in np.transpose(rows))
        rate = bd_rate(*self.jpeg, bpp, db, low_db=BD_RANGE_DB[0], high_db=BD_RANGE_DB[1])
        objective.train()
        return {"quality": list(self.qualities), "bpp": bpp, "bpp_z": bpp_z, "psnr_db": db, "bd_rate": round(rate, 2)}

    @staticmethod
    def _one(objective: Objective, picture: np.ndarray, quality: int, device: torch.device) -> list[float]:
        x = to_tensor(picture, device)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            measured = objective(x, torch.tensor([quality], device=device), rounded=True)
        bpp_z = measured.bpp_z.item()
        return [measured.bpp_y.item() + bpp_z, bpp_z, 10 * torch.log10(255**2 / measured.mse).item()]


def to_tensor(picture: np.ndarray, device: torch.device) -> Tensor:
    """uint8 H W 3 -> float32 (1, 3, H, W) in [0, 1]."""
    return torch.tensor(picture, device=device).permute(2, 0, 1)[None].float() / 255
