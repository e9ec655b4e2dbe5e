"""WebDataset shards: tar files in which the members of one sample follow each other and share a key.

    photos/0001.semc  photos/0001.json  photos/0002.semc ...     keys photos/0001, photos/0002; extensions semc, json

A shard is read as a stream, once from its begin to its end, and only one sample is in memory. The package
webdataset reads and writes the same format; it is not needed.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from semcomp.errors import FormatError
from semcomp.storage.files import MAX_MEMBER, explained, opened
from semcomp.storage.urls import is_url, local_name

if TYPE_CHECKING:
    from typing_extensions import Self

MAX_MEMBERS = 256
"""Largest number of members of one sample."""


_HEADER = tarfile.HeaderError
_END: type[Exception] = vars(tarfile)["EOFHeaderError"]
"""What marks the end of a whole tar file."""


class ShardSample(NamedTuple):
    """The members of a shard that share a key."""

    key: str
    """Their name up to the first dot of its last part"""
    members: dict[str, bytes]
    """Maps the rest of the name, in lower case, to the contents: "semc", "json", "seg.png" """
    names: dict[str, str]
    """Maps the rest of the name, in lower case, to the whole name"""


def split_member(name: str) -> tuple[str, str]:
    """Split the name of a member into the key of its sample and its extension.

    Example:
        >>> split_member("a.b/0001.seg.PNG")
        ('a.b/0001', 'seg.png')
    """
    folder, slash, last = name.rpartition("/")
    stem, _, extension = last.partition(".")
    return f"{folder}{slash}{stem}", extension.lower()


def read_shard(name: str, *, max_member: int = MAX_MEMBER) -> Iterator[ShardSample]:
    """Read the samples of a shard, one after the other.

    Args:
        name: A local path or a URL of a tar file. Gzip, bzip2 and xz are unpacked.
        max_member: Bytes of the largest member that is accepted.

    Yields:
        The samples in the order of the file.

    Raises:
        OSError: The shard cannot be read.
        FormatError: It is damaged, cut, or not a tar file, or a member is too large.
    """
    with open_stream(name) as stream:
        yield from samples_of(stream, name=name, max_member=max_member)


def samples_of(stream: BinaryIO, *, name: str, max_member: int = MAX_MEMBER) -> Iterator[ShardSample]:
    """Read the samples of a shard from a stream; `name` is what errors call it. Raises what `read_shard` raises."""
    key, members, names = "", dict[str, bytes](), dict[str, str]()
    try:
        with tarfile.open(fileobj=stream, mode="r|*", tarinfo=_CheckedMember) as tar:
            for member in tar:
                if not member.isfile() or member.name.rpartition("/")[2].startswith("."):
                    continue
                if member.size > max_member:
                    raise FormatError(
                        f"{name}: {member.name} has {member.size:,} bytes, at most {max_member:,} are read"
                    )
                following, extension = split_member(member.name)
                if following == key and len(members) >= MAX_MEMBERS:
                    raise FormatError(f"{name}: the sample {key} has more than {MAX_MEMBERS} members")
                if members and following != key:
                    yield ShardSample(key, members, names)
                    members, names = {}, {}
                file = tar.extractfile(member)
                assert file is not None
                key, members[extension], names[extension] = following, file.read(), member.name
    except (tarfile.TarError, EOFError) as error:
        raise FormatError(f"{name} is not a whole tar file ({error}): copy it again") from error
    if members:
        yield ShardSample(key, members, names)


def pack_shard(samples: Iterable[tuple[str, Mapping[str, bytes]]]) -> bytes:
    """Write samples into the bytes of a shard. Equal samples give equal bytes: owners and times are left out.

    Args:
        samples: Keys with members, whose names are extensions such as "semc".

    Example:
        >>> data = pack_shard([("0001", {"cls": b"3", "semc": b"..."})])
        >>> next(samples_of(io.BytesIO(data), name="shard")).members["cls"]
        b'3'
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for key, members in samples:
            for extension, data in members.items():
                entry = tarfile.TarInfo(f"{key}.{extension}")
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


class _CheckedMember(tarfile.TarInfo):
    """A member whose damaged header is an error. tarfile takes it for the end of the file, which loses samples."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile)
        except _END:
            raise
        except _HEADER as error:
            raise EOFError(f"at byte {tarfile.offset}: {error}") from error


@contextmanager
def open_stream(name: str) -> Iterator[BinaryIO]:
    """Open a local path or a URL for reading as a stream."""
    name = local_name(name)
    if not is_url(name):
        with Path(name).open("rb") as stream:
            yield stream
        return
    with explained(name):
        system, path = opened(name)
        with system.open(path, "rb") as stream:
            yield stream
