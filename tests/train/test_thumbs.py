"""The source's coders of thumbnails, and what the code's constants are learned with."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from semcomp.config import load
from semcomp.thumbs.context import TOP, scales
from semcomp.thumbs.tables import released
from semcomp.thumbs.transform import forward
from semcomp.thumbs.walk import Walk
from train import thumbs, thumbs_data, thumbs_pixels
from train.checkpoint import save_state
from train.thumbs_coders import KINDS, Coder, CoderConfig, binarize
from train.thumbs_context import Network, read_code
from train.thumbs_simulation import chances_by_laplace, coefficients, laplace, simulate

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with few thumbnails."""
    folder = tmp_path_factory.mktemp("thumbs")
    rng = np.random.default_rng(3)
    for name, count in (("train", 12), ("held", 2)):
        waves = np.sin(
            rng.uniform(0, 1, (count, 1, 1, 3)) * np.arange(32)[:, None, None] + rng.uniform(0, 6, (count, 1, 1, 1))
        )
        np.save(folder / f"{name}.npy", np.uint8(128 + 90 * np.broadcast_to(waves, (count, 32, 32, 3))))
    return folder


def test_the_binarizer_is_unbiased_and_passes_gradients() -> None:
    torch.manual_seed(0)
    x = torch.full((40_000,), 0.3, requires_grad=True)
    bits = binarize(x, training=True)
    assert set(bits.detach().round(decimals=5).unique().tolist()) == {-1.0, 1.0}
    assert bits.mean().item() == pytest.approx(0.3, abs=0.02)
    bits.sum().backward()
    assert x.grad is not None and torch.equal(x.grad, torch.ones_like(x))
    assert binarize(torch.tensor([-0.1, 0.0, 0.4]), training=False).tolist() == [-1.0, 1.0, 1.0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", [8, 32])
def test_every_coder_decodes_at_every_rate(kind: str, side: int) -> None:
    torch.manual_seed(1)
    coder = Coder(CoderConfig(kind=kind, side=side, hidden=16, channels=8, stages=2), (0.5, 1.0, 4.0)).eval()
    x = torch.rand(2, 3, side, side) * 2 - 1
    outputs = coder.decode_at(x)
    assert [output.shape for output in outputs] == [x.shape] * 3
    assert not torch.equal(outputs[0], outputs[1])


def test_the_data_program_keeps_its_sets_apart(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    photos = [("photos", 110), ("imagenette/train", 105), ("imagenette/val", 210), ("val", 3)]
    for folder, count in photos:
        (tmp_path / "data" / folder).mkdir(parents=True)
        for number in range(count):
            colours = Image.fromarray(rng.integers(0, 256, (2, 2, 3), np.uint8))
            colours.resize((80, 70), Image.Resampling.NEAREST).save(tmp_path / "data" / folder / f"{number:03}.png")
    (tmp_path / "data" / "objects").mkdir()
    mask = np.zeros((40, 60), np.uint8)
    mask[10:30, 20:40] = 7
    Image.fromarray(mask).save(tmp_path / "data" / "objects" / "a.png")
    thumbs_data.main(["--data", str(tmp_path / "data"), "-o", str(tmp_path / "out")])
    sets = {name: np.load(tmp_path / "out" / f"{name}.npy") for name in ("train", "dev", "held", "alpha")}
    assert {name: len(values) for name, values in sets.items()} == {"train": 140, "dev": 200, "held": 200, "alpha": 1}
    assert all(values.shape[1:3] == (32, 32) and values.dtype == np.uint8 for values in sets.values())
    seen = {values.tobytes() for values in sets["train"]}
    assert not seen & {values.tobytes() for values in (*sets["dev"], *sets["held"])}


@pytest.mark.parametrize("side", [8, 32])
def test_patches_come_back(side: int) -> None:
    x = torch.rand(3, 3, 32, 32)
    assert torch.equal(thumbs.from_patches(thumbs.to_patches(x, side), side), x)


def test_a_stopped_run_ends_as_an_unbroken_one(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(name: str) -> dict[str, object]:
        values = {"data": str(data), "batch": 4, "save_every": 2, "coder.hidden": 12, "coder.stages": 2, "steps": 4}
        overrides = [word for key, value in values.items() for word in ("--set", f"{key}={value}")]
        config = str(ROOT / "configs" / "thumbs_conv_residual_patch.yaml")
        thumbs.main([config, "-o", str(tmp_path / name), *overrides, "--set", "coder.channels=8"])
        result: dict[str, object] = json.loads((tmp_path / name / "result.json").read_text(encoding="utf-8"))
        return result

    def save_and_stop(path: Path, state: dict[str, object]) -> None:
        save_state(path, state)
        raise KeyboardInterrupt

    unbroken = run("whole")
    with monkeypatch.context() as patch:
        patch.setattr(thumbs, "save_state", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            run("stopped")
    assert run("stopped") == unbroken
    assert "conv_residual_patch" in thumbs.as_table([tmp_path / "whole", tmp_path / "missing"])


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("thumbs_*_*.yaml")), ids=lambda path: path.stem)
def test_configurations_spend_equal_training(path: Path) -> None:
    config = load(thumbs.ThumbsConfig, path)
    assert f"thumbs_{config.name}" == path.stem
    assert f"{config.coder.kind}_{'whole' if config.coder.side == 32 else 'patch'}" == config.name
    assert (config.steps, config.batch, config.coder.stages) == (3000, 16, 8)


def test_laplace_is_a_probability_that_falls_with_the_plane() -> None:
    scale, high = torch.tensor([64.0]), torch.tensor([float(TOP)])
    chances = [laplace(scale, high, plane).item() for plane in range(8)]
    assert all(0 < b < a < 1 for a, b in itertools.pairwise(chances))
    assert chances[4] == pytest.approx(np.exp(-1), rel=0.01)


def test_the_simulation_asks_what_the_walk_asks() -> None:
    """Both walk one thumbnail with the released network; the chances decide the order alone."""
    tables = released()
    pixels: NDArray[np.uint8] = np.random.default_rng(2).integers(0, 256, (32, 32, 3), np.uint8)
    values = coefficients(pixels[None], tables.weights)
    assert np.array_equal(values[0], forward(pixels, None, tables.weights))
    context, zones = tables.long.code.context, tables.long.code.zones

    def exact(high: NDArray[np.int64], middle: NDArray[np.int64], plane: int) -> NDArray[np.int64]:
        return scales(context, high, middle, plane)

    visits = list(simulate(values, context.prior, zones, exact, chances_by_laplace, 9, (0.12, 0.015)))
    assert {visit.plane for visit in visits} == {12, 11, 10, 9}

    class Everything:
        """Counts bits and writes none."""

        def code(self, bit: int, probability: int) -> int:
            return bit

        def codes(self, bits: list[int], probabilities: list[int]) -> list[int]:
            return bits

    walk = Walk(tables.long.code, 3, values[0])
    walk.run(Everything())
    assert np.array_equal(walk.sign * walk.low, values[0])


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """code.npz with the constants of released long codes."""
    tables = released()
    context = tables.long.code.context
    layers = {
        f"layer{n}.{kind}": values
        for n, pair in enumerate(context.layers)
        for kind, values in zip(("weight", "bias"), pair, strict=True)
    }
    looked_up = {name: getattr(context, name) for name in ("prior", "bound", "inverse", "compand")}
    counted = {name: getattr(tables.long.code, name) for name in ("zones", "reach", "beyond", "refine", "centre")}
    thresholds = np.array([tables.long.code.first, tables.long.code.second])
    path = tmp_path_factory.mktemp("code") / "code.npz"
    np.savez(path, weights=tables.weights, thresholds=thresholds, **looked_up, **counted, **layers)
    return path


def test_the_networks_around_the_code_learn_and_go_on_where_they_stopped(
    data: Path, code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(name: str) -> dict[str, NDArray[np.int64]]:
        config = thumbs_pixels.PixelsConfig(
            data=str(data), code=str(code), steps=6, batch=2, width=8, save_every=3, reflect=True
        )
        (tmp_path / name).mkdir(exist_ok=True)
        thumbs_pixels.train(config, tmp_path / name)
        with np.load(tmp_path / name / "pixels.npz") as file:
            return dict(file)

    def save_and_stop(path: Path, state: dict[str, object]) -> None:
        save_state(path, state)
        raise KeyboardInterrupt

    unbroken = run("whole")
    assert any(unbroken["shaping3.weight"].ravel()) and any(unbroken["repair3.weight"].ravel())
    assert unbroken["repair0.bias"].shape == (26, 8)
    with monkeypatch.context() as patch:
        patch.setattr(thumbs_pixels, "save_state", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            run("stopped")
    again = run("stopped")
    assert all(np.array_equal(again[name], values) for name, values in unbroken.items())


def test_a_context_network_comes_back_from_its_integers(code: Path) -> None:
    layers = read_code(code)[1].context.layers
    network = Network((16,))
    network.begin_with(layers)
    for (weight, bias), (again, shift) in zip(layers, network.rounded(), strict=True):
        assert np.array_equal(weight, again) and np.array_equal(bias, shift)
