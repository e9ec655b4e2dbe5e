"""`EdgeCodec`: what `semcomp.Codec` does, on exported graphs."""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np

from semcomp.bitstream.container import Container
from semcomp.edge.bundle import Bundle
from semcomp.edge.generator import EdgeGenerator, choose
from semcomp.edge.head import EdgeHead
from semcomp.edge.latent_coder import EdgeCoder
from semcomp.edge.tiling import run_tiled
from semcomp.errors import ModelError
from semcomp.imaging.picture import Picture
from semcomp.pipeline.base_codec import BaseCodec
from semcomp.pipeline.completion import note_of, stored_guide
from semcomp.pipeline.tiles import tile_side
from semcomp.semantics.results import Labels, Segmentation
from semcomp.types import STRIDE_Y, STRIDE_Z, Latents, grid


class EdgeCodec(BaseCodec):
    """A folder of exported graphs, ready to encode, decode and recognise. Safe to use from several threads.

    `encode`, `encode_to`, `decode`, `latents` and `read_symbols` are those of `semcomp.Codec`; latents hold arrays. A
    file that was made for a generator is completed where one was exported; else `decode` refuses it, unless it is told
    `generator="faithful"`.
    """

    def __init__(
        self, directory: str | Path, *, threads: int | None = None, optimisation: str = "all", one_pool: bool = False
    ):
        """`threads` of every graph, None: as many as onnxruntime chooses; `optimisation` is one of bundle.LEVELS.

        With `one_pool` all graphs share onnxruntime's global pool of `threads` instead of having threads of their own,
        and no graph waits for its threads to wake on a core that another holds. onnxruntime then demands the same of
        every session of the process, so it is for processes that run nothing else on it.

        ModelError where the folder holds no manifest, or tables that are damaged; ValueError for a level that does not
        exist, for a pool beside one of another size, and for one where onnxruntime is too old for it.
        """
        self.bundle = Bundle(directory, threads=threads, optimisation=optimisation, one_pool=one_pool)
        self.coder = EdgeCoder(self.bundle)
        self.heads = {name: EdgeHead(self.bundle, name) for name in self.bundle.heads}
        """Heads by name; each is called with latents."""
        self.generators = {name: EdgeGenerator(self.bundle, name) for name in self.bundle.generators}

    @property
    def name(self) -> str:
        return str(self.bundle.manifest["name"])

    @property
    def entropy_id(self) -> bytes:
        return bytes.fromhex(self.bundle.manifest["entropy_id"])

    @property
    def model_id(self) -> bytes:
        return bytes.fromhex(self.bundle.manifest["model_id"])

    def analyse(self, picture: Picture) -> np.ndarray:
        rows, columns = grid(picture.height, picture.width, STRIDE_Z)
        height, width = rows * STRIDE_Z, columns * STRIDE_Z

        def region(rows: slice, columns: slice) -> np.ndarray:
            part = picture.pixels[rows, columns]
            missing = (rows.stop - rows.start - part.shape[0], columns.stop - columns.start - part.shape[1])
            return np.pad(part, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")[None]

        return run_tiled(
            lambda pixels: self.bundle.run("analysis", ("y",), pixels=pixels)[0],
            region,
            height=height,
            width=width,
            tile=tile_side(height, width),
            halo=self._reach("analysis"),
            axis=2,
            down=STRIDE_Y,
        )

    def render(self, latents: Latents) -> np.ndarray:
        y_hat, quality = latents.y_hat, np.array([latents.quality], np.int64)
        rows, columns = y_hat.shape[-2:]
        pixels = run_tiled(
            lambda part: self.bundle.run("synthesis", ("pixels",), y_hat=part, quality=quality)[0],
            lambda r, c: np.ascontiguousarray(y_hat[..., r, c]),
            height=rows,
            width=columns,
            tile=tile_side(rows * STRIDE_Y, columns * STRIDE_Y) // STRIDE_Y,
            halo=self._reach("synthesis"),
            axis=1,
            up=STRIDE_Y,
        )
        return np.ascontiguousarray(pixels[0, : latents.height, : latents.width])

    def complete(
        self,
        container: Container,
        latents: Latents,
        *,
        generator: str | Path | None,
        seed: int,
        relabel: Mapping[str, str] | None,
    ) -> tuple[np.ndarray, str]:
        if not self.generators:
            return super().complete(container, latents, generator=generator, seed=seed, relabel=relabel)
        chosen = choose(self.generators, container, generator)
        pixels = chosen.render(latents, stored_guide(container, relabel), seed=seed)
        return pixels, note_of(container, name=chosen.name, generator_id=chosen.generator_id)

    def classify(self, source: bytes | Latents, *, head: str | None = None) -> Labels:
        """Labels of a file's bytes or of latents, by a head's name, or by the first one that classifies.

        A segmenter answers with the classes by the area that they cover. Raises as `decode` does, and ModelError
        where there is no such head.
        """
        answer = self._head(head, "classify", "segment")(self._latents(source))
        return answer.labels() if isinstance(answer, Segmentation) else answer

    def segment(self, source: bytes | Latents, *, head: str | None = None) -> Segmentation:
        """What every pixel shows, by a head's name or by the first one that segments. Raises as `classify` does."""
        chosen = self._head(head, "segment")
        if chosen.task != "segment":
            raise ModelError(f"the head {head} gives labels, no label map: choose one that segments")
        return cast(Segmentation, chosen(self._latents(source)))

    def _latents(self, source: bytes | Latents) -> Latents:
        return source if isinstance(source, Latents) else self.latents(source)

    def _head(self, name: str | None, *tasks: str) -> EdgeHead:
        known = ", ".join(f"{head.name} ({head.task})" for head in self.heads.values()) or "none"
        if name is not None:
            if name not in self.heads:
                raise ModelError(f"{self.bundle.directory} has no head {name}; it has: {known}")
            return self.heads[name]
        for task in tasks:
            for head in self.heads.values():
                if head.task == task:
                    return head
        raise ModelError(f"{self.bundle.directory} has no head that can {tasks[0]}; it has: {known}")

    def _reach(self, graph: str) -> int:
        return int(self.bundle.graph(graph)["reach"])
