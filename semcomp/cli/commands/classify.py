"""`semcomp classify`: what pictures show, read from their latents."""

from __future__ import annotations

import time
from argparse import Namespace
from typing import Any

from semcomp.cli.argument_types import whole_number
from semcomp.cli.batch import run_batch
from semcomp.cli.exit_codes import UsageError
from semcomp.cli.first_look import at_either
from semcomp.cli.latents_input import (
    HEAD_HELP,
    Input,
    add_confidence,
    get_head,
    heads_in_words,
    in_words,
    read_latents,
    usual_head,
)
from semcomp.cli.paths import IMAGE_SUFFIXES, Job, list_jobs
from semcomp.cli.shared_options import NewParser, SharedOptions

KEYS = ("head", "known", "labels", "scores_are")

_EPILOG = """\
examples:
  semcomp classify small/*.semc                     with ImageNet's thousand names, by the head "things"
  semcomp classify small/ --min-confidence 0.8      "nothing known" where no label reaches 0.8
  semcomp classify --head street drive/ --top 3 --json   pictures are encoded in memory first
  semcomp classify --head my.safetensors new/*.semc a head of your own, see semcomp-fit-head
"""


def add_parser(new_parser: NewParser, shared: SharedOptions) -> None:
    """Add the command and its options."""
    parser = new_parser(
        parents=[shared.reading, shared.model, shared.output],
        epilog=_EPILOG,
        description="Say what .semc files show, or that nothing is known, which is an answer and no failure. Heads "
        "read the latents: no pixel is decoded.",
    )
    parser.add_argument("--head", metavar="NAME", help=HEAD_HELP)
    parser.add_argument("--top", type=whole_number(1, 1000), default=5, metavar="N", help="labels for each file (5)")
    add_confidence(parser)
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Classify every input; returns the exit code."""
    plan = list_jobs(options.inputs, read_suffixes=(".semc", *IMAGE_SUFFIXES))

    def check() -> None:  # what is missing is one error for all files
        options.head = options.head or usual_head(options, "classify")
        if options.head is None:
            raise UsageError(f"no head is asked by itself: {heads_in_words(options)}")
        get_head(options.head, options)

    return run_batch(classify_one, plan, options, keys=KEYS, prepare=read_latents, check=check, look=at_either)


def classify_one(job: Job, options: Namespace, given: Input) -> dict[str, Any]:
    """Run the head on one file's latents; returns the values of `KEYS` and the line to show."""
    from semcomp.semantics.head import Segmentation

    head = get_head(options.head, options)
    start = time.perf_counter()
    assert given.latents is not None
    answer = head(given.latents)
    labels = (answer.labels() if isinstance(answer, Segmentation) else answer).top(options.top)
    pairs = list(zip(labels.names, labels.scores, strict=True))
    return {
        "head": head.name,
        "known": bool(pairs),
        "labels": [{"name": name, "score": round(score, 4)} for name, score in pairs],
        "scores_are": "areas" if labels.areas else "probabilities",
        "seconds": time.perf_counter() - start,
        "line": in_words(labels.names, labels.scores, areas=labels.areas),
    }
