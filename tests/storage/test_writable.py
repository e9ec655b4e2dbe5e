"""What can be written is found out without leaving anything, and what is no file is never replaced."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from semcomp.errors import SemcompError
from semcomp.search.photo_index import PhotoIndex
from semcomp.storage.files import explained, write_whole
from semcomp.storage.writable import check_writable

PROC = pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc here")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a folder, a file, a link in a circle, and links to something new."""
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("file").write_bytes(b"kept")
    Path("loop").symlink_to("loop")
    Path("new_file").symlink_to("folder/new")
    Path("new_place").symlink_to("file/new")
    return tmp_path


@pytest.mark.parametrize("name", ["new", "a/b/new", "file", "new_file"])
def test_files_that_can_be_written(place: Path, name: str) -> None:
    before = sorted(place.rglob("*"))
    check_writable(name)
    assert sorted(place.rglob("*")) == before and Path("file").read_bytes() == b"kept"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("folder", errno.EISDIR),
        ("new/", errno.EISDIR),
        ("file/new", errno.ENOTDIR),
        ("file/new/er", errno.ENOTDIR),
        ("loop", errno.ELOOP),
        ("new_place", errno.ENOTDIR),
        ("x" * 300, errno.ENAMETOOLONG),
        pytest.param("/proc/new", errno.EPERM, marks=PROC),
        pytest.param("/proc/new/er", errno.EPERM, marks=PROC),
    ],
)
def test_files_that_cannot(place: Path, name: str, code: int) -> None:
    with pytest.raises(OSError, match=r".") as caught:
        check_writable(name)
    assert caught.value.errno == code


@pytest.mark.parametrize(
    ("name", "code"),
    [("file", errno.ENOTDIR), ("file/new", errno.ENOTDIR), pytest.param("/proc/new", errno.EPERM, marks=PROC)],
)
def test_folders_that_cannot(place: Path, name: str, code: int) -> None:
    check_writable("folder", folder=True)
    check_writable("new/deep/", folder=True)
    with pytest.raises(OSError, match=r".") as caught:
        check_writable(name, folder=True)
    assert caught.value.errno == code and not Path("new").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_what_is_no_file_is_never_replaced(place: Path) -> None:
    os.mkfifo("fifo")
    with pytest.raises(SemcompError, match="fifo is not a file that can hold an index: name another file"):
        PhotoIndex("fifo").update("folder")
    reader = os.open("fifo", os.O_RDONLY | os.O_NONBLOCK)
    write_whole("fifo", b"data")
    assert os.read(reader, 99) == b"data" and stat.S_ISFIFO(Path("fifo").stat().st_mode)
    os.close(reader)


@pytest.mark.parametrize("name", ["new", "new_file", "loop"])
def test_an_index_that_fails_removes_what_it_made_and_no_link(place: Path, name: str) -> None:
    before = sorted(place.rglob("*"))
    with pytest.raises(SemcompError):
        PhotoIndex(name).update("file")
    assert sorted(place.rglob("*")) == before


def test_errors_of_a_storage_become_those_of_python() -> None:
    class Refused(ConnectionRefusedError):
        def __init__(self, key: str, cause: OSError) -> None:
            super().__init__(cause.errno, cause.strerror)

    with pytest.raises(OSError, match="Connection refused") as caught, explained("http://host/a.png"):
        raise Refused("host", OSError(errno.ECONNREFUSED, "Connection refused"))
    assert type(caught.value) is ConnectionRefusedError and caught.value.filename == "http://host/a.png"
