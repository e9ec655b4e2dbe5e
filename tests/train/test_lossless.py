"""Training of the lossless networks: it computes what the encoder codes, goes on where it stopped, and helps."""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from semcomp.lossless.colour import ColourTransform, forward
from semcomp.lossless.features import WindowConfig
from semcomp.lossless.model import LosslessModel, load_model
from semcomp.lossless.stream import decode_lossless, encode_lossless
from semcomp.lossless.walk import Walk
from semcomp.networks.lossless import LosslessConfig
from tests.lossless.conftest import photo
from tests.train.conftest import goes_on
from train.lossless import LosslessRunConfig, LosslessTrainer
from train.lossless_objective import LosslessObjective
from train.lossless_photos import LosslessDataConfig

SMALL = LosslessConfig(width=16, inner=8, blocks=1)


class Bill:
    """A coder that adds up what the model's own tables say, channel by channel."""

    def __init__(self, model: LosslessModel) -> None:
        self.model, self.bits = model, [0.0, 0.0, 0.0]

    def begin(self, level: int) -> None:
        """It counts all levels together."""

    def code(self, channel: int, tables: NDArray[Any], symbols: NDArray[Any] | None) -> NDArray[Any]:
        assert symbols is not None
        self.bits[channel] += self.model.banks[channel].estimate_bits(symbols, tables)
        return symbols

    def code_bits(self, count: NDArray[Any], values: NDArray[Any] | None) -> NDArray[Any]:
        raise AssertionError("8-bit images have no plain bits")


@pytest.mark.parametrize("transform", [ColourTransform.YCOCG, ColourTransform.GREEN])
def test_training_computes_what_the_encoder_codes(transform: ColourTransform) -> None:
    torch.manual_seed(1)
    objective, pixels = LosslessObjective(SMALL), photo(64, 64)
    planes = forward(pixels, transform)
    batch = torch.from_numpy(planes.astype(np.int16))[:, None]
    with torch.no_grad():
        bits = objective(batch, levels=6, dtype=torch.float32, differences=transform == ColourTransform.GREEN)
    bill = Bill(objective.released())
    differences = transform == ColourTransform.GREEN
    walk = Walk(networks=bill.model, on_numpy=bill.model, coder=bill, channels=3, differences=differences)
    walk.run(64, 64, planes[:, 0, 0], planes)
    for name, coded in zip(("luma", "first", "second"), bill.bits, strict=True):
        trained = sum(float(value) for key, value in bits.items() if key.startswith(name))
        assert trained == pytest.approx(coded, rel=2e-3)


def trainer(folders: Path, name: str, *, steps: int) -> LosslessTrainer:
    data = LosslessDataConfig(
        exact=(str(folders / "exact"),), compressed=(str(folders / "compressed"),), crop=64, batch=2
    )
    (folders / name).mkdir(exist_ok=True)
    config = LosslessRunConfig(
        name=name, network=SMALL, data=data, steps=steps, validation=(str(folders / "exact"),), validation_every=1
    )
    return LosslessTrainer(config, folders / name, quiet=True)


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(folders: Path) -> None:
    goes_on(lambda name: trainer(folders, name, steps=4), attrgetter("objective"))


def test_a_run_learns_and_leaves_a_model_that_codes(folders: Path) -> None:
    run = trainer(folders, "run", steps=30)
    planes, _ = run.crops.batch(5)

    def cost() -> float:
        with torch.no_grad():
            return float(sum(run.objective(planes, levels=3, dtype=torch.float32).values()))

    before = cost()
    assert run.run()
    model = load_model(folders / "run" / "model.safetensors")
    pixels = photo(80, 72, seed=9)
    data = encode_lossless(pixels, model=model)
    assert np.array_equal(decode_lossless(data, model=model), pixels)
    assert cost() < before
    assert '"validation_bpsp"' in (folders / "run" / "log.jsonl").read_text()


def test_windows_of_another_size_train_too() -> None:
    config = LosslessConfig(windows=WindowConfig(luma=12, chroma=8, own_lattice=4), width=16, inner=8, blocks=2)
    model = LosslessObjective(config).released()
    pixels = photo(20, 30)
    assert np.array_equal(decode_lossless(encode_lossless(pixels, model=model), model=model), pixels)
