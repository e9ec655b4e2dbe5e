"""The graphs of the codec and of heads: thin modules around the networks, with their inputs and outputs.

    analysis     pixels -> y                       tiles overlap by its reach, in pixels
    synthesis    y_hat, quality -> x_hat, pixels   tiles overlap by its reach, in positions
    label_map    logits -> label_map               for every segmenter
    halve        y_hat -> half                     for heads that read large pictures smaller
    head_NAME    y_hat, quality -> scores or logits, and features

The graphs between analysis and synthesis are in entropy_parts.py, generators in generator_parts.py.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semcomp.codec.codec import Codec
from semcomp.edge.head import HALVE
from semcomp.export import entropy_parts
from semcomp.export.part import QUALITY, Part, Value, latents
from semcomp.networks.model import CodecModel
from semcomp.semantics.halving import Halving
from semcomp.semantics.head import Classifier, Head
from semcomp.semantics.upsample import FINE


class AnalysisPart(nn.Module):
    """pixels uint8 (1, H, W, 3), H and W multiples of 16 -> y (1, M, H/16, W/16)."""

    def __init__(self, model: CodecModel):
        super().__init__()
        self.analysis = model.analysis

    def forward(self, pixels: Tensor) -> tuple[Tensor]:
        return (self.analysis(pixels.permute(0, 3, 1, 2).float() / 255),)


class SynthesisPart(nn.Module):
    """y_hat (1, M, h, w) -> x_hat (1, 3, 16h, 16w), pixels uint8 (1, 16h, 16w, 3)."""

    def __init__(self, model: CodecModel):
        super().__init__()
        self.synthesis = model.synthesis

    def forward(self, y_hat: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
        x_hat = self.synthesis(y_hat, quality)
        return x_hat, to_pixels(x_hat)


class LabelMapPart(nn.Module):
    """logits (1, K, h, w) -> class numbers uint8 (1, 4h, 4w), bilinear in between."""

    def forward(self, logits: Tensor) -> tuple[Tensor]:
        fine = F.interpolate(logits, scale_factor=FINE, mode="bilinear", align_corners=False)
        return (fine.argmax(1).to(torch.uint8),)


class HalvePart(nn.Module):
    """y_hat (1, M, h, w) -> latents of the picture at half its size, (1, M, ceil(h / 2), ceil(w / 2))."""

    def __init__(self, halving: Halving):
        super().__init__()
        channels = len(halving.bias)
        self.conv = nn.Conv2d(channels, channels, 2, stride=2)
        self.conv.load_state_dict({"weight": torch.from_numpy(halving.weight), "bias": torch.from_numpy(halving.bias)})

    def forward(self, y_hat: Tensor) -> tuple[Tensor]:
        return (self.conv(F.pad(y_hat, (0, 1, 0, 1), mode="replicate")),)


class HeadPart(nn.Module):
    """The network of a head. A classifier gives scores, and the energy that says how well it knows the image.

    Features come last, from networks that have them.
    """

    def __init__(self, network: Any, *, scores: bool):
        super().__init__()
        self.network, self.scores = network, scores
        self.feature_width = getattr(network, "feature_width", None)

    def forward(self, y_hat: Tensor, quality: Tensor) -> tuple[Tensor, ...]:
        if self.feature_width is None:
            logits, features = self.network(y_hat, quality), ()
        else:
            logits, *features = self.network.with_features(y_hat, quality)
        return (logits.softmax(1), logits.logsumexp(1), *features) if self.scores else (logits, *features)


def to_pixels(x_hat: Tensor) -> Tensor:
    """uint8 (1, H, W, 3) from x_hat (1, 3, H, W)."""
    return (x_hat * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def _analysis(codec: Codec) -> list[Part]:
    part = Part(
        name="analysis",
        module=AnalysisPart(codec.network),
        reach=codec.network.analysis.reach,
        inputs=(Value(name="pixels", type="uint8", shape=(1, "height", "width", 3), range=(0, 255)),),
        outputs=(latents(codec, "y", rows="height / 16", columns="width / 16"),),
        sizes={"height": 128, "width": 192},
    )
    return [part]


PIXELS = Value(name="pixels", type="uint8", shape=(1, "16 * rows", "16 * columns", 3), range=(0, 255))
SIZES = {"rows": 9, "columns": 13, "2 * rows": 18, "2 * columns": 26, "16 * rows": 144, "16 * columns": 208}


def picture(name: str) -> Value:
    """A float picture (1, 3, 16 * rows, 16 * columns)."""
    return Value(name=name, shape=(1, 3, "16 * rows", "16 * columns"))


def _synthesis(codec: Codec) -> list[Part]:
    part = Part(
        name="synthesis",
        module=SynthesisPart(codec.network),
        reach=codec.network.synthesis.reach,
        inputs=(latents(codec, "y_hat"), QUALITY),
        outputs=(picture("x_hat"), PIXELS),
        sizes=SIZES,
    )
    return [part]


PARTS: dict[str, Callable[[Codec], list[Part]]] = {
    "analysis": _analysis,
    "hyper": entropy_parts.hyper,
    "sigma": entropy_parts.sigma,
    "mean": entropy_parts.mean,
    "synthesis": _synthesis,
}
"""Parts of the codec by name, and the graphs of each. Besides them there are "heads", "lossless" and generators."""


def label_map_part(classes: int) -> Part:
    """The part that follows every segmenter. The number of classes may vary."""
    return Part(
        name="label_map",
        module=LabelMapPart(),
        inputs=(Value(name="logits", shape=(1, "classes", "rows", "columns")),),
        outputs=(Value(name="label_map", type="uint8", shape=(1, "4 * rows", "4 * columns"), range=(0, 255)),),
        sizes={"classes": max(classes, 2), "rows": 18, "columns": 26},
    )


def halve_part(codec: Codec, halving: Halving) -> Part:
    """The part that halves latents for heads that read large pictures smaller."""
    half = latents(codec, "half", rows="(rows + 1) / 2", columns="(columns + 1) / 2")
    return Part(name=HALVE, module=HalvePart(halving), inputs=(latents(codec, "y_hat"),), outputs=(half,), sizes=SIZES)


def head_part(codec: Codec, head: Head) -> Part:
    """The part of a head. The odd sizes of its example bring the padding of coarser grids into the trace."""
    scores, classes = isinstance(head, Classifier), len(head.classes)
    outputs: tuple[Value, ...] = (Value(name="logits", shape=(1, classes, "4 * rows", "4 * columns")),)
    if scores:
        outputs = (Value(name="scores", shape=(1, classes), range=(0, 1)), Value(name="energy", shape=(1,)))
    module = HeadPart(head.exported(), scores=scores)
    if module.feature_width is not None:
        outputs += (Value(name="features", shape=(1, module.feature_width)),)
    return Part(
        name=f"head_{head.name}", module=module, inputs=(latents(codec, "y_hat"), QUALITY), outputs=outputs, sizes=SIZES
    )
