"""Many files through one command: in one process or several, one line a file, failures at the end."""

from __future__ import annotations

import time
import warnings
from argparse import Namespace
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semcomp.backend import has_library, open_codec
from semcomp.cli.answers import Record, Report
from semcomp.cli.failures import explain, in_flags
from semcomp.cli.first_look import Look, at_nothing, check_networks, look_at
from semcomp.cli.paths import STREAM, Job, JobPlan
from semcomp.cli.terminal import check_stdout_takes_data
from semcomp.errors import SemcompWarning
from semcomp.storage.urls import is_url
from semcomp.workers import remove_temporaries, share_of_threads, signals_blocked, worker_pool

if TYPE_CHECKING:
    from semcomp.edge.client import EdgeCodec
    from semcomp.pipeline.base_codec import BaseCodec

Records = Generator[Record, None, None]
Work = Callable[..., Record]
"""(job, options) -> record; a command with a `Prepare` also gets what that returned."""
Prepare = Callable[[Job, Namespace], Any]


@lru_cache(maxsize=1)
def get_codec(
    model: str, device: str | None, threads: int | None, lossless_weights: str | None = None, graphs: str | None = None
) -> BaseCodec[Any]:
    """Return the codec of this process. It is loaded when the first file needs it."""
    return open_codec(model, device=device, threads=threads, lossless_weights=lossless_weights, graphs=graphs)


def codec_of(options: Namespace) -> BaseCodec[Any]:
    """Return the codec that the options of a command name."""
    return get_codec(options.model, options.device, options.threads, options.lossless_weights, options.graphs)


def edge_codec_of(options: Namespace) -> EdgeCodec:
    """Return the codec of a command that computes `on_graphs`."""
    from semcomp.edge.client import EdgeCodec

    codec = codec_of(options)
    assert isinstance(codec, EdgeCodec)
    return codec


def on_graphs(options: Namespace) -> bool:
    """Return whether a command computes on exported graphs: with --graphs, or where the library is not installed."""
    return options.graphs is not None or not has_library()


def run_batch(
    work: Work,
    plan: JobPlan,
    options: Namespace,
    *,
    keys: Sequence[str],
    prepare: Prepare | None = None,
    check: Callable[[], object] = lambda: None,
    look: Look = at_nothing,
) -> int:
    """Run a function on every job, print a line or JSON for each, and list the failures.

    Args:
        work: Returns the values of `keys`, "line", and "seconds" where the time of the whole call is not what to show.
            A key that it leaves out is null. What it raises becomes a failure of that job, but a FileExistsError of
            one among several means that its target was there and is kept.
        plan: The jobs.
        options: The options of the command.
        keys: The keys of the JSON objects beyond those that every command has.
        prepare: Its result is handed to `work`. In one process it runs for the next job while `work` runs for this one.
        check: Checks the options, and loads what every job needs. Nothing is loaded where no job needs a network.
        look: Looks at the files of the jobs, up to the first that needs a network.

    Returns:
        The exit code.
    """
    jobs = plan.jobs
    if any(job.target == STREAM for job in jobs):
        check_stdout_takes_data()
    early = list(_before_networks(jobs, options, look))
    total, to_stdout = len(jobs) + len(plan.unusable), all(job.target != STREAM for job in jobs)
    jobs = jobs[len(early) :]
    if jobs:
        check_networks(options)
        check()
        _check_model(options)
    report = Report(options, keys, total=total, to_stdout=to_stdout)
    for note in plan.notes:
        report.note(note)
    for entry in plan.unusable:
        report.add(_failure(Job(entry.source, ""), entry.error))
    for record in early:
        report.add(record)
    results = (
        _in_processes(work, jobs, options, prepare)
        if min(options.jobs, len(jobs)) > 1
        else _one_by_one(work, jobs, options, prepare)
    )
    try:
        with closing(results):
            for record in results:
                report.add(record)
    finally:
        report.close()
    return report.finish()


def _before_networks(jobs: Sequence[Job], options: Namespace, look: Look) -> Records:
    """Yield the records of the first jobs, as long as they fail before a network is needed.

    A target that exists does not count yet: options that contradict each other are told first.
    """

    def looked_at(job: Job, options: Namespace) -> dict[str, Any]:
        look_at(job, options, look)
        return {}

    for job in jobs:
        record = _attempt(looked_at, job, options)
        if record["ok"] or record["error"] == FileExistsError.__name__:
            return
        yield record


def _check_model(options: Namespace) -> None:
    """Raise an error once for missing weights, graphs or devices, rather than for every file, or for none."""
    model = getattr(options, "model", None)
    if model is not None and (model != "base" or on_graphs(options)):
        codec_of(options)
    if getattr(options, "lossless_weights", None) is not None:
        from semcomp.lossless.weights import load_weights

        load_weights(options.lossless_weights)


def _one_by_one(work: Work, jobs: Sequence[Job], options: Namespace, prepare: Prepare | None) -> Records:
    if prepare is None:
        for job in jobs:
            yield _attempt(work, job, options)
        return
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(1)
    try:
        following = pool.submit(prepare, jobs[0], options) if jobs else None
        for number, job in enumerate(jobs):
            prepared, following = following, None
            assert prepared is not None
            prepared.exception()  # the next preparation begins when this one has ended
            if number + 1 < len(jobs):
                following = pool.submit(prepare, jobs[number + 1], options)
            yield _attempt(work, job, options, prepared.result)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _in_processes(work: Work, jobs: Sequence[Job], options: Namespace, prepare: Prepare | None) -> Records:
    """Run the jobs in worker processes; yields the records in the order of the jobs.

    If a worker dies, nobody knows which job killed it. The rest runs in one worker, and the job that this one dies of
    fails.
    """
    from concurrent.futures.process import BrokenProcessPool

    workers = min(options.jobs, len(jobs))
    share = Namespace(**{**vars(options), "threads": share_of_threads(options.threads, workers)})
    waiting = list(jobs)
    try:
        while waiting:
            with worker_pool(workers) as pool:
                with signals_blocked():
                    futures = [pool.submit(_prepare_and_attempt, work, prepare, job, share) for job in waiting]
                try:
                    for future in futures:
                        yield future.result()
                    return
                except BrokenProcessPool:
                    first = futures.index(future)
            rest = list(zip(waiting, futures, strict=True))[first:]
            yield from (future.result() for _, future in rest if future.exception() is None)
            waiting = [job for job, future in rest if future.exception() is not None]
            if workers == 1:
                yield _failure(waiting.pop(0), MemoryError("a worker process died, perhaps because memory ran out"))
            workers = 1
    finally:
        folders = (Path(job.target).parent for job in jobs if job.target not in ("", STREAM) and not is_url(job.target))
        remove_temporaries(folders)


def _prepare_and_attempt(work: Work, prepare: Prepare | None, job: Job, options: Namespace) -> Record:
    return _attempt(work, job, options, None if prepare is None else lambda: prepare(job, options))


def _attempt(work: Work, job: Job, options: Namespace, prepared: Callable[[], Any] | None = None) -> Record:
    """One job; whatever goes wrong with it is its own affair and becomes part of its record."""
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("default" if options.verbose else "ignore")
        warnings.simplefilter("always", SemcompWarning)
        try:
            values = work(job, options, prepared()) if prepared else work(job, options)
            record = {**_done(job), "kept": False, **values}
        except BrokenPipeError:
            raise
        except FileExistsError as error:
            kept = {**_done(job), "kept": True, "line": "kept: it exists"}
            record = kept if job.keeps else _failure(job, error)
        except Exception as error:
            record = _failure(job, error)
    record["warnings"] = [in_flags(str(entry.message)) for entry in heard]
    record.setdefault("seconds", time.perf_counter() - start)
    record["seconds"] = round(record["seconds"], 4)
    return record


def _done(job: Job) -> Record:
    return {"input": job.source, "output": job.target or None, "ok": True}


def _failure(job: Job, error: BaseException) -> Record:
    import traceback

    failure = explain(error, source=job.source)
    trace = "".join(traceback.format_exception(error)) if error.__traceback__ else None
    return {
        "input": job.source,
        "output": None,
        "ok": False,
        "kept": False,
        "error": failure.kind,
        "message": failure.message,
        "elsewhere": failure.elsewhere,
        "exit_code": failure.exit_code,
        "traceback": trace,
        "warnings": [],
    }
