"""The self-test of `semcomp doctor` for a client on graphs: every arrangement of onnxruntime reads the same symbols."""

import numpy as np

from semcomp.bitstream.symbol_stream import check_coder
from semcomp.edge.bundle import LEVELS
from semcomp.edge.client import EdgeCodec
from semcomp.errors import SemcompError
from semcomp.imaging.picture import from_array

QUALITIES = (1, 50, 100)
SIZE = (70, 90)


def self_test(codec: EdgeCodec) -> list[tuple[str, bool, str]]:
    """Read files with every arrangement of onnxruntime, and compare the symbols.

    Args:
        codec: The client whose folder is tested.

    Returns:
        (name, passed, detail) of each check.
    """
    pixels = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    picture = from_array(pixels)
    y = codec.analyse(picture)
    written = {quality: codec.quantize(y, picture, quality=quality) for quality in QUALITIES}
    files = {quality: codec.pack(picture, symbols, quality=quality) for quality, symbols in written.items()}
    different, tried = [], 0
    for level in LEVELS:
        for threads in (1, 2):
            other = EdgeCodec(codec.bundle.directory, threads=threads, optimisation=level)
            for quality, data in files.items():
                tried += 1
                try:
                    found = other.read_symbols(data)
                    wanted = written[quality]
                    pairs = ((found.z, wanted.z), (found.y, wanted.y), (found.index, wanted.index))
                    same = all(np.array_equal(*pair) for pair in pairs)
                except SemcompError:
                    same = False
                if not same:
                    different.append(f"{level}, {threads} threads, quality {quality}")
    detail = different[0] if different else f"{tried} arrangements read the same symbols"
    return [("symbols", not different, detail), check_coder(codec.coder.tables_y)]
