"""How a head's stem learns to unfold latents: as filters on the picture that the latents stand for.

The 320 channels of a position say what its 16x16 pixels look like, but not in a way in which a shifted picture gives
shifted channels; a network that reads them as they are learns everything once for each shift, or by heart. So while
the stem learns, its unfolding is a product: a fixed linear map from latents to pixels, found by least squares on what
the synthesis makes of the training crops, and filters on pixels. Between the two, crops can be mirrored, moved and
scaled. Afterwards the product is one matrix, or two of low rank: no pixel is made when the head runs. A network that
has learned on decoded pictures becomes a head in the same way, by its filters.

Latents that are taken as they are let the linear map come far nearer to what the synthesis makes of them than companded
ones do.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from heads.latent_cache import Cache, to_network
from heads.layers import MIDDLE, LatentStem, PixelStem
from heads.warp import warped
from semcomp.codec.codec import Codec
from semcomp.networks.blocks import Pointwise, Up
from semcomp.networks.precision import fast_pixels
from semcomp.types import STRIDE_Y

POSITIONS = 50_000
"""Positions of latents that the linear map is fitted to."""
RIDGE = 1e-3
"""Ridge of the least squares, relative to channels of variance 1."""


@torch.inference_mode()
def pixels_from_latents(codec: Codec, crops: Cache, stem: LatentStem) -> tuple[Tensor, Tensor, Tensor]:
    """The linear map from what a stem unfolds to the pixels of its position, less a mean of each colour; that mean; and
    the spread of what is unfolded, a square root of its mean outer product. float32 (3, 16, 16, M), (3,) and (M, M)
    """
    per_crop = crops.value.shape[1] * crops.value.shape[2]
    count = min(len(crops), max(1, POSITIONS // per_crop))
    chosen = np.unique(np.linspace(0, len(crops) - 1, count).round().astype(int))
    channels, outputs = crops.value.shape[3], 3 * STRIDE_Y**2
    gram = torch.zeros(channels + 1, channels + 1, dtype=torch.float64)
    product = torch.zeros(channels + 1, outputs, dtype=torch.float64)
    for part in np.array_split(chosen, -(-len(chosen) // 16)):
        y_hat = to_network(crops.value[part]).to(codec.device)
        with fast_pixels(codec.device):
            pixels = codec.network.synthesis(y_hat, torch.from_numpy(crops.quality[part].astype(np.int64)))
        seen = F.pad(stem.prepared(y_hat), (0, 0, 0, 0, 0, 1), value=1.0)
        wanted = F.pixel_unshuffle(pixels.float(), STRIDE_Y)
        rows, targets = (value.permute(0, 2, 3, 1).flatten(0, 2).double().cpu() for value in (seen, wanted))
        gram += rows.T @ rows
        product += rows.T @ targets
    scale = gram.diagonal().clamp_min(1e-6 * gram[-1, -1]).sqrt()
    scaled = gram / scale[:, None] / scale + RIDGE * torch.eye(channels + 1, dtype=torch.float64)
    solved = torch.linalg.solve(scaled, product / scale[:, None]) / scale[:, None]
    values, vectors = torch.linalg.eigh(gram[:-1, :-1] / gram[-1, -1])
    spread = vectors * values.clamp_min(0).sqrt()
    mean = solved[-1].reshape(3, -1).mean(1)
    return solved[:-1].T.reshape(3, STRIDE_Y, STRIDE_Y, channels).float(), mean.float(), spread.float()


class Unfolding(nn.Module):
    """Replaces the unfolding of a stem while it learns. Latents (B, M, h, w) -> (B, C, fh, fw)."""

    pixels: Tensor
    mean: Tensor
    spread: Tensor

    def __init__(self, pixels: Tensor, mean: Tensor, spread: Tensor, *, channels: int, factor: int):
        super().__init__()
        side = STRIDE_Y // factor
        # Clones, because what inference mode has made cannot be loaded into.
        self.register_buffer("pixels", pixels.clone())
        self.register_buffer("mean", mean.clone())
        self.register_buffer("spread", spread.clone())
        self.filters = nn.Conv2d(3, channels, side, stride=side)
        self.kept: nn.Parameter | None = None
        """What pixels are made from, where that is less than all latents, for channels of unit spread: (rank, M). It
        learns too."""

    def forward(self, value: Tensor, places: Tensor | None = None) -> Tensor:
        """Unfold latents. `places` (warp.draw) say what is seen of each crop; None for all of it, as it is."""
        if (reduction := self.reduction()) is not None:
            value = F.conv2d(value, reduction[:, :, None, None])
        picture = F.pixel_shuffle(F.conv2d(value, self.pixels.flatten(0, 2)[:, :, None, None]), STRIDE_Y)
        if places is not None:
            picture = warped(picture, places)
        filtered: Tensor = self.filters(picture)
        return filtered

    @property
    def bias(self) -> Tensor:
        """(C,)"""
        assert self.filters.bias is not None
        return self.filters.bias

    @property
    def patches(self) -> Tensor:
        """The linear map by what a filter sees at once: (3, row, i, column, j, M), or of what is kept."""
        side = self.filters.kernel_size[0]
        pixels: Tensor = self.pixels.unflatten(2, (-1, side)).unflatten(1, (-1, side))
        return pixels

    def product(self) -> Tensor:
        """What the filters make of latents, but for the bias: (C factor^2, M), or of what is kept."""
        return torch.einsum("ocij,crisjm->orsm", self.filters.weight, self.patches).flatten(0, 2)

    def reduction(self) -> Tensor | None:
        """What makes of latents what is kept: (rank, M)."""
        return None if self.kept is None else self.kept / self.spread.norm(dim=1)

    def factors(self, rank: int) -> tuple[Tensor, Tensor]:
        """Two matrices (C factor^2, rank) and (rank, M) whose product makes of latents with that spread what is nearest
        to the filters' in the mean square (reduced-rank regression, Izenman 1975). The second one's outputs are
        uncorrelated, each of variance 1."""
        product = self.product()
        left, sizes, _ = torch.linalg.svd(product @ self.spread, full_matrices=False)
        left, sizes = left[:, :rank], sizes[:rank].clamp_min(1e-6)
        return left * sizes, left.T @ product / sizes[:, None]

    @torch.no_grad()
    def narrow(self, rank: int) -> None:
        """Makes pixels of `rank` channels only. They start as the channels that are best for the filters."""
        _, kept = self.factors(rank)
        self.pixels = self.pixels @ (self.spread @ self.spread.T @ kept.T)
        self.kept = nn.Parameter(kept * self.spread.norm(dim=1))

    @torch.no_grad()
    def merge_into(self, reduce: nn.Module, layer: Up) -> None:
        """Writes the product into the unfolding that this one replaces."""
        weight = self.product()
        if isinstance(reduce, Pointwise):
            reduction = self.reduction()
            weight, reduction = self.factors(len(reduce.bias)) if reduction is None else (weight, reduction)
            reduce.weight.copy_(reduction)
            reduce.bias.zero_()
        layer.conv.weight.copy_(weight)
        layer.conv.bias.copy_(self.bias.repeat_interleave(layer.factor**2))

    @torch.no_grad()
    def take_filters(self, stem: PixelStem) -> None:
        """Begin with the filters of a network that sees pixels."""
        weight, bias = stem.patches.weight, stem.patches.bias
        assert bias is not None
        self.filters.weight.copy_(weight)
        self.bias.copy_(bias + torch.einsum("ocij,c->o", weight, self.mean - MIDDLE))

    @torch.no_grad()
    def take_over(self, reduce: nn.Module, layer: nn.Module) -> None:
        """Begin with the filters whose product is nearest to an unfolding that has learned."""
        assert isinstance(layer, Up)
        weight, bias = layer.conv.weight.detach(), layer.conv.bias.detach()
        if isinstance(reduce, Pointwise):
            weight, bias = weight @ reduce.weight, weight @ reduce.bias + bias
        columns = self.patches.permute(1, 3, 5, 0, 2, 4).flatten(3).flatten(0, 2)
        rows = weight.unflatten(0, (-1, layer.factor**2)).flatten(1)
        self.filters.weight.copy_(torch.linalg.lstsq(columns, rows.T).solution.T.view_as(self.filters.weight))
        self.bias.copy_(bias.unflatten(0, (-1, layer.factor**2)).mean(1))


@contextmanager
def unfolding(stem: nn.Module, codec: Codec, crops: Cache, *, start: nn.Module | None) -> Iterator[None]:
    """Makes a stem's unfolding a product of filters and a linear map. Afterwards it is one matrix again.

    The filters start at random, or as the filters of the stem `start`: of a network that sees pixels, or the nearest to
    what a head has learned. What its rank keeps is chosen for these, or at the end. Other stems stay as they are.
    """
    if not isinstance(stem, LatentStem):
        yield
        return
    reduce, layer = stem.reduce, stem.unfold
    assert isinstance(layer, Up)
    channels = len(layer.conv.bias) // layer.factor**2
    product = Unfolding(*pixels_from_latents(codec, crops, stem), channels=channels, factor=layer.factor)
    if isinstance(start, PixelStem):
        product.take_filters(start)
    elif isinstance(start, LatentStem):
        product.take_over(start.reduce, start.unfold)
    if start is not None and isinstance(reduce, Pointwise):
        product.narrow(len(reduce.bias))
    stem.reduce, stem.unfold = nn.Identity(), product
    try:
        yield
    finally:
        product.merge_into(reduce, layer)
        stem.reduce, stem.unfold = reduce, layer
