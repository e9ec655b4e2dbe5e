"""The torch backend of the codec.

codec = semcomp.load()
data = codec.encode("photo.png", quality=50)
image = codec.decode(data)
latents = codec.latents(data)            # no pixel is made
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from semcomp.bitstream.container import Container
from semcomp.codec.descent import Descent
from semcomp.codec.informed import Informed
from semcomp.codec.latent_coder import LatentCoder
from semcomp.codec.refinement import Refinement
from semcomp.codec.release import Release, load_release, parameters
from semcomp.device import checked_device
from semcomp.imaging.picture import Picture
from semcomp.lossless.weights import load_weights
from semcomp.networks.lossless_fast import TorchNetworks
from semcomp.networks.model import kmac_per_pixel
from semcomp.networks.precision import fast_pixels
from semcomp.networks.synthesis import Synthesis
from semcomp.networks.threads import threads_for
from semcomp.networks.tiled import run_tiled
from semcomp.pipeline.base_codec import BaseCodec, Chosen
from semcomp.pipeline.effort import Effort, Progress
from semcomp.pipeline.lossless import LosslessCoder
from semcomp.pipeline.tiles import tile_side
from semcomp.types import STRIDE_Y, STRIDE_Z, Latents, Symbols, grid
from semcomp.workers import survive_forks

DECODING = ("sigma", "refine", "mean", "synthesis")
"""Parts of `describe` that a decoder runs."""


class Codec(BaseCodec[Tensor]):
    """A release on a device. Several threads may use one codec: they get the bytes and pixels that one thread gets."""

    coder: LatentCoder

    def __init__(
        self, release: Release, *, device: str | torch.device = "cpu", lossless_weights: str | Path | None = None
    ):
        survive_forks()
        self.lossless_weights = lossless_weights
        self._lossless_networks: dict[bytes, TorchNetworks] = {}
        self.release, self.device = release, checked_device(str(device))
        self.network = release.network().to(self.device)
        for parameter in self.network.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        self.coder = LatentCoder(release, self.network, device=self.device)

    @property
    def name(self) -> str:
        return self.release.name

    @property
    def entropy_id(self) -> bytes:
        """8 bytes. A file with another entropy id cannot be read with this codec."""
        return self.release.entropy_id

    @property
    def model_id(self) -> bytes:
        """8 bytes. A file with another model id can be read, but was made for another synthesis."""
        return self.release.model_id

    @property
    def channels(self) -> int:
        return self.release.config.latents

    def describe(self) -> dict[str, Any]:
        """Name, ids, number of parameters, and thousands of multiply-adds per pixel by part."""
        parts = kmac_per_pixel(self.release.config)
        return {
            "name": self.name,
            "entropy_id": self.entropy_id.hex(),
            "model_id": self.model_id.hex(),
            "parameters": parameters(self.release),
            "kmac_per_px": {name: round(value, 2) for name, value in parts.items()},
            "kmac_per_px_encode": round(sum(parts.values()) - parts["synthesis"], 2),
            "kmac_per_px_decode": round(sum(parts[name] for name in DECODING if name in parts), 2),
            "origin": self.release.origin,
        }

    @torch.inference_mode()
    def analyse(self, picture: Picture) -> Tensor:
        """Run the analysis: y (1, M, 4a, 4b) of a picture that is padded to multiples of 64 by repeating its edge."""
        rows, columns = grid(picture.height, picture.width, STRIDE_Z)
        height, width = rows * STRIDE_Z, columns * STRIDE_Z
        pixels = torch.from_numpy(picture.pixels)

        def region(rows: slice, columns: slice) -> Tensor:
            crop = pixels[rows, columns].to(self.device).permute(2, 0, 1)[None].float() / 255
            missing = (rows.stop - rows.start - crop.shape[2], columns.stop - columns.start - crop.shape[3])
            crop = F.pad(crop, (0, missing[1], 0, missing[0]), mode="replicate")
            return crop.contiguous(memory_format=torch.channels_last)

        analysis = self.network.analysis
        with fast_pixels(self.device):
            return run_tiled(
                analysis,
                region,
                height=height,
                width=width,
                tile=tile_side(height, width),
                halo=analysis.reach,
                channels=self.release.config.latents,
                down=STRIDE_Y,
            )

    def _decode_latents(self, container: Container, *, precise: bool = True) -> Latents[Tensor]:
        rows, columns = grid(container.header.height, container.header.width, STRIDE_Y)
        with threads_for(rows * columns):
            return super()._decode_latents(container, precise=precise)

    @cached_property
    def _synthesis(self) -> Synthesis:
        return self.network.synthesis.prepared(self.device)

    @torch.inference_mode()
    def render(self, latents: Latents[Tensor]) -> NDArray[np.uint8]:
        """Run the synthesis on latents: uint8 (height, width, 3)."""
        y_hat = latents.y_hat.to(self.device)
        rows, columns = y_hat.shape[-2:]
        quality = torch.tensor([latents.quality], device=self.device)
        synthesis = self._synthesis

        def network(region: Tensor) -> Tensor:
            x_hat: Tensor = synthesis(region, quality)
            return x_hat.mul_(255).round_().clamp_(0, 255)

        with fast_pixels(self.device), threads_for(rows * columns):
            pixels = run_tiled(
                network,
                lambda r, c: y_hat[..., r, c],
                height=rows,
                width=columns,
                tile=tile_side(rows * STRIDE_Y, columns * STRIDE_Y) // STRIDE_Y,
                halo=synthesis.reach,
                channels=3,
                up=STRIDE_Y,
                dtype=torch.uint8,
            )
        pixels = pixels[0, :, : latents.height, : latents.width]
        return np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())

    def refine(
        self,
        chosen: Chosen[Tensor],
        plain: tuple[Symbols, Tensor],
        *,
        quality: int,
        effort: Effort,
        on_progress: Progress,
    ) -> tuple[Symbols, Tensor]:
        picture, free = chosen.picture, None
        if chosen.whole is not None:
            rows, columns = plain[1].shape[-2:]
            free = (chosen.whole == chosen.y).all(1)[0, :rows, :columns].cpu().numpy()
        refinement = Refinement(
            coder=self.coder,
            search=self.descent if effort.steps else self.informed,
            pixels=picture.pixels,
            quality=quality,
            decode=lambda y_hat: self._decoded(picture, y_hat, quality),
            free=free,
        )
        return refinement.better(chosen.y, plain, effort=effort, on_progress=on_progress)

    @cached_property
    def informed(self) -> Informed:
        """The search of efforts 6 and 7."""
        return Informed(self.network, device=self.device)

    @cached_property
    def descent(self) -> Descent:
        """The search of efforts 8 and 9."""
        return Descent(self.release, self.network, device=self.device)

    def lossless_coder(self) -> LosslessCoder:
        model = load_weights(self.lossless_weights)
        networks = self._lossless_networks.get(model.id)
        if networks is None:
            networks = self._lossless_networks[model.id] = TorchNetworks(model)
        return LosslessCoder(model=model, networks=networks)

    def complete(
        self,
        container: Container,
        latents: Latents[Tensor],
        *,
        generator: str | Path | None,
        seed: int,
        relabel: Mapping[str, str] | None,
    ) -> tuple[NDArray[np.uint8], str]:
        from semcomp.generative.render import complete

        return complete(self.network.synthesis, container, latents, generator=generator, seed=seed, relabel=relabel)


def load(
    name_or_path: str | Path = "base", *, device: str | None = None, lossless_weights: str | Path | None = None
) -> Codec:
    """Load a codec.

    Args:
        name_or_path: Name of weights inside the package, path or URL of a .safetensors file, or "org/name" or
            "org/name@revision" on the hub of Hugging Face.
        device: Device by torch's name, such as "cpu" or "cuda". None is the CPU.
        lossless_weights: File of the lossless networks. None takes those inside the package.

    Returns:
        The codec. It computes with torch's threads, whose number `torch.set_num_threads` sets for the process.
        On a busy machine set OMP_WAIT_POLICY=PASSIVE in the environment before torch is imported, as the command does:
        else OpenMP's threads spin while they wait for each other, and encoding to a size takes many times as long.

    Raises:
        ModelError: There are no such weights, they are damaged, or the device is not there.

    Example:
        >>> import semcomp
        >>> semcomp.load().name
        'base'
    """
    return Codec(load_release(name_or_path), device=checked_device(device or "cpu"), lossless_weights=lossless_weights)
