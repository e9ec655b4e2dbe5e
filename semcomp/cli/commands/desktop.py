"""`semcomp desktop`: the format in file managers, ImageMagick and shells."""

from __future__ import annotations

import os
from argparse import Namespace

from semcomp.cli.exit_codes import EXIT_OK, UsageError
from semcomp.cli.shared_options import NewParser, SharedOptions
from semcomp.cli.terminal import complain, say, say_json

_EPILOG = """\
examples:
  semcomp desktop install                               for this user
  sudo semcomp desktop install --system                 for every user, below /usr/local/share
  semcomp desktop uninstall
  semcomp desktop thumbnail photo.semc small.png 256    what file managers run
"""


def add_parser(new_parser: NewParser, shared: SharedOptions) -> None:
    """Add the command and its options."""
    parser = new_parser(
        parents=[shared.output],
        epilog=_EPILOG,
        description="Tell the desktop about .semc files: MIME type, thumbnails, ImageMagick, completions of shells.",
    )
    parser.add_argument("action", choices=("install", "uninstall", "thumbnail"), help="what to do")
    parser.add_argument(
        "values",
        nargs="*",
        default=[],  # or argparse calls them required
        metavar="VALUE",
        help="of thumbnail: the .semc file, the PNG to write, its longest side",
    )
    parser.add_argument("--system", action="store_true", help="for every user, without ImageMagick (for this user)")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Install, uninstall, or make a thumbnail; returns the exit code."""
    if options.action == "thumbnail":
        return _thumbnail(options)
    if options.values:
        raise UsageError(f"{options.action} takes no {options.values[0]!r}")
    from semcomp.desktop.install import Places, install, program_words, uninstall

    places = Places.of_system() if options.system else Places.of_user(os.environ)
    if options.action == "install":
        from semcomp.cli.commands.completion import completions

        changes = install(places, program=program_words(), completions=completions())
    else:
        changes = uninstall(places)
    if options.json:
        files = [os.fspath(path) for path in changes.files]
        say_json({"command": "desktop", "action": options.action, "files": files, "notes": list(changes.notes)})
    elif not options.quiet:
        say(os.fspath(path) for path in changes.files)
        for note in changes.notes:
            complain(f"semcomp desktop: {note}")
    return EXIT_OK


def _thumbnail(options: Namespace) -> int:
    if len(options.values) != 3 or not options.values[2].isdecimal() or not 1 <= int(options.values[2]) <= 4096:
        raise UsageError("thumbnail takes a .semc file, the PNG to write, and its longest side from 1 to 4096")
    source, target, side = options.values
    from io import BytesIO
    from pathlib import Path

    from PIL import Image

    import semcomp.pillow  # noqa: F401 - teaches Pillow the format
    from semcomp.bitstream.container import read_header
    from semcomp.cli.paths import STREAM, check_target, write_target
    from semcomp.cli.terminal import check_stdout_takes_data

    if target == STREAM:
        check_stdout_takes_data()
    check_target(target, options, sources=[source])
    buffer = BytesIO()
    with Path(source).open("rb") as stream:
        read_header(stream)  # which says more than Pillow does of a file of another kind
        stream.seek(0)
        with Image.open(stream, formats=("SEMC",)) as image:
            image.thumbnail((int(side), int(side)))
            image.save(buffer, "PNG")
    write_target(target, buffer.getvalue(), force=True)
    return EXIT_OK
