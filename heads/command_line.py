"""What the programs of this package say when they end, and their exit codes."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from semcomp.errors import SemcompError, file_error
from semcomp.storage import writable

TRUNK_STEPS = 400
"""Usual length of a head's training that starts from a trunk."""
USUAL_STEPS = 2000
"""Usual length of one that starts from random weights."""
HALVED_FROM = 544
"""Shorter side in pixels from which classifiers of somebody's own folders read pictures halved (Head.halved_from)."""


def default_folder() -> Path:
    """Where caches of encoded crops are kept unless told otherwise."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "semcomp" / "latents"


def check_writable(*paths: Path | None, folder: Path | None = None) -> None:
    """Check before the work, rather than after minutes of it, that its files can be written.

    Args:
        paths: The files. None is left out.
        folder: A folder that gets files, too.

    Raises:
        FileError: One of them cannot be written.
    """
    for path in filter(None, (*paths, folder)):
        try:
            writable.check_writable(path, folder=path is folder)
        except OSError as error:
            raise file_error(path, error, verb="written") from error


def photos_parser(program: str, *, description: str, output: str, limit: int) -> argparse.ArgumentParser:
    """Build the command line of a program that fits something to a codec with photos.

    Args:
        program: Name of the program.
        description: What it does, a sentence.
        output: Usual name of the file that it writes.
        limit: Number of photos that it takes at most, unless told otherwise.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {program}",
        description=description,
        epilog=f"examples:\n  python -m {program} photos/ -o semcomp/weights/{output}\n"
        f"  python -m {program} photos/ -o {output} --model my.safetensors\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="photos, here and below")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help=output)
    parser.add_argument("--model", default="base", metavar="NAME", help="codec: a name or a .safetensors path (base)")
    parser.add_argument("--limit", type=int, default=limit, metavar="N", help=f"at most so many photos ({limit})")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    return parser


def run(program: str, work: Callable[[], None], *, interrupted: str, mistakes: tuple[type[Exception], ...] = ()) -> int:
    """Do the work of a program, and turn what fails into a sentence on stderr.

    Args:
        program: Name in front of the sentence.
        work: Does everything, and prints the result.
        interrupted: What is said after "interrupted" when Ctrl-C ends it.
        mistakes: Errors that a wrong configuration causes.

    Returns:
        The exit code: 0, the code of the error or 1, 2 for a mistake, 130 after Ctrl-C.
    """
    try:
        work()
    except (SemcompError, OSError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        return getattr(error, "exit_code", 1)
    except mistakes as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{program}: interrupted{interrupted}", file=sys.stderr)
        return 130
    return 0
