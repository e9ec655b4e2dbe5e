"""URLs of fsspec beside local paths: how they are told apart, taken apart and joined.

    s3://bucket/photos/a.jpg                 an object store: s3fs reads it
    zip://photos/a.jpg::s3://bucket/a.zip    a member of an archive
    memory://a.jpg                           the memory of this process
    file:///photos/a.jpg                     a local path

A name without a protocol is a local path. So is a name like ab::c.png: only what opens archives and caches may stand in
front of "::" without "://", and not where a file of this whole name exists. ./zip::a.png is local in any case.
In the name of a member a colon is written %3A, so that the first "::" ends it: zip://12%3A30.png::photos.zip. What
follows may be a local path with "::" in it: zip://a.png::may::photos.zip.
Only text is handled here; semcomp.storage.files reads and writes.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

_URL = re.compile(r"([a-z][a-z0-9+.-]+)(://|::)", re.IGNORECASE)
"""A protocol has two letters or more: C:\\ is a drive."""
_IN_CHAINS = ("zip", "tar", "libarchive", "simplecache", "filecache", "blockcache", "cached")
"""Protocols that need no path of their own in front of another URL."""
ARCHIVES = {".zip": "zip", ".tar": "tar", ".tgz": "tar", ".tar.gz": "tar"}
"""Maps the suffix of an archive to the protocol that reads its members."""
_READ_ONLY = ("http", "https", "zip", "tar", "github", "libarchive")
LEADS_OUT = "the name of this member leads out of the folder: left where it is"
"""Why a member is not read."""


def is_url(name: object) -> bool:
    """Return whether a name is a URL rather than a local path.

    Example:
        >>> is_url("s3://bucket/a.semc"), is_url("zip://a.png::photos.zip"), is_url("C:/photos/a.png"), is_url("a.png")
        (True, True, False, False)
        >>> is_url("zip::photos.zip"), is_url("ab::c.png")
        (True, False)
    """
    found = _URL.match(name) if isinstance(name, str) else None
    if found is None or found[2] == "://":
        return found is not None
    return found[1].lower() in _IN_CHAINS and not os.path.lexists(found.string)


def is_text(name: str) -> bool:
    r"""Return whether a name can be written as UTF-8. Names of files on Linux are any bytes.

    Example:
        >>> is_text("d\xfcne.jpg"), is_text("d\udcfcne.jpg")
        (True, False)
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


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
    if not name.lower().startswith("file://") or split_chain(name)[1]:
        return name
    from urllib.parse import unquote, urlsplit

    path = unquote(urlsplit(name.replace("?", "%3F").replace("#", "%23")).path)
    return path[1:] if re.match(r"/[A-Za-z]:", path) else path


def is_member(url: str) -> bool:
    """Return whether a URL names a member of an archive."""
    return is_url(url) and protocol_of(url) in ("zip", "tar", "libarchive")


def member_url(protocol: str, name: str, archive: str) -> str:
    """Return the URL of a member of an archive.

    Example:
        >>> member_url("zip", "a::b.png", "photos.zip"), member_url("tar", "100%25.png", "s3://bucket/a.tar")
        ('zip://a%3A%3Ab.png::photos.zip', 'tar://100%2525.png::s3://bucket/a.tar')
    """
    quoted = re.sub("%(?=25|3A)", "%25", name, flags=re.IGNORECASE).replace(":", "%3A")
    return f"{protocol}://{quoted}::{archive}"


def unquoted(member: str) -> str:
    """Return the name of a member as the archive has it.

    Example:
        >>> unquoted("a%3A%3Ab.png"), unquoted("100%2525.png"), unquoted("50%.png")
        ('a::b.png', '100%25.png', '50%.png')
    """
    return re.sub("%(25|3A)", lambda found: chr(int(found[1], 16)), member, flags=re.IGNORECASE)


def leads_out(member: str) -> bool:
    """Return whether the name of a member leads out of the folder that the archive is unpacked to.

    Example:
        >>> leads_out("../a.png"), leads_out("/etc/a.png"), leads_out("a/b.png")
        (True, True, False)
    """
    path = PurePosixPath(member)
    return ".." in path.parts or path.is_absolute() or "\\" in member or (os.name == "nt" and ":" in member)


def can_be_written(url: str) -> bool:
    """Return whether files can be written at a URL. Archives and web pages are read-only."""
    return protocol_of(url) not in _READ_ONLY


def split_chain(url: str) -> tuple[str, str]:
    """Split a URL into its first link and the rest, which begins with "::" or is empty.

    Example:
        >>> split_chain("zip://a.png::s3://bucket/photos.zip"), split_chain("s3://bucket/a::b.png")
        (('zip://a.png', '::s3://bucket/photos.zip'), ('s3://bucket/a::b.png', ''))
    """
    first, double, rest = url.partition("::")
    is_chain = protocol_of(url) in _IN_CHAINS or "://" in rest
    return (first, double + rest) if is_chain else (url, "")


def join(folder: str, relative: str) -> str:
    """Append a relative path to a folder, which is a URL or a local path.

    Example:
        >>> join("s3://bucket/out/", "a/b.semc"), join("memory://", "b.semc")
        ('s3://bucket/out/a/b.semc', 'memory://b.semc')
    """
    if not is_url(folder):
        return _as_local(Path(folder) / relative)
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
        return _as_local(Path(name).with_suffix(suffix))
    first, rest = split_chain(name)
    folder, slash, last = first.rpartition("/")
    return f"{folder}{slash}{PurePosixPath(last).with_suffix(suffix)}{rest}"


def _as_local(path: Path) -> str:
    """Write a local path so that it is not taken for a URL, whether its file exists or not."""
    text = str(path)
    return os.path.join(os.curdir, text) if is_url(text) else text  # noqa: PTH118 - a Path would leave "." out


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
