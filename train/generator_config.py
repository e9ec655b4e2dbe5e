"""The settings of a generator's training: networks, losses, the whole run."""

from dataclasses import dataclass, field

from heads.datasets import DataConfig
from semcomp.networks.model import STRIDE_Z
from train.conditions import DrawConfig
from train.optim import OptimConfig

MOVES = ("generator", "analysis")


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """Sizes beyond those of the codec's synthesis."""

    more16: int = 0
    more8: int = 3
    more4: int = 1
    guide: int = 64
    fill: int = 128
    blocks_fill: int = 3
    discriminator: int = 64
    """Channels of the discriminator's first layer."""


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights; each sample's loss is their sum."""

    mse: float
    """Of the squared error on the 0-255 scale, where the whole crop is coded."""
    mse_kept: float
    """The same inside what is kept, where only a part is."""
    perceptual: float
    perceptual_beyond: float = 0.0
    """How much a pixel that is not kept counts in the perceptual distance, beside 1 for one that is."""
    mse_beyond: float = 0.0
    """Of the squared error of what is not kept: with it alone, the mean of what may be there."""
    rough_beyond: float = 0.0
    """Of the squared difference there between a pixel and the mean of its surroundings: what is not known is soft."""
    adversarial: float
    feature_matching: float
    adversarial_beyond: float = 1.0
    """How much a patch that is not kept counts in both, and for the discriminator, beside 1 for one that is. 0 leaves
    it out of the semantic loss too."""
    semantic: float = 0.0
    """Of the cross entropy of what `semantic` of the run finds in the picture that is shown."""
    rate: float = 1.0
    """Of rate and distortion of the faithful codec, with `moves: analysis`."""


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """A whole run. Its length is given in minutes or in steps."""

    name: str
    """The run's folder below runs/."""
    generator: str
    """Name of the generator that it makes."""
    start_from: str = "base"
    """Released weights of a codec, by name or path."""
    start_generator: str | None = None
    """File of a generator to train further, with the same sizes and classes."""
    moves: str = "generator"
    """generator; or analysis, which learns along: then the codec is written beside the generator."""
    data: DataConfig
    """Pictures with label maps."""
    batch: int = 4
    network: NetworkConfig = field(default_factory=NetworkConfig)
    draw: DrawConfig = field(default_factory=DrawConfig)
    loss: LossConfig
    fill_steps: int = 0
    """Steps at the beginning that teach the fill alone: latents of what is not kept, as the analysis gives them. Then
    it stays: a discriminator that moves it makes squares of 16 pixels. 0: it learns with everything else."""
    fill_lr: float = 2e-3
    semantic: tuple[str, ...] = ()
    """Files of segmenters that see pixels and know the same classes (heads.fit with source=decoded or originals)."""
    semantic_from: float = 0.0
    """From this part of the run on it counts."""
    adversarial_from: float = 0.1
    """From this part of the run on, the discriminator counts; it learns from the beginning."""
    optim: OptimConfig = field(default_factory=OptimConfig)
    discriminator_lr: float = 2e-4
    perceptual: str = "data/weights/squeezenet_v1_0.npz"
    """SqueezeNet's weights, where LPIPS has no backbone on this machine (perceptual.py)."""
    minutes: float | None = None
    steps: int | None = None
    skip_below: int = 4
    bfloat16: bool = True
    sheet_minutes: float = 5.0
    sheet_pictures: int = 6
    save_minutes: float = 5.0
    device: str | None = None
    """torch's name; CUDA where there is one."""
    licence: str = ""
    """Of the data, and what it allows: a sentence for the generator's card."""
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise ValueError("give the length of the run as either minutes or steps")
        if self.moves not in MOVES:
            raise ValueError(f"moves is one of {', '.join(MOVES)}, not {self.moves!r}")
        if bool(self.semantic) != (self.loss.semantic > 0):
            raise ValueError("semantic and loss.semantic go together: segmenters' files, and a weight")
        if self.data.side % STRIDE_Z:
            raise ValueError(f"data.side is a multiple of {STRIDE_Z}, not {self.data.side}")
