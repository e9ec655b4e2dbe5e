"""Folders of arrays that are filled once, a row for each crop of each picture, and then mapped into memory.

A folder gets its name when it is complete. What was interrupted, or killed, is gone on with.
"""

import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

COUNT = "pictures"
"""The file in an unfinished folder that says how many pictures are done."""
ABANDONED = 120
"""Seconds without a change after which an unfinished folder is nobody's."""
Row = Mapping[str, Any]
"""A row of each array of a folder, by the array's name."""


def make_folders(
    keys: Mapping[Path, str],
    work: Callable[[int], Sequence[Mapping[Path, Row]]],
    *,
    pictures: int,
    copies: int,
    quiet: bool = False,
) -> None:
    """Fill folders that are not there yet.

    Args:
        keys: JSON of all that each folder depends on, which is written into it as key.json.
        work: Makes the rows of a numbered picture: for each copy of it a row of each folder. It runs in threads.
        pictures: Number of the pictures.
        copies: Number of rows of each picture.
        quiet: Whether the progress bar is left out.
    """
    folders = {place: _unfinished(place) for place in keys}
    try:
        _fill(folders, work, pictures=pictures, copies=copies, quiet=quiet)
        for place, folder in folders.items():
            (folder / "key.json").write_text(json.dumps(json.loads(keys[place]), indent=1))
            (folder / COUNT).unlink()
            if place.is_dir():  # another process has made the same one meanwhile
                shutil.rmtree(folder, ignore_errors=True)
            else:
                folder.rename(place)
    except Exception:
        for folder in folders.values():
            shutil.rmtree(folder, ignore_errors=True)
        raise
    except BaseException:  # interrupted: the next process need not wait
        for folder in folders.values():
            with suppress(OSError):
                os.utime(folder / COUNT, (0, 0))
        raise


def _unfinished(place: Path) -> Path:
    """The folder in which a place is made: one that another process has left, or a new one."""
    mine = place.parent / f".{place.name}.{secrets.token_hex(4)}"
    place.parent.mkdir(parents=True, exist_ok=True)
    for left in place.parent.glob(f".{place.name}.*"):
        with suppress(OSError):
            if time.time() - (left / COUNT).stat().st_mtime > ABANDONED:
                left.rename(mine)
                return mine
    mine.mkdir()
    return mine


def _fill(
    folders: Mapping[Path, Path],
    work: Callable[[int], Sequence[Mapping[Path, Row]]],
    *,
    pictures: int,
    copies: int,
    quiet: bool,
) -> None:
    begin = min(_done(folder) for folder in folders.values())
    arrays = {place: _Arrays(folder, pictures * copies) for place, folder in folders.items()}
    bar = tqdm(total=pictures * copies, desc="encoding crops", unit="crop", disable=quiet, leave=False)
    kept = time.monotonic()
    with single_threaded_pool() as pool, bar:
        bar.update(begin * copies)
        for number, rows in enumerate(in_order(pool, work, range(begin, pictures)), begin):
            for copy, row in enumerate(rows):
                for place, values in row.items():
                    arrays[place].write(number * copies + copy, values)
                bar.update()
            if number == pictures - 1 or time.monotonic() - kept > ABANDONED / 4:
                kept = time.monotonic()
                for some in arrays.values():
                    some.keep(number + 1)


def _done(folder: Path) -> int:
    """How many pictures an unfinished folder holds."""
    try:
        return int((folder / COUNT).read_text())
    except (OSError, ValueError):
        return 0


class _Arrays:
    """The arrays of a folder that is being filled."""

    def __init__(self, folder: Path, rows: int):
        self.folder, self.rows = folder, rows
        self.arrays: dict[str, Any] = {}

    def write(self, number: int, row: Row) -> None:
        """Write a row of every array."""
        for name, value in row.items():
            value = np.asarray(value)
            if name not in self.arrays:
                path, shape = self.folder / f"{name}.npy", (self.rows, *value.shape)
                mode, form = ("r+", {}) if path.is_file() else ("w+", {"dtype": value.dtype, "shape": shape})
                self.arrays[name] = np.lib.format.open_memmap(path, mode, **form)  # type: ignore[no-untyped-call]
            self.arrays[name][number] = value

    def keep(self, pictures: int) -> None:
        """Bring everything to disk, and note how many pictures that is."""
        for array in self.arrays.values():
            array.flush()
        (self.folder / COUNT).write_text(str(pictures))


def in_order(
    pool: ThreadPoolExecutor, work: Callable[[Any], Any], items: Sequence[Any], *, ahead: int = 8
) -> Iterator[Any]:
    """`pool.map` that holds only a few results at a time."""
    waiting = [pool.submit(work, item) for item in items[:ahead]]
    for item in [*items[ahead:], *[None] * len(waiting)]:
        yield waiting.pop(0).result()
        if item is not None:
            waiting.append(pool.submit(work, item))


@contextmanager
def single_threaded_pool() -> Iterator[ThreadPoolExecutor]:
    """Threads, one a core, each with one thread of torch's own: small pictures gain nothing by more."""
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
