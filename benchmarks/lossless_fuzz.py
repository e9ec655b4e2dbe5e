"""Damaged and hostile exact pixels: does anything but an error of semcomp's own come out, and what does it cost?

Files of several kinds are changed: bytes of the chunk LOSSLESS are flipped, inserted, deleted, doubled or cut off, its
header fields take other values, and every checksum of the container is made right again. Every truncation of three
files follows. A violation is

  * an exception outside semcomp's own tree
  * a picture that is not the original one
  * a file that takes more than four times the processor time of its original plus 20 ms and plus 40 microseconds for
    each pixel of the coarsest level that has a checksum

Each is printed with the number that repeats it.
"""

import argparse
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import common
from benchmarks.common import at_most
from benchmarks.weights_ids import weights_id
from semcomp.bitstream.container import Chunk, ChunkKind, Container, read, write
from semcomp.errors import FormatError, ModelError, SemcompError
from semcomp.imaging.exact import ExactPicture
from semcomp.lossless.head import MARKS, unpack_head
from semcomp.lossless.model import LosslessModel, load_model
from semcomp.lossless.stream import decode_lossless, encode_lossless
from semcomp.lossless.weights import EMBEDDED
from semcomp.pipeline.lossless import file_of

TIME_FACTOR, TIME_SLACK, TIME_PER_PIXEL = 4.0, 0.02, 4e-5


@dataclass(frozen=True)
class Base:
    """A good file, its pixels, and the seconds that it takes."""

    name: str
    file: bytes
    pixels: NDArray[Any]
    seconds: float


def base_files(model: LosslessModel) -> list[Base]:
    """Small files: RGB and grey of 8 and 16 bits, with errors, and a drawing."""
    rng = np.random.default_rng(0)
    rgb = np.clip(np.add.outer(np.arange(18) * 6, np.arange(24) * 4)[..., None] + rng.normal(0, 4, (18, 24, 3)), 0, 255)
    rgb = rgb.astype(np.uint8)
    deep = rgb.astype(np.uint16) * 256 + rng.integers(0, 256, rgb.shape).astype(np.uint16)
    drawing = np.zeros((30, 40, 3), np.uint8)
    drawing[5:20, 7:30] = (200, 10, 60)
    bases = []
    cases: list[tuple[str, NDArray[Any], int]] = [
        ("rgb", rgb, 0),
        ("grey", np.ascontiguousarray(rgb[..., 0]), 0),
        ("rgb of 16 bits", deep, 0),
        ("grey of 16 bits", np.ascontiguousarray(deep[..., 1]), 0),
        ("at most 2 off", rgb, 2),
        ("drawing", drawing, 0),
    ]
    for name, pixels, near in cases:
        body = encode_lossless(pixels, model=model, near=near)
        file = file_of(ExactPicture(pixels=pixels), [Chunk(ChunkKind.LOSSLESS, body)])
        decoded = decode_lossless(body, model=model)
        start = time.process_time()
        decode_lossless(body, model=model)
        bases.append(Base(name, file, decoded, time.process_time() - start))
    return bases


def mutated(base: Base, rng: random.Random) -> tuple[str, bytes]:
    """What was done, and the file. Its container's checksums are right."""
    container = read(base.file)
    body = bytearray(container.get(ChunkKind.LOSSLESS) or b"")
    kind = rng.choice(("flip", "flip", "flips", "insert", "delete", "double", "cut", "field", "size"))
    at = rng.randrange(len(body))
    if kind in ("flip", "flips"):
        for _ in range(1 if kind == "flip" else rng.randrange(2, 30)):
            body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
    elif kind == "insert":
        body[at:at] = rng.randbytes(rng.randrange(1, 9))
    elif kind == "delete":
        del body[at : at + rng.randrange(1, 9)]
    elif kind == "double":
        body[at:at] = body[at : at + rng.randrange(1, 40)]
    elif kind == "cut":
        del body[at:]
    elif kind == "field":
        body[rng.randrange(min(len(body), 40))] = rng.randrange(256)
    else:
        body[4:6] = bytes([rng.randrange(1, 128), rng.randrange(1, 128)])
    return kind, write(Container(container.header, (Chunk(ChunkKind.LOSSLESS, bytes(body)),)))


def allowed_seconds(file: bytes, base: Base) -> float:
    """The time that a file may take: a size that is claimed is checked at the coarsest level that has a checksum."""
    try:
        head, _ = unpack_head(read(file).get(ChunkKind.LOSSLESS) or b"")
        claimed = head.height * head.width / 4 ** min(MARKS, len(head.marks))
    except SemcompError:
        claimed = 0.0
    return float(TIME_FACTOR * base.seconds + TIME_SLACK + TIME_PER_PIXEL * claimed)


def judge(file: bytes, base: Base, model: LosslessModel) -> tuple[str, str]:
    """What came of a file in a word, and what is wrong with that."""
    try:
        decoded = decode_lossless(read(file).get(ChunkKind.LOSSLESS) or b"", model=model)
    except (FormatError, ModelError):
        return "refused", ""
    except Exception as error:
        return "crashed", f"{type(error).__name__}: {error}"
    same = decoded.dtype == base.pixels.dtype and np.array_equal(decoded, base.pixels)
    return ("decoded", "") if same else ("another picture", "a file that was changed gives another picture")


def run(options: argparse.Namespace) -> tuple[Counter[str], list[str]]:
    """Outcomes by kind, and violations in words."""
    model = load_model(options.model)
    bases, outcomes, violations = base_files(model), Counter[str](), list[str]()

    def one(kind: str, file: bytes, base: Base, number: int) -> None:
        start = time.process_time()
        outcome, problem = judge(file, base, model)
        passed = time.process_time() - start
        outcomes[f"{kind}: {outcome}"] += 1
        if passed > allowed_seconds(file, base):
            passed = min(passed, *(_again(file, base, model) for _ in range(3)))  # a busy machine is slow now and then
            problem = problem or (f"takes {1000 * passed:.0f} ms" if passed > allowed_seconds(file, base) else "")
        if problem:
            violations.append(f"number {number}, {kind} of {base.name}: {problem}")

    numbers = [options.only] if options.only is not None else range(options.count)
    for number in common.progress(numbers, total=len(numbers), label="files", options=options):
        rng = random.Random(f"{options.seed}.{number}")
        base = bases[number % len(bases)]
        kind, file = mutated(base, rng)
        one(kind, file, base, number)
    if options.only is None:
        for base in (bases[1], bases[3], bases[5]):
            for length in range(len(base.file)):
                one("truncation", base.file[:length], base, length)
    return outcomes, violations


def _again(file: bytes, base: Base, model: LosslessModel) -> float:
    start = time.process_time()
    judge(file, base, model)
    return time.process_time() - start


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; the exit status."""
    example = "python -m benchmarks.lossless_fuzz --model runs/lossless/model.safetensors --count 2000"
    parser = common.make_parser("lossless_fuzz", __doc__, example)
    parser.add_argument("--count", type=int, default=10_000, metavar="N", help="number of changed files (10,000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the changes (0)")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="repeat one file")
    parser.set_defaults(model=str(EMBEDDED))
    options = parser.parse_args(arguments)
    outcomes, violations = run(options)
    lines = violations + [f"{count:>7}  {what}" for what, count in sorted(outcomes.items())]
    return common.finish(
        "lossless_fuzz",
        options,
        result={"count": options.count, "seed": options.seed, "outcomes": dict(sorted(outcomes.items()))},
        checks=[at_most("violations", len(violations), 0, "")],
        table="\n".join(lines),
        weights={"lossless": weights_id(str(options.model))},
    )


if __name__ == "__main__":
    sys.exit(common.guarded(main))
