"""A network as it is exported: what onnxruntime computes slowly is written in another way that gives the same values.

onnxruntime computes convolutions on blocks of 16 channels. For a pixel shuffle it leaves that layout and moves one
value at a time. Here channels are last where a grid becomes finer, so that whole rows move. What is linear between two
layers is multiplied into one of them: the scale and the shift of a rate, batch norms, and the mix of a segmenter's
last layer.

A stem multiplies matrices until its finest grid is there. The products leave the rows of that grid where they belong.
A convolution that changes nothing brings them into blocks, so that the first block can add them in passing.
"""

from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from heads.classifier import ClassifierNetwork
from heads.layers import Adapter, Context, LatentStem, pad_to
from heads.segmenter import SegmenterNetwork
from semcomp.networks.blocks import Pointwise, Up, activation, for_loaded_weights
from semcomp.networks.fused import shuffle_order
from semcomp.networks.rate_table import RateRows, RateTable

PAD_ONE = (0, 0, 0, 0, 0, 1)
"""One more channel."""


class ExportedStem(nn.Module):
    """A stem for one image. Channel R, the last that is unfolded, is 1 everywhere: it brings the bias."""

    kernel: Tensor
    """(f, R + 1, f, C) from what is unfolded to the rows of the finest grid."""
    last: Tensor
    """(R + 1, 1, 1), 1 for channel R and else 0."""

    def __init__(self, stem: LatentStem):
        super().__init__()
        layer = stem.unfold
        assert isinstance(layer, Up), "a stem that still learns is not exported"
        self.factor = factor = layer.factor
        matrix, bias = (shuffle_order(values.detach(), factor) for values in layer.conv.parameters())  # f f C
        kernel = torch.cat([matrix.T, bias[None]]).unflatten(1, (factor, factor, -1)).transpose(0, 1)
        self.register_buffer("kernel", kernel.contiguous())
        self.register_buffer("last", F.one_hot(torch.tensor(len(matrix.T)), len(matrix.T) + 1).float()[:, None, None])
        self.reduce = _with_ones(stem.reduce) if isinstance(stem.reduce, Pointwise) else nn.ConstantPad3d(PAD_ONE, 1.0)
        self.rate = RateRows(stem.rate, device=matrix.device)
        self.into_blocks = _unchanged(kernel.shape[-1])
        self.stem = stem
        stem.unfold = stem.reduce = nn.Identity()

    def forward(self, y_hat: Tensor, quality: Tensor) -> Tensor:
        factor, (rows, columns) = self.factor, y_hat.shape[2:]
        scale, shift = self.rate(quality)[0, :, 0, 0].chunk(2)
        kernel = (self.kernel * (1 + scale) + self.last * shift).flatten(2)  # f, R + 1, f C
        reduced = self.reduce(self.stem.prepared(y_hat)).permute(0, 2, 3, 1)
        moved = reduced.reshape(rows, 1, columns, -1) @ kernel  # h, f, w, f C
        fine = moved.reshape(1, rows * factor, columns * factor, -1).permute(0, 3, 1, 2)
        result: Tensor = self.stem.descent(self.into_blocks(fine))
        return result


class ExportedContext(nn.Module):
    """A context whose branches do its norm in passing. They stay in floating point in an int8 graph, so that none of
    them is rounded before the sum. That takes no longer than 8 bits."""

    def __init__(self, context: Context):
        super().__init__()
        self.branches, self.merge = context.branches, context.merge
        scale, shift = _affine(context.norm)
        for number, branch in enumerate(self.branches):
            assert isinstance(branch, nn.Conv2d) and branch.bias is not None
            branch.weight.data = branch.weight * scale[:, None, None, None]
            branch.bias.data = branch.bias * scale + (0 if number else shift)

    def forward(self, value: Tensor) -> Tensor:
        total = self.branches[0](value)
        for branch in list(self.branches)[1:]:
            total = total + branch(value)
        merged: Tensor = self.merge(activation(total))
        return value + merged


class ChannelsLast(nn.Module):
    """Says the same with channels last in memory. onnxruntime keeps that order through the sums and the 8-bit layers
    that follow; without, it transposes before and after each sum. It would remove two transpositions that meet."""

    def forward(self, value: Tensor) -> Tensor:
        _, channels, rows, columns = value.shape
        flat = value.permute(0, 2, 3, 1).reshape(-1, channels)
        return flat.reshape(1, rows, columns, channels).permute(0, 3, 1, 2)


class ExportedUp(nn.Module):
    """A pointwise layer and a pixel shuffle that moves whole rows. A batch norm before it is multiplied into it."""

    def __init__(self, layer: Up, norm: nn.BatchNorm2d | None = None):
        super().__init__()
        self.factor, self.conv = layer.factor, deepcopy(layer.conv)
        weight: Tensor = layer.conv.weight
        bias: Tensor = layer.conv.bias
        if norm is not None:
            scale, shift = _affine(norm)
            weight, bias = weight * scale, weight @ shift + bias
        self.conv.weight.data, self.conv.bias.data = (shuffle_order(values, layer.factor) for values in (weight, bias))

    def forward(self, value: Tensor, *, rows: int, columns: int) -> Tensor:
        """Make the grid finer, and cut it to `rows` and `columns`."""
        height, width = value.shape[2:]
        split = self.conv(value).permute(0, 2, 3, 1).reshape(height, width, self.factor, -1)
        fine: Tensor = split.transpose(1, 2).reshape(1, height * self.factor, width * self.factor, -1)
        return fine[:, :rows, :columns].permute(0, 3, 1, 2)


class ExportedSegmenter(nn.Module):
    """A segmenter for one image."""

    def __init__(self, network: SegmenterNetwork):
        super().__init__()
        self.stem, self.before, self.down, self.after = network.stem, network.before, network.down, network.after
        self.coarse, self.around, self.depthwise = network.coarse, network.around, network.depthwise
        self.channels_last, self.feature_width = ChannelsLast(), network.feature_width
        self.up16, self.up4 = ExportedUp(network.up16), ExportedUp(network.up4, network.norm)
        self.logits, mix, last = deepcopy(network.logits), network.mix, network.logits
        self.logits.bias.data = last.weight @ mix.bias + last.bias
        self.logits_of_mix = nn.Conv2d(last.weight.shape[1], len(last.weight), 1, bias=False)
        self.into_blocks = _unchanged(last.weight.shape[1])
        self.logits_of_mix.weight.data = (last.weight @ mix.weight)[:, :, None, None]

    def forward(self, y_hat: Tensor, quality: Tensor) -> Tensor:
        return self.with_features(y_hat, quality)[0]

    def with_features(self, y_hat: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the logits and the features (1, C) in one run."""
        rows, columns = y_hat.shape[2:]
        fine = self.channels_last(self.before(self.stem(y_hat, quality)))
        coarse = self.around(self.coarse(self.down(pad_to(fine, 2))))
        value = self.after(fine + self.up16(coarse, rows=rows, columns=columns))
        value = self.up4(value, rows=rows * self.up4.factor, columns=columns * self.up4.factor)
        value = self.into_blocks(value)
        logits = self.logits(value) + self.logits_of_mix(activation(self.depthwise(value)))
        return logits, coarse.mean((2, 3))


def _with_ones(layer: Pointwise) -> nn.Conv2d:
    """The layer with one more output, which is 1."""
    outputs, inputs = layer.weight.shape
    more = nn.Conv2d(inputs, outputs + 1, 1)
    assert more.bias is not None
    more.weight.data = F.pad(layer.weight.detach(), (0, 0, 0, 1))[:, :, None, None]
    more.bias.data = F.pad(layer.bias.detach(), (0, 1), value=1.0)
    return more


def _unchanged(channels: int) -> nn.Conv2d:
    """A convolution that changes nothing."""
    layer = nn.Conv2d(channels, channels, 1, groups=channels, bias=False)
    nn.init.ones_(layer.weight)
    return layer


def _affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Scale and shift (C,) of a batch norm that no longer learns."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None and variance is not None
    scale = norm.weight / (variance + norm.eps).sqrt()
    return scale, norm.bias - mean * scale


@torch.no_grad()
def for_export(network: nn.Module) -> nn.Module:
    """A copy that computes the same for one image."""
    copy = deepcopy(network).eval()
    with for_loaded_weights():
        return _exported(copy)


def _exported(copy: nn.Module) -> nn.Module:
    for name, module in list(copy.named_modules()):
        if isinstance(module, LatentStem):
            copy.set_submodule(name, ExportedStem(module))
        elif isinstance(module, Adapter):
            assert isinstance(module.rate, RateTable)
            module.rate = RateRows(module.rate, device=module.mean.device)
        elif isinstance(module, Context):
            copy.set_submodule(name, ExportedContext(module))
    if isinstance(copy, ClassifierNetwork):
        copy.downs[0] = nn.Sequential(copy.downs[0], ChannelsLast())
    return ExportedSegmenter(copy) if isinstance(copy, SegmenterNetwork) else copy
