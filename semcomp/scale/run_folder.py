"""The folder of a run: what was planned, and which blocks are done. It is all that a run needs to go on.

    labels.parquet/
      _semcomp.json              the task, written once
      _inputs-00000.parquet      the planned files, one row group a block; a later run adds another file for new inputs
      part-000000.parquet        the rows of block 0, written whole when the block is done
      _try-000001                how often block 1 was begun, on Ray; it goes when the block is done

Readers of Parquet take the folder for one table and skip names that begin with an underscore. A block is done if its
part exists. A part is whole or absent, and its number decides its rows: however often a run is killed, no row is lost
and none comes twice.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import semcomp
from semcomp.errors import FormatError, TargetError
from semcomp.scale.task import BLOCK, WRITING, MapTask, arrow
from semcomp.storage.files import exists, names_in, read_bytes, remove, write_whole
from semcomp.storage.shards import open_stream
from semcomp.storage.urls import archive_protocol, is_text, is_url, join

FORMAT = "semcomp-map-1"
_MANIFEST, _TRY = "_semcomp.json", "_try-"
_PLAN, _PART = re.compile(r"_inputs-(\d{5})\.parquet"), re.compile(r"part-(\d{6,})\.parquet")


class Input(NamedTuple):
    """One planned file."""

    path: str
    """Its path or URL"""
    relative: str
    """Its path below the folder, glob or archive that the user named"""
    reason: str | None = None
    """Why it cannot be used, for a file that is known to fail"""


class Block(NamedTuple):
    """Files that one worker does at once, and whose rows become one part."""

    number: int
    plan: int
    """Number of the file that lists its inputs"""
    group: int
    """Row group in that file"""
    files: int
    """Number of inputs. A shard counts as one, whatever it holds"""


class RunFolder:
    """The folder of a run, which is a local path or a URL."""

    def __init__(self, place: str) -> None:
        self.place = place

    def begin(self, task: MapTask, *, force: bool) -> None:
        """Write the manifest, or check that the folder belongs to the same task.

        Args:
            task: The task.
            force: Whether to remove what another run left.

        Raises:
            TargetError: The folder holds the rows of another task, or of no run at all.
            FormatError: The manifest is damaged.
        """
        if not is_url(self.place) and Path(self.place).is_file():
            raise TargetError(f"{self.place} is a file, and the rows go into a folder: name another output")
        names = names_in(self.place)
        if force:
            for name in [
                n for n in names if n != _MANIFEST and (_PLAN.fullmatch(n) or _PART.fullmatch(n) or n.startswith(_TRY))
            ]:
                remove(self.name(name))
            if _MANIFEST in names:
                remove(self.name(_MANIFEST))
                names.remove(_MANIFEST)
        if _MANIFEST not in names:
            if any(_PART.fullmatch(name) for name in names) and not force:
                raise TargetError(
                    f"{self.place} holds other Parquet files: name another output, or overwrite it with force"
                )
            manifest = {"format": FORMAT, "semcomp": semcomp.__version__, "task": json.loads(task.to_json())}
            write_whole(self.name(_MANIFEST), json.dumps(manifest, indent=1).encode())
            return
        before = self._task()
        now = json.loads(task.to_json())
        differing = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
        if differing:
            shown = ", ".join(f"{key} was {before.get(key)!r} and is {now.get(key)!r}" for key in differing)
            raise TargetError(
                f"{self.place} holds rows of another task ({shown}): name another output, or overwrite it with force"
            )

    def _task(self) -> dict[str, Any]:
        try:
            manifest = json.loads(read_bytes(self.name(_MANIFEST)))
            if manifest["format"] != FORMAT:
                raise ValueError(f"its format is {manifest['format']!r}")
            return dict(manifest["task"])
        except (ValueError, KeyError, TypeError) as error:
            raise FormatError(
                f"{self.name(_MANIFEST)} is damaged ({error}): name another output, or overwrite it with force"
            ) from error

    def name(self, file: str) -> str:
        """Return the path or URL of a file in the folder."""
        return join(self.place, file)

    def part(self, number: int) -> str:
        """Return the path or URL of the part of a block."""
        return self.name(f"part-{number:06}.parquet")

    def count_try(self, number: int) -> int:
        """Count that a block is begun, and return how often it was begun before without an end."""
        name = self.name(f"{_TRY}{number:06}")
        before = int(read_bytes(name) or b"0") if exists(name) else 0
        write_whole(name, str(before + 1).encode())
        return before

    def forget_tries(self, number: int) -> None:
        """Forget how often a block was begun, because it is done."""
        remove(self.name(f"{_TRY}{number:06}"))

    def finished(self) -> set[int]:
        """Return the numbers of the blocks that are done."""
        matches = (_PART.fullmatch(name) for name in names_in(self.place))
        return {int(match[1]) for match in matches if match}

    def blocks(self) -> list[Block]:
        """Return every planned block in order."""
        pq, found = arrow().parquet, list[Block]()
        for plan in self._plans():
            with open_stream(self.name(f"_inputs-{plan:05}.parquet")) as stream:
                metadata = pq.ParquetFile(stream).metadata
            for group in range(metadata.num_row_groups):
                found.append(Block(len(found), plan, group, metadata.row_group(group).num_rows))
        return found

    def inputs(self, block: Block) -> list[Input]:
        """Return the files of a block in order."""
        with open_stream(self.name(f"_inputs-{block.plan:05}.parquet")) as stream:
            rows = arrow().parquet.ParquetFile(stream).read_row_group(block.group).to_pylist()
        return [Input(**row) for row in rows]

    def add_inputs(self, inputs: Iterable[Input], *, task: MapTask, block: int = BLOCK) -> int:
        """Plan the files that are not planned yet, and return their number.

        Args:
            inputs: Every file that the user means now, in order.
            task: The task. Of two files that would be written to one target, the second fails.
            block: Files of a block.
        """
        plans = self._plans()
        known: set[str] = set()
        targets: set[str] = set()
        mirrored = task.verb in WRITING and not task.shards
        for plan in plans:
            with open_stream(self.name(f"_inputs-{plan:05}.parquet")) as stream:
                table = arrow().parquet.read_table(stream, columns=["path", "relative"])
            known.update(table["path"].to_pylist())
            if mirrored:
                targets.update(_target(relative) for relative in table["relative"].to_pylist())
        new: list[Input] = []
        for given in inputs:
            entry = _in_utf8(given)
            if entry.path in known:
                continue
            known.add(entry.path)
            if mirrored and entry.reason is None and _target(entry.relative) in targets:
                taken = f"{_target(entry.relative)}.{task.suffix} is already written from another file"
                entry = entry._replace(reason=taken)
            if mirrored:
                targets.add(_target(entry.relative))
            new.append(entry)
        if new:
            number = plans[-1] + 1 if plans else 0
            write_whole(self.name(f"_inputs-{number:05}.parquet"), _packed(in_blocks(new, block)))
        return len(new)

    def _plans(self) -> list[int]:
        matches = (_PLAN.fullmatch(name) for name in names_in(self.place))
        return sorted(int(match[1]) for match in matches if match)

    def failed_blocks(self) -> set[int]:
        """Return the numbers of the finished blocks in which a file failed."""
        pq, failed = arrow().parquet, set[int]()
        for number in self.finished():
            with open_stream(self.part(number)) as stream:
                errors = pq.read_table(stream, columns=["error"])["error"]
            if errors.null_count < len(errors):
                failed.add(number)
        return failed


def is_shard(path: str) -> bool:
    """Return whether an input is a WebDataset shard, which is a block of its own."""
    return archive_protocol(path) == "tar"


def in_blocks(inputs: Sequence[Input], size: int) -> list[list[Input]]:
    """Split files into blocks, in order. A shard is a block of its own."""
    blocks: list[list[Input]] = []
    for entry in inputs:
        alone = is_shard(entry.path)
        if alone or not blocks or len(blocks[-1]) >= size or is_shard(blocks[-1][-1].path):
            blocks.append([])
        blocks[-1].append(entry)
    return blocks


def _target(relative: str) -> str:
    return str(PurePosixPath(relative).with_suffix(""))


def _in_utf8(entry: Input) -> Input:
    """Escape a name that is not UTF-8, which Parquet cannot hold. The file gets a row that says so."""
    if is_text(entry.path) and is_text(entry.relative):
        return entry
    path, relative = (name.encode("utf-8", "backslashreplace").decode() for name in entry[:2])
    return Input(path, relative, entry.reason or "its name is not text (UTF-8), as Parquet needs: rename the file")


def _packed(blocks: Iterable[list[Input]]) -> bytes:
    """Write planned blocks into the bytes of a Parquet file, one row group each."""
    pa, buffer = arrow(), io.BytesIO()
    schema = pa.schema([("path", pa.string()), ("relative", pa.string()), ("reason", pa.string())])
    with pa.parquet.ParquetWriter(buffer, schema, compression="zstd") as writer:
        for block in blocks:
            writer.write_table(pa.Table.from_pylist([entry._asdict() for entry in block], schema=schema))
    return buffer.getvalue()
