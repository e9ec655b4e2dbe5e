"""One command tells the desktop about the format, and another one leaves no trace."""

from __future__ import annotations

import configparser
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image

from semcomp.cli.exit_codes import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from semcomp.cli.main import main
from semcomp.desktop.entries import with_delegate

GOLDEN = Path(__file__).parents[1] / "golden"
NAMESPACE = "{http://www.freedesktop.org/standards/shared-mime-info}"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, where the desktop keeps its files."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def files_of(folder: Path) -> set[str]:
    """The files below a folder. What update-mime-database makes of the packages is left out."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {path for path in found if not path.startswith("data/mime/") or "packages" in path}


def test_install_and_uninstall(home: Path, capsys: Any) -> None:
    assert main(["desktop", "install", "--json"]) == EXIT_OK
    said = json.loads(capsys.readouterr().out)
    assert {Path(path).relative_to(home).as_posix() for path in said["files"]} == files_of(home)
    assert files_of(home) == {
        "data/mime/packages/semcomp.xml",
        "data/thumbnailers/semcomp.thumbnailer",
        "data/bash-completion/completions/semcomp",
        "data/zsh/site-functions/_semcomp",
        "data/fish/vendor_completions.d/semcomp.fish",
        "config/ImageMagick/delegates.xml",
    }
    assert main(["desktop", "install"]) == EXIT_OK, "an installation replaces an earlier one"
    assert main(["desktop", "uninstall"]) == EXIT_OK
    assert files_of(home) == set()
    assert main(["desktop", "uninstall", "--json"]) == EXIT_OK
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["files"] == []


def test_the_mime_type_has_the_first_bytes_of_real_files(home: Path) -> None:
    assert main(["desktop", "install", "--quiet"]) == EXIT_OK
    tree = ElementTree.parse(home / "data" / "mime" / "packages" / "semcomp.xml")
    (match,) = tree.iter(f"{NAMESPACE}match")
    magic = match.attrib["value"].encode().decode("unicode_escape").encode("latin-1")
    for file in GOLDEN.glob("*.semc"):
        assert file.read_bytes().startswith(magic), file
    (glob,) = tree.iter(f"{NAMESPACE}glob")
    assert glob.attrib["pattern"] == "*.semc"


@pytest.mark.skipif(not shutil.which("update-mime-database"), reason="shared-mime-info is not installed")
def test_the_desktop_takes_the_mime_type(home: Path) -> None:
    assert main(["desktop", "install", "--quiet"]) == EXIT_OK
    mime = home / "data" / "mime"
    assert b"[80:image/x-semc]\n>0=\x00\x04\x89SMC" in (mime / "magic").read_bytes()
    assert "image/x-semc:*.semc" in (mime / "globs2").read_text()
    assert main(["desktop", "uninstall", "--quiet"]) == EXIT_OK
    assert not (mime / "globs2").exists() or "semc" not in (mime / "globs2").read_text()


def test_the_thumbnailer_runs(home: Path) -> None:
    assert main(["desktop", "install", "--quiet"]) == EXIT_OK
    entry = configparser.ConfigParser(interpolation=None)
    entry.read(home / "data" / "thumbnailers" / "semcomp.thumbnailer")
    values = entry["Thumbnailer Entry"]
    assert values["MimeType"] == "image/x-semc;" and os.access(values["TryExec"], os.X_OK)
    _, _, arguments = values["Exec"].partition(" desktop ")
    target = home / "small.png"
    words = {"%i": str(GOLDEN / "middle.semc"), "%o": str(target), "%s": "64"}
    assert main(["desktop", *(words.get(word, word) for word in arguments.split())]) == EXIT_OK
    with Image.open(target) as small, Image.open(GOLDEN / "middle.png") as large:
        assert small.format == "PNG" and max(small.size) == 64
        assert abs(small.width / small.height - large.width / large.height) < 0.05


@pytest.mark.parametrize("values", [[], ["a.semc", "b.png"], ["a.semc", "b.png", "0"], ["a.semc", "b.png", "x"]])
def test_a_thumbnail_needs_three_values(values: list[str]) -> None:
    assert main(["desktop", "thumbnail", *values]) == EXIT_USAGE


def test_files_of_others_stay(home: Path, capsys: Any) -> None:
    foreign = home / "data" / "thumbnailers" / "semcomp.thumbnailer"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("mine")
    assert main(["desktop", "install"]) == EXIT_FAILED
    assert "semcomp did not write it" in capsys.readouterr().err
    assert files_of(home) == {"data/thumbnailers/semcomp.thumbnailer"}
    assert main(["desktop", "uninstall"]) == EXIT_OK
    assert foreign.read_text() == "mine"


def test_delegates_of_others_stay(home: Path, capsys: Any) -> None:
    delegates = home / "config" / "ImageMagick" / "delegates.xml"
    delegates.parent.mkdir(parents=True)
    before = '<delegatemap>\n  <delegate decode="bpg" command="bpgdec"/>\n</delegatemap>\n'
    delegates.write_text(before)
    for _ in range(2):
        assert main(["desktop", "install", "--quiet"]) == EXIT_OK
    found = {entry.attrib["decode"] for entry in ElementTree.parse(delegates).iter("delegate")}
    assert found == {"bpg", "semc"} and delegates.read_text().count("<delegate ") == 2
    assert main(["desktop", "uninstall", "--quiet"]) == EXIT_OK
    assert delegates.read_text() == before
    delegates.write_text("no list")
    assert main(["desktop", "install"]) == EXIT_FAILED
    assert "is not a list of delegates" in capsys.readouterr().err


def _imagemagick() -> str | None:
    for name in ("magick", "/usr/bin/convert", "convert"):
        if (path := shutil.which(name)) and b"imagemagick.org" in subprocess.run(
            [path, "-version"], capture_output=True, check=False
        ).stdout:
            return path
    return None


@pytest.mark.skipif(_imagemagick() is None, reason="ImageMagick is not installed")
def test_imagemagick_reads_the_format(home: Path) -> None:
    program = home / "my programs" / "100% semcomp"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\ncp \'{GOLDEN / "middle.png"}\' "$2"\n')
    program.chmod(0o755)
    delegates = home / "config" / "ImageMagick" / "delegates.xml"
    delegates.parent.mkdir(parents=True)
    delegates.write_text(with_delegate("", [str(program)]))
    target = home / "picture.png"
    done = subprocess.run(
        [_imagemagick() or "", str(GOLDEN / "middle.semc"), str(target)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with Image.open(target) as picture, Image.open(GOLDEN / "middle.png") as expected:
        assert picture.convert("RGB").tobytes() == expected.convert("RGB").tobytes()


@pytest.mark.parametrize(
    ("name", "code", "said"), [("a.png", 3, "not a .semc file"), ("gone.semc", 1, "gone.semc: No")]
)
def test_a_thumbnail_of_something_else(name: str, code: int, said: str, tmp_path: Path, capsys: Any) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    assert main(["desktop", "thumbnail", str(tmp_path / name), str(tmp_path / "b.png"), "64"]) == code
    assert said in capsys.readouterr().err and not (tmp_path / "b.png").exists()


def test_a_linked_list_of_delegates_stays_a_link(home: Path) -> None:
    dotfiles, link = home / "dotfiles.xml", home / "config/ImageMagick/delegates.xml"
    dotfiles.write_text("<delegatemap>\n</delegatemap>\n")
    link.parent.mkdir(parents=True)
    link.symlink_to(dotfiles)
    assert main(["desktop", "install", "--quiet"]) == EXIT_OK
    assert link.is_symlink() and "semc" in dotfiles.read_text()
