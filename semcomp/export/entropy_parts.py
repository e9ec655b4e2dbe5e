"""The graphs around the entropy coder, between the analysis and the synthesis.

    hyper        y, quality -> y_scaled, z                           the encoder rounds and clips z
    sigma        z_hat, quality -> index, or sums                    exact: it decides bits
    refine       seen, sums, number, quality -> index                exact: pass `number`, where passes refine tables
    mean_first   z_hat, quality -> features, mean, inverse_gain      the mean of the first pass
    mean_next    features, known, number, quality -> mean            the mean of pass `number`, which two passes omit
    points       symbols, index, quality -> points                   what symbols decode to, where it is a centroid

`known` is y_hat with zeros at the elements of this pass and of later ones. Client and graph take turns: the client
chooses or reads the symbols of a pass, and y_hat is (mean + symbol) * inverse_gain, or with points in the place of
symbols. semcomp/pipeline/passes.py says which elements belong to a pass, semcomp/pipeline/refined_tables.py what `seen`
is.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semcomp.bitstream.frequency_tables import MAX_VALUE
from semcomp.codec.codec import Codec
from semcomp.export.byte_graphs import refine_model, sigma_model
from semcomp.export.part import QUALITY, Part, Value, latents
from semcomp.networks.blocks import Pointwise, activation
from semcomp.networks.centroid import Centroid, offset_table
from semcomp.networks.hyperprior import MeanPath
from semcomp.networks.model import CodecModel
from semcomp.networks.refine import IntegerRefiner
from semcomp.networks.sigma import SCALES, SHIFT1, Z_LIMIT, IntegerSigma, index_of, table_sums
from semcomp.networks.synthesis import compand
from semcomp.pipeline.passes import FOUR
from semcomp.pipeline.refined_tables import LARGEST, SURPRISE_LIMIT

_Z_SIZES = {"z_rows": 3, "z_columns": 5}
_SIZES = {"rows": 12, "columns": 20}
SUM_LIMIT = 1 << 24
"""Float32 holds smaller integers exactly."""


class HyperPart(nn.Module):
    """y (1, M, 4a, 4b) -> y times gain, z (1, Z, a, b), not rounded."""

    def __init__(self, model: CodecModel):
        super().__init__()
        self.log_gain, self.hyper_analysis = model.log_gain, model.hyper_analysis

    def forward(self, y: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
        y_scaled = y * torch.exp(self.log_gain(quality))
        return y_scaled, self.hyper_analysis(y_scaled, quality)


class SigmaPart(nn.Module):
    """z_hat (1, Z, a, b), integers -> table numbers int8 (1, M, 4a, 4b), or the sums that passes refine, float32."""

    def __init__(self, sigma: IntegerSigma, *, refined: bool):
        super().__init__()
        self.refined = refined
        for name, value in vars(sigma.to(torch.device("cpu"), torch.float32)).items():
            self.register_buffer(name, value)

    def forward(self, z_hat: Tensor, quality: Tensor) -> tuple[Tensor]:
        bias1, bias2 = (self.get_buffer(name)[quality - 1][:, :, None, None] for name in ("bias1", "bias2"))
        sums = table_sums(z_hat, self.get_buffer("weight1"), bias1, self.get_buffer("weight2"), bias2)
        return (sums if self.refined else index_of(sums).to(torch.int8),)


class RefinePart(nn.Module):
    """seen int8 (M, 4, N), sums float32 (M, N) -> table numbers int8 (M, N): `IntegerRefiner.index`, in float32."""

    groups: Tensor
    channels: Tensor
    weight1: Tensor
    bias1: Tensor
    weight2: Tensor
    own: Tensor

    def __init__(self, refiner: IntegerRefiner):
        super().__init__()
        count, width = refiner.weight2.shape
        padded = F.pad(refiner.weight2.float(), (0, 0, 0, -count % FOUR))
        self.register_buffer("groups", torch.arange(FOUR))
        self.register_buffer("channels", torch.arange(count))
        self.register_buffer("weight1", refiner.weight1.float())
        self.register_buffer("bias1", refiner.bias1.float())
        self.register_buffer("weight2", padded.view(-1, FOUR, width).transpose(0, 1).contiguous())
        self.register_buffer("own", refiner.own.float()[:, None])

    def forward(self, seen: Tensor, sums: Tensor, number: Tensor, quality: Tensor) -> tuple[Tensor]:
        wide = seen.float()
        bias1 = self.bias1[number - 1, quality - 1].transpose(0, 1)  # K 1
        hidden = torch.floor((torch.matmul(self.weight1, wide.flatten(1)) + bias1) * 2.0**-SHIFT1).clamp(0, 255)
        places = (number + FOUR - self.groups) % FOUR
        mine = hidden.unflatten(1, (FOUR, -1)).transpose(0, 1)[places]  # a place for every group of channels: 4 K N
        refined = torch.matmul(self.weight2, mine).transpose(0, 1).flatten(0, 1)[: len(self.channels)]
        refined = refined + self.own * wide[self.channels, places[self.channels % FOUR]]
        return (index_of(refined + sums).to(torch.int8),)


class MeanFirstPart(nn.Module):
    """z_hat -> features (1, F, h, w), mean of the first pass with the gain applied (1, M, h, w), inverse gain."""

    def __init__(self, model: CodecModel):
        super().__init__()
        self.log_gain, self.log_inverse_gain, self.mean_path = model.log_gain, model.log_inverse_gain, model.mean_path

    def forward(self, z_hat: Tensor, quality: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = self.mean_path.features(z_hat, quality)
        mean = self.mean_path.first(features) * torch.exp(self.log_gain(quality))
        return features, mean, torch.exp(self.log_inverse_gain(quality))


class MeanSecondPart(nn.Module):
    """features, known -> mean of the second of two passes, with the gain applied."""

    def __init__(self, model: CodecModel):
        super().__init__()
        self.log_gain, self.mean_path = model.log_gain, model.mean_path

    def forward(self, features: Tensor, known: Tensor, quality: Tensor) -> tuple[Tensor]:
        return (self.mean_path.second(features, known) * torch.exp(self.log_gain(quality)),)


class MeanNextPart(nn.Module):
    """features, known, number -> mean of pass 1, 2 or 3 with the gain applied: `MeanPath.nth` for any number."""

    def __init__(self, model: CodecModel):
        super().__init__()
        self.log_gain, self.mean_path = model.log_gain, StackedMeanPath(model.mean_path)

    def forward(self, features: Tensor, known: Tensor, number: Tensor, quality: Tensor) -> tuple[Tensor]:
        return (self.mean_path(features, known, number) * torch.exp(self.log_gain(quality)),)


class StackedMeanPath(nn.Module):
    """What `MeanPath.nth` computes after the first pass, with the heads of all passes in one tensor."""

    step: Tensor

    def __init__(self, path: MeanPath):
        super().__init__()
        assert path.step is not None
        self.context, self.block2, self.heads = path.context, path.block2, Heads([path.head2, *path.later])
        self.register_buffer("step", F.pad(path.step.detach(), (0, 0, 1, 0)))

    def forward(self, features: Tensor, known: Tensor, number: Tensor) -> Tensor:
        """features (1, F, h, w), known (1, M, h, w) and the pass, int64 (1,) -> mean before the gain (1, M, h, w)."""
        step = self.step.index_select(0, number - 1)
        context = features + self.context(compand(known)) + step[:, :, None, None]
        means: Tensor = self.heads(activation(self.block2(context)), number - 1)
        return means


class Heads(nn.Module):
    """Layers of equal size. A number chooses which one runs."""

    weight: Tensor
    """(layers, O, I)"""
    bias: Tensor

    def __init__(self, layers: Sequence[Pointwise]):
        super().__init__()
        self.register_buffer("weight", torch.stack([layer.weight.detach() for layer in layers]))
        self.register_buffer("bias", torch.stack([layer.bias.detach() for layer in layers]))

    def forward(self, hidden: Tensor, number: Tensor) -> Tensor:
        """hidden (1, I, h, w) and the number of the layer, int64 (1,) -> (1, O, h, w)."""
        weight, bias = (value.index_select(0, number) for value in (self.weight, self.bias))
        flat = torch.matmul(weight, hidden.flatten(2))
        return flat.view(1, -1, *hidden.shape[2:]) + bias[:, :, None, None]


class PointsPart(nn.Module):
    """symbols (1, M, h, w), table numbers int8, below 0 where nothing is coded -> points (1, M, h, w)."""

    def __init__(self, centroid: Centroid):
        super().__init__()
        self.share = centroid.share
        self.register_buffer("offset", offset_table().flatten())

    def forward(self, symbols: Tensor, index: Tensor, quality: Tensor) -> tuple[Tensor]:
        place = symbols.abs().clamp_max(LARGEST) + index.float().clamp_min(0) * (LARGEST + 1)
        offset = self.get_buffer("offset")[place.long()] * symbols.sign()
        return (symbols - self.share(quality) * offset,)


def hyper(codec: Codec) -> list[Part]:
    z = Value(name="z", shape=(1, codec.release.config.hyper, "rows / 4", "columns / 4"))
    part = Part(
        name="hyper",
        module=HyperPart(codec.network),
        inputs=(latents(codec, "y"), QUALITY),
        outputs=(latents(codec, "y_scaled"), z),
        sizes=_SIZES,
    )
    return [part]


def _z_hat(codec: Codec) -> Value:
    shape = (1, codec.release.config.hyper, "z_rows", "z_columns")
    return Value(name="z_hat", shape=shape, range=(-Z_LIMIT, Z_LIMIT))


def _number(codec: Codec) -> Value:
    return Value(name="number", type="int64", shape=(1,), range=(1, codec.release.config.passes - 1))


def sigma(codec: Codec) -> list[Part]:
    """The sigma path, and the refinement of what it says where passes refine tables."""
    release, count = codec.release, codec.release.config.latents
    shape = (1, count, "4 * z_rows", "4 * z_columns")
    output = Value(name="index", type="int8", shape=shape, range=(0, SCALES - 1))
    sums = Value(name="sums", shape=shape, range=(1 - SUM_LIMIT, SUM_LIMIT - 1))
    part = Part(
        name="sigma",
        module=SigmaPart(release.sigma, refined=release.refiner is not None),
        inputs=(_z_hat(codec), QUALITY),
        outputs=(output if release.refiner is None else sums,),
        sizes=_Z_SIZES,
        build=partial(sigma_model, release.sigma, refined=release.refiner is not None),
    )
    if release.refiner is None:
        return [part]
    seen = Value(name="seen", type="int8", shape=(count, FOUR, "places"), range=(-SURPRISE_LIMIT, SURPRISE_LIMIT))
    refine = Part(
        name="refine",
        module=RefinePart(release.refiner),
        inputs=(seen, Value(name="sums", shape=(count, "places"), range=sums.range), _number(codec), QUALITY),
        outputs=(Value(name="index", type="int8", shape=(count, "places"), range=output.range),),
        sizes={"places": 24},
        build=partial(refine_model, release.refiner),
    )
    return [part, refine]


def mean(codec: Codec) -> list[Part]:
    """The mean path, its first pass and the later ones."""
    config = codec.release.config
    fine = {"rows": "4 * z_rows", "columns": "4 * z_columns"}
    first = Part(
        name="mean_first",
        module=MeanFirstPart(codec.network),
        inputs=(_z_hat(codec), QUALITY),
        outputs=(
            Value(name="features", shape=(1, config.entropy_width, *fine.values())),
            latents(codec, "mean", **fine),
            Value(name="inverse_gain", shape=(1, config.latents, 1, 1)),
        ),
        sizes=_Z_SIZES,
    )
    features = Value(name="features", shape=(1, config.entropy_width, "rows", "columns"))
    two = config.passes == 2
    following = Part(
        name="mean_next",
        module=MeanSecondPart(codec.network) if two else MeanNextPart(codec.network),
        inputs=(features, latents(codec, "known"), *(() if two else (_number(codec),)), QUALITY),
        outputs=(latents(codec, "mean"),),
        sizes=_SIZES,
    )
    if codec.network.centroid is None:
        return [first, following]
    symbols = replace(latents(codec, "symbols"), range=(-MAX_VALUE, MAX_VALUE))
    points = Part(
        name="points",
        module=PointsPart(codec.network.centroid),
        inputs=(symbols, replace(latents(codec, "index"), type="int8", range=(-1, SCALES - 1)), QUALITY),
        outputs=(latents(codec, "points"),),
        sizes=_SIZES,
    )
    return [first, following, points]
