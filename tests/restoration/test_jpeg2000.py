"""Restoring JPEG 2000 files: any of them is read, and its records stay."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import semcomp
from semcomp.cli.main import main
from semcomp.errors import ImageError, ModelError
from semcomp.imaging.metrics import psnr_db
from semcomp.restoration.jpeg2000 import layout_of_pixels, step_of
from semcomp.restoration.planes import restored_pixels
from semcomp.restoration.restorer_file import TrainedRestorer, save_restorer
from tests.jpeg.files import photo
from tests.restoration.conftest import restorer as restorer
from tests.restoration.conftest import restorer_2000 as restorer_2000

torch = pytest.importorskip("torch")

SAMPLE = Path(__file__).parents[2] / "examples" / "photo.png"


def jp2(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG2000", **{"irreversible": True, "quality_layers": [30], **options})
    return file.getvalue()


def shown(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize(("size", "grey"), [((40, 56), False), ((33, 45), False), ((24, 30), True)])
def test_strength_goes_from_what_is_stored(size: tuple[int, int], grey: bool, restorer_2000: TrainedRestorer) -> None:
    data = jp2(photo(*size, grey=grey))
    stored = np.asarray(shown(data))
    start = np.asarray(semcomp.restore(data, weights=restorer_2000, strength=0))
    end = np.asarray(semcomp.restore(data, weights=restorer_2000))
    assert start.shape == end.shape == stored.shape
    assert psnr_db(stored, start) > 48  # luma and chroma are rounded to pixels once more
    assert psnr_db(stored, end) < 45


def test_a_file_without_loss_comes_back_as_it_is(restorer_2000: TrainedRestorer) -> None:
    picture = photo(40, 56)
    data = jp2(picture, irreversible=False, quality_layers=None)
    assert np.array_equal(np.asarray(semcomp.restore(data, weights=restorer_2000)), np.asarray(picture))


def test_records_and_alpha_stay(restorer_2000: TrainedRestorer) -> None:
    picture = photo(40, 56).convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    restored = semcomp.restore(jp2(picture), weights=restorer_2000)
    assert restored.mode == "RGBA" and len(np.unique(np.asarray(restored)[..., 3])) > 8


def test_weights_for_the_other_format_are_refused(
    restorer: TrainedRestorer, restorer_2000: TrainedRestorer, tmp_path: Path
) -> None:
    data = jp2(photo(24, 32))
    with pytest.raises(ModelError, match="restore JPEG files, and this is a JPEG 2000 file"):
        semcomp.restore(data, weights=restorer)
    save_restorer(restorer_2000, tmp_path / "w.safetensors")
    jpeg = io.BytesIO()
    photo(24, 32).save(jpeg, "JPEG")
    with pytest.raises(ModelError, match="restore JPEG 2000 files, not JPEG files"):
        semcomp.restore(jpeg.getvalue(), weights=tmp_path / "w.safetensors")
    with pytest.raises(ImageError):
        semcomp.restore(data[:60], weights=restorer_2000)
    assert restorer.restorer_id != restorer_2000.restorer_id


def test_a_large_picture_is_restored_tile_by_tile_as_a_whole(restorer_2000: TrainedRestorer) -> None:
    pixels = np.asarray(photo(64, 2112))
    device = torch.device("cpu")
    network = restorer_2000.float_network()
    whole = restored_pixels(network, layout_of_pixels(pixels, bpp=0.5), strength=1, device=device)
    part = restored_pixels(network, layout_of_pixels(pixels[:, :512], bpp=0.5), strength=1, device=device)
    assert np.abs(whole[:, :400].astype(int) - part[:, :400]).max() <= 1


def test_fewer_bits_allow_larger_corrections() -> None:
    steps = step_of(torch.tensor([0.05, 0.1, 1.0, 8.0]))
    assert steps.diff().max() < 0 and step_of(torch.tensor([1000.0])) >= 32


def test_the_command_takes_both_formats(
    restorer_2000: TrainedRestorer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.jp2").write_bytes(jp2(photo(40, 56)))
    save_restorer(restorer_2000, tmp_path / "w.safetensors")
    arguments = ["restore", str(tmp_path / "a.jp2"), "--weights", str(tmp_path / "w.safetensors"), "--json"]
    assert main(arguments) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["width"], row["height"], row["progressive"], row["format"]) == (56, 40, None, "png")
    expected = np.asarray(semcomp.restore(tmp_path / "a.jp2", weights=tmp_path / "w.safetensors"))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), expected)


def test_the_released_network_comes_nearer_to_the_original() -> None:
    original = Image.open(SAMPLE).convert("RGB").crop((0, 0, 256, 256))
    data = jp2(original, quality_layers=[60])
    before, after = (psnr_db(np.asarray(original), np.asarray(image)) for image in (shown(data), semcomp.restore(data)))
    assert after > before + 0.3
