"""Latents to symbols to bytes, and back: everything between the analysis and whatever reads y_hat.

    y ── gain ──► y - mean ── round ──► symbols ── tables, ANS ──► one stream, z before y
                    ▲                      │
    z_hat ──► mean path, two passes ◄──────┘──► y_hat, after the inverse gain

Encoder and decoder run the same `CodecModel.two_passes`; they differ in where a residual comes from. Whatever decides
bits (`IntegerSigma`, tables, positions) is integer.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from semcomp.coder import SymbolReader, encode_symbols
from semcomp.errors import FormatError
from semcomp.model import STRIDE_Y, STRIDE_Z, CodecModel
from semcomp.precision import fast_pixels
from semcomp.quantize import prior_node
from semcomp.rounding import choose_symbols
from semcomp.sigma import Z_LIMIT, clip_z
from semcomp.store import Release
from semcomp.tables import MAX_VALUE


@dataclass(frozen=True, kw_only=True)
class Latents:
    """What heads and generators read: the decoded latents of one file."""

    y_hat: Tensor
    """float32 (1, M, ceil(height / 16), ceil(width / 16)), after the inverse gain"""
    width: int
    height: int
    quality: int
    entropy_id: bytes
    model_id: bytes
    keep: np.ndarray | None = None
    """bool (rows, columns) of y_hat: false where nothing was coded and y_hat is 0; None for a whole picture"""


@dataclass(frozen=True, kw_only=True)
class Symbols:
    """The integers of one file, in C, H, W order."""

    z: np.ndarray
    """int16 (Z, ceil(h/64), ceil(w/64))"""
    y: np.ndarray
    """int16 (M, ceil(h/16), ceil(w/16))"""
    index: np.ndarray
    """int8 of the same shape: table numbers, -1 where nothing is coded"""
    keep: np.ndarray | None = None
    """bool (ceil(h/16), ceil(w/16)): positions that are coded at all, see `Latents`"""


def grid(height: int, width: int, stride: int) -> tuple[int, int]:
    """Rows and columns of the positions that an image has at a stride."""
    return -(-height // stride), -(-width // stride)


class LatentCoder:
    """A release's tables and integer path, and the float mean path beside them."""

    def __init__(self, release: Release, network: CodecModel, *, device: torch.device):
        self.release, self.network, self.device = release, network, device
        self._sigma = release.sigma.to(device, torch.float32)  # converted once, not for every file
        self._bits = torch.from_numpy(release.tables_y.bits()).to(device)

    @torch.inference_mode()
    def quantize(
        self, y: Tensor, *, height: int, width: int, quality: int, optimise: bool = True, precise: bool = True,
        keep: np.ndarray | None = None,
    ) -> tuple[Symbols, Tensor]:  # fmt: skip
        """Symbols of an analysis y (1, M, 4a, 4b) of an image, and the y_hat that `dequantize` makes of them.

        `optimise` weighs bits against error (rounding.py). Without `precise` the mean path runs in bfloat16 where
        the processor has it: near enough for a head, not for a file. Where `keep`, bool (rows, columns), is false,
        y is zero before the hyper analysis, and no element of it is coded.
        """
        q = self._tensor(quality)
        scaled = y.to(self.device) * self.network.gain(q)
        kept = self._kept(keep, scaled.shape)
        if kept is not None:
            scaled = torch.where(kept, scaled, 0.0)
        z_hat = clip_z(self.network.hyper_analysis(scaled, q))
        index, coded = self._index(z_hat, quality, height, width, kept)
        bits = self._bits if optimise else None
        chosen = torch.zeros_like(scaled)

        def residual(mean: Tensor, mask: Tensor) -> Tensor:
            part = choose_symbols(scaled - mean, index, coded & mask, bits)
            chosen.add_(part.clamp_(-MAX_VALUE, MAX_VALUE))
            return part

        with self._arithmetic(precise):
            y_hat, _ = self.network.two_passes(z_hat, q, residual, kept)
        rows, columns = grid(height, width, STRIDE_Y)
        symbols = Symbols(
            z=z_hat[0].to("cpu", torch.int16).numpy(),
            y=chosen[0, :, :rows, :columns].to("cpu", torch.int16).numpy(),
            index=_masked(index, coded, rows, columns),
            keep=keep,
        )
        return symbols, _cropped(y_hat, rows, columns)

    def write(self, symbols: Symbols, *, quality: int) -> bytes:
        """The body of the chunk SYMBOLS."""
        z_index = self.z_index(symbols.z.shape, quality=quality)
        return encode_symbols([
            (symbols.z.ravel(), z_index, self.release.tables_z),
            (symbols.y.ravel(), symbols.index.ravel(), self.release.tables_y),
        ])  # fmt: skip

    @torch.inference_mode()
    def read(
        self, data: bytes, *, height: int, width: int, quality: int, plain: bool = False,
        keep: np.ndarray | None = None, verify_z: Callable[[np.ndarray], None] = lambda z: None,
    ) -> Symbols:  # fmt: skip
        """The symbols of an image of that size. FormatError for a stream that no encoder writes.

        `keep` is what `quantize` was given. `verify_z` sees z before anything is made from it, and may raise.
        """
        reader = SymbolReader(data, plain=plain)
        shape = (self.release.config.hyper, *grid(height, width, STRIDE_Z))
        flat = reader.read(self.z_index(shape, quality=quality), self.release.tables_z)
        if np.abs(flat).max() > Z_LIMIT:
            raise FormatError(f"z holds {np.abs(flat).max()}, at most {Z_LIMIT} is allowed; encode the picture again")
        z = flat.astype(np.int16).reshape(shape)
        verify_z(z)
        planes = self._plane(z)
        kept = self._kept(keep, (1, 1, 4 * shape[1], 4 * shape[2]))
        numbers, coded = self._index(planes, quality, height, width, kept)
        index = _masked(numbers, coded, *grid(height, width, STRIDE_Y))
        y = reader.read(index.ravel(), self.release.tables_y)
        reader.finish()
        return Symbols(z=z, y=y.astype(np.int16).reshape(index.shape), index=index, keep=keep)

    @torch.inference_mode()
    def dequantize(self, symbols: Symbols, *, quality: int, precise: bool = True) -> Tensor:
        """y_hat (1, M, rows, columns) of an image's positions, float32, channels-last. `precise` as in `quantize`."""
        rows, columns = symbols.y.shape[1:]
        z_rows, z_columns = symbols.z.shape[1:]
        read = F.pad(self._plane(symbols.y), (0, 4 * z_columns - columns, 0, 4 * z_rows - rows))
        with self._arithmetic(precise):
            y_hat, _ = self.network.two_passes(
                self._plane(symbols.z), self._tensor(quality), lambda mean, mask: torch.where(mask, read, 0.0),
                self._kept(symbols.keep, read.shape),
            )  # fmt: skip
        return _cropped(y_hat, rows, columns)

    def z_index(self, shape: tuple[int, ...], *, quality: int) -> np.ndarray:
        """Table of every element of z (Z, a, b), flat: its rate node's, its channel's."""
        hyper = self.release.config.hyper
        node = int(prior_node(torch.tensor(quality), self.release.config.nodes))
        return np.repeat(np.arange(hyper, dtype=np.int16) + node * hyper, shape[1] * shape[2])

    def _kept(self, keep: np.ndarray | None, shape: tuple[int, ...]) -> Tensor | None:
        """`keep` as bool (1, 1, 4a, 4b), false outside the picture."""
        if keep is None:
            return None
        plane = torch.from_numpy(np.ascontiguousarray(keep)).to(self.device)[None, None]
        return F.pad(plane, (0, shape[-1] - plane.shape[-1], 0, shape[-2] - plane.shape[-2]))

    def _index(
        self, z_hat: Tensor, quality: int, height: int, width: int, kept: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Table numbers (1, M, 4a, 4b) as float32, and which elements are coded (bool)."""
        index = self._sigma.index(z_hat, quality)
        coded = index >= self.release.skip_below
        if kept is not None:
            coded &= kept
        rows, columns = grid(height, width, STRIDE_Y)
        coded[..., rows:, :] = False
        coded[..., columns:] = False
        return index, coded

    def _arithmetic(self, precise: bool) -> AbstractContextManager[object]:
        return nullcontext() if precise else fast_pixels(self.device)

    def _plane(self, symbols: np.ndarray) -> Tensor:
        return torch.from_numpy(symbols).to(self.device, torch.float32)[None]

    def _tensor(self, quality: int) -> Tensor:
        return torch.tensor([quality], device=self.device)


def _cropped(y_hat: Tensor, rows: int, columns: int) -> Tensor:
    return y_hat[..., :rows, :columns].contiguous(memory_format=torch.channels_last)


def _masked(index: Tensor, coded: Tensor, rows: int, columns: int) -> np.ndarray:
    """int8 (M, rows, columns): table numbers, -1 where nothing is coded."""
    return torch.where(coded, index, -1.0)[0, :, :rows, :columns].to("cpu", torch.int8).contiguous().numpy()
