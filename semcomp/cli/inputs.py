"""Which files an argument stands for: a file, a pipe, a folder, a glob, a URL or an archive. Every file is found once.

Folders and globs follow symbolic links to folders, and visit each folder once, however the links run in circles.
Pictures that semcomp wrote for people to look at (label maps, overlays, plots) are marked inside the file. They
are never inputs. Behind a URL the mark is looked for when the file is read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from semcomp.cli.own_outputs import own_output
from semcomp.errors import FormatError, ImageError
from semcomp.storage.listing import IMAGE_SUFFIXES as IMAGE_SUFFIXES
from semcomp.storage.urls import LEADS_OUT, archive_protocol, is_url, local_name, split_chain

STREAM = "-"


class Found(NamedTuple):
    """One file behind an argument."""

    source: str
    """Its path, its URL, or `-` for stdin"""
    mirrored: Path
    """Its path below the folder, the fixed part of the glob, or the root of the archive; its suffix is kept"""
    piped: bool = False
    """Whether it is stdin, a FIFO or a device, which can be read once and has no folder"""


class Unusable(NamedTuple):
    """An input that no job can be made of, and the reason."""

    source: str
    reason: str
    kind: type[Exception] = FileNotFoundError
    """The error that stands for it in JSON and in the exit code"""

    @property
    def error(self) -> Exception:
        """The reason as an error."""
        return self.kind(self.reason)

    @property
    def named_error(self) -> Exception:
        """The reason as an error that ends a whole command, and so names the input."""
        return self.kind(f"{self.source or 'nothing'}: {self.reason}")


class Expansion(NamedTuple):
    """Everything behind the arguments of a command."""

    found: list[Found]
    unusable: list[Unusable]
    notes: list[str]
    """What was left out, in sentences for the user"""
    many: bool
    """Whether a target has to be a folder: an argument is a folder or a glob, or there are several"""


def expand(names: Iterable[str], suffixes: Collection[str], *, originals: bool = False) -> Expansion:
    """Find the files behind the arguments of a command.

    Of a picture and a .semc file of the same name in a folder, one is read. Files that are named themselves are all
    read.

    Args:
        names: The arguments.
        suffixes: The suffixes of files that count in folders and globs.
        originals: Whether the picture is read, rather than the .semc file.

    Returns:
        The files, each once, what cannot be used, and what was left out.
    """
    unusable: list[Unusable] = []
    own: list[Unusable] = []
    files: dict[tuple[str, str], Found] = {}
    trees: set[tuple[str, str]] = set()
    named: set[tuple[str, str]] = set()
    many = False
    for name in names:
        if not name:  # else it would be the current folder, where a variable of the shell is not set
            unusable.append(Unusable(name, "the name of an input is empty: give a file or a folder"))
            continue
        try:
            entries, is_tree = _expand_one(name, suffixes, unusable)
        except OSError as error:
            unusable.append(Unusable(name, error.strerror or str(error), type(error)))
            continue
        many = many or is_tree
        if not entries and not any(entry.source.startswith(name) for entry in unusable):
            unusable.append(Unusable(name, _nothing_here(suffixes) if is_tree else "no such file or folder"))
        for entry in entries:
            if not entry.piped and not is_url(entry.source) and (kind := own_output(entry.source)):
                own.append(Unusable(entry.source, f"semcomp wrote this {kind}; it is not a photo", ImageError))
                continue
            key = _key(entry.source)
            files.setdefault(key, entry)
            (trees if is_tree else named).add(key)
    notes = []
    if ".semc" in suffixes and len(suffixes) > 1:
        notes += _without_twins(files, trees - named, originals=originals)
    many = many or len(files) + len(unusable) + len(own) > 1
    if own and files:
        notes.append(f"left out {_count(len(own), 'picture')} that semcomp wrote (label maps, overlays or plots)")
    elif own:
        unusable += own
    return Expansion(list(files.values()), unusable, notes, many)


def _key(source: str) -> tuple[str, str]:
    """Return the folder and the name of a file, equal for every way that leads to it."""
    if is_url(source):
        first, rest = split_chain(source)
        folder, _, name = first.rpartition("/")
        return f"{folder}{rest}", name
    return os.path.realpath(Path(source).parent), Path(source).name


def _without_twins(files: dict[tuple[str, str], Found], trees: set[tuple[str, str]], *, originals: bool) -> list[str]:
    """Remove from `files` what is in `trees` and has the name of another: pictures, or .semc files with `originals`."""
    encoded = {key for key in files if key[1].lower().endswith(".semc")}
    read, others = (files.keys() - encoded, encoded) if originals else (encoded, files.keys() - encoded)
    stems = {(folder, Path(name).stem) for folder, name in read}
    twice = [key for key in trees & others if (key[0], Path(key[1]).stem) in stems]
    for key in twice:
        del files[key]
    left, kept = (".semc file", "picture") if originals else ("picture", ".semc file")
    return [f"left out {_count(len(twice), left)}: the {kept} of the same name is read"] if twice else []


def _nothing_here(suffixes: Collection[str]) -> str:
    return f"no {kinds_in_words(suffixes)} found here: give another place, or name the files themselves"


def kinds_in_words(suffixes: Collection[str]) -> str:
    """Say what a command reads, such as "picture or .semc file", from the suffixes that count in folders."""
    pictures = set(suffixes) >= set(IMAGE_SUFFIXES)
    others = ", ".join(suffix for suffix in suffixes if not (pictures and suffix in IMAGE_SUFFIXES))
    return " or ".join(["picture"] * pictures + [f"{others} file"] * bool(others))


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _expand_one(name: str, suffixes: Collection[str], unusable: list[Unusable]) -> tuple[list[Found], bool]:
    """Return the files behind one argument, and whether it is a folder or a glob. Folders may add to `unusable`."""
    name = local_name(name)
    path = Path(name)
    if name == STREAM:
        return [Found(name, Path("stdin"), piped=True)], False
    if is_url(name) or (_is_archive(name, suffixes) and path.is_file()):
        return _behind_url(name, suffixes, unusable)
    if path.is_dir():
        files = [file for file in _files_below(path, unusable) if file.suffix.lower() in suffixes]
        return [Found(str(file), file.relative_to(path)) for file in sorted(files)], True
    if path.exists():
        return [Found(name, Path(path.name), piped=is_pipe(path))], False
    if not _has_magic(name):
        return [], False
    fixed = 0
    while not _has_magic(path.parts[fixed]):
        fixed += 1
    base = Path(*path.parts[:fixed])
    matches = {match for match in _matches(base, path.parts[fixed:], unusable) if match.is_file() or _is_broken(match)}
    wanted = [file for file in matches if file.suffix.lower() in suffixes] or list(matches)
    shortest_first = sorted(wanted, key=lambda file: (len(file.parts), file))
    once: dict[tuple[str, str], Path] = {}
    for file in shortest_first:
        once.setdefault((os.path.realpath(file.parent), file.name), file)
    found: list[Found] = []
    for file in sorted(once.values()):
        if _is_archive(str(file), suffixes):
            found += _behind_url(str(file), suffixes, unusable)[0]
        else:
            found.append(Found(str(file), file.relative_to(base)))
    return found, True


def _is_archive(name: str, suffixes: Collection[str]) -> bool:
    """Return whether a name means the members of an archive, rather than the file itself."""
    return archive_protocol(name) is not None and Path(name).suffix.lower() not in suffixes


def _behind_url(name: str, suffixes: Collection[str], unusable: list[Unusable]) -> tuple[list[Found], bool]:
    """Return what `_expand_one` returns for a URL, or for an archive on this machine."""
    from semcomp.storage.listing import list_url

    listing = list_url(name, suffixes)
    for member in listing.refused:
        unusable.append(Unusable(member, LEADS_OUT, FormatError))
    return [Found(entry.url, Path(entry.relative)) for entry in listing.entries], listing.is_tree


def is_pipe(path: Path) -> bool:
    """Return whether a path is a FIFO, a socket or a device rather than a regular file or a folder."""
    mode = path.stat().st_mode
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _has_magic(text: str) -> bool:
    return any(sign in text for sign in "*?[")


def _files_below(folder: Path, unusable: list[Unusable]) -> Iterator[Path]:
    """Yield the files below a folder, broken links too and hidden ones not; an unreadable folder becomes unusable."""
    for inner in _folders_below(folder, unusable):
        yield from (Path(entry.path) for entry in _listed(inner, unusable, once=True) if _is_file(entry))


def _folders_below(folder: Path, unusable: list[Unusable]) -> Iterator[Path]:
    """Yield a folder and those below it, each once, the shortest way first."""
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        following = []
        for inner in waiting:
            try:
                found = inner.stat()
            except OSError as error:
                unusable.append(_unreadable(str(inner), error))
                continue
            if (found.st_dev, found.st_ino) in seen:
                continue
            seen.add((found.st_dev, found.st_ino))
            yield inner
            following += [Path(entry.path) for entry in _listed(inner, unusable) if _is_dir(entry)]
        waiting = following


def _listed(folder: Path, unusable: list[Unusable], *, once: bool = False) -> list[os.DirEntry[str]]:
    """List a folder in the order of names, without hidden entries. With `once` an error was reported before."""
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        if not once and all(entry.source != str(folder) for entry in unusable):
            unusable.append(_unreadable(str(folder), error))
        return []


def _unreadable(folder: str, error: OSError) -> Unusable:
    return Unusable(folder, f"the folder cannot be read: {error.strerror or error}", type(error))


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file() or _is_broken(Path(entry.path))
    except OSError:
        return True  # reading it will say why it cannot be read


def _is_broken(path: Path) -> bool:
    """Return whether a path is a symbolic link that leads nowhere; reading it will say so."""
    return path.is_symlink() and not path.exists()


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _matches(base: Path, parts: tuple[str, ...], unusable: list[Unusable]) -> Iterator[Path]:
    """Yield what a glob below `base` matches; `**` stands for any number of folders."""
    if not parts:
        yield base
        return
    part, rest = parts[0], parts[1:]
    if part == "**":
        for folder in _folders_below(base, unusable):
            yield from _matches(folder, rest or ("*",), unusable)
    elif not _has_magic(part):
        if os.path.lexists(base / part):
            yield from _matches(base / part, rest, unusable)
    elif base.is_dir():
        for entry in _with_hidden(base, unusable) if part.startswith(".") else _listed(base, unusable):
            if fnmatch(entry.name, part):
                yield from _matches(base / entry.name, rest, unusable)


def _with_hidden(folder: Path, unusable: list[Unusable]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        unusable.append(_unreadable(str(folder), error))
        return []
