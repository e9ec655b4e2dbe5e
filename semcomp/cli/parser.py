"""Assembles the parser of the whole command line from the parsers of its commands."""

from __future__ import annotations

import sys
from argparse import Action, ArgumentError, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from itertools import pairwise
from typing import Any, NoReturn

from semcomp.cli.answers import say_json_failure
from semcomp.cli.argument_order import options_first, unknown_command_in_words, unknown_in_words
from semcomp.cli.exit_codes import EXIT_USAGE, UsageError
from semcomp.cli.failures import Failure
from semcomp.cli.shared_options import shared_options
from semcomp.cli.terminal import printable

COMMANDS = {
    "encode": "images -> .semc",
    "decode": ".semc -> images",
    "classify": "what pictures show, from their latents",
    "segment": "label maps, from latents or stored",
    "map": "one of these over many files: rows in Parquet, resumable, on a cluster",
    "index": "an index of a folder of photos, for search",
    "search": "photos like another one, with a label, or twice in the folder",
    "info": "what a .semc file says about itself",
    "thumb": "a thumbnail as a short text that pages show at once",
    "restore": "JPEG and JPEG 2000 files without the marks of compression",
    "compare": "one page beside JPEG, WebP and AVIF of equal size",
    "eval": "codecs beside each other on your own pictures",
    "models": "the codecs, heads, generators and restorers at hand",
    "push": 'weights with their card to a hub, for semcomp.load("org/name")',
    "export": "ONNX graphs for clients without torch",
    "desktop": "MIME type, thumbnails, ImageMagick and completions, installed by one command",
    "completion": "the completion of bash, zsh or fish",
    "doctor": "versions, devices, extras, and a one-second self-test of exactness",
}
"""Every command in the order of the help, with its line there. Each is a module of `commands` that defines
`add_parser(new_parser, shared)` and `run(options)`."""
OF_THE_LIBRARY = ("compare", "eval", "push", "export")
"""Commands that a client without torch does not have."""

_EPILOG = """\
examples:
  semcomp encode photo.jpg                      photo.semc beside it, at quality 50
  semcomp encode photos/ -o small/ --bpp 0.5    a folder, mirrored into another one
  semcomp decode photo.semc                     photo.png
  semcomp classify small/*.semc                 what they show, without decoding a pixel
  semcomp segment photo.semc --overlay          what every pixel shows
  semcomp map classify s3://bucket/photos -o labels.parquet --head things -j 8
  semcomp index photos/ -o photos.index         then: semcomp search photos.index --like dog.jpg
  semcomp info photo.semc --json
  semcomp thumb photo.jpg                       a thumbnail as 43 characters
  semcomp compare photo.png                     one page beside JPEG, WebP and AVIF of the same size
  semcomp eval photos/ -o out/                  which codec for these photos? curves, times, a report

exit codes:
  0 success        1 some inputs failed   2 wrong usage   130 interrupted   143 terminated
  3 damaged file   4 model missing, or not the one that wrote the file
  5 a limit that eval was given does not hold
"""


class Parser(ArgumentParser):
    """An ArgumentParser that takes options and inputs in any order, and whose errors show hostile arguments escaped."""

    _given: Sequence[str] = ()

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Namespace | None = None
    ) -> tuple[Namespace, list[str]]:
        """Parse arguments. The parser of a command refuses unknown ones itself, and notes the defaults of its options.

        Args:
            args: The arguments; None reads the command line.
            namespace: Takes the values.
        """
        self._given = list(args or ())
        if self._subparsers is not None or args is None:
            return super().parse_known_args(args, namespace)
        ordered = options_first(self, args)
        found, unknown = super().parse_known_args(ordered.arguments, namespace)
        if unknown:
            self.error(unknown_in_words(self, unknown))
        for action in ordered.bare:
            setattr(found, action.dest, action.const)
        self._refuse_empty(found)
        found.defaults = {action.dest: action.default for action in self._actions}
        return found, []

    def _refuse_empty(self, found: Namespace) -> None:
        """Refuse an empty value, as a variable of the shell that is not set leaves. Every empty input fails alone."""
        for action in self._actions:
            value = getattr(found, action.dest, None)
            if action.dest != "inputs" and (value == "" or (isinstance(value, list) and "" in value)):
                what = action.metavar or str(action.dest).upper()
                self.error(str(ArgumentError(action, f"its value is empty: give {what}")))

    def _check_value(self, action: Action, value: Any) -> None:
        """Raise ArgumentError for a command that does not exist, without the list of all commands."""
        if action.dest == "command" and value not in COMMANDS:
            raise ArgumentError(None, unknown_command_in_words(value, COMMANDS))
        super()._check_value(action, value)

    def error(self, message: str) -> NoReturn:
        """Print the usage and the escaped message, and exit with code 2. With --json it prints an object too."""
        if "--json" in self._given:
            outputs = [value for flag, value in pairwise(self._given) if flag in ("-o", "--output")]
            given = Namespace(inputs=self._given, output=next(iter(outputs), None), piped=self.get_default("piped"))
            failure = Failure(message, EXIT_USAGE, UsageError.__name__)
            say_json_failure(failure, given, command=self.prog.partition(" ")[2] or None)
        super().error(printable(message, sys.stderr))


def build_parser(arguments: Sequence[str]) -> ArgumentParser:
    """Build the parser of the command line.

    Only the command that the arguments name is imported. The other commands have their line in the help and no options.

    Args:
        arguments: The arguments that the parser will be given.
    """
    parser = Parser(
        prog="semcomp",
        description="A learned image codec: photo -> .semc -> photo, exact on every machine.",
        epilog=_EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version and stop")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    wanted = next((argument for argument in arguments if not argument.startswith("-")), None)
    for name, summary in COMMANDS.items():
        new_parser = partial(commands.add_parser, name, help=summary, formatter_class=RawDescriptionHelpFormatter)
        if name == wanted:
            import_module(f"semcomp.cli.commands.{name}").add_parser(new_parser, shared_options())
        else:
            new_parser()
    return parser
