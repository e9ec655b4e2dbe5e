"""Exported generators: the picture of a file whose parts are synthesised, as generative.py makes it."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from semcomp.bitstream.container import Container
from semcomp.edge.bundle import Bundle
from semcomp.edge.tiling import run_tiled
from semcomp.errors import ModelError
from semcomp.generative.guide import guide_of
from semcomp.generative.noise import noise_at, noise_tile
from semcomp.pipeline.completion import REALISTIC, check_generator, made_for
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

    def render(self, latents: Latents, segmentation: Segmentation | None, *, seed: int = 0) -> np.ndarray:
        """uint8 (height, width, 3): the generator's picture, and the synthesis' where `latents` says it was kept."""
        rows, columns = latents.y_hat.shape[-2:]
        graph = self.bundle.graph(self.graph)
        inputs = {value["name"]: value["shape"] for value in graph["inputs"]}
        coarse, fine = noise_tile(seed, inputs["noise16"][1], inputs["noise8"][1])
        guide = guide_of(segmentation, name=self.name, classes=self.classes, rows=rows, columns=columns)
        keep = np.ones((1, 1, rows, columns), np.float32) if latents.keep is None else latents.keep[None, None]
        keep, quality = keep.astype(np.float32), np.array([latents.quality], np.int64)

        def source(r: slice, c: slice) -> dict[str, np.ndarray]:
            fine_rows, fine_columns = slice(2 * r.start, 2 * r.stop), slice(2 * c.start, 2 * c.stop)
            parts = {"y_hat": latents.y_hat[..., r, c], "guide": guide[..., fine_rows, fine_columns]}
            parts |= {"keep": keep[..., r, c], "quality": quality}
            parts |= {"noise16": noise_at(coarse, r, c), "noise8": noise_at(fine, r, c, fine=2)}
            return {name: np.ascontiguousarray(part) for name, part in parts.items()}

        def draw(region: dict[str, np.ndarray]) -> np.ndarray:
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


def choose(
    generators: Mapping[str, EdgeGenerator], container: Container, generator: str | Path | None
) -> EdgeGenerator:
    """The generator that a file is to be decoded with.

    `generator` is "realistic", the name of one that was exported, or None for what the file was made for; a file that
    was made for none gets the first. ModelError where it is not there. Warns where another one was meant.
    """
    note = made_for(container)
    named = generator if generator not in (None, REALISTIC) else note.name if note else next(iter(generators))
    chosen = generators.get(str(named))
    if chosen is None:
        raise ModelError(
            f"this client has no generator {named}, only {', '.join(generators)}; export it with --generators, or "
            "decode with --generator faithful, which synthesises nothing"
        )
    check_generator(
        container, name=chosen.name, generator_id=chosen.generator_id, entropy_id=chosen.bundle.manifest["entropy_id"]
    )
    return chosen
