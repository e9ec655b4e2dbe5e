"""The restorer of JPEG files without torch: numpy makes the transforms, and onnxruntime runs the network."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from semcomp.errors import ImageError, MissingExtraError, ModelError
from semcomp.imaging.picture import Picture, to_pil
from semcomp.imaging.transforms import TO_RGB, square_dct
from semcomp.jpeg.layout import MARGIN, PLANE_RANGE, Group, bounded_steps, dequantised, groups_of
from semcomp.jpeg.picture import picture_of, warn_of
from semcomp.jpeg.reader import JpegFile, read_jpeg
from semcomp.pipeline.tiles import tiles

Floats = NDArray[np.float32]
SIDE, WINDOW, COEFFICIENTS, PLANES = 8, 16, 64, 3
TILE = 96
"""Side of a tile in blocks."""
_ROUNDED_REACH = 4
"""Tiles begin where a block of chroma begins, whatever the subsampling."""


class EdgeRestorer:
    """Restores JPEG files with a graph that `semcomp export onnx --restorer` wrote."""

    def __init__(self, graph: str | Path, *, threads: int | None = None):
        """Load a graph.

        Args:
            graph: The file restorer.onnx.
            threads: Threads of onnxruntime. None takes every core.

        Raises:
            ModelError: The file is missing or is not a graph of a restorer.
            MissingExtraError: onnxruntime is not installed.
        """
        if not Path(graph).is_file():
            raise ModelError(
                f"there is no graph of a restorer at {graph}: give weights=FILE, the restorer.onnx that semcomp export "
                "onnx --restorer wrote"
            )
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingExtraError("The client without torch", "edge") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        try:
            self._session: Any = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
            known = self._session.get_modelmeta().custom_metadata_map
            self.restorer_id = bytes.fromhex(known["restorer_id"])
            self._halo = -(-int(known["reach"]) // _ROUNDED_REACH) * _ROUNDED_REACH
        except Exception as error:
            raise ModelError(f"{graph} is not a graph of a restorer ({error}); export it again") from error

    def restore(self, data: bytes, *, strength: float = 1.0) -> Image.Image:
        """Restore a file. `semcomp.restore` describes arguments, result and errors."""
        if not 0 <= strength <= 1:
            raise ImageError(f"strength must be 0 to 1, not {strength:g}")
        return to_pil(self.restored_picture(read_jpeg(data), strength=strength))

    def restored_picture(self, file: JpegFile, *, strength: float = 1.0) -> Picture:
        """The restored picture of a file that was read, the right way up, with its records."""
        groups = groups_of(file)
        warn_of(file, self.restorer_id)
        pixels = np.concatenate([self._pixels(group, strength) for group in groups], 2)
        return picture_of(file, np.ascontiguousarray(pixels[: file.height, : file.width]))

    def _pixels(self, group: Group, strength: float) -> NDArray[np.uint8]:
        """Restored pixels of whole blocks, (H, W, 1 or 3)."""
        rows, columns = group.planes[0].coefficients.shape[:2]
        result = np.empty((SIDE * rows, SIDE * columns, len(group.planes)), np.uint8)
        for tile in tiles(rows, columns, tile=TILE, halo=self._halo):
            region = self._region(group, *tile.source, strength=strength)
            inner, target = (tuple(slice(SIDE * s.start, SIDE * s.stop) for s in part) for part in tile[1:])
            channels = region[:, inner[0], inner[1]].transpose(1, 2, 0)
            if len(group.planes) == PLANES:
                channels = np.clip(channels, *PLANE_RANGE) @ _TO_RGB
            result[target] = np.clip(np.rint(channels + 128), 0, 255)
        return result

    def _region(self, group: Group, rows: slice, columns: slice, *, strength: float) -> Floats:
        down, across = group.factors
        coarse = slice(rows.start // down, rows.stop // down), slice(columns.start // across, columns.stop // across)
        stored = [
            dequantised(plane, *(coarse if number else (rows, columns))) for number, plane in enumerate(group.planes)
        ]
        steps = [bounded_steps(plane) for plane in group.planes]
        start = [inverse_dct(stored[0]), *(enlarge(inverse_dct(blocks), group.factors) for blocks in stored[1:])]
        corrections = self._corrections(stored[0], start, steps, group.factors)
        limits = [step / 2 - np.minimum(step / 8, MARGIN) for step in steps]
        luma = np.clip(corrections[..., :COEFFICIENTS], -limits[0], limits[0])
        planes = [inverse_dct(stored[0] + strength * luma)]
        for number in range(1, len(stored)):
            own = corrections[..., number * COEFFICIENTS : (number + 1) * COEFFICIENTS]
            answer = start[number] + inverse_dct(own)
            bounds = stored[number], limits[number], group.factors
            if strength != 1:
                first = into_cell(start[number], *bounds)
                answer = first + strength * (into_cell(answer, *bounds) - first)
            planes.append(into_cell(answer, *bounds))
        return np.stack(planes)

    def _corrections(self, luma: Floats, planes: list[Floats], steps: list[Floats], factors: tuple[int, int]) -> Floats:
        rows, columns, _ = luma.shape
        blocks = np.zeros((rows, columns, PLANES * COEFFICIENTS), np.float32)
        windows = np.zeros((rows, columns, WINDOW * WINDOW + 2 * COEFFICIENTS), np.float32)
        for number, plane in enumerate(planes):
            block = forward_dct(plane) if number else luma
            blocks[..., number * COEFFICIENTS : (number + 1) * COEFFICIENTS] = block
            at = WINDOW * WINDOW + (number - 1) * COEFFICIENTS if number else 0
            around = window_dct(plane, SIDE if number else WINDOW)
            windows[..., at : at + around.shape[-1]] = around
        places = np.zeros((rows, columns, 2), np.float32)
        places[..., 0] = (np.arange(rows) % factors[0] - (factors[0] - 1) / 2)[:, None]
        places[..., 1] = np.arange(columns) % factors[1] - (factors[1] - 1) / 2
        table = np.ones((1, PLANES, COEFFICIENTS), np.float32)
        table[0, : len(steps)] = steps
        flags = np.array([[math.log2(factors[0]), math.log2(factors[1]), float(len(planes) > 1)]], np.float32)
        inputs = {"blocks": blocks[None], "windows": windows[None], "places": places[None]}
        (answer,) = self._session.run(None, {**inputs, "steps": table, "flags": flags})
        corrections: Floats = answer[0]
        return corrections


_MATRIX = square_dct(SIDE, SIDE)
_WINDOWS = {kept: square_dct(WINDOW, kept) for kept in (SIDE, WINDOW)}
_TO_RGB = TO_RGB.T.astype(np.float32)


def forward_dct(plane: Floats) -> Floats:
    """(H, W) -> (H/8, W/8, 64)."""
    height, width = plane.shape
    blocks = plane.reshape(height // SIDE, SIDE, width // SIDE, SIDE).transpose(0, 2, 1, 3)
    result: Floats = blocks.reshape(height // SIDE, width // SIDE, COEFFICIENTS) @ _MATRIX.T
    return result


def inverse_dct(blocks: Floats) -> Floats:
    """(rows, columns, 64) -> (8 rows, 8 columns)."""
    rows, columns, _ = blocks.shape
    pixels = (blocks @ _MATRIX).reshape(rows, columns, SIDE, SIDE).transpose(0, 2, 1, 3)
    result: Floats = pixels.reshape(SIDE * rows, SIDE * columns)
    return result


def window_dct(plane: Floats, kept: int) -> Floats:
    """Coefficients of the windows around all blocks, (H/8, W/8, kept * kept). `kept` is 8 or 16."""
    padded = np.pad(plane, (WINDOW - SIDE) // 2, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (WINDOW, WINDOW))[::SIDE, ::SIDE]
    result: Floats = windows.reshape(*windows.shape[:2], -1) @ _WINDOWS[kept].T
    return result


def enlarge(plane: Floats, factors: tuple[int, int]) -> Floats:
    """Upsample with a triangle filter, by (vertical, horizontal) factors."""
    for axis, factor in enumerate(factors):
        if factor > 1:
            size = plane.shape[axis]
            place = np.clip((np.arange(size * factor) + 0.5) / factor - 0.5, 0, size - 1)
            low = place.astype(np.int64)
            share = (place - low).astype(np.float32)
            share = share[:, None] if axis == 0 else share
            near, far = plane.take(low, axis), plane.take(np.minimum(low + 1, size - 1), axis)
            plane = near + share * (far - near)
    return plane


def into_cell(plane: Floats, stored: Floats, limits: Floats, factors: tuple[int, int]) -> Floats:
    """Move the means of a chroma plane into the cells of their coefficients."""
    down, across = factors
    height, width = plane.shape
    means = plane.reshape(height // down, down, width // across, across).mean((1, 3))
    off = forward_dct(means) - stored
    moved = inverse_dct(np.clip(off, -limits, limits) - off)
    return plane + moved.repeat(down, 0).repeat(across, 1)
