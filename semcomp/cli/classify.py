"""`semcomp classify`: what pictures show, read from their latents."""

from __future__ import annotations

import time
from argparse import Namespace
from typing import Any

from semcomp.cli.batch import run_batch
from semcomp.cli.latents_input import Input, get_head, read_latents
from semcomp.cli.paths import IMAGE_SUFFIXES, Job, list_jobs

KEYS = ("head", "labels")


def run(options: Namespace) -> int:
    """Classify every input; returns the exit code."""
    get_head(options.head)  # a head that is not there is one error, not one a file
    jobs, unusable = list_jobs(options.inputs, read_suffixes=(".semc", *IMAGE_SUFFIXES))
    return run_batch(classify_one, jobs, unusable, options, keys=KEYS, prepare=read_latents)


def classify_one(job: Job, options: Namespace, given: Input) -> dict[str, Any]:
    """Run the head on one file's latents; returns the values of `KEYS` and the line to show."""
    from semcomp.semantics.head import Segmentation

    head = get_head(options.head)
    start = time.perf_counter()
    assert given.latents is not None
    answer = head(given.latents)
    labels = (answer.labels() if isinstance(answer, Segmentation) else answer).top(options.top)
    pairs = list(zip(labels.names, labels.scores, strict=True))
    shown = "  ".join(f"{name} {score:.2f}" for name, score in pairs)
    return {
        "head": head.name,
        "labels": [{"name": name, "score": round(score, 4)} for name, score in pairs],
        "seconds": time.perf_counter() - start,
        "line": shown or "nothing known",
    }
