"""The `semcomp` command. Only this layer talks to the terminal: data on stdout, the rest on stderr.

Each command lives in a module of its own, imported when it runs: `semcomp --help` and `semcomp info` import
neither torch nor numpy.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130

_EPILOG = """\
examples:
  semcomp encode photo.jpg                      photo.semc beside it, at quality 50
  semcomp encode photos/ -o small/ --bpp 0.5    a folder, mirrored into another one
  semcomp decode photo.semc                     photo.png
  semcomp info photo.semc --json
  semcomp compare photo.png                     one page beside JPEG, WebP and AVIF of the same size

exit codes:
  0 fine   1 some inputs failed   2 wrong usage   130 interrupted
  3 damaged file   4 model missing, or not the one that wrote the file
"""

_ENCODE_EPILOG = """\
examples:
  semcomp encode photo.jpg                          photo.semc, quality 50
  semcomp encode photo.jpg -q 80 -o best.semc
  semcomp encode 'photos/**/*.png' -o out/ -j 4     the tree below photos/, mirrored into out/
  semcomp encode photos/ --max-bytes 20k            each file at most 20,000 bytes (20Ki: 20,480)
  semcomp encode photo.png --psnr 36                the smallest file of at least 36 dB
  cat photo.png | semcomp encode - > photo.semc
"""

_DECODE_EPILOG = """\
examples:
  semcomp decode photo.semc                         photo.png
  semcomp decode photo.semc -o photo.jpg            the suffix says the format
  semcomp decode small/ -o pixels/ --format webp    a folder, mirrored
  cat photo.semc | semcomp decode - --format ppm | display
"""


class UsageError(Exception):
    """What was asked for makes no sense; ends with exit code 2, as argparse's own errors do."""


def parse_size(text: str) -> int:
    """ "20k" -> 20000, "1.5M" -> 1500000, "20Ki" or "20KiB" -> 20480. Raises ArgumentTypeError."""
    number = text.strip().lower().removesuffix("b")
    factors = {"ki": 1024, "mi": 1024**2, "k": 1000, "m": 1000**2}
    suffix = next((key for key in factors if number.endswith(key)), "")
    try:
        size = float(number.removesuffix(suffix)) * factors.get(suffix, 1)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write 20000, 20k or 20Ki") from None
    if not 1 <= size < 2**40:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: it must be at least 1 byte")
    return int(size)


def _quality(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no quality: give a whole number from 1 to 100")
    return int(text)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} must be a number above 0")
    return value


def _jobs(text: str) -> int:
    if not text.isdecimal() or int(text) > 1024:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number (0: one for each core)")
    return int(text) or os.cpu_count() or 1


def build_parser() -> argparse.ArgumentParser:
    """The whole command line. Building it imports nothing beyond argparse."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="semcomp",
        description="A learned image codec: photo -> .semc -> photo, exact on every machine.",
        epilog=_EPILOG,
        formatter_class=raw,
    )
    parser.add_argument("--version", action="store_true", help="print the version and stop")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    output = argparse.ArgumentParser(add_help=False)
    output.add_argument(
        "--json", action="store_true", help="one JSON object a line on stdout, with stable keys"
    )
    output.add_argument("--quiet", action="store_true", help="no lines and no progress; errors only")
    output.add_argument("-v", "--verbose", action="store_true", help="say more, and show tracebacks")

    model = argparse.ArgumentParser(add_help=False)
    model.add_argument(
        "--model", default="base", metavar="NAME", help="weights: a name or a .safetensors path (base)"
    )
    model.add_argument("--device", metavar="DEVICE", help="cpu, cuda, cuda:1, mps (cpu)")
    model.add_argument("--threads", type=_jobs, metavar="N", help="CPU threads in all (every core)")

    batch = argparse.ArgumentParser(add_help=False)
    batch.add_argument("inputs", nargs="+", metavar="IN", help="files, folders, globs, or - for stdin")
    batch.add_argument(
        "-o", "--output", metavar="OUT", help="a file, a folder (mirrors the tree), or - for stdout"
    )
    batch.add_argument("-f", "--force", action="store_true", help="overwrite files that exist")
    batch.add_argument(
        "-j", "--jobs", type=_jobs, default=1, metavar="N", help="processes (1; 0: one for each core)"
    )

    target = argparse.ArgumentParser(add_help=False)
    exclusive = target.add_mutually_exclusive_group()
    exclusive.add_argument("-q", "--quality", type=_quality, metavar="1..100", help="quality (50)")
    exclusive.add_argument("--bpp", type=_positive, metavar="X", help="at most X bits a pixel")
    exclusive.add_argument(
        "--max-bytes", type=parse_size, metavar="SIZE", help="at most this size, such as 20k"
    )
    exclusive.add_argument("--psnr", type=_positive, metavar="X", help="at least X dB, in the smallest file")
    target.add_argument("--strip", action="store_true", help="drop the ICC profile and EXIF")
    target.add_argument(
        "--convert",
        action="store_true",
        help="convert 16-bit, CMYK, animations instead of refusing them",
    )

    encode = commands.add_parser(
        "encode", parents=[batch, target, model, output], formatter_class=raw, epilog=_ENCODE_EPILOG,
        help="images -> .semc", description="Compress images into .semc files. No option is needed.",
    )  # fmt: skip
    encode.set_defaults(module="semcomp.cli.encode")

    decode = commands.add_parser(
        "decode", parents=[batch, model, output], formatter_class=raw, epilog=_DECODE_EPILOG,
        help=".semc -> images", description="Turn .semc files back into images (PNG unless told otherwise).",
    )  # fmt: skip
    decode.add_argument("--format", metavar="FMT", help="png, webp, tiff, bmp, ppm (lossless), jpg or avif")
    decode.set_defaults(module="semcomp.cli.decode")

    info = commands.add_parser(
        "info", parents=[output], help="what a .semc file says about itself",
        description="Check .semc files and say what is in them. Nothing is decoded.",
    )  # fmt: skip
    info.add_argument("inputs", nargs="+", metavar="FILE", help=".semc files, or - for stdin")
    info.set_defaults(module="semcomp.cli.info")

    compare = commands.add_parser(
        "compare", parents=[target, model, output], help="one page beside JPEG, WebP and AVIF of equal size",
        description="Write one self-contained page: slider, zoomed crops, bytes and PSNR at equal bytes.",
    )  # fmt: skip
    compare.add_argument("input", metavar="IN", help="an image, or - for stdin")
    compare.add_argument("-o", "--output", metavar="PAGE", help="the page (IN with the suffix .compare.html)")
    compare.add_argument("-f", "--force", action="store_true", help="overwrite a page that exists")
    compare.set_defaults(module="semcomp.cli.compare")

    models = commands.add_parser(
        "models", parents=[output], help="the weights at hand, their size and arithmetic",
        description="List weights with their parameters, kMAC a pixel, file size and ids.",
    )  # fmt: skip
    models.add_argument(
        "names", nargs="*", metavar="NAME", help="names or .safetensors paths (all inside the package)"
    )
    models.set_defaults(module="semcomp.cli.models")

    doctor = commands.add_parser(
        "doctor", parents=[output], help="versions, devices, extras, and a one-second self-test of exactness",
        description="Say what is installed and prove that symbols decode exactly on this machine.",
    )  # fmt: skip
    doctor.set_defaults(module="semcomp.cli.doctor")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. `argv` defaults to the command line's."""
    parser = build_parser()
    options = parser.parse_args(argv)
    if options.version:
        import semcomp

        print(f"semcomp {semcomp.__version__}")
        return EXIT_OK
    if options.command is None:
        parser.print_help(sys.stderr)
        return EXIT_USAGE
    try:
        return _run(options)
    except UsageError as error:
        print(f"semcomp {options.command}: {error}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        print("semcomp: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # the reader has left; do not say so at exit
        return EXIT_FAILED


def _run(options: argparse.Namespace) -> int:
    from semcomp.errors import SemcompError, SemcompWarning

    def show(message: Warning | str, *_: object) -> None:
        print(f"semcomp {options.command}: warning: {message}", file=sys.stderr)

    try:
        with warnings.catch_warnings():
            if not options.verbose:
                warnings.simplefilter("ignore")  # what libraries say to programmers
            warnings.simplefilter("always", SemcompWarning)
            warnings.showwarning = show  # type: ignore[assignment]
            code: int = import_module(options.module).run(options)
        sys.stdout.flush()
        return code
    except (SemcompError, OSError) as error:
        if options.verbose or isinstance(error, BrokenPipeError):
            raise
        print(f"semcomp {options.command}: {error}", file=sys.stderr)
        return getattr(error, "exit_code", EXIT_FAILED)
