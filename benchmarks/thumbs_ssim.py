"""Measures thumbnail codes and JPEG by four definitions of SSIM.

    python -m benchmarks.thumbs_ssim out/thumbs/held.npy out/cifar.npy -o out/thumbs_ssim.json

Papers rarely say how they measure 32x32 pictures. Where sets are to be compared, this shows how much the definition
matters. JPEG counts its bytes without headers.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.thumbs_peers import ladder, within
from semcomp.imaging.metrics import psnr_db, ssim
from semcomp.thumbs.thumb import decode_canvas, thumb

C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
SIZES = (64, 128, 154, 512)
"""Bytes of a row; 154 are 1.20 bits a pixel."""
Pixels = NDArray[Any]


def _similarity(means: tuple[Tensor, Tensor], moments: tuple[Tensor, Tensor, Tensor], gain: float) -> float:
    """Mean SSIM of windows, from their means and their mean squares and products."""
    (x, y), (xx, yy, xy) = means, moments
    covariance, variances = gain * (xy - x * y), gain * (xx - x * x + yy - y * y)
    similarity = (2 * x * y + C1) * (2 * covariance + C2) / ((x * x + y * y + C1) * (variances + C2))
    return float(similarity.mean())


def _windows(a: Pixels, b: Pixels, reduce: Callable[[Tensor], Tensor], gain: float) -> float:
    x, y = (torch.tensor(p).permute(2, 0, 1)[:, None].double() for p in (a, b))
    means = (reduce(x), reduce(y))
    return _similarity(means, (reduce(x * x), reduce(y * y), reduce(x * y)), gain)


def uniform(a: Pixels, b: Pixels) -> float:
    """SSIM with flat windows of 7x7 pixels and unbiased variances, the default of scikit-image."""
    return _windows(a, b, lambda t: F.avg_pool2d(t, 7, 1), 49 / 48)


def patches(a: Pixels, b: Pixels) -> float:
    """SSIM of patches of 8x8 pixels, each one alone."""
    return _windows(a, b, lambda t: F.avg_pool2d(t, 8), 1.0)


def grey(a: Pixels, b: Pixels) -> float:
    """SSIM with a Gaussian window of the luma alone."""
    x, y = (np.repeat(np.rint(p @ [0.299, 0.587, 0.114]).astype(np.uint8)[..., None], 3, -1) for p in (a, b))
    return ssim(x, y)


DEFINITIONS: dict[str, Callable[[Pixels, Pixels], float]] = {
    "gaussian": ssim,
    "uniform7": uniform,
    "patches8": patches,
    "grey": grey,
}


def row(originals: Pixels, decoded: Sequence[Pixels]) -> dict[str, float]:
    """Mean SSIM by each definition, and mean PSNR."""
    pairs = list(zip(originals, decoded, strict=True))
    values = {name: np.mean([measure(a, b) for a, b in pairs]) for name, measure in DEFINITIONS.items()}
    values["psnr_db"] = np.mean([min(psnr_db(a, b), 99.0) for a, b in pairs])
    return {name: round(float(value), 4) for name, value in values.items()}


def measure_set(originals: Pixels) -> dict[str, Any]:
    """Rows of our codes and of JPEG; a JPEG row is None where a thumbnail cannot be made that small."""
    ours = {size: row(originals, [decode_canvas(thumb(p, size))[0] for p in originals]) for size in SIZES}
    ladders = [ladder("jpeg", p) for p in originals]
    jpeg: dict[int, Any] = {}
    for size in SIZES[:3]:
        chosen = [step for steps in ladders if (step := within(steps, size)) is not None]
        whole = len(chosen) == len(originals)
        jpeg[size] = row(originals, [pixels for pixels, _ in chosen]) if whole else None
    return {"thumbnails": len(originals), "ours": ours, "jpeg": jpeg}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sets", type=Path, nargs="+", help="uint8 arrays (N, 32, 32, 3)")
    parser.add_argument("-o", "--output", type=Path, required=True, help="JSON file for the result")
    options = parser.parse_args(arguments)
    result = {f"{path.parent.name}/{path.stem}": measure_set(np.load(path)) for path in options.sets}
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
