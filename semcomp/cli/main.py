"""Entry point of the `semcomp` command: runs one command and turns errors into sentences and exit codes."""

from __future__ import annotations

import os
import sys
import warnings
from argparse import Namespace
from collections.abc import Sequence

from semcomp.cli.argument_types import SEMANTICS
from semcomp.cli.exit_codes import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, UsageError
from semcomp.cli.parser import build_parser
from semcomp.cli.terminal import complain, say


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The arguments after the program's name. None reads the command line, and sets up this process for one
            command.

    Returns:
        The exit code.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = build_parser(arguments)
    options = parser.parse_args(_separate_semantics(arguments))
    if argv is None:
        from semcomp.workers import for_one_command

        for_one_command()
    if options.version:
        import semcomp

        say(f"semcomp {semcomp.__version__}")
        return EXIT_OK
    if options.command is None:
        parser.print_help(sys.stderr)
        return EXIT_USAGE
    return _guarded(options)


def _separate_semantics(arguments: Sequence[str]) -> list[str]:
    """Give `--semantics` its default value where the next argument is not a value of it but an input file."""
    separated = list(arguments)
    for place, argument in enumerate(separated[:-1]):
        if argument == "--semantics" and not set(separated[place + 1].split(",")) <= set(SEMANTICS):
            separated[place] = f"--semantics={','.join(SEMANTICS)}"
    return separated


def _guarded(options: Namespace) -> int:
    """Run the command; every error becomes a sentence on stderr and an exit code."""
    from semcomp.errors import SemcompError

    prefix = f"semcomp {options.command}:"
    try:
        return _with_warnings_shown(options)
    except UsageError as error:
        complain(f"{prefix} {error}")
        return EXIT_USAGE
    except KeyboardInterrupt:
        complain("semcomp: interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes stdout at exit
        return EXIT_FAILED
    except (SemcompError, OSError) as error:
        if options.verbose:
            raise
        complain(f"{prefix} {error}")
        return getattr(error, "exit_code", EXIT_FAILED)


def _with_warnings_shown(options: Namespace) -> int:
    """Run the command and print semcomp's warnings; without --verbose those of other libraries are dropped."""
    from semcomp.errors import SemcompWarning

    def show(message: Warning | str, *_: object) -> None:
        complain(f"semcomp {options.command}: warning: {message}")

    with warnings.catch_warnings():
        if not options.verbose:
            warnings.simplefilter("ignore")
        warnings.simplefilter("always", SemcompWarning)
        warnings.showwarning = show  # type: ignore[assignment]
        code: int = options.run(options)
    sys.stdout.flush()
    return code
