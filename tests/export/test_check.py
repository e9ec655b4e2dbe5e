"""What a comparison of graphs with torch keeps."""

import math

import numpy as np
import pytest

from semcomp.codec.codec import Codec
from semcomp.export.check import QUALITIES, Difference, largest, more_z


def differences(*values: float) -> list[Difference]:
    return [Difference(name="synthesis: x_hat", value=value, limit=1e-3, unit="of full scale") for value in values]


def test_the_largest_difference_counts() -> None:
    (kept,) = largest(differences(1e-4, 3e-4, 2e-4))
    assert kept.value == 3e-4 and kept.passed
    assert str(kept) == "synthesis: x_hat differs by 0.0003 of full scale, at most 0.001"


@pytest.mark.parametrize("order", [(1e-4, math.nan, 2e-4), (math.nan, 1e-4), (1e-4, math.nan), (math.nan, math.inf)])
def test_a_graph_that_gives_no_number_is_never_within_its_limit(order: tuple[float, ...]) -> None:
    (kept,) = largest(differences(*order))
    assert not kept.passed


def test_the_graph_of_the_tables_is_compared_where_it_names_many(codec: Codec) -> None:
    """Random integers over the whole range of z name the first table at 99.9 % of the positions."""
    sigma, named = codec.release.sigma, set[int]()
    for quality in QUALITIES:
        likely, taller, extreme = (z_hat[0].long().numpy() for z_hat in more_z(codec.release, quality))
        numbers = [sigma.index_numpy(z, quality) for z in (likely, taller)]
        assert all(np.mean(found > 0) > (0.02 if quality == 1 else 0.1) for found in numbers)
        assert likely.shape != taller.shape and np.abs(extreme).max() > np.abs(likely).max()
        named.update(np.unique(np.concatenate(numbers, axis=None)).tolist())
    assert len(named) > 48
