"""Graphs with coarser weights: smaller, nearly the same picture, and the same symbols."""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from benchmarks.compact import main as benchmark
from semcomp.cli.exit_codes import EXIT_USAGE
from semcomp.cli.main import main as command
from semcomp.codec.codec import Codec
from semcomp.export.codec_parts import PARTS
from semcomp.export.compact import (
    GRAPHS,
    SMALLEST,
    as_compact,
    channel_factors,
    coarse,
    compacted,
    compensated,
    levels_of,
    rounded,
)
from semcomp.export.entropy_parts import mean
from semcomp.export.graph import finished, traced
from semcomp.export.int8 import Calibration
from semcomp.export.moments import Moments, moments_of
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
        assert small[name]["precision"] == "compact" != plain[name]["precision"]
        packed = [len(zlib.compress((path / f"{name}.onnx").read_bytes(), 9)) for path in (exported[0], folder)]
        assert packed[1] < 0.72 * packed[0]
    for name in ("analysis", "hyper", "sigma"):
        assert small[name]["sha256"] == plain[name]["sha256"], "what decides symbols is exact"


def inputs_that_depend_on_each_other(count: int = 4000) -> tuple[NDArray[Any], Moments]:
    rng = np.random.default_rng(1)
    rows = rng.normal(0, 1, (count, 6)) @ rng.normal(0, 1, (6, 40)) + rng.normal(0, 0.1, (count, 40))
    return rows, Moments(rows.T @ rows, count)


def test_rounding_makes_up_for_its_errors() -> None:
    rows, moments = inputs_that_depend_on_each_other()
    value = np.random.default_rng(2).normal(0, 1, (30, 40)).astype(np.float32)
    errors = []
    for integers, steps in (coarse(value, 10), compensated(value, 10, moments)):
        assert np.array_equal(integers, np.rint(integers)) and np.abs(integers).max() <= 10
        errors.append(np.square(rows @ (integers * steps - value).T).mean())
    assert errors[1] < errors[0] / 5


def test_a_stack_of_matrices_is_rounded_like_its_matrices() -> None:
    _, moments = inputs_that_depend_on_each_other()
    value = np.random.default_rng(3).normal(0, 1, (3, 7, 40)).astype(np.float32)
    integers, steps = compensated(value, 20, moments)
    each = [compensated(one, 20, moments) for one in value]
    assert np.array_equal(integers, np.stack([one[0] for one in each]))
    assert np.array_equal(steps, np.stack([one[1] for one in each]))


def test_small_channels_have_coarser_steps() -> None:
    sizes = np.array([100.0, 1.5, 1.5, 100, 1e-9], np.float64)
    factors = channel_factors(np.ones((2, 5), np.float32), Moments(50.0 * np.diag(sizes**2), 50))
    assert factors.tolist() == [[1, 8, 8, 1, 64]]
    taps = Moments(50.0 * np.diag(np.repeat(sizes**2, 9)), 50)
    assert channel_factors(np.ones((2, 5, 3, 3), np.float32), taps).ravel().tolist() == [1, 8, 8, 1, 64]


def test_few_inputs_are_taken_as_independent() -> None:
    rows, _ = inputs_that_depend_on_each_other()
    few = Moments(rows[:4].T @ rows[:4], 4)
    assert np.linalg.eigvalsh(few.means()).min() > 0
    apart = np.abs(few.means() - np.diag(np.diag(few.means()))).max()
    assert apart < np.abs(few.sums / 4).max() / 5
    np.testing.assert_allclose(np.diag(few.means()), np.diag(few.sums) / 4, rtol=0.01)


@pytest.fixture(scope="module")
def moments() -> dict[str, Moments]:
    codec = Codec(untrained(latents=64, entropy_width=96))
    photos = Calibration(codec, None)
    photos.crops = photos.crops[:3]
    found: dict[str, Moments] = {}
    for part in [*mean(codec), *PARTS["synthesis"](codec)]:
        if part.name in GRAPHS:
            found |= moments_of(part, photos)
    return found


def test_what_layers_multiply_is_known(moments: dict[str, Moments]) -> None:
    codec = Codec(untrained(latents=64, entropy_width=96))
    names = {f"mean_path.{name}" for name in ("entry.weight", "context.weight", "heads.weight", *LAYERS)}
    assert names | {"synthesis.linear.weight", "mean_path.up.conv.weight"} <= set(moments)
    positions = 3 * 16 * 16
    assert moments["synthesis.linear.weight"].count == moments["mean_path.heads.weight"].count == positions
    hyper = codec.release.config.hyper
    assert moments["mean_path.entry.weight"].sums.shape == (9 * hyper, 9 * hyper)
    assert moments["mean_path.entry.weight"].count == moments["mean_path.up.conv.weight"].count == positions // 16
    for found in moments.values():
        assert np.isfinite(found.sums).all() and np.array_equal(found.sums, found.sums.T)


def test_every_large_weight_of_four_passes_has_levels(moments: dict[str, Moments]) -> None:
    """The heads of the passes lie in one tensor, and each of its channels keeps a step of its own."""
    codec = Codec(untrained(latents=64, entropy_width=96))
    (following,) = (part for part in mean(codec) if part.name == "mean_next")
    model = compacted(traced(following), moments)
    sizes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    matrices = {name for name, size in sizes.items() if name.endswith(".levels")}
    assert matrices == {f"mean_path.{name}.levels" for name in ("heads.weight", *LAYERS)}
    assert not [
        name for name, size in sizes.items() if len(size) > 1 and np.prod(size) >= SMALLEST and name[-7:] == ".weight"
    ]
    assert sizes["mean_path.heads.weight.factor1"] == (3, 64, 1)


@pytest.mark.parametrize(("levels", "known"), [(100, False), (127, True), (128, True), (1030, True), (2000, False)])
def test_a_graph_puts_its_weights_together(
    levels: int, known: bool, moments: dict[str, Moments], monkeypatch: pytest.MonkeyPatch
) -> None:
    from onnxruntime import InferenceSession

    monkeypatch.setattr("semcomp.export.compact.levels_of", lambda name: levels)
    chosen = moments if known else {}
    codec = Codec(untrained(latents=64, entropy_width=96))
    (part,) = PARTS["synthesis"](codec)
    data = finished(compacted(traced(part), chosen), part, properties={})
    y_hat = np.random.default_rng(0).normal(0, 1, (1, 64, 8, 8)).astype(np.float32)
    values = {"y_hat": y_hat, "quality": np.array([50])}
    found = InferenceSession(data).run(["x_hat"], values)[0]
    with torch.no_grad():
        for name, weight in part.module.named_parameters():
            if weight.ndim == 2 and weight.numel() >= SMALLEST and name.endswith("weight"):
                parts = rounded(name, weight.numpy(), levels, chosen.get(name))
                weight.copy_(torch.from_numpy(parts[0] * np.prod(np.broadcast_arrays(*parts[1]), 0)))
        expected = part.module(*map(torch.from_numpy, values.values()))[0]
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4 * float(expected.abs().max()))


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
