"""What a head learns from a batch: the error of its answer, and what a teacher and the features of a guide add."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from heads.class_balance import Balance, balance_of
from heads.classifier import ClassifierNetwork
from heads.head_file import Network
from heads.latent_cache import Cache, to_network
from heads.layers import Adapter
from heads.segmenter import SegmenterNetwork
from heads.warp import draw, warped
from semcomp.networks.blocks import Pointwise, Up
from semcomp.networks.precision import fast_pixels
from semcomp.semantics.results import VOID


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """What counts in the loss of a head, and how its crops change from step to step."""

    label_smoothing: float = 0.1
    """Label smoothing of a classifier."""
    mixup: float = 0.2
    """Parameter of the beta distribution by which a classifier's latents are mixed; 0 for none (Zhang et al. 2018)."""
    balance: float = 0.5
    """Power of the inverse frequency by which a segmenter's classes are weighted; 0 for none."""
    distil: float = 0.5
    """Weight of the teacher's answer against the true one, where there is a teacher (Hinton et al. 2015)."""
    temperature: float = 2.0
    guidance: float = 1.0
    """Weight of the error of the features, each brought to mean 0 and variance 1, where they are given (after Romero
    et al. 2015, FitNets), and of the error of what a backbone reads."""
    rescale: float = 1.0
    """Largest factor by which a crop is enlarged or reduced when it is seen, and moved; half of the crops are."""
    repeat: float = 0.0
    """Share of the crops of which a class is rare: a segmenter sees crops that show it more often, by the square root
    of what it falls short by (Gupta et al. 2019); 0 for all alike."""
    natural: bool = False
    """Take out of a segmenter's scores at the end what balance and repeat have put in: it answers as if every class had
    been seen as often as it is there (logit adjustment, Menon et al. 2021)."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The crops of one step."""

    value: Tensor
    """Latents (B, M, h, w), or pixels (B, 3, S, S)."""
    quality: Tensor
    """int64 (B,)"""
    target: Tensor
    """int64 (B,), or label maps (B, S, S)."""
    teacher: Tensor | None
    """Scores of a teacher: (B, K), or (B, S/4, S/4, K)."""
    features: Tensor | None
    """Features that guide the head's, each of mean 0 and variance 1: (B, F, S/32, S/32)."""
    places: Tensor
    """What is seen of each crop (warp.draw)."""
    fine: Tensor | None = None
    """What the network's backbone should read: (B, 88, S/16, S/16)."""
    trust: Tensor | None = None
    """Weight of each crop's label, (B,); None for 1."""
    mixed_in: Tensor | None = None
    """Classes of the crops that are mixed into these, int64 (B,)."""
    share: float = 1.0
    """Share of each crop in its mixture."""


def read_value(crops: Cache, chosen: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Read what a network is given of some crops, and their qualities."""
    value = to_network(crops.value[chosen]).contiguous(memory_format=torch.channels_last)
    return value, torch.from_numpy(crops.quality[chosen].astype(np.int64))


def read_batch(crops: Cache, chosen: NDArray[np.int64], places: Tensor) -> Batch:
    """Read some crops of a cache."""
    value, quality = read_value(crops, chosen)
    features = None if crops.features is None else to_network(crops.features[chosen])
    return Batch(
        value=value,
        quality=quality,
        target=torch.from_numpy(crops.target[chosen].astype(np.int64)),
        teacher=None if crops.teacher is None else torch.from_numpy(crops.teacher[chosen].astype(np.float32)),
        features=None if features is None else F.batch_norm(features, None, None, training=True),
        fine=None if crops.fine is None else to_network(crops.fine[chosen]),
        places=places,
        trust=None if crops.trust is None else torch.from_numpy(crops.trust[chosen]).float(),
    )


@dataclass(kw_only=True)
class Objective(ABC):
    """What a network learns from the crops of a cache. Each task has a type of its own."""

    network: Network
    crops: Cache
    config: LossConfig
    rng: np.random.Generator
    balance: Balance
    guide: nn.Module | None = field(init=False)
    """Makes the teacher's features of the network's. It learns along, and is thrown away."""

    def __post_init__(self) -> None:
        features = self.crops.features
        if features is None:
            self.guide = None
        elif self.network.config.backbone and features.shape[-1] == self.network.grid_width:  # its grid is the guide's
            self.guide = nn.BatchNorm2d(features.shape[-1], affine=False)
        else:
            self.guide = Pointwise(self.network.grid_width, features.shape[-1])

    def parameters(self) -> list[nn.Parameter]:
        """List what learns."""
        return [*self.network.parameters(), *(self.guide.parameters() if self.guide else ())]

    def stem_loss(self, chosen: NDArray[np.int64]) -> Tensor:
        """Compute the error of what the stem gives to a backbone of some crops, as they are."""
        assert self.crops.fine is not None
        value, quality = read_value(self.crops, chosen)
        with fast_pixels(value.device):
            found = self.network.stem(value, quality)
        return relative_error(found.float(), to_network(self.crops.fine[chosen]))

    def loss(self, chosen: NDArray[np.int64]) -> Tensor:
        """Compute the loss of some crops."""
        o = self.config
        stem = self.network.stem
        moves = not isinstance(stem, Adapter) and not isinstance(getattr(stem, "unfold", None), Up)
        places = draw(len(chosen), o.rescale, self.rng) if moves else torch.eye(2, 3).repeat(len(chosen), 1, 1)
        batch = self.augmented(read_batch(self.crops, chosen, places))
        with fast_pixels(batch.value.device):
            fine = stem(batch.value, batch.quality, *((batch.places,) if moves else ()))
            logits, grid = self.network.after_stem(fine)
            guided = None if self.guide is None else self.guide(grid)
        logits, guidance = logits.float(), torch.zeros(())
        if guided is not None:
            assert batch.features is not None
            guidance = o.guidance * F.mse_loss(guided.float(), warped(batch.features, batch.places))
        if batch.fine is not None:
            guidance = guidance + o.guidance * relative_error(fine.float(), warped(batch.fine, batch.places))
        loss = self.error(logits, batch)
        if batch.teacher is not None:
            loss = self.distilled(loss, logits, batch.teacher)
        return loss + guidance

    def distilled(self, loss: Tensor, logits: Tensor, teacher: Tensor) -> Tensor:
        """Weigh the loss against what a teacher's scores ask for."""
        return torch.lerp(loss, divergence(logits, teacher, self.config.temperature), self.config.distil)

    @abstractmethod
    def augmented(self, batch: Batch) -> Batch:
        """Change a batch as the task allows."""

    @abstractmethod
    def error(self, logits: Tensor, batch: Batch) -> Tensor:
        """Compare the answer with the truth."""

    @abstractmethod
    def finish(self) -> None:
        """Change the network when it has learned."""


class ClassifierObjective(Objective):
    """Cross-entropy of classes, of mixtures of crops where the configuration says so."""

    def augmented(self, batch: Batch) -> Batch:
        if not self.config.mixup:
            return batch
        share = float(self.rng.beta(self.config.mixup, self.config.mixup))
        other = torch.from_numpy(self.rng.permutation(len(batch.quality)))

        def mixed(value: Tensor | None) -> Tensor | None:
            return None if value is None else torch.lerp(value[other], value, share)

        return replace(
            batch,
            value=torch.lerp(batch.value[other], batch.value, share),
            teacher=mixed(batch.teacher),
            features=mixed(batch.features),
            fine=mixed(batch.fine),
            mixed_in=batch.target[other],
            share=share,
        )

    def error(self, logits: Tensor, batch: Batch) -> Tensor:
        smoothing = self.config.label_smoothing
        loss = F.cross_entropy(logits, batch.target, label_smoothing=smoothing)
        if batch.mixed_in is None:
            return loss
        other = F.cross_entropy(logits, batch.mixed_in, label_smoothing=smoothing)
        return batch.share * loss + (1 - batch.share) * other

    def finish(self) -> None:
        """Leave the network as it is."""


class SegmenterObjective(Objective):
    """Cross-entropy of pixels."""

    def augmented(self, batch: Batch) -> Batch:
        places, teacher = batch.places, batch.teacher
        return replace(
            batch,
            target=warped(batch.target[:, None], places, nearest=True)[:, 0],
            teacher=None if teacher is None else warped(teacher.permute(0, 3, 1, 2), places),
        )

    def error(self, logits: Tensor, batch: Batch) -> Tensor:
        # Half resolution is enough to learn from; which pixel of each 2x2 is taken changes from step to step.
        down, right = self.rng.integers(2, size=2)
        fine = F.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=False)
        target = batch.target[:, down::2, right::2]
        weights = self.balance.weights
        if batch.trust is None:
            return F.cross_entropy(fine, target, weight=weights, ignore_index=VOID)
        each = F.cross_entropy(fine, target, weight=weights, ignore_index=VOID, reduction="none")
        known = target != VOID
        weight = known.float() if weights is None else weights[target.where(known, 0)] * known
        trust = batch.trust[:, None, None]
        return (trust * each).sum() / (trust * weight).sum().clamp(min=1e-6)

    def finish(self) -> None:
        counted, network = self.balance.counted, self.network
        if self.config.natural and counted is not None:
            assert isinstance(network, SegmenterNetwork)
            network.logits.bias.data -= counted.log()


def objective_of(
    network: Network, crops: Cache, config: LossConfig, *, classes: int, rng: np.random.Generator
) -> Objective:
    """Make the objective of a network, which knows its task by its type. One without classes embeds."""
    from heads.embed_objective import EmbedObjective

    if isinstance(network, ClassifierNetwork):
        kind = ClassifierObjective if classes else EmbedObjective
        even = Balance(often=np.ones(len(crops)) if crops.often is None else crops.often / crops.often.mean())
        return kind(network=network, crops=crops, config=config, rng=rng, balance=even)
    balance = balance_of(crops.target, classes=classes, rare=config.repeat, power=config.balance, often=crops.often)
    return SegmenterObjective(network=network, crops=crops, config=config, rng=rng, balance=balance)


def relative_error(found: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared error of maps (B, C, h, w), relative to the variance of each channel of what is wanted."""
    variance = wanted.var((0, 2, 3), keepdim=True).clamp_min(1e-6)
    return ((found - wanted).square() / variance).mean()


def divergence(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """KL divergence from the teacher's softened answer, mean over samples and positions; classes in dimension 1."""
    log_p, q = (logits / temperature).log_softmax(1), (teacher / temperature).softmax(1)
    return F.kl_div(log_p, q, reduction="none").sum(1).mean() * temperature**2
