"""`EdgeCodec`: the codec on exported graphs."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.bitstream.container import Container
from semcomp.bitstream.source import SemcSource
from semcomp.edge.bundle import Bundle
from semcomp.edge.generator import EdgeGenerator, chosen_generator
from semcomp.edge.head import EdgeClassifier, EdgeSegmenter, edge_head
from semcomp.edge.latent_coder import EdgeCoder
from semcomp.edge.tiling import run_tiled
from semcomp.errors import ModelError
from semcomp.imaging.picture import Picture
from semcomp.pipeline.base_codec import BaseCodec
from semcomp.pipeline.completion import note_of, stored_guide
from semcomp.pipeline.lossless import LosslessCoder
from semcomp.pipeline.tiles import tile_side
from semcomp.semantics.head import Segmenter, described, not_a_segmenter, sure_head
from semcomp.semantics.results import Labels, Segmentation
from semcomp.types import STRIDE_Y, STRIDE_Z, Latents, grid


class EdgeCodec(BaseCodec[NDArray[np.float32]]):
    """A folder of exported graphs that encodes, decodes and recognises. Several threads may use it.

    `encode`, `encode_to`, `decode`, `latents` and `read_symbols` work as in `semcomp.Codec`, on numpy arrays. A file
    that was made for a generator needs that generator in the folder. Without it, `decode` takes the file only with
    `generator="faithful"`.

    Example:
        >>> codec = EdgeCodec("edge/")  # doctest: +SKIP
        >>> codec.classify("photo.semc").names[0]  # doctest: +SKIP
        'church'
    """

    def __init__(
        self,
        directory: str | Path | None = None,
        *,
        threads: int | None = None,
        optimisation: str = "all",
        one_pool: bool = False,
    ):
        """Open the folder. Graphs are loaded when they are first used.

        Args:
            directory: The folder that `semcomp export onnx` wrote. None takes the graphs that are installed with
                semcomp-edge.
            threads: CPU threads of every graph. None lets onnxruntime choose.
            optimisation: Graph optimisation of onnxruntime, one of `bundle.LEVELS`.
            one_pool: Run all graphs on onnxruntime's global pool of `threads` threads, so that no graph waits for
                threads of its own on a core that another graph holds. onnxruntime then demands this of every session of
                the process, so it is for processes that run nothing else on onnxruntime.

        Raises:
            ModelError: The folder has no manifest, or a file of it is damaged.
            TargetError: There is no such optimisation, or the pool contradicts the one that the process has.
            MissingExtraError: onnxruntime is not installed.
        """
        self.bundle = Bundle(directory, threads=threads, optimisation=optimisation, one_pool=one_pool)
        self.coder = EdgeCoder(self.bundle)
        self.heads = {name: edge_head(self.bundle, name) for name in self.bundle.heads}
        """Heads by name. Each is called with latents."""
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

    @property
    def channels(self) -> int:
        return int(self.bundle.manifest["sizes"]["latents"])

    def describe(self) -> dict[str, Any]:
        """Name, ids, the folder of the graphs, and their size in bytes by name."""
        return {
            "name": self.name,
            "entropy_id": self.entropy_id.hex(),
            "model_id": self.model_id.hex(),
            "graphs": str(self.bundle.directory),
            "bytes": {name: self.bundle.size_of(entry) for name, entry in self.bundle.manifest["graphs"].items()},
        }

    def analyse(self, picture: Picture) -> NDArray[np.float32]:
        rows, columns = grid(picture.height, picture.width, STRIDE_Z)
        height, width = rows * STRIDE_Z, columns * STRIDE_Z

        def region(rows: slice, columns: slice) -> NDArray[np.uint8]:
            crop = picture.pixels[rows, columns]
            missing = (rows.stop - rows.start - crop.shape[0], columns.stop - columns.start - crop.shape[1])
            return np.pad(crop, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")[None]

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

    def render(self, latents: Latents[NDArray[np.float32]]) -> NDArray[np.uint8]:
        y_hat, quality = latents.y_hat, np.array([latents.quality], np.int64)
        rows, columns = y_hat.shape[-2:]
        pixels = run_tiled(
            lambda region: self.bundle.run("synthesis", ("pixels",), y_hat=region, quality=quality)[0],
            lambda r, c: np.ascontiguousarray(y_hat[..., r, c]),
            height=rows,
            width=columns,
            tile=tile_side(rows * STRIDE_Y, columns * STRIDE_Y) // STRIDE_Y,
            halo=self._reach("synthesis"),
            axis=1,
            up=STRIDE_Y,
        )
        return np.ascontiguousarray(pixels[0, : latents.height, : latents.width])

    @cached_property
    def _lossless(self) -> LosslessCoder:
        from semcomp.edge.lossless import edge_lossless

        return edge_lossless(self.bundle) if self.lossless_weights is None else super().lossless_coder()

    def lossless_coder(self) -> LosslessCoder:
        return self._lossless

    def complete(
        self,
        container: Container,
        latents: Latents[NDArray[np.float32]],
        *,
        generator: str | Path | None,
        seed: int,
        relabel: Mapping[str, str] | None,
    ) -> tuple[NDArray[np.uint8], str]:
        if not self.generators:
            return super().complete(container, latents, generator=generator, seed=seed, relabel=relabel)
        chosen = chosen_generator(self.generators, container, generator)
        pixels = chosen.render(latents, stored_guide(container, relabel), seed=seed)
        return pixels, note_of(container, name=chosen.name, generator_id=chosen.generator_id)

    def head(self, name: str | None) -> EdgeClassifier | EdgeSegmenter:
        """A head by name. ModelError where none is named, or where there is none of that name."""
        if name in self.heads:
            return self.heads[name]
        known = ", ".join(described(head) for head in self.heads.values()) or "none"
        if name is None:
            raise ModelError(f"no head is named: choose one of {self.bundle.directory}; it has: {known}")
        raise ModelError(f"{self.bundle.directory} has no head {name}; it has: {known}")

    def generator(self, name: str) -> EdgeGenerator:
        """A generator by name, for a `Request`. ModelError where it was not exported."""
        if name in self.generators:
            return self.generators[name]
        known = ", ".join(self.generators) or "none"
        raise ModelError(
            f"{self.bundle.directory} has no generator {name}; it has: {known}: export it too, with "
            f"semcomp export onnx --generators {name}"
        )

    def classify(self, source: SemcSource | Latents, *, head: str | None = None, min_confidence: float = 0.0) -> Labels:
        """Label an image.

        Args:
            source: Path, bytes or binary stream of a file, or its latents.
            head: Name of an exported head. No head runs unless it is named.
            min_confidence: Least probability, 0 to 1, of what the head says, besides its own limits.

        Returns:
            The classes with their scores, none where nothing is known. A segmenter's scores are the areas that the
            classes cover.

        Raises:
            SemcompError: As for `latents`, ModelError where no head is named, or there is none of that name, and
                TargetError where the confidence is not 0 to 1.
        """
        answer = sure_head(self.head(head), min_confidence)(self._latents(source))
        return answer.labels() if isinstance(answer, Segmentation) else answer

    def segment(
        self, source: SemcSource | Latents, *, head: str | None = None, min_confidence: float = 0.0
    ) -> Segmentation:
        """Say what every pixel shows. It takes and raises what `classify` does; the head has to segment."""
        chosen = self.head(head)
        if not isinstance(chosen, Segmenter):
            not_a_segmenter(chosen)
        return sure_head(chosen, min_confidence)(self._latents(source))

    def _latents(self, source: SemcSource | Latents) -> Latents:
        return source if isinstance(source, Latents) else self.latents(source)

    def _reach(self, graph: str) -> int:
        return int(self.bundle.graph(graph)["reach"])
