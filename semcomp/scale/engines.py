"""Engines: they hand blocks to workers, in processes of this machine or on a Ray cluster, and yield what is done."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Sequence
from functools import lru_cache, partial
from typing import Any

from semcomp.errors import MissingExtraError
from semcomp.scale.run_folder import Block, RunFolder
from semcomp.scale.task import MapTask
from semcomp.scale.verbs import Row, Tools, error_row
from semcomp.scale.worker import Done, Item, Worker, peak_mib
from semcomp.workers import over_pool, worker_pool

TRIES = 2
"""How often Ray may begin a block before its files are done one by one."""


def in_processes(task: MapTask, place: str, blocks: Sequence[Block], *, workers: int) -> Generator[Done]:
    """Run blocks in worker processes, or in this process if one worker is enough.

    If a worker dies, nobody knows which file killed it. The blocks that were running are then done file by file in
    a process that may die, and the file that kills it fails.

    Args:
        task: The task.
        place: The folder of the run.
        blocks: What is to be done.
        workers: The number of processes.

    Yields:
        Each block when it is done, in any order.
    """
    if workers == 1:
        worker = Worker(task, place)
        yield from (worker.run(block) for block in blocks)
        return
    run_block, one_by_one = partial(_run_block, task, place), partial(_one_by_one, task, place)
    yield from over_pool(run_block, blocks, workers=workers, carefully=one_by_one)


@lru_cache(maxsize=1)
def _worker(task: MapTask, place: str) -> Worker:
    return Worker(task, place)


def _run_block(task: MapTask, place: str, block: Block) -> Done:
    """Run a block in a worker process, which keeps its networks for the next one."""
    return _worker(task, place).run(block)


def _run_row(task: MapTask, place: str, item: Item, number: int) -> tuple[Row, list[tuple[str, dict[str, bytes]]]]:
    """Run one file in a worker process. Returns its row, and what goes into the shard of the block."""
    worker = _worker(task, place)
    row = worker.row(item, number)
    return row, worker.take_shard()


def _one_by_one(task: MapTask, place: str, block: Block) -> Done:
    """Run a block whose worker died. A file that kills its process has that in its row."""
    import time
    from concurrent.futures.process import BrokenProcessPool

    began, rows = time.perf_counter(), list[Row]()
    worker = Worker(task, place)
    items = list(worker.items(block))
    while len(rows) < len(items):
        with worker_pool(1) as pool:
            for item in items[len(rows) :]:
                try:
                    row, shard = pool.submit(_run_row, task, place, item, block.number).result()
                except BrokenProcessPool:
                    reason = MemoryError("a worker process died at this file, perhaps because memory ran out")
                    rows.append({"path": item.path, **error_row(reason)})
                    break
                rows.append(row)
                worker.add_to_shard(shard)
    failed = worker.write(block.number, rows)
    return Done(block.number, len(rows), failed, time.perf_counter() - began, peak_mib())


class RayWorker:
    """A worker as Ray Data calls it: a batch of blocks in, a batch of reports out.

    Ray starts a worker that died again, with the same block, for ever. A block that was begun twice without an end is
    therefore done file by file.
    """

    def __init__(self, task: MapTask, place: str) -> None:
        self.task, self.place, self.folder = task, place, RunFolder(place)
        self.worker = Worker(task, place)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        numbers = zip(*(batch[name].tolist() for name in Block._fields), strict=True)
        done = [self.run(Block(*values)) for values in numbers]
        return {name: [getattr(one, name) for one in done] for name in Done._fields}

    def run(self, block: Block) -> Done:
        """Run one block."""
        careful = self.folder.count_try(block.number) >= TRIES
        done = _one_by_one(self.task, self.place, block) if careful else self.worker.run(block)
        self.folder.forget_tries(block.number)
        return done


def on_ray(
    task: MapTask, place: str, blocks: Sequence[Block], *, workers: int, address: str | None = None
) -> Generator[Done]:
    """Run blocks with Ray Data. Ray places the workers, feeds them and starts lost ones again.

    Args:
        task: The task.
        place: The folder of the run, which every machine can reach.
        blocks: What is to be done.
        workers: The largest number of workers.
        address: The cluster, such as "auto" or "ray://head:10001". None starts Ray on this machine alone.

    Yields:
        Each block when it is done, in any order.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    ray = _ray()
    Tools(task).load()  # what is missing is a sentence here, and a trace of Ray's there
    started = not ray.is_initialized()
    if started:
        if address is None:  # Ray's workers are as important here as the pool's
            os.environ.setdefault("RAY_worker_niceness", "0")
            os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        local = {"num_cpus": workers, "include_dashboard": False} if address is None else {"address": address}
        ray.init(logging_level="ERROR", log_to_driver=False, **local)
        logging.getLogger("ray.data").setLevel(logging.ERROR)  # the level above does not reach it
    try:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        gpus = {"num_gpus": 1} if task.device.startswith("cuda") else {}
        found = ray.data.from_items(
            [block._asdict() for block in blocks], override_num_blocks=min(len(blocks), MOST_RAY_BLOCKS)
        ).map_batches(
            RayWorker,
            fn_constructor_args=(task, place),
            batch_size=1,
            concurrency=(1, workers) if address else workers,
            num_cpus=task.threads,
            **gpus,
        )
        for row in found.iter_rows():
            yield Done(**row)
    finally:
        if started:
            ray.shutdown()


MOST_RAY_BLOCKS = 10_000
"""Largest number of pieces that Ray Data splits a run into. Each piece holds one of our blocks or several."""


def _ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtraError("The engine ray", "scale") from error
    return ray


ENGINES: dict[str, Callable[..., Generator[Done]]] = {"processes": in_processes, "ray": on_ray}
"""Maps the name of an engine to the function that runs it."""
