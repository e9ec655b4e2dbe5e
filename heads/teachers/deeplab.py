"""The segmenter that teaches: DeepLabv3+ (Chen et al. 2018) on EfficientNet-Lite2, and its file.

The decoder is segmentation-models-pytorch's. The trunk's last stage is dilated, so that the coarse grid is at 1/16.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from heads.latent_cache import to_network
from heads.teachers.efficientnet import NAME, load_published, normalized
from semcomp.errors import MissingExtraError, ModelError
from semcomp.networks.blocks import for_loaded_weights
from semcomp.networks.precision import fast_pixels
from semcomp.torchvision_compat import declare_missing_operators

FORMAT = "semcomp-teacher-1"
STRIDE = 4
"""The scores have a quarter of the picture's resolution."""
MULTIPLE = 32
"""Sides of pictures are filled up to a multiple of this."""


@dataclass(frozen=True, kw_only=True)
class TeacherInfo:
    """What a teacher knows."""

    classes: tuple[str, ...]
    origin: str = ""
    """Data, settings and figures, in words."""


class DeepLab(nn.Module):
    """x (B, 3, H, W), RGB in [0, 1], sides multiples of 32 -> logits (B, K, H/4, W/4)."""

    def __init__(self, classes: int):
        super().__init__()
        declare_missing_operators()
        try:
            from segmentation_models_pytorch import DeepLabV3Plus
        except ImportError as error:
            raise MissingExtraError("A teacher", "teach") from error
        self.network: Any = DeepLabV3Plus(
            encoder_name=f"tu-{NAME}", encoder_weights=None, encoder_output_stride=16, classes=classes, upsampling=1
        )

    @property
    def trunk(self) -> nn.Module:
        """The layers that ImageNet has taught."""
        encoder: nn.Module = self.network.encoder
        return encoder

    def start(self, weights: Path | None = None) -> None:
        """Begin with the published weights of the trunk; `load_published` says what fails."""
        load_published(self.network.encoder.model, weights)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits."""
        logits: Tensor = self.network(normalized(x))
        return logits


class SegmentingTeacher:
    """A trained teacher, to be asked about pictures."""

    def __init__(self, network: DeepLab, info: TeacherInfo):
        self.network = network.float().eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.info = info

    @torch.inference_mode()
    def scores(self, pixels: NDArray[np.uint8], *, mirrored: bool = True, short: int = 0) -> NDArray[np.float32]:
        """Ask about a picture.

        Args:
            pixels: uint8 (H, W, 3).
            mirrored: Whether its mirror image is asked about too, and the mean taken.
            short: A picture whose shorter side is below this is enlarged to it first.

        Returns:
            Logits, float32 (K, ceil(H / 4), ceil(W / 4)).
        """
        x = to_network(pixels[None])
        height, width = x.shape[2:]
        size = (-(-height // STRIDE), -(-width // STRIDE))
        if min(height, width) < short:
            factor = short / min(height, width)
            x = F.interpolate(x, size=(round(height * factor), round(width * factor)), mode="bilinear", antialias=True)
        batch = torch.cat([x, x.flip(3)]) if mirrored else x
        below, right = (-side % MULTIPLE for side in batch.shape[2:])
        with fast_pixels(batch.device):
            logits = self.network(F.pad(batch, (0, right, 0, below), mode="replicate")).float()
        rows, columns = (-(-side // STRIDE) for side in batch.shape[2:])
        if mirrored:
            full = F.interpolate(logits, scale_factor=STRIDE, mode="bilinear")[..., : x.shape[2], : x.shape[3]]
            mean = (full[:1] + full[1:].flip(3)) / 2
        else:
            mean = logits[..., :rows, :columns]
        return F.interpolate(mean, size=size, mode="bilinear", antialias=mirrored)[0].numpy()

    def label_map(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Name the class of every pixel: uint8 (H, W, 3) -> uint8 (H, W)."""
        scores = torch.from_numpy(self.scores(pixels))[None]
        full = F.interpolate(scores, scale_factor=STRIDE, mode="bilinear")[0, :, : pixels.shape[0], : pixels.shape[1]]
        return full.argmax(0).byte().numpy()


def save_teacher(network: DeepLab, info: TeacherInfo, path: Path) -> None:
    """Write a teacher's file, in half precision."""
    state = {
        name: value.detach().half().contiguous() if value.is_floating_point() else value
        for name, value in network.state_dict().items()
    }
    metadata = {"format": FORMAT, "classes": json.dumps(info.classes), "origin": info.origin}
    temporary = path.with_suffix(".part")
    save_file(state, temporary, metadata)
    temporary.replace(path)


def is_teacher(path: str | Path) -> bool:
    """Whether a file holds a teacher."""
    try:
        with safe_open(path, "numpy") as file:
            return bool((file.metadata() or {}).get("format") == FORMAT)
    except (OSError, SafetensorError):
        return False


def read_teacher(path: str | Path) -> SegmentingTeacher:
    """Read a teacher's file. ModelError where it is none."""
    if not is_teacher(path):
        raise ModelError(f"{path} holds no teacher; python -m heads.teachers.fit writes one")
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    info = TeacherInfo(classes=tuple(json.loads(metadata["classes"])), origin=metadata["origin"])
    with for_loaded_weights():
        network = DeepLab(len(info.classes))
    network.load_state_dict({name: v.float() if v.is_floating_point() else v for name, v in state.items()})
    return SegmentingTeacher(network, info)
