"""Threads that share a head get the answers that one thread gets."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from heads.head_file import read_head
from heads.layers import LatentStem, PixelStem
from heads.stem_unfolding import Unfolding
from heads.warp import draw
from semcomp.codec.codec import Codec, load
from semcomp.generative.generator_file import load_generator
from semcomp.imaging.picture import open_picture
from semcomp.restoration.restorer_file import load_restorer
from semcomp.semantics.head import load_head
from semcomp.types import Latents
from semcomp.weights.files import WEIGHTS

PHOTO = Path(__file__).parents[2] / "examples" / "photo.png"
GOLDEN = PHOTO.parents[1] / "tests" / "golden" / "middle.semc"
THREADS = 4


@pytest.fixture(scope="module")
def views(codec: Codec) -> list[Latents]:
    """Latents of crops of six sizes, at more qualities than a head keeps folded."""
    pixels = open_picture(PHOTO).pixels
    crops = [
        np.ascontiguousarray(pixels[16 * k : 16 * k + 64 + 16 * k, 8 * k : 8 * k + 160 - 16 * k]) for k in range(6)
    ]
    return [codec.latents_of_image(crops[number % 6], quality=4 * number + 3) for number in range(24)]


@pytest.mark.parametrize("name", ["street", "imagenette"])
def test_threads_get_the_answers_of_one_thread(name: str, views: list[Latents]) -> None:
    shared, alone = (read_head(WEIGHTS / f"{name}.safetensors") for _ in range(2))

    def logits(latents: Latents) -> bytes:
        return shared.logits(latents.y_hat, latents.quality).contiguous().numpy().tobytes()

    expected = [alone.logits(each.y_hat, each.quality).contiguous().numpy().tobytes() for each in views]
    with ThreadPoolExecutor(THREADS) as pool:  # from the head's first call on
        found = list(pool.map(logits, views * 2))
    assert found == expected * 2
    assert len(set(expected)) == len(views)


@pytest.mark.parametrize("source", ["latents", "pixels"])
def test_threads_that_share_a_learning_stem_see_their_own_places(source: str) -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    stem: LatentStem | PixelStem
    if source == "pixels":
        stem, values = PixelStem(16, widths=(8, 12)).eval(), torch.rand(12, 2, 3, 64, 64)
    else:
        stem, values = LatentStem(24, 16, widths=(8, 12)).eval(), torch.randn(12, 2, 24, 4, 4)
        stem.unfold = Unfolding(torch.randn(3, 16, 16, 24), torch.rand(3), torch.eye(24), channels=8, factor=4)
    jobs = [(value, draw(2, 1.5, rng)) for value in values]
    quality = torch.tensor([60, 60])

    @torch.inference_mode()
    def answer(job: tuple[torch.Tensor, torch.Tensor]) -> bytes:
        return stem(job[0], quality, job[1]).contiguous().numpy().tobytes()  # type: ignore[no-any-return]

    expected = [answer(job) for job in jobs]
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(answer, jobs * 4))
    assert found == expected * 4


def test_loading_and_running_leave_the_random_numbers_alone(generator_file: Path) -> None:
    latents = load().latents(GOLDEN)
    state = torch.get_rng_state()
    steps: dict[str, Callable[[], object]] = {
        "codec": load,
        "generator": lambda: load_generator(generator_file),
        "restorer": load_restorer,
        "segmenter": lambda: load_head("street")(latents),
        "classifier": lambda: load_head("imagenette")(latents),
        "exported segmenter": lambda: load_head("street").exported(),
        "exported classifier": lambda: load_head("imagenette").exported(),
    }
    for name, step in steps.items():
        step()
        assert torch.equal(torch.get_rng_state(), state), f"{name} has drawn random numbers"
