"""The codec as its user meets it: round trips, targets, ids, exactness, tiles, damage."""

import io
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import semcomp
from semcomp.bitstream.container import Chunk, ChunkKind, Container, read, write
from semcomp.codec.codec import Codec
from semcomp.codec.release import Release
from semcomp.codec.self_test import arranged
from semcomp.imaging.metrics import psnr_db
from semcomp.imaging.picture import from_array
from semcomp.pipeline import tiles
from semcomp.pipeline.passes import put_quarter


def decoded(codec: Codec, data: bytes) -> NDArray[np.uint8]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return np.asarray(codec.decode(data))


def test_quality_buys_fidelity_with_bytes(codec: Codec, photo: NDArray[np.uint8]) -> None:
    files = [codec.encode(photo, quality=quality) for quality in (5, 35, 65, 95)]
    sizes = [len(data) for data in files]
    fidelity = [psnr_db(photo, decoded(codec, data)) for data in files]
    assert sizes == sorted(sizes) and fidelity == sorted(fidelity)
    assert fidelity[-1] > 30


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (500, 3), (64, 64), (65, 63), (17, 129)])
def test_every_size_comes_back(codec: Codec, size: tuple[int, int]) -> None:
    height, width = size
    rng = np.random.default_rng(0)
    image = np.broadcast_to(rng.integers(0, 256, (1, 1, 3)), (height, width, 3)).astype(np.uint8)
    image = np.ascontiguousarray(image)
    result = decoded(codec, codec.encode(image, quality=80))
    assert result.shape == image.shape
    assert psnr_db(image, result) > 25


def test_inputs_of_every_kind_give_the_same_file(codec: Codec, photo: NDArray[np.uint8], tmp_path: Path) -> None:
    expected = codec.encode(photo, quality=30)
    assert codec.encode(Image.fromarray(photo), quality=30) == expected
    assert codec.encode(torch.from_numpy(photo).permute(2, 0, 1)[None] / 255, quality=30) == expected
    Image.fromarray(photo).save(tmp_path / "a.png")
    assert codec.encode(tmp_path / "a.png", quality=30) == expected


def test_grey_and_alpha_come_back_as_they_were(codec: Codec, photo: NDArray[np.uint8]) -> None:
    grey = Image.fromarray(photo).convert("L")
    assert codec.decode(codec.encode(grey)).mode == "L"
    alpha = np.where(np.indices(photo.shape[:2]).sum(0) % 3 == 0, 255, 7).astype(np.uint8)
    result = codec.decode(codec.encode(np.dstack([photo, alpha])))
    assert result.mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(result)[..., 3], alpha)


def test_profile_and_exif_are_kept_unless_stripped(codec: Codec, photo: NDArray[np.uint8]) -> None:
    image = Image.fromarray(photo)
    exif = Image.Exif()
    exif[0x010E] = "a description"
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif, icc_profile=b"a profile")
    kept = codec.decode(codec.encode(io.BytesIO(file.getvalue())))
    assert kept.getexif()[0x010E] == "a description" and kept.info["icc_profile"] == b"a profile"
    stripped = codec.decode(codec.encode(io.BytesIO(file.getvalue()), strip=True))
    assert not stripped.getexif() and "icc_profile" not in stripped.info


@pytest.mark.parametrize("target", [{"bpp": 0.8}, {"max_bytes": 1500}, {"psnr": 29.0}])
def test_targets_are_met_and_barely(codec: Codec, photo: NDArray[np.uint8], target: dict[str, Any]) -> None:
    result = codec.encode_to(photo, **target)
    better = codec.encode(photo, quality=min(100, result.quality + 1))
    pixels = photo.shape[0] * photo.shape[1]
    if "psnr" in target:
        # Sums of floats may differ in their last bit, and bfloat16 makes a level of that in a few pixels.
        assert psnr_db(photo, decoded(codec, result.data)) == pytest.approx(result.psnr_db, abs=2e-3)
        worse = codec.encode(photo, quality=result.quality - 1)
        assert result.psnr_db is not None and result.psnr_db >= 29.0 > psnr_db(photo, decoded(codec, worse))
    else:
        limit = target.get("max_bytes", 0.8 * pixels / 8)
        assert len(result.data) <= limit < len(better)
    assert codec.encode(photo, quality=result.quality) == result.data


def test_impossible_targets_and_qualities_are_refused_in_words(codec: Codec, photo: NDArray[np.uint8]) -> None:
    with pytest.raises(semcomp.TargetError, match="quality 1 gives"):
        codec.encode_to(photo, max_bytes=60)
    with pytest.raises(semcomp.TargetError, match="quality 100 gives"):
        codec.encode_to(photo, psnr=99)
    with pytest.raises(semcomp.TargetError, match="exactly one"):
        codec.encode_to(photo, bpp=1, psnr=30)
    for quality in (0, 101, 50.5, True):
        with pytest.raises(semcomp.TargetError, match="integer from 1 to 100"):
            codec.encode(photo, quality=quality)  # type: ignore[arg-type]


def test_latents_need_no_synthesis(codec: Codec, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> None:
    data = codec.encode(photo, quality=60)

    def forbidden(*_: object) -> None:
        raise AssertionError("a pixel was made")

    monkeypatch.setattr(codec, "render", forbidden)
    latents = codec.latents(data)
    height, width = photo.shape[:2]
    assert latents.y_hat.shape == (1, codec.release.config.latents, -(-height // 16), -(-width // 16))
    assert (latents.width, latents.height, latents.quality) == (width, height, 60)
    assert latents.entropy_id == codec.entropy_id and latents.model_id == codec.model_id


def test_size_is_what_the_tables_say(codec: Codec, photo: NDArray[np.uint8]) -> None:
    """Likelihood under the integer tables against real bytes, and the bytes around them."""
    big = np.tile(photo, (4, 3, 1))
    for quality in (20, 60, 100):
        data = codec.encode(big, quality=quality)
        container, symbols = read(data), codec.read_symbols(data)
        z_index = codec.coder.z_index(symbols.z.shape, quality=quality)
        bits = codec.release.tables_y.estimate_bits(symbols.y.ravel(), symbols.index.ravel())
        bits += codec.release.tables_z.estimate_bits(symbols.z.ravel(), z_index)
        payload = len(container.get(ChunkKind.SYMBOLS) or b"")
        assert abs(8 * payload - bits) <= 32
        assert len(data) - payload <= 46


def test_no_position_outside_the_image_is_coded(codec: Codec) -> None:
    image = np.full((65, 65, 3), 128, np.uint8)
    symbols = codec.read_symbols(codec.encode(image, quality=90))
    assert symbols.y.shape[1:] == (5, 5) and symbols.z.shape[1:] == (2, 2)


@pytest.mark.parametrize("quality", [1, 50, 100])
def test_threads_backends_and_coders_read_the_same_symbols(
    codec: Codec, photo: NDArray[np.uint8], quality: int
) -> None:
    data = codec.encode(photo, quality=quality)
    expected = codec.read_symbols(data)
    for count in (1, 2):
        for onednn in (True, False):
            with arranged(count, onednn):
                for plain in (False, True):
                    symbols = codec.read_symbols(data, plain=plain)
                    np.testing.assert_array_equal(symbols.y, expected.y)
                    np.testing.assert_array_equal(symbols.z, expected.z)
                    np.testing.assert_array_equal(symbols.index, expected.index)


def test_equal_latents_give_equal_bytes(codec: Codec, photo: NDArray[np.uint8]) -> None:
    picture = from_array(photo)
    y = codec.analyse(picture)
    first, second = (codec.quantize(y.clone(), picture, quality=70) for _ in range(2))
    assert codec.pack(picture, first, quality=70) == codec.pack(picture, second, quality=70)


def test_tiles_agree_with_the_whole(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    small = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    image = np.asarray(Image.fromarray(small).resize((640, 470), Image.Resampling.BICUBIC))
    picture = from_array(image)
    whole = codec.analyse(picture)
    data = codec.encode(image, quality=70)
    pixels = decoded(codec, data)
    monkeypatch.setattr(tiles, "TILE", 128)
    tiled = codec.analyse(picture)
    steps = (tiled - whole).abs() * codec.network.gain(torch.tensor([100]))
    assert steps.max() < 0.05, (
        "bfloat16 rounds alike up to a fraction of the finest step, whatever a processor's kernels"
    )
    a, b = (codec.quantize(y, picture, quality=70).y for y in (whole, tiled))
    assert np.mean(a != b) < 2e-3 and np.abs(a.astype(int) - b).max() <= 4
    assert np.abs(decoded(codec, data).astype(int) - pixels).max() <= 1
    assert psnr_db(image, decoded(codec, codec.encode(image, quality=70))) > 25


def test_files_of_another_codec_are_refused_or_announced(codec: Codec, photo: NDArray[np.uint8]) -> None:
    container = read(codec.encode(photo))
    foreign = replace(container.header, entropy_id=b"12345678")
    with pytest.raises(semcomp.ModelError, match="entropy id"):
        codec.decode(write(Container(foreign, container.chunks)))
    sibling = replace(container.header, model_id=b"12345678")
    with pytest.warns(semcomp.SemcompWarning, match="was made for model"):
        codec.decode(write(Container(sibling, container.chunks)))


@pytest.mark.parametrize("field", ["width", "height", "quality", "mode"])
def test_a_changed_header_with_right_checksums_is_noticed(codec: Codec, photo: NDArray[np.uint8], field: str) -> None:
    container = read(codec.encode(photo))
    other = {"mode": 1}.get(field, getattr(container.header, field) - 1)
    changed = write(Container(replace(container.header, **{field: other}), container.chunks))
    with pytest.raises(semcomp.FormatError):
        codec.decode(changed)


def test_a_giant_claim_is_refused_before_it_costs_anything(codec: Codec, photo: NDArray[np.uint8]) -> None:
    container = read(codec.encode(photo))
    giant = replace(container.header, width=30000, height=30000)
    with pytest.raises(semcomp.FormatError, match=r"pixels"):
        codec.decode(write(Container(giant, container.chunks)))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_mutations_raise_only_errors_of_the_tree(codec: Codec, photo: NDArray[np.uint8], data: st.DataObject) -> None:
    original = read(codec.encode(photo[:48, :64], quality=40))
    chunks = []
    for chunk in original.chunks:
        body = bytearray(chunk.data)
        for _ in range(data.draw(st.integers(0, 3))):
            if body:
                body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
        chunks.append(Chunk(chunk.kind, bytes(body), chunk.required))
    file = write(Container(original.header, tuple(chunks)))
    same = all(a.data == b.data for a, b in zip(chunks, original.chunks, strict=True))
    try:
        codec.decode(file)
    except semcomp.SemcompError:
        assert not same
    else:
        assert same


def test_every_truncation_is_an_error(codec: Codec, photo: NDArray[np.uint8]) -> None:
    data = codec.encode(photo[:40, :40], quality=20)
    for length in range(len(data)):
        with pytest.raises(semcomp.FormatError):
            codec.decode(data[:length])


def test_symbols_the_skip_rule_forbids_cannot_be_smuggled_in(codec: Codec, photo: NDArray[np.uint8]) -> None:
    """A stream of other symbols, every checksum of the container right: the symbol checksum notices."""
    data = codec.encode(photo, quality=50)
    container, symbols = read(data), codec.read_symbols(data)
    forged, coded = symbols.y.copy(), symbols.index >= 0
    if codec.coder.refines:  # an element of the last pass, which decides no table
        last = np.zeros_like(coded)
        put_quarter(last, 3, np.ones((len(coded), *(-(-side // 2) for side in coded.shape[1:])), np.bool_))
        coded &= last
    forged.ravel()[np.flatnonzero(coded.ravel())[0]] += 1
    stream = codec.coder.write(replace(symbols, y=forged), quality=50)
    with pytest.raises(semcomp.FormatError, match="symbols do not match their checksum"):
        codec.decode(write(Container(container.header, (Chunk(ChunkKind.SYMBOLS, stream),))))


def test_ids_name_what_decodes(codec: Codec) -> None:
    release = codec.release

    def moved(name: str) -> Release:
        return replace(release, weights={**release.weights, name: release.weights[name] * 1.5})

    encoder = moved(next(name for name in release.weights if name.startswith("analysis.")))
    assert encoder.weights_id != release.weights_id
    assert (encoder.model_id, encoder.entropy_id) == (release.model_id, release.entropy_id)
    decoder = moved(next(name for name in release.weights if name.startswith("synthesis.")))
    assert decoder.model_id != release.model_id and decoder.entropy_id == release.entropy_id


def test_a_file_gives_the_same_latents_every_time() -> None:
    codec = semcomp.load()
    rows, columns = np.mgrid[0:50, 0:40]
    data = codec.encode(np.stack([60 + 2 * rows, 60 + columns, 150 - rows], axis=2).astype(np.uint8), quality=20)
    first, *more = (codec.latents(data).y_hat.clone() for _ in range(3))
    assert all(torch.equal(first, other) for other in more), "weights are packed for a size that comes again"


def test_latents_for_heads_lie_near_those_that_are_rendered(codec: Codec, photo: NDArray[np.uint8]) -> None:
    data = codec.encode(photo, quality=80)
    quick, precise = codec.latents(data), codec.latents(data, precise=True)
    assert np.array_equal(codec.render(precise), np.asarray(codec.decode(data)))
    gain = codec.network.gain(torch.tensor([80]))
    error = ((quick.y_hat - precise.y_hat) * gain).abs()  # in rounding steps
    assert error.mean() < 0.01 and error.max() < 1.5
    same = codec.latents_of_image(photo, quality=80, precise=True)
    torch.testing.assert_close(same.y_hat, precise.y_hat, atol=1e-4, rtol=1e-4)  # threads sum in their own order
