"""`semcomp thumb`: a thumbnail as a short text, as a data URI, or as an image again."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from semcomp.cli.answers import Answer, answer_each
from semcomp.cli.argument_types import whole_number
from semcomp.cli.batch import codec_of
from semcomp.cli.exit_codes import EXIT_OK, UsageError
from semcomp.cli.inputs import IMAGE_SUFFIXES
from semcomp.cli.paths import STREAM, check_target, list_jobs, read_source, write_target
from semcomp.cli.shared_options import NewParser, SharedOptions
from semcomp.cli.terminal import check_stdout_takes_data, say_json

if TYPE_CHECKING:
    from semcomp.imaging.picture import ImageLike

KEYS = ("thumb", "uri", "bytes")
_ENOUGH = 128
"""Pixels of the shorter side that a thumbnail is made of"""

_EPILOG = """\
examples:
  semcomp thumb photo.jpg                        43 characters; any beginning of them is a coarser thumbnail
  semcomp thumb photo.jpg --bytes 200            a sharper one
  semcomp thumb photos/ --json                   one line for each photo
  semcomp thumb photo.jpg --uri                  data:image/png;base64,... for an HTML page
  semcomp thumb photo.semc                       what the file carries (encode --preview), or one of its pixels
  semcomp thumb --show TEXT -o small.png         the text as an image of 32 pixels; --size 256 draws a larger one
"""


def add_parser(new_parser: NewParser, shared: SharedOptions) -> None:
    """Add the command and its options."""
    parser = new_parser(
        parents=[shared.model, shared.output],
        epilog=_EPILOG,
        description="Print a thumbnail of each photo as base64url text. Any beginning of the text decodes. In a folder "
        "a photo is read rather than the .semc file of the same name.",
    )
    parser.add_argument("inputs", nargs="*", metavar="IN", help="photos, .semc files, folders, globs, or - for stdin")
    parser.add_argument(
        "--bytes",
        type=whole_number(1, 4096),
        metavar="N",
        help="bytes of a code at most (32; of a .semc file all that it carries); its text is a third longer",
    )
    parser.add_argument("--uri", action="store_true", help="print the thumbnail as a data URI instead of a text")
    parser.add_argument(
        "--show",
        metavar="TEXT",
        help="draw a text (- reads it from stdin) and no photos, --show=TEXT where it begins with -; needs -o",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="image file for --show, or - for PNG on stdout")
    parser.add_argument("-f", "--force", action="store_true", help="overwrite a file that exists")
    parser.add_argument(
        "--size",
        type=whole_number(1, 4096),
        default=32,
        metavar="PIXELS",
        help="longer side of what --show and --uri draw (32)",
    )
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Print a line for every input, or draw one text; returns the exit code."""
    if options.show is not None:
        return _show(options)
    if options.output is not None:
        raise UsageError("-o belongs to --show: a text goes to stdout, so write > file instead")
    if not options.inputs:
        raise UsageError("give at least one photo, or --show TEXT")
    plan = list_jobs(options.inputs, read_suffixes=(*IMAGE_SUFFIXES, ".semc"), originals=True)
    from semcomp.thumbs.text import data_uri, to_text
    from semcomp.thumbs.thumb import thumb_image

    alone = len(plan.jobs) + len(plan.unusable) == 1

    def answer(name: str) -> Answer:
        code = _code_of(read_source(name), options)
        text = data_uri(thumb_image(code, options.size)) if options.uri else to_text(code)
        values = {"uri" if options.uri else "thumb": text, "bytes": len(code)}
        return values, [text if alone else f"{text}  {name}"]

    return answer_each(answer, plan, options, keys=KEYS)


def _code_of(data: bytes, options: Namespace) -> bytes:
    """The code of a photo; or what a `.semc` file carries, which --bytes may cut; or the code of its pixels."""
    from semcomp.bitstream.container import MAGIC
    from semcomp.bitstream.inspect import info
    from semcomp.thumbs.text import from_text
    from semcomp.thumbs.thumb import DEFAULT_BYTES, thumb

    picture: ImageLike = data
    if data.startswith(MAGIC):
        facts = info(data)
        if facts.preview is not None:
            return from_text(facts.preview)[: options.bytes]
        picture = _decoded(data, min(facts.width, facts.height), options)
    return thumb(picture, options.bytes or DEFAULT_BYTES)


def _decoded(data: bytes, side: int, options: Namespace) -> ImageLike:
    """Decode a `.semc` file whose shorter side has `side` pixels, as small as a thumbnail may be made of."""
    codec = codec_of(options)
    scale = next((scale for scale in (8, 4, 2) if side >= _ENOUGH * scale), 1)
    exact = codec.decode_exact(data, scale=scale)
    return codec.decode(data, scale=scale) if exact is None else exact.picture()


def _show(options: Namespace) -> int:
    from semcomp.cli.output_formats import format_name, image_bytes
    from semcomp.thumbs.thumb import thumb_image

    if options.inputs:
        raise UsageError("--show draws a text: give no photos beside it")
    if options.output is None:
        raise UsageError("--show needs -o: a file such as small.png, or - for stdout")
    if options.output == STREAM:
        check_stdout_takes_data()
    name = "png" if options.output == STREAM else format_name(Path(options.output).suffix)
    check_target(options.output, options)
    text = read_source(STREAM).decode("utf-8", "replace") if options.show == STREAM else options.show
    image = thumb_image(text, options.size)
    write_target(options.output, image_bytes(image, name=name), force=options.force)
    if options.json and options.output != STREAM:
        size = {"width": image.width, "height": image.height}
        say_json({"command": "thumb", "output": options.output, "ok": True, **size})
    return EXIT_OK
