"""Graphs with coarser weights: smaller, nearly the same picture, and the same symbols."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from benchmarks.compact import main as benchmark
from semcomp.cli.exit_codes import EXIT_USAGE
from semcomp.cli.main import main as command
from semcomp.codec.codec import Codec
from semcomp.export.compact import GRAPHS, SMALLEST, as_compact, coarse, compacted, levels_of
from semcomp.export.entropy_parts import mean
from semcomp.export.graph import traced
from semcomp.export.part import Part
from semcomp.imaging.metrics import psnr_db
from tests.releases import untrained

for name in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(name)

from semcomp.edge import EdgeCodec  # noqa: E402
from semcomp.export.folder import export_onnx  # noqa: E402

LAYERS = tuple(f"block2.{layer}.weight" for layer in ("mix", "merge", "expand", "project"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("compact")
    export_onnx(made, heads=[], compact=True)
    return made


def test_levels_and_steps_give_a_weight_back() -> None:
    value = np.random.default_rng(0).normal(0, 1, (5, 7, 3, 3)).astype(np.float32)
    value[2] = 0
    integers, steps = coarse(value, 40)
    assert np.abs(integers).max() == 40 and np.array_equal(integers, np.rint(integers))
    assert np.array_equal(steps, steps.astype(np.float16)) and steps.shape == (5, 1, 1, 1)
    assert (np.abs(integers * steps - value) <= steps / 2 + 1e-6).all()
    assert not integers[2].any()


def test_the_layers_that_cost_most_have_the_most_levels() -> None:
    assert (
        levels_of("mean_path.entry.weight") > levels_of("mean_path.block1.mix.weight") > levels_of("mean_path.up.conv")
    )
    assert levels_of("synthesis.linear.weight") > levels_of("synthesis.blocks16.0.mix.weight")


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [("synthesis", "float", "compact"), ("synthesis", "int8", "int8"), ("sigma", "float", "float")],
)
def test_what_is_int8_or_decides_symbols_stays(name: str, before: str, after: str) -> None:
    part = Part(name=name, module=nn.Identity(), inputs=(), outputs=(), sizes={}, precision=before)
    assert [each.precision for each in as_compact([part])] == [after]


def test_the_folder_is_smaller(folder: Path, exported: tuple[Path, Any]) -> None:
    plain, small = (json.loads((path / "manifest.json").read_text())["graphs"] for path in (exported[0], folder))
    for name in GRAPHS:
        assert small[name]["precision"] == "compact"
        assert small[name]["bytes"] < 0.72 * plain[name]["bytes"]
    for name in ("analysis", "hyper", "sigma"):
        assert small[name]["sha256"] == plain[name]["sha256"], "what decides symbols is exact"


def test_every_large_weight_of_four_passes_has_levels() -> None:
    """The heads of the passes lie in one tensor, and each of its channels keeps a step of its own."""
    codec = Codec(untrained(latents=64, entropy_width=96))
    (following,) = (part for part in mean(codec) if part.name == "mean_next")
    model = compacted(traced(following))
    sizes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    matrices = {name for name, size in sizes.items() if len(size) in (2, 3) and np.prod(size) >= SMALLEST}
    assert matrices == {f"mean_path.{name}.levels" for name in ("heads", *LAYERS)}
    assert sizes["mean_path.heads.steps"] == (3, 64, 1)


@pytest.mark.parametrize(("quality", "most"), [(1, 0.05), (50, 0.1), (100, 0.3)])
def test_pictures_and_symbols(
    folder: Path, exported: tuple[Path, Any], codec: Codec, photo: NDArray[np.uint8], quality: int, most: float
) -> None:
    plain, small = EdgeCodec(exported[0], threads=1), EdgeCodec(folder, threads=1)
    data = codec.encode(photo, quality=quality)
    ours, theirs = codec.read_symbols(data), small.read_symbols(data)
    assert np.array_equal(ours.y, theirs.y) and np.array_equal(ours.index, theirs.index)
    before, after = (psnr_db(photo, np.asarray(client.decode(data))) for client in (plain, small))
    assert after > before - most
    assert codec.read_symbols(small.encode(photo, quality=quality)).y.any()


def test_the_command_refuses_it_for_the_restorer(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert command(["export", "onnx", "-o", str(tmp_path), "--restorer", "x", "--compact"]) == EXIT_USAGE
    assert "--compact" in capsys.readouterr().err


def test_the_benchmark(folder: Path, exported: tuple[Path, Any], photo: NDArray[np.uint8], tmp_path: Path) -> None:
    Image.fromarray(photo).save(tmp_path / "photo.png")
    folders = ("--graphs", str(exported[0]), "--compact", str(folder))
    out = tmp_path / "compact.json"
    status = benchmark([str(tmp_path), *folders, "--side", "64", "--qualities", "50", "--quiet", "-o", str(out)])
    (row,) = json.loads(out.read_text())["rows"]
    assert row["differing"] == 0 and row["plain_db"] - 0.1 < row["compact_db"] != row["plain_db"]
    assert status in (0, 1)
