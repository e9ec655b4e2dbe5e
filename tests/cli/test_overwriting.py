"""No result replaces a file that the same command reads, whichever option names it, and --force changes nothing."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from heads import fit
from semcomp.bitstream.container import MAGIC
from semcomp.cli.exit_codes import UsageError
from semcomp.cli.main import main
from semcomp.cli.parser import COMMANDS, build_parser
from semcomp.cli.paths import check_target
from semcomp.storage.shards import pack_shard
from tests.restoration.conftest import restorer, weights

__all__ = ["restorer", "weights"]

WRITTEN_TO = {"output", "files", "help", "version"}
"""Options that say where results go, or take no value that the command keeps."""
WORDS = {"command", "device", "form", "format", "mode"}
"""Options whose values are words."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a.png, a label map, a mask, the names of classes, and .semc files."""
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (40, 30), (90, 120, 30)).save("a.png")
    Image.new("L", (40, 30)).save("map", "PNG")
    Image.new("L", (40, 30), 255).save("mask", "PNG")
    Path("classes.txt").write_text("road\n")
    Path("a.semc").write_bytes(MAGIC)
    return tmp_path


def options_of(command: str) -> list[str]:
    """Names of the options of a command that take a text of the user's."""
    (chosen,) = [action for action in build_parser([command])._actions if action.dest == "command"]
    parser: ArgumentParser = chosen.choices[command]  # type: ignore[index]
    free = [action for action in parser._actions if action.nargs != 0 and action.type is None and not action.choices]
    return [action.dest for action in free if action.dest not in WRITTEN_TO]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_that_may_name_a_file_protects_it(command: str, folder: Path) -> None:
    for name in options_of(command):
        if name in WORDS or command in ("desktop", "completion"):
            continue
        for value in ("map", ["else", str(folder / "map")], ("map",)):
            with pytest.raises(UsageError, match=r"^\./map is .*, and would be overwritten: choose another -o"):
                check_target("./map", Namespace(**{"force": True, "output": "map", name: value}))


def test_there_are_options_to_protect() -> None:
    assert {"label_map", "classes", "keep_mask", "weights", "model", "generator", "head"} <= set(options_of("encode"))


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        (["encode", "a.png", "--label-map", "map"], "map"),
        (["encode", "a.png", "--label-map", "map", "--classes", "classes.txt"], "classes.txt"),
        (["encode", "a.png", "--keep-mask", "./mask"], "mask"),
        (["encode", "a.png", "--as", "jpeg", "--psnr", "30", "--weights", "WEIGHTS"], "WEIGHTS"),
        (["encode", "a.png", "-q", "60", "--model", "own.safetensors"], "own.safetensors"),
        (["compare", "a.png", "--model", "own.safetensors"], "own.safetensors"),
        (["compare", "map"], "map"),
    ],
)
def test_a_file_that_an_option_names_stays(
    arguments: list[str], kept: str, folder: Path, stand_in: Any, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("WEIGHTS").write_bytes(weights.read_bytes())
    Path("own.safetensors").write_bytes(b"weights")
    Path("link").symlink_to(kept)
    before = Path(kept).read_bytes()
    for target in (kept, str(folder / kept), "link"):
        assert main([*arguments, "-o", target, "--force"]) == 2
        assert "would be overwritten: choose another -o" in capsys.readouterr().err
        assert Path(kept).read_bytes() == before


def test_a_name_of_weights_is_no_file(folder: Path, stand_in: Any) -> None:
    Path("base").write_bytes(b"an older result")
    assert main(["encode", "a.png", "-o", "base", "--force"]) == 0
    assert Path("base").read_bytes().startswith(MAGIC)


def test_commands_without_force_keep_their_inputs_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["desktop", "thumbnail", "a.semc", "./a.semc", "64"]) == 2
    Path("a.png").rename("psnr_db.png")
    before = Path("psnr_db.png").read_bytes()
    assert main(["eval", ".", "-o", ".", "--codecs", "jpeg", "--metrics", "psnr"]) == 2
    assert "psnr_db.png is an input, and would be overwritten" in capsys.readouterr().err
    assert Path("psnr_db.png").read_bytes() == before and Path("a.semc").read_bytes() == MAGIC


def test_shards_replace_no_shard_that_is_read(folder: Path, stand_in: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyarrow")
    Path("s").mkdir()
    shard = Path("s/part-000000.tar")
    shard.write_bytes(pack_shard([("a", {"png": Path("a.png").read_bytes()})]))
    before = shard.read_bytes()
    assert main(["map", "encode", "s/part-000000.tar", "-o", "rows.parquet", "--files", "./s", "--shards"]) == 1
    assert "one may replace s/part-000000.tar: name another folder" in capsys.readouterr().err
    assert shard.read_bytes() == before and not Path("rows.parquet").exists()


def test_fitting_a_head_keeps_what_it_reads(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("c.yaml").write_text("name: mine\n")
    for arguments in (["-o", "c.yaml"], ["--card", "./c.yaml"], ["--trunk", "c.yaml", "--log", "c.yaml"]):
        assert fit.main(["c.yaml", *arguments]) == 1
        assert "c.yaml is what --" in capsys.readouterr().err
    assert Path("c.yaml").read_text() == "name: mine\n"
