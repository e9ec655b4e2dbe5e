"""Many pictures through many codecs: in one process or several, kept on disk as they are made, and resumed."""

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

from semcomp.errors import SemcompError
from semcomp.eval.codecs import Coder, choose_settings, find
from semcomp.eval.memory import peak_of_one
from semcomp.eval.peers import ARCHITECTURES
from semcomp.workers import share_of_threads, signals_blocked, worker_pool

ROWS = "rows.jsonl"
SPEED_ONLY_PICTURES = 3
Row = dict[str, Any]
J = TypeVar("J")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is measured, and how."""

    paths: tuple[Path, ...]
    codecs: tuple[str, ...]
    metrics: tuple[str, ...] = ("psnr", "ms-ssim")
    qualities: tuple[int, ...] | str | None = None
    """As `choose_settings` takes them."""
    model: str = "base"
    device: str | None = None
    convert: bool = False
    jobs: int = 1
    """Processes."""
    threads: int | None = None
    """CPU threads in all."""

    @property
    def share(self) -> int:
        """CPU threads of one process."""
        return share_of_threads(self.threads, self.jobs)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One picture and one codec."""

    path: Path
    codec: str
    settings: tuple[int, ...]
    key: str
    plan: Plan


@lru_cache(maxsize=16)
def coder_of(name: str, model: str, device: str | None, threads: int) -> Coder:
    """A codec of this process, which gets `threads` where it computes with torch."""
    coder = find(name, model=model, device=device)
    if name == "semcomp" or name in ARCHITECTURES:
        import torch

        torch.set_num_threads(threads)
    return coder


def measure_job(job: Job) -> Row:
    """The row of one job: its key, picture, codec, and its points or why there are none."""
    from semcomp.eval.measure import measure, read_pixels

    row: Row = {"key": job.key, "picture": str(job.path), "codec": job.codec, "file_bytes": job.path.stat().st_size}
    try:
        pixels = read_pixels(job.path, convert=job.plan.convert)
        coder = coder_of(job.codec, job.plan.model, job.plan.device, job.plan.share)
        points = measure(coder, pixels, settings=job.settings, metrics=job.plan.metrics)
    except (SemcompError, OSError, ValueError, RuntimeError, MemoryError) as error:
        return {**row, "error": f"{type(error).__name__}: {error}"}
    return {**row, "width": pixels.shape[1], "height": pixels.shape[0], "points": points}


def run(plan: Plan, *, folder: Path | None = None, progress: bool = False) -> tuple[list[Row], dict[str, Coder]]:
    """A row for every picture and codec, in the order of the plan, and the codecs.

    With `folder`, each row is appended to its rows.jsonl when it is there, and rows that are there already (of the same
    picture, codec version, settings and metrics) are not measured again. Pictures that cannot be read have rows with
    an "error".
    """
    coders = {name: coder_of(name, plan.model, plan.device, plan.share) for name in plan.codecs}
    jobs = list(_jobs(plan, coders))
    known = read_rows(folder / ROWS) if folder else {}
    missing = [job for job in jobs if job.key not in known]
    journal = _open(folder / ROWS) if folder else None
    try:
        for row in in_processes(measure_job, missing, plan.jobs, progress=progress, done=len(jobs) - len(missing)):
            known[row["key"]] = row
            if journal and "error" not in row:
                journal.write(json.dumps(row) + "\n")
                journal.flush()
    finally:
        if journal:
            journal.close()
    rows = [known[job.key] | {"picture": str(job.path)} for job in jobs]
    return rows, coders


def _jobs(plan: Plan, coders: dict[str, Coder]) -> Iterator[Job]:
    """Picture by picture, so that an interrupted run has measured whole pictures."""
    settings = {name: choose_settings(coder, plan.qualities) for name, coder in coders.items()}
    for number, path in enumerate(plan.paths):
        crc = zlib.crc32(path.read_bytes())
        for name, coder in coders.items():
            if coder.speed_only and number >= SPEED_ONLY_PICTURES:
                continue
            parts = (f"{crc:08x}", path.name, name, coder.version, repr(coder) if name != "semcomp" else "")
            key = "|".join([*parts, repr(settings[name]), ",".join(plan.metrics), str(plan.convert)])
            yield Job(path=path, codec=name, settings=settings[name], key=key, plan=plan)


def in_processes(
    work: Callable[[J], Row], jobs: Sequence[J], processes: int, *, progress: bool, done: int = 0
) -> Iterator[Row]:
    """What `work` returns, as it is finished; with a bar on standard error, which `done` earlier ones are part of."""
    results = map(work, jobs) if min(processes, len(jobs)) <= 1 else _pooled(work, jobs, processes)
    yield from with_bar(results, total=len(jobs) + done, done=done, shown=progress)


def _pooled(work: Callable[[J], Row], jobs: Sequence[J], processes: int) -> Iterator[Row]:
    with worker_pool(processes) as pool:
        with signals_blocked():
            futures = [pool.submit(work, job) for job in jobs]
        for future in as_completed(futures):
            yield future.result()


def with_bar(rows: Iterable[Row], *, total: int, done: int, shown: bool) -> Iterator[Row]:
    """The rows, counted by a progress bar."""
    if not shown:
        yield from rows
        return
    from tqdm import tqdm

    with tqdm(total=total, initial=done, unit="file", file=sys.stderr, leave=False, dynamic_ncols=True) as bar:
        for row in rows:
            bar.update(1)
            yield row


def read_rows(path: Path) -> dict[str, Row]:
    """Rows by key; a last line that an interruption cut off is left out."""
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
    """Append; a line that was cut off is ended first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torn = path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
    file = path.open("a", encoding="utf-8")
    if torn:
        file.write("\n")
    return file


def peaks(plan: Plan, rows: Sequence[Row], coders: dict[str, Coder], *, progress: bool) -> dict[str, dict[str, int]]:
    """Peak memory of each codec on the largest picture, encoded and decoded in a process of its own."""
    measured = [row for row in rows if "points" in row]
    if not measured:
        return {}
    largest = max(measured, key=lambda row: row["width"] * row["height"])["picture"]
    found = {}
    jobs = [
        Job(path=Path(largest), codec=name, settings=choose_settings(coder, plan.qualities), key=name, plan=plan)
        for name, coder in coders.items()
    ]
    for row in with_bar(({"codec": job.codec, **_peak(job)} for job in jobs), total=len(jobs), done=0, shown=progress):
        found[row.pop("codec")] = row
    return found


def _peak(job: Job) -> Row:
    with worker_pool(1) as pool:
        return pool.submit(peak_job, job).result()


def peak_job(job: Job) -> Row:
    """Bytes, in a fresh process."""
    from semcomp.eval.measure import read_pixels

    pixels = read_pixels(job.path, convert=job.plan.convert)
    coder = coder_of(job.codec, job.plan.model, job.plan.device, job.plan.share)
    return peak_of_one(coder, pixels, job.settings[len(job.settings) // 2])
