"""Files of weights: whole or absent, for everybody to read, and errors that name the reason."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from heads.command_line import check_writable
from heads.fit import main as fit_head
from semcomp.cli.main import main
from semcomp.errors import FileError, ModelError
from semcomp.weights.files import stored, write_weights


def test_weights_have_the_permissions_of_every_new_file(tmp_path: Path) -> None:
    file = tmp_path / "new" / "a.safetensors"
    write_weights({"a": torch.ones(3)}, file, metadata={"format": "test"})
    (tmp_path / "other").write_bytes(b"")
    assert file.stat().st_mode == (tmp_path / "other").stat().st_mode
    with stored(file, kind="test", form="test", again="test") as (metadata, tensors):
        assert metadata == {"format": "test"} and tensors["a"].tolist() == [1, 1, 1]


def test_weights_that_cannot_be_written_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be written: is a directory"):
        write_weights({"a": torch.ones(3)}, tmp_path, metadata={})
    assert not list(tmp_path.iterdir()) and not list(tmp_path.parent.glob(".semcomp-*"))


def test_weights_that_cannot_be_read_are_not_called_damaged(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "gone"):
        with (
            pytest.raises(ModelError, match=r"cannot be read .*: check the path"),
            stored(path, kind="test", form="test", again="test"),
        ):
            pass


def test_outputs_are_checked_before_a_head_is_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_bytes(b"")
    check_writable(None, tmp_path / "new" / "deep" / "a", tmp_path / "file")
    for wrong, said in ((tmp_path, "is a directory"), (tmp_path / "file" / "a", "not a directory")):
        with pytest.raises(FileError, match=said):
            check_writable(wrong)
    if os.access("/proc/version", os.W_OK) is False:
        with pytest.raises(FileError, match="permission denied"):
            check_writable(Path("/proc/version"))
    given = [
        str(Path(__file__).parents[2] / "configs/head_street.yaml"),
        "-o",
        str(tmp_path / "file" / "a.safetensors"),
    ]
    assert fit_head(given) == 1 and "a.safetensors cannot be written" in capsys.readouterr().err


def test_push_of_something_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG and so on, which is long enough for a header")
    assert main(["push", str(tmp_path / "a.png"), "org/a", "--show-card"]) == 4
    assert "a.png is not a file of weights" in capsys.readouterr().err
