"""LPIPS and SSIMULACRA2.

LPIPS needs AlexNet's own weights. Other weights would give other figures, so there is no fallback.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from PIL import Image

from semcomp.errors import MissingExtraError, SemcompError
from semcomp.eval.peers import is_whole
from semcomp.torchvision_compat import declare_missing_operators

SMALLEST_SIDE = 64
"""LPIPS is not defined for smaller pictures."""
SMALLEST_SIDE_SSIMULACRA2 = 8
"""SSIMULACRA2 is not defined for smaller pictures."""


def backbone_file() -> Path:
    """The file where torchvision keeps AlexNet's ImageNet weights after a download."""
    import torch

    declare_missing_operators()
    from torchvision.models import AlexNet_Weights

    name = str(AlexNet_Weights.IMAGENET1K_V1.url).rsplit("/", 1)[1]
    return Path(torch.hub.get_dir()) / "checkpoints" / name


def load_lpips() -> Callable[[NDArray[Any], NDArray[Any]], float]:
    """Load LPIPS 0.1 with AlexNet (Zhang et al. 2018). Nothing is downloaded.

    Returns:
        A function from two uint8 arrays (H, W, 3) to their distance.

    Raises:
        SemcompError: The weights of the backbone are not on this machine.
        MissingExtraError: The package lpips is not installed.
    """
    declare_missing_operators()
    try:
        import lpips
    except ImportError as error:
        raise MissingExtraError("LPIPS", "eval") from error
    path = backbone_file()
    if not path.is_file() or not is_whole(path):
        raise SemcompError(
            f"LPIPS means nothing without AlexNet's own weights, and {path} is not there or damaged: "
            "let torchvision download them, or leave out the metric lpips"
        )
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = lpips.LPIPS(net="alex", verbose=False).eval()

    def distance(original: NDArray[Any], decoded: NDArray[Any]) -> float:
        if min(original.shape[:2]) < SMALLEST_SIDE:
            raise ValueError(f"LPIPS needs sides of at least {SMALLEST_SIDE} pixels")
        x, y = (torch.tensor(p).permute(2, 0, 1)[None].float() / 127.5 - 1 for p in (original, decoded))
        with torch.inference_mode():
            return float(network(x, y))

    return distance


def load_ssimulacra2() -> Callable[[NDArray[Any], NDArray[Any]], float]:
    """Load SSIMULACRA2 (Sneyers 2022): structural similarity and edges in XYB at six scales, fitted to opinions.

    Returns:
        A function from two uint8 arrays (H, W, 3) to a score. 100 means equal, 90 is about the limit of what can be
        seen, 70 is high quality, 50 medium, 30 low; the score may be negative.

    Raises:
        MissingExtraError: The package ssimulacra2 is not installed.
    """
    try:
        from ssimulacra2 import compute_ssimulacra2
    except ImportError as error:
        raise MissingExtraError("SSIMULACRA2", "eval") from error

    def file_of(pixels: NDArray[Any]) -> io.BytesIO:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "BMP")
        file.seek(0)
        return file

    def score(original: NDArray[Any], decoded: NDArray[Any]) -> float:
        if min(original.shape[:2]) < SMALLEST_SIDE_SSIMULACRA2:
            raise ValueError(f"SSIMULACRA2 needs sides of at least {SMALLEST_SIDE_SSIMULACRA2} pixels")
        return float(compute_ssimulacra2(file_of(original), file_of(decoded)))

    return score
