"""`semcomp decode`: .semc files -> images."""

from __future__ import annotations

import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from semcomp.cli.batch import get_codec, run_batch
from semcomp.cli.exit_codes import UsageError
from semcomp.cli.generative_options import add_decode_options, decode_arguments
from semcomp.cli.output_formats import SYNTHESISED, format_name, image_bytes
from semcomp.cli.own_outputs import mark
from semcomp.cli.paths import STREAM, Job, check_target, plan_jobs, read_source, write_target
from semcomp.cli.shared_options import NewParser, SharedOptions

KEYS = ("width", "height", "input_bytes", "bytes", "bpp", "format", "synthesised")


_EPILOG = """\
examples:
  semcomp decode photo.semc                         photo.png
  semcomp decode photo.semc -o photo.jpg            the suffix says the format
  semcomp decode small/ -o pixels/ --format webp    a folder, mirrored
  cat photo.semc | semcomp decode - --format ppm | display
  semcomp decode street.semc --generator faithful   synthesise nothing
  semcomp decode street.semc --show-synthesised     street.synthesised.png: what is real and what is not
"""


def add_parser(new_parser: NewParser, shared: SharedOptions) -> None:
    """Add the command and its options."""
    parser = new_parser(
        parents=[shared.batch, shared.model, shared.output],
        epilog=_EPILOG,
        description="Turn .semc files back into images (PNG unless told otherwise).",
    )
    parser.add_argument("--format", metavar="FMT", help="png, webp, tiff, bmp, ppm (lossless), jpg or avif")
    add_decode_options(parser)
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Decode every input; returns the exit code."""
    name = format_name(options.format) if options.format else "png"
    if options.show_synthesised and options.generator == "faithful":
        raise UsageError("--generator faithful synthesises nothing, so that there is nothing to show")
    suffix = f".synthesised.{name}" if options.show_synthesised else f".{name}"
    plan = plan_jobs(options.inputs, output=options.output, read_suffixes=(".semc",), write_suffix=suffix)
    if not options.format and options.output not in (None, STREAM):
        for job in plan.jobs:
            format_name(Path(job.target).suffix)  # an unknown suffix is wrong usage, before any work
    return run_batch(decode_one, plan, options, keys=KEYS)


def decode_one(job: Job, options: Namespace) -> dict[str, Any]:
    """Decode one file and write it; returns the values of `KEYS` and the line to show."""
    check_target(job.target, force=options.force)
    codec = get_codec(options.model, options.device, options.threads)
    start = time.perf_counter()  # the time of loading the weights does not count for the first file
    data = read_source(job.source)
    image = codec.decode(data, **decode_arguments(options))
    if options.show_synthesised:
        from semcomp.generative.overlay import overlay

        image = overlay(data, image)
    suffix = "png" if job.target == STREAM else Path(job.target).suffix
    name = format_name(options.format or suffix)
    output = image_bytes(image, name=name)
    if options.show_synthesised and name == "png":
        output = mark(output, "overlay")
    write_target(job.target, output, force=options.force)
    bpp = 8 * len(data) / (image.width * image.height)
    return {
        "width": image.width,
        "height": image.height,
        "input_bytes": len(data),
        "bytes": len(output),
        "bpp": round(bpp, 6),
        "format": name,
        "synthesised": image.info.get(SYNTHESISED),
        "seconds": time.perf_counter() - start,
        "line": f"{image.width}x{image.height}  {bpp:.2f} bpp  {len(output):,} B  {{seconds}}",
    }
