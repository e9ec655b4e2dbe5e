"""`semcomp index`: an index of a folder of photos, which `semcomp search` reads."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from semcomp.cli.answers import say_failure
from semcomp.cli.argument_types import job_count
from semcomp.cli.exit_codes import EXIT_FAILED, EXIT_OK, UsageError
from semcomp.cli.failures import Failure, check_readable, in_flags, local_output
from semcomp.cli.first_look import check_networks
from semcomp.cli.latents_input import HEAD_HELP, add_confidence
from semcomp.cli.output_formats import check_suffix
from semcomp.cli.paths import IMAGE_SUFFIXES, check_target, list_expanded
from semcomp.cli.shared_options import NewParser, SharedOptions, add_graphs, add_lossless_weights
from semcomp.cli.terminal import LongRun, complain, say_json

if TYPE_CHECKING:
    from semcomp.search.update import Progress, Summary

_EPILOG = """\
examples:
  semcomp index photos/ -o photos.index                    .semc files and pictures, here and below
  semcomp index photos/ -o photos.index -j 8               the same command later: what is new, changed or gone
  semcomp index photos/ -o photos.index --head things      labels for files that hold none
  semcomp search photos.index --like dog.jpg --label "English springer"

The index is one SQLite file. Its paths are relative to the folder, and the folder to the index: both may move together.
"""


def add_parser(new_parser: NewParser, shared: SharedOptions) -> None:
    """Add the command and its options."""
    parser = new_parser(
        parents=[shared.parallel, shared.output],
        epilog=_EPILOG,
        description="Index a folder of photos by embeddings, by signatures of z, and by labels. A photo that fails is "
        "listed, and nothing stops.",
    )
    parser.add_argument("folder", metavar="FOLDER", help="folder of .semc files and pictures")
    parser.add_argument("-o", "--output", required=True, metavar="INDEX", help="the file of the index")
    parser.add_argument("-f", "--force", action="store_true", help="make an index again that was made otherwise")
    parser.add_argument("--model", default="base", metavar="NAME", help="weights: a name or a .safetensors path (base)")
    add_graphs(parser)
    add_lossless_weights(parser)
    parser.add_argument("--threads", type=job_count, metavar="N", help="CPU threads in total (every core)")
    parser.add_argument(
        "--embedder", metavar="NAME", help="head whose features are compared, or latents (embed, else objects)"
    )
    parser.add_argument("--head", metavar="NAME", help=f"label files that hold no labels: {HEAD_HELP}")
    add_confidence(parser)
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Bring the index up to date; returns the exit code."""
    from semcomp.search.describe import IndexTask
    from semcomp.search.photo_index import PhotoIndex
    from semcomp.workers import share_of_threads

    if options.head is None and options.min_confidence is not None:
        raise UsageError("--min-confidence says how sure a head has to be: give --head too")
    options.output = local_output(options.output, folder=False)
    check_suffix(options.output, ".index")
    check_readable(options.folder, folder=True)
    expansion = list_expanded([options.folder], read_suffixes=(".semc", *IMAGE_SUFFIXES))
    for note in expansion.notes if not options.quiet else ():
        complain(f"semcomp index: {note}")
    if not Path(options.output).is_dir():  # else the index says what to do
        again = Namespace(**{**vars(options), "force": True})
        check_target(options.output, again, sources=[entry.source for entry in expansion.found])
    check_networks(options)
    task = IndexTask(
        model=options.model,
        graphs=options.graphs,
        lossless_weights=options.lossless_weights,
        embedder=options.embedder,
        classify=options.head,
        min_confidence=options.min_confidence or 0.0,
        threads=share_of_threads(options.threads, options.jobs),
    )
    report = _Report(options)
    try:
        summary = PhotoIndex(options.output).update(
            options.folder,
            files=[entry.mirrored.as_posix() for entry in expansion.found],
            task=task,
            workers=options.jobs,
            force=options.force,
            on_progress=report.add,
        )
    finally:
        report.close()
    unusable = {entry.source: entry for entry in expansion.unusable}
    summary = replace(
        summary,
        failures={name: entry.reason for name, entry in unusable.items()} | summary.failures,
        kinds={name: entry.kind.__name__ for name, entry in unusable.items()} | summary.kinds,
    )
    report.finish(summary)
    return EXIT_FAILED if summary.failures else EXIT_OK


class _Report(LongRun):
    """Progress, and what was done."""

    def __init__(self, options: Namespace) -> None:
        super().__init__()
        self.options = options

    def add(self, progress: Progress) -> None:
        """Take one finished block."""
        if not self.options.quiet:
            done, total = progress.done, progress.total
            head = f"semcomp index: {done:,} of {total:,} photos"
            self.show(done, total, line=lambda seconds: f"{head}, {done / seconds:.1f} a second")

    def finish(self, summary: Summary) -> None:
        """Say what was done, and what failed."""
        options = self.options
        for path, reason in summary.failures.items():
            say_failure(path, Failure(in_flags(reason), EXIT_FAILED, summary.kinds[path]), options)
        facts = {
            "photos": summary.photos,
            "added": summary.added,
            "unchanged": summary.unchanged,
            "removed": summary.removed,
            "failed": len(summary.failures),
        }
        if options.json:
            more = {"output": options.output, "ok": not summary.failures, "seconds": round(summary.seconds, 3)}
            say_json({"command": "index", **more, **facts})
        elif not options.quiet:
            words = ", ".join(f"{count:,} {name}" for name, count in facts.items() if name != "photos")
            complain(f"semcomp index: {summary.photos:,} photos in {options.output} ({words}), {summary.seconds:.1f} s")
