"""The cards beside the embedded weights say what the weights say of themselves."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from semcomp.cli.main import main

WEIGHTS = Path(__file__).parents[2] / "semcomp" / "weights"
CARDS = {path.stem: path.read_text(encoding="utf-8") for path in sorted(WEIGHTS.glob("*.md"))}
PLACEHOLDER = re.compile(r"@[A-Z][A-Z0-9]*|TODO|XXX")


@pytest.mark.parametrize("name", CARDS)
def test_no_card_waits_for_a_figure(name: str) -> None:
    assert PLACEHOLDER.findall(CARDS[name]) == []


def test_every_card_names_the_weights_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    read = set()
    for row in rows:
        name = f"generator_{row['name']}" if row["kind"] == "generator" else row["name"]
        ids = {key: value for key, value in row.items() if key.endswith("_id")}
        assert {key for key, value in ids.items() if value not in CARDS[name]} == set(), name
        read.add(name)
    assert read == set(CARDS) - {"thumbs"}, "the thumbnails' networks belong to no codec and are not listed"
