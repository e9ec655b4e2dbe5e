"""The file of a trained head, and the head that it becomes.

Weights in bytes (byte_weights.py) in safetensors; the metadata holds the task, the sizes of the network, the classes
with their colours, and the entropy id of the codec whose latents it reads. When the head keeps quiet is written beside
it (semcomp.semantics.limits), so that measuring it again changes no weights' id.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor, nn

from heads.byte_weights import from_bytes, in_bytes
from heads.classifier import ClassifierConfig, ClassifierNetwork
from heads.exported_network import for_export
from heads.halved_latents import check_halved_from, seen_from
from heads.inference import for_inference
from heads.segmenter import SegmenterConfig, SegmenterNetwork
from semcomp.config import build
from semcomp.networks.blocks import for_loaded_weights
from semcomp.networks.precision import fast_pixels
from semcomp.networks.threads import threads_for
from semcomp.semantics.embedding import Embedding
from semcomp.semantics.head import Classifier, Head, Labels, Palette, Segmentation, Segmenter
from semcomp.semantics.limits import NO_LIMITS, Limits, read_limits, write_limits
from semcomp.semantics.upsample import full_resolution
from semcomp.types import Latents
from semcomp.weights.files import WEIGHTS, stored, write_weights

FORMAT = "semcomp-head-1"
Network = ClassifierNetwork | SegmenterNetwork
Sizes = ClassifierConfig | SegmenterConfig


@dataclass(frozen=True, kw_only=True)
class HeadInfo:
    """Everything about a head but its weights and limits. ValueError for a task or a size that cannot be."""

    name: str
    task: str
    """A key of TASKS."""
    classes: tuple[str, ...]
    palette: Palette = ()
    """One RGB colour for each class; empty for a classifier."""
    entropy_id: str
    """Hex, names the codec."""
    origin: str = ""
    """Data, command and minutes, in words."""
    temperature: float = 1.0
    """What the scores were divided by when the head had learned. The weights hold it already."""
    halved_from: int | None = None
    """Shorter side of a picture in pixels from which latents of its half are read (Head.halved_from)."""

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise ValueError(f"task is one of {', '.join(TASKS)}, not {self.task!r}")
        check_halved_from(self.halved_from)


class NetworkHead(Head):
    """A head with one of this package's networks. It runs where the latents are, and several threads may share it."""

    def __init__(self, info: HeadInfo, network: Network, limits: Limits = NO_LIMITS):
        self.info, self.limits = info, limits
        self.network: Network = network.float().eval().requires_grad_(False)
        self.name, self.classes, self.origin = info.name, info.classes, info.origin
        self.halved_from = info.halved_from
        self.entropy_id = bytes.fromhex(info.entropy_id)
        self._running: dict[torch.device, Network] = {}

    def exported(self) -> nn.Module:
        return for_export(self.network)

    @torch.inference_mode()
    def seen(self, latents: Latents) -> Latents:
        return seen_from(latents, self.halved_from)

    @torch.inference_mode()
    def logits(self, value: Tensor, quality: int) -> Tensor:
        """Run the network: y_hat (1, M, h, w), or pixels (1, 3, H, W) where it reads pixels -> float32 scores.

        The network is taken as it was at the first call on a device.
        """
        return self._run(value, quality, lambda network, *given: network(*given))

    @torch.inference_mode()
    def features(self, latents: Latents) -> NDArray[np.float32]:
        found = self._run(latents.y_hat, latents.quality, lambda network, *given: network.features(*given))
        vector: NDArray[np.float32] = found[0].cpu().numpy()
        return vector

    def _run(self, value: Tensor, quality: int, ask: Callable[..., Tensor]) -> Tensor:
        device = value.device
        if device not in self._running:
            self._running[device] = for_inference(self.network, device)
        value = value.contiguous(memory_format=torch.channels_last)
        with fast_pixels(device), threads_for(value.shape[2] * value.shape[3]):
            return ask(self._running[device], value, torch.tensor([quality], device=device)).float()


class NetworkClassifier(NetworkHead, Classifier):
    """A classifier with a network."""

    def answer(self, latents: Latents) -> Labels:
        return self.read(latents.y_hat, latents.quality)

    @torch.inference_mode()
    def read(self, value: Tensor, quality: int) -> Labels:
        """Label an image; `value` is what `logits` takes."""
        logits = self.logits(value, quality)[0]
        labels = Labels.ranked(self.classes, logits.softmax(0).tolist(), head=self.name)
        return self.limits.quiet_labels(labels, float(logits.logsumexp(0)))


class NetworkSegmenter(NetworkHead, Segmenter):
    """A segmenter with a network."""

    knows_confidence = True

    def __init__(self, info: HeadInfo, network: Network, limits: Limits = NO_LIMITS):
        super().__init__(info, network, limits)
        self.palette = info.palette

    def answer(self, latents: Latents) -> Segmentation:
        return self.read(latents.y_hat, latents.quality, height=latents.height, width=latents.width)

    @torch.inference_mode()
    def read(self, value: Tensor, quality: int, *, height: int, width: int) -> Segmentation:
        """Segment an image of that size; `value` is what `logits` takes."""
        logits = self.logits(value, quality).cpu().numpy()
        label_map = full_resolution(logits, height=height, width=width)
        return Segmentation(
            label_map=self.limits.quiet(label_map, logits, height=height, width=width),
            classes=self.classes,
            palette=self.palette,
            head=self.name,
        )


class NetworkEmbedder(NetworkHead):
    """A head whose network gives embeddings, and nothing else."""

    task = "embed"

    def __call__(self, latents: Latents) -> Embedding:  # type: ignore[override]  # `load_head` gives no such head
        """Embed an image. ModelError for latents of another codec."""
        self.check(latents)
        seen = self.seen(latents)
        return self.read(seen.y_hat, seen.quality)

    def features(self, latents: Latents) -> NDArray[np.float32]:
        vector: NDArray[np.float32] = self.logits(latents.y_hat, latents.quality)[0].cpu().numpy()
        return vector

    def read(self, value: Tensor, quality: int) -> Embedding:
        """Embed an image; `value` is what `logits` takes."""
        return Embedding.of(self.logits(value, quality)[0].cpu().numpy(), head=self.name)


@dataclass(frozen=True)
class Task:
    """What belongs to a word for a task in files and configurations."""

    network: type[ClassifierNetwork] | type[SegmenterNetwork]
    sizes: type[ClassifierConfig] | type[SegmenterConfig]
    head: type[NetworkClassifier] | type[NetworkSegmenter] | type[NetworkEmbedder]


TASKS = {
    "classify": Task(ClassifierNetwork, ClassifierConfig, NetworkClassifier),
    "segment": Task(SegmenterNetwork, SegmenterConfig, NetworkSegmenter),
    "embed": Task(ClassifierNetwork, ClassifierConfig, NetworkEmbedder),
}
TrainedHead = NetworkClassifier | NetworkSegmenter | NetworkEmbedder


def build_network(sizes: Sizes) -> Network:
    """Make an untrained network."""
    return ClassifierNetwork(sizes) if isinstance(sizes, ClassifierConfig) else SegmenterNetwork(sizes)


def build_head(info: HeadInfo, network: Network, limits: Limits = NO_LIMITS) -> TrainedHead:
    """Make the head of a task from its network."""
    return TASKS[info.task].head(info, network, limits)


def save_head(head: NetworkHead, path: Path) -> None:
    """Write the file, and the limits beside it where there are any."""
    state = in_bytes(head.network.state_dict())
    metadata = {
        "format": FORMAT,
        "info": json.dumps(asdict(head.info), ensure_ascii=False),
        "network": json.dumps(asdict(head.network.config)),
    }
    write_weights(state, path, metadata=metadata)
    if head.limits != NO_LIMITS:
        write_limits(head.limits, path, head.classes)


def read_head(path: str | Path) -> TrainedHead:
    """Read the head of a file, with its limits. ModelError where it is damaged or has another version."""
    with stored(path, kind="head", form=FORMAT, again="train the head") as (metadata, state):
        values = json.loads(metadata["info"])
        values["palette"] = tuple(tuple(colour) for colour in values["palette"])
        info = HeadInfo(**{**values, "classes": tuple(values["classes"])})
        with for_loaded_weights():
            network = build_network(build(TASKS[info.task].sizes, json.loads(metadata["network"])))
        missing, unexpected = network.load_state_dict(from_bytes(state), strict=False)
        if unexpected or any(not name.endswith("num_batches_tracked") for name in missing):
            raise ValueError(f"weights {[*unexpected, *missing][:3]} do not fit the network")
        return build_head(info, network, read_limits(path, info.classes))


def embedded() -> Iterator[str]:
    """Names of the heads inside the package."""
    for path in sorted(WEIGHTS.glob("*.safetensors")):
        with safe_open(path, "numpy") as file:
            if (file.metadata() or {}).get("format") == FORMAT:
                yield path.stem


def street() -> Head:
    """Load the head of CamVid's 11 classes."""
    return read_head(WEIGHTS / "street.safetensors")


def objects() -> Head:
    """Load the head of Pascal VOC's 21 classes."""
    return read_head(WEIGHTS / "objects.safetensors")


def things() -> Head:
    """Load the head of ImageNet's thousand classes."""
    return read_head(WEIGHTS / "things.safetensors")


def imagenette() -> Head:
    """Load the head of Imagenette's 10 classes."""
    return read_head(WEIGHTS / "imagenette.safetensors")
