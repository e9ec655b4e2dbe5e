"""Pages that come from the code say what the code says."""

from __future__ import annotations

import pytest

pytest.importorskip("train.codec", reason="needs pip install 'semcomp[train]'", exc_type=ImportError)

from tools import reference


def test_every_generated_page_is_current() -> None:
    assert reference.outdated() == [], "run python -m tools.reference"


def test_an_old_page_is_noticed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(reference, "exit_codes_page", lambda: "another text")
    assert reference.main(["--check"]) == 1
    assert "docs/reference/exit-codes.md is not current" in capsys.readouterr().err


def test_every_option_and_key_has_its_meaning() -> None:
    page = reference.cli_page()
    assert "`-q, --quality 1..100`" in page and "## semcomp doctor" in page
    assert not [line for line in page.splitlines() if line.startswith("| `-") and line.endswith("|  |")]
    assert "`optim.lr` | `0.001`" in reference.configuration_page()
