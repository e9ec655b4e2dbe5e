"""The queue of short runs: one change a run, resumable, failures in the table."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("train.codec", reason="needs pip install 'semcomp[train]'", exc_type=ImportError)

from train.queue import Variant, read_queue, resolved, table_of, work

BASE = {"steps": 2, "codec": {"latents": 24}, "optim": {"ema": 0.9}}
LINE = {
    "quality": [20, 60, 100],
    "bpp": [0.1, 0.5, 2.0],
    "bpp_z": [0.01] * 3,
    "psnr_db": [28.0, 33.0, 39.0],
    "floor_db": [40.0] * 3,
    "bd_rate": -40.0,
    "bd_rate_low": -45.0,
    "bd_rate_high": None,
}
ROW = {
    "steps": 2,
    "seconds_per_step": 0.3,
    "kmac_encode": 10.0,
    "kmac_decode": 9.0,
    **LINE,
    **{f"native_{key}": value for key, value in LINE.items() if key != "quality"},
}


def queue(folder: Path, variants: list[dict[str, Any]]) -> Path:
    path = folder / "queue.yaml"
    path.write_text(yaml.safe_dump({"base": BASE, "variants": variants}))
    return path


def test_a_variant_changes_what_it_names_and_nothing_else() -> None:
    values = resolved(BASE, Variant(name="more", set={"codec.latents": 48, "optim.muon_lr": 0.001}))
    assert values == {**BASE, "name": "more", "codec": {"latents": 48}, "optim": {"ema": 0.9, "muon_lr": 0.001}}
    assert BASE["codec"] == {"latents": 24}


def test_every_variant_runs_once_and_failures_stay_in_the_table(tmp_path: Path) -> None:
    path = queue(tmp_path, [{"name": "a"}, {"name": "b", "why": "why not", "set": {"codec.latents": 48}}])
    ran = []

    def run(base: dict[str, Any], variant: Variant, runs: Path) -> dict[str, Any]:
        ran.append(variant.name)
        return {"name": variant.name, **({"error": "exit 1: no"} if variant.name == "a" else ROW)}

    assert work(path, tmp_path, run=run) and ran == ["a"]
    queue(tmp_path, [{"name": "a"}, {"name": "b"}, {"name": "c"}])  # added while the queue works
    assert work(path, tmp_path, run=run) and work(path, tmp_path, run=run) and ran == ["a", "b", "c"]
    assert not work(path, tmp_path, run=run)
    assert [row["name"] for row in json.loads((tmp_path / "results.json").read_text())] == ["a", "b", "c"]
    table = (tmp_path / "table.md").read_text()
    assert "| a | failed: exit 1: no |" in table and "-40.00, -45.00," in table and "q60 0.500/33.00" in table
    assert table == table_of(json.loads((tmp_path / "results.json").read_text()))


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ([{"name": "a"}, {"name": "a"}], "share a name"),
        ([{"name": "a", "set": {"codec.latent": 3}}], "did you mean codec.latents"),
    ],
)
def test_mistakes_in_a_queue_are_named_before_anything_runs(
    tmp_path: Path, variants: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read_queue(queue(tmp_path, variants))
