"""`semcomp search`: photos of an index that are like another one, have a label, or are there twice."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from semcomp.cli.argument_types import probability, whole_number
from semcomp.cli.exit_codes import EXIT_OK, UsageError
from semcomp.cli.failures import concerning
from semcomp.cli.first_look import at_either, check_networks
from semcomp.cli.paths import STREAM, read_source
from semcomp.cli.shared_options import NewParser, SharedOptions, add_graphs, add_lossless_weights, first_given
from semcomp.cli.terminal import complain, say, say_json
from semcomp.storage.urls import is_url

_EPILOG = """\
examples:
  semcomp search photos.index --like dog.jpg               the ten most similar photos
  semcomp search photos.index --label dog --top 50         the labels that files hold, or that semcomp index gave
  semcomp search photos.index --like dog.semc --label dog --json
  semcomp search photos.index --duplicates                 groups of copies: recompressed, resized, cropped
"""


def add_parser(new_parser: NewParser, shared: SharedOptions) -> None:
    """Add the command and its options."""
    parser = new_parser(
        parents=[shared.output],
        epilog=_EPILOG,
        description="Search an index that semcomp index has made. Nothing found is an answer and no failure.",
    )
    parser.add_argument("index", metavar="INDEX", help="file of the index")
    parser.add_argument(
        "--like", metavar="FILE", help="a .semc file or a picture to which the results are similar, or - for stdin"
    )
    parser.add_argument("--label", metavar="NAME", help="a label that the results have, in any case")
    parser.add_argument("--top", type=whole_number(1, 10**6), default=10, metavar="N", help="results (10)")
    parser.add_argument("--duplicates", action="store_true", help="near-duplicates in the folder, a group a line")
    parser.add_argument(
        "--threshold", type=probability, metavar="X", help="least similarity of near-duplicates (as measured)"
    )
    add_graphs(parser)
    add_lossless_weights(parser)
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Search; returns the exit code."""
    from semcomp.search.photo_index import PhotoIndex

    asked = options.like is not None or options.label is not None
    if asked == options.duplicates:
        raise UsageError("give --like, --label or both; or --duplicates alone")
    if options.duplicates and (flag := first_given(options, ("top",))):
        raise UsageError(f"--duplicates shows every group: leave out {flag}")
    if options.threshold is not None and not options.duplicates:
        raise UsageError("--threshold belongs to --duplicates")
    if options.like is None and (flag := first_given(options, ("graphs", "lossless_weights"))):
        raise UsageError(f"{flag} is for the photo of --like: leave it out")
    index = PhotoIndex(options.index)
    check_networks(options)
    if options.like not in (None, STREAM) and not is_url(options.like):
        with concerning(options.like):
            at_either(Path(options.like), options)
    if options.duplicates:
        _show_groups(index.duplicates(threshold=options.threshold), options)
        return EXIT_OK
    like = read_source(STREAM) if options.like == STREAM else options.like
    places = {"graphs": options.graphs, "lossless_weights": options.lossless_weights}
    hits = index.search(like=like, label=options.label, top=options.top, **places)
    for rank, hit in enumerate(hits, start=1):
        if options.json:
            say_json({"command": "search", "rank": rank, "path": hit.path, "score": round(hit.score, 4)})
        elif not options.quiet:
            say(f"{hit.score:.3f}  {hit.path}")
    if not hits and not options.quiet:
        known = ", ".join(f"{name} ({count:,})" for name, count in index.labels()[:12]) or "none"
        complain("semcomp search: nothing found" + ("" if options.label is None else f"; labels here: {known}"))
    return EXIT_OK


def _show_groups(groups: list[tuple[str, ...]], options: Namespace) -> None:
    for paths in groups:
        if options.json:
            say_json({"command": "search", "duplicates": list(paths)})
        elif not options.quiet:
            say("  ".join(paths))
    if not groups and not options.quiet:
        complain("semcomp search: no near-duplicates found")
