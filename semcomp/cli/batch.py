"""Many files through one command: in one process or several, one line a file, failures at the end."""

from __future__ import annotations

import sys
import time
import warnings
from argparse import Namespace
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from semcomp.backend import has_library, open_codec
from semcomp.cli.exit_codes import EXIT_OK, common_exit_code
from semcomp.cli.failures import explain, in_flags
from semcomp.cli.paths import STREAM, Job, JobPlan
from semcomp.cli.terminal import check_stdout_takes_data, json_line, printable, progress_bar
from semcomp.errors import SemcompWarning
from semcomp.storage.urls import is_url
from semcomp.workers import remove_temporaries, share_of_threads, signals_blocked, worker_pool

if TYPE_CHECKING:
    from semcomp.edge.client import EdgeCodec
    from semcomp.pipeline.base_codec import BaseCodec

Record = dict[str, Any]
Records = Generator[Record, None, None]
Work = Callable[..., Record]
"""(job, options) -> record; a command with a `Prepare` also gets what that returned."""
Prepare = Callable[[Job, Namespace], Any]
_NAMED = 3
"""Inputs that are named where one reason is behind the failure of several."""


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
    work: Work, plan: JobPlan, options: Namespace, *, keys: Sequence[str], prepare: Prepare | None = None
) -> int:
    """Run a function on every job, print a line or JSON for each, and list the failures.

    Args:
        work: Returns the values of `keys`, "line", and "seconds" where the time of the whole call is not what to show.
            A key that it leaves out is null. What it raises becomes a failure of that job.
        plan: The jobs.
        options: The options of the command.
        keys: The keys of the JSON objects beyond those that every command has.
        prepare: Its result is handed to `work`. In one process it runs for the next job while `work` runs for this one.

    Returns:
        The exit code.
    """
    jobs = plan.jobs
    if any(job.target == STREAM for job in jobs):
        check_stdout_takes_data()
    _check_model(options)
    report = _Report(
        options, keys, total=len(jobs) + len(plan.unusable), to_stdout=all(job.target != STREAM for job in jobs)
    )
    for note in plan.notes:
        report.note(note)
    for entry in plan.unusable:
        report.add(_failure(Job(entry.source, ""), entry.error))
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


def _check_model(options: Namespace) -> None:
    """Raise an error once for missing weights, graphs or devices, rather than for every file, or for none."""
    model = getattr(options, "model", None)
    if model is not None and (model != "base" or on_graphs(options)):
        codec_of(options)
    elif getattr(options, "device", None) not in (None, "cpu"):
        from semcomp.device import checked_device

        checked_device(options.device)
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
            record = {"input": job.source, "output": job.target or None, "ok": True, **values}
        except BrokenPipeError:
            raise
        except Exception as error:
            record = _failure(job, error)
    record["warnings"] = [in_flags(str(entry.message)) for entry in heard]
    record.setdefault("seconds", time.perf_counter() - start)
    record["seconds"] = round(record["seconds"], 4)
    return record


def _failure(job: Job, error: BaseException) -> Record:
    import traceback

    failure = explain(error, source=job.source)
    trace = "".join(traceback.format_exception(error)) if error.__traceback__ else None
    return {
        "input": job.source,
        "output": None,
        "ok": False,
        "error": failure.kind,
        "message": failure.message,
        "elsewhere": failure.elsewhere,
        "exit_code": failure.exit_code,
        "traceback": trace,
        "warnings": [],
    }


class _Report:
    """What the user sees: lines or JSON, a progress bar on a terminal, warnings, and the list of failures."""

    def __init__(self, options: Namespace, keys: Sequence[str], *, total: int, to_stdout: bool) -> None:
        self.options, self.keys = (options, ("input", "output", "ok", *keys, "seconds", "warnings", "error", "message"))
        self.out: TextIO = sys.stdout if to_stdout else sys.stderr  # stdout may carry the data itself
        self.failures: list[Record] = []
        self.total = total
        self.bar: Any = None
        if total > 1 and not options.quiet:
            self.bar = progress_bar(total)

    def note(self, text: str) -> None:
        """Say what was left out."""
        if not self.options.quiet:
            self._print(f"semcomp {self.options.command}: {text}", sys.stderr)

    def add(self, record: Record) -> None:
        """Take one finished record."""
        if not record["ok"]:
            self.failures.append(record)
        if self.options.json:
            values = {"command": self.options.command, **{key: record.get(key) for key in self.keys}}
            self._write(json_line(values, self.out), self.out)
        elif record["ok"] and not self.options.quiet:
            line = record["line"].replace("{seconds}", f"{record['seconds']:.2f} s")
            where = f" -> {_shown(record['output'])}" if record["output"] else ""
            self._print(f"{_shown(record['input'])}{where}  {line}", self.out)
        for warning in record["warnings"]:
            self._print(f"semcomp {self.options.command}: {_shown(record['input'])}: warning: {warning}", sys.stderr)
        if self.options.verbose and record.get("traceback"):
            for line in record["traceback"].splitlines():
                self._print(line, sys.stderr)
        if self.bar is not None:
            self.bar.update(1)

    def _print(self, line: str, stream: TextIO) -> None:
        self._write(printable(line, stream), stream)

    def _write(self, line: str, stream: TextIO) -> None:
        if self.bar is not None:
            self.bar.write(line, file=stream)
        else:
            print(line, file=stream, flush=True)

    def close(self) -> None:
        """Take the bar off the terminal."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def finish(self) -> int:
        """List the failures and return the exit code: the failures' own if all are of one kind, else 1."""
        if not self.failures:
            return EXIT_OK
        head = f"semcomp {self.options.command}: "
        if self.total > 1:
            self._print(f"{head}{len(self.failures)} of {self.total} failed:", sys.stderr)
            head = "  "
        for message, records in self._by_reason():
            where = "" if records[0]["elsewhere"] else f"{_shown(records[0]['input'])}: "
            behind = f" ({_named(records)})" if not where and self.total > 1 else ""
            self._print(f"{head}{where}{message}{behind}", sys.stderr)
        return common_exit_code(int(record["exit_code"]) for record in self.failures)

    def _by_reason(self) -> list[tuple[str, list[Record]]]:
        """Messages and their failures. A fault of another file than the inputs is one message for all of them."""
        found: dict[tuple[str, int], list[Record]] = {}
        for number, record in enumerate(self.failures):
            key = (record["message"], 0 if record["elsewhere"] else number + 1)
            found.setdefault(key, []).append(record)
        return [(message, records) for (message, _), records in found.items()]


def _named(records: Sequence[Record]) -> str:
    """The first inputs of several failures, and how many more there are."""
    names = [_shown(record["input"]) for record in records[:_NAMED]]
    more = len(records) - len(names)
    return ", ".join(names) + (f" and {more:,} more" if more else "")


def _shown(path: str) -> str:
    return {STREAM: "(stream)", "": "nothing"}.get(path, path)
