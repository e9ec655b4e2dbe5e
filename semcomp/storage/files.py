"""Reading, writing and finding files by local path or URL. Whatever a storage raises becomes a sentence."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from semcomp.errors import FileError, MissingExtraError, MissingFileError, SemcompError
from semcomp.storage.urls import can_be_written, is_member, is_url, local_name, protocol_of, split_chain, unquoted
from semcomp.storage.writable import is_open_ended
from semcomp.workers import temporary_beside

if TYPE_CHECKING:
    from tempfile import TemporaryDirectory

_OF_THE_EXTRA = ("s3", "s3a", "hf")
"""Protocols whose packages the extra `scale` installs."""


MAX_MEMBER = 1 << 30
"""Bytes of the largest member of an archive that is read. A small archive can hold zeros without end."""


class FileSystem(NamedTuple):
    """A file system of fsspec and a path in it."""

    system: Any
    path: str


def read_bytes(name: str | os.PathLike[str]) -> bytes:
    """Read a whole file.

    Args:
        name: A local path or a URL.

    Raises:
        OSError: The file is missing or cannot be read, or a member of an archive unpacks to more than MAX_MEMBER.
        SemcompError: The package that reads the URL is missing, or the storage refuses.
    """
    if not is_url(name):
        return Path(name).read_bytes()
    if (path := local_name(str(name))) != name:
        return Path(path).read_bytes()
    with explained(str(name)):
        system, path = opened(str(name))
        if is_member(str(name)) and (size := int(system.info(path)["size"])) > MAX_MEMBER:
            raise FileError(f"{name} would unpack to {size:,} bytes, at most {MAX_MEMBER:,} are read")
        data: bytes = system.cat_file(path)
        return data


def write_bytes(url: str, data: bytes) -> None:
    """Write a whole file at a URL. An object store shows it when it is complete, or not at all.

    Raises:
        OSError: The file cannot be written.
        SemcompError: The package that writes to the URL is missing, or the storage refuses.
    """
    if not can_be_written(url):
        raise FileError(
            f"{url} cannot be written: {protocol_of(url)}:// is read-only here; give a folder or an object store"
        )
    with explained(url, verb="written"):
        system, path = opened(url)
        system.makedirs(system._parent(path), exist_ok=True)
        system.pipe_file(path, data)


def write_whole(name: str, data: bytes) -> None:
    """Write a file at a local path or a URL so that it is whole or absent. A file that exists is replaced.

    A FIFO or a device stays, and is written to.

    Raises:
        OSError: The file cannot be written.
        SemcompError: The package that writes to the URL is missing, or the storage refuses.
    """
    name = local_name(name)
    if is_url(name):
        write_bytes(name, data)
        return
    path = Path(name)
    if is_open_ended(path):
        path.write_bytes(data)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(data)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary file that takes the place of `path` at the end of the block. After an error nothing is left."""
    temporary = temporary_beside(path)
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def names_in(folder: str) -> list[str]:
    """List the names of the files in a folder, sorted; nothing if there is no such folder."""
    if not is_url(folder):
        local = Path(folder)
        return sorted(entry.name for entry in local.iterdir()) if local.is_dir() else []
    with explained(folder):
        system, path = opened(folder)
        system.invalidate_cache()
        found = system.ls(path, detail=False) if system.isdir(path) else []
        return sorted(str(name).rstrip("/").rpartition("/")[2] for name in found)


def exists(name: str) -> bool:
    """Return whether a file or a folder exists at a local path or a URL."""
    if not is_url(name):
        return os.path.lexists(name)
    with explained(name):
        system, path = opened(name)
        return bool(system.exists(path))


def is_folder(name: str) -> bool:
    """Return whether a local path or a URL is a folder. A URL that ends with a slash is one."""
    if not is_url(name):
        return os.path.isdir(name)  # noqa: PTH112 - Path.is_dir raises for a name that is too long
    if split_chain(name)[0].endswith("/"):
        return True
    with explained(name):
        system, path = opened(name)
        return bool(system.isdir(path))


def remove(name: str) -> None:
    """Remove a file. Nothing happens if it is not there."""
    if not is_url(name):
        Path(name).unlink(missing_ok=True)
        return
    with explained(name, verb="removed"):
        system, path = opened(name)
        if system.exists(path):
            system.rm_file(path)


def local_copy(name: str) -> str:
    """Return a local path with the contents of a file, for code that can open nothing else.

    Args:
        name: A local path, which is returned, or a URL, whose file is copied once and stays until the process ends.
    """
    name = local_name(name)
    return _copied(name) if is_url(name) else name


@lru_cache(maxsize=64)
def _copied(url: str) -> str:
    import tempfile

    last = split_chain(url)[0].rstrip("/").rpartition("/")[2] or "file"
    path = Path(tempfile.mkdtemp(dir=_copies().name)) / last
    path.write_bytes(read_bytes(url))
    return str(path)


@lru_cache(maxsize=1)
def _copies() -> TemporaryDirectory[str]:
    from tempfile import TemporaryDirectory

    return TemporaryDirectory(prefix="semcomp-")


def opened(url: str) -> FileSystem:
    """Return the file system of a URL and the path in it. Call it inside `explained`."""
    try:
        from fsspec import get_filesystem_class
        from fsspec.core import url_to_fs
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"Reading {protocol_of(url)}:// URLs", "scale") from error
    first, rest = split_chain(url)
    if "::" in url and not rest:  # fsspec would take the name for a chain
        kind = get_filesystem_class(protocol_of(url))
        return FileSystem(kind(**kind._get_kwargs_from_urls(url)), kind._strip_protocol(url))
    if is_member(url) and not is_url(archive := local_name(rest[2:])):
        return FileSystem(_local_archive(url, archive), unquoted(first.partition("://")[2]))
    system, path = url_to_fs(url, **{protocol_of(url): _unpacking(url)})
    return FileSystem(system, unquoted(path) if is_member(url) else path)


def _local_archive(url: str, archive: str) -> Any:
    """Open the archive on this machine that a URL names. fsspec would take "::" in its path for a chain.

    Raises:
        OSError: There is no such archive.
    """
    from fsspec import get_filesystem_class
    from fsspec.core import OpenFile
    from fsspec.implementations.local import LocalFileSystem

    if not archive:
        raise FileError(f"{url} names no archive: write {protocol_of(url)}://MEMBER::ARCHIVE")
    if not os.path.lexists(archive):
        hint = "; in the name of a member write %3A for a colon" if "::" in archive else ""
        raise MissingFileError(f"{url} cannot be read: there is no archive {archive}{hint}")
    file = OpenFile(LocalFileSystem(), archive)
    opened_file = file if protocol_of(url) == "zip" else file.open()
    return get_filesystem_class(protocol_of(url))(fo=opened_file, **_unpacking(url))


def _unpacking(url: str) -> dict[str, str]:
    """Options for an archive whose suffix tells fsspec nothing about its compression."""
    return {"compression": "gzip"} if protocol_of(url) == "tar" and url.lower().endswith(".tgz") else {}


@contextmanager
def explained(url: str, *, verb: str = "read") -> Iterator[None]:
    """Turn whatever a storage raises into an OSError or a SemcompError with a sentence.

    Args:
        url: The URL that the block works on.
        verb: What the block does, for the sentence "... cannot be ...".
    """
    try:
        yield
    except SemcompError:
        raise
    except FileNotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), url) from error
    except OSError as error:
        if error.errno is not None and error.strerror:  # a storage's own kind of error cannot be made again
            raise OSError(error.errno, error.strerror, error.filename or url) from error
        raise FileError(f"{url} cannot be {verb}: {_first_line(error)}") from error
    except MemoryError:
        raise
    except ImportError as error:
        if protocol_of(url) in _OF_THE_EXTRA:
            raise MissingExtraError(f"Reading {protocol_of(url)}:// URLs", "scale") from error
        raise FileError(f"{url} cannot be {verb}: a package is missing: {_first_line(error)}") from error
    except Exception as error:  # every storage has exceptions of its own
        raise FileError(f"{url} cannot be {verb}: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    text = str(error).strip().partition("\n")[0].rstrip(".")
    return text or type(error).__name__
