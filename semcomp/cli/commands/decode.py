"""`semcomp decode`: .semc files -> images."""

from __future__ import annotations

import time
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semcomp.cli import lossless_options
from semcomp.cli.batch import codec_of, run_batch
from semcomp.cli.exit_codes import UsageError
from semcomp.cli.first_look import at_semc
from semcomp.cli.generative_options import add_decode_options, decode_arguments
from semcomp.cli.output_formats import format_name
from semcomp.cli.own_outputs import mark
from semcomp.cli.paths import STREAM, Job, check_target, plan_jobs, read_source, write_target
from semcomp.cli.shared_options import NewParser, SharedOptions

if TYPE_CHECKING:
    from PIL import Image

    from semcomp.pipeline.base_codec import BaseCodec

KEYS = ("width", "height", "input_bytes", "bytes", "bpp", "format", "synthesised")


_EPILOG = """\
examples:
  semcomp decode photo.semc                         photo.png
  semcomp decode photo.semc -o photo.jpg            the suffix says the format
  semcomp decode small/ -o pixels/ --format webp    a folder, mirrored
  cat photo.semc | semcomp decode - --format ppm | display
  semcomp decode scan.semc --scale 1/8              of exact pixels only the part that this takes is read
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
    lossless_options.add_decode_options(parser)
    add_decode_options(parser)
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Decode every input; returns the exit code."""
    name = format_name(options.format) if options.format else "png"
    if options.show_synthesised and options.scale > 1:
        raise UsageError("--show-synthesised shows the whole picture: leave out --scale")
    if options.show_synthesised and options.generator == "faithful":
        raise UsageError("--generator faithful synthesises nothing, so that there is nothing to show")
    suffix = f".synthesised.{name}" if options.show_synthesised else f".{name}"
    plan = plan_jobs(
        options.inputs,
        output=options.output,
        read_suffixes=(".semc",),
        write_suffix=suffix,
        suffix_decides=not options.format,
    )
    return run_batch(decode_one, plan, options, keys=KEYS, look=at_semc)


def decode_one(job: Job, options: Namespace) -> dict[str, Any]:
    """Decode one file and write it; returns the values of `KEYS` and the line to show."""
    from semcomp.pipeline.exact_decoder import refuse_synthesis
    from semcomp.pipeline.lossless import image_file

    check_target(job.target, options)
    codec = codec_of(options)
    start = time.perf_counter()  # the time of loading the weights does not count for the first file
    source = lossless_options.source_of(job.source, options)
    suffix = "png" if job.target == STREAM else Path(job.target).suffix
    name = format_name(options.format or suffix)
    scale = {"scale": options.scale} if options.scale > 1 else {}
    exact = codec.decode_exact(source, **scale)
    if exact is not None:
        refuse_synthesis(options.generator, options.relabel)
    picture = _image(codec, source, options) if exact is None else exact
    output, width, height, synthesised = image_file(picture, name=name)
    if options.show_synthesised and name == "png":
        output = mark(output, "overlay")
    write_target(job.target, output, force=options.force)
    size = lossless_options.size_of(source)
    bpp = 8 * size / (width * height * options.scale**2)
    return {
        "width": width,
        "height": height,
        "input_bytes": size,
        "bytes": len(output),
        "bpp": round(bpp, 6),
        "format": name,
        "synthesised": synthesised,
        "seconds": time.perf_counter() - start,
        "line": f"{width}x{height}  {bpp:.2f} bpp  {len(output):,} B  {{seconds}}",
    }


def _image(codec: BaseCodec[Any], source: bytes | Path, options: Namespace) -> Image.Image:
    """The image to write of a file without exact pixels."""
    scale = {"scale": options.scale} if options.scale > 1 else {}
    image = codec.decode(source, **scale, **decode_arguments(options))
    if options.show_synthesised:
        from semcomp.generative.overlay import overlay

        return overlay(read_source(str(source)) if isinstance(source, Path) else source, image)
    return image
