"""The onnxruntime backend of the symbol coder: the integer path and the mean path of the library, as graphs.

The graphs sigma and refine hold the integers of the library, so they choose the tables that the library chooses. The
mean path is float. It may move a latent by less than a rounding step, and changes no symbol of a file that is read.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.bitstream.frequency_tables import MAX_VALUE, Tables
from semcomp.edge.bundle import Bundle
from semcomp.edge.products import check_products
from semcomp.pipeline.latent_coder import SymbolCoder
from semcomp.pipeline.passes import put_quarter, quarter, turns
from semcomp.pipeline.rdo import choose_symbols, price_at
from semcomp.pipeline.refined_tables import RefinedTables, surprise_lines
from semcomp.types import STRIDE_Y, Z_LIMIT, Symbols, grid

Plane = NDArray[np.float32]
"""A float plane (1, C, h, w)."""
Residual = Callable[[Plane, int], Plane]
"""Maps the mean of a pass and its number to what its symbols decode to, (1, M, h, w). Other elements are ignored."""


FAST = "mean_fast"
"""The graph of all passes in 8 bits, which reads latents for heads."""


class EdgeCoder(SymbolCoder[Plane]):
    """The tables of a bundle, and its graphs hyper, sigma, refine, mean_first, mean_next, points and mean_fast."""

    def __init__(self, bundle: Bundle):
        sizes = bundle.manifest["sizes"]
        super().__init__(
            tables_z=_tables(bundle, "z"),
            tables_y=_tables(bundle, "y"),
            hyper=sizes["hyper"],
            nodes=sizes["nodes"],
            refines=bool(sizes["refined"]),
        )
        self.bundle, self.skip_below, self.passes = bundle, int(sizes["skip_below"]), int(sizes["passes"])
        self._bits, self._centroid = self.tables_y.bits(), bool(sizes["centroid"])
        if self.refines:
            self._surprise = surprise_lines(bundle.tensors["refine.table"])

    def table_numbers(self, z: NDArray[Any], *, height: int, width: int, quality: int) -> NDArray[np.int8]:
        check_products(self.bundle)
        rows, columns = grid(height, width, STRIDE_Y)
        index: NDArray[np.int8]
        (index,) = self.bundle.run("sigma", ("index",), z_hat=_plane(z), quality=_whole(quality))
        index = np.ascontiguousarray(index[0, :, :rows, :columns])
        np.copyto(index, np.int8(-1), where=index < self.skip_below)
        return index

    def refined_tables(
        self, z: NDArray[Any], *, height: int, width: int, quality: int, keep: NDArray[np.bool_] | None
    ) -> RefinedTables:
        def refine(seen: NDArray[np.int8], sums: NDArray[Any], number: int) -> NDArray[np.int8]:
            index: NDArray[np.int8]
            run, q = self.bundle.run, _whole(quality)
            (index,) = run("refine", ("index",), seen=seen, sums=sums, number=_whole(number), quality=q)
            return index

        check_products(self.bundle)
        (sums,) = self.bundle.run("sigma", ("sums",), z_hat=_plane(z), quality=_whole(quality))
        rows, columns = grid(height, width, STRIDE_Y)
        return RefinedTables(
            sums[0], rows=rows, columns=columns, keep=keep, surprise=self._surprise, refine=refine, skip=self.skip_below
        )

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
        kept = _kept(keep, y.shape)
        scaled, z = self.bundle.run("hyper", ("y_scaled", "z"), y=_only(kept, y), quality=_whole(quality))
        z_hat = np.clip(np.rint(z), -Z_LIMIT, Z_LIMIT)
        rows, columns = grid(height, width, STRIDE_Y)
        chosen, bits = np.zeros_like(scaled), self._bits if optimise else None
        tables, index = None, np.full((1, *scaled.shape[1:]), -1, np.int8)
        if self.refines:
            tables = self.refined_tables(z_hat[0], height=height, width=width, quality=quality, keep=keep)
        else:
            numbers = self.table_numbers(z_hat[0], height=height, width=width, quality=quality)
            index[0, :, :rows, :columns] = numbers if keep is None else np.where(keep, numbers, np.int8(-1))

        def residual(mean: Plane, number: int) -> Plane:
            if tables is not None:
                put_quarter(index[0], number, tables.index())
            for turn in turns(self.passes, number):
                here = (slice(0, 1), *turn)
                value, numbers = scaled[here] - mean[here], index[here]
                nearest = choose_symbols(value, numbers, numbers >= 0, bits, price=price_at(quality))
                chosen[here] = np.clip(nearest, -MAX_VALUE, MAX_VALUE)
            if tables is not None:
                tables.add(quarter(chosen[0, :, :rows, :columns], number))
            return self._points(chosen, index, quality)

        y_hat = self._passes(z_hat, kept, quality, residual)
        symbols = Symbols(
            z=z_hat[0].astype(np.int16),
            y=chosen[0, :, :rows, :columns].astype(np.int16),
            index=np.ascontiguousarray(index[0, :, :rows, :columns]),
            keep=keep,
        )
        return symbols, _cropped(y_hat, rows, columns)

    def dequantize(self, symbols: Symbols, *, quality: int, precise: bool = True) -> Plane:
        """See `SymbolCoder.dequantize`. Without `precise` the mean path runs in 8 bits where the folder has it so."""
        rows, columns = symbols.y.shape[1:]
        read = np.zeros((1, len(symbols.y), *(4 * side for side in symbols.z.shape[1:])), np.float32)
        read[:, :, :rows, :columns] = self._points(_plane(symbols.y), symbols.index[None], quality)
        kept = _kept(symbols.keep, read.shape)
        if not precise and FAST in self.bundle.manifest["graphs"]:
            places = np.ones(read.shape[-2:], np.float32) if kept is None else kept.astype(np.float32)
            inputs = {"z_hat": _plane(symbols.z), "points": read, "kept": places[None, None]}
            (y_hat,) = self.bundle.run(FAST, ("y_hat",), **inputs, quality=_whole(quality))
        else:
            y_hat = self._passes(_plane(symbols.z), kept, quality, lambda mean, number: read)
        return _cropped(y_hat, rows, columns)

    def _points(self, symbols: Plane, index: NDArray[np.int8], quality: int) -> Plane:
        """What symbols (1, M, h, w) decode to, around their means. Elements with an index below 0 are not coded."""
        if not self._centroid:
            return symbols
        points: Plane
        (points,) = self.bundle.run("points", ("points",), symbols=symbols, index=index, quality=_whole(quality))
        return points

    def _passes(self, z_hat: Plane, kept: NDArray[np.bool_] | None, quality: int, residual: Residual) -> Plane:
        """y_hat (1, M, 4a, 4b), pass after pass: `CodecModel.two_passes`."""
        run, q = self.bundle.run, _whole(quality)
        features, mean, gain = run("mean_first", ("features", "mean", "inverse_gain"), z_hat=z_hat, quality=q)
        y_hat = np.zeros_like(mean)
        for number in range(self.passes):
            if number:
                which = {"number": _whole(number)} if self.passes > 2 else {}
                (mean,) = run("mean_next", ("mean",), features=features, known=y_hat, quality=q, **which)
            np.add(mean, residual(mean, number), out=mean)
            mean *= gain
            share = _share(self.passes, number, kept, mean.shape)
            for group in range(
                self.passes
            ):  # whole planes of memory, which numpy handles faster than every second value
                mine = mean[:, group :: self.passes]
                mine *= share[group]
                y_hat[:, group :: self.passes] += mine
        return y_hat


def _tables(bundle: Bundle, kind: str) -> Tables:
    return Tables.from_arrays(bundle.tensors[f"tables_{kind}.bounds"], bundle.tensors[f"tables_{kind}.flat"])


def _plane(symbols: NDArray[Any]) -> Plane:
    return symbols.astype(np.float32)[None]


def _whole(number: int) -> NDArray[np.int64]:
    return np.array([number], np.int64)


def _kept(keep: NDArray[np.bool_] | None, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
    """`keep` padded to bool (4a, 4b). It is false outside the picture."""
    if keep is None:
        return None
    return np.pad(keep, ((0, shape[-2] - keep.shape[0]), (0, shape[-1] - keep.shape[1])))


def _share(passes: int, number: int, kept: NDArray[np.bool_] | None, shape: tuple[int, ...]) -> Plane:
    """1 at the kept elements of a pass, else 0: (passes, h, w), for channels whose number has that remainder."""
    share = np.zeros((passes, *shape[-2:]), np.float32)
    for turn in turns(passes, number):
        share[turn] = 1
    return share if kept is None else share * kept


def _only(kept: NDArray[np.bool_] | None, value: Plane) -> Plane:
    """Set a plane to zero where nothing is kept."""
    return value if kept is None else np.where(kept, value, np.float32(0))


def _cropped(y_hat: Plane, rows: int, columns: int) -> Plane:
    return np.ascontiguousarray(y_hat[..., :rows, :columns])
