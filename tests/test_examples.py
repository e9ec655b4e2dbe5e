"""Every example runs."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "examples"


def run_demo(out: Path, capsys: Any) -> None:
    demo = runpy.run_path(str(EXAMPLES / "demo.py"))
    demo["main"](["--out", str(out)])
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("semcomp", "JPEG", "WebP", "bpp", "dB", " B"))
    assert {path.name for path in out.iterdir()} == {
        "photo.semc", "photo.decoded.png", "photo.beside.png", "photo.html"
    }  # fmt: skip
    with Image.open(out / "photo.decoded.png") as decoded, Image.open(EXAMPLES / "photo.png") as photo:
        assert decoded.size == photo.size


def test_demo_with_a_stand_in(
    stand_in: Any, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import semcomp

    monkeypatch.setattr(semcomp, "load", lambda: stand_in)
    run_demo(tmp_path, capsys)


def test_demo(codec: Any, tmp_path: Path, capsys: Any) -> None:
    run_demo(tmp_path, capsys)
