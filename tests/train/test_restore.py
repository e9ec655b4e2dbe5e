"""Training of the restorer: it goes on where it stopped, and it helps."""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from semcomp.imaging.metrics import psnr_db
from semcomp.restoration.network import Restorer, RestorerConfig
from semcomp.restoration.restorer_file import load_restorer
from tests.train.conftest import goes_on
from train.optim import OptimConfig
from train.restore import RestoreRunConfig, RestoreTrainer, start_from
from train.restore_photos import RestoreDataConfig, decompress, draw_quality, draw_tables, through_jpeg2000

SMALL = RestorerConfig(channels=16, blocks=1, condition=8)


def trainer(folders: Path, name: str, *, steps: int, codec: str = "jpeg") -> RestoreTrainer:
    data = RestoreDataConfig(
        exact=(str(folders / "exact"),), compressed=(str(folders / "compressed"),), crop=48, batch=4, codec=codec
    )
    (folders / name).mkdir(exist_ok=True)
    config = RestoreRunConfig(
        name=name,
        network=SMALL,
        data=data,
        steps=steps,
        optim=OptimConfig(lr=3e-3, warmup_steps=5, hold=0.5),
        validation=(str(folders / "exact"),),
        validation_every=1,
        bfloat16=False,
    )
    return RestoreTrainer(config, folders / name, quiet=True)


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(folders: Path) -> None:
    goes_on(lambda name: trainer(folders, name, steps=4), attrgetter("network"))


def test_a_run_learns_and_leaves_weights_that_restore(folders: Path) -> None:
    run = trainer(folders, "run", steps=60)
    before = run.validate()
    assert run.run()
    after = run.validate()
    assert after["gain_10"] > before["gain_10"] + 0.05
    assert load_restorer(folders / "run" / "restorer.safetensors").origin.startswith(
        "python -m train.restore, 60 steps"
    )
    assert '"gain_10"' in (folders / "run" / "log.jsonl").read_text()


def test_a_run_for_jpeg_2000_learns_and_its_weights_say_so(folders: Path) -> None:
    run = trainer(folders, "run", steps=60, codec="jpeg2000")
    before = run.validate()
    assert run.run()
    assert run.validate()["gain_0.4"] > before["gain_0.4"]
    assert load_restorer(folders / "run" / "restorer.safetensors", codec="jpeg2000").codec == "jpeg2000"


def test_files_of_jpeg_2000_have_about_the_rates_that_were_drawn(folders: Path) -> None:
    crop = np.asarray(Image.open(folders / "exact" / "0.png"))[:256, :256]
    errors = []
    for bpp in (0.25, 1.0, 3.0):
        shown, rate = through_jpeg2000(crop, float(np.log(bpp)))
        assert rate == pytest.approx(bpp, rel=0.1)
        errors.append(psnr_db(crop, shown))
    assert errors == sorted(errors)
    pairs = trainer(folders, "pairs", steps=1, codec="jpeg2000").pairs
    stored, clean = pairs.batch(7)
    assert torch.equal(clean, pairs.batch(7)[1]) and clean.shape == (4, 3, 48, 48)
    gap = (decompress(stored, whole_planes=False) - clean).abs().mean((1, 2, 3))
    assert gap.min() > 0 and gap.max() < 60


def test_batches_are_what_their_number_says(folders: Path) -> None:
    pairs = trainer(folders, "pairs", steps=1).pairs
    (one, clean), (other, again) = pairs.batch(7), pairs.batch(7)
    assert torch.equal(clean, again) and torch.equal(one.coefficients[0], other.coefficients[0])
    kinds = {(pairs.batch(seed)[0].is_grey, pairs.batch(seed)[0].factors) for seed in range(40)}
    assert {(True, (1, 1)), (False, (2, 2)), (False, (1, 1))} <= kinds


def test_tables_are_ones_that_files_can_hold() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        tables = draw_tables(rng, draw_quality(rng), 0.5)
        assert tables.shape == (3, 64) and tables.min() >= 1 and tables.max() <= 255


def test_a_crop_of_a_size_that_blocks_do_not_fill() -> None:
    with pytest.raises(ValueError, match="multiple of 16"):
        RestoreDataConfig(crop=100)


def test_a_deeper_network_starts_as_the_shallower_one_and_its_blocks_learn() -> None:
    shallower, deeper = Restorer(SMALL), Restorer(replace(SMALL, blocks=3))
    torch.nn.init.normal_(shallower.step_scales.weight, std=0.1)
    start_from(deeper, shallower.state_dict())
    parts = [torch.randn(1, 4, 4, count) * 20 for count in (192, 384, 2)]
    parts += [torch.rand(1, 3, 64) * 30 + 1, torch.ones(1, 3)]
    torch.testing.assert_close(deeper.corrections(*parts), shallower.corrections(*parts))
    deeper.corrections(*parts).sum().backward()
    moved = {name for name, value in deeper.named_parameters() if value.grad is not None and value.grad.any()}
    assert {f"trunk.blocks.{number}.merge.weight" for number in range(3)} <= moved
    with pytest.raises(RuntimeError, match="blocks"):
        start_from(shallower, deeper.state_dict())
