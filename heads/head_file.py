"""The file of a trained head, and the head that it becomes.

Half-precision weights in safetensors; the metadata holds the task, the sizes of the network, the classes with their
colours, and the entropy id of the codec whose latents it reads.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from heads.classifier import Classifier, ClassifierConfig
from heads.inference import for_inference
from heads.segmenter import Segmenter, SegmenterConfig
from semcomp.codec.latent_coder import Latents
from semcomp.config import build
from semcomp.networks.precision import fast_pixels
from semcomp.semantics.head import Head, Labels, Palette, Segmentation
from semcomp.semantics.upsample import full_resolution
from semcomp.weights.files import WEIGHTS, stored

FORMAT = "semcomp-head-1"
NETWORKS: dict[str, tuple[type, type]] = {
    "classify": (Classifier, ClassifierConfig),
    "segment": (Segmenter, SegmenterConfig),
}


@dataclass(frozen=True, kw_only=True)
class HeadInfo:
    """Everything about a head but its weights."""

    name: str
    task: str
    """A key of NETWORKS."""
    classes: tuple[str, ...]
    palette: Palette = ()
    """One RGB colour a class; empty for a classifier."""
    entropy_id: str
    """Hex, of the codec."""
    origin: str = ""
    """Data, command and minutes, in words."""

    def __post_init__(self) -> None:
        if self.task not in NETWORKS:
            raise ValueError(f"task is one of {', '.join(NETWORKS)}, not {self.task!r}")


Network = Classifier | Segmenter


def build_network(task: str, config: ClassifierConfig | SegmenterConfig) -> Network:
    """An untrained network."""
    network: Network = NETWORKS[task][0](config)
    return network


class NetworkHead(Head):
    """A head with one of this package's networks. Runs where the latents are. Safe to use from several threads."""

    def __init__(self, info: HeadInfo, network: Network):
        self.info: HeadInfo = info
        self.network: Network = network.float().eval().requires_grad_(False)
        self.name, self.task, self.classes = info.name, info.task, info.classes
        self.entropy_id, self.origin, self.palette = bytes.fromhex(info.entropy_id), info.origin, info.palette
        self._running: dict[torch.device, Network] = {}

    def answer(self, latents: Latents) -> Labels | Segmentation:
        return self.read(latents.y_hat, latents.quality, height=latents.height, width=latents.width)

    @torch.inference_mode()
    def read(self, value: Tensor, quality: int, *, height: int, width: int) -> Labels | Segmentation:
        """What a picture of that size shows; `value` as of `logits`."""
        logits = self.logits(value, quality)
        if self.task == "classify":
            return labels_of(logits[0], self.classes, head=self.name)
        return Segmentation(
            label_map=full_resolution(logits.cpu().numpy(), height=height, width=width),
            classes=self.classes,
            palette=self.info.palette,
            head=self.name,
        )

    def exported(self) -> nn.Module:
        return self.network

    @torch.inference_mode()
    def logits(self, value: Tensor, quality: int) -> Tensor:
        """float32 scores for y_hat (1, M, h, w), or for pixels (1, 3, H, W) where the network reads pixels.

        The network is taken as it was at the first call on a device.
        """
        device = value.device
        if device not in self._running:
            self._running[device] = for_inference(self.network, device)
        value = value.contiguous(memory_format=torch.channels_last)
        with fast_pixels(device):
            return self._running[device](value, torch.tensor([quality], device=device)).float()


def labels_of(logits: Tensor, classes: tuple[str, ...], *, head: str) -> Labels:
    """Every class with its probability, the best first. logits (K,)."""
    return Labels.ranked(classes, logits.softmax(0).tolist(), head=head)


def save_head(head: NetworkHead, path: Path) -> None:
    """Write the file: half precision, counters of the batch norms left out."""
    config = head.network.config
    state = {n: t.half().contiguous() for n, t in head.network.state_dict().items() if t.is_floating_point()}
    metadata = {
        "format": FORMAT,
        "info": json.dumps(asdict(head.info), ensure_ascii=False),
        "network": json.dumps(asdict(config)),
    }
    save_file(state, path, metadata=metadata)


def read_head(path: str | Path) -> NetworkHead:
    """The head of a file. ModelError where it is damaged or of another version."""
    with stored(path, kind="head", form=FORMAT, again="train the head") as (metadata, state):
        values = json.loads(metadata["info"])
        values["palette"] = tuple(tuple(colour) for colour in values["palette"])
        info = HeadInfo(**{**values, "classes": tuple(values["classes"])})
        config: Any = build(NETWORKS[info.task][1], json.loads(metadata["network"]))
        network = build_network(info.task, config)
        missing, unexpected = network.load_state_dict(state, strict=False)
        if unexpected or any(not name.endswith("num_batches_tracked") for name in missing):
            raise ValueError(f"weights {[*unexpected, *missing][:3]} do not fit the network")
        return NetworkHead(info, network)


def embedded() -> Iterator[str]:
    """Names of the heads inside the package."""
    for path in sorted(WEIGHTS.glob("*.safetensors")):
        with safe_open(path, "numpy") as file:
            if (file.metadata() or {}).get("format") == FORMAT:
                yield path.stem


def street() -> NetworkHead:
    """CamVid's 11 classes."""
    return read_head(WEIGHTS / "street.safetensors")


def objects() -> NetworkHead:
    """The 21 classes of Pascal VOC, distilled."""
    return read_head(WEIGHTS / "objects.safetensors")


def imagenette() -> NetworkHead:
    """Imagenette's 10 classes."""
    return read_head(WEIGHTS / "imagenette.safetensors")
