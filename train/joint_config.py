"""The settings of joint training."""

from dataclasses import dataclass, field

from semcomp.networks.model import STRIDE_Z
from train.crops import LabelledConfig
from train.optim import OptimConfig

MOVES = ("analysis", "everything")


@dataclass(frozen=True, kw_only=True)
class JointConfig:
    """A whole run."""

    name: str = "joint"
    """The run's folder below runs/."""
    start_from: str = "base"
    """Another run's state.safetensors, or released weights by name or path."""
    prior: str | None = None
    """The state.safetensors that a release in start_from was exported from. A release has no training priors of z."""
    moves: str = "everything"
    """What learns: analysis or everything."""
    gamma: float = 1.0
    """Weight of the semantic loss; 0 is the control."""
    steps: int = 2000
    photos: tuple[str, ...] = ("data/photos",)
    """Folders of photos, searched with their subfolders."""
    limit: int | None = None
    """Largest number of photos that are used."""
    crop: int = 256
    """Side of a photo crop."""
    batch: int = 4
    """Photo crops a step."""
    street: LabelledConfig | None = None
    objects: LabelledConfig | None = None
    imagenette: LabelledConfig | None = None
    optim: OptimConfig = field(default_factory=OptimConfig)
    head_lr: float = 2e-3
    validation: tuple[str, ...] = ()
    """Folders of lossless photos for the rate-distortion line at the end."""
    validation_every: int = 5
    """Every fifth of these photos is used."""
    skip_below: int = 4
    """Elements with a smaller table number are never coded."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.moves not in MOVES:
            raise ValueError(f"moves is one of {', '.join(MOVES)}, not {self.moves!r}")
        for entry in self.labelled.values():
            if entry.data.side % STRIDE_Z:
                raise ValueError(f"data.side is a multiple of {STRIDE_Z} in joint training, not {entry.data.side}")
        if self.gamma < 0:
            raise ValueError(f"gamma is at least 0, not {self.gamma}")
        if self.moves == "analysis" and self.start_from.endswith("state.safetensors"):
            raise ValueError("moves: analysis keeps the tables of released weights: start_from must name a release")

    @property
    def labelled(self) -> dict[str, LabelledConfig]:
        """The labelled sets that are used, by name."""
        sets = {"street": self.street, "objects": self.objects, "imagenette": self.imagenette}
        return {name: entry for name, entry in sets.items() if entry is not None}
