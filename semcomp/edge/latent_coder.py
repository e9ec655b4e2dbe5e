"""The onnxruntime backend of the symbol coder: the integer path and the mean path of the library, as graphs.

The sigma graph holds the integers of the library, so it chooses the tables that the library chooses. The mean path is
float. It may move a latent by less than a rounding step, and changes no symbol of a file that is read.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.bitstream.frequency_tables import MAX_VALUE, Tables
from semcomp.edge.bundle import Bundle
from semcomp.pipeline.latent_coder import SymbolCoder
from semcomp.pipeline.rdo import choose_symbols
from semcomp.types import STRIDE_Y, Z_LIMIT, Symbols, grid

Plane = NDArray[np.float32]
"""A float plane (1, C, h, w)."""


class EdgeCoder(SymbolCoder[Plane]):
    """The tables of a bundle, and its graphs hyper, sigma, mean_first and mean_second."""

    def __init__(self, bundle: Bundle):
        sizes = bundle.manifest["sizes"]
        super().__init__(
            tables_z=_tables(bundle, "z"), tables_y=_tables(bundle, "y"), hyper=sizes["hyper"], nodes=sizes["nodes"]
        )
        self.bundle, self.skip_below = bundle, int(sizes["skip_below"])
        self._bits = self.tables_y.bits()

    def table_numbers(self, z: NDArray[Any], *, height: int, width: int, quality: int) -> NDArray[np.int8]:
        rows, columns = grid(height, width, STRIDE_Y)
        return np.ascontiguousarray(self._index(_plane(z), quality, height, width)[0, :, :rows, :columns])

    def quantize(
        self,
        y: Plane,
        *,
        height: int,
        width: int,
        quality: int,
        optimise: bool = True,
        precise: bool = True,
        keep: NDArray[np.bool_] | None = None,
    ) -> tuple[Symbols, Plane]:
        run, q, kept = self.bundle.run, _quality(quality), _kept(keep, y.shape)
        y = _only(kept, y)
        scaled, z = run("hyper", ("y_scaled", "z"), y=y, quality=q)
        z_hat = np.clip(np.rint(z), -Z_LIMIT, Z_LIMIT)
        index = self._index(z_hat, quality, height, width)
        if kept is not None:
            index[:, :, ~kept] = -1
        features, mean = run("mean_first", ("features", "mean"), z_hat=z_hat, quality=q)
        even, bits = even_elements(mean.shape), self._bits if optimise else None
        first = _limited(choose_symbols(scaled - mean, index, (index >= 0) & even, bits))
        outputs = ("y_hat", "mean2", "inverse_gain")
        known, mean2, inverse_gain = run(
            "mean_second", outputs, features=features, mean=_only(kept, mean), residual=first, quality=q
        )
        second = _limited(choose_symbols(scaled - mean2, index, (index >= 0) & ~even, bits))
        rows, columns = grid(height, width, STRIDE_Y)
        symbols = Symbols(
            z=z_hat[0].astype(np.int16),
            y=(first + second)[0, :, :rows, :columns].astype(np.int16),
            index=np.ascontiguousarray(index[0, :, :rows, :columns]),
            keep=keep,
        )
        return symbols, _cropped(_only(kept, known + second * inverse_gain), rows, columns)

    def dequantize(self, symbols: Symbols, *, quality: int, precise: bool = True) -> Plane:
        run, q = self.bundle.run, _quality(quality)
        rows, columns = symbols.y.shape[1:]
        z_rows, z_columns = symbols.z.shape[1:]
        residual = np.zeros((1, len(symbols.y), 4 * z_rows, 4 * z_columns), np.float32)
        residual[0, :, :rows, :columns] = symbols.y
        features, mean = run("mean_first", ("features", "mean"), z_hat=_plane(symbols.z), quality=q)
        kept = _kept(symbols.keep, mean.shape)
        (y_hat,) = run(
            "mean_second", ("y_hat",), features=features, mean=_only(kept, mean), residual=residual, quality=q
        )
        return _cropped(_only(kept, y_hat), rows, columns)

    def _index(self, z_hat: Plane, quality: int, height: int, width: int) -> NDArray[np.int8]:
        """Table numbers int8 (1, M, 4a, 4b), -1 where nothing is coded."""
        index: NDArray[np.int8]
        (index,) = self.bundle.run("sigma", ("index",), z_hat=z_hat, quality=_quality(quality))
        rows, columns = grid(height, width, STRIDE_Y)
        index[index < self.skip_below] = -1
        index[..., rows:, :] = -1
        index[..., columns:] = -1
        return index


def even_elements(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The checkerboard, bool (1, M, h, w). Element (c, i, j) is true where c + i + j is even."""
    channel, row, column = (np.arange(size) % 2 == 1 for size in shape[-3:])
    odd: Any = channel[:, None, None] ^ row[:, None] ^ column
    even: NDArray[np.bool_] = ~odd[None]
    return even


def _tables(bundle: Bundle, kind: str) -> Tables:
    return Tables.from_arrays(bundle.tensors[f"tables_{kind}.bounds"], bundle.tensors[f"tables_{kind}.flat"])


def _plane(symbols: NDArray[Any]) -> Plane:
    return symbols.astype(np.float32)[None]


def _quality(quality: int) -> NDArray[np.int64]:
    return np.array([quality], np.int64)


def _kept(keep: NDArray[np.bool_] | None, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
    """`keep` padded to bool (4a, 4b). It is false outside the picture."""
    if keep is None:
        return None
    return np.pad(keep, ((0, shape[-2] - keep.shape[0]), (0, shape[-1] - keep.shape[1])))


def _only(kept: NDArray[np.bool_] | None, value: Plane) -> Plane:
    """Set a plane to zero where nothing is kept. A mean of zero without a residual gives an even y_hat of zero."""
    return value if kept is None else np.where(kept, value, np.float32(0))


def _limited(symbols: Plane) -> Plane:
    return np.clip(symbols, -MAX_VALUE, MAX_VALUE, out=symbols)


def _cropped(y_hat: Plane, rows: int, columns: int) -> Plane:
    return np.ascontiguousarray(y_hat[..., :rows, :columns])
