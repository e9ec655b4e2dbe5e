"""What a run over many files promises beside its rows: what is done again, what is kept, and what no file may lose."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import semcomp
from semcomp.cli.main import main
from semcomp.codec.codec import Codec
from semcomp.scale.run import map_files
from semcomp.scale.run_folder import Input, RunFolder
from semcomp.scale.task import MapTask
from semcomp.scale.verbs import Tools, classify_row, segment_row
from semcomp.semantics.head import Segmentation, load_head
from semcomp.semantics.stored import Semantics
from semcomp.storage.shards import read_shard
from semcomp.weights.files import WEIGHTS
from tests.conftest import texture
from tests.scale.test_map import GOLDEN, environment, rows_of

SEMC = GOLDEN / "ramp.semc"


def test_retry_does_only_the_blocks_in_which_a_file_failed(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.semc" for number in range(6)]
    for path in paths:
        shutil.copy(SEMC, path)
    paths[3].write_bytes(b"damaged")
    inputs = [Input(str(path), path.name) for path in paths]
    given: dict[str, Any] = {"task": MapTask(verb="info"), "output": str(tmp_path / "rows"), "block": 2}
    assert (map_files(inputs, **given).files, map_files(inputs, **given).files) == (6, 0)
    shutil.copy(SEMC, paths[3])
    again = map_files(inputs, **given, retry=True)
    assert (again.files, again.failed, again.skipped) == (2, 0, 4)


def test_a_file_that_is_named_twice_has_one_row(tmp_path: Path) -> None:
    folder, task = RunFolder(str(tmp_path / "run")), MapTask(verb="info")
    folder.begin(task, force=False)
    assert folder.add_inputs([Input("a.semc", "a.semc"), Input("a.semc", "a.semc")], task=task) == 1


def test_a_file_that_is_cut_keeps_its_size_in_its_row(tmp_path: Path) -> None:
    (tmp_path / "cut.semc").write_bytes(SEMC.read_bytes()[:-9])
    assert main(["map", "info", str(tmp_path / "cut.semc"), "-o", str(tmp_path / "rows"), "--quiet"]) == 1
    (row,) = rows_of(tmp_path / "rows")
    assert row["error_kind"] == "FormatError" and row["width"] and row["height"]


def test_a_shard_keeps_photos_apart_whose_names_have_dots(stand_in: Any, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for name in ("2026.11.29.png", "2026.11.30.png"):
        Image.new("RGB", (40, 30)).save(tmp_path / "photos" / name)
    given = ["-o", str(tmp_path / "rows"), "--files", str(tmp_path / "s"), "--shards", "--block", "2"]
    assert main(["map", "encode", str(tmp_path / "photos"), *given]) == 0
    assert [sample.key for sample in read_shard(str(tmp_path / "s/part-000000.tar"))] == ["2026_11_29", "2026_11_30"]


def test_a_photo_that_is_added_later_replaces_no_file_of_an_earlier_run(stand_in: Any, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (40, 30)).save(tmp_path / "photos/a.png")
    arguments = [
        "map",
        "encode",
        str(tmp_path / "photos"),
        "-o",
        str(tmp_path / "rows"),
        "--files",
        str(tmp_path / "s"),
    ]
    assert main(arguments) == 0
    before = (tmp_path / "s/a.semc").read_bytes()
    Image.new("RGB", (20, 10), (250, 0, 0)).save(tmp_path / "photos/a.jpg")
    assert main(arguments) == 1
    assert (tmp_path / "s/a.semc").read_bytes() == before
    assert ["already written" in (row["error"] or "") for row in rows_of(tmp_path / "rows")] == [False, True]


def test_a_worker_that_dies_loses_no_file_of_the_shard(tmp_path: Path) -> None:
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook/sitecustomize.py").write_text(
        "import os\nimport semcomp.scale.verbs as verbs\nverbs.Tools.load = lambda tools: None\n"
        "size = {'width': 1, 'height': 1}\nverbs.FUNCTIONS['decode'] = "
        "lambda data, tools: os._exit(9) if data == b'deadly' else verbs.Outcome(size, data)\n"
    )
    (tmp_path / "in").mkdir()
    for number in range(6):
        (tmp_path / f"in/{number}.semc").write_bytes(b"deadly" if number == 2 else b"good")
    arguments = ["map", "decode", "in", "-o", "rows", "--files", "s", "--shards", "--block", "3", "-j", "2", "--quiet"]
    command = [sys.executable, "-m", "semcomp", *arguments]
    subprocess.run(command, cwd=tmp_path, env=environment(tmp_path / "hook"), check=False, timeout=500)
    keys = [[sample.key for sample in read_shard(str(path))] for path in sorted((tmp_path / "s").glob("*.tar"))]
    assert keys == [["0", "1"], ["3", "4", "5"]]
    assert [row["error"] is None for row in rows_of(tmp_path / "rows")] == [True, True, False, True, True, True]


def test_rows_say_what_was_written_and_options_reach_the_file(codec: Codec, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    Image.effect_noise((64, 48), 60).convert("RGB").save(tmp_path / "photos/a.png", exif=exif)
    for more, place in (((), "plain"), (("--strip", "--preview", "24", "--quality", "20"), "other")):
        given = ["-o", str(tmp_path / f"{place}.rows"), "--files", str(tmp_path / place), *more]
        assert main(["map", "encode", str(tmp_path / "photos"), *given]) == 0
        (row,), facts = rows_of(tmp_path / f"{place}.rows"), semcomp.info(tmp_path / place / "a.semc")
        size = (tmp_path / place / "a.semc").stat().st_size
        assert row["output_bytes"] == size and row["bpp"] == pytest.approx(8 * size / (64 * 48))
        assert row["quality"] == facts.quality == (20 if more else 50)
        assert (facts.has_exif, bool(facts.preview)) == ((False, True) if more else (True, False))
    given = ["-o", str(tmp_path / "back.rows"), "--files", str(tmp_path / "back")]
    assert main(["map", "decode", str(tmp_path / "plain"), *given]) == 0
    (row,), size = rows_of(tmp_path / "back.rows"), (tmp_path / "plain/a.semc").stat().st_size
    assert row["bytes"] == size and row["bpp"] == pytest.approx(8 * size / (64 * 48))
    assert row["output_bytes"] == (tmp_path / "back/a.png").stat().st_size


def test_the_number_of_labels_and_how_sure_they_are_can_be_asked(codec: Codec, tmp_path: Path) -> None:
    """A stored map has no probabilities, so a head that is asked how sure it is runs."""
    street = load_head("street")
    label_map = np.zeros((64, 64), np.uint8)
    made = Segmentation(label_map=label_map, classes=street.classes, palette=street.palette, head="street")
    picture = texture(0, 64, 64, np.random.default_rng(0))
    data = codec.encode(picture, semantics=Semantics(segmentation=made))
    asked = MapTask(verb="segment", head="street", min_confidence=0.5)
    assert segment_row(data, Tools(MapTask(verb="segment", head="street"))).row["stored"]
    assert not segment_row(data, Tools(asked)).row["stored"]
    unlimited = tmp_path / "unlimited.safetensors"  # its limits are not beside it
    shutil.copy(WEIGHTS / "imagenette.safetensors", unlimited)
    numbers = [
        len(classify_row(data, Tools(MapTask(verb="classify", head=str(unlimited), top=top))).row["labels"])
        for top in (1, 3)
    ]
    assert numbers == [1, 3]
