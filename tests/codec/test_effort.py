"""Efforts: 5 is the default, 1 rounds, and 6 to 9 fit the latents to the picture and are never worse."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from semcomp.bitstream.container import ChunkKind, read
from semcomp.codec.annealing import Costs, anneal, logistic
from semcomp.codec.codec import Codec
from semcomp.codec.task import Task
from semcomp.errors import ModelError, TargetError
from semcomp.generative.priority import Priority
from semcomp.imaging.picture import from_array
from semcomp.pipeline import effort, tiles
from semcomp.pipeline.base_codec import BaseCodec
from semcomp.pipeline.effort import Effort, no_progress
from semcomp.semantics.stored import Semantics

STEPS = 40


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Effort 9 in seconds."""
    monkeypatch.setitem(effort.EFFORTS, 9, Effort(steps=STEPS))


def cost(codec: Codec, pixels: NDArray[np.uint8], data: bytes) -> float:
    """Bits of the symbols + lmbda * squared error of a file."""
    container = read(data)
    lmbda = float(codec.network.lmbda(torch.tensor([container.header.quality])))
    error = np.square(pixels.astype(float) - np.asarray(codec.decode(data).convert("RGB"))).sum() / 3
    return 8 * len(container.get(ChunkKind.SYMBOLS) or b"") + lmbda * float(error)


def pictures() -> dict[str, NDArray[np.uint8]]:
    rng = np.random.default_rng(5)
    line = np.full((64, 70, 3), 255, np.uint8)
    line[::9] = 0
    return {
        "noise": rng.integers(0, 256, (65, 40, 3), dtype=np.uint8),
        "flat": np.full((70, 33, 3), (200, 30, 40), np.uint8),
        "lines": line,
        "pixel": np.full((1, 1, 3), 99, np.uint8),
        "strip": rng.integers(90, 140, (3, 150, 3), dtype=np.uint8),
    }


def test_five_is_the_default_and_one_rounds(codec: Codec, photo: NDArray[np.uint8]) -> None:
    default = codec.encode(photo)
    assert all(codec.encode(photo, effort=level) == default for level in (2, 3, 4, 5))
    rounded = codec.encode(photo, effort=1)
    symbols = codec.read_symbols(rounded)
    picture = from_array(photo)
    nearest = codec.quantize(codec.analyse(picture), picture, quality=50, optimise=False)
    assert np.array_equal(symbols.y, nearest.y)
    assert not np.array_equal(symbols.y, codec.read_symbols(default).y)


@pytest.mark.parametrize("quality", [10, 50, 90])
def test_a_high_effort_lowers_rate_and_distortion_together(
    codec: Codec, photo: NDArray[np.uint8], quality: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(effort.EFFORTS, 9, Effort(steps=60))
    plain, fitted = (codec.encode(photo, quality=quality, effort=level) for level in (5, 9))
    assert cost(codec, photo, fitted) < 0.99 * cost(codec, photo, plain)
    assert codec.encode(photo, quality=quality, effort=9) == fitted, "equal inputs give equal files"


@pytest.mark.parametrize("quality", [10, 50, 90])
def test_a_round_with_the_gradient_lowers_them_and_more_rounds_lower_them_further(
    codec: Codec, photo: NDArray[np.uint8], quality: int
) -> None:
    plain, twice, often = (cost(codec, photo, codec.encode(photo, quality=quality, effort=e)) for e in (5, 6, 7))
    assert often < twice < 0.995 * plain


@pytest.mark.filterwarnings("ignore::semcomp.errors.SemcompWarning")
@pytest.mark.parametrize("name", sorted(pictures()))
@pytest.mark.parametrize("level", [6, 7, 9])
def test_a_high_effort_is_never_worse(codec: Codec, name: str, level: int) -> None:
    pixels = pictures()[name]
    for quality in (5, 95):
        plain, fitted = (codec.encode(pixels, quality=quality, effort=effort) for effort in (5, level))
        assert cost(codec, pixels, fitted) <= cost(codec, pixels, plain)


def test_the_better_one_is_kept(codec: Codec, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> None:
    def spoiled(task: Any, *rest: Any) -> torch.Tensor:
        wrong: torch.Tensor = task.scaled + 3
        return wrong

    monkeypatch.setattr(codec.descent, "run", spoiled)
    assert codec.encode(photo, effort=9) == codec.encode(photo)


def test_grey_pictures_and_semantics_are_fitted_too(codec: Codec, photo: NDArray[np.uint8]) -> None:
    grey = Image.fromarray(photo).convert("L")
    fitted, plain = (codec.encode(grey, effort=level) for level in (9, 5))
    pixels = np.asarray(grey.convert("RGB"))
    assert codec.decode(fitted).mode == "L" and cost(codec, pixels, fitted) < cost(codec, pixels, plain)
    heard: list[int] = []

    def semantics(latents: Any) -> Semantics:
        heard.append(latents.quality)
        return Semantics()

    codec.encode(photo, quality=40, effort=9, semantics=semantics, preview=48)
    assert heard == [40]


def test_tiles_are_descended_one_after_the_other(
    codec: Codec, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "TILE", 64)
    heard: list[tuple[int, int]] = []
    fitted = codec.encode(photo, effort=9, on_progress=lambda done, total: heard.append((done, total)))
    count = 6  # 90 x 131 pixels in tiles of 64
    assert heard == [(done, count * STEPS) for done in range(1, count * STEPS + 1)]
    monkeypatch.undo()
    assert cost(codec, photo, fitted) < cost(codec, photo, codec.encode(photo))


def test_gradients_of_tiles_are_those_of_the_whole(
    codec: Codec, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = from_array(np.tile(photo, (3, 3, 1)))
    height, width = picture.height, picture.width
    quantized = codec.coder.quantize(codec.analyse(picture), height=height, width=width, quality=50)
    scaled, z_hat = codec.coder.scaled(codec.analyse(picture), quality=50)
    task = Task(
        pixels=torch.from_numpy(picture.pixels),
        quality=50,
        scaled=scaled,
        z_hat=z_hat,
        usable=torch.ones_like(scaled, dtype=torch.bool),
    )
    whole = codec.informed.moved(task, scaled, quantized, strength=1.0)
    monkeypatch.setattr(tiles, "TILE", 64)
    assert len(list(task.tiles(*quantized[1].shape[-2:]))) > 1
    in_tiles = codec.informed.moved(task, scaled, quantized, strength=1.0)
    assert not torch.equal(whole, scaled)
    torch.testing.assert_close(in_tiles, whole, atol=2e-2, rtol=2e-2)


def test_what_progress_raises_ends_the_encoding(codec: Codec, photo: NDArray[np.uint8]) -> None:
    def stop(done: int, total: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        codec.encode(photo, effort=9, on_progress=stop)


@pytest.mark.parametrize("level", [7, 9])
def test_a_priority_leaves_the_rest_as_it_is(codec: Codec, photo: NDArray[np.uint8], level: int) -> None:
    part = Priority(boxes=((0, 0, 48, 40),), dilate=0)
    plain, fitted = (codec.encode(photo, quality=60, priority=part, effort=effort) for effort in (5, level))
    symbols = [codec.read_symbols(data).y for data in (plain, fitted)]
    moved = (symbols[0] != symbols[1]).any(0)
    assert moved[:3, :3].any()
    assert not moved[5:, :].any() and not moved[:, 5:].any(), "the context reaches one position"


def test_targets_are_met_with_more_fidelity(codec: Codec, photo: NDArray[np.uint8]) -> None:
    limit = len(codec.encode(photo, quality=50))
    plain, fitted = (codec.encode_to(photo, max_bytes=limit, effort=level) for level in (5, 9))
    assert len(fitted.data) <= limit
    assert plain.psnr_db is None and fitted.psnr_db is not None
    smallest = codec.encode_to(photo, psnr=29, effort=9)
    assert smallest.psnr_db is not None and smallest.psnr_db >= 29
    assert len(smallest.data) <= len(codec.encode_to(photo, psnr=29).data)


@pytest.mark.parametrize("level", [0, 10, 5.5, True, "9"])
def test_other_efforts_are_refused(codec: Codec, photo: NDArray[np.uint8], level: Any) -> None:
    with pytest.raises(TargetError, match="effort is an integer from 1 to 9, not"):
        codec.encode(photo, effort=level)


def test_files_for_generators_are_not_fitted(codec: Codec, photo: NDArray[np.uint8]) -> None:
    with pytest.raises(TargetError, match="give an effort of at most 5 beside generative"):
        codec.encode(photo, effort=6, generative=Mock())


def test_a_client_without_gradients_says_so(codec: Codec) -> None:
    with pytest.raises(ModelError, match="computes no gradients and encodes with an effort of at most 5"):
        BaseCodec.refine(codec, Mock(), Mock(), quality=50, effort=Effort(steps=1), on_progress=no_progress)


@pytest.mark.parametrize("shifted", [False, True])
def test_annealing_has_the_gradient_that_it_claims(shifted: bool) -> None:
    torch.manual_seed(0)
    shape = torch.Size((1, 3, 4, 5))
    value, mean = (torch.randn(shape, dtype=torch.float64).mul(3).requires_grad_() for _ in range(2))
    tables = torch.rand(3, 7, 41, dtype=torch.float64)
    costs = Costs.of(tables[0] * 9, surprises=tables[1], shifts=tables[2] * 0.3 if shifted else None)
    price = torch.rand(40, dtype=torch.float64)
    places = torch.randperm(60)[:40]
    index = torch.randint(0, 7, (40,))
    noise = logistic(40, torch.Generator().manual_seed(0), torch.device("cpu")).double()

    def run(value: torch.Tensor, mean: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return anneal(value, mean, places, index, costs=costs, noise=noise, tau=0.7, price=price)

    assert torch.autograd.gradcheck(run, (value, mean))


def test_cold_annealing_rounds_and_pays_the_table() -> None:
    value = torch.tensor([0.2, 0.8, -1.3, 5.45]).view(1, 1, 2, 2)
    bits = torch.arange(7.0).expand(2, 7)  # of -3..3
    arguments = torch.arange(4), torch.tensor([0, 1, 0, 1])
    decoded, cost = anneal(
        value, torch.zeros_like(value), *arguments, costs=Costs.of(bits), noise=torch.zeros(4), tau=0.01
    )
    assert torch.equal(decoded.round(), value.round()) and torch.allclose(decoded, value.round(), atol=1e-4)
    assert float(cost) == pytest.approx(3 + 4 + 2 + 6, abs=0.01), "a symbol beyond the table costs as its last one"
