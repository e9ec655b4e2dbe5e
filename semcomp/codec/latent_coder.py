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
from semcomp.bitstream.symbol_stream import SymbolReader
from semcomp.codec.release import Release
from semcomp.networks.hyperprior import MeanPath
from semcomp.networks.model import CodecModel
from semcomp.networks.precision import fast_pixels, stored_fast
from semcomp.networks.rate_table import RateRows
from semcomp.networks.refine import RefinedNumbers
from semcomp.networks.sigma import clip_z
from semcomp.networks.sigma_bytes import fastest
from semcomp.pipeline.latent_coder import SymbolCoder
from semcomp.pipeline.rdo import choose_symbols
from semcomp.types import STRIDE_Y, Symbols, grid


class LatentCoder(SymbolCoder[Tensor]):
    """The tables and the integer path of a release, and the float mean path of its network."""

    def __init__(self, release: Release, network: CodecModel, *, device: torch.device):
        super().__init__(
            tables_z=release.tables_z, tables_y=release.tables_y, hyper=release.config.hyper, nodes=release.config.nodes
        )
        self.release, self.network, self.device = release, network, device
        self._sigma = fastest(release.sigma, device)
        self._refiner = release.refiner.to(device) if release.refiner is not None else None
        self._sums = release.sigma.to(device) if release.refiner is not None else None
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
        return scaled, clip_z(self.network.hyper_analysis(scaled, q))

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
    ) -> tuple[Symbols, Tensor]:
        """The second half of `quantize`: the symbols of what `scaled` returns."""
        q = self._tensor(quality)
        kept = self.kept(keep, scaled.shape)
        rows, columns = grid(height, width, STRIDE_Y)
        usable = self.usable(scaled.shape, rows, columns, kept)
        refined = self._refined(z_hat, usable, quality=quality)
        index = self._sigma.index(z_hat, quality) if refined is None else refined.index
        coded = usable & (index >= self.release.skip_below)
        bits = self._bits if optimise else None
        chosen = torch.zeros_like(scaled)
        number = 0

        def residual(mean: Tensor, mask: Tensor) -> Tensor:
            nonlocal index, coded, number
            mine = coded & mask
            if refined is not None:
                index, mine = refined.numbers(number)
            part: Tensor = choose_symbols(scaled - mean, index, mine, bits)
            chosen.add_(part.clamp_(-MAX_VALUE, MAX_VALUE))
            if refined is not None:
                refined.add(part)
                coded = refined.coded
            number += 1
            return part

        y_hat = self._two_passes(z_hat, q, residual, kept, precise=precise)
        symbols = Symbols(
            z=z_hat[0].to("cpu", torch.int16).numpy(),
            y=chosen[0, :, :rows, :columns].to("cpu", torch.int16).numpy(),
            index=_masked(index[..., :rows, :columns].to(torch.int8), coded[..., :rows, :columns]),
            keep=keep,
        )
        return symbols, _cropped(y_hat, rows, columns)

    def usable(self, shape: torch.Size, rows: int, columns: int, kept: Tensor | None) -> Tensor:
        """bool (1, M, 4a, 4b): elements inside the picture that are kept."""
        usable = torch.zeros(shape, dtype=torch.bool, device=self.device)
        usable[..., :rows, :columns] = True
        return usable if kept is None else usable & kept

    def _refined(self, z_hat: Tensor, usable: Tensor, *, quality: int) -> RefinedNumbers | None:
        """The table numbers by passes, None where z alone decides them."""
        if self._refiner is None or self._sums is None:
            return None
        order = self.network.order(usable.shape, device=self.device)
        sums = self._sums.sums(z_hat, quality)
        return RefinedNumbers(self._refiner, sums, order, usable, quality=quality, skip=self.release.skip_below)

    def parts(self, shape: tuple[int, ...]) -> list[Any]:
        if self._refiner is None:
            return super().parts(shape)
        order = self.network.order(torch.Size((1, *shape)), device=torch.device("cpu"))[0].numpy()
        return [order == number for number in range(self.network.config.passes)]

    @torch.inference_mode()
    def read_y(
        self,
        reader: SymbolReader,
        z: NDArray[np.int16],
        *,
        height: int,
        width: int,
        quality: int,
        keep: NDArray[np.bool_] | None,
    ) -> tuple[NDArray[np.int16], NDArray[np.int8]]:
        if self._refiner is None:
            return super().read_y(reader, z, height=height, width=width, quality=quality, keep=keep)
        rows, columns = grid(height, width, STRIDE_Y)
        z_hat = self._plane(z)
        shape = torch.Size((1, self.network.config.latents, 4 * z.shape[1], 4 * z.shape[2]))
        usable = self.usable(shape, rows, columns, self.kept(keep, shape))
        refined = self._refined(z_hat, usable, quality=quality)
        assert refined is not None
        y = np.zeros((shape[1], rows, columns), np.int16)
        for number, mask in enumerate(self.parts(y.shape)):
            index, mine = refined.numbers(number)
            part = _masked(index[..., :rows, :columns].to(torch.int8), mine[..., :rows, :columns])
            y[mask] = reader.read(part[mask], self.tables_y)
            known = torch.zeros(shape, device=self.device)
            known[..., :rows, :columns] = torch.from_numpy(np.where(mask, y, np.int16(0))).to(self.device)
            refined.add(known)
        return y, _masked(refined.index[..., :rows, :columns].to(torch.int8), refined.coded[..., :rows, :columns])

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
        read[..., :rows, :columns] = torch.from_numpy(symbols.y).to(self.device)
        y_hat = self._two_passes(
            self._plane(symbols.z),
            self._tensor(quality),
            lambda mean, mask: read,
            self.kept(symbols.keep, read.shape),
            precise=precise,
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
            return self.network.two_passes(z_hat, quality, residual, keep, gains=gains)
        with fast_pixels(self.device):
            return self.network.two_passes(z_hat, quality, residual, keep, self._fast_mean_path, gains)

    def kept(self, keep: NDArray[np.bool_] | None, shape: tuple[int, ...]) -> Tensor | None:
        """`keep` as a tensor, bool (1, 1, 4a, 4b). It is false outside the picture."""
        if keep is None:
            return None
        plane = torch.from_numpy(np.ascontiguousarray(keep)).to(self.device)[None, None]
        return F.pad(plane, (0, shape[-1] - plane.shape[-1], 0, shape[-2] - plane.shape[-2]))

    def unrounded(self, y_hat: Tensor, scaled: Tensor, *, quality: int) -> Tensor:
        """What rounds to the symbols of `y_hat`: mean + symbol, (1, M, 4a, 4b). Outside the picture it is `scaled`."""
        rows, columns = y_hat.shape[-2:]
        values = scaled.clone()
        values[..., :rows, :columns] = y_hat / self._inverse_gain(self._tensor(quality))
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
