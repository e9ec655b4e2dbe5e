"""Exported generators, which complete a picture as semcomp.generative does."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.bitstream.container import Container
from semcomp.edge.bundle import Bundle
from semcomp.edge.tiling import run_tiled
from semcomp.errors import ModelError
from semcomp.generative.guide import guide_of
from semcomp.generative.noise import noise_at, noise_tile
from semcomp.pipeline.completion import check_generator, wanted_generator
from semcomp.pipeline.tiles import tile_side
from semcomp.semantics.results import Segmentation
from semcomp.types import STRIDE_Y, Latents


class EdgeGenerator:
    """One generator of a bundle."""

    def __init__(self, bundle: Bundle, name: str):
        entry = bundle.generators[name]
        self.bundle, self.name, self.graph = bundle, name, str(entry["graph"])
        self.classes = tuple(entry["classes"])
        self.generator_id = bytes.fromhex(entry["id"])
        self.entropy_id = bytes.fromhex(bundle.manifest["entropy_id"])

    def render(
        self, latents: Latents[NDArray[np.float32]], segmentation: Segmentation | None, *, seed: int = 0
    ) -> NDArray[np.uint8]:
        """Render a picture, uint8 (height, width, 3).

        Args:
            latents: The latents. Where their `keep` is true, the synthesis makes the picture.
            segmentation: The label map that guides the generator.
            seed: Seed of the noise.
        """
        rows, columns = latents.y_hat.shape[-2:]
        graph = self.bundle.graph(self.graph)
        shapes = {value["name"]: value["shape"] for value in graph["inputs"]}
        coarse, fine = noise_tile(seed, shapes["noise16"][1], shapes["noise8"][1])
        guide = guide_of(segmentation, name=self.name, classes=self.classes, rows=rows, columns=columns)
        keep = np.ones((1, 1, rows, columns), np.float32) if latents.keep is None else latents.keep[None, None]
        keep, quality = keep.astype(np.float32), np.array([latents.quality], np.int64)

        def source(r: slice, c: slice) -> dict[str, NDArray[Any]]:
            fine_rows, fine_columns = slice(2 * r.start, 2 * r.stop), slice(2 * c.start, 2 * c.stop)
            inputs: dict[str, NDArray[Any]] = {"y_hat": latents.y_hat[..., r, c]}
            inputs |= {"guide": guide[..., fine_rows, fine_columns], "keep": keep[..., r, c], "quality": quality}
            inputs |= {"noise16": noise_at(coarse, r, c), "noise8": noise_at(fine, r, c, fine=2)}
            return {name: np.ascontiguousarray(value) for name, value in inputs.items()}

        def draw(region: dict[str, NDArray[Any]]) -> NDArray[Any]:
            run = self.bundle.run
            if latents.keep is None:
                return run(self.graph, ("pixels",), **region)[0]
            (generated,) = run(self.graph, ("x_hat",), **region)
            (faithful,) = run("synthesis", ("x_hat",), y_hat=region["y_hat"], quality=quality)
            return run("blend", ("pixels",), generated=generated, faithful=faithful, keep=region["keep"])[0]

        pixels = run_tiled(
            draw,
            source,
            height=rows,
            width=columns,
            tile=tile_side(rows * STRIDE_Y, columns * STRIDE_Y) // STRIDE_Y,
            halo=int(graph["reach"]),
            axis=1,
            up=STRIDE_Y,
        )
        return np.ascontiguousarray(pixels[0, : latents.height, : latents.width])


def chosen_generator(
    generators: Mapping[str, EdgeGenerator], container: Container, generator: str | Path | None
) -> EdgeGenerator:
    """The generator that a file is to be decoded with, by the rules of the library.

    Args:
        generators: The exported generators by name.
        container: The file.
        generator: "realistic", the name of a generator, or None for the generator that the file was made for.

    Returns:
        One of `generators`.

    Raises:
        ModelError: The generator was not exported, or reads latents of another codec.

    Warns:
        SemcompWarning: The file was made for another generator.
    """
    named = wanted_generator(container, generator)
    chosen = generators.get(str(named))
    if chosen is None:
        raise ModelError(
            f"this client has no generator {named}, only {', '.join(generators)}; export it too, or decode with the "
            'generator "faithful", which synthesises nothing'
        )
    check_generator(container, name=chosen.name, generator_id=chosen.generator_id, entropy_id=chosen.entropy_id.hex())
    return chosen
