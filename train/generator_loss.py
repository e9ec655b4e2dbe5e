"""The loss of a generator: fidelity, perceptual distance, the discriminator's verdict, and what segmenters still find.

Inside what is kept the generator is compared with the original. Beyond it, weights of their own count.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from semcomp.semantics.results import VOID
from train.adversary import Adversary, Rendered
from train.generator_config import RunConfig
from train.perceptual import Distance
from train.semantic_loss import Meaning

SURROUNDINGS = 17
"""Side in pixels of the square whose mean `roughness` compares a pixel with: a little more than a position of y."""


class GeneratorLoss:
    """The weighted sum of all losses of a batch."""

    def __init__(self, config: RunConfig, *, distance: Distance, meaning: Meaning | None):
        self.config, self.distance, self.meaning = config, distance, meaning

    def __call__(self, rendered: Rendered, adversary: Adversary, *, progress: float) -> tuple[Tensor, dict[str, float]]:
        """The loss, and its terms for the log. `progress` 0..1 decides which terms count yet."""
        w = self.config.loss
        weight = _pixels(rendered.sample.keep)
        fidelity, mse, perceptual = self._fidelity(rendered, weight)
        adversarial, matching = adversary.judge(rendered)
        counts = float(progress >= self.config.adversarial_from)
        loss = fidelity + counts * (w.adversarial * adversarial + w.feature_matching * matching)
        semantic = torch.zeros(())
        if self.meaning and progress >= self.config.semantic_from:
            semantic = self._semantic(self.meaning, rendered, weight)
            loss = loss + w.semantic * semantic
        psnr_db = (10 * torch.log10(255**2 / mse.detach().clamp_min(1e-3))).mean()
        row = {
            "psnr_db": psnr_db.item(),
            "perceptual": perceptual.mean().item(),
            "adversarial": adversarial.item(),
            "matching": matching.item(),
            "semantic": semantic.item(),
        }
        return loss, row

    def _fidelity(self, rendered: Rendered, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The terms that compare with the original; then squared error and perceptual distance of each crop, (B,)."""
        w, sample, made = self.config.loss, rendered.sample, rendered.made
        error = (made - sample.x).square().mean(1, keepdim=True) * 255**2
        mse = (error * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3)).clamp_min(1)
        beyond = (error * (1 - weight)).mean((1, 2, 3))
        perceptual = self.distance(made, sample.x, weight + w.perceptual_beyond * (1 - weight))
        loss = (torch.where(sample.selective, w.mse_kept, w.mse) * mse).mean() + w.perceptual * perceptual.mean()
        loss = loss + w.mse_beyond * beyond.mean()
        if w.rough_beyond:
            loss = loss + w.rough_beyond * (roughness(made) * (1 - weight)).mean()
        return loss, mse, perceptual

    def _semantic(self, meaning: Meaning, rendered: Rendered, weight: Tensor) -> Tensor:
        """Cross entropy of what segmenters find, only inside what is kept if `adversarial_beyond` is 0."""
        seen = weight[:, 0] > 0
        if self.config.loss.adversarial_beyond != 0:
            seen = torch.ones_like(seen)
        return meaning(rendered.shown, torch.where(seen, rendered.sample.label_map, VOID))


def roughness(x: Tensor) -> Tensor:
    """Squared difference between each pixel and the mean of its surroundings, on the 0-255 scale: (B, 1, H, W)."""
    side, edge = SURROUNDINGS, SURROUNDINGS // 2
    rows = F.avg_pool2d(x.detach(), (side, 1), 1, (edge, 0), count_include_pad=False)
    around = F.avg_pool2d(rows, (1, side), 1, (0, edge), count_include_pad=False)
    return (x - around).square().mean(1, keepdim=True) * 255**2


def _pixels(keep: Tensor) -> Tensor:
    """bool (B, 1, H/16, W/16) -> float (B, 1, H, W)."""
    return keep.float().repeat_interleave(16, 2).repeat_interleave(16, 3)
