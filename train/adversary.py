"""The discriminator's side of a generator's training: what it tells the generator, and how it learns itself."""

from contextlib import AbstractContextManager
from typing import NamedTuple

import torch
from torch import Tensor

from train.conditions import Sample
from train.discriminator import Discriminator, feature_distance, hinge_of_discriminator, weighted_mean


class Rendered(NamedTuple):
    """A batch and what the generator made of it."""

    sample: Sample
    y_hat: Tensor
    """(B, M, H/16, W/16)"""
    made: Tensor
    """(B, 3, H, W), the generator's image"""
    shown: Tensor
    """(B, 3, H, W), what a decoder shows: the synthesis where something is kept, `made` elsewhere"""

    def detached(self) -> "Rendered":
        """A copy that no gradient passes through."""
        return Rendered(self.sample, self.y_hat.detach(), self.made.detach(), self.shown.detach())


class Adversary:
    """The discriminator with its optimizer."""

    def __init__(self, network: Discriminator, *, lr: float, beyond: float):
        """`beyond` is the weight of a patch that is not kept, beside 1 for one that is."""
        self.network, self.lr, self.beyond = network, lr, beyond
        self.optimizer = torch.optim.AdamW(network.parameters(), lr=lr, betas=(0.5, 0.9), weight_decay=0.0)

    def set_rate(self, factor: float) -> None:
        """Sets the learning rate to `factor` times the full one."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr * factor

    def weights(self, sample: Sample) -> Tensor:
        """Weight of each patch in the adversarial losses, (B, 1, H/16, W/16)."""
        keep = sample.keep.float()
        return keep + self.beyond * (1 - keep)

    def judge(self, rendered: Rendered) -> tuple[Tensor, Tensor]:
        """The generator's adversarial loss, and the distance of features. The discriminator gets no gradient."""
        sample, keep = rendered.sample, rendered.sample.keep.float()
        weights = self.weights(sample)
        self.network.requires_grad_(False)
        logits, features = self.network(rendered.shown, rendered.y_hat.detach(), sample.guide, keep)
        with torch.no_grad():
            _, wanted = self.network(sample.x, rendered.y_hat, sample.guide, keep)
        self.network.requires_grad_(True)
        return -weighted_mean(logits, weights), feature_distance(features, wanted, weights)

    def teach(self, rendered: Rendered, *, autocast: AbstractContextManager[object]) -> float:
        """One step of the discriminator on detached images. Returns its loss."""
        sample, keep = rendered.sample, rendered.sample.keep.float()
        with autocast:
            real, _ = self.network(sample.x, rendered.y_hat, sample.guide, keep)
            made, _ = self.network(rendered.shown, rendered.y_hat, sample.guide, keep)
            loss = hinge_of_discriminator(real, made, self.weights(sample))
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.item()
