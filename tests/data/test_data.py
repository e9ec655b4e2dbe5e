"""Datasets of latents: what samples hold, batches of mixed sizes, workers, shards, shuffling."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from semcomp.codec.codec import Codec
from semcomp.data import SemcDataset, SemcStream, collate
from semcomp.data.files import folder_name
from semcomp.errors import FormatError, SemcompWarning, TargetError
from semcomp.semantics.results import Labels, Segmentation, default_palette
from semcomp.semantics.stored import Semantics
from semcomp.storage.shards import pack_shard

GOLDEN = Path(__file__).parents[1] / "golden"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(codec: Codec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dog/0.semc of 40x50, dog/1.semc of 70x30 and cat/2.semc of 20x20 pixels, with labels, a map and a thumbnail."""
    root = tmp_path_factory.mktemp("data")
    for number, (name, width, height) in enumerate((("dog", 40, 50), ("dog", 70, 30), ("cat", 20, 20))):
        rows, columns = np.mgrid[0:height, 0:width]
        picture = np.stack([60 + 2 * rows, 60 + columns, 150 - rows], axis=2).astype(np.uint8)
        label_map = np.full((height, width), number, np.uint8)
        label_map[:4, :4] = 255
        own = Semantics(
            labels=Labels(names=(name,), scores=(0.5,)),
            segmentation=Segmentation(label_map=label_map, classes=("a", "b", "c"), palette=default_palette(3)),
        )
        (root / name).mkdir(exist_ok=True)
        (root / name / f"{number}.semc").write_bytes(codec.encode(picture, quality=20, semantics=own, preview=60))
    return root


@pytest.fixture(scope="module")
def shards(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four shards of five samples each: keys 00 to 19, with their number in "cls"."""
    root = tmp_path_factory.mktemp("shards")
    data = (folder / "cat/2.semc").read_bytes()
    for shard in range(4):
        keys = range(5 * shard, 5 * shard + 5)
        samples = [(f"{key:02}", {"semc": data, "cls": str(key).encode()}) for key in keys]
        (root / f"{shard}.tar").write_bytes(pack_shard(samples))
    return root


def keys(batches: Any) -> list[str]:
    return [key for batch in batches for key in batch["key"]]


def test_a_sample_holds_what_was_asked_for(folder: Path, codec: Codec) -> None:
    files = SemcDataset(folder, fields=("latents", "labels", "label_map", "thumb"), target=folder_name)
    assert len(files) == 3
    sample = files[1]
    assert (sample["width"], sample["height"], sample["quality"], sample["target"]) == (40, 50, 20, "dog")
    assert torch.equal(sample["latents"], codec.latents(folder / "dog/0.semc").y_hat[0])
    assert (sample["labels"], sample["scores"]) == (["dog"], [pytest.approx(0.5, abs=0.01)])
    assert sample["label_map"].shape == (50, 40) and sample["label_map"][0, 0] == 255 and sample["label_map"][9, 9] == 0
    assert sample["classes"] == ["a", "b", "c"] and sample["thumb"].shape[0] == 3
    assert "latents" not in SemcDataset(folder, fields=())[0]


def test_a_batch_of_mixed_sizes_says_what_is_real(folder: Path) -> None:
    files = SemcDataset(folder, fields=("latents", "label_map"))
    batch = next(iter(DataLoader(files, batch_size=3, collate_fn=collate)))
    assert batch["latents"].shape == (3, 320, 4, 5) and batch["valid"].sum(dim=(1, 2)).tolist() == [4, 12, 10]
    assert not batch["latents"][0][:, ~batch["valid"][0]].any()
    assert batch["label_map"].shape == (3, 64, 80)
    assert (batch["label_map"] != 255).sum(dim=(1, 2)).tolist() == [20 * 20 - 16, 40 * 50 - 16, 70 * 30 - 16]
    assert batch["quality"].tolist() == [20, 20, 20]


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_give_what_one_process_gives(folder: Path, start: str) -> None:
    if start not in torch.multiprocessing.get_all_start_methods():
        pytest.skip(f"the system has no {start}")
    code = f"""
import torch
torch.set_num_threads(2)
torch.nn.functional.conv2d(torch.randn(1, 64, 128, 128), torch.randn(64, 64, 3, 3))  # starts OpenMP's threads
from torch.utils.data import DataLoader
from semcomp.data import SemcDataset, collate
if __name__ == "__main__":
    files = SemcDataset({str(folder)!r})
    more = dict(num_workers=2, multiprocessing_context={start!r})
    for one, other in zip(DataLoader(files, collate_fn=collate, **more), DataLoader(files, collate_fn=collate)):
        assert one["key"] == other["key"] and torch.equal(one["latents"], other["latents"])
    print("equal")
"""
    script = folder / f"{start}.py"
    script.write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stdout.strip() == "equal", done.stderr


def test_shards_are_read_in_order_and_every_worker_has_its_own(shards: Path) -> None:
    stream = SemcStream(f"{shards}/*.tar", fields=())
    assert keys(DataLoader(stream, collate_fn=collate)) == [f"{number:02}" for number in range(20)]
    loader = DataLoader(stream, collate_fn=collate, num_workers=2, batch_size=5)
    assert sorted(keys(loader)) == [f"{number:02}" for number in range(20)]
    first = next(iter(stream))
    assert first["cls"] == b"0" and first["width"] == 20


def test_ranks_share_the_shards(shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 3)
    found = []
    for rank in range(3):
        monkeypatch.setattr(torch.distributed, "get_rank", lambda rank=rank: rank)
        found.append([sample["key"] for sample in SemcStream(f"{shards}/*.tar", fields=(), shuffle=5)])
    assert [len(keys) for keys in found] == [10, 5, 5]
    assert sorted(key for keys in found for key in keys) == [f"{number:02}" for number in range(20)]


def test_shuffling_is_repeatable_and_changes_with_the_epoch(shards: Path) -> None:
    stream = SemcStream(f"{shards}/*.tar", fields=(), shuffle=7, seed=3)
    first, again = [s["key"] for s in stream], [s["key"] for s in stream]
    stream.set_epoch(1)
    second = [s["key"] for s in stream]
    assert first == again != second and sorted(first) == sorted(second) == [f"{number:02}" for number in range(20)]
    assert first != sorted(first)


def test_a_damaged_file_raises_or_is_left_out(shards: Path, tmp_path: Path) -> None:
    good = (GOLDEN / "ramp.semc").read_bytes()
    (tmp_path / "s.tar").write_bytes(pack_shard([("a", {"semc": b"bad"}), ("b", {"semc": good})]))
    with pytest.raises(FormatError):
        list(SemcStream(tmp_path / "s.tar", fields=()))
    with pytest.warns(SemcompWarning, match="a is left out"):
        assert [s["key"] for s in SemcStream(tmp_path / "s.tar", fields=(), skip_damaged=True)] == ["b"]


def test_an_archive_is_a_dataset(tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as file:
        for path in sorted(GOLDEN.glob("*.semc")):
            file.write(path, f"deep/{path.name}")
    files = SemcDataset(tmp_path / "d.zip", fields=(), target=folder_name)
    assert len(files) == len(list(GOLDEN.glob("*.semc"))) and files[0]["target"].endswith("deep")


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=r"no \.semc file in"):
        SemcDataset(tmp_path)
    with pytest.raises(TargetError, match="'pixels' is not a field"):
        SemcDataset(GOLDEN, fields=("pixels",))
