"""The networks' bookkeeping: cost, receptive fields, the checkerboard, the first state of the linear paths."""

from typing import Any

import pytest
import torch

from semcomp.networks.analysis import Analysis, dct_basis
from semcomp.networks.checkerboard import checkerboard, even_elements
from semcomp.networks.model import CodecConfig, CodecModel, kmac_per_pixel
from semcomp.networks.precision import fast_pixels
from semcomp.networks.synthesis import Synthesis

SMALL = CodecConfig(
    latents=24,
    hyper=8,
    analysis_c8=12,
    analysis_c16=16,
    synthesis_c16=16,
    synthesis_c8=12,
    synthesis_c4=8,
    entropy_width=16,
    nodes=3,
)


def test_the_released_sizes_stay_within_the_budget() -> None:
    cost = kmac_per_pixel(CodecConfig())
    assert cost["analysis"] <= 15 and cost["synthesis"] <= 8
    assert sum(cost.values()) <= 25


def test_cost_is_counted_not_guessed() -> None:
    """A pointwise layer from M to 768 at 1/16 is M * 768 / 256 multiply-adds a pixel."""
    small, large = kmac_per_pixel(SMALL), kmac_per_pixel(CodecConfig(**{**vars(SMALL), "latents": 48}))
    added = 24 * (768 + SMALL.synthesis_c16) / 256 / 1000
    assert large["synthesis"] - small["synthesis"] == pytest.approx(added, rel=1e-6)


def test_an_analysis_that_knows_the_quality_costs_no_more() -> None:
    knowing = kmac_per_pixel(CodecConfig(**{**vars(SMALL), "analysis_rate": True}))
    assert knowing["analysis"] == kmac_per_pixel(SMALL)["analysis"]


def test_the_basis_is_orthonormal_and_starts_with_the_mean() -> None:
    basis = dct_basis(320).flatten(1).double()
    assert torch.allclose(basis @ basis.T, torch.eye(320, dtype=torch.float64), atol=1e-6)
    assert torch.allclose(basis[0], basis[0, 0].expand(768))


def test_the_untrained_linear_paths_reconstruct_a_smooth_patch() -> None:
    model = CodecModel(CodecConfig()).eval()
    ramp = torch.linspace(0.2, 0.8, 64)[None, None, None].expand(1, 3, 64, 64)
    with torch.inference_mode():
        y = model.analysis.linear(ramp - 0.5)
        x_hat = torch.nn.functional.pixel_shuffle(model.synthesis.linear(y), 16)
    assert (x_hat - ramp).abs().max() < 2 / 255


@pytest.mark.parametrize(
    ("blocks8", "blocks16", "kernel16", "filters4"),
    [(1, 1, 3, 0), (2, 2, 3, 0), (3, 1, 3, 0), (2, 2, 5, 1), (2, 1, 3, 2)],
)
def test_nothing_beyond_the_reach_decides(blocks8: int, blocks16: int, kernel16: int, filters4: int) -> None:
    torch.manual_seed(0)
    analysis = Analysis(c8=8, c16=8, latents=6, blocks8=blocks8, blocks16=blocks16, kernel16=kernel16).eval()
    x = torch.rand(1, 3, 320, 320)
    changed = x.clone()
    changed[..., : 160 - analysis.reach, :] = 0
    with torch.inference_mode():
        before, after = analysis(x), analysis(changed)
    assert torch.equal(before[..., 10:, :], after[..., 10:, :])
    assert not torch.equal(before[..., :9, :], after[..., :9, :])

    sizes: dict[str, Any] = {
        "latents": 6,
        "c16": 8,
        "c8": 8,
        "c4": 8,
        "blocks16": blocks16,
        "blocks8": blocks8,
        "nodes": 3,
    }
    synthesis = Synthesis(**sizes, filters4=filters4, kernel16=kernel16).eval()
    y = torch.randn(1, 6, 20, 20)
    changed = y.clone()
    changed[..., : 10 - synthesis.reach, :] = 0
    with torch.inference_mode():
        before, after = (synthesis(v, torch.tensor([50])) for v in (y, changed))
    assert torch.equal(before[..., 160:, :], after[..., 160:, :])


def test_the_checkerboard_halves_everything() -> None:
    even = even_elements(torch.Size((1, 4, 6, 6)), device=torch.device("cpu"))[0]
    assert even.float().mean() == 0.5
    assert not (even[:, 1:] & even[:, :-1]).any() and not (even[1:] & even[:-1]).any()


def test_a_checkerboard_that_is_kept_serves_training_too() -> None:
    shape, device = torch.Size((1, 6, 5, 7)), torch.device("cpu")
    with torch.inference_mode():
        kept = checkerboard(shape, device=device)
    assert torch.equal(kept, even_elements(shape, device=device)) and checkerboard(shape, device=device) is kept
    value = torch.ones(shape, requires_grad=True)
    torch.where(kept, value * value, 0.0).sum().backward()
    assert value.grad is not None and torch.equal(value.grad, 2 * kept.float())
    large = torch.Size((1, 320, 64, 64))
    assert torch.equal(checkerboard(large, device=device), even_elements(large, device=device))
    assert checkerboard(large, device=device) is not checkerboard(large, device=device)


def test_the_second_pass_ignores_what_it_must_not_see() -> None:
    """Odd residuals must not change any even mean: the decoder does not have them yet."""
    torch.manual_seed(0)
    model = CodecModel(SMALL).eval()
    z_hat, quality = torch.randn(1, 8, 2, 2).round(), torch.tensor([70])
    even = even_elements(torch.Size((1, 24, 8, 8)), device=torch.device("cpu"))
    noise = torch.randn(1, 24, 8, 8).round()
    with torch.inference_mode():
        y_hat = model.two_passes(z_hat, quality, lambda m, mask: torch.where(mask, noise, 0.0))
        other = torch.where(even, noise, noise + 5)
        again = model.two_passes(z_hat, quality, lambda m, mask: torch.where(mask, other, 0.0))
    assert torch.equal(y_hat[even], again[even])
    more = 5 * model.inverse_gain(quality).expand_as(y_hat)
    assert torch.allclose((y_hat + more)[~even], again[~even], atol=1e-5)


def test_configs_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="lmbda_min"):
        CodecConfig(lmbda_min=1.0)
    with pytest.raises(ValueError, match="nodes"):
        CodecConfig(nodes=1)


def test_fields_that_came_later_do_not_change_the_ids_of_earlier_releases() -> None:
    stored = CodecConfig().stored()
    assert "latents" in stored and not {"refine_width", "passes", "width", "centroid"} & stored.keys()
    assert CodecConfig(**stored) == CodecConfig() and not CodecConfig().only_trained()
    second = CodecConfig(refine_width=192, passes=4)
    assert second.stored()["refine_width"] == 192 and CodecConfig(**second.stored()) == second
    assert not second.only_trained() and CodecConfig(width=True).only_trained() == ["width"]


def test_a_prepared_synthesis_gives_the_same_image() -> None:
    """Some floats are summed in another order, and everything else is equal."""
    torch.manual_seed(0)
    synthesis = CodecModel(SMALL).synthesis.eval()
    torch.nn.init.normal_(synthesis.render.conv.weight, std=0.3)
    y_hat = torch.randn(1, 24, 6, 10).contiguous(memory_format=torch.channels_last)
    quality, cpu = torch.tensor([50]), torch.device("cpu")
    with torch.inference_mode(), fast_pixels(cpu):
        expected = synthesis(y_hat, quality)
        prepared = synthesis.prepared(cpu)
        for _ in range(3):  # weights are packed for a shape that comes again
            torch.testing.assert_close(prepared(y_hat, quality), expected, atol=1e-5, rtol=1e-5)
    assert expected.shape == (1, 3, 96, 160)
