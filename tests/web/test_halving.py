"""Heads that read large pictures smaller, in node: what the client says of a file, beside the library."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from heads.halving import fit, save
from heads.head_file import save_head
from semcomp.codec.codec import Codec
from semcomp.export.codec_parts import PARTS
from semcomp.export.folder import export_onnx
from semcomp.semantics import halving
from semcomp.semantics.results import Labels, Segmentation
from tests.heads.test_halving import head_of, photo
from tests.web.test_web import built as built
from tests.web.test_web import node

pytest.importorskip("onnxscript")
TASKS = ("classify", "segment")


@pytest.fixture(scope="module")
def graphs(codec: Codec, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Graphs of the codec and of two heads of random weights, which halve pictures from 64 pixels on."""
    folder, rng = tmp_path_factory.mktemp("halving"), np.random.default_rng(0)
    save(fit(codec, [photo(rng, height=192, width=256) for _ in range(12)], held=2), folder / "halving.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(halving, "RELEASED", folder / "halving.safetensors")
        halving.released.cache_clear()
        for task in TASKS:
            save_head(head_of(codec, task, 64), folder / f"{task}.safetensors")
        for task in TASKS:  # both are called "h"
            files = [str(folder / f"{task}.safetensors")]
            export_onnx(folder / task, parts=[*PARTS, "heads"], heads=files)
        yield folder
    halving.released.cache_clear()


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("task", TASKS)
def test_the_client_reads_large_pictures_smaller(codec: Codec, graphs: Path, tmp_path: Path, task: str) -> None:
    jobs = []
    for number, (height, width) in enumerate(((150, 210), (100, 130), (50, 70))):
        pixels = photo(np.random.default_rng(number), height=height, width=width)
        (tmp_path / f"{number}.semc").write_bytes(codec.encode(pixels, quality=60))
        jobs.append({"do": "recognise", "file": str(tmp_path / f"{number}.semc"), "head": "h", "save": str(number)})
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    done = node("tests/nodeclient.mjs", graphs / task, tmp_path / "jobs.json", tmp_path)
    assert done.returncode == 0, done.stderr
    head = head_of(codec, task, 64)
    for number, row in enumerate(json.loads(done.stdout)):
        assert "error" not in row, row
        expected = head(codec.latents((tmp_path / f"{number}.semc").read_bytes()))
        if isinstance(expected, Labels):
            assert [label["name"] for label in row["labels"]] == list(expected.names)
            scores = [label["score"] for label in row["labels"]]
            np.testing.assert_allclose(scores, expected.scores, atol=0.02)
        else:
            assert isinstance(expected, Segmentation)
            found = np.fromfile(tmp_path / f"{number}.map", np.uint8).reshape(expected.label_map.shape)
            assert (found == expected.label_map).mean() > 0.95
