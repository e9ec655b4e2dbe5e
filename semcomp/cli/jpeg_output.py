"""`semcomp encode --as jpeg`: JPEG files that were made for the restorer."""

from __future__ import annotations

import math
import time
from argparse import ArgumentParser, Namespace
from functools import partial
from typing import TYPE_CHECKING, Any

from semcomp.backend import require_library
from semcomp.cli.batch import run_batch
from semcomp.cli.exit_codes import UsageError
from semcomp.cli.failures import concerning
from semcomp.cli.first_look import at_picture
from semcomp.cli.paths import IMAGE_SUFFIXES, Job, check_target, plan_jobs, read_source, write_target
from semcomp.cli.terminal import steps_bar

if TYPE_CHECKING:
    from semcomp.restoration.restorer_file import TrainedRestorer

KEYS = ("width", "height", "input_bytes", "bytes", "bpp", "ratio", "psnr_db", "plain_psnr_db", "restorer")
_TAKEN = {
    *("inputs", "output", "force", "jobs", "threads", "json", "quiet", "verbose"),
    *("bpp", "max_bytes", "psnr", "convert", "convert_colour", "strip", "form", "weights", "model", "graphs"),
}
"""Names of the options that JPEG files take, and of those that `_check` explains by itself."""


def add_options(parser: ArgumentParser) -> None:
    """Add the options of `encode` that make JPEG files, after all others, which `_check` then refuses beside them."""
    group = parser.add_argument_group("JPEG files for any viewer, smaller for those who restore them")
    group.add_argument(
        "--as",
        dest="form",
        choices=("semc", "jpeg"),
        default="semc",
        help="jpeg: a standard JPEG file, optimised through the restorer; takes --psnr, --max-bytes or --bpp (semc)",
    )
    group.add_argument("--weights", metavar="FILE", help="weights of the restorer (what comes with this version)")
    others = [action for action in parser._actions if action.option_strings and action.dest not in (*_TAKEN, "help")]
    parser.set_defaults(semc_options=[(action.dest, action.option_strings[-1], action.default) for action in others])


def is_asked_for(options: Namespace) -> bool:
    """Whether the result is a JPEG file. UsageError where only --weights says so."""
    if options.form != "jpeg" and options.weights is not None:
        raise UsageError(
            "--weights names the restorer of --as jpeg: give --as jpeg too, or name weights of the codec with --model"
        )
    return bool(options.form == "jpeg")


def run(options: Namespace) -> int:
    """Encode every input; returns the exit code."""
    _check(options)
    require_library("--as jpeg")
    plan = plan_jobs(options.inputs, output=options.output, read_suffixes=IMAGE_SUFFIXES, write_suffix=".jpg")
    return run_batch(encode_one, plan, options, keys=KEYS, check=partial(_load, options), look=at_picture)


def _load(options: Namespace) -> TrainedRestorer:
    from semcomp.cli.commands.restore import get_restorer

    with concerning(options.weights or "of this version", what="the restorer"):
        return get_restorer(options.weights, options.threads)


def _check(options: Namespace) -> None:
    for name, flag, default in options.semc_options:
        value = getattr(options, name)
        if value == default or (name, value) == ("device", "cpu"):
            continue
        if name == "device":
            raise UsageError(f"--as jpeg computes on the CPU, not on {value}: leave --device out")
        shown = f"{flag} {value}" if name == "mode" else flag
        raise UsageError(f"{shown} belongs to .semc files, and --as jpeg writes a JPEG file: leave one of them out")
    if options.model != "base":
        raise UsageError("--model names weights of the codec of .semc files: --as jpeg takes --weights")
    if options.graphs is not None:
        raise UsageError("--graphs encodes .semc files: --as jpeg takes --weights")
    if options.psnr is None and options.max_bytes is None and options.bpp is None:
        raise UsageError("--as jpeg needs a target: give --psnr, --max-bytes or --bpp")


def encode_one(job: Job, options: Namespace) -> dict[str, Any]:
    """Encode one file and write it; returns the values of `KEYS` and the line to show."""
    check_target(job.target, options)
    from semcomp.imaging.picture import open_picture
    from semcomp.restoration.compact import encode_compact

    restorer = _load(options)
    start = time.perf_counter()
    source = read_source(job.source)
    picture = open_picture(source, convert=options.convert, convert_colour=options.convert_colour)
    target = {"psnr": options.psnr, "max_bytes": options.max_bytes, "bpp": options.bpp}
    with steps_bar(options, "jpeg") as bar:
        on_step = None if bar is None else bar.update
        encoded = encode_compact(picture, restorer, **target, strip=options.strip, on_step=on_step)
    write_target(job.target, encoded.data, force=options.force)
    bpp = 8 * len(encoded.data) / (picture.width * picture.height)
    ratio = len(source) / len(encoded.data)
    figures = f"{_in_db(encoded.psnr_db)} restored, {_in_db(encoded.plain_psnr_db)} as it is"
    return {
        "width": picture.width,
        "height": picture.height,
        "input_bytes": len(source),
        "bytes": len(encoded.data),
        "bpp": round(bpp, 6),
        "ratio": round(ratio, 4),
        "psnr_db": encoded.psnr_db,
        "plain_psnr_db": encoded.plain_psnr_db,
        "restorer": restorer.restorer_id.hex(),
        "seconds": time.perf_counter() - start,
        "line": f"{len(encoded.data):,} B  {bpp:.2f} bpp  {ratio:.1f}x  {{seconds}}  {figures}",
    }


def _in_db(psnr_db: float) -> str:
    return "exact" if math.isinf(psnr_db) else f"{psnr_db:.2f} dB"
