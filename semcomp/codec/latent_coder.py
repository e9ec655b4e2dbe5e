"""The torch backend of the symbol coder: latents to symbols, and symbols to y_hat.

    y ── gain ──► y - mean ── round ──► symbols ── tables, ANS ──► one stream, z before y
                    ▲                      │
    z_hat ──► mean path, two passes ◄──────┘──► y_hat, after the inverse gain

Encoder and decoder both run `CodecModel.two_passes`, or `QuarterMeans` for four passes. The encoder chooses the
residual, the decoder has read it. Everything that decides bits is integer: `IntegerSigma`, the tables, the positions.
"""

from collections.abc import Callable
from contextlib import nullcontext
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from semcomp.bitstream.frequency_tables import MAX_VALUE
from semcomp.codec.release import Release
from semcomp.networks.hyperprior import MeanPath, QuarterMeans, Residual, read_quarters
from semcomp.networks.model import CodecModel
from semcomp.networks.precision import fast_pixels, stored_exactly, stored_fast
from semcomp.networks.rate_table import RateRows
from semcomp.networks.refine_bytes import fastest_refiner
from semcomp.networks.sigma import clip_z
from semcomp.networks.sigma_bytes import fastest
from semcomp.pipeline.latent_coder import SymbolCoder
from semcomp.pipeline.passes import FOUR, put_quarter, turns
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
        self._mean_path = stored_exactly(QuarterMeans(network.mean_path), device) if self.refines else network.mean_path
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
        bits = self._bits if optimise else None
        if self.refines:
            z = z_hat[0].to("cpu", torch.int16).numpy()
            tables = self.refined_tables(z, height=height, width=width, quality=quality, keep=keep)
            y = np.empty(tables.plane.shape, np.int16)
            choice = self._refined_residual(tables, scaled, y, bits, q, price)
            y_hat = self._passes(z_hat, q, choice, kept, precise=precise)
            return Symbols(z=z, y=y, index=tables.plane, keep=keep), _cropped(y_hat, rows, columns)
        index, chosen = self._sigma.index(z_hat, quality), torch.zeros_like(scaled)
        coded = self.usable(scaled.shape, rows, columns, kept) & (index >= self.release.skip_below)

        def residual(mean: Tensor, mask: Tensor) -> Tensor:
            part: Tensor = choose_symbols(scaled - mean, index, coded & mask, bits, price=price)
            chosen.add_(part.clamp_(-MAX_VALUE, MAX_VALUE))
            return self._points(part, index, q)

        y_hat = self._passes(z_hat, q, residual, kept, precise=precise)
        symbols = Symbols(
            z=z_hat[0].to("cpu", torch.int16).numpy(),
            y=chosen[0, :, :rows, :columns].to("cpu", torch.int16).numpy(),
            index=_masked(index[..., :rows, :columns], coded[..., :rows, :columns]),
            keep=keep,
        )
        return symbols, _cropped(y_hat, rows, columns)

    def usable(self, shape: torch.Size, rows: int, columns: int, kept: Tensor | None) -> Tensor:
        """bool (1, M, 4a, 4b): elements inside the picture that are kept."""
        usable = torch.zeros(shape, dtype=torch.bool, device=self.device)
        usable[..., :rows, :columns] = True
        return usable if kept is None else usable & kept

    def _refined_residual(
        self,
        tables: RefinedTables,
        scaled: Tensor,
        chosen: NDArray[np.int16],
        bits: Tensor | None,
        quality: Tensor,
        price: Price,
    ) -> Residual:
        """Chooses the symbols of one pass after the other, into `chosen`, where the passes refine the tables."""

        def residual(mean: Tensor, number: int) -> tuple[Tensor, ...]:
            index = torch.from_numpy(tables.index()).to(self.device)
            value, points = torch.empty(index.shape, device=self.device), torch.zeros_like(mean)
            _, tall, wide = index.shape
            inside, groups = mean[:, :tall, :wide].permute(0, 3, 1, 2), turns(FOUR, number)
            for channels, rows, columns in groups:
                mine = value[channels]
                theirs = inside[channels.start, : len(mine)]
                torch.sub(scaled[0, channels, rows, columns][:, :tall, :wide], theirs, out=mine)
            part = choose_symbols(value, index, index >= 0, bits, price=price).clamp_(-MAX_VALUE, MAX_VALUE)
            symbols = part.to("cpu", torch.int16).numpy()
            tables.add(symbols)
            put_quarter(chosen, number, symbols)
            decoded, inside = self._points(part[None], index[None], quality)[0], points[:, :tall, :wide]
            for channels, _, _ in groups:
                mine = decoded[channels].permute(1, 2, 0)
                inside[channels.start, ..., : mine.shape[-1]] = mine
            return points.unbind()

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
        shape = (1, channels, *(4 * side for side in symbols.z.shape[1:]))
        kept, z_hat, q = self.kept(symbols.keep, shape), self._plane(symbols.z), self._tensor(quality)
        index = torch.from_numpy(symbols.index).to(self.device)
        points = self._points(self._plane(symbols.y), index[None], q)
        if self.refines:
            residual: Residual = read_quarters(F.pad(points[0], (0, shape[3] - columns, 0, shape[2] - rows)))
            return _cropped(self._passes(z_hat, q, residual, kept, precise=precise), rows, columns)
        read = torch.zeros(1, *shape[2:], channels, device=self.device).permute(0, 3, 1, 2)
        read[..., :rows, :columns] = points
        return _cropped(self._passes(z_hat, q, lambda mean, mask: read, kept, precise=precise), rows, columns)

    def _passes(
        self, z_hat: Tensor, quality: Tensor, residual: Callable[..., Any], keep: Tensor | None, *, precise: bool
    ) -> Tensor:
        """y_hat (1, M, 4a, 4b). `residual` is called as `QuarterMeans` or as `CodecModel.two_passes` calls it."""
        path = self._mean_path if precise else self._fast_mean_path
        gains = self._gain(quality), self._inverse_gain(quality)
        with nullcontext() if precise else fast_pixels(self.device):
            if isinstance(path, MeanPath):
                return self.network.two_passes(z_hat, quality, residual, keep, path, gains)
            y_hat: Tensor = path(z_hat, quality, residual, keep, gains=gains)
            return y_hat

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
    def _fast_mean_path(self) -> MeanPath | QuarterMeans:
        path = self.network.mean_path
        return stored_fast(QuarterMeans(path) if self.refines else path, self.device)

    def _plane(self, symbols: NDArray[Any]) -> Tensor:
        return torch.from_numpy(symbols).to(self.device, torch.float32)[None]

    def _tensor(self, quality: int) -> Tensor:
        return torch.tensor([quality], device=self.device)


def _cropped(y_hat: Tensor, rows: int, columns: int) -> Tensor:
    return y_hat[..., :rows, :columns].contiguous(memory_format=torch.channels_last)


def _masked(index: Tensor, coded: Tensor) -> NDArray[np.int8]:
    """Table numbers int8 (M, rows, columns), -1 where nothing is coded."""
    index, coded = index.contiguous(), coded.contiguous()
    numbers = (index + 1).mul_(coded.view(torch.int8)).sub_(1)  # torch.where is slower over bytes
    masked: NDArray[np.int8] = numbers[0].cpu().numpy()
    return masked
