"""Quick gradients of depthwise convolutions are those of torch, in either precision and for every kind of kernel."""

import pytest
import torch
from torch import nn

from heads.depthwise import quick_depthwise

CHANNELS = 6
KERNELS = [((3, 3), 1), ((5, 5), 1), ((3, 3), 2), ((5, 5), 2), ((3, 5), 1), ((5, 1), 3)]


def depthwise(
    sides: tuple[int, int], dilation: int, *, bias: bool, stride: int = 1, padding: tuple[int, int] | None = None
) -> nn.Conv2d:
    padding = padding or (dilation * (sides[0] // 2), dilation * (sides[1] // 2))
    settings = {"padding": padding, "dilation": dilation, "stride": stride, "bias": bias}
    return nn.Conv2d(CHANNELS, CHANNELS, sides, groups=CHANNELS, **settings)  # type: ignore[arg-type]


def gradients(module: nn.Module, x: torch.Tensor, *, half: bool = False) -> list[torch.Tensor]:
    module.zero_grad()
    x = x.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        output = module(x)
    torch.sin(output.to(x.dtype)).sum().backward()
    return [p.grad.to(torch.float64, copy=True) for p in [x, *module.parameters()] if p.grad is not None]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize(("sides", "dilation"), KERNELS)
def test_quick_gradients_are_the_slow_ones(sides: tuple[int, int], dilation: int, half: bool, bias: bool) -> None:
    torch.manual_seed(0)
    module, x = depthwise(sides, dilation, bias=bias), torch.randn(3, CHANNELS, 9, 7)
    expected = gradients(module.double(), x.double())
    with quick_depthwise(module.float()):
        found = gradients(module, x, half=half)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=(2e-2 if half else 1e-5) * float(other.abs().max()))


@pytest.mark.parametrize(("stride", "padding"), [(2, (1, 1)), (2, (0, 2)), (1, (0, 0)), (3, (2, 1))])
def test_strides_and_paddings_change_nothing(stride: int, padding: tuple[int, int]) -> None:
    torch.manual_seed(0)
    module = depthwise((5, 5), 1, bias=True, stride=stride, padding=padding)
    x = torch.randn(2, CHANNELS, 11, 12)
    expected = gradients(module.double(), x.double())
    with quick_depthwise(module.float()):
        for one, other in zip(gradients(module, x), expected, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-5 * float(other.abs().max()))


class Padded(nn.Conv2d):
    """Pads on one side more than on the other."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(nn.functional.pad(input, (0, 1, 0, 1)))


def test_only_depthwise_convolutions_are_replaced_and_only_inside() -> None:
    kept = [nn.Conv2d(6, 6, 3, padding=1), nn.Conv2d(6, 6, 3, groups=3), nn.Conv2d(6, 6, 3, padding="same", groups=6)]
    kept.append(Padded(6, 6, 3, 2, groups=6))
    replaced = depthwise((3, 3), 1, bias=True)
    with quick_depthwise(nn.Sequential(*kept, replaced)):
        assert "forward" in vars(replaced) and not any("forward" in vars(module) for module in kept)
    assert "forward" not in vars(replaced)
