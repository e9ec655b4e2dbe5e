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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from semcomp.container import ChunkKind, Container, read
from semcomp.errors import ImageError, ModelError
from semcomp.generators import DEFAULT, TrainedGenerator, load_generator
from semcomp.guidance import CELL, REALISTIC, check_generator, made_for, note_of, stored_guide
from semcomp.keepmask import box_mask, class_numbers, positions, unpack_keep
from semcomp.noise import noise_at, noise_tile
from semcomp.payload import Plan
from semcomp.precision import fast_pixels
from semcomp.provenance import GeneratorNote
from semcomp.semantics import Head, Segmentation
from semcomp.spans import tile_side
from semcomp.symbols import STRIDE_Y, Latents
from semcomp.tiles import run_tiled

if TYPE_CHECKING:
    from semcomp.codec import Codec
    from semcomp.image import Picture

DILATE = 16
"""Pixels by which a kept region grows before it is coded, so that the band of blending lies outside what was asked."""
FEATHER = 16
"""Pixels over which a kept position becomes the synthesis' alone, counted from the outside."""
HEAD_QUALITY = 75
"""At which a head reads the picture, whatever is coded of it."""
TINT = (230, 0, 160)
"""Colour over what is synthesised."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """How a picture is to be compressed. Without keep, mask and boxes the whole picture is coded and synthesised."""

    generator: TrainedGenerator
    head: Head | None = None
    """A segmenter that makes the label map."""
    segmentation: Segmentation | None = None
    """A label map of one's own instead."""
    keep: tuple[str, ...] = ()
    """Classes of the label map, in plain words."""
    mask: np.ndarray | None = None
    """bool (H, W) of pixels to keep."""
    boxes: tuple[tuple[int, int, int, int], ...] = ()
    """x, y, w, h in pixels, to keep."""
    dilate: int = DILATE
    cell: int = CELL

    @property
    def selective(self) -> bool:
        return bool(self.keep) or self.mask is not None or bool(self.boxes)

    def plan(self, codec: "Codec", picture: "Picture", y: Tensor) -> Plan:
        """What to store of a picture with analysis `y`. ImageError where the request does not fit the picture."""
        if codec.entropy_id.hex() != self.generator.info.entropy_id:
            raise ModelError(
                f"the generator {self.generator.name} reads latents with entropy id {self.generator.info.entropy_id}, "
                f"{codec.name} makes {codec.entropy_id.hex()}: choose another generator, or train one for this codec"
            )
        segmentation = self.segmentation
        size = (picture.height, picture.width)
        if segmentation is None and self.head is not None:
            latents = codec.latents_from(y, picture, quality=HEAD_QUALITY)
            answer = self.head(latents)
            if not isinstance(answer, Segmentation):
                raise ImageError(f"the head {self.head.name} gives labels, no label map: choose one that segments")
            segmentation = answer
        if segmentation is not None and segmentation.label_map.shape != size:
            height, width = segmentation.label_map.shape
            raise ImageError(f"the label map is {width}x{height}, the picture {size[1]}x{size[0]}; make them equal")
        if self.selective and segmentation is None:
            raise ImageError("keeping a part needs a label map to synthesise the rest: give a head or a map")
        if segmentation is not None:
            self.generator.guide(segmentation, rows=-(-size[0] // STRIDE_Y), columns=-(-size[1] // STRIDE_Y))
        note = GeneratorNote(
            name=self.generator.name, generator_id=self.generator.generator_id, guided=segmentation is not None
        )
        return Plan(note=note, keep=self._kept(segmentation, size), segmentation=segmentation, cell=self.cell)

    def _kept(self, segmentation: Segmentation | None, size: tuple[int, int]) -> np.ndarray | None:
        if not self.selective:
            return None
        mask = box_mask(self.boxes, width=size[1], height=size[0])
        if self.mask is not None:
            if self.mask.shape != size:
                height, width = self.mask.shape
                raise ImageError(f"the mask is {width}x{height}, the picture {size[1]}x{size[0]}; make them equal")
            mask |= self.mask
        if self.keep:
            assert segmentation is not None
            wanted = class_numbers(self.keep, segmentation.classes)
            mask |= np.isin(segmentation.label_map, wanted)
        return positions(mask, dilate=self.dilate)


def complete(
    codec: "Codec", container: Container, latents: Latents, *, generator: str | Path | None, seed: int,
    relabel: Mapping[str, str] | None,
) -> tuple[np.ndarray, str]:  # fmt: skip
    """uint8 (height, width, 3) of a file, and what of it is synthesised in words. See `choose`."""
    chosen = choose(container, generator)
    guide = stored_guide(container, relabel)
    pixels = render(codec, chosen, latents, guide, seed=seed)
    return pixels, note_of(container, name=chosen.name, generator_id=chosen.generator_id)


def choose(container: Container, generator: str | Path | None) -> TrainedGenerator:
    """The generator that a file is to be decoded with.

    `generator` is "realistic", a generator's name or file, or None for what the file was made for. ModelError where
    it is not there. Warns where another one was meant.
    """
    note = made_for(container)
    named = generator if generator not in (None, REALISTIC) else note.name if note else DEFAULT
    assert named is not None
    try:
        chosen = load_generator(named)
    except ModelError as error:
        raise ModelError(f"{error}; or decode with --generator faithful, which synthesises nothing") from error
    check_generator(
        container, name=chosen.name, generator_id=chosen.generator_id, entropy_id=chosen.info.entropy_id
    )
    return chosen


@torch.inference_mode()
def render(
    codec: "Codec", generator: TrainedGenerator, latents: Latents, segmentation: Segmentation | None, *, seed: int = 0
) -> np.ndarray:
    """uint8 (height, width, 3): the generator's picture, and the synthesis' where `latents` says it was kept."""
    device = latents.y_hat.device
    network, synthesis = generator.network.to(device), codec.network.synthesis
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
        pixels = network(y_hat, quality, F.pixel_shuffle(guide, 2), kept, noise)
        if latents.keep is not None:
            pixels = torch.lerp(pixels, synthesis(y_hat, quality), feather(kept))
        return pixels.mul_(255).round_().clamp_(0, 255)

    with fast_pixels(device):
        pixels = run_tiled(
            draw, source, height=rows, width=columns, tile=tile_side(rows * STRIDE_Y, columns * STRIDE_Y) // STRIDE_Y,
            halo=network.reach, channels=3, up=STRIDE_Y, dtype=torch.uint8,
        )  # fmt: skip
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


def overlay(data: bytes, image: Image.Image) -> Image.Image:
    """A decoded picture with a tint over everything that was synthesised: all of it but what its file keeps."""
    container = read(data)
    body = container.get(ChunkKind.REGIONS)
    header, keep = container.header, None
    if body is not None:
        keep = unpack_keep(body, width=header.width, height=header.height)
    elif "synthesised" not in image.info:
        return image
    shown = Image.fromarray(show_synthesised(np.asarray(image.convert("RGB")), keep))
    shown.info.update(image.info)
    return shown


def show_synthesised(pixels: np.ndarray, keep: np.ndarray | None) -> np.ndarray:
    """uint8 (H, W, 3): the picture with a tint and diagonal stripes over everything that was synthesised."""
    height, width = pixels.shape[:2]
    made = np.ones((height, width), bool)
    if keep is not None:
        made = ~np.repeat(np.repeat(keep, STRIDE_Y, axis=0)[:height], STRIDE_Y, axis=1)[:, :width]
    row, column = np.ogrid[:height, :width]
    share = np.where((row + column) // 8 % 2, 0.5, 0.25) * made
    tint = np.asarray(TINT, np.float32)
    return np.round(pixels * (1 - share[..., None]) + tint * share[..., None]).astype(np.uint8)
