"""URLs are read, written and listed like local paths, and whatever a storage raises is a sentence."""

from __future__ import annotations

import io
import os
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import semcomp
from semcomp.cli.main import main
from semcomp.cli.own_outputs import mark
from semcomp.data.files import folder_name
from semcomp.errors import FileError, MissingExtraError, MissingFileError
from semcomp.storage.files import exists, local_copy, read_bytes, write_bytes, write_whole
from semcomp.storage.listing import list_url
from semcomp.storage.urls import is_url, join, with_suffix

fsspec = pytest.importorskip("fsspec", reason="needs pip install 'semcomp[scale]'")


def png(colour: tuple[int, int, int] = (90, 120, 30)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def memory() -> Iterator[Any]:
    """The memory of fsspec, empty before and after a test."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


@pytest.fixture(params=["zip", "tar"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Three photos in folders, and a file that is none."""
    members = {"a.png": png(), "deep/b.png": png(), "deep/er/c.png": png(), "deep/notes.txt": b"hello"}
    path = tmp_path / f"photos.{request.param}"
    pack(path, members)
    return path


def pack(path: Path, members: dict[str, bytes]) -> None:
    """Write an archive."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as file:
            for name, data in members.items():
                file.writestr(name, data)
        return
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


def test_what_is_written_is_read_back() -> None:
    write_bytes("memory://bucket/deep/a.bin", b"abc")
    assert read_bytes("memory://bucket/deep/a.bin") == b"abc"
    assert exists("memory://bucket/deep/a.bin") and not exists("memory://bucket/b.bin")
    assert Path(local_copy("memory://bucket/deep/a.bin")).read_bytes() == b"abc"
    assert Path(local_copy("memory://bucket/deep/a.bin")).name == "a.bin"


def test_a_file_url_is_a_local_path(tmp_path: Path) -> None:
    (tmp_path / "my dog.bin").write_bytes(b"abc")
    assert read_bytes((tmp_path / "my dog.bin").as_uri()) == b"abc"


def test_names_are_taken_apart_and_joined() -> None:
    assert join("zip://a::x.zip", "b.png") == "zip://a/b.png::x.zip"
    assert with_suffix("zip://a.x/b.png::y.zip", ".semc") == "zip://a.x/b.semc::y.zip"
    assert not is_url(r"C:\photos\a.png") and not is_url(Path("a.png"))


def test_colons_in_the_name_of_a_local_file_make_no_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_url("zip::photos.zip") and not is_url("./zip::photos.zip")
    for name in ("ab::c.png", "zip::photos.zip"):
        Path(name).write_bytes(png())
        assert not is_url(name) and read_bytes(name) == png()
    assert with_suffix("ab::c.png", ".semc") == "ab::c.semc"
    assert main(["thumb", "ab::c.png", "--quiet"]) == 0
    assert is_url("s4://bucket/a.png"), "a protocol that is misspelt is said to be unknown"


def test_a_folder_and_a_glob_are_listed_with_their_trees() -> None:
    for name in ("memory://in/a.png", "memory://in/deep/b.PNG", "memory://in/deep/c.txt", "memory://in/.d/e.png"):
        write_bytes(name, b"x")
    listing = list_url("memory://in", (".png",))
    assert [entry.relative for entry in listing.entries] == ["a.png", "deep/b.PNG"] and listing.is_tree
    assert [read_bytes(entry.url) for entry in listing.entries] == [b"x", b"x"]
    assert [entry.relative for entry in list_url("memory://in/**/*.PNG", (".png",)).entries] == ["deep/b.PNG"]
    assert list_url("memory://nowhere", (".png",)).entries == []


def test_members_of_an_archive_are_listed_and_read(archive: Path) -> None:
    listing = list_url(str(archive), (".png",))
    assert [entry.relative for entry in listing.entries] == ["a.png", "deep/b.png", "deep/er/c.png"]
    assert {read_bytes(entry.url) for entry in listing.entries} == {png()}


ODD = (
    "a::b.png",
    "12:30.png",
    "a%3A%3Ab.png",
    "100%25.png",
    "d::e/f [1]*?#.png",
    "end:.png",
    "s3://x.png",
    "a:::b.png",
)


@pytest.mark.skipif(os.name == "nt", reason="no file of Windows has a colon in its name")
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_member_of_any_name_is_listed_and_read_by_its_url(
    kind: str, stand_in: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pictures = {name: png((number, 0, 0)) for number, name in enumerate(ODD)}
    pack(Path(f"odd.{kind}"), pictures)
    listing = list_url(f"odd.{kind}", (".png",))
    assert not listing.refused and len(listing.entries) == len(ODD)
    found = {entry.relative: read_bytes(entry.url) for entry in listing.entries}
    assert found == {name.replace("//", "/"): data for name, data in pictures.items()}
    for output in ("out", "memory://out"):
        assert main(["encode", f"odd.{kind}", "-o", output, "--quiet"]) == 0
        for name in found:
            assert semcomp.info(join(output, with_suffix(name, ".semc"))).width == 40
    assert main(["encode", f"{kind}://a%3a%3ab.png::odd.{kind}", "-o", "one.semc"]) == 0
    assert main(["info", "memory://out", "--quiet"]) == 0
    assert folder_name(f"{kind}://d%3A%3Ae/a.png::odd.{kind}") == "d::e" == folder_name("memory://out/d::e/a.semc")


def test_a_member_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as file:
        for name in ("../../out.png", "/etc/out.png", "..\\out.png", "good.png"):
            file.writestr(name, png())
    listing = list_url(str(tmp_path / "evil.zip"), (".png",))
    assert all(".." not in Path(e.relative).parts and not Path(e.relative).is_absolute() for e in listing.entries)
    assert "good.png" in [entry.relative for entry in listing.entries] and len(listing.refused) >= 2


def test_a_member_that_unpacks_to_too_much_is_refused(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semcomp.storage.files.MAX_MEMBER", 10)
    entry = list_url(str(archive), (".png",)).entries[0]
    with pytest.raises(FileError, match=r"would unpack to .* bytes, at most 10 are read"):
        read_bytes(entry.url)


def test_a_missing_file_is_a_missing_file() -> None:
    with pytest.raises(FileNotFoundError, match="No such file"):
        read_bytes("memory://nowhere.semc")
    with pytest.raises(MissingFileError, match=r"memory://nowhere\.semc cannot be read: no such file"):
        semcomp.info("memory://nowhere.semc")


def test_an_unknown_protocol_and_a_missing_package_are_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileError, match="foo://x cannot be read: Protocol not known: foo"):
        read_bytes("foo://x")

    def missing(*_: object, **__: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(
        MissingExtraError, match=r"s3:// URLs needs an optional dependency: pip install 'semcomp\[scale\]'"
    ):
        read_bytes("s3://bucket/a.png")
    with pytest.raises(FileError, match="a package is missing: Install s3fs"):
        read_bytes("gs://bucket/a.png")


def test_an_archive_and_a_page_are_not_written_to() -> None:
    for url in ("zip://a.png::x.zip", "https://example.org/a.png"):
        with pytest.raises(FileError, match="is read-only here"):
            write_bytes(url, b"x")


class TestCommands:
    def test_encode_and_decode_from_url_to_url(self, stand_in: Any, capsys: pytest.CaptureFixture[str]) -> None:
        write_bytes("memory://in/a.png", png())
        write_bytes("memory://in/deep/b.png", png())
        assert main(["encode", "memory://in", "-o", "memory://out"]) == 0
        assert semcomp.info("memory://out/deep/b.semc").width == 40
        assert main(["encode", "memory://in", "-o", "memory://out"]) == 0
        assert "2 of 2 kept as they are: pass --force to overwrite what exists" in capsys.readouterr().err
        assert main(["encode", "memory://in/a.png"]) == 0 and exists("memory://in/a.semc")
        assert main(["decode", "memory://out/a.semc", "-o", "memory://back/a.webp"]) == 0
        with Image.open(io.BytesIO(read_bytes("memory://back/a.webp"))) as image:
            assert image.format == "WEBP" and image.size == (40, 30)
        assert main(["info", "memory://out"]) == 0
        assert "memory:///out/a.semc: 40x30" in capsys.readouterr().out

    def test_encode_an_archive_into_a_folder(self, archive: Path, stand_in: Any, tmp_path: Path, capsys: Any) -> None:
        assert main(["encode", str(archive), "-o", str(tmp_path / "out")]) == 0
        found = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.semc")}
        assert found == {"a.semc", "deep/b.semc", "deep/er/c.semc"}
        capsys.readouterr()
        assert main(["encode", str(archive)]) == 2
        assert "give -o a file or a folder" in capsys.readouterr().err
        assert main(["encode", f"zip://*.png::{archive}", "-o", "https://example.org/x/"]) == 2
        assert "https:// cannot be written to" in capsys.readouterr().err

    def test_a_member_never_leaves_the_output_folder(self, stand_in: Any, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "evil.zip", "w") as file:
            file.writestr("../../out.png", png())
            file.writestr("good.png", png())
        (tmp_path / "a/b").mkdir(parents=True)
        assert main(["encode", str(tmp_path / "evil.zip"), "-o", str(tmp_path / "a/b/out")]) == 3
        assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.semc")] == ["a/b/out/good.semc"]

    def test_a_picture_that_semcomp_wrote_is_no_photo(self, stand_in: Any, capsys: pytest.CaptureFixture[str]) -> None:
        write_bytes("memory://in/a.png", mark(png(), "overlay"))
        assert main(["encode", "memory://in/a.png"]) == 1
        assert "semcomp wrote this overlay" in capsys.readouterr().err

    def test_a_url_that_leads_nowhere_fails(self, stand_in: Any, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["encode", "memory://nowhere/a.png"]) == 1
        assert "no such file or folder" in capsys.readouterr().err

    def test_the_library_takes_urls(self, codec: Any, photo: Any) -> None:
        buffer = io.BytesIO()
        Image.fromarray(photo).save(buffer, "PNG")
        write_bytes("memory://photo.png", buffer.getvalue())
        data = codec.encode("memory://photo.png", quality=20)
        assert data == codec.encode(buffer.getvalue(), quality=20)
        write_bytes("memory://photo.semc", data)
        assert codec.latents("memory://photo.semc").width == 131
        assert codec.decode("memory://photo.semc").size == (131, 90)
        with pytest.raises(MissingFileError):
            codec.encode("memory://nowhere.png")


def test_a_file_url_is_written_whole_and_without_fsspec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    write_whole((tmp_path / "deep/a.bin").as_uri(), b"x")
    assert [path.read_bytes() for path in (tmp_path / "deep").iterdir()] == [b"x"]
