"""Training in four passes, where each pass computes its own quarter of the elements of y.

`Objective.encode` runs every pass over whole planes and masks three quarters of it away. Here the elements of a pass
stand together, (place, B, h/2, w/2, M/4): place p of a 2x2 block has the channels c with (p + c) mod 4 = pass
(semcomp/pipeline/passes.py). Values and gradients equal what the planes give, except for the order of float sums.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from semcomp.networks.blocks import Pointwise, activation
from semcomp.networks.fused import wide_linear
from semcomp.networks.hyperprior import by_group
from semcomp.networks.refine import ScaleRefiner, surprise_table
from semcomp.networks.rounding import floor
from semcomp.networks.sigma import SHIFT1, index_of
from semcomp.networks.synthesis import compand
from semcomp.pipeline.passes import FOUR, PLACES, turns
from semcomp.pipeline.refined_tables import LARGEST, SURPRISE_LIMIT

if TYPE_CHECKING:
    from train.objective import Objective


class Quarters(NamedTuple):
    """The latents of a batch; lists have one tensor (4, B, h/2, w/2, M/4) for each pass."""

    y_hat: Tensor
    """(B, M, h, w), after the inverse gain."""
    residual: list[Tensor]
    """y after the gain, minus its mean; not rounded."""
    tables: list[Tensor]
    """Table numbers."""


def encode_quarters(objective: Objective, y_scaled: Tensor, z_hat: Tensor, sums: Tensor, quality: Tensor) -> Quarters:
    """Four passes over a batch.

    Args:
        objective: Its codec has four passes and refines its tables.
        y_scaled: y after the gain, (B, M, h, w) with even h and w.
        z_hat: Rounded z, (B, Z, h/4, w/4).
        sums: What the sigma path says of z_hat, (B, M, h, w).
        quality: 1..100, (B,).
    """
    codec = objective.codec
    path, refiner = codec.mean_path, codec.refiner
    assert refiner is not None and path.step is not None
    gain, inverse_gain = by_pass(codec.gain(quality)), by_pass(codec.inverse_gain(quality))
    features = path.features(z_hat, quality)
    values, refined = _to_passes(y_scaled), _to_passes(sums)
    scores = torch.zeros(y_scaled.permute(0, 2, 3, 1).shape, dtype=torch.int16).permute(0, 3, 1, 2)
    context, parts = features, []
    found = Quarters(y_scaled, [], [])
    for number in range(FOUR):
        state = context if number < 2 else context + path.step[number - 2, :, None, None]
        state = activation(state if number == 0 else path.block2(state))
        head = (path.head1, path.head2, *path.later)[number]
        assert isinstance(head, Pointwise)
        weight, bias = _by_place(head.weight, number).transpose(1, 2), _by_place(head.bias, number)[:, None]
        mean = torch.bmm(_to_places(state), weight).float() + bias
        mean = mean.view_as(values[number]) * gain[number]
        index = refined[number]
        if number:
            index = _refine(refiner, index, _surprise(scores, number), quality, number)
        index = index_of(index)
        coded = (index.detach() >= objective.skip_below).to(mean.dtype)
        symbols = objective.quantizer(values[number], mean, coded)
        part = (mean + symbols) * inverse_gain[number]
        found.residual.append(values[number] - mean)
        found.tables.append(index)
        parts.append(part)
        if number < FOUR - 1:
            seen = compand(part).flatten(1, 3)
            weight = _by_place(path.context.weight.T, number)
            added = _from_places(torch.bmm(seen, weight), state)
            context = context + (added if number else added + path.context.bias[:, None, None])
            _put(scores, number, _scores(symbols.detach(), index.detach(), coded))
    return found._replace(y_hat=_from_passes(parts))


def by_pass(table: Tensor) -> Tensor:
    """A value for every channel, (B, M, 1, 1), as the passes need it: (pass, place, B, 1, 1, M/4)."""
    channels = table.flatten(1).unflatten(1, (-1, FOUR)).permute(2, 0, 1)
    rows: Tensor = channels[_residues()][:, :, :, None, None]
    return rows


@lru_cache(maxsize=1)
def _residues() -> Tensor:
    """c mod 4 of the channels of every pass and place, (4, 4)."""
    number, place = torch.arange(FOUR)[:, None], torch.arange(FOUR)
    return (number - place) % FOUR


def _by_place(rows: Tensor, number: int) -> Tensor:
    """Rows of a matrix (M, ...), one for each channel, at the places of a pass: (4, M/4, ...)."""
    return by_group(rows)[_residues()[number]]


def _refine(refiner: ScaleRefiner, sums: Tensor, seen: Tensor, quality: Tensor, number: int) -> Tensor:
    """`ScaleRefiner.forward` for the elements of a pass. `seen` is float32 (B, M, h, w)."""
    with torch.autocast(sums.device.type, enabled=False):
        weight1, bias1, weight2, own = refiner.integers(quality, number)
        hidden = floor((wide_linear(seen, weight1, narrow=True) + bias1) * 2.0**-SHIFT1).clamp(0, 255)
        change = torch.bmm(_to_places(hidden), _by_place(weight2, number).transpose(1, 2)).view_as(sums)
        own_change = _by_place(own.flatten(), number)[:, None, None, None] * _take(seen, number)
        return sums + change + own_change


def _scores(symbols: Tensor, index: Tensor, coded: Tensor) -> Tensor:
    """The surprise of symbols themselves, int16."""
    place = symbols.abs().clamp_max(LARGEST).add(index * (LARGEST + 1)).int()
    return (surprise_table().flatten()[place] * coded).to(torch.int16)


def _surprise(scores: Tensor, number: int) -> Tensor:
    """u of `semcomp.networks.refine.surprise` before a pass, float32 (B, M, h, w), from the scores of symbols."""
    rows = F.pad(scores.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    rows = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    around = (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:] - scores.permute(0, 2, 3, 1)) >> 2
    u = around.clamp_(-SURPRISE_LIMIT, SURPRISE_LIMIT).permute(0, 3, 1, 2)
    for earlier in range(number):
        for mine, known in zip(_places(u, earlier), _places(scores, earlier), strict=True):
            mine.copy_(known)
    return u.float()


def _take(plane: Tensor, number: int) -> Tensor:
    """The elements of a pass, (4, B, h/2, w/2, M/4), of (B, M, h, w)."""
    batch, channels, height, width = plane.shape
    out = plane.new_empty(FOUR, batch, height // 2, width // 2, channels // FOUR)
    for mine, elements in zip(out, _places(plane, number), strict=True):
        mine.copy_(elements.permute(0, 2, 3, 1))
    return out


def _put(plane: Tensor, number: int, part: Tensor) -> None:
    for mine, elements in zip(part, _places(plane, number), strict=True):
        elements.copy_(mine.permute(0, 3, 1, 2))


def _places(plane: Tensor, number: int) -> list[Tensor]:
    """Views (B, M/4, h/2, w/2) of the elements of a pass at the four places."""
    return [plane[:, channels, rows, columns] for channels, rows, columns in turns(FOUR, number)]


class _ToPasses(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, plane: Tensor) -> tuple[Tensor, ...]:
        return tuple(_take(plane, number) for number in range(FOUR))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _joined(gradients)


class _FromPasses(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *parts: Tensor) -> Tensor:
        return _joined(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        return tuple(_take(gradient, number) for number in range(FOUR))


def _joined(parts: tuple[Tensor, ...]) -> Tensor:
    """The inverse of four `_take`: (B, M, h, w), channels-last."""
    _, batch, height, width, channels = parts[0].shape
    plane = parts[0].new_empty(batch, 2 * height, 2 * width, FOUR * channels).permute(0, 3, 1, 2)
    for number, part in enumerate(parts):
        _put(plane, number, part)
    return plane


def _to_passes(plane: Tensor) -> tuple[Tensor, ...]:
    parts: tuple[Tensor, ...] = _ToPasses.apply(plane)  # type: ignore[no-untyped-call]
    return parts


def _from_passes(parts: list[Tensor]) -> Tensor:
    plane: Tensor = _FromPasses.apply(*parts)  # type: ignore[no-untyped-call]
    return plane


def _to_places(plane: Tensor) -> Tensor:
    """(B, C, h, w) -> (place, B h/2 w/2, C)."""
    rows = plane.permute(0, 2, 3, 1)
    return torch.stack([rows[:, row::2, column::2] for row, column in PLACES]).flatten(1, 3)


def _from_places(rows: Tensor, like: Tensor) -> Tensor:
    """The inverse of `_to_places`, in the shape of `like`."""
    batch, _, height, width = like.shape
    blocks = rows.view(FOUR, batch, height // 2, width // 2, -1)[[0, 2, 3, 1]]  # row, then column of the 2x2 block
    plane: Tensor = blocks.unflatten(0, (2, 2)).permute(2, 3, 0, 4, 1, 5).reshape(batch, height, width, -1)
    return plane.permute(0, 3, 1, 2)
