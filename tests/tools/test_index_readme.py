"""The README that an index shows has no link that leads nowhere."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

from tools import index_readme
from tools.index_readme import index_readme as made

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINKS = re.compile(r"\]\(([^)\s]+)\)")


def test_with_an_address_every_link_and_picture_is_absolute() -> None:
    text = made(README, "https://example.org/semcomp/v1/")
    before, after = LINKS.findall(README), LINKS.findall(text)
    assert len(before) == len(after) > 20
    assert all(link.startswith(("https://", "#")) for link in after)
    assert "![" in text and "https://example.org/semcomp/v1/docs/figures/" in text
    for link in after:
        place = link.removeprefix("https://example.org/semcomp/v1/").partition("#")[0]
        assert place.startswith("https://") or (ROOT / place).exists()


def test_without_an_address_words_stay_and_pictures_go() -> None:
    text = made(README)
    assert not [link for link in LINKS.findall(text) if not link.startswith(("https://", "#"))]
    assert "![" not in text and "examples/demo.py`; " not in text, "captions go with their pictures"
    assert "pip install" in text and "semcomp encode photo.png" in text and "<!--" not in text


def test_examples_of_the_docstring_run() -> None:
    assert doctest.testmod(index_readme).failed == 0
