"""Options of exact pixels: --lossless, --near and --with-latents of encode, --scale of decode."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semcomp.cli.argument_types import whole_number
from semcomp.cli.exit_codes import UsageError
from semcomp.cli.paths import STREAM, read_source
from semcomp.cli.shared_options import first_given

if TYPE_CHECKING:
    from semcomp.imaging.exact import ExactPicture

SCALES = {"1": 1, "1/1": 1, "1/2": 2, "1/4": 4, "1/8": 8}
_QUALITY = 50
_CHANGES = ("convert", "convert_colour", "bpp", "max_bytes", "psnr", "keep", "keep_mask", "keep_box", "mode", "map")


def add_encode_options(parser: ArgumentParser) -> None:
    """Add the options of `semcomp encode`."""
    group = parser.add_argument_group("exact pixels")
    group.add_argument(
        "--lossless",
        nargs="?",
        const=True,
        type=lossless,
        metavar="auto",
        help="keep every sample exactly; auto: where the codec would spoil a drawing or make it larger",
    )
    group.add_argument(
        "--near", type=whole_number(1, 8), metavar="1..8", help="keep every sample but for errors up to this"
    )
    group.add_argument(
        "--with-latents",
        nargs="?",
        const=_QUALITY,
        type=whole_number(1, 100),
        metavar="1..100",
        help="store latents of this quality beside exact pixels, so that heads read the file (50)",
    )


def add_decode_options(parser: ArgumentParser) -> None:
    """Add the options of `semcomp decode`."""
    parser.add_argument(
        "--scale",
        type=scale,
        default=1,
        metavar="1/N",
        help="decode at 1/2, 1/4 or 1/8 of the size; of exact pixels only the part that this takes is read",
    )


def lossless(text: str) -> str:
    """The word "auto", which may follow --lossless."""
    if text != "auto":
        raise ArgumentTypeError(f"{text!r} is not auto, the one word that it takes")
    return text


def scale(text: str) -> int:
    """The number N of a scale 1/N.

    Example:
        >>> scale("1/8")
        8
    """
    if text not in SCALES:
        raise ArgumentTypeError(f"scale is one of 1/2, 1/4 and 1/8, not {text}")
    return SCALES[text]


def is_lossless(options: Namespace) -> bool:
    """Whether the options ask for exact pixels."""
    return bool(getattr(options, "lossless", None) or getattr(options, "near", None))


def check(options: Namespace) -> None:
    """UsageError where the options of `semcomp encode` contradict each other."""
    if not is_lossless(options):
        if options.with_latents:
            raise UsageError("--with-latents stores latents beside exact pixels: give --lossless or --near too")
        return
    if flag := first_given(options, _CHANGES):
        raise UsageError(f"--lossless and --near keep the pixels, and {flag} would change some: leave one of them out")
    if options.lossless is True and options.near:
        raise UsageError("--lossless keeps every sample, and --near allows errors: give one of the two")
    if options.lossless == "auto" and (options.near or options.with_latents):
        raise UsageError("--lossless auto decides by itself: leave out --near and --with-latents, or leave out auto")
    if options.quality and options.lossless != "auto":
        raise UsageError("--quality does not change exact pixels: leave it out, or store latents with --with-latents")
    if options.semantics and options.lossless == "auto":
        raise UsageError(
            "--semantics runs a head on latents, and --lossless auto may store none: leave one of them out"
        )
    if options.semantics and not options.with_latents:
        raise UsageError("--semantics runs a head on latents: give --with-latents too")


def read_picture(source: bytes) -> ExactPicture:
    """Read the bytes of an image file with every sample."""
    from semcomp.imaging.exact import exact_picture

    return exact_picture(source)


def encode(codec: Any, source: bytes, options: Namespace, *, semantics: Any) -> tuple[bytes, int | None, float | None]:
    """Encode by the options. Returns the file, the quality of its latents if it has any, and no PSNR."""
    from semcomp.bitstream.container import NO_ID, read_header

    more = {"strip": options.strip, "preview": options.preview, "semantics": semantics}
    if options.lossless == "auto":
        data = codec.encode_auto(source, quality=options.quality or _QUALITY, **more)
    else:
        data = codec.encode_exact(source, near=options.near or 0, with_latents=options.with_latents, **more)
    header, _ = read_header(data)
    return data, None if header.entropy_id == NO_ID else header.quality, None


def in_words(data: bytes) -> str:
    """Say how the pixels of a file are kept."""
    from semcomp.bitstream.inspect import info
    from semcomp.cli.commands.info import exact_in_words

    note = info(data).lossless
    return "lossy" if note is None else exact_in_words(note)


def near_of(data: bytes) -> int | None:
    """The largest error of any sample of a file with exact pixels; None for another file."""
    from semcomp.bitstream.inspect import info

    note = info(data).lossless
    return None if note is None else note.near


def source_of(name: str, options: Namespace) -> bytes | Path:
    """What the decoder reads: the file itself where it takes a part of it, else its bytes."""
    path = Path(name)
    if options.scale > 1 and name != STREAM and path.is_file():
        return path
    return read_source(name)


def size_of(source: bytes | Path) -> int:
    """Bytes of the whole file."""
    return source.stat().st_size if isinstance(source, Path) else len(source)
