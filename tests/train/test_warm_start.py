"""A run that starts from a release computes what the release computes, at the same lmbda."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("train.objective", reason="needs pip install 'semcomp[train]'", exc_type=ImportError)

from semcomp.codec.release import Release, save_release
from semcomp.networks.model import CodecConfig, CodecModel
from tests.releases import SMALL, untrained
from train.objective import Objective
from train.warm_start import adopt, start_from

SECOND: dict[str, Any] = {"refine_width": 24, "passes": 4, "analysis_blocks16": 3, "lmbda_min": 0.0002}
"""What a run has besides the release."""
NODES = (34, 67, 100)
"""Qualities of the rate nodes of 4 whose lmbda the release has too."""


@pytest.fixture(scope="module")
def release() -> Release:
    """Two passes, and rate tables that tell qualities apart."""
    plain = untrained(2, refine_width=0)
    torch.manual_seed(3)
    rates = {name: torch.randn(value.shape).to(value) for name, value in plain.weights.items() if ".rate." in name}
    assert len(rates) >= 3
    return replace(plain, weights={**plain.weights, **rates})


def codec(**changes: Any) -> CodecModel:
    torch.manual_seed(5)
    return CodecModel(CodecConfig(**{**SMALL, **SECOND, **changes})).eval()


def same_lmbda(mine: CodecModel, theirs: CodecModel, quality: int) -> torch.Tensor:
    """The quality, with fractions, at which `theirs` has the lmbda that `mine` has at `quality`."""
    c, wanted = theirs.config, mine.lmbda(torch.tensor([quality]))
    found = 1 + 99 * torch.log(wanted / c.lmbda_min) / torch.log(torch.tensor(c.lmbda_max / c.lmbda_min))
    torch.testing.assert_close(theirs.lmbda(found), wanted)
    return found


@torch.inference_mode()
def agree(mine: CodecModel, release: Release) -> None:
    """Assert that the analysis, and what the synthesis makes of it without rounding, are the release's."""
    theirs, x = release.network().eval(), torch.rand(1, 3, 64, 128)
    y = theirs.analysis(x)
    torch.testing.assert_close(mine.analysis(x), y, atol=1e-5, rtol=1e-5)
    images = []
    for quality in NODES:
        pairs = ((mine, torch.tensor([quality])), (theirs, same_lmbda(mine, theirs, quality)))
        found, expected = (m.synthesis(y * m.gain(q) * m.inverse_gain(q), q) for m, q in pairs)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
        images.append(expected)
    assert not torch.allclose(images[0], images[2], atol=1e-2), "the quality decides something"


def test_transforms_stay_at_the_same_lmbda(release: Release) -> None:
    mine = codec()
    adopt(mine, release)
    agree(mine, release)


def test_further_blocks_of_the_synthesis_change_nothing(release: Release) -> None:
    mine = codec(synthesis_blocks16=2, synthesis_blocks8=3)
    adopt(mine, release)
    agree(mine, release)


def test_later_passes_begin_as_the_second(release: Release) -> None:
    mine = codec()
    adopt(mine, release)
    quality = 67
    theirs = release.network().eval()
    features, known = torch.randn(1, 16, 8, 8), torch.randn(1, 24, 8, 8)
    with torch.inference_mode():
        expected = theirs.mean_path.second(features, known)
        for number in (1, 2, 3):
            torch.testing.assert_close(mine.mean_path.nth(features, known, number), expected)
        z_hat = torch.randn(1, 8, 2, 2).round()
        found = mine.mean_path.features(z_hat, torch.tensor([quality]))
        expected = theirs.mean_path.features(z_hat, same_lmbda(mine, theirs, quality))
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_a_run_starts_from_the_file_of_a_release(release: Release, tmp_path: Path) -> None:
    save_release(release, tmp_path / "two.safetensors")
    objective = Objective(codec(), skip_below=4)
    start_from(objective, str(tmp_path / "two.safetensors"))
    agree(objective.codec.eval(), release)


@pytest.mark.parametrize(
    "change", [{"latents": 28}, {"analysis_c16": 24}, {"nodes": 5}, {"synthesis_blocks8": 0}], ids=str
)
def test_other_widths_are_refused(release: Release, change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"refined2 has other sizes than this run: [a-z0-9_.]+, and [0-9]+ more"):
        adopt(codec(**change), release)


def test_a_run_starts_from_a_release_that_refines_its_tables(tmp_path: Path) -> None:
    path, four = tmp_path / "four.safetensors", untrained(4)
    save_release(four, path)
    objective = Objective(CodecModel(four.config), skip_below=4)
    start_from(objective, str(path))
    refiner, released = objective.codec.refiner, four.refiner
    assert refiner is not None and released is not None and released.weight2.any() and released.bias1.any()
    found = refiner.released()
    for name in ("weight1", "weight2", "own", "table"):
        assert torch.equal(getattr(found, name), getattr(released, name)), name
    assert (found.bias1 - released.bias1).abs().max() <= 1
    with pytest.raises(ValueError, match="refined4 has other sizes than this run"):
        adopt(codec(refine_width=0, passes=2), four)
    with pytest.raises(ValueError, match=r"the refinement is \(24, 24\) in 3 passes, which differs"):
        adopt(codec(refine_width=16), four)
