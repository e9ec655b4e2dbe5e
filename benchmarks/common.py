"""What the benchmarks share: options, photos, checks, and how a result is shown and kept.

Every program measures, compares with its limits, shows a table (or with --json one object), writes the same object to
the file of -o, and ends with status 0 if every check holds, 1 if not. Nothing here imports torch before it is needed.
"""

import argparse
import copy
import io
import json
import os
import platform
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar, cast

from tqdm import tqdm

from benchmarks.weights_ids import weights_ids
from semcomp.errors import SemcompError
from semcomp.semantics.limits import NO_LIMITS

ROOT = Path(__file__).parents[1]
PHOTO = ROOT / "examples" / "photo.png"
SUFFIXES = {".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm"}
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Check:
    """One promise, and what was measured."""

    name: str
    value: float | int | None
    limit: str
    """In words, with its unit."""
    passed: bool

    def line(self) -> str:
        value = "nothing" if self.value is None else f"{self.value:,.4g}" if self.value % 1 else f"{self.value:,.0f}"
        return f"  {'ok  ' if self.passed else 'FAIL'}  {self.name}: {value} ({self.limit})"


def at_most(name: str, value: float | None, limit: float, unit: str) -> Check:
    """A check that holds up to `limit`; a value that could not be measured fails."""
    passed = value is not None and value <= limit
    return Check(name=name, value=value, limit=f"at most {limit:g}{unit}", passed=passed)


def at_least(name: str, value: float | None, limit: float, unit: str) -> Check:
    """A check that holds from `limit` on; a value that could not be measured fails."""
    passed = value is not None and value >= limit
    return Check(name=name, value=value, limit=f"at least {limit:g}{unit}", passed=passed)


class Parser(argparse.ArgumentParser):
    """A parser that keeps the command line in the options, as `command_line`."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        options, rest = super().parse_known_args(args, namespace)
        options.command_line = shlex.join([*self.prog.split(), *map(str, sys.argv[1:] if args is None else args)])
        return options, rest


def make_parser(name: str, doc: str, example: str) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark has."""
    parser = Parser(
        prog=f"python -m benchmarks.{name}",
        description=doc,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", default="base", metavar="NAME_OR_PATH", help="codec to measure (default: base)")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the result as JSON")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object instead of a table")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def find_photos(sources: Iterable[str | Path]) -> list[Path]:
    """Lossless photos among files and below folders, sorted within each. SemcompError where there is none."""
    found: list[Path] = []
    for source in map(Path, sources):
        paths = [source] if source.is_file() else sorted(p for p in source.rglob("*") if p.suffix.lower() in SUFFIXES)
        if not paths:
            raise SemcompError(f"no lossless photo in {source}; known endings: {' '.join(sorted(SUFFIXES))}")
        found += paths
    return found


def spread(items: Sequence[T], count: int) -> list[T]:
    """Picks at most `count` of the items, evenly spaced."""
    count = min(count, len(items))
    return [items[number * len(items) // count] for number in range(count)]


def progress(items: Iterable[T], *, total: int, label: str, options: argparse.Namespace) -> Any:
    """A bar on standard error where that is a terminal."""
    return tqdm(items, total=total, desc=label, disable=options.quiet or not sys.stderr.isatty(), leave=False)


def load_codec(options: argparse.Namespace, *, threads: int | None = None, lossless_weights: Path | None = None) -> Any:
    """The codec of --model. torch runs on `threads` threads where a number is given."""
    import torch

    from semcomp.codec.codec import load

    if threads is not None:
        torch.set_num_threads(threads)
    return load(options.model, lossless_weights=lossless_weights)


def without_limits(head: T) -> T:
    """Copy a head so that it says what it sees, however unsure it is."""
    unsure: Any = copy.copy(head)
    unsure.limits = NO_LIMITS
    return cast(T, unsure)


def picture_of_size(photo: Path, width: int, height: int) -> Any:
    """uint8 (height, width, 3): a photo scaled down until it just covers, or mirrored at its edges; then cut."""
    import numpy as np
    from PIL import Image

    with Image.open(photo) as opened:
        image = opened.convert("RGB")
    scale = max(width / image.width, height / image.height)
    if scale < 1:
        size = (max(width, round(image.width * scale)), max(height, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    pixels = np.asarray(image)
    missing = (max(0, height - pixels.shape[0]), max(0, width - pixels.shape[1]))
    pixels = np.pad(pixels, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="symmetric")
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return np.ascontiguousarray(pixels[top : top + height, left : left + width])


def machine() -> dict[str, Any]:
    """What the figures depend on besides the code."""
    names = ("torch", "numpy", "pillow")
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in names},
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")


def write_json(path: Path, value: Any) -> None:
    """Replace the file at once, so that an interrupted run leaves a whole one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def say(text: str) -> None:
    """One line of the result."""
    sys.stdout.write(text + "\n")


def finish(
    name: str,
    options: argparse.Namespace,
    *,
    result: dict[str, Any],
    checks: Sequence[Check],
    table: str,
    unseen: dict[str, Any] | None = None,
    weights: Mapping[str, str] | None = None,
) -> int:
    """Show and keep a result; the exit status.

    `unseen` goes into the file alone. `weights` are the ids of what was measured (default: the codec of --model), by
    which a page notices that its figures are older than the weights.
    """
    result = {**origin_of(name, options, weights), **result, "checks": [asdict(check) for check in checks]}
    result["passed"] = all(check.passed for check in checks)
    if options.output:
        write_json(options.output, {**result, **(unseen or {})})
    if options.json:
        say(json.dumps(result))
    else:
        shown = io.StringIO()
        for line in (table, "", *(check.line() for check in checks)):
            shown.write(line.rstrip() + "\n")
        say(shown.getvalue().rstrip())
    return 0 if result["passed"] else 1


def origin_of(name: str, options: argparse.Namespace, weights: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Says what made a result: program, command, day, machine and the ids of the weights."""
    return {
        "benchmark": name,
        "command": options.command_line,
        "date": date.today().isoformat(),
        "machine": machine(),
        "weights": dict(weights_ids([options.model]) if weights is None else weights),
    }


def guarded(main: Callable[[], int]) -> int:
    """Run a program; an error of semcomp's own becomes a sentence, Ctrl-C status 130."""
    try:
        return main()
    except SemcompError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
