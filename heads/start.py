"""What a network begins as: random weights, the layers of a head with the same classes, or the trunk of any head.

A head that somebody trains on a few hundred pictures starts from the layers of one that has seen many thousands.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from heads.backbone import LAST, Taught
from heads.classifier import ClassifierConfig, ClassifierNetwork
from heads.datasets import DataError, Dataset
from heads.fit_config import FitConfig
from heads.head_file import Network, NetworkHead, Sizes, build_network, read_head
from heads.layers import Adapter, PixelStem
from heads.segmenter import SegmenterConfig, SegmenterNetwork
from heads.teachers.asked import EFFICIENTNET
from heads.teachers.efficientnet import CLASSES, Names
from semcomp.codec.codec import Codec
from semcomp.errors import ModelError, SemcompError
from semcomp.networks.blocks import Down
from semcomp.semantics.head import load_head

USUAL = {"classify": ("things", "objects", "imagenette"), "segment": ("objects",)}
"""Heads that are started from unless told otherwise, the best first."""


@dataclass(frozen=True)
class Start:
    """Where the first weights of a network come from."""

    told: str = ""
    """A clause for the origin of the head; empty for random weights."""
    is_trunk: bool = False
    stem: nn.Module | None = None
    """The stem that has learned before, for `unfolding`."""


def begin(config: FitConfig, codec: Codec, dataset: Dataset) -> tuple[Network, Start]:
    """Build the network of a training with its first weights.

    Raises:
        ModelError: There is no such head to start from, or it does not fit the task or the codec.
        DataError: The head of `start_from` has other classes or sizes.
    """
    c = codec.release.config
    trunk = None if config.trunk is None else read_trunk(config.trunk, task=config.task, codec=codec)
    sizes = config.sizes if trunk is None else _sizes_of(trunk.network.config, task=config.task)
    source = "latents" if config.source == "latents" else "pixels"
    classes = len(dataset.classes) or config.sizes.classes  # a network that embeds has values instead
    network = build_network(replace(sizes, classes=classes, latents=c.latents, nodes=c.nodes, source=source))
    if trunk is not None:
        take_trunk(network, trunk)
        return network, Start(f"starts from the trunk of {trunk.name}", is_trunk=True)
    if config.start_from is None:
        names = config.teacher == EFFICIENTNET and classes == CLASSES
        return network, Start(_taught(network, names=names) if sizes.backbone else "")
    before = read_head(config.start_from)
    _take_over(network, before, dataset, file=config.start_from)
    told = f"trained further from {Path(config.start_from).stem}: {before.origin}"
    return network, Start(told, stem=before.network.stem)


def _taught(network: Network, *, names: bool) -> str:
    """Begin with a backbone's published weights, with its classifier too for the same `names`. MissingExtraError
    without them. Returns what is told of it."""
    published = Taught(Names().network)
    published.fill(network.taught())
    if names and isinstance(network, ClassifierNetwork) and network.feature_width == LAST:
        network.linear.load_state_dict(published.network.classifier.state_dict())
    _set_scales(network.stem, *published.read())
    return "its stages from 1/16 on start from EfficientNet-Lite2 (Tan and Le 2019, Apache-2.0), trained on ImageNet"


@torch.no_grad()
def _set_scales(stem: nn.Module, mean: Tensor, spread: Tensor) -> None:
    """Let a stem give channels with about this mean and spread."""
    if isinstance(stem, Adapter):
        stem.mean.copy_(mean)
        stem.spread.copy_(spread)
    elif isinstance(stem, PixelStem):
        last: Any = next(layer for layer in reversed(stem.descent) if isinstance(layer, Down)).conv
        last.weight *= (spread / last.weight.flatten(1).norm(dim=1))[:, None, None, None]
        last.bias.copy_(mean)


def usual_trunk(task: str, codec: Codec) -> str | None:
    """Name the head that a training starts from unless told otherwise. None if there is none for this codec."""
    for name in USUAL.get(task, ()):
        try:
            read_trunk(name, task=task, codec=codec)
        except SemcompError:
            continue
        return name
    return None


def read_trunk(name_or_file: str, *, task: str, codec: Codec) -> NetworkHead:
    """Load a head to start from.

    Raises:
        ModelError: There is no such head, it labels where a head should segment, it is for another codec, or it has a
            network of another package.
    """
    head = load_head(name_or_file)
    fits = isinstance(head, NetworkHead) and head.network.config.source == "latents"
    if not fits or (task, head.task) == ("segment", "classify"):
        raise ModelError(f"{name_or_file} cannot be the start of a head that should {task}: name another head, or none")
    assert isinstance(head, NetworkHead)
    if head.entropy_id != codec.entropy_id:
        raise ModelError(
            f"the head {head.name} reads latents of {head.entropy_id.hex()}, {codec.name} has "
            f"{codec.entropy_id.hex()}: name a head for this codec, or none"
        )
    return head


def _sizes_of(trunk: Sizes, *, task: str) -> Sizes:
    """Sizes of a network that has the layers of a trunk. A classifier takes a segmenter's down to 1/32."""
    if task == "segment" or isinstance(trunk, ClassifierConfig):
        return trunk
    before, after = trunk.blocks32
    return ClassifierConfig(
        fine=trunk.fine,
        widths=(trunk.width16, trunk.width32),
        blocks=(trunk.blocks16[0], 0 if trunk.backbone else before + after),
        context=None if trunk.backbone else before,
        rank=trunk.rank,
        companded=trunk.companded,
        backbone=trunk.backbone,
        adapter=trunk.adapter,
    )


RENAMED = {"before": "stages.0", "down": "downs.0", "coarse": "stages.1"}
"""Layers of a segmenter, and what a classifier calls them."""


def take_trunk(network: Network, trunk: NetworkHead) -> None:
    """Begin with the layers of a head, but for the one that names its classes and those that the network lacks."""
    own, kept = network.state_dict(), {}
    crosses = isinstance(network, ClassifierNetwork) and isinstance(trunk.network, SegmenterNetwork)
    for name, value in trunk.network.state_dict().items():
        layer, _, rest = name.partition(".")
        if crosses:
            name = f"{RENAMED.get(layer, layer)}.{rest}"
        if layer not in ("linear", "logits") and not (crosses and layer == "norm") and name in own:
            kept[name] = value
    network.load_state_dict(own | kept)


def _take_over(network: Network, before: NetworkHead, dataset: Dataset, *, file: str) -> None:
    """Begin with what a head has learned. Of a network that sees pixels where this does not: all but the stem's first
    layer, and the layers at a quarter of the resolution where those are of another width. A segmenter takes the stem
    and the backbone of a classifier.

    DataError where the two do not fit together.
    """
    if isinstance(network, SegmenterNetwork) and isinstance(before.network, ClassifierNetwork):
        _take_shared(network, before.network, file=file)
        return
    mine, theirs = network.config, before.network.config
    if theirs.source == "pixels":
        theirs = replace(theirs, source=mine.source, rank=mine.rank, companded=mine.companded)
        if isinstance(mine, SegmenterConfig) and isinstance(theirs, SegmenterConfig) and mine.source == "latents":
            theirs = replace(theirs, width4=mine.width4)
    if before.classes != dataset.classes or theirs != mine:
        raise DataError(f"{file} has other classes or sizes than this head; train from the beginning")
    own, learned = network.state_dict(), before.network.state_dict()
    kept = {name: value for name, value in learned.items() if name in own and value.shape == own[name].shape}
    network.load_state_dict(own | kept)


def _take_shared(network: SegmenterNetwork, classifier: ClassifierNetwork, *, file: str) -> None:
    """Begin with the stem and the backbone of a classifier. DataError where they differ."""
    learned = {}
    for name, value in classifier.state_dict().items():
        own_layer = next((own for own, theirs in RENAMED.items() if name.startswith(f"{theirs}.")), None)
        learned[f"{own_layer}{name.removeprefix(RENAMED[own_layer])}" if own_layer else name] = value
    own = network.state_dict()
    shared = [name for name in own if name.partition(".")[0] in ("stem", *RENAMED)]
    same = all(name in learned and learned[name].shape == own[name].shape for name in shared)
    if not network.config.backbone or not same:
        raise DataError(f"{file} has not the stem and the backbone of this head; train from the beginning")
    network.load_state_dict(own | {name: learned[name] for name in shared})
