"""URLs of fsspec beside local paths: one place that reads, writes and names both.

    s3://bucket/photos/a.jpg                 an object store: s3fs reads it
    zip://photos/a.jpg::s3://bucket/a.zip    a member of an archive
    memory://a.jpg                           the memory of this process
    file:///photos/a.jpg                     a local path

A name without a protocol is a local path, and fsspec is not imported for it. Whatever a storage raises becomes an
OSError or a SemcompError with a sentence.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from semcomp.errors import FileError, MissingExtraError, SemcompError

_URL = re.compile(r"[a-z][a-z0-9+.-]+(://|::)", re.IGNORECASE)
"""A protocol has two letters or more: C:\\ is a drive."""
ARCHIVES = {".zip": "zip", ".tar": "tar", ".tgz": "tar", ".tar.gz": "tar"}
"""Maps the suffix of an archive to the protocol that reads its members."""
_READ_ONLY = ("http", "https", "zip", "tar", "github", "libarchive")
_OF_THE_EXTRA = ("s3", "s3a", "hf")
"""Protocols whose packages the extra `scale` installs."""


class FileSystem(NamedTuple):
    """A file system of fsspec and a path in it."""

    system: Any
    path: str


def is_url(name: object) -> bool:
    """Return whether a name is a URL rather than a local path.

    Example:
        >>> is_url("s3://bucket/a.semc"), is_url("zip://a.png::photos.zip"), is_url("C:/photos/a.png"), is_url("a.png")
        (True, True, False, False)
    """
    return isinstance(name, str) and _URL.match(name) is not None


def protocol_of(url: str) -> str:
    """Return the first protocol of a URL: "zip" for a member of an archive.

    Example:
        >>> protocol_of("zip://a.png::s3://bucket/photos.zip")
        'zip'
    """
    return re.split(r"://|::", url, maxsplit=1)[0].lower()


def local_name(name: str) -> str:
    """Turn a file:// URL into the local path that it means. Every other name is returned as it is.

    Example:
        >>> local_name("file:///photos/my%20dog.jpg"), local_name("s3://bucket/a.jpg")
        ('/photos/my dog.jpg', 's3://bucket/a.jpg')
    """
    if not name.lower().startswith("file://") or "::" in name:
        return name
    path = unquote(urlsplit(name.replace("?", "%3F").replace("#", "%23")).path)
    return path[1:] if re.match(r"/[A-Za-z]:", path) else path


def is_member(url: str) -> bool:
    """Return whether a URL names a member of an archive."""
    return is_url(url) and protocol_of(url) in ("zip", "tar", "libarchive")


def can_be_written(url: str) -> bool:
    """Return whether files can be written at a URL. Archives and web pages are read-only."""
    return protocol_of(url) not in _READ_ONLY


def split_chain(url: str) -> tuple[str, str]:
    """Split a URL into its first link and the rest, which begins with "::" or is empty.

    Example:
        >>> split_chain("zip://a.png::s3://bucket/photos.zip")
        ('zip://a.png', '::s3://bucket/photos.zip')
    """
    first, double, rest = url.partition("::")
    return first, double + rest


def join(folder: str, relative: str) -> str:
    """Append a relative path to a folder, which is a URL or a local path.

    Example:
        >>> join("s3://bucket/out/", "a/b.semc"), join("memory://", "b.semc")
        ('s3://bucket/out/a/b.semc', 'memory://b.semc')
    """
    if not is_url(folder):
        return str(Path(folder) / relative)
    first, rest = split_chain(folder)
    between = "" if first.endswith("/") else "/"
    return f"{first}{between}{relative}{rest}"


def with_suffix(name: str, suffix: str) -> str:
    """Change the suffix of a URL or a local path.

    Example:
        >>> with_suffix("s3://bucket/a.b/photo.jpg", ".semc")
        's3://bucket/a.b/photo.semc'
    """
    if not is_url(name):
        return str(Path(name).with_suffix(suffix))
    first, rest = split_chain(name)
    folder, slash, last = first.rpartition("/")
    return f"{folder}{slash}{PurePosixPath(last).with_suffix(suffix)}{rest}"


def archive_protocol(name: str) -> str | None:
    """Return the protocol that reads the members of an archive; None for a file with another suffix.

    Example:
        >>> archive_protocol("shard-000.tar"), archive_protocol("zip://inner/::photos.zip"), archive_protocol("a.png")
        ('tar', None, None)
    """
    if is_url(name) and is_member(name):
        return None
    lower = split_chain(name)[0].lower() if is_url(name) else name.lower()
    return next((protocol for suffix, protocol in ARCHIVES.items() if lower.endswith(suffix)), None)


def read_bytes(name: str | os.PathLike[str]) -> bytes:
    """Read a whole file.

    Args:
        name: A local path or a URL.

    Raises:
        OSError: The file is missing or cannot be read.
        SemcompError: The package that reads the URL is missing, or the storage refuses.
    """
    if not is_url(name):
        return Path(name).read_bytes()
    if (path := local_name(str(name))) != name:
        return Path(path).read_bytes()
    with explained(str(name)):
        system, path = opened(str(name))
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
    last = split_chain(url)[0].rstrip("/").rpartition("/")[2] or "file"
    path = Path(tempfile.mkdtemp(dir=_copies().name)) / last
    path.write_bytes(read_bytes(url))
    return str(path)


@lru_cache(maxsize=1)
def _copies() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="semcomp-")


def opened(url: str) -> FileSystem:
    """Return the file system of a URL and the path in it. Call it inside `explained`."""
    try:
        from fsspec.core import url_to_fs
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"Reading {protocol_of(url)}:// URLs", "scale") from error
    system, path = url_to_fs(url)
    return FileSystem(system, path)


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
        if error.errno is not None and error.strerror:
            raise
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
