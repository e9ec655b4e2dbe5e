"""Decoding exact pixels, for every backend."""

from __future__ import annotations

import warnings
from pathlib import Path

from semcomp.bitstream.container import MAX_PIXELS, ChunkKind, Container, read
from semcomp.bitstream.source import SemcSource, read_source
from semcomp.errors import ImageError, SemcompWarning
from semcomp.imaging.exact import ExactPicture
from semcomp.pipeline.lossless import LosslessCoder, check_scale, read_reduced


def refuse_synthesis(generator: object, relabel: object) -> None:
    """ImageError where a generator is asked to change exact pixels."""
    given = "relabel" if relabel else "generator" if generator not in (None, "faithful") else None
    if given is not None:
        raise ImageError(f"the file holds exact pixels, and nothing of them is synthesised: decode it without {given}")


class ExactDecoder:
    """The decoder of exact pixels. `BaseDecoder` adds the lossy one."""

    lossless_weights: str | Path | None = None
    """File of the lossless networks. None takes those inside the package."""

    def lossless_coder(self) -> LosslessCoder:
        """The coder of exact pixels, on this backend. ModelError where there are no lossless weights."""
        from semcomp.lossless.weights import load_weights

        model = load_weights(self.lossless_weights)
        return LosslessCoder(model=model, networks=model)

    def decode_exact(self, source: SemcSource, *, max_pixels: int = MAX_PIXELS, scale: int = 1) -> ExactPicture | None:
        """Decode the exact pixels of a file with its metadata. None where it holds none.

        Args:
            source: Path, bytes or binary stream of the file.
            max_pixels: Largest picture that is accepted, width x height.
            scale: 1, 2, 4 or 8: every scale-th row and column is decoded, and of a path or a stream no more is read
                than that takes.

        Returns:
            The picture, or None.

        Raises:
            FileError: The file cannot be read. A missing one is a MissingFileError, which is also a FileNotFoundError.
            FormatError: The file is damaged, or its picture is larger than `max_pixels`.
            ModelError: The file needs other lossless weights, or there are none.
            TargetError: There is no such scale.
        """
        return self._exact(source, scale, max_pixels)[0]

    def _exact(self, source: SemcSource, scale: int, max_pixels: int) -> tuple[ExactPicture | None, Container]:
        """The exact pixels of a file, or None and the file without any."""
        check_scale(scale)
        container = read_reduced(source, scale=scale, max_pixels=max_pixels) if scale > 1 else None
        if container is None:
            container = read(read_source(source), max_pixels=max_pixels)
        if container.get(ChunkKind.LOSSLESS) is None:
            return None, container
        for lost in container.lost:
            warnings.warn(f"{lost.name} is lost: {lost.reason}", SemcompWarning, stacklevel=3)
        return self.lossless_coder().read(container, scale=scale, max_pixels=max_pixels), container
