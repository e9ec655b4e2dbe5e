"""`semcomp decode`: .semc files -> images."""

from __future__ import annotations

import time
import warnings
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from semcomp.cli.batch import get_codec, run_batch
from semcomp.cli.exit_codes import UsageError
from semcomp.cli.generative_options import add_decode_options, decode_arguments
from semcomp.cli.paths import STREAM, Job, check_target, plan_jobs, read_source, write_target
from semcomp.cli.shared_options import NewParser, SharedOptions
from semcomp.errors import ImageError, SemcompWarning

if TYPE_CHECKING:
    from PIL import Image

KEYS = ("width", "height", "input_bytes", "bytes", "bpp", "format", "synthesised")
SYNTHESISED = "synthesised"
"""Key of the sentence that a decoded picture carries, in `Image.info` and as a tEXt chunk of a PNG."""


_EPILOG = """\
examples:
  semcomp decode photo.semc                         photo.png
  semcomp decode photo.semc -o photo.jpg            the suffix says the format
  semcomp decode small/ -o pixels/ --format webp    a folder, mirrored
  cat photo.semc | semcomp decode - --format ppm | display
  semcomp decode street.semc --generator faithful   synthesise nothing
  semcomp decode street.semc --show-synthesised     street.synthesised.png: what is real and what is not
"""


class OutputFormat(NamedTuple):
    """An image format to decode into."""

    pillow: str
    """Name of the format in Pillow"""
    options: Mapping[str, Any] = MappingProxyType({})
    """Arguments of `PIL.Image.Image.save`"""
    alpha: bool = True
    """Whether the format can hold transparency"""
    metadata: bool = True
    """Whether the format can hold an ICC profile and EXIF"""


FORMATS = {
    "png": OutputFormat("PNG"),
    "webp": OutputFormat("WEBP", {"lossless": True, "exact": True}),
    "tiff": OutputFormat("TIFF", {"compression": "tiff_adobe_deflate"}),
    "bmp": OutputFormat("BMP", alpha=False, metadata=False),
    "ppm": OutputFormat("PPM", alpha=False, metadata=False),
    "jpg": OutputFormat("JPEG", {"quality": 95, "subsampling": 0}, alpha=False),
    "avif": OutputFormat("AVIF", {"quality": 90, "subsampling": "4:4:4"}),
}
_ALIASES = {"jpeg": "jpg", "tif": "tiff", "pgm": "ppm", "pnm": "ppm"}


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
    jobs, unusable = plan_jobs(options.inputs, output=options.output, read_suffixes=(".semc",), write_suffix=suffix)
    if not options.format and options.output not in (None, STREAM):
        for job in jobs:
            format_name(Path(job.target).suffix)  # an unknown suffix is wrong usage, before any work
    return run_batch(decode_one, jobs, unusable, options, keys=KEYS)


def format_name(text: str) -> str:
    """Return the key of `FORMATS` for a format's name or a file's suffix. Raises UsageError for an unknown one."""
    name = text.lower().removeprefix(".")
    name = _ALIASES.get(name, name)
    if name not in FORMATS:
        raise UsageError(f"cannot write {text or 'a file without a suffix'!r}: choose one of {', '.join(FORMATS)}")
    return name


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


def image_bytes(image: Image.Image, *, name: str) -> bytes:
    """Write an image into the bytes of a file, ICC profile and EXIF included.

    Args:
        image: A decoded image.
        name: A key of `FORMATS`.

    Returns:
        The bytes of the file.

    Raises:
        ImageError: The format cannot hold the image's transparency.
    """
    import io

    output = FORMATS[name]
    if image.mode in ("LA", "RGBA") and not output.alpha:
        raise ImageError(f"the picture is transparent and {name} cannot be: choose --format png, webp, tiff or avif")
    options = dict(output.options)
    for key in ("exif", "icc_profile"):
        if not image.info.get(key):
            continue
        if output.metadata:
            options[key] = image.info[key]
        else:
            warnings.warn(f"{name} holds no {key.replace('_', ' ')}: left out", SemcompWarning, stacklevel=2)
    if note := image.info.get(SYNTHESISED):
        if output.pillow == "PNG":
            options["pnginfo"] = _png_note(note)
        else:
            warnings.warn(f"{name} holds no note that the picture is synthesised", SemcompWarning, stacklevel=2)
    buffer = io.BytesIO()
    image.save(buffer, output.pillow, **options)
    return buffer.getvalue()


def _png_note(note: str) -> Any:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text(SYNTHESISED, note)
    return info
