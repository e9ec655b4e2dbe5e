"""The torch backend of the symbol coder: latents to symbols, and symbols to y_hat.

    y ── gain ──► y - mean ── round ──► symbols ── tables, ANS ──► one stream, z before y
                    ▲                      │
    z_hat ──► mean path, two passes ◄──────┘──► y_hat, after the inverse gain

Encoder and decoder both run `CodecModel.two_passes`. The encoder chooses the residual, the decoder has read it.
Everything that decides bits is integer: `IntegerSigma`, the tables, the positions.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from semcomp.bitstream.frequency_tables import MAX_VALUE
from semcomp.codec.release import Release
from semcomp.networks.hyperprior import MeanPath
from semcomp.networks.model import CodecModel
from semcomp.networks.precision import fast_pixels, stored_exactly, stored_fast
from semcomp.networks.rate_table import RateRows
from semcomp.networks.refine_bytes import fastest_refiner
from semcomp.networks.sigma import clip_z
from semcomp.networks.sigma_bytes import fastest
from semcomp.pipeline.latent_coder import SymbolCoder
from semcomp.pipeline.passes import FOUR, turns
from semcomp.pipeline.rdo import Price, choose_symbols, price_at
from semcomp.pipeline.refined_tables import RefinedTables, surprise_lines
from semcomp.types import STRIDE_Y, Symbols, grid


class LatentCoder(SymbolCoder[Tensor]):
    """The tables and the integer path of a release, and the float mean path of its network."""

    def __init__(self, release: Release, network: CodecModel, *, device: torch.device):
        super().__init__(
            tables_z=release.tables_z,
            tables_y=release.tables_y,
            hyper=release.config.hyper,
            nodes=release.config.nodes,
            refines=release.refiner is not None,
        )
        self.release, self.network, self.device = release, network, device
        # Refined tables need the symbols of every pass in numpy, so all their integers stay on the CPU.
        self._sigma = fastest(release.sigma, torch.device("cpu") if self.refines else device)
        if release.refiner is not None:
            self._refiner = fastest_refiner(release.refiner)
            self._surprise = surprise_lines(release.refiner.table.numpy())
        # Four passes run the mean path four times, so it pays to prepare it. Two passes keep the floats of their files.
        self._mean_path = stored_exactly(network.mean_path, device) if self.refines else network.mean_path
        self._hyper_analysis = (
            stored_exactly(network.hyper_analysis, device) if self.refines else network.hyper_analysis
        )
        self._gain, self._inverse_gain = (
            RateRows(table, device=device) for table in (network.gain, network.inverse_gain)
        )
        self._bits = torch.from_numpy(release.tables_y.bits()).to(device)

    @torch.inference_mode()
    def quantize(
        self,
        y: Tensor,
        *,
        height: int,
        width: int,
        quality: int,
        optimise: bool = True,
        precise: bool = True,
        keep: NDArray[np.bool_] | None = None,
    ) -> tuple[Symbols, Tensor]:
        """See `SymbolCoder.quantize`. Without `precise` the mean path runs in bfloat16 where the processor has it."""
        scaled, z_hat = self.scaled(y, quality=quality, keep=keep)
        return self.choose(
            scaled, z_hat, height=height, width=width, quality=quality, optimise=optimise, precise=precise, keep=keep
        )

    @torch.inference_mode()
    def scaled(self, y: Tensor, *, quality: int, keep: NDArray[np.bool_] | None = None) -> tuple[Tensor, Tensor]:
        """y after the gain, (1, M, 4a, 4b), zero where nothing is kept, and z_hat of it, (1, Z, a, b)."""
        q = self._tensor(quality)
        scaled = y.to(self.device) * self._gain(q)
        kept = self.kept(keep, scaled.shape)
        if kept is not None:
            scaled = torch.where(kept, scaled, 0.0)
        return scaled, clip_z(self._hyper_analysis(scaled, q))

    @torch.inference_mode()
    def choose(
        self,
        scaled: Tensor,
        z_hat: Tensor,
        *,
        height: int,
        width: int,
        quality: int,
        optimise: bool = True,
        precise: bool = True,
        keep: NDArray[np.bool_] | None = None,
        price: Price | None = None,
    ) -> tuple[Symbols, Tensor]:
        """The second half of `quantize`: the symbols of what `scaled` returns, at the quality's price or another."""
        q, price = self._tensor(quality), price or price_at(quality)
        kept = self.kept(keep, scaled.shape)
        rows, columns = grid(height, width, STRIDE_Y)
        chosen, bits = torch.zeros_like(scaled), self._bits if optimise else None
        if self.refines:
            z = z_hat[0].to("cpu", torch.int16).numpy()
            tables = self.refined_tables(z, height=height, width=width, quality=quality, keep=keep)
            residual = self._refined_residual(tables, scaled, chosen, bits, quality, price)
        else:
            index = self._sigma.index(z_hat, quality)
            coded = self.usable(scaled.shape, rows, columns, kept) & (index >= self.release.skip_below)

            def residual(mean: Tensor, mask: Tensor) -> Tensor:
                part: Tensor = choose_symbols(scaled - mean, index, coded & mask, bits, price=price)
                chosen.add_(part.clamp_(-MAX_VALUE, MAX_VALUE))
                return self._points(part, index, q)

        y_hat = self._two_passes(z_hat, q, residual, kept, precise=precise)
        symbols = Symbols(
            z=z_hat[0].to("cpu", torch.int16).numpy(),
            y=chosen[0, :, :rows, :columns].to("cpu", torch.int16).numpy(),
            index=tables.plane if self.refines else _masked(index[..., :rows, :columns], coded[..., :rows, :columns]),
            keep=keep,
        )
        return symbols, _cropped(y_hat, rows, columns)

    def usable(self, shape: torch.Size, rows: int, columns: int, kept: Tensor | None) -> Tensor:
        """bool (1, M, 4a, 4b): elements inside the picture that are kept."""
        usable = torch.zeros(shape, dtype=torch.bool, device=self.device)
        usable[..., :rows, :columns] = True
        return usable if kept is None else usable & kept

    def _refined_residual(
        self, tables: RefinedTables, scaled: Tensor, chosen: Tensor, bits: Tensor | None, quality: int, price: Price
    ) -> Callable[[Tensor, Tensor], Tensor]:
        """Chooses the symbols of one pass after the other, into `chosen`, where the passes refine the tables."""
        numbers, decoded = iter(range(FOUR)), torch.zeros_like(chosen)

        def residual(mean: Tensor, mask: Tensor) -> Tensor:
            index, groups = torch.from_numpy(tables.index()).to(self.device), turns(FOUR, next(numbers))
            value = torch.zeros(index.shape, device=self.device)
            _, tall, wide = index.shape
            for turn in groups:
                channels, rows, columns = turn
                here = (0, channels, rows, columns)
                value[channels] = (scaled[here] - mean[here])[:, :tall, :wide]
            part = choose_symbols(value, index, index >= 0, bits, price=price).clamp_(-MAX_VALUE, MAX_VALUE)
            tables.add(part.to("cpu", torch.int16).numpy())
            points = self._points(part[None], index[None], self._tensor(quality))[0]
            for turn in groups:
                channels, rows, columns = turn
                chosen[0, channels, rows, columns][:, :tall, :wide] = part[channels]
                decoded[0, channels, rows, columns][:, :tall, :wide] = points[channels]
            return decoded

        return residual

    def _points(self, symbols: Tensor, index: Tensor, quality: Tensor) -> Tensor:
        """What symbols (1, M, h, w) decode to, around their means. Elements with an index below 0 are not coded."""
        if self.network.centroid is None:
            return symbols
        points: Tensor = self.network.centroid(symbols, index.clamp_min(0).float(), quality)
        return points

    @torch.inference_mode()
    def refined_tables(
        self, z: NDArray[Any], *, height: int, width: int, quality: int, keep: NDArray[np.bool_] | None
    ) -> RefinedTables:
        def refine(seen: NDArray[np.int8], sums: NDArray[Any], number: int) -> NDArray[np.int8]:
            numbers: NDArray[np.int8] = self._refiner.index(
                torch.from_numpy(seen), torch.from_numpy(sums), quality, number
            ).numpy()
            return numbers

        rows, columns = grid(height, width, STRIDE_Y)
        return RefinedTables(
            self._sigma.sums(torch.from_numpy(z).float()[None], quality)[0].numpy(),
            rows=rows,
            columns=columns,
            keep=keep,
            surprise=self._surprise,
            refine=refine,
            skip=self.release.skip_below,
        )

    @torch.inference_mode()
    def table_numbers(self, z: NDArray[Any], *, height: int, width: int, quality: int) -> NDArray[np.int8]:
        rows, columns = grid(height, width, STRIDE_Y)
        index = self._sigma.index(self._plane(z), quality)[..., :rows, :columns]
        return _masked(index, index >= self.release.skip_below)

    @torch.inference_mode()
    def dequantize(self, symbols: Symbols, *, quality: int, precise: bool = True) -> Tensor:
        """See `SymbolCoder.dequantize`. The result is channels-last."""
        channels, rows, columns = symbols.y.shape
        read = torch.zeros(1, *(4 * side for side in symbols.z.shape[1:]), channels, device=self.device)
        read = read.permute(0, 3, 1, 2)
        q = self._tensor(quality)
        index = torch.from_numpy(symbols.index).to(self.device)
        read[..., :rows, :columns] = self._points(self._plane(symbols.y), index[None], q)
        y_hat = self._two_passes(
            self._plane(symbols.z), q, lambda mean, mask: read, self.kept(symbols.keep, read.shape), precise=precise
        )
        return _cropped(y_hat, rows, columns)

    def _two_passes(
        self,
        z_hat: Tensor,
        quality: Tensor,
        residual: Callable[[Tensor, Tensor], Tensor],
        keep: Tensor | None,
        *,
        precise: bool,
    ) -> Tensor:
        gains = self._gain(quality), self._inverse_gain(quality)
        if precise:
            return self.network.two_passes(z_hat, quality, residual, keep, self._mean_path, gains)
        with fast_pixels(self.device):
            return self.network.two_passes(z_hat, quality, residual, keep, self._fast_mean_path, gains)

    def kept(self, keep: NDArray[np.bool_] | None, shape: tuple[int, ...]) -> Tensor | None:
        """`keep` as a tensor, bool (1, 1, 4a, 4b). It is false outside the picture."""
        if keep is None:
            return None
        plane = torch.from_numpy(np.ascontiguousarray(keep)).to(self.device)[None, None]
        return F.pad(plane, (0, shape[-1] - plane.shape[-1], 0, shape[-2] - plane.shape[-2]))

    def unrounded(self, quantized: tuple[Symbols, Tensor], scaled: Tensor, *, quality: int) -> Tensor:
        """What rounds to symbols: mean + symbol, (1, M, 4a, 4b). Outside the picture it is `scaled`."""
        symbols, y_hat = quantized
        rows, columns = y_hat.shape[-2:]
        q, integers = self._tensor(quality), self._plane(symbols.y)
        points = self._points(integers, torch.from_numpy(symbols.index).to(self.device)[None], q)
        values = scaled.clone()
        values[..., :rows, :columns] = y_hat / self._inverse_gain(q) + (integers - points)
        return values

    @cached_property
    def _fast_mean_path(self) -> MeanPath:
        return stored_fast(self.network.mean_path, self.device)

    def _plane(self, symbols: NDArray[Any]) -> Tensor:
        return torch.from_numpy(symbols).to(self.device, torch.float32)[None]

    def _tensor(self, quality: int) -> Tensor:
        return torch.tensor([quality], device=self.device)


def _cropped(y_hat: Tensor, rows: int, columns: int) -> Tensor:
    return y_hat[..., :rows, :columns].contiguous(memory_format=torch.channels_last)


def _masked(index: Tensor, coded: Tensor) -> NDArray[np.int8]:
    """Table numbers int8 (M, rows, columns), -1 where nothing is coded."""
    index, coded = index.contiguous(), coded.contiguous()
    numbers = (index + 1).mul_(coded.view(torch.int8)).sub_(1)  # torch.where takes six times as long over bytes
    masked: NDArray[np.int8] = numbers[0].cpu().numpy()
    return masked
