"""`python -m semcomp.edge DIR encode|decode|classify|segment FILE`: the client on the command line, without torch."""

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from semcomp.cli.argument_types import job_count
from semcomp.cli.exit_codes import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE
from semcomp.cli.failures import explain
from semcomp.cli.generative_options import add_completion_options, decode_arguments
from semcomp.cli.inputs import is_pipe
from semcomp.cli.latents_input import add_confidence
from semcomp.cli.output_formats import format_name, image_bytes
from semcomp.cli.own_outputs import mark
from semcomp.cli.paths import STREAM, check_target, read_source, write_target
from semcomp.cli.shared_options import add_quality, written_options
from semcomp.cli.terminal import Parser, complain, say
from semcomp.edge.client import EdgeCodec
from semcomp.errors import SemcompWarning
from semcomp.semantics.label_png import palette_png

SUFFIXES = {"encode": ".semc", "decode": ".png", "segment": ".labels.png"}

_EPILOG = """\
examples:
  python -m semcomp.edge edge/ encode photo.jpg -q 60     photo.semc
  python -m semcomp.edge edge/ decode photo.semc          photo.png
  python -m semcomp.edge edge/ classify photo.semc --head imagenette    what it shows, without decoding a pixel
  python -m semcomp.edge edge/ segment photo.semc --head street         photo.labels.png
"""


def build_parser() -> argparse.ArgumentParser:
    """Build the parser. Its options have the names and explanations that they have in `semcomp`."""
    parser = Parser(
        prog="python -m semcomp.edge",
        description="Run the torch-free client on one file.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[written_options()],
    )
    parser.add_argument("directory", metavar="DIR", help="a folder that semcomp export onnx wrote")
    parser.add_argument("command", choices=("encode", "decode", "classify", "segment"))
    parser.add_argument("file", metavar="FILE", help="a picture to encode, else a .semc file; - for stdin")
    add_quality(parser, "quality of encode (50)")
    add_completion_options(parser)
    parser.add_argument("--head", metavar="NAME", help="head of classify and segment, needed for both")
    add_confidence(parser)
    parser.add_argument("--threads", type=job_count, metavar="N", help="CPU threads in total (every core)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. `semcomp` has the same codes."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", SemcompWarning)
            warnings.showwarning = _show  # type: ignore[assignment]
            return run(options)
    except KeyboardInterrupt:
        complain("semcomp.edge: interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes stdout at exit
        return EXIT_FAILED
    except Exception as error:
        failure = explain(error, source=options.file)
        where = "" if failure.elsewhere or failure.exit_code == EXIT_USAGE else f"{options.file}: "
        complain(f"semcomp.edge: {where}{failure.message}")
        return failure.exit_code


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    suffix = SUFFIXES.get(options.command, "")
    source = Path(options.file)
    piped = options.file == STREAM or (source.exists() and is_pipe(source))
    target = options.output or (STREAM if piped else os.fspath(source.with_suffix(suffix)))
    name = format_name(Path(target).suffix) if options.command == "decode" and target != STREAM else "png"
    if suffix:
        check_target(target, force=options.force)
    codec = EdgeCodec(options.directory, threads=options.threads)
    data = read_source(options.file)
    if options.command == "classify":
        labels = codec.classify(data, head=options.head, min_confidence=options.min_confidence or 0.0)
        for label, score in zip(labels.names, labels.scores, strict=True):
            say(f"{label} covers {100 * score:.1f} %" if labels.areas else f"{score:.4f}  {label}")
        if not labels.names:
            say("nothing known")
        return EXIT_OK
    if options.command == "encode":
        output = codec.encode(data, quality=options.quality or 50)
    elif options.command == "decode":
        output = image_bytes(codec.decode(data, **decode_arguments(options)), name=name)
    else:
        found = codec.segment(data, head=options.head, min_confidence=options.min_confidence or 0.0)
        output = mark(palette_png(found), "label map")
    write_target(target, output, force=options.force)
    return EXIT_OK


def _show(message: Warning | str, *_: object) -> None:
    complain(f"semcomp.edge: warning: {message}")


if __name__ == "__main__":
    sys.exit(main())
