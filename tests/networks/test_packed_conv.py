"""Convolutions with their weights in the order of multiplication."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from semcomp.codec.self_test import arranged
from semcomp.networks import packed_conv, precision
from semcomp.networks.blocks import Block, Pointwise
from semcomp.networks.precision import fast_pixels, stored_exactly, stored_fast

CPU = torch.device("cpu")
KINDS: dict[str, Callable[[], torch.nn.Conv2d | Pointwise]] = {
    "pointwise": lambda: Pointwise(24, 40),
    "stride": lambda: nn.Conv2d(24, 40, 2, stride=2),
    "depthwise": lambda: nn.Conv2d(24, 24, 5, padding=2, groups=24),
    "dilated": lambda: nn.Conv2d(24, 24, 3, padding=4, dilation=4, groups=24, bias=False),
}


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def needs_packing() -> None:
    if not (packed_conv.can_pack() and precision.multiplies_bfloat16(CPU)):
        pytest.skip("no native bfloat16 here")


def picture(*shape: int) -> torch.Tensor:
    value = torch.randn(1, *shape, generator=torch.Generator().manual_seed(sum(shape)))
    return value.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("kind", KINDS)
def test_a_packed_convolution_gives_the_same_for_every_shape(kind: str) -> None:
    needs_packing()
    plain = KINDS[kind]()
    plain.requires_grad_(False)
    ready = packed_conv.PackedConvolution(plain)
    with torch.inference_mode():
        for threads, (rows, columns) in ((1, (9, 7)), (2, (9, 7)), (2, (24, 31)), (1, (2, 2)), (1, (9, 7))):
            torch.set_num_threads(threads)
            value = picture(24, rows, columns)
            with fast_pixels(CPU):
                expected = plain(value)
            assert all(torch.equal(ready(value), expected) for _ in range(3))
            assert torch.equal(ready(value.bfloat16()), expected)
            assert ready._ready[value.shape, threads] is not None


def test_only_the_last_few_shapes_are_kept_and_only_what_comes_again_is_packed() -> None:
    needs_packing()
    ready = packed_conv.PackedConvolution(Pointwise(8, 8))
    with torch.inference_mode():
        for side in range(1, 3 * packed_conv.CACHED_SHAPES):
            ready(picture(8, side, side))
    assert all(weight is None for weight in ready._ready.values())
    sides = {shape[2] for shape, _ in ready._ready}
    assert sides == set(range(2 * packed_conv.CACHED_SHAPES, 3 * packed_conv.CACHED_SHAPES))


def test_threads_may_share_it() -> None:
    needs_packing()
    layer = Pointwise(16, 16).requires_grad_(False)
    ready = packed_conv.PackedConvolution(layer)

    def differs(side: int) -> bool:
        with torch.inference_mode(), fast_pixels(CPU):
            value = picture(16, side, side)
            return not torch.equal(ready(value), layer(value))

    with ThreadPoolExecutor(4) as pool:
        assert not any(pool.map(differs, [1 + k % 9 for k in range(200)]))
    assert len(ready._ready) <= packed_conv.CACHED_SHAPES


def test_without_it_networks_run_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    block, value = Block(24).requires_grad_(False), picture(24, 9, 7)
    with torch.inference_mode(), fast_pixels(CPU):
        expected = stored_fast(block, CPU)(value)
        monkeypatch.setattr(precision, "can_pack", lambda: False)
        plain = stored_fast(block, CPU)
        assert not any(isinstance(m, packed_conv.PackedConvolution) for m in plain.modules())
        assert torch.equal(plain(value), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_direct_convolutions_compute_what_torch_does(kind: str) -> None:
    plain = nn.Sequential(KINDS[kind]()).requires_grad_(False)
    prepared = stored_exactly(plain, CPU)
    if not torch.backends.mkldnn.is_available():
        pytest.skip("no oneDNN here")
    assert isinstance(prepared[0], packed_conv.DirectConvolution)
    for value in (picture(24, 10, 14), picture(24, 10, 14).contiguous()):
        expected = plain(value)
        torch.testing.assert_close(prepared(value), expected, atol=1e-5, rtol=1e-5)
        with arranged(1, False):
            torch.testing.assert_close(prepared(value), expected, atol=1e-5, rtol=1e-5)
