"""Entry point of the `semcomp` command: runs one command and turns errors into sentences and exit codes."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module

from semcomp.cli.argument_types import SEMANTICS
from semcomp.cli.exit_codes import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, UsageError
from semcomp.cli.parser import build_parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. `argv` defaults to the command line's."""
    parser = build_parser()
    options = parser.parse_args(_complete(sys.argv[1:] if argv is None else argv))
    if argv is None:  # nobody else's process
        from semcomp.workers import for_one_command

        for_one_command()
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
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has left; do not say so at exit
        return EXIT_FAILED


def _complete(arguments: Sequence[str]) -> list[str]:
    """`--semantics photo.jpg` means both kinds of semantics of photo.jpg, not semantics called so."""
    complete = list(arguments)
    for place, argument in enumerate(complete[:-1]):
        if argument == "--semantics" and not set(complete[place + 1].split(",")) <= set(SEMANTICS):
            complete[place] = f"--semantics={','.join(SEMANTICS)}"
    return complete


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
