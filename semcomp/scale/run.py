"""Map a verb over many files: plan what is new, run what is not done, report on the way.

from semcomp.scale.run import map_files
from semcomp.scale.run_folder import Input
from semcomp.scale.task import MapTask
from semcomp.storage.listing import list_url

found = list_url("s3://bucket/photos", (".jpg",)).entries
inputs = [Input(entry.url, entry.relative) for entry in found]
task = MapTask(verb="classify", head="imagenette")
summary = map_files(inputs, task=task, output="labels.parquet", workers=8)
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from semcomp.errors import TargetError
from semcomp.scale.engines import ENGINES
from semcomp.scale.run_folder import Input, RunFolder
from semcomp.scale.task import BLOCK, MapTask
from semcomp.scale.worker import SHARD_NAME, Done
from semcomp.storage.places import place_of
from semcomp.storage.urls import join


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a run did."""

    files: int
    """Files that this run did."""
    failed: int
    """How many failed. Their rows hold the reasons."""
    skipped: int
    """Planned inputs that earlier runs had done. A shard counts as one."""
    seconds: float
    peak_mib: float
    """Largest memory of a worker, in MiB."""


def usual_block(files: int, workers: int) -> int:
    """Return the files of a block for a run: 1,000, or fewer so that every worker has four blocks.

    Example:
        >>> usual_block(100_000, 8), usual_block(500, 8), usual_block(3, 8)
        (1000, 16, 1)
    """
    return max(1, min(BLOCK, -(-files // (4 * workers))))


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is."""

    done: Done
    """The block that was finished last."""
    inputs: int
    """Planned inputs that are done, in this run and before."""
    total: int
    """All planned inputs."""


def map_files(
    inputs: Iterable[Input],
    *,
    task: MapTask,
    output: str,
    engine: str = "processes",
    workers: int = 1,
    address: str | None = None,
    block: int | None = None,
    retry: bool = False,
    force: bool = False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Summary:
    """Run a task over files and write its rows to a folder of Parquet files.

    Files that an earlier run in the same folder did are skipped. New files are added.

    Args:
        inputs: The files, in order.
        task: The verb with its options.
        output: The folder for the rows, which is a local path or a URL.
        engine: "processes" or "ray".
        workers: The number of processes, or the largest number of Ray's workers.
        address: The Ray cluster; None starts Ray on this machine.
        block: Files of a block. None is 1,000, or fewer where every worker should have several blocks.
        retry: Do blocks again in which a file failed.
        force: Remove the rows that are there.
        on_progress: Called after every block.

    Returns:
        What this run did.

    Raises:
        TargetError: The engine is unknown, the folder holds the rows of another task, or a shard that is written may
            replace one that is read.
        MissingExtraError: pyarrow or Ray is not installed.
    """
    if engine not in ENGINES:
        raise TargetError(f"{engine!r} is not an engine: choose one of {', '.join(ENGINES)}")
    began, folder, found = time.perf_counter(), RunFolder(output), list(inputs)
    _check_shards(task, found)
    folder.begin(task, force=force)
    folder.add_inputs(found, task=task, block=block or usual_block(len(found), workers))
    blocks, finished = folder.blocks(), folder.finished()
    if retry:
        finished -= folder.failed_blocks()
    open_blocks = [one for one in blocks if one.number not in finished]
    skipped = sum(one.files for one in blocks if one.number in finished)
    size, total, inputs_done = {one.number: one.files for one in blocks}, sum(one.files for one in blocks), skipped
    files = failed = 0
    peak = 0.0
    if open_blocks:
        more: dict[str, Any] = {"address": address} if engine == "ray" else {}
        with closing(ENGINES[engine](task, output, open_blocks, workers=min(workers, len(open_blocks)), **more)) as run:
            for done in run:
                files, failed, peak = files + done.files, failed + done.failed, max(peak, done.peak_mib)
                inputs_done += size[done.number]
                on_progress(Progress(done=done, inputs=inputs_done, total=total))
    return Summary(files=files, failed=failed, skipped=skipped, seconds=time.perf_counter() - began, peak_mib=peak)


def _check_shards(task: MapTask, inputs: Iterable[Input]) -> None:
    """Raise TargetError where a shard that is written may replace one that is read."""
    if not task.shards or task.files is None:
        return
    for entry in inputs:
        name = entry.path.rpartition("/")[2]
        is_own = re.fullmatch(SHARD_NAME.replace("{:06}", r"\d{6,}"), name) is not None
        if is_own and place_of(join(task.files, name)) == place_of(entry.path):
            raise TargetError(
                f"shards are written to {task.files}, and one may replace {entry.path}: name another folder"
            )
