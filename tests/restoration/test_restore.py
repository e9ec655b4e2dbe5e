"""A restored picture is one that the file could have been made of, whatever the file and whatever the weights."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, ImageOps

import semcomp
from semcomp.errors import ImageError, MissingFileError, ModelError, SemcompWarning
from semcomp.imaging.metrics import psnr_db
from semcomp.jpeg.reader import read_jpeg
from semcomp.jpeg.records import records_of
from semcomp.jpeg.writer import write_jpeg
from semcomp.restoration import planes as planes_module
from semcomp.restoration.planes import layout_of, restored_pixels
from semcomp.restoration.restorer_file import TrainedRestorer, load_restorer, read_restorer_file, save_restorer
from semcomp.restoration.transform import forward_dct, inverse_dct, shrink
from tests.jpeg.files import KINDS, jpeg, photo

SAMPLE = Path(__file__).parents[2] / "examples" / "photo.png"
CPU = torch.device("cpu")
GREY: dict[str, dict[str, Any]] = {
    "grey": {"quality": 60},
    "grey progressive": {"quality": 60, "progressive": True},
    "grey, restart markers": {"quality": 30, "restart_marker_blocks": 2},
}


@pytest.mark.parametrize("size", [(64, 96), (83, 61), (1, 1)])
@pytest.mark.parametrize("kind", [*KINDS, *GREY])
def test_quantised_again_the_result_gives_the_files_own_coefficients(
    kind: str, size: tuple[int, int], restorer: TrainedRestorer
) -> None:
    image = photo(*size, grey=kind in GREY)
    file = read_jpeg(jpeg(image, **{**KINDS, **GREY}[kind]))
    moved = 0.0
    for number, stored in enumerate(layout_of(file).pictures):
        with torch.inference_mode():
            restored = restorer.network(stored)
        for plane, coefficients in enumerate(stored.coefficients):
            pixels = restored[:, plane] if plane == 0 else shrink(restored[:, plane], stored.factors)
            again = (forward_dct(pixels) / stored.steps[:, plane, None, None]).round()
            source = file.planes[plane if len(stored.coefficients) > 1 else number]
            rows, columns = again.shape[1:3]
            assert np.array_equal(again[0].numpy(), source.coefficients[:rows, :columns])
            moved = max(moved, float((pixels - inverse_dct(coefficients)).abs().max()))
    assert moved > 1e-3, "a network that changes nothing would pass too"


def test_whole_numbers_leave_few_cells(restorer: TrainedRestorer) -> None:
    data = jpeg(photo(128, 160), quality=50)
    restored = semcomp.restore(data, weights=restorer)
    before, after = read_jpeg(data), read_jpeg(jpeg(restored, quality=50))
    for one, other in zip(before.planes, after.planes, strict=True):
        assert (one.coefficients != other.coefficients).mean() < 0.02


def test_the_path_for_inference_computes_what_training_computes(restorer: TrainedRestorer) -> None:
    layout = layout_of(read_jpeg(jpeg(photo(72, 104), quality=30)))
    with torch.inference_mode():
        slow, fast = (network(layout.pictures[0]) for network in (restorer.network, restorer.fast_on(CPU)))
    assert (slow - fast).abs().mean() < 0.3 and (slow - fast).abs().max() < 12


@pytest.mark.parametrize("kind", ["baseline", "4:4:4", "4:2:2"])
def test_tiles_give_what_the_whole_gives(kind: str, restorer: TrainedRestorer, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = layout_of(read_jpeg(jpeg(photo(400, 328), **KINDS[kind])))
    whole = restored_pixels(restorer.network, layout, strength=1.0, device=CPU)
    monkeypatch.setattr(planes_module, "TILE", 16)
    tiled = restored_pixels(restorer.network, layout, strength=1.0, device=CPU)
    assert np.abs(whole.astype(int) - tiled).max() <= 1
    assert (whole != tiled).mean() < 0.001


def test_strength_goes_from_what_is_stored_to_the_answer(restorer: TrainedRestorer) -> None:
    data = jpeg(photo(64, 96), quality=40)
    none, half, full = (np.asarray(semcomp.restore(data, strength=s, weights=restorer)) for s in (0.0, 0.5, 1.0))
    shown = np.asarray(Image.open(io.BytesIO(data)))
    assert psnr_db(shown, none) > 36
    distance = [float(np.abs(none.astype(float) - other).mean()) for other in (half, full)]
    assert 0.3 * distance[1] < distance[0] < 0.7 * distance[1]


@pytest.mark.parametrize("quality", [1, 5, 50, 100])
def test_without_strength_a_file_looks_as_in_a_decoder(quality: int, restorer: TrainedRestorer) -> None:
    image = photo(64, 96)
    image.paste("blue", (3, 3, 20, 20))
    data = jpeg(image, quality=quality, subsampling="4:4:4")
    shown = np.asarray(Image.open(io.BytesIO(data))).astype(int)
    assert np.abs(shown - np.asarray(semcomp.restore(data, strength=0, weights=restorer))).max() <= 2


def test_at_high_quality_little_can_change(restorer: TrainedRestorer) -> None:
    image = photo(64, 96)
    data = jpeg(image, quality=97, subsampling="4:4:4")
    restored = semcomp.restore(data, weights=restorer)
    assert psnr_db(np.asarray(Image.open(io.BytesIO(data))), np.asarray(restored)) > 38


def test_records_are_kept_and_the_picture_is_upright(restorer: TrainedRestorer) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = jpeg(photo(40, 72), quality=60, exif=exif, icc_profile=icc)
    restored = semcomp.restore(data, weights=restorer)
    assert restored.size == (40, 72) and restored.info["icc_profile"] == icc
    kept = Image.Exif()
    kept.load(restored.info["exif"])
    assert (kept[0x0112], kept[0x010F]) == (1, "Maker")
    plain = Image.open(io.BytesIO(data)).transpose(Image.Transpose.ROTATE_270)
    assert psnr_db(np.asarray(plain), np.asarray(restored)) > 20


def test_grey_stays_grey(restorer: TrainedRestorer) -> None:
    restored = semcomp.restore(jpeg(photo(30, 50, grey=True), quality=60), weights=restorer)
    assert (restored.mode, restored.size) == ("L", (50, 30))


def test_every_way_to_give_a_file(restorer: TrainedRestorer, tmp_path: Path) -> None:
    data = jpeg(photo(24, 40), quality=60)
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    expected = np.asarray(semcomp.restore(data, weights=restorer))

    def same(source: Any) -> bool:
        return np.array_equal(np.asarray(semcomp.restore(source, weights=restorer)), expected)

    assert same(path) and same(str(path)) and same(io.BytesIO(data))
    with Image.open(path) as image:
        assert same(image)


@pytest.mark.parametrize(
    "edit",
    [lambda im: im.thumbnail((20, 20)), lambda im: im.paste("red", (2, 2, 9, 9)), lambda im: im.draft("L", im.size)],
)
def test_an_edited_image_is_not_restored_from_its_file(
    edit: Callable[[Image.Image], Any], restorer: TrainedRestorer, tmp_path: Path
) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(jpeg(photo(24, 40), quality=60))
    with Image.open(path) as image:
        image.load()
        assert semcomp.restore(image, weights=restorer).size == (40, 24)
    with Image.open(path) as image:
        edit(image)
        with pytest.raises(ImageError, match="differs from the file behind it"):
            semcomp.restore(image, weights=restorer)


@pytest.mark.parametrize("exif", [False, True])
def test_the_orientation_of_xmp_counts_where_exif_has_none(exif: bool, restorer: TrainedRestorer) -> None:
    tags = Image.Exif()
    tags[0x010F] = "Maker"
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6" xmp:Rating="5"/></x:xmpmeta>'
    data = jpeg(photo(83, 97), quality=60, xmp=xmp, **({"exif": tags} if exif else {}))
    restored = semcomp.restore(data, weights=restorer)
    assert restored.size == (83, 97) and restored.info["xmp"] == xmp.replace(b'"6"', b'"1"')
    with Image.open(io.BytesIO(data)) as image:
        assert psnr_db(np.asarray(ImageOps.exif_transpose(image)), np.asarray(restored)) > 20


@pytest.mark.parametrize("device", ["nope", "cuda:99"])
def test_a_device_that_is_not_there_is_named(device: str, restorer: TrainedRestorer) -> None:
    with pytest.raises(ModelError, match=f"the device '{device}' does not exist here: choose one of cpu"):
        semcomp.restore(jpeg(photo(24, 40)), weights=restorer, device=device)


def test_a_cut_file_gives_its_beginning_and_a_warning(restorer: TrainedRestorer) -> None:
    data = jpeg(photo(160, 160), quality=60)
    whole = np.asarray(semcomp.restore(data, weights=restorer))
    with pytest.warns(SemcompWarning, match=r"damaged: \d+ % of its blocks can be read, and it ends early"):
        cut = np.asarray(semcomp.restore(data[: len(data) // 2], weights=restorer))
    assert np.array_equal(cut[:16], whole[:16]) and (cut[150:].std((0, 1)) < 3).all()


def test_coefficients_that_no_picture_has_reach_no_farther_than_others() -> None:
    """The released network is run: such values would grow in it until they are no numbers."""
    released = load_restorer()
    file = read_jpeg(jpeg(photo(160, 160), quality=50))
    luma = file.planes[0]
    blocks = luma.coefficients.copy()
    blocks[0, 0] = -32768
    hostile = replace(file, planes=(replace(luma, coefficients=blocks), *file.planes[1:]))
    before, after = (
        restored_pixels(released.fast_on(CPU), layout_of(one), strength=1.0, device=CPU) for one in (file, hostile)
    )
    reach = 8 * (released.network.reach + 1)
    assert np.array_equal(before[reach:, reach:], after[reach:, reach:])
    coarse = tuple(replace(plane, steps=np.full(64, 65535)) for plane in hostile.planes)
    with torch.inference_mode():
        answer = released.fast_on(CPU)(layout_of(replace(hostile, planes=coarse)).pictures[0])
    assert torch.isfinite(answer).all()


@pytest.mark.parametrize("step", [400, 3000])
def test_steps_that_no_network_has_learned_spoil_nothing(step: int) -> None:
    """Encoders that are not bound to baseline files write such steps at their lowest qualities."""
    file = read_jpeg(jpeg(photo(96, 96), quality=90))
    planes = tuple(
        replace(
            plane,
            coefficients=np.rint(plane.coefficients * plane.steps / step).astype(np.int16),
            steps=np.full(64, step),
        )
        for plane in file.planes
    )
    layout = layout_of(replace(file, planes=planes))
    network = load_restorer().fast_on(CPU)
    stored, restored = (
        restored_pixels(network, layout, strength=value, device=CPU).astype(int) for value in (0.0, 1.0)
    )
    assert np.abs(restored - stored).mean() < 40 and np.abs(restored - stored).max() > 0


def test_a_mark_of_another_restorer_is_a_warning(restorer: TrainedRestorer) -> None:
    file = read_jpeg(jpeg(photo(24, 40), quality=60))
    with pytest.warns(SemcompWarning, match=f"made for the restorer {b'another!'.hex()}"):
        semcomp.restore(write_jpeg(replace(file, records=records_of(mark=b"another!"))), weights=restorer)
    own = write_jpeg(replace(file, records=records_of(mark=restorer.restorer_id)))
    assert semcomp.restore(own, weights=restorer).size == (40, 24)


def cmyk() -> bytes:
    return jpeg(photo(24, 40).convert("CMYK"), quality=60)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (cmyk(), "CMYK"),
        (b"no picture", "not a JPEG file"),
        (b"", "is empty"),
        (io.BytesIO(), "is empty"),
        (io.StringIO("no picture"), "open the file in binary mode"),
        (photo(24, 40), "no JPEG file behind it"),
        (np.zeros((8, 8, 3), np.uint8), "ndarray is not a JPEG file"),
    ],
)
def test_what_cannot_be_restored_is_refused_in_words(source: Any, words: str, restorer: TrainedRestorer) -> None:
    with pytest.raises(ImageError, match=words):
        semcomp.restore(source, weights=restorer)


def test_sampling_that_the_network_does_not_know(restorer: TrainedRestorer) -> None:
    file = read_jpeg(jpeg(photo(64, 64), quality=60, subsampling="4:4:4"))
    luma, first, second = file.planes
    for strange in (
        (luma, replace(first, horizontal=2), second),
        (luma, first, replace(second, horizontal=2)),
        (luma, first),
    ):
        with pytest.raises(ImageError, match="restorer knows"):
            layout_of(replace(file, planes=strange))


def test_strength_beyond_its_range(restorer: TrainedRestorer) -> None:
    with pytest.raises(ImageError, match="0 to 1, not"):
        semcomp.restore(jpeg(photo(24, 40)), strength=1.5, weights=restorer)


def test_files_of_weights(restorer: TrainedRestorer, weights: Path, tmp_path: Path) -> None:
    again = load_restorer(weights)
    assert again.restorer_id == restorer.restorer_id and again.origin == "seed 3, not trained"
    data = jpeg(photo(24, 40), quality=60)
    one, other_picture = (np.asarray(semcomp.restore(data, weights=each)) for each in (restorer, weights))
    assert np.array_equal(one, other_picture)
    other = TrainedRestorer(restorer.network)
    other.state["trunk.head.bias"] = other.state["trunk.head.bias"] + 1
    assert other.restorer_id != restorer.restorer_id
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(weights.read_bytes()[:-50])
    with pytest.raises(ModelError, match="damaged"):
        read_restorer_file(broken)
    with pytest.raises(ModelError, match="no restorer called nothing"):
        load_restorer("nothing.safetensors")
    with pytest.raises(MissingFileError):
        semcomp.restore(tmp_path / "nowhere.jpg", weights=restorer)
    save_restorer(again, tmp_path / "copy.safetensors")
    assert read_restorer_file(tmp_path / "copy.safetensors").restorer_id == restorer.restorer_id


@pytest.mark.parametrize(("quality", "gain"), [(10, 0.8), (30, 0.8), (75, 0.5), (95, 0.0)])
def test_the_released_network_comes_nearer_to_the_original(quality: int, gain: float) -> None:
    original = np.asarray(Image.open(SAMPLE).convert("RGB"))[:256, :256]
    data = jpeg(Image.fromarray(original), quality=quality)
    with Image.open(io.BytesIO(data)) as plain:
        before = psnr_db(original, np.asarray(plain))
    assert psnr_db(original, np.asarray(semcomp.restore(data))) > before + gain
