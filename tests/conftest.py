"""Shared fixtures: the real codec, loaded once, and a stand-in for tests of what surrounds it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hypothesis
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from semcomp.bitstream.alpha import pack_alpha, unpack_alpha
from semcomp.bitstream.container import Chunk, ChunkKind, Container, Header, read, write
from semcomp.codec.codec import Codec
from semcomp.errors import TargetError
from semcomp.imaging.picture import Picture, as_picture, open_picture, to_pil

hypothesis.settings.register_profile("semcomp", deadline=None)  # a busy machine is slow, and that is no defect
hypothesis.settings.load_profile("semcomp")


def texture(kind: int, height: int, width: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Stripes across (0) or along (1), of a random period and colour. uint8 (H, W, 3)."""
    y, x = np.mgrid[0:height, 0:width]
    wave = np.sin((y if kind == 0 else x) * rng.uniform(0.5, 0.9) + rng.uniform(0, 6))
    values: NDArray[np.float64] = 128 + 70 * wave[..., None] + rng.normal(0, 15, 3)
    return values.clip(0, 255).astype(np.uint8)


def stripes_in_folders(root: Path, count: int) -> Path:
    """A folder per class, stripes across and along, each of so many pictures; returns the root."""
    rng = np.random.default_rng(0)
    for kind, name in enumerate(("across", "along")):
        (root / name).mkdir()
        for number in range(count):
            picture = texture(kind, 70 + number, 90 - number, rng)
            Image.fromarray(picture).save(root / name / f"{number:02}.png")
    return root


@pytest.fixture(scope="module")
def class_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stripes_in_folders(tmp_path_factory.mktemp("stripes"), 12)


@pytest.fixture(scope="session")
def codec() -> Any:
    """The released codec. Tests must not change it."""
    from semcomp.codec.codec import load

    return load()


@pytest.fixture(scope="session")
def generator_file(codec: Codec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a generator that is the codec's synthesis with a little disorder added."""
    import torch

    from semcomp.generative.generator_file import GeneratorInfo, TrainedGenerator, save_generator
    from semcomp.generative.network import Generator, GeneratorConfig
    from semcomp.semantics.head import default_palette

    c = codec.release.config
    torch.manual_seed(0)
    network = Generator(GeneratorConfig(classes=3, latents=c.latents, nodes=c.nodes))
    network.synthesis.load_state_dict(codec.network.synthesis.state_dict())
    for layer in (network.modulation16, network.modulation8):
        torch.nn.init.normal_(layer.project.weight, std=0.05)
    for noise in (network.noise16, network.noise8):
        noise.scale.data += 0.1
    info = GeneratorInfo(
        name="untrained", classes=("road", "car", "sky"), palette=default_palette(3), entropy_id=codec.entropy_id.hex()
    )
    path = tmp_path_factory.mktemp("weights") / "untrained.safetensors"
    save_generator(TrainedGenerator(info, network), path)
    return path


@pytest.fixture(scope="session")
def exported(generator_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A folder with every graph of the codec, of two heads and of `generator_file`, and what the export said of it."""
    from semcomp.export.folder import export_onnx

    folder = tmp_path_factory.mktemp("edge")
    return folder, export_onnx(folder, heads=["street", "imagenette"], generators=[str(generator_file)])


@pytest.fixture(scope="session")
def lossless_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of lossless networks with random weights: every property but the rate holds for them too."""
    from semcomp.lossless.model import save_model
    from tests.lossless.conftest import random_model

    path = tmp_path_factory.mktemp("lossless") / "random.safetensors"
    save_model(path, random_model())
    return path


@pytest.fixture
def embedded_lossless(lossless_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put `lossless_file` in the place of the weights inside the package."""
    monkeypatch.setattr("semcomp.lossless.weights.EMBEDDED", lossless_file)
    return lossless_file


@pytest.fixture(scope="session")
def refined_export(tmp_path_factory: pytest.TempPathFactory) -> tuple[Codec, Path, Any]:
    """A small codec whose passes refine their tables, the folder of its graphs, and what the export said of it."""
    from semcomp.codec.release import save_release
    from semcomp.export.folder import export_onnx
    from tests.releases import untrained

    folder = tmp_path_factory.mktemp("refined")
    release = untrained(
        latents=22, kernel16=5, synthesis_scales=True, synthesis_filters4=1, centroid=True
    )  # every option that the clients follow
    save_release(release, folder / "weights.safetensors")
    result = export_onnx(folder / "edge", model=str(folder / "weights.safetensors"), heads=[], generators=[])
    return Codec(release), folder / "edge", result


@pytest.fixture
def photo() -> NDArray[np.uint8]:
    """A small synthetic photograph: smooth shading, edges and some texture, uint8 (H, W, 3)."""
    y, x = np.mgrid[0:90, 0:131].astype(np.float32)
    noise = np.random.default_rng(3).normal(0, 6, (90, 131, 3))
    shading = np.stack([x * 1.5, y * 2, 200 - x], axis=2)
    shading[20:60, 30:80] = (230, 120, 40)
    values: NDArray[np.float64] = shading + noise
    return values.clip(0, 255).astype(np.uint8)


class StandIn:
    """What the command line and the plugin ask of a codec, with a JPEG inside. Needs no weights."""

    name, entropy_id, model_id = "stand-in", b"ENTROPY!", b"MODEL-ID"
    release = None

    def encode(self, image: Any, *, quality: int = 50, strip: bool = False, **reading: bool) -> bytes:
        picture = as_picture(image, **reading)
        buffer = io.BytesIO()
        Image.fromarray(picture.pixels).save(buffer, "JPEG", quality=quality)
        chunks = [Chunk(ChunkKind.SYMBOLS, buffer.getvalue())]
        if picture.alpha is not None:
            chunks.append(Chunk(ChunkKind.ALPHA, pack_alpha(picture.alpha)))
        if picture.icc and not strip:
            chunks.append(Chunk(ChunkKind.ICC, picture.icc))
        if picture.exif and not strip:
            chunks.append(Chunk(ChunkKind.EXIF, picture.exif))
        if picture.xmp and not strip:
            chunks.append(Chunk(ChunkKind.XMP, picture.xmp))
        header = Header(
            width=picture.width,
            height=picture.height,
            mode=picture.mode,
            quality=quality,
            symbol_crc=0,
            z_check=0,
            entropy_id=self.entropy_id,
            model_id=self.model_id,
        )
        return write(Container(header, tuple(chunks)))

    def encode_to(self, image: Any, *, bpp: Any = None, max_bytes: Any = None, psnr: Any = None, **options: Any) -> Any:
        picture = as_picture(image)
        limit = max_bytes if max_bytes is not None else (bpp or 8) * picture.width * picture.height / 8
        for quality in range(95, 0, -5):
            data = self.encode(picture, quality=quality, **options)
            if len(data) <= limit:
                psnr_db = 30.0 if psnr is not None else None
                return SimpleNamespace(data=data, quality=quality, bpp=0.0, psnr_db=psnr_db)
        raise TargetError(f"even quality 1 takes more than {limit:.0f} bytes: allow more")

    def decode(self, data: bytes, *, max_pixels: int = 178_000_000) -> Image.Image:
        container = read(data, max_pixels=max_pixels)
        jpeg = container.get(ChunkKind.SYMBOLS)
        assert jpeg is not None
        picture = open_picture(jpeg)
        alpha = container.get(ChunkKind.ALPHA)
        header = container.header
        plane = unpack_alpha(alpha, width=header.width, height=header.height) if alpha else None
        icc, exif = container.get(ChunkKind.ICC), container.get(ChunkKind.EXIF)
        xmp = container.get(ChunkKind.XMP)
        return to_pil(Picture(pixels=picture.pixels, mode=header.mode, alpha=plane, icc=icc, exif=exif, xmp=xmp))

    def decode_exact(self, data: bytes) -> None:
        """It holds no exact pixels."""

    def describe(self) -> dict[str, Any]:
        return {"name": self.name, "parameters": 1234, "kmac_per_px": {"analysis": 1.5}, "model_id": self.model_id}


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """Put a `StandIn` in the place of `semcomp.codec.codec.load` for one test."""
    import semcomp.codec.codec
    from semcomp.cli.batch import get_codec

    codec = StandIn()
    monkeypatch.setattr(semcomp.codec.codec, "load", lambda name="base", **options: codec)
    get_codec.cache_clear()
    vars(semcomp).pop("load", None)  # the lazy name may hold the real one
    yield codec
    get_codec.cache_clear()
    vars(semcomp).pop("load", None)  # the lazy name may have caught the stand-in
