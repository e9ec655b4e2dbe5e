"""Global and selective generative compression: what is kept, what guides the rest, and the picture made of both.

    request = Request(generator=load_generator("street"), head=load_head("street"), keep=("people", "car"))
    data = codec.encode("street.png", quality=40, generative=request)
    image = codec.decode(data)                             # what was not kept is synthesised
    image = codec.decode(data, generator="faithful")       # nothing is

Selective compression codes the kept positions alone; the decoder shows the synthesis there and the generator everywhere
else, blended over the outermost FEATHER pixels of what was kept (Agustsson et al. 2019, SC). Global compression codes
everything at a low quality and shows the generator everywhere (GC).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from semcomp.bitstream.container import Container
from semcomp.errors import ModelError
from semcomp.generative.generator_file import TrainedGenerator, load_generator
from semcomp.generative.noise import noise_at, noise_tile
from semcomp.networks.precision import fast_pixels
from semcomp.networks.synthesis import Synthesis
from semcomp.networks.tiled import run_tiled
from semcomp.pipeline.completion import check_generator, note_of, stored_guide, wanted_generator
from semcomp.pipeline.tiles import tile_side
from semcomp.semantics.head import Segmentation
from semcomp.types import STRIDE_Y, Latents

FEATHER = 16
"""Pixels over which a kept position becomes the synthesis' alone, counted from the outside."""


def complete(
    synthesis: Synthesis,
    container: Container,
    latents: Latents,
    *,
    generator: str | Path | None,
    seed: int,
    relabel: Mapping[str, str] | None,
) -> tuple[NDArray[Any], str]:
    """uint8 (height, width, 3) of a file, and a sentence on what is synthesised. See `chosen_generator`."""
    chosen = chosen_generator(container, generator)
    guide = stored_guide(container, relabel)
    pixels = render(synthesis, chosen, latents, guide, seed=seed)
    return pixels, note_of(container, name=chosen.name, generator_id=chosen.generator_id)


def chosen_generator(container: Container, generator: str | Path | None) -> TrainedGenerator:
    """The generator that a file is to be decoded with.

    `generator` is "realistic", a generator's name or file, or None for what the file was made for. ModelError where
    it is not there. Warns where another one was meant.
    """
    try:
        chosen = load_generator(wanted_generator(container, generator))
    except ModelError as error:
        raise ModelError(f'{error}; or decode with the generator "faithful", which synthesises nothing') from error
    check_generator(container, name=chosen.name, generator_id=chosen.generator_id, entropy_id=chosen.info.entropy_id)
    return chosen


@torch.inference_mode()
def render(
    synthesis: Synthesis,
    generator: TrainedGenerator,
    latents: Latents,
    segmentation: Segmentation | None,
    *,
    seed: int = 0,
) -> NDArray[Any]:
    """uint8 (height, width, 3): the generator's picture, and the synthesis' where `latents` says it was kept."""
    device = latents.y_hat.device
    network = generator.network_on(device)
    rows, columns = latents.y_hat.shape[-2:]
    quality = torch.tensor([latents.quality], device=device)
    keep = torch.ones(1, 1, rows, columns, device=device)
    if latents.keep is not None:
        keep = torch.from_numpy(latents.keep).to(device)[None, None].float()
    guide = generator.guide(segmentation, rows=rows, columns=columns).to(device)
    planes = torch.cat([latents.y_hat, keep, F.pixel_unshuffle(guide, 2)], 1)
    coarse, fine = noise_tile(seed, network.config.c16, network.config.c8)
    parts = (latents.y_hat.shape[1], 1, 4 * guide.shape[1])

    def source(r: slice, c: slice) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        noise = (torch.from_numpy(noise_at(coarse, r, c)), torch.from_numpy(noise_at(fine, r, c, fine=2)))
        return planes[..., r, c], (noise[0].to(device), noise[1].to(device))

    def draw(region: tuple[Tensor, tuple[Tensor, Tensor]]) -> Tensor:
        part, noise = region
        y_hat, kept, guide = part.split(parts, 1)
        y_hat = y_hat.contiguous(memory_format=torch.channels_last)
        pixels: Tensor = network(y_hat, quality, F.pixel_shuffle(guide, 2), kept, noise)
        if latents.keep is not None:
            pixels = torch.lerp(pixels, synthesis(y_hat, quality), feather(kept))
        return pixels.mul_(255).round_().clamp_(0, 255)

    with fast_pixels(device):
        pixels = run_tiled(
            draw,
            source,
            height=rows,
            width=columns,
            tile=tile_side(rows * STRIDE_Y, columns * STRIDE_Y) // STRIDE_Y,
            halo=network.reach,
            channels=3,
            up=STRIDE_Y,
            dtype=torch.uint8,
        )
    return np.ascontiguousarray(pixels[0, :, : latents.height, : latents.width].permute(1, 2, 0).numpy())


def feather(keep: Tensor) -> Tensor:
    """Weight of the synthesis at every pixel, (1, 1, 16h, 16w): 0 outside `keep` (1, 1, h, w), 1 deep inside."""
    half = FEATHER // 2
    lost = 1 - F.interpolate(keep, scale_factor=STRIDE_Y, mode="nearest")
    for size, pad in (((1, FEATHER + 1), (0, half)), ((FEATHER + 1, 1), (half, 0))):
        lost = F.max_pool2d(lost, size, 1, pad)
    inside = F.pad(1 - lost, (half, half, half, half), mode="replicate")
    inside = F.avg_pool2d(F.avg_pool2d(inside, (1, FEATHER + 1), 1), (FEATHER + 1, 1), 1)
    return inside.clamp(0, 1)
