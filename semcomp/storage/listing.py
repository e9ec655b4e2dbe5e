"""What a URL or an archive contains: the files below a folder, the matches of a glob, the members of an archive."""

from __future__ import annotations

import glob
import re
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from semcomp.storage.files import explained, opened
from semcomp.storage.urls import (
    archive_protocol,
    is_member,
    is_url,
    leads_out,
    local_name,
    member_url,
    protocol_of,
    split_chain,
)

IMAGE_SUFFIXES = (
    *(".apng", ".avif", ".avifs", ".bmp", ".bw", ".dds", ".dib", ".gif", ".heic", ".heics", ".heif", ".heifs", ".hif"),
    *(".icb", ".im", ".j2c", ".j2k", ".jfif", ".jp2", ".jpc", ".jpe", ".jpeg", ".jpf", ".jpg", ".jpx", ".jxl", ".mpo"),
    *(".pbm", ".pcx", ".pfm", ".pgm", ".png", ".pnm", ".ppm", ".psd", ".qoi", ".ras", ".rgb", ".rgba", ".sgi", ".tga"),
    *(".tif", ".tiff", ".vda", ".vst", ".webp", ".xbm", ".xpm"),
)
"""Suffixes that mark a file in a folder as a picture. A file that the user names may have any suffix."""


class Entry(NamedTuple):
    """One file behind a URL."""

    url: str
    relative: str
    """Its path below the folder, the fixed part of the glob or the root of the archive, with slashes"""


class Listing(NamedTuple):
    """Everything behind a URL."""

    entries: list[Entry]
    is_tree: bool
    """Whether the URL is a folder, a glob or an archive, rather than one file"""
    refused: list[str]
    """Members of an archive whose names lead out of the folder that they would be unpacked to"""


def list_files(source: str, suffixes: Collection[str]) -> list[str]:
    """Find the files behind a local path, a glob, an archive or a URL, in the order of their names.

    Args:
        source: What the user named. A file that is named itself may have any suffix.
        suffixes: The suffixes of files that count in folders and archives, and after a glob.

    Raises:
        OSError: The storage cannot be read.
        SemcompError: The package that reads the URL is missing, or the storage refuses.
    """
    source = local_name(source)
    path = Path(source)
    if is_url(source) or (archive_protocol(source) and path.suffix.lower() not in suffixes and path.is_file()):
        return [entry.url for entry in list_url(source, suffixes).entries]
    if path.is_file():
        return [source]
    if path.is_dir():
        found = (file for file in path.rglob("*") if not any(p.startswith(".") for p in file.relative_to(path).parts))
    else:
        found = (Path(match) for match in glob.glob(source, recursive=True))  # noqa: PTH207 - the glob may be absolute
    return sorted(str(file) for file in found if file.suffix.lower() in suffixes and file.is_file())


def list_url(url: str, suffixes: Collection[str]) -> Listing:
    """Find the files behind a URL, in the order of their names. Hidden files and folders are left out.

    Args:
        url: A file, a folder, a glob, or an archive.
        suffixes: The suffixes of files that count in folders, globs and archives.

    Raises:
        OSError: The storage cannot be read.
        SemcompError: The package that reads the URL is missing, or the storage refuses.
    """
    if protocol := archive_protocol(url):
        url = f"{protocol}://::{url}"
    first, rest = split_chain(url)
    with explained(url):
        system, path = opened(url)
        if is_glob(first) and not system.exists(path):
            return _listed(system, _fixed_part(path), system.glob(path), rest, suffixes, url)
        if system.isdir(path) or not path:
            return _listed(system, path, system.find(path), rest, suffixes, url)
        if system.exists(path):
            return Listing([Entry(url, PurePosixPath(path).name)], False, [])
    return Listing([], False, [])


def is_glob(text: str) -> bool:
    """Return whether a name has one of the signs of a glob. A question mark before "=" begins the query of a URL."""
    return re.search(r"[*\[]|\?(?![^/]*=)", text) is not None


def _fixed_part(pattern: str) -> str:
    parts = []
    for part in PurePosixPath(pattern).parts:
        if is_glob(part):
            break
        parts.append(part)
    return str(PurePosixPath(*parts)) if parts else ""


def _listed(system: Any, base: str, paths: list[str], rest: str, suffixes: Collection[str], url: str) -> Listing:
    protocol = protocol_of(url)
    entries, refused = [], []
    for path in sorted(paths):
        relative = PurePosixPath(path).relative_to(base) if base and path.startswith(base) else PurePosixPath(path)
        if relative.suffix.lower() not in suffixes or any(p.startswith(".") and p != ".." for p in relative.parts):
            continue
        name = str(system.unstrip_protocol(path))
        if rest:
            name = member_url(protocol, path, rest[2:]) if is_member(url) else f"{protocol}://{path}{rest}"
        if ".." in relative.parts or (rest and leads_out(str(relative))):
            refused.append(name)
            continue
        entries.append(Entry(name, relative.as_posix().lstrip("/")))
    return Listing(entries, True, refused)
