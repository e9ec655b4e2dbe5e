"""Archives and local files whose own paths have "::" in them, and archives that are missing."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from semcomp.cli.main import main
from semcomp.storage.files import read_bytes, write_bytes
from semcomp.storage.listing import list_url

pytest.importorskip("fsspec", reason="needs pip install 'semcomp[scale]'")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="no file of Windows has a colon in its name")

_BUFFER = io.BytesIO()
Image.new("RGB", (40, 30), (90, 120, 30)).save(_BUFFER, "PNG")
PNG = _BUFFER.getvalue()


@pytest.mark.parametrize("kind", ["zip", "tar", "tgz"])
@pytest.mark.parametrize("folder", ["d::e", "zip::d", "."])
def test_archives_with_double_colons_in_their_own_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stand_in: Any, kind: str, folder: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(folder).mkdir(exist_ok=True)
    archive = f"{folder}/zip::x.{kind}".removeprefix("./")
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("in/a::b.png", PNG)
    else:
        with tarfile.open(archive, "w:gz" if kind == "tgz" else "w") as tar:
            member = tarfile.TarInfo("in/a::b.png")
            member.size = len(PNG)
            tar.addfile(member, io.BytesIO(PNG))
    protocol = "zip" if kind == "zip" else "tar"
    (entry,) = list_url(archive, (".png",)).entries
    assert entry == (f"{protocol}://in/a%3A%3Ab.png::{archive}", "in/a::b.png") and read_bytes(entry.url) == PNG
    assert main(["encode", archive, "-o", "out"]) == 0 and Path("out/in/a::b.semc").exists()
    assert main(["encode", f"{protocol}://in/*.png::{tmp_path.as_uri()}/{archive}", "-o", "more"]) == 0
    assert Path("more/a::b.semc").exists()


def test_a_local_name_that_begins_like_a_chain(tmp_path: Path, monkeypatch: Any, stand_in: Any) -> None:
    monkeypatch.chdir(tmp_path)
    Path("zip::a.png").write_bytes(PNG)
    assert main(["encode", "zip::a.png"]) == 0 and Path("zip::a.semc").exists()
    assert main(["encode", ".", "--force"]) == 0 and main(["encode", "zip::a.png", "-o", "out/"]) == 0
    assert Path("out/zip::a.semc").exists()
    assert main(["decode", "zip::a.semc", "-f"]) == 0


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("zip://a.png", "zip://a.png: names no archive: write zip://MEMBER::ARCHIVE"),
        ("zip::nowhere", "there is no archive nowhere"),
        ("tar://a.png::no.tar", "there is no archive no.tar"),
        ("zip://a::b.png::x.zip", "there is no archive b.png::x.zip; in the name of a member write %3A for a colon"),
    ],
)
def test_archives_that_are_not_there(url: str, said: str, capsys: Any) -> None:
    assert main(["encode", url, "-o", "new.semc"]) == 1
    assert said in capsys.readouterr().err


def test_a_tgz_behind_a_url(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tgz", "w:gz") as tar:
        member = tarfile.TarInfo("a.png")
        member.size = len(PNG)
        tar.addfile(member, io.BytesIO(PNG))
    write_bytes("memory://x.tgz", (tmp_path / "x.tgz").read_bytes())
    assert [read_bytes(entry.url) for entry in list_url("memory://x.tgz", (".png",)).entries] == [PNG]
