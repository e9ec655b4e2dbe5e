"""LPIPS with AlexNet's own weights. Other weights would give other figures, so there is no fallback."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from semcomp.errors import MissingExtraError, SemcompError
from semcomp.eval.peers import is_whole
from semcomp.torchvision_compat import declare_missing_operators

SMALLEST_SIDE = 64
"""LPIPS is not defined for smaller pictures."""


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
