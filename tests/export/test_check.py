"""What a comparison of graphs with torch keeps."""

import math

import pytest

from semcomp.export.check import Difference, largest


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
