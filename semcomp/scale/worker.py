"""A worker: it holds the networks and does one block of files at a time. Processes and Ray run the same class."""

from __future__ import annotations

import io
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import PurePosixPath
from typing import NamedTuple

from semcomp.errors import FormatError, SemcompError, SemcompWarning
from semcomp.scale.run_folder import Block, Input, RunFolder, is_shard
from semcomp.scale.task import MapTask, arrow, schema_of
from semcomp.scale.verbs import FUNCTIONS, Row, Tools, error_row, size_in
from semcomp.storage.files import read_bytes, write_whole
from semcomp.storage.shards import pack_shard, read_shard
from semcomp.storage.urls import LEADS_OUT, join, leads_out, member_url

PICTURES = ("semc", "avif", "bmp", "gif", "heic", "jp2", "jpeg", "jpg", "jxl", "png", "ppm", "tif", "tiff", "webp")
"""Extensions of the member of a sample that a shard is mapped over, the first one that is there."""
SHARD_NAME = "part-{:06}.tar"
"""Name of the shard of a block, by the block's number."""


class Done(NamedTuple):
    """What a worker says about a block."""

    number: int
    files: int
    failed: int
    seconds: float
    peak_mib: float
    """Largest memory of the worker so far"""


class Item(NamedTuple):
    """One file of a block after it was read."""

    path: str
    relative: str
    data: bytes | None
    error: BaseException | None = None
    beside: dict[str, bytes] | None = None
    """The other members of a shard's sample"""


class Worker:
    """Runs a task on blocks of files."""

    def __init__(self, task: MapTask, place: str) -> None:
        self.task, self.folder, self.tools = task, RunFolder(place), Tools(task)
        self.tools.load()
        self._shard: list[tuple[str, dict[str, bytes]]] = []

    def run(self, block: Block) -> Done:
        """Do the files of a block and write its part. A file that fails has its error in its row."""
        began = time.perf_counter()
        rows = [self.row(item, block.number) for item in self.items(block)]
        failed = self.write(block.number, rows)
        return Done(block.number, len(rows), failed, time.perf_counter() - began, peak_mib())

    def items(self, block: Block) -> Iterator[Item]:
        """Read the files of a block, one after the other."""
        for entry in self.folder.inputs(block):
            if entry.reason is not None:
                yield Item(entry.path, entry.relative, None, SemcompError(entry.reason))
            elif is_shard(entry.path):
                yield from self._samples(entry)
            else:
                try:
                    yield Item(entry.path, entry.relative, read_bytes(entry.path))
                except (SemcompError, OSError) as error:
                    yield Item(entry.path, entry.relative, None, error)

    def _samples(self, entry: Input) -> Iterator[Item]:
        """Read a shard. If it ends too early, the samples before stay, and one row more says so."""
        try:
            for sample in read_shard(entry.path):
                extension = next((name for name in PICTURES if name in sample.members), None)
                path = member_url("tar", sample.key if extension is None else sample.names[extension], entry.path)
                if extension is None or leads_out(sample.key):
                    reason = SemcompError("no picture in it") if extension is None else FormatError(LEADS_OUT)
                    yield Item(path, sample.key, None, reason)
                    continue
                beside = {name: data for name, data in sample.members.items() if name != extension}
                relative = f"{PurePosixPath(entry.relative).with_suffix('')}/{sample.key}.{extension}"
                yield Item(path, relative, sample.members[extension], beside=beside)
        except (SemcompError, OSError) as error:
            yield Item(entry.path, entry.relative, None, error)

    def row(self, item: Item, number: int) -> Row:
        """Do one file. Whatever goes wrong with it becomes part of its row."""
        began, used = time.perf_counter(), time.process_time()
        row: Row = {"path": item.path}
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", SemcompWarning)
            try:
                if item.error is not None:
                    raise item.error
                assert item.data is not None
                row["bytes"] = len(item.data)
                outcome = FUNCTIONS[self.task.verb](item.data, self.tools)
                row |= outcome.row
                if outcome.output is not None:
                    row["output"] = self._keep(item, outcome.output, number)
            except Exception as error:
                row |= size_in(item.data or b"") | error_row(error)
        row["warnings"] = [str(entry.message) for entry in heard] or None
        row |= {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - used}
        return row

    def _keep(self, item: Item, output: bytes, number: int) -> str:
        """Write the file of a row, or put it into the shard of the block. Returns its path or URL."""
        assert self.task.files is not None
        target = str(PurePosixPath(item.relative).with_suffix(f".{self.task.suffix}"))
        if not self.task.shards:
            where = join(self.task.files, target)
            write_whole(where, output)
            return where
        key = target.removesuffix(f".{self.task.suffix}").replace(".", "_")
        self._shard.append((key, {self.task.suffix: output, **(item.beside or {})}))
        return member_url("tar", f"{key}.{self.task.suffix}", self.shard_name(number))

    def take_shard(self) -> list[tuple[str, dict[str, bytes]]]:
        """Return what was collected for the shard, and forget it."""
        shard, self._shard = self._shard, []
        return shard

    def add_to_shard(self, samples: list[tuple[str, dict[str, bytes]]]) -> None:
        """Add what another worker collected."""
        self._shard += samples

    def shard_name(self, number: int) -> str:
        """Return the path or URL of the shard of a block."""
        assert self.task.files is not None
        return join(self.task.files, SHARD_NAME.format(number))

    def write(self, number: int, rows: list[Row]) -> int:
        """Write the shard and then the part of a block. Returns the number of files that failed."""
        if self.task.shards:
            write_whole(self.shard_name(number), pack_shard(self.take_shard()))
        write_whole(self.folder.part(number), self.packed(rows))
        return sum(row.get("error") is not None for row in rows)

    def packed(self, rows: list[Row]) -> bytes:
        """Write rows into the bytes of a Parquet file."""
        pa, buffer = arrow(), io.BytesIO()
        width = self.tools.embedding_width if self.task.verb == "embed" else 0
        if width:  # readers of Parquet refuse lists of a fixed size that are null
            rows = [{**row, "embedding": row.get("embedding", [float("nan")] * width)} for row in rows]
        table = pa.Table.from_pylist(rows, schema=schema_of(self.task, embedding=width))
        pa.parquet.write_table(table, buffer, compression="zstd")
        return buffer.getvalue()


def peak_mib() -> float:
    """Largest memory of this process so far, in MiB; 0 where the system does not tell."""
    with suppress(ImportError):
        import resource
        import sys

        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return used / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    return 0.0
