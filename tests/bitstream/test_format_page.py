"""A decoder of table numbers and symbols written from FORMAT.md alone, one element after the other."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file

from semcomp.bitstream.frequency_tables import Tables
from semcomp.bitstream.symbol_stream import SymbolReader
from semcomp.codec.codec import Codec
from semcomp.codec.release import save_release
from semcomp.imaging.picture import from_array
from semcomp.types import rate_node
from tests.releases import untrained

PLACE = {(0, 0): 0, (1, 1): 1, (0, 1): 2, (1, 0): 3}
Element = tuple[int, int, int]


def clip(value: int, low: int, high: int) -> int:
    return max(low, min(high, value))


class Page:
    """The page's words, in the order of the page."""

    def __init__(self, weights: Path, *, quality: int, rows: int, columns: int, keep: NDArray[np.bool_] | None) -> None:
        stored = load_file(weights)
        self.w = {name: value.astype(int) for name, value in stored.items() if "network." not in name}
        with safe_open(weights, "numpy") as file:
            self.skip_below = int(file.metadata()["skip_below"])
        self.q, self.rows, self.columns, self.keep = quality, rows, columns, keep
        self.tables = {
            kind: Tables.from_arrays(self.w[f"tables_{kind}.bounds"], self.w[f"tables_{kind}.flat"]) for kind in "zy"
        }
        self.channels = len(self.w["sigma.weight2"]) // 16
        self.t: dict[Element, int] = {}
        self.v: dict[Element, int] = {}

    def sums(self, z: NDArray[Any]) -> None:
        w, q, (depth, tall, wide) = self.w, self.q, z.shape
        self.s: dict[Element, int] = {}
        for a in range(tall):
            for b in range(wide):
                around = [
                    int(z[c, a + d // 3 - 1, b + d % 3 - 1])
                    if 0 <= a + d // 3 - 1 < tall and 0 <= b + d % 3 - 1 < wide
                    else 0
                    for d in range(9)
                    for c in range(depth)
                ]
                first = w["sigma.weight1"] @ around + w["sigma.bias1"][q - 1]
                u = [clip(int(one) >> 4, 0, 255) for one in first]
                for c in range(self.channels):
                    for r in range(4):
                        for s in range(4):
                            value = int(w["sigma.weight2"][16 * c + 4 * r + s] @ u + w["sigma.bias2"][q - 1, c])
                            self.s[c, 4 * a + r, 4 * b + s] = value

    def coded(self, element: Element) -> bool:
        _, i, j = element
        return self.t[element] >= self.skip_below and (self.keep is None or bool(self.keep[i, j]))

    def elements(self, number: int | None) -> list[Element]:
        """All elements, or those of a pass, in the order channel, row, column."""
        every = [(c, i, j) for c in range(self.channels) for i in range(self.rows) for j in range(self.columns)]
        return [e for e in every if number is None or (PLACE[e[1] % 2, e[2] % 2] + e[0]) % 4 == number]

    def refine(self, number: int) -> None:
        w, table = self.w, self.w["refine.table"]
        e = {at: int(table[self.t[at], min(abs(v), 1023)]) if self.coded(at) else 0 for at, v in self.v.items()}

        def f(c: int, i: int, j: int) -> int:
            if (c, i, j) in e:
                return e[c, i, j]
            near = [(c, i + y, j + x) for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x]
            return clip(sum(e.get(at, 0) for at in near) >> 2, -127, 127)

        for i in range(self.rows):
            for j in range(self.columns):
                seen = [f(c, i, j) for c in range(self.channels)]
                first = w["refine.weight1"] @ seen + w["refine.bias1"][number - 1, self.q - 1]
                h = [clip(int(one) >> 4, 0, 255) for one in first]
                for c in range(self.channels):
                    if (PLACE[i % 2, j % 2] + c) % 4 == number:
                        refined = self.s[c, i, j] + w["refine.weight2"][c] @ h + w["refine.own"][c] * seen[c]
                        self.t[c, i, j] = clip(int(refined) >> 10, 0, 63)

    def read(self, stream: bytes, z_shape: tuple[int, int, int]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """z, y and table numbers, -1 where nothing is coded. The coder has a test of its own from this page."""
        reader, nodes = SymbolReader(stream), len(self.tables["z"]) // z_shape[0]
        node = int(rate_node(self.q, nodes))
        z_index = np.repeat(node * z_shape[0] + np.arange(z_shape[0]), z_shape[1] * z_shape[2])
        z = reader.read(z_index, self.tables["z"]).reshape(z_shape)
        self.sums(z)
        refined = "refine.table" in self.w
        for number in range(4) if refined else [None]:
            for at in self.elements(number):
                self.t[at] = clip(self.s[at] >> 10, 0, 63)
            if number:
                self.refine(number)
            mine = self.elements(number)
            index = np.array([self.t[at] if self.coded(at) else -1 for at in mine])
            self.v |= dict(zip(mine, reader.read(index, self.tables["y"]).tolist(), strict=True))
        reader.finish()
        shape = (self.channels, self.rows, self.columns)
        order = self.elements(None)
        numbers = [self.t[at] if self.coded(at) else -1 for at in order]
        return z, np.array([self.v[at] for at in order]).reshape(shape), np.array(numbers).reshape(shape)


@pytest.mark.parametrize("passes", [2, 4])
@pytest.mark.parametrize("kept", [False, True], ids=["whole", "part"])
def test_a_stranger_reads_the_symbols(passes: int, kept: bool, photo: NDArray[np.uint8], tmp_path: Path) -> None:
    release = untrained(passes, refine_width=24 if passes == 4 else 0, latents=10)
    codec, weights, height, width = Codec(release), tmp_path / "weights.safetensors", 75, 90
    save_release(release, weights)
    keep = np.random.default_rng(0).random((5, 6)) < 0.7 if kept else None
    picture = from_array(np.ascontiguousarray(photo[:height, :width]))
    for quality in (20, 95):
        symbols = codec.quantize(codec.analyse(picture), picture, quality=quality, keep=keep)
        page = Page(weights, quality=quality, rows=5, columns=6, keep=keep)
        z, values, numbers = page.read(codec.coder.write(symbols, quality=quality), (release.config.hyper, 2, 2))
        assert np.array_equal(z, symbols.z) and np.array_equal(numbers, symbols.index)
        assert np.array_equal(values, symbols.y) and values.any()
