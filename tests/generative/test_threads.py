"""Threads that share a generator get the pixels that one thread gets."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semcomp.codec.codec import Codec
from semcomp.generative.generator_file import load_generator, read_generator_file
from semcomp.generative.render import render
from semcomp.semantics.results import Segmentation, default_palette

THREADS = 4


def test_threads_render_what_one_thread_renders(codec: Codec, generator_file: Path, photo: NDArray[np.uint8]) -> None:
    shared, alone = load_generator(generator_file), read_generator_file(generator_file)
    jobs = []
    for number in range(6):
        crop = np.ascontiguousarray(photo[: 90 - 7 * number, 5 * number :])
        label_map = np.full(crop.shape[:2], number % 3, np.uint8)
        scene = Segmentation(label_map=label_map, classes=("road", "car", "sky"), palette=default_palette(3))
        jobs.append((codec.latents_of_image(crop, quality=10 * number + 5), scene if number % 2 else None, number))
    synthesis = codec.network.synthesis
    expected = [render(synthesis, alone, y_hat, scene, seed=seed).tobytes() for y_hat, scene, seed in jobs]
    with ThreadPoolExecutor(THREADS) as pool:  # from the generator's first call on
        found = list(pool.map(lambda job: render(synthesis, shared, job[0], job[1], seed=job[2]).tobytes(), jobs * 2))
    assert found == expected * 2
    assert len(set(expected)) == len(jobs)
