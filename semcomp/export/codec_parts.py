"""The graphs of the codec and of heads: thin modules around the networks, with their inputs and outputs.

    analysis     pixels -> y                                      tiles overlap by its reach, in pixels
    hyper        y, quality -> y_scaled, z                        the encoder rounds and clips z
    sigma        z_hat, quality -> index                          exact: it decides bits
    mean_first   z_hat, quality -> features, mean                 the mean of the even elements
    mean_second  features, mean, residual, quality -> y_hat, mean2, inverse_gain
    synthesis    y_hat, quality -> x_hat, pixels                  tiles overlap by its reach, in positions
    label_map    logits -> label_map                              for every segmenter
    head_NAME    y_hat, quality -> scores or logits

`residual` holds the known symbols. A decoder knows all of them, so its y_hat is complete. An encoder knows the even
ones, and chooses the odd ones from mean2. Generators are in generator_parts.py.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semcomp.bitstream.frequency_tables import MAX_VALUE
from semcomp.codec.codec import Codec
from semcomp.networks.checkerboard import even_elements
from semcomp.networks.model import CodecModel
from semcomp.networks.sigma import SCALES, Z_LIMIT, IntegerSigma, table_index
from semcomp.semantics.head import Classifier, Head
from semcomp.semantics.upsample import FINE
from semcomp.types import QUALITIES


@dataclass(frozen=True, kw_only=True)
class Value:
    """One input or output of a graph."""

    name: str
    type: str = "float32"
    shape: tuple[int | str, ...]
    """Numbers, and the names or terms of sizes that vary."""
    range: tuple[int, int] | None = None
    """Smallest and largest value. None if there are no limits."""


QUALITY = Value(name="quality", type="int64", shape=(1,), range=(1, QUALITIES))


@dataclass(frozen=True, kw_only=True)
class Part:
    """One graph."""

    name: str
    module: nn.Module
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    sizes: Mapping[str, int]
    """Sizes of the example that is traced. Other sizes work too."""
    reach: int = 0
    """Receptive field of the output, in positions of the input around its own."""
    precision: str = "float"
    """"float", or "int8" where the convolutions compute in integers."""

    def example(self) -> tuple[Tensor, ...]:
        """Inputs for the trace."""
        return tuple(self._example(value) for value in self.inputs)

    def _example(self, value: Value) -> Tensor:
        shape = [self.sizes[size] if isinstance(size, str) else size for size in value.shape]
        return torch.full(shape, 1, dtype=getattr(torch, value.type))


class AnalysisPart(nn.Module):
    """pixels uint8 (1, H, W, 3), H and W multiples of 16 -> y (1, M, H/16, W/16)."""

    def __init__(self, model: CodecModel):
        super().__init__()
        self.analysis = model.analysis

    def forward(self, pixels: Tensor) -> tuple[Tensor]:
        return (self.analysis(pixels.permute(0, 3, 1, 2).float() / 255),)


class HyperPart(nn.Module):
    """y (1, M, 4a, 4b) -> y times gain, z (1, Z, a, b), not rounded."""

    def __init__(self, model: CodecModel):
        super().__init__()
        self.log_gain, self.hyper_analysis = model.log_gain, model.hyper_analysis

    def forward(self, y: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
        y_scaled = y * torch.exp(self.log_gain(quality))
        return y_scaled, self.hyper_analysis(y_scaled, quality)


class SigmaPart(nn.Module):
    """z_hat (1, Z, a, b), integers -> table numbers int8 (1, M, 4a, 4b). Integers in float32, as in sigma.py."""

    def __init__(self, sigma: IntegerSigma):
        super().__init__()
        for name, value in vars(sigma.to(torch.device("cpu"), torch.float32)).items():
            self.register_buffer(name, value)

    def forward(self, z_hat: Tensor, quality: Tensor) -> tuple[Tensor]:
        bias1, bias2 = (self.get_buffer(name)[quality - 1][:, :, None, None] for name in ("bias1", "bias2"))
        index = table_index(z_hat, self.get_buffer("weight1"), bias1, self.get_buffer("weight2"), bias2)
        return (index.to(torch.int8),)


class MeanFirstPart(nn.Module):
    """z_hat -> features (1, F, h, w), mean of the even elements with the gain applied (1, M, h, w)."""

    def __init__(self, model: CodecModel):
        super().__init__()
        self.log_gain, self.mean_path = model.log_gain, model.mean_path

    def forward(self, z_hat: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
        features = self.mean_path.features(z_hat, quality)
        return features, self.mean_path.first(features) * torch.exp(self.log_gain(quality))


class MeanSecondPart(nn.Module):
    """features, mean, residual -> y_hat, mean2, inverse gain: the second pass of `CodecModel.two_passes`."""

    def __init__(self, model: CodecModel):
        super().__init__()
        self.log_gain, self.log_inverse_gain, self.mean_path = model.log_gain, model.log_inverse_gain, model.mean_path

    def forward(
        self, features: Tensor, mean: Tensor, residual: Tensor, quality: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        inverse_gain = torch.exp(self.log_inverse_gain(quality))
        even = even_elements(mean.shape, device=mean.device).float()  # products, because Where is slow in onnxruntime
        y_hat_even = (mean + residual) * inverse_gain * even
        mean2 = self.mean_path.second(features, y_hat_even) * torch.exp(self.log_gain(quality))
        return y_hat_even + (mean2 + residual) * inverse_gain * (1 - even), mean2, inverse_gain


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


class HeadPart(nn.Module):
    """The network of a head. A classifier gives scores, and the energy that says how well it knows the image."""

    def __init__(self, network: nn.Module, *, scores: bool):
        super().__init__()
        self.network, self.scores = network, scores

    def forward(self, y_hat: Tensor, quality: Tensor) -> tuple[Tensor, ...]:
        logits = self.network(y_hat, quality)
        return (logits.softmax(1), logits.logsumexp(1)) if self.scores else (logits,)


def to_pixels(x_hat: Tensor) -> Tensor:
    """uint8 (1, H, W, 3) from x_hat (1, 3, H, W)."""
    return (x_hat * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def latents(codec: Codec, name: str, *, rows: str = "rows", columns: str = "columns") -> Value:
    """A value with the channels of y."""
    return Value(name=name, shape=(1, codec.release.config.latents, rows, columns))


def _analysis(codec: Codec) -> Part:
    return Part(
        name="analysis",
        module=AnalysisPart(codec.network),
        reach=codec.network.analysis.reach,
        inputs=(Value(name="pixels", type="uint8", shape=(1, "height", "width", 3), range=(0, 255)),),
        outputs=(latents(codec, "y", rows="height / 16", columns="width / 16"),),
        sizes={"height": 128, "width": 192},
    )


def _hyper(codec: Codec) -> Part:
    z = Value(name="z", shape=(1, codec.release.config.hyper, "rows / 4", "columns / 4"))
    return Part(
        name="hyper",
        module=HyperPart(codec.network),
        inputs=(latents(codec, "y"), QUALITY),
        outputs=(latents(codec, "y_scaled"), z),
        sizes={"rows": 12, "columns": 20},
    )


def _z_hat(codec: Codec) -> Value:
    shape = (1, codec.release.config.hyper, "z_rows", "z_columns")
    return Value(name="z_hat", shape=shape, range=(-Z_LIMIT, Z_LIMIT))


_Z_SIZES = {"z_rows": 3, "z_columns": 5}


def _sigma(codec: Codec) -> Part:
    shape = (1, codec.release.config.latents, "4 * z_rows", "4 * z_columns")
    index = Value(name="index", type="int8", shape=shape, range=(0, SCALES - 1))
    return Part(
        name="sigma",
        module=SigmaPart(codec.release.sigma),
        inputs=(_z_hat(codec), QUALITY),
        outputs=(index,),
        sizes=_Z_SIZES,
    )


def _mean_first(codec: Codec) -> Part:
    features = Value(name="features", shape=(1, codec.release.config.entropy_width, "4 * z_rows", "4 * z_columns"))
    return Part(
        name="mean_first",
        module=MeanFirstPart(codec.network),
        inputs=(_z_hat(codec), QUALITY),
        outputs=(features, latents(codec, "mean", rows="4 * z_rows", columns="4 * z_columns")),
        sizes=_Z_SIZES,
    )


def _mean_second(codec: Codec) -> Part:
    features = Value(name="features", shape=(1, codec.release.config.entropy_width, "rows", "columns"))
    m = codec.release.config.latents
    residual = Value(name="residual", shape=(1, m, "rows", "columns"), range=(-MAX_VALUE, MAX_VALUE))
    return Part(
        name="mean_second",
        module=MeanSecondPart(codec.network),
        inputs=(features, latents(codec, "mean"), residual, QUALITY),
        outputs=(latents(codec, "y_hat"), latents(codec, "mean2"), Value(name="inverse_gain", shape=(1, m, 1, 1))),
        sizes={"rows": 12, "columns": 20},
    )


PIXELS = Value(name="pixels", type="uint8", shape=(1, "16 * rows", "16 * columns", 3), range=(0, 255))
SIZES = {"rows": 9, "columns": 13, "2 * rows": 18, "2 * columns": 26, "16 * rows": 144, "16 * columns": 208}


def picture(name: str) -> Value:
    """A float picture (1, 3, 16 * rows, 16 * columns)."""
    return Value(name=name, shape=(1, 3, "16 * rows", "16 * columns"))


def _synthesis(codec: Codec) -> Part:
    return Part(
        name="synthesis",
        module=SynthesisPart(codec.network),
        reach=codec.network.synthesis.reach,
        inputs=(latents(codec, "y_hat"), QUALITY),
        outputs=(picture("x_hat"), PIXELS),
        sizes=SIZES,
    )


PARTS: dict[str, Sequence[Callable[[Codec], Part]]] = {
    "analysis": (_analysis,),
    "hyper": (_hyper,),
    "sigma": (_sigma,),
    "mean": (_mean_first, _mean_second),
    "synthesis": (_synthesis,),
}
"""Parts of the codec by name, and the graphs of each. Besides them there are "generator" and "heads"."""


def label_map_part(classes: int) -> Part:
    """The part that follows every segmenter. The number of classes may vary."""
    return Part(
        name="label_map",
        module=LabelMapPart(),
        inputs=(Value(name="logits", shape=(1, "classes", "rows", "columns")),),
        outputs=(Value(name="label_map", type="uint8", shape=(1, "4 * rows", "4 * columns"), range=(0, 255)),),
        sizes={"classes": max(classes, 2), "rows": 18, "columns": 26},
    )


def head_part(codec: Codec, head: Head) -> Part:
    """The part of a head. The odd sizes of its example bring the padding of coarser grids into the trace."""
    scores, classes = isinstance(head, Classifier), len(head.classes)
    outputs: tuple[Value, ...] = (Value(name="logits", shape=(1, classes, "4 * rows", "4 * columns")),)
    if scores:
        outputs = (Value(name="scores", shape=(1, classes), range=(0, 1)), Value(name="energy", shape=(1,)))
    return Part(
        name=f"head_{head.name}",
        module=HeadPart(head.exported(), scores=scores),
        inputs=(latents(codec, "y_hat"), QUALITY),
        outputs=outputs,
        sizes=SIZES,
    )
