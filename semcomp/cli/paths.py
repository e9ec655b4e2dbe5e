"""Which files a command writes: targets beside or below, and never half a file."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from semcomp.cli.exit_codes import UsageError
from semcomp.cli.failures import check_url, concerning
from semcomp.cli.inputs import IMAGE_SUFFIXES as IMAGE_SUFFIXES
from semcomp.cli.inputs import STREAM as STREAM
from semcomp.cli.inputs import Expansion, Found, Unusable, expand, is_pipe, kinds_in_words
from semcomp.cli.output_formats import check_suffix
from semcomp.cli.own_outputs import mark_in
from semcomp.errors import FormatError, ImageError
from semcomp.storage.files import exists, is_folder, read_bytes, replacing, write_bytes
from semcomp.storage.places import option_that_names, place_of
from semcomp.storage.urls import can_be_written, is_url, join, local_name
from semcomp.storage.urls import with_suffix as with_suffix
from semcomp.storage.writable import check_writable, is_open_ended

_STDOUT = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
"""Names of stdout, which must not get lines of text beside the data"""
_SOURCES = ""
"""Stands for the files behind folders and globs where options are searched for a target"""
_POSITIONAL = (_SOURCES, "input", "inputs")
_NO_INPUTS = ("output", "values", "command", "device", "form", "format", "mode")
"""Names of options whose values are no inputs. The value of any other option may be a file that is read."""


class Job(NamedTuple):
    """One input and its target, which are paths or URLs. `-` is stdin or stdout."""

    source: str
    target: str
    keeps: bool = False
    """Whether a target that exists is kept, and is not a failure: the job is one of several, and a run may resume"""


class JobPlan(NamedTuple):
    """The jobs of a command, and what became no job."""

    jobs: list[Job]
    unusable: list[Unusable]
    notes: list[str]
    """What was left out, in sentences for the user"""


def plan_jobs(
    inputs: Iterable[str],
    *,
    output: str | None,
    read_suffixes: Collection[str],
    write_suffix: str,
    suffix_decides: bool = False,
) -> JobPlan:
    """Expand the arguments of a command and give each file a target.

    Args:
        inputs: Files, folders, globs, URLs, archives and `-`.
        output: A file, a folder, a URL, `-`, or None. With None a target is beside its source, and a pipe goes to
            stdout. A folder, a glob, several inputs and an existing folder as `output` mirror the tree of the inputs
            below it.
        read_suffixes: The suffixes of files that count in folders and globs.
        write_suffix: The suffix of the targets.
        suffix_decides: Whether the suffix of a file as `output` says the format, rather than has to fit the result.

    Raises:
        UsageError: The request makes no sense.
    """
    output = STREAM if output in _STDOUT else None if output is None else local_name(output)
    if output is not None and is_url(output):
        check_url(output)
    expansion = expand(inputs, read_suffixes)
    streams = sum(entry.source == STREAM for entry in expansion.found)
    if streams and len(expansion.found) > 1 and output != STREAM:
        raise UsageError("stdin (-) cannot be mixed with other inputs")
    target_of = _target_rule(output, expansion, write_suffix, suffix_decides)
    sources = {place_of(entry.source): entry.source for entry in expansion.found if entry.source != STREAM}
    jobs: list[Job] = []
    unusable = expansion.unusable
    writer_of: dict[str, str] = {}
    for entry in expansion.found:
        target = target_of(entry)
        if target != STREAM and target in writer_of:
            reason = f"{target} is the target of {writer_of[target]} too: run it alone, with another -o"
            unusable.append(Unusable(entry.source, reason, FileExistsError))
        elif target != STREAM and (lost := sources.get(place_of(target))) is not None:
            unusable.append(_overwriting(entry.source, lost, read_suffixes))
        else:
            writer_of[target] = entry.source
            jobs.append(Job(entry.source, target, keeps=expansion.many))
    return JobPlan(jobs, unusable, expansion.notes)


def _overwriting(source: str, lost: str, read_suffixes: Collection[str]) -> Unusable:
    """Refuse an input whose result would replace `lost`, an input of the same run."""
    if lost != source:
        reason = f"its result would overwrite {lost}, which is an input too: choose another -o"
        return Unusable(source, reason, FileExistsError)
    if tuple(read_suffixes) == (".semc",) and Path(source).suffix.lower() != ".semc":
        return Unusable(source, "this is not a .semc file: decode takes what semcomp encode wrote", FormatError)
    if Path(source).suffix.lower() not in read_suffixes:
        reason = f"this is a {Path(source).suffix.lower()} file: give a {kinds_in_words(read_suffixes)}"
        return Unusable(source, reason, ImageError)
    return Unusable(source, "would be overwritten by its own result: choose another -o", FileExistsError)


def list_expanded(inputs: Iterable[str], *, read_suffixes: Collection[str]) -> Expansion:
    """Find the files behind the arguments of a command, with their places in the trees that the arguments name.

    Raises:
        UsageError: An argument is a pipe.
        Exception: There is no file at all. The error is the first argument's own.
    """
    expansion = expand(inputs, read_suffixes)
    if not expansion.found:
        raise expansion.unusable[0].named_error
    if any(entry.piped for entry in expansion.found):
        raise UsageError("a pipe can be read once, and a run may be resumed: save it to a file")
    return expansion


def list_jobs(inputs: Iterable[str], *, read_suffixes: Collection[str], originals: bool = False) -> JobPlan:
    """Expand the arguments of a command that writes no file for each input, as `expand` says; the targets are empty."""
    expansion = expand(inputs, read_suffixes, originals=originals)
    return JobPlan([Job(entry.source, "") for entry in expansion.found], expansion.unusable, expansion.notes)


def _target_rule(
    output: str | None, expansion: Expansion, write_suffix: str, suffix_decides: bool
) -> Callable[[Found], str]:
    if output == STREAM:
        if expansion.many:
            raise UsageError("several inputs cannot share stdout: give -o a folder")
        return lambda entry: STREAM
    if output is None:
        if expansion.many and any(entry.piped for entry in expansion.found):
            raise UsageError("a pipe has no folder that its result could go to: give -o a folder")
        for entry in expansion.found:
            beside(entry.source, write_suffix)
        return lambda entry: STREAM if entry.piped else with_suffix(entry.source, write_suffix)
    if not expansion.many and not is_folder(output) and not output.endswith(("/", os.sep)):
        check_suffix(output, write_suffix, decides=suffix_decides)
        return lambda entry: output
    if (is_url(output) or os.path.exists(output)) and not is_folder(output) and exists(output):  # noqa: PTH110
        raise UsageError(f"-o {output} is a file, and these inputs need a folder")

    def below(entry: Found) -> str:
        if entry.source == STREAM:
            raise UsageError("stdin (-) has no name: give -o a file")
        return join(output, entry.mirrored.with_suffix(write_suffix).as_posix())

    return below


def is_data_on_stdout(options: Namespace) -> bool:
    """Return whether a command writes its result to stdout, so that its lines go to stderr."""
    output = getattr(options, "output", None)
    if output is not None or not getattr(options, "piped", False):
        return output in (STREAM, *_STDOUT)
    return any(
        name == STREAM or (os.path.exists(name) and is_pipe(Path(name)))  # noqa: PTH110 - the name may be too long
        for name in options.inputs
    )


def beside(source: str, suffix: str) -> str:
    """Return the name of a result beside its source, with another suffix. UsageError where none can be written."""
    if is_url(source) and not can_be_written(source):
        raise UsageError(f"nothing can be written beside {source}: give -o a file or a folder")
    return with_suffix(source, suffix)


def read_source(source: str) -> bytes:
    """Read a file, a URL, a pipe or stdin.

    Raises:
        ImageError: The file behind a URL is a picture that semcomp wrote for people to look at.
    """
    if source == STREAM:
        return sys.stdin.buffer.read()
    data = read_bytes(source)
    if is_url(source) and (kind := mark_in(data)):
        raise ImageError(f"semcomp wrote this {kind}; it is not a photo")
    return data


def check_target(target: str, options: Namespace, *, sources: Iterable[str] = ()) -> None:
    """Check before the work, rather than after it, that a target can be written and that no input is lost.

    Args:
        target: The file or URL that will be written, or `-`.
        options: The options of the command. A command without --force overwrites what exists.
        sources: The files behind inputs that are folders or globs. `plan_jobs` has checked what is behind its jobs.

    Raises:
        UsageError: The target is an input, or a file that another option names.
        Fault: The target cannot be written.
        FileExistsError: The target exists, without --force.
    """
    if target == STREAM:
        return
    force = getattr(options, "force", True)
    _refuse_inputs(target, options, sources)
    if is_url(target):
        check_url(target)
        if not force and exists(target):
            raise FileExistsError(f"{target} exists: pass --force to overwrite it")
        return
    _refuse_existing(Path(target), force=force)
    with concerning(target, written=True):
        check_writable(target)


def _refuse_inputs(target: str, options: Namespace, sources: Iterable[str]) -> None:
    """Raise UsageError for a target that the command reads, whichever option names it."""
    given = {name: value for name, value in vars(options).items() if (name, value) != ("model", "base")}
    name = option_that_names(target, {_SOURCES: tuple(sources), **given}, words=_NO_INPUTS)
    if name is not None:
        where = "is an input" if name in _POSITIONAL else f"is what --{name.replace('_', '-')} names"
        raise UsageError(f"{target} {where}, and would be overwritten: choose another -o")


def _refuse_existing(path: Path, *, force: bool) -> None:
    is_there = os.path.exists(path) and not path.is_dir()  # noqa: PTH110 - the name may be too long
    if not force and is_there and not is_open_ended(path):
        raise FileExistsError(f"{path} exists: pass --force to overwrite it")


def write_target(target: str, data: bytes, *, force: bool) -> None:
    """Write a file so that it is whole or absent: to a temporary file that is then renamed, or to an object store.

    Stdout, FIFOs and devices are written to. A symbolic link stays, and the file that it points to is replaced.

    Raises:
        Fault: The target cannot be written.
        FileExistsError: The target exists, without `force`.
    """
    if target == STREAM:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    if is_url(target):
        with concerning(target, written=True):
            write_bytes(target, data)
        return
    path = Path(target)
    with concerning(target, written=True):
        if is_open_ended(path):
            with path.open("wb") as stream:
                stream.write(data)
            return
        path = Path(os.path.realpath(path)) if path.is_symlink() else path
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            with temporary.open("xb") as stream:
                stream.write(data)
            _refuse_existing(path, force=force)
