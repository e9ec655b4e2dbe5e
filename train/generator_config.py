"""The settings of a generator's training: networks, losses, the whole run."""

from dataclasses import dataclass, field

from heads.datasets import DataConfig
from semcomp.networks.model import STRIDE_Z
from train.conditions import DrawConfig
from train.optim import OptimConfig

MOVES = ("generator", "analysis")


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """Sizes of a generator, in addition to the codec's synthesis."""

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
    """Weights of the losses. A crop's loss is the weighted sum."""

    mse: float
    """Weight of the squared error on the 0-255 scale, for crops that are coded whole."""
    mse_kept: float
    """Weight of the squared error inside what is kept, for crops that are kept in part."""
    perceptual: float
    """Weight of the perceptual distance."""
    perceptual_beyond: float = 0.0
    """Weight of a pixel that is not kept in the perceptual distance. A kept one has weight 1."""
    mse_beyond: float = 0.0
    """Weight of the squared error of what is not kept. This loss alone teaches the mean of what may be there."""
    rough_beyond: float = 0.0
    """Weight of the roughness of what is not kept: it makes unknown parts soft."""
    adversarial: float
    """Weight of the discriminator's verdict."""
    feature_matching: float
    """Weight of the distance of the discriminator's features."""
    adversarial_beyond: float = 1.0
    """Weight of a patch that is not kept in both, and for the discriminator. A kept one has weight 1. 0 also leaves
    the patch out of the semantic loss."""
    semantic: float = 0.0
    """Weight of the cross entropy of what the segmenters in `semantic` of the run find."""
    rate: float = 1.0
    """Weight of the faithful codec's rate and distortion, with `moves: analysis`."""


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """A whole run. Its length is given in minutes or in steps."""

    name: str
    """The run's folder below runs/."""
    generator: str
    """Name of the generator that the run makes."""
    start_from: str = "base"
    """Released weights of a codec, by name or path."""
    start_generator: str | None = None
    """File of a generator to train further, with the same sizes and classes."""
    moves: str = "generator"
    """What learns besides the generator: generator (nothing), or analysis, and then the codec is written too."""
    data: DataConfig
    """Pictures with label maps."""
    batch: int = 4
    network: NetworkConfig = field(default_factory=NetworkConfig)
    draw: DrawConfig = field(default_factory=DrawConfig)
    loss: LossConfig
    fill_steps: int = 0
    """Number of first steps that train only the fill: it learns the latents of what is not kept, as the analysis gives
    them. Then it stays, because a discriminator that moves it makes squares of 16 pixels. With 0 it learns with
    everything else."""
    fill_lr: float = 2e-3
    semantic: tuple[str, ...] = ()
    """Files of segmenters that see pixels and know the same classes (heads.fit with source=decoded or originals)."""
    semantic_from: float = 0.0
    """Share of the run after which the segmenters count."""
    adversarial_from: float = 0.1
    """Share of the run after which the discriminator counts. It learns from the beginning."""
    optim: OptimConfig = field(default_factory=OptimConfig)
    discriminator_lr: float = 2e-4
    perceptual: str = "data/weights/squeezenet_v1_0.npz"
    """SqueezeNet's weights, used if LPIPS has no backbone on this machine (perceptual.py)."""
    minutes: float | None = None
    steps: int | None = None
    skip_below: int = 4
    bfloat16: bool = True
    sheet_minutes: float = 5.0
    sheet_pictures: int = 6
    save_minutes: float = 5.0
    device: str | None = None
    """The device in torch's words. Without it, CUDA if there is a GPU, else the CPU."""
    licence: str = ""
    """The licence of the data, a sentence for the generator's card."""
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
