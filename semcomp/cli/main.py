"""Entry point of the `semcomp` command: runs one command and turns errors into sentences and exit codes."""

from __future__ import annotations

import os
import sys
import warnings
from argparse import Namespace
from collections.abc import Sequence

from semcomp.backend import require_library
from semcomp.cli.answers import say_json_failure
from semcomp.cli.exit_codes import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, Terminated, raise_on_termination
from semcomp.cli.failures import explain
from semcomp.cli.parser import OF_THE_LIBRARY, build_parser
from semcomp.cli.terminal import complain, messages_shown, say, stand_in_for_closed_streams


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The arguments after the program's name. None reads the command line, and sets up this process for one
            command: its signals, its threads and its garbage collector.

    Returns:
        The exit code.
    """
    stand_in_for_closed_streams()
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if argv is None:
            _own_this_process()
        parser = build_parser(arguments)
        options = parser.parse_args(arguments)
        if options.version:
            import semcomp

            say(f"semcomp {semcomp.__version__}")
            return EXIT_OK
        if options.command is None:
            parser.print_help(sys.stderr)
            return EXIT_USAGE
        return _explained(options)
    except KeyboardInterrupt:
        complain("semcomp: interrupted")
        return EXIT_INTERRUPTED
    except Terminated as signal:
        complain("semcomp: terminated")
        return signal.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes stdout at exit
        return EXIT_FAILED


def _own_this_process() -> None:
    from semcomp.workers import for_one_command, wait_passively

    raise_on_termination()
    wait_passively()
    for_one_command()


def _explained(options: Namespace) -> int:
    """Run the command; an error becomes a sentence on stderr and an exit code."""
    try:
        return _with_warnings_shown(options)
    except BrokenPipeError:
        raise
    except Exception as error:
        failure = explain(error)
        if options.verbose and failure.exit_code != EXIT_USAGE:
            import traceback

            say(traceback.format_exc().splitlines(), stream=sys.stderr)
        if options.json:
            say_json_failure(failure, options, command=options.command)
        complain(f"semcomp {options.command}: {failure.message}")
        return failure.exit_code


def _with_warnings_shown(options: Namespace) -> int:
    """Run the command and print semcomp's warnings; without --verbose it drops what other libraries warn of."""
    from semcomp.errors import SemcompWarning

    def show(message: Warning | str, *_: object) -> None:
        complain(f"semcomp {options.command}: warning: {message}")

    with warnings.catch_warnings():
        if not options.verbose:
            warnings.simplefilter("ignore")
        warnings.simplefilter("always", SemcompWarning)
        warnings.showwarning = show  # type: ignore[assignment]
        if options.command in OF_THE_LIBRARY:
            require_library("this command")
        with messages_shown(options):
            code: int = options.run(options)
    sys.stdout.flush()
    return code
