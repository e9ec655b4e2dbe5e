"""Measures many pictures with many codecs, in one process or several, on disk so that a run can be resumed."""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TextIO, TypeVar

from semcomp.errors import SemcompError, reason_of
from semcomp.eval.codecs import Coder, choose_settings, find
from semcomp.eval.memory import peak_of_one
from semcomp.eval.peers import ARCHITECTURES
from semcomp.eval.restored import NAME as RESTORED
from semcomp.workers import share_of_threads, signals_blocked, worker_pool

ROWS = "rows.jsonl"
SPEED_ONLY_PICTURES = 3
Row = dict[str, Any]
J = TypeVar("J")


@dataclass(frozen=True, kw_only=True)
class EvalPlan:
    """The pictures, codecs and options of a run."""

    paths: tuple[Path, ...]
    codecs: tuple[str, ...]
    metrics: tuple[str, ...] = ("psnr", "ms-ssim")
    qualities: tuple[int, ...] | str | None = None
    """Qualities, "full" or None, as for `choose_settings`."""
    model: str = "base"
    device: str | None = None
    convert: bool = False
    jobs: int = 1
    """Number of processes."""
    threads: int | None = None
    """CPU threads of all processes together. None is every core."""

    @property
    def share(self) -> int:
        """CPU threads per process."""
        return share_of_threads(self.threads, self.jobs)


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One picture that is to be measured with one codec."""

    path: Path
    codec: str
    settings: tuple[int, ...]
    key: str
    plan: EvalPlan


@lru_cache(maxsize=16)
def coder_of(name: str, model: str, device: str | None, threads: int) -> Coder:
    """A codec of this process. Codecs on torch set its number of threads."""
    coder = find(name, model=model, device=device)
    if name == "semcomp" or name in ARCHITECTURES or name.startswith(RESTORED):
        import torch

        torch.set_num_threads(threads)
    return coder


def measured_row(job: Measurement) -> Row:
    """Measure one picture with one codec. The row holds key, picture, codec, and points or an error."""
    from semcomp.eval.measure import measure, read_pixels

    row: Row = {"key": job.key, "picture": str(job.path), "codec": job.codec, "file_bytes": job.path.stat().st_size}
    try:
        pixels = read_pixels(job.path, convert=job.plan.convert)
        coder = coder_of(job.codec, job.plan.model, job.plan.device, job.plan.share)
        points = measure(coder, pixels, settings=job.settings, metrics=job.plan.metrics)
    except (SemcompError, OSError, ValueError, RuntimeError, MemoryError) as error:
        return {**row, "error": type(error).__name__, "message": reason_of(error)}
    return {**row, "width": pixels.shape[1], "height": pixels.shape[0], "points": points}


def run(plan: EvalPlan, *, folder: Path | None = None, progress: bool = False) -> tuple[list[Row], dict[str, Coder]]:
    """Measure every picture with every codec.

    Args:
        plan: What to measure.
        folder: Each row is appended to rows.jsonl in this folder. Rows of equal picture, codec version, settings,
            metrics, device and threads that are already there are not measured again. None keeps nothing.
        progress: Show a bar on standard error.

    Returns:
        The rows in the order of the plan, and the codecs by name. A picture that cannot be read has a row with an
        "error".
    """
    coders = {name: coder_of(name, plan.model, plan.device, plan.share) for name in plan.codecs}
    jobs = list(_jobs(plan, coders))
    known = read_rows(folder / ROWS) if folder else {}
    missing = [job for job in jobs if job.key not in known]
    journal = _open(folder / ROWS) if folder else None
    try:
        for row in in_processes(measured_row, missing, plan.jobs, progress=progress, done=len(jobs) - len(missing)):
            known[row["key"]] = row
            if journal and "error" not in row:
                journal.write(json.dumps(row) + "\n")
                journal.flush()
    finally:
        if journal:
            journal.close()
    rows = [known[job.key] | {"picture": str(job.path)} for job in jobs]
    return rows, coders


def _jobs(plan: EvalPlan, coders: dict[str, Coder]) -> Iterator[Measurement]:
    """All measurements, picture by picture, so that an interrupted run has measured whole pictures."""
    settings = {name: choose_settings(coder, plan.qualities) for name, coder in coders.items()}
    for number, path in enumerate(plan.paths):
        crc = zlib.crc32(path.read_bytes())
        for name, coder in coders.items():
            if coder.speed_only and number >= SPEED_ONLY_PICTURES:
                continue
            parts = (f"{crc:08x}", path.name, name, coder.version, repr(coder) if name != "semcomp" else "")
            timed = f"{plan.device or 'cpu'} {plan.share}"
            key = "|".join([*parts, repr(settings[name]), ",".join(plan.metrics), str(plan.convert), timed])
            yield Measurement(path=path, codec=name, settings=settings[name], key=key, plan=plan)


def in_processes(
    work: Callable[[J], Row], jobs: Sequence[J], processes: int, *, progress: bool, done: int = 0
) -> Iterator[Row]:
    """Run `work` on every job, in one process or several.

    Args:
        work: A function that other processes can import.
        jobs: Its arguments.
        processes: Number of processes.
        progress: Show a bar on standard error.
        done: Number of earlier rows that the bar counts too.

    Returns:
        The rows in the order in which they are finished.
    """
    results = map(work, jobs) if min(processes, len(jobs)) <= 1 else _pooled(work, jobs, processes)
    yield from with_bar(results, total=len(jobs) + done, done=done, shown=progress)


def _pooled(work: Callable[[J], Row], jobs: Sequence[J], processes: int) -> Iterator[Row]:
    with worker_pool(processes) as pool:
        with signals_blocked():
            futures = [pool.submit(work, job) for job in jobs]
        for future in as_completed(futures):
            yield future.result()


def with_bar(rows: Iterable[Row], *, total: int, done: int, shown: bool) -> Iterator[Row]:
    """Pass rows on, and count them with a bar on standard error if `shown`."""
    if not shown:
        yield from rows
        return
    from tqdm import tqdm

    with tqdm(total=total, initial=done, unit="file", file=sys.stderr, leave=False, dynamic_ncols=True) as bar:
        for row in rows:
            bar.update(1)
            yield row


def read_rows(path: Path) -> dict[str, Row]:
    """Read rows by key. A last line that an interruption has cut off is left out."""
    rows: dict[str, Row] = {}
    if not path.exists():
        return rows
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
            rows[row["key"]] = row
        except (json.JSONDecodeError, KeyError, TypeError):
            continue
    return rows


def _open(path: Path) -> TextIO:
    """Open a file for appending. A line that was cut off is ended first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torn = path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
    file = path.open("a", encoding="utf-8")
    if torn:
        file.write("\n")
    return file


def peaks(
    plan: EvalPlan, rows: Sequence[Row], coders: dict[str, Coder], *, progress: bool
) -> dict[str, dict[str, int]]:
    """Peak memory of each codec, which encodes and decodes the largest picture in a process of its own."""
    measured = [row for row in rows if "points" in row]
    if not measured:
        return {}
    largest = max(measured, key=lambda row: row["width"] * row["height"])["picture"]
    found = {}
    jobs = [
        Measurement(
            path=Path(largest), codec=name, settings=choose_settings(coder, plan.qualities), key=name, plan=plan
        )
        for name, coder in coders.items()
    ]
    for row in with_bar(({"codec": job.codec, **_peak(job)} for job in jobs), total=len(jobs), done=0, shown=progress):
        found[row.pop("codec")] = row
    return found


def _peak(job: Measurement) -> Row:
    with worker_pool(1) as pool:
        with signals_blocked():
            future = pool.submit(peak_job, job)
        return future.result()


def peak_job(job: Measurement) -> Row:
    """Peaks in bytes. It runs in a fresh process."""
    from semcomp.eval.measure import read_pixels

    pixels = read_pixels(job.path, convert=job.plan.convert)
    coder = coder_of(job.codec, job.plan.model, job.plan.device, job.plan.share)
    return peak_of_one(coder, pixels, job.settings[len(job.settings) // 2])
