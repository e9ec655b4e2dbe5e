"""Every element belongs to one pass, and passes go to arrays of their own and back."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from semcomp.networks.checkerboard import checkerboard, quarters
from semcomp.pipeline.passes import FOUR, put_quarter, quarter, turns

SHAPES = [(6, 4, 6), (7, 5, 3), (1, 1, 1), (5, 1, 8)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("passes", [2, 4])
def test_the_slices_of_a_pass_are_the_elements_that_training_has(passes: int, shape: tuple[int, int, int]) -> None:
    found = np.full(shape, -1)
    for number in range(passes):
        for turn in turns(passes, number):
            assert (found[turn] == -1).all()
            found[turn] = number
    size, device = torch.Size((1, *shape)), torch.device("cpu")
    expected = quarters(size, device=device) if passes == FOUR else ~checkerboard(size, device=device)
    assert np.array_equal(found, expected[0].int().numpy())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_pass_keeps_its_order_and_comes_back(shape: tuple[int, int, int]) -> None:
    plane = np.arange(1, 1 + np.prod(shape), dtype=np.int32).reshape(shape)
    order = quarters(torch.Size((1, *shape)), device=torch.device("cpu"))[0].numpy()
    back, larger = np.zeros_like(plane), np.zeros((shape[0], shape[1] + 3, shape[2] + 2), np.int32)
    for number in range(FOUR):
        part: NDArray[np.int32] = quarter(plane, number, fill=-1)
        assert part.shape == (shape[0], (shape[1] + 1) // 2, (shape[2] + 1) // 2)
        assert np.array_equal(part[part >= 0], plane[order == number])
        put_quarter(back, number, part)
        put_quarter(larger, number, np.where(part < 0, 0, part))
    assert np.array_equal(back, plane)
    assert np.array_equal(larger[:, : shape[1], : shape[2]], plane) and larger.sum() == plane.sum()
