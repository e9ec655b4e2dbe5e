"""How a head learns: the loop, its losses, and what may guide it."""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from heads.depthwise import quick_depthwise
from heads.head_file import Network
from heads.latent_cache import Cache, to_network
from heads.segmenter import SegmenterNetwork
from heads.squeezenet import CHANNELS
from heads.stem_unfolding import seen
from heads.warp import draw, warped
from semcomp.networks.blocks import Pointwise
from semcomp.networks.precision import fast_pixels
from semcomp.semantics.results import VOID


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """How a head learns: AdamW, warm-up, cosine."""

    minutes: float | None = 10.0
    """Length of the training, encoding not counted; or give epochs."""
    epochs: float | None = None
    batch: int = 32
    lr: float = 2e-3
    weight_decay: float = 0.05
    warmup_steps: int = 100
    clip: float = 1.0
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
    et al. 2015, FitNets)."""
    rescale: float = 1.0
    """Largest factor by which a crop is enlarged or reduced when it is seen, and moved; half of the crops are."""
    repeat: float = 0.0
    """Share of the crops of which a class is rare: a segmenter sees crops that show it more often, by the square root
    of what it falls short by (Gupta et al. 2019); 0 for all alike."""
    natural: bool = False
    """Take out of a segmenter's scores at the end what balance and repeat have put in: it answers as if every class had
    been seen as often as it is there (logit adjustment, Menon et al. 2021)."""

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.epochs is None):
            raise ValueError("give the length of the training as either optim.minutes or optim.epochs")


def learn(
    network: Network, crops: Cache, o: OptimConfig, *, task: str, classes: int, seed: int, quiet: bool
) -> list[dict[str, float]]:
    """Train the network in place. Returns what it logged, a row a step. Ctrl-C ends it early and keeps what it has."""
    network.train().requires_grad_(True).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    guide = Pointwise(network.grid_width, CHANNELS) if crops.features is not None else None
    parameters = [*network.parameters(), *(guide.parameters() if guide else ())]
    decayed = [p for p in parameters if p.ndim > 1]
    others = [p for p in parameters if p.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": decayed}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=o.lr, weight_decay=o.weight_decay, fused=True)
    often, weights, counted = np.ones(len(crops)), None, None
    if task == "segment":
        shown = pixels_of(crops.target, classes)
        often, weights = repeats(shown, o.repeat), class_weights(shown, o.balance)
        counted = weights * seen_more(shown, often)
    rng = np.random.default_rng(seed)
    batch = min(o.batch, len(crops))
    steps = None if o.epochs is None else max(1, round(o.epochs * len(crops) / batch))
    rows: list[dict[str, float]] = []
    began = time.monotonic()
    progress, order = 0.0, np.zeros(0, np.int64)
    form = "{percentage:5.1f}% {bar} {elapsed}<{remaining} {postfix}"
    bar = tqdm(total=100, unit="%", disable=quiet, leave=False, bar_format=form)
    try:
        with bar, quick_depthwise(network):
            while progress < 1:
                if len(order) < batch:
                    order = np.concatenate([order, epoch(often, rng)])
                chosen, order = np.sort(order[:batch]), order[batch:]
                cosine = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress))
                factor = cosine * min(1.0, (len(rows) + 1) / o.warmup_steps)
                for group in optimizer.param_groups:
                    group["lr"] = o.lr * factor
                loss = _loss(network, guide, crops, chosen, o, task, weights, rng)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), o.clip)
                optimizer.step()
                optimizer.zero_grad()
                seconds = time.monotonic() - began
                rows.append({"step": len(rows) + 1, "loss": round(loss.item(), 5), "seconds": round(seconds, 3)})
                progress = len(rows) / steps if steps else seconds / (60 * (o.minutes or 1))
                bar.n = min(100.0, 100 * progress)
                if len(rows) % 10 == 0:
                    bar.set_postfix_str(f"step {len(rows)} loss {np.mean([r['loss'] for r in rows[-50:]]):.3f}")
    except KeyboardInterrupt:
        if not rows:
            raise
    if o.natural and counted is not None:
        assert isinstance(network, SegmenterNetwork)
        network.logits.bias.data -= counted.log()
    return rows


def _loss(
    network: Network,
    guide: nn.Module | None,
    crops: Cache,
    chosen: NDArray[np.int64],
    o: OptimConfig,
    task: str,
    weights: Tensor | None,
    rng: np.random.Generator,
) -> Tensor:
    """The loss of one batch."""
    value = to_network(crops.value[chosen]).contiguous(memory_format=torch.channels_last)
    quality = torch.from_numpy(crops.quality[chosen].astype(np.int64))
    target = torch.from_numpy(crops.target[chosen].astype(np.int64))
    teacher = None if crops.teacher is None else torch.from_numpy(crops.teacher[chosen].astype(np.float32))
    features = None if crops.features is None else to_network(crops.features[chosen])
    places = draw(len(chosen), o.rescale, rng)
    if task == "segment":
        target = warped(target[:, None], places, nearest=True)[:, 0]
        teacher = None if teacher is None else warped(teacher.permute(0, 3, 1, 2), places)
    share, other = 1.0, torch.arange(len(chosen))
    if task == "classify" and o.mixup:
        share = float(rng.beta(o.mixup, o.mixup))
        other = torch.from_numpy(rng.permutation(len(chosen)))
        value = torch.lerp(value[other], value, share)
    value = seen(network.stem, value, places)  # a mixture as one
    with fast_pixels(value.device):
        logits, grid = network.with_grid(value, quality)
        guided = None if guide is None else guide(grid)
    logits = logits.float()
    extra = torch.zeros(())
    if guided is not None:
        assert features is not None
        wanted = F.batch_norm(features, None, None, training=True)
        wanted = warped(torch.lerp(wanted[other], wanted, share), places)
        extra = o.guidance * F.mse_loss(guided.float(), wanted)
    if task == "classify":
        parts = [
            F.cross_entropy(logits, labels, label_smoothing=o.label_smoothing) for labels in (target, target[other])
        ]
        loss = share * parts[0] + (1 - share) * parts[1]
        if teacher is not None:
            teacher = torch.lerp(teacher[other], teacher, share)
            loss = torch.lerp(loss, _divergence(logits, teacher, o.temperature), o.distil)
        return loss + extra
    # Half resolution is enough to learn from; which pixel of each 2x2 is taken changes from step to step.
    down, right = rng.integers(2, size=2)
    fine = F.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=False)
    loss = F.cross_entropy(fine, target[:, down::2, right::2], weight=weights, ignore_index=VOID)
    if teacher is not None:
        loss = torch.lerp(loss, _divergence(logits, teacher, o.temperature), o.distil)
    return loss + extra


def _divergence(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """KL divergence from the teacher's softened answer, mean over samples and positions; classes in dimension 1."""
    log_p, q = (logits / temperature).log_softmax(1), (teacher / temperature).softmax(1)
    return F.kl_div(log_p, q, reduction="none").sum(1).mean() * temperature**2


def pixels_of(targets: Iterable[NDArray[np.uint8]], classes: int) -> NDArray[np.int64]:
    """How many pixels of each label map show each class, of every sixteenth, float64 (N, K)."""
    return np.array([np.bincount(target[::4, ::4].ravel(), minlength=256)[:classes] for target in targets], np.float64)


def class_weights(shown: NDArray[np.int64], power: float) -> Tensor:
    """Mean 1 over the pixels (N, K): rare classes count for more, by the inverse frequency to a power."""
    counts = shown.sum(0)
    share = np.maximum(counts, 1) / max(1, counts.sum())
    weights = share**-power
    return torch.from_numpy(weights / (weights * share).sum()).float()


def repeats(shown: NDArray[np.int64], rare: float) -> NDArray[np.float64]:
    """How often each crop of pixels (N, K) is seen in an epoch, mean 1, float64 (N,); a class counts from a hundredth
    of the crop on."""
    present = shown > np.maximum(1, shown.sum(1, keepdims=True)) / 100
    wanted = np.sqrt(np.maximum(1, rare / np.maximum(present.mean(0), 1e-9)))
    often: NDArray[np.float64] = np.where(present, wanted, 1).max(1)
    relative: NDArray[np.float64] = often / often.mean()
    return relative


def seen_more(shown: NDArray[np.int64], often: NDArray[np.float64]) -> Tensor:
    """How many times as often as it is there, in pixels (N, K), each class is seen, (K,); 1 for one that is nowhere."""
    there = shown.sum(0)
    return torch.from_numpy(np.divide(often @ shown, there, out=np.ones_like(there), where=there > 0)).float()


def epoch(often: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """The crops of an epoch in random order, each as `often` as that says, in the mean."""
    times = np.floor(often + rng.random(len(often))).astype(np.int64)
    return rng.permutation(np.repeat(np.arange(len(often)), times))
