"""Four passes over quarters of the elements are the four passes over planes."""

import pytest
import torch
from torch import Tensor

pytest.importorskip("train.objective", reason="needs pip install 'semcomp[train]'", exc_type=ImportError)

from semcomp.networks.model import CodecConfig, CodecModel
from train.objective import Objective
from train.quarters import by_pass

SIZES = {"analysis_c8": 16, "analysis_c16": 16, "synthesis_c16": 16, "synthesis_c8": 16, "synthesis_c4": 8}


def objective(**changes: int | bool) -> Objective:
    """A small codec of four passes whose later passes say much, because untrained ones say nothing."""
    torch.manual_seed(0)
    config = CodecConfig(latents=32, hyper=8, entropy_width=16, refine_width=16, passes=4, **SIZES, **changes)  # type: ignore[arg-type]
    codec = CodecModel(config)
    path, refiner = codec.mean_path, codec.refiner
    assert refiner is not None and refiner.step is not None and path.step is not None
    with torch.no_grad():
        for parameter in (refiner.step, path.step):
            parameter.normal_()
        refiner.weight2.normal_(0, 0.3)
        for head in (path.head2, *path.later):
            head.weight.mul_(20)
    return Objective(codec, skip_below=4)


def measured(chosen: Objective, *, quarters: bool) -> tuple[Tensor, ...]:
    """Rate, distortion and y_hat of a batch with real integers, and the gradients of the loss by parameter."""
    chosen._in_quarters = quarters
    chosen.zero_grad()
    torch.manual_seed(1)
    quality = torch.tensor([20, 60, 90])
    result, y_hat = chosen.measure(torch.rand(3, 3, 128, 192), quality, rounded=True)
    chosen.loss(result, quality).backward()
    gradients = (p.grad if p.grad is not None else torch.zeros(()) for p in chosen.parameters())
    return *result, y_hat.detach(), *gradients


def test_values_and_gradients_are_those_of_the_planes() -> None:
    chosen = objective()
    assert chosen._in_quarters
    planes, quarters = (measured(chosen, quarters=wanted) for wanted in (False, True))
    for mine, theirs in zip(quarters, planes, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0.01, atol=0.004 * theirs.abs().max().item() + 1e-7)
    assert (planes[0] > 0.1).all(), "symbols decide something"


@pytest.mark.parametrize("change", [{"width": True}, {"centroid": True}, {"latents_low": 16}])
def test_what_quarters_do_not_know_is_trained_over_planes(change: dict[str, int | bool]) -> None:
    assert not objective(**change)._in_quarters


def test_a_pass_takes_the_channels_whose_turn_it_is() -> None:
    table = torch.arange(8.0)[None, :, None, None]
    rows = by_pass(table)  # pass, place, B, 1, 1, M/4
    for number in range(4):
        for place in range(4):
            assert all((place + int(channel)) % 4 == number for channel in rows[number, place].flatten())
