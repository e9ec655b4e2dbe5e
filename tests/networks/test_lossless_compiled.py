"""The compiled networks write and read the bytes of the numpy backend, and are taken where they pay."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semcomp.errors import FormatError
from semcomp.lossless import walk
from semcomp.lossless.colour import ColourTransform
from semcomp.lossless.level import Networks
from semcomp.lossless.stream import decode_lossless, encode_lossless
from semcomp.networks import lossless_fast
from semcomp.networks.lossless_fast import TorchNetworks
from tests.lossless.conftest import model, photo, random_model

pytest.importorskip("numba")

from semcomp.networks.lossless_compiled import networks as compiled_networks
from semcomp.networks.lossless_compiled.amx import has_tiles
from semcomp.networks.lossless_compiled.networks import CompiledNetworks

__all__ = ["model"]

MODEL = random_model()
TORCH = TorchNetworks(MODEL)
pytestmark = pytest.mark.skipif(not TORCH.by_bytes, reason="no byte sums here")


WAYS = (False, True) if has_tiles() else (False,)
"""Whether networks run in tiles."""


@pytest.fixture(scope="module", params=WAYS)
def compiled(request: pytest.FixtureRequest) -> CompiledNetworks:
    return CompiledNetworks(TORCH, MODEL, tiles=request.param)


@settings(max_examples=20, deadline=None)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    kind=st.sampled_from(["photo", "noise", "flat", "black and white"]),
    grey=st.booleans(),
    near=st.sampled_from([0, 0, 1, 8]),
    transform=st.sampled_from(ColourTransform),
    seed=st.integers(0, 9),
    tiles=st.sampled_from(WAYS),
)
def test_every_image_is_coded_as_on_numpy(
    height: int, width: int, kind: str, grey: bool, near: int, transform: ColourTransform, seed: int, tiles: bool
) -> None:
    pixels, rng = photo(height, width, seed=seed), np.random.default_rng(seed)
    if kind == "flat":
        pixels[:] = rng.integers(0, 256, 3)
    elif kind != "photo":
        pixels = rng.integers(0, 256, pixels.shape).astype(np.uint8)
        pixels = pixels // 128 * 255 if kind == "black and white" else pixels
    if grey:
        pixels = np.ascontiguousarray(pixels[..., 0])
    networks = CompiledNetworks(TORCH, MODEL, tiles=tiles)
    chosen = None if near else transform
    data = encode_lossless(pixels, model=MODEL, near=near, transform=chosen, general=False)
    assert encode_lossless(pixels, model=MODEL, networks=networks, near=near, transform=chosen, general=False) == data
    decoded = decode_lossless(data, model=MODEL, networks=networks)
    assert np.array_equal(decoded, decode_lossless(data, model=MODEL))
    reduced = decode_lossless(data, model=MODEL, networks=networks, reduce=1)
    assert np.array_equal(reduced, decoded[::2, ::2])


def test_bands_on_two_threads_give_the_same_file(compiled: CompiledNetworks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CompiledNetworks, "band_cells", 300)
    pixels, before = photo(33, 301), torch.get_num_threads()
    data = encode_lossless(pixels, model=MODEL, networks=compiled)
    torch.set_num_threads(2)
    try:
        assert encode_lossless(pixels, model=MODEL, networks=compiled) == data
        assert np.array_equal(decode_lossless(data, model=MODEL, networks=compiled), pixels)
    finally:
        torch.set_num_threads(before)
    assert data == encode_lossless(pixels, model=MODEL)


def test_a_prediction_that_is_off_by_one_is_noticed(
    compiled: CompiledNetworks, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, pixels = "run" if compiled.uses_tiles else "predictions", photo(40, 40)
    right = getattr(compiled_networks, name)
    data = encode_lossless(pixels, model=MODEL)

    def wrong(*arguments: object) -> None:
        right(*arguments)
        mean = arguments[-2]
        assert isinstance(mean, np.ndarray)
        mean[0] += 1

    monkeypatch.setattr(compiled_networks, name, wrong)
    assert encode_lossless(pixels, model=MODEL, networks=compiled) != data
    with pytest.raises(FormatError):
        decode_lossless(data, model=MODEL, networks=compiled)


def test_large_images_of_8_bits_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    networks = TorchNetworks(MODEL)
    assert networks.suited(pixels=lossless_fast.WORTH - 1, bits=8) is networks
    assert networks.suited(pixels=lossless_fast.WORTH, bits=16) is networks
    assert isinstance(networks.suited(pixels=lossless_fast.WORTH, bits=8), CompiledNetworks)
    floats = TorchNetworks(MODEL, by_bytes=False)
    assert floats.suited(pixels=lossless_fast.WORTH, bits=8) is floats


def test_many_small_images_are_compiled_too() -> None:
    networks, pixels = TorchNetworks(MODEL), lossless_fast.WORTH // 4
    assert [networks.suited(pixels=pixels, bits=8) is networks for _ in range(5)] == [True, True, True, False, False]


def test_without_numba_torch_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "semcomp.networks.lossless_compiled.networks", None)
    monkeypatch.setattr(lossless_fast, "WORTH", 1)
    networks, pixels = TorchNetworks(MODEL), photo(30, 40)
    assert networks.suited(pixels=1, bits=8) is networks
    data = encode_lossless(pixels, model=MODEL, networks=networks)
    assert np.array_equal(decode_lossless(data, model=MODEL, networks=networks), pixels)


def test_where_nothing_can_be_kept_torch_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def njit(*_: object, **options: object) -> None:
        assert options["cache"]
        raise RuntimeError("cannot cache function: no locator available")

    for name in [name for name in sys.modules if name.startswith("semcomp.networks.lossless_compiled.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr("numba.njit", njit)
    networks = TorchNetworks(MODEL)
    assert networks.suited(pixels=lossless_fast.WORTH, bits=8) is networks


@pytest.mark.parametrize("kept", [False, True])
def test_compiling_is_announced_once(kept: bool, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    monkeypatch.setattr("semcomp.networks.lossless_compiled.networks.is_kept", lambda function: kept)
    caplog.set_level("INFO", logger="semcomp")
    assert isinstance(TorchNetworks(MODEL).suited(pixels=lossless_fast.WORTH, bits=8), CompiledNetworks)
    assert ("once on this machine" in caplog.text) is not kept


@pytest.mark.parametrize(("cells", "at_once"), [(60, 2), (5000, 2), (20000, 2), (20000, 3), (70000, 2)])
def test_threads_get_equal_bands(cells: int, at_once: int) -> None:
    networks = SimpleNamespace(at_once=at_once, band_cells=1 << 14)
    bands = walk._bands(walk._Cells(rows=cells // 10, columns=10, existing=10), cast(Networks, networks))
    sizes = [10 * (band.stop - band.start) for band in bands]
    assert sum(sizes) == cells and [band.start for band in bands[1:]] == [band.stop for band in bands[:-1]]
    assert max(sizes) - min(sizes) <= 10 and max(sizes) <= networks.band_cells + 10
    assert cells < walk.SHARED_CELLS or len(bands) % at_once == 0
