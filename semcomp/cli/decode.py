"""`semcomp decode`: .semc files -> images."""

from __future__ import annotations

import io
import time
import warnings
from argparse import Namespace
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semcomp.cli.batch import get_codec, run_batch
from semcomp.cli.exit_codes import UsageError
from semcomp.cli.generative_options import decode_arguments
from semcomp.cli.paths import STREAM, Job, check_target, plan_jobs, read_source, write_target
from semcomp.errors import ImageError, SemcompWarning

if TYPE_CHECKING:
    from PIL import Image

KEYS = ("width", "height", "input_bytes", "bytes", "bpp", "format", "synthesised")
SYNTHESISED = "synthesised"
"""Key of the sentence that a decoded picture carries, in `Image.info` and as a tEXt chunk of a PNG."""


@dataclass(frozen=True)
class OutputFormat:
    """An image format to decode into."""

    pillow: str
    options: dict[str, Any] = field(default_factory=dict)
    alpha: bool = True
    metadata: bool = True


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
    name = text.lower().removeprefix(".")
    name = _ALIASES.get(name, name)
    if name not in FORMATS:
        raise UsageError(f"cannot write {text or 'a file without a suffix'!r}: choose one of {', '.join(FORMATS)}")
    return name


def decode_one(job: Job, options: Namespace) -> dict[str, Any]:
    """Decode one file and write it; returns the values of `KEYS` and the line to show."""
    check_target(job.target, force=options.force)
    codec = get_codec(options.model, options.device, options.threads)
    start = time.perf_counter()  # loading the weights is no part of the first file
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
    """A decoded image as a file of format `name` (a key of `FORMATS`), ICC profile and EXIF included.

    ImageError where the format cannot hold transparency that is there, SemcompWarning for metadata.
    """
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
