"""Which files a command reads and writes: folders, globs, mirrored trees, and never half a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterable
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from semcomp.cli.exit_codes import UsageError

STREAM = "-"
IMAGE_SUFFIXES = (
    *(".avif", ".bmp", ".gif", ".heic", ".heif", ".j2k", ".jp2", ".jpeg", ".jpg"),
    *(".pgm", ".png", ".pnm", ".ppm", ".qoi", ".tga", ".tif", ".tiff", ".webp"),
)


class Job(NamedTuple):
    """One input and its target. `-` is stdin or stdout."""

    source: str
    target: str


class Unusable(NamedTuple):
    """An input that no job can be made of, and the reason."""

    source: str
    reason: str


class _Found(NamedTuple):
    source: str
    mirrored: Path
    """Where below an output folder it belongs, still with the suffix of the source."""


def plan_jobs(
    inputs: Iterable[str], *, output: str | None, read_suffixes: Collection[str], write_suffix: str
) -> tuple[list[Job], list[Unusable]]:
    """Expand `inputs` and give each file a target.

    Without `output` a target stands beside its source, and stdin goes to stdout. A folder, a glob, several
    inputs or an existing folder as `output` mirror the tree below it. Raises UsageError where the request
    makes no sense.
    """
    found: list[_Found] = []
    unusable: list[Unusable] = []
    many = False
    for name in inputs:
        entries, is_tree = _expand(name, read_suffixes)
        many = many or is_tree
        found += entries
        if not entries:
            what = "no image files" if Path(name).is_dir() and len(read_suffixes) > 1 else "nothing"
            unusable.append(Unusable(name, f"{what} found here" if is_tree else "no such file or folder"))
    found = list({entry.source: entry for entry in found}.values())
    many = many or len(found) + len(unusable) > 1
    if sum(entry.source == STREAM for entry in found) and len(found) > 1 and output != STREAM:
        raise UsageError("stdin (-) cannot be mixed with other inputs")

    target_of = _target_rule(output, many=many, write_suffix=write_suffix)
    jobs: list[Job] = []
    writer_of: dict[str, str] = {}
    for entry in found:
        target = target_of(entry)
        if target != STREAM and target in writer_of:
            unusable.append(Unusable(entry.source, f"{target} is already written from {writer_of[target]}"))
        elif target != STREAM and Path(target) == Path(entry.source):
            unusable.append(Unusable(entry.source, "would be overwritten by its own result: choose another -o"))
        else:
            writer_of[target] = entry.source
            jobs.append(Job(entry.source, target))
    return jobs, unusable


def list_jobs(inputs: Iterable[str], *, read_suffixes: Collection[str]) -> tuple[list[Job], list[Unusable]]:
    """The files behind `inputs`, for a command that writes none: their targets are empty."""
    jobs: dict[str, Job] = {}
    unusable = []
    for name in inputs:
        entries, is_tree = _expand(name, read_suffixes)
        jobs.update({entry.source: Job(entry.source, "") for entry in entries})
        if not entries:
            unusable.append(Unusable(name, "nothing found here" if is_tree else "no such file or folder"))
    return list(jobs.values()), unusable


def _target_rule(output: str | None, *, many: bool, write_suffix: str) -> Callable[[_Found], str]:
    if output == STREAM:
        if many:
            raise UsageError("several inputs cannot share stdout: give -o a folder")
        return lambda entry: STREAM
    if output is None:
        return lambda entry: STREAM if entry.source == STREAM else str(Path(entry.source).with_suffix(write_suffix))
    folder = Path(output)
    if not many and not folder.is_dir() and not output.endswith(("/", os.sep)):
        return lambda entry: output
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"-o {output} is a file, and these inputs need a folder")

    def below(entry: _Found) -> str:
        if entry.source == STREAM:
            raise UsageError("stdin (-) has no name: give -o a file")
        return str(folder / entry.mirrored.with_suffix(write_suffix))

    return below


def _expand(name: str, suffixes: Collection[str]) -> tuple[list[_Found], bool]:
    """The files behind one input, and whether it is a tree rather than one file."""
    from glob import glob, has_magic

    path = Path(name)
    if name == STREAM or path.is_file():
        return [_Found(name, Path(path.name))], False
    if path.is_dir():
        files = [
            file for file in sorted(path.rglob("*")) if _is_wanted(file.relative_to(path), suffixes) and file.is_file()
        ]
        return [_Found(str(file), file.relative_to(path)) for file in files], True
    if not has_magic(name):
        return [], False
    base = Path(*takewhile(lambda part: not has_magic(part), path.parts))
    files = sorted(Path(match) for match in glob(name, recursive=True))  # noqa: PTH207
    files = [file for file in files if file.is_file()]
    files = [file for file in files if file.suffix.lower() in suffixes] or files
    return [_Found(str(file), file.relative_to(base)) for file in files], True


def _is_wanted(relative: Path, suffixes: Collection[str]) -> bool:
    return relative.suffix.lower() in suffixes and not any(part.startswith(".") for part in relative.parts)


def read_source(source: str) -> bytes:
    """The bytes of a file, or of stdin."""
    return sys.stdin.buffer.read() if source == STREAM else Path(source).read_bytes()


def check_target(target: str, *, force: bool) -> None:
    """Fail before the work rather than after it: FileExistsError without `force`."""
    if target != STREAM and not force and Path(target).exists():
        raise FileExistsError(f"{target} exists: pass --force to overwrite it")


def write_target(target: str, data: bytes, *, force: bool) -> None:
    """Write to stdout, or to a temporary file beside the target that is then renamed: never half a file."""
    if target == STREAM:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    import secrets

    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name[:80]}.{secrets.token_hex(6)}.tmp")
    try:
        with temporary.open("xb") as stream:
            stream.write(data)
        check_target(target, force=force)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
