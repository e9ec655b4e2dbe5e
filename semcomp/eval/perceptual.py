"""LPIPS with the weights that its figures are defined by, or not at all."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from semcomp.errors import MissingExtraError, SemcompError
from semcomp.eval.peers import is_whole

SMALLEST_SIDE = 64


def backbone_file() -> Path:
    """Where torchvision keeps AlexNet's ImageNet weights once they have been downloaded."""
    import torch

    from semcomp.torchvision_compat import declare_missing_operators

    declare_missing_operators()
    from torchvision.models import AlexNet_Weights

    return Path(torch.hub.get_dir()) / "checkpoints" / AlexNet_Weights.IMAGENET1K_V1.url.rsplit("/", 1)[1]


def load_lpips() -> Callable[[np.ndarray, np.ndarray], float]:
    """LPIPS 0.1 (AlexNet) of two uint8 arrays (H, W, 3): Zhang et al. 2018. Nothing is downloaded.

    SemcompError where the backbone's weights are not on this machine, MissingExtraError without the package.
    """
    try:
        import lpips
    except ImportError as error:
        raise MissingExtraError("LPIPS", "eval") from error
    path = backbone_file()
    if not path.is_file() or not is_whole(path):
        raise SemcompError(
            f"LPIPS means nothing without AlexNet's own weights, and {path} is not there or damaged: "
            "let torchvision download them, or leave lpips out of --metrics"
        )
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = lpips.LPIPS(net="alex", verbose=False).eval()

    def distance(original: np.ndarray, decoded: np.ndarray) -> float:
        if min(original.shape[:2]) < SMALLEST_SIDE:
            raise ValueError(f"LPIPS needs sides of at least {SMALLEST_SIDE} pixels")
        x, y = (torch.tensor(p).permute(2, 0, 1)[None].float() / 127.5 - 1 for p in (original, decoded))
        with torch.inference_mode():
            return float(network(x, y))

    return distance
