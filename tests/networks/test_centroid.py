"""Reconstruction points have the least squared error under their table, and stay inside the interval of the symbol."""

import torch

from semcomp.networks.centroid import Centroid, offset_table
from semcomp.networks.sigma import scale_table


def test_the_full_centroid_is_the_best_point() -> None:
    torch.manual_seed(0)
    values = torch.randn(400_000) * scale_table()[15]
    symbols = values.round()
    layer = Centroid(nodes=3)
    quality, index = torch.tensor([50]), torch.full((1, 1, 1, 400_000), 15.0)
    errors = []
    for share in (0.0, 0.5, 0.9, 1.0, 1.1, 1.5):
        with torch.no_grad():
            layer.share.weight.fill_(share)
            points = layer(symbols.view(1, 1, 1, -1), index, quality).flatten()
        errors.append((points - values).square().mean().item())
    assert min(errors) == errors[3] and errors[0] > 1.02 * errors[3]


def test_points_stay_inside_their_intervals() -> None:
    table = offset_table()
    assert not table[:, 0].any() and (table >= 0).all() and (table <= 0.5).all()
    assert (table[:40, 1].diff() <= 1e-6).all()  # wide tables are nearly flat over an interval
    assert table[60, 1] < 1e-3 and table[8, 1] > 0.3
