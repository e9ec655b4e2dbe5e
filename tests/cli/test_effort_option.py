"""--effort on the command line: what reaches the codec, what is refused, and the bar."""

from __future__ import annotations

import io
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from semcomp.cli import effort_option
from semcomp.cli.main import main
from tests.conftest import StandIn


@pytest.fixture
def picture(tmp_path: Path, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(photo).save("a.png")
    return "a.png"


@pytest.mark.parametrize("level", ["1", "5", "9"])
def test_the_effort_reaches_the_codec(
    stand_in: StandIn, picture: str, monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    heard: list[int] = []
    encode = stand_in.encode

    def encode_with(image: Any, *, effort: int = 5, **options: Any) -> bytes:
        heard.append(effort)
        return encode(image, **options)

    monkeypatch.setattr(stand_in, "encode", encode_with)
    assert main(["encode", picture, "--effort", level]) == 0
    assert main(["encode", picture, "-f", "--effort", level, "--max-bytes", "9k"]) == 0
    assert set(heard) == {int(level)}


@pytest.mark.parametrize(
    ("others", "sentence"),
    [
        (["--mode", "generative"], "generators have learned other latents"),
        (["--keep-box", "0,0,9,9", "--drop", "--head", "street"], "generators have learned other latents"),
        (["--lossless"], "--lossless and --near keep the pixels"),
        (["--as", "jpeg", "--max-bytes", "9k"], "--effort belongs to .semc files"),
    ],
)
def test_what_nothing_can_be_fitted_for_is_refused(
    picture: str, capsys: pytest.CaptureFixture[str], others: list[str], sentence: str
) -> None:
    assert main(["encode", picture, "--effort", "7", *others]) == 2
    assert sentence in capsys.readouterr().err
    assert not Path("a.semc").exists()


def test_other_numbers_are_refused(picture: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["encode", picture, "--effort", "10"])
    assert "effort" in capsys.readouterr().err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    options = Namespace(effort=9, quiet=False, jobs=1)
    with effort_option.arguments(options) as given:
        for done in (*range(1, 11), 1):  # the second quality of a target begins
            given["on_progress"](done, 10)
    assert "effort 9" in screen.getvalue() and "/10" in screen.getvalue()
    for silent in (Namespace(effort=9, quiet=True, jobs=1), Namespace(effort=9, quiet=False, jobs=2)):
        with effort_option.arguments(silent) as given:
            assert given == {"effort": 9}
    with effort_option.arguments(Namespace(effort=5, quiet=False, jobs=1)) as given:
        assert given == {}
