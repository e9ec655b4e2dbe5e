"""The settings of a head's training."""

from dataclasses import dataclass, field

from heads.classifier import ClassifierConfig
from heads.datasets import DataConfig
from heads.halved_latents import check_halved_from
from heads.head_file import TASKS, Sizes
from heads.latent_cache import SOURCES
from heads.segmenter import SegmenterConfig
from heads.training import OptimConfig


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """A whole training."""

    name: str = "head"
    """Name of the head."""
    task: str = "classify"
    """classify, segment or embed."""
    model: str = "base"
    """The codec, by name or path."""
    source: str = "latents"
    """What the network sees: latents, or the pixels of decoded or of original images (decoded, originals)."""
    data: DataConfig = field(default_factory=DataConfig)
    classify: ClassifierConfig = field(default_factory=ClassifierConfig)
    segment: SegmenterConfig = field(default_factory=SegmenterConfig)
    embed: ClassifierConfig = field(default_factory=lambda: ClassifierConfig(classes=128))
    """Sizes of a network that embeds; `classes` is the number of its values."""
    optim: OptimConfig = field(default_factory=OptimConfig)
    start_from: str | None = None
    """File of a head with the same sizes and classes, to train further; for a head on latents also of a network that
    sees pixels, whose filters and trunk it takes over; for a segmenter with a backbone also of a classifier with the
    same one."""
    trunk: str | None = None
    """Head whose layers are the beginning, all but the one that names classes: a name or a file. Its sizes are taken
    too. The last layers learn first, then all (optim.last_first, optim.trunk_lr)."""
    teacher: str | None = None
    """File to distil from: a teacher (heads.teachers), or a head that was trained on originals."""
    features: str | None = None
    """What guides the network at 1/32 by its features of the originals: SqueezeNet's weights (squeezenet.py), or
    efficientnet-lite2 for the network of that package."""
    probe: bool = False
    """Distil also from a linear classifier on those features (probe.py)."""
    licence: str = ""
    """The licence of the data, a sentence for the head's file."""
    seed: int = 0
    halved_from: int | None = None
    """Shorter side of a picture in pixels from which the head will read latents of its half, again and again. What it
    learns from is cut from pictures as they are."""

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise ValueError(f"task is one of {', '.join(TASKS)}, not {self.task!r}")
        if self.source not in SOURCES:
            raise ValueError(f"source is one of {', '.join(SOURCES)}, not {self.source!r}")
        if self.trunk and (self.start_from or self.source != "latents"):
            raise ValueError("trunk is for a head on latents that does not start from another file too")
        if self.task == "embed" and self.source != "latents":
            raise ValueError("a head that embeds reads latents")
        check_halved_from(self.halved_from)
        if self.optim.stem_steps and not (self.sizes.backbone and self.source == "latents"):
            raise ValueError("optim.stem_steps is for a head on latents that has a backbone")
        if self.probe and (self.sizes is not self.classify or not self.features or self.teacher):
            raise ValueError("probe is for a classifier that has features and no other teacher")

    @property
    def sizes(self) -> Sizes:
        """Sizes of the network that the task needs."""
        sizes: Sizes = getattr(self, self.task)
        return sizes
