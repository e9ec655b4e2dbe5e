"""Are files read to the same symbols, and written to the same bytes, however and wherever the arithmetic runs?

Every photo is encoded at every quality. Its file is then read under each arrangement: 1 and 2 threads, oneDNN on and
off, the latent z as NCHW and as NHWC, the sigma path in float32 torch and in int64 numpy (and on CUDA where there is
one), the tables that passes refine in float32, in bytes and in int64, the coder by constriction and in plain Python.
The integers that were written are also encoded again under each. Every difference is counted; there must be none. As
a control, a sigma path whose weights are not integers is run on the same latents in two orders of summation: that one
must differ, or the comparison could not notice anything.
"""

import sys
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks import common
from benchmarks.common import at_least, at_most
from semcomp.bitstream.container import ChunkKind, read
from semcomp.bitstream.symbol_stream import HAS_CONSTRICTION, SymbolReader, encode_symbols
from semcomp.codec.self_test import QUALITIES, arranged, control_differs, numbers_by_arrangement, numbers_in_int64
from semcomp.errors import SemcompError
from semcomp.imaging.picture import from_array
from semcomp.networks.sigma import table_index

CONTROL_ELEMENTS = 5_000_000
"""Number of symbols among which the control must have changed a table number: it changes one in some 100,000."""


@dataclass
class Tally:
    """Differences of one arrangement from what was written."""

    files: int = 0
    table_numbers: int = 0
    symbols: int = 0
    unreadable: int = 0
    """Files that could not be read at all."""
    bytes: int = 0
    """Files that were not written alike."""

    def total(self) -> int:
        return self.table_numbers + self.symbols + self.unreadable + self.bytes


@dataclass
class Tallies:
    """All arrangements, and the control."""

    rows: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    elements: int = 0
    control: int = 0
    """Table numbers that a path without integers computes differently in another order."""


def check_file(codec: Any, pixels: NDArray[np.uint8], y: torch.Tensor, quality: int, tallies: Tallies) -> None:
    """Write one file, and read and write it again in every way."""
    picture = from_array(pixels)
    written = codec.quantize(y, picture, quality=quality)
    data = codec.pack(picture, written, quality=quality)
    tallies.elements += written.y.size + written.z.size
    _whole_files(codec, data, written, tallies)

    stream, release = read(data).get(ChunkKind.SYMBOLS), codec.release
    assert stream is not None
    paths = list(numbers_by_arrangement(release, written, quality))
    paths.append(("int64 numpy", numbers_in_int64(release, written, quality)))
    for name, index in paths:
        tally = tallies.rows[f"{'refined tables' if codec.coder.refines else 'sigma path'}, {name}"]
        tally.files += 1
        tally.table_numbers += int(np.count_nonzero(index != written.index))
        plain = name == "int64 numpy"  # a client with neither torch nor constriction
        latents = codec.coder.streamed(replace(written, index=index), quality=quality)
        try:
            reader = SymbolReader(stream, plain=plain)
            for expected, table, tables in latents:
                tally.symbols += int(np.count_nonzero(reader.read(table, tables) != expected))
            reader.finish()
        except SemcompError:
            tally.unreadable += 1
        if codec.pack(picture, replace(written, index=index), quality=quality) != data:
            tally.bytes += 1
        if plain:
            tally.bytes += encode_symbols(latents, plain=True) != stream
    z_hat = torch.from_numpy(written.z).float()[None]
    tallies.control += control(release.sigma, z_hat, quality)


def _whole_files(codec: Any, data: bytes, written: Any, tallies: Tallies) -> None:
    """Read by `Codec.read_symbols`, as a user would."""
    coders = {"constriction": False, "plain coder": True} if HAS_CONSTRICTION else {"plain coder": True}
    for threads in (1, 2):
        for onednn in (True, False):
            for coder, plain in coders.items():
                tally = tallies.rows[f"file, {threads} threads, oneDNN {'on' if onednn else 'off'}, {coder}"]
                tally.files += 1
                try:
                    with arranged(threads, onednn):
                        symbols = codec.read_symbols(data, plain=plain)
                except SemcompError:
                    tally.unreadable += 1
                    continue
                tally.table_numbers += int(np.count_nonzero(symbols.index != written.index))
                tally.symbols += int(np.count_nonzero(symbols.z != written.z))
                tally.symbols += int(np.count_nonzero(symbols.y != written.y))


def control(sigma: Any, z_hat: torch.Tensor, quality: int) -> int:
    """How many table numbers depend on the order of summation once the weights are no integers."""
    generator = torch.Generator().manual_seed(quality)
    integers = (sigma.weight1, sigma.weight2)
    weight1, weight2 = (w.float() + torch.rand(w.shape, generator=generator) - 0.5 for w in integers)
    bias1, bias2 = (bias[quality - 1].float()[None, :, None, None] / 3 for bias in (sigma.bias1, sigma.bias2))
    order = torch.randperm(weight2.shape[1], generator=generator)
    with torch.inference_mode():
        first = table_index(z_hat, weight1, bias1, weight2, bias2)
        second = table_index(z_hat, weight1[order], bias1[:, order], weight2[:, order], bias2)
    return int((first != second).sum())


def table_of(tallies: Tallies, what: str) -> str:
    """The counts as text."""
    lines = [what, "", f"{'differences in':<58}{'files':>6}{'tables':>8}{'symbols':>9}{'unread':>8}{'bytes':>7}"]
    for name, tally in tallies.rows.items():
        counts = f"{tally.table_numbers:>8}{tally.symbols:>9}{tally.unreadable:>8}{tally.bytes:>7}"
        lines.append(f"{name:<58}{tally.files:>6}{counts}")
    lines.append(f"control, weights that are no integers: {tallies.control:,} table numbers differ")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; the exit status."""
    parser = common.make_parser(
        "exactness", __doc__, "python -m benchmarks.exactness data/val --count 20 -o out/exactness.json"
    )
    parser.add_argument("photos", nargs="*", type=Path, default=[Path("data/val")], help="default: data/val")
    parser.add_argument("--count", type=int, default=20, help="photos, evenly spaced over all (default: 20)")
    parser.add_argument("--qualities", type=int, nargs="+", default=QUALITIES, help="default: 1 13 50 87 100")
    options = parser.parse_args(arguments)

    codec = common.load_codec(options)
    paths = common.spread(common.find_photos(options.photos), options.count)
    tallies = Tallies()
    for path in common.progress(paths, total=len(paths), label="exactness", options=options):
        with Image.open(path) as image:
            pixels = np.array(image.convert("RGB"))
        y = codec.analyse(from_array(pixels))
        for quality in options.qualities:
            check_file(codec, pixels, y, quality, tallies)
    files = len(paths) * len(options.qualities)
    sums, refiner = codec.release.sigma.bound_of_sums(), codec.release.refiner
    sums = sums if refiner is None else refiner.bound_of_sums(sums)
    seen = control_differs(codec.release.sigma)
    checks = [
        at_most(
            f"differences over {len(tallies.rows)} arrangements, {files} files each",
            sum(tally.total() for tally in tallies.rows.values()),
            0,
            "",
        ),
        at_least("control: sums without integers depend on their order", int(seen), 1, ""),
        at_most("largest sum that the integer networks can reach", sums, (1 << 24) - 1, ""),
    ]
    if tallies.elements >= CONTROL_ELEMENTS:
        checks.append(at_least("control: table numbers that this changes", tallies.control, 1, ""))
    what = f"{len(paths)} photos x {len(options.qualities)} qualities, {tallies.elements:,} symbols"
    result = {
        "model": codec.name,
        "model_id": codec.model_id.hex(),
        "photos": len(paths),
        "qualities": list(options.qualities),
        "elements": tallies.elements,
        "differing": sum(tally.total() for tally in tallies.rows.values()),
        "arrangement_count": len(tallies.rows),
        "control": tallies.control,
        "arrangements": {name: vars(tally) for name, tally in tallies.rows.items()},
    }
    return common.finish("exactness", options, result=result, checks=checks, table=table_of(tallies, what))


if __name__ == "__main__":
    sys.exit(common.guarded(main))
