"""Files whose pictures are partly or wholly synthesised: what is coded, what is shown, what is said about it."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import semcomp
from semcomp.bitstream.container import SYNTHESISED, Chunk, ChunkKind, Container, read, write
from semcomp.bitstream.regions import pack_boxes, read_regions
from semcomp.cli.main import main
from semcomp.codec.codec import Codec
from semcomp.errors import FormatError, ImageError, ModelError, SemcompWarning
from semcomp.generative.generator_file import TrainedGenerator, load_generator, save_generator
from semcomp.generative.render import FEATHER, feather, render
from semcomp.generative.request import Request
from semcomp.imaging.metrics import psnr_db
from semcomp.pipeline.checks import with_checks
from semcomp.pipeline.completion import stored_guide
from semcomp.semantics.head import Segmentation, default_palette
from semcomp.semantics.label_png import palette_png

CLASSES = ("road", "car", "sky")
NORMAL_SIZE = (131, 90)


@pytest.fixture(scope="module")
def maker(generator_file: Path) -> TrainedGenerator:
    return load_generator(generator_file)


@pytest.fixture
def halves(photo: NDArray[np.uint8]) -> Segmentation:
    """Sky above, road below, a car in the middle."""
    label_map = np.full(photo.shape[:2], 2, np.uint8)
    label_map[40:] = 0
    label_map[34:58, 50:75] = 1
    return Segmentation(label_map=label_map, classes=CLASSES, palette=default_palette(3), head="hand")


def rebuilt(data: bytes, **bodies: bytes | None) -> bytes:
    """The file with other chunks, all checksums of the container right."""
    container = read(data)
    chunks = [
        Chunk(c.kind, bodies.get(ChunkKind(c.kind).name, c.data) or b"")
        for c in container.chunks
        if bodies.get(ChunkKind(c.kind).name, c.data) is not None
    ]
    return write(Container(container.header, tuple(chunks)))


def test_kept_positions_alone_are_coded(
    codec: Codec, maker: TrainedGenerator, halves: Segmentation, photo: NDArray[np.uint8]
) -> None:
    request = Request(generator=maker, segmentation=halves, keep=("cars",))
    data, whole = codec.encode(photo, quality=60, generative=request), codec.encode(photo, quality=60)
    symbols = codec.read_symbols(data)
    assert symbols.keep is not None and symbols.keep[3, 4] and not symbols.keep[0, 0] and symbols.keep.shape == (6, 9)
    assert not symbols.y[:, ~symbols.keep].any() and (symbols.index[:, ~symbols.keep] == -1).all()
    latents = codec.latents(data)
    assert not latents.y_hat[0].numpy()[:, ~symbols.keep].any() and latents.y_hat[0].numpy()[:, symbols.keep].any()
    np.testing.assert_array_equal(codec.read_symbols(data, plain=True).y, symbols.y)
    kinds = {chunk.kind for chunk in read(data).chunks}
    assert {ChunkKind.REGIONS, ChunkKind.GENERATOR, ChunkKind.LABEL_MAP} <= kinds
    assert read(data).header.flags & SYNTHESISED
    body = read(data).get(ChunkKind.SYMBOLS)
    everything = read(whole).get(ChunkKind.SYMBOLS)
    assert body is not None and everything is not None and len(body) < 0.8 * len(everything)


def test_what_is_asked_for_is_shown_as_the_codec_shows_it(
    codec: Codec, maker: TrainedGenerator, halves: Segmentation, photo: NDArray[np.uint8]
) -> None:
    data = codec.encode(photo, quality=60, generative=Request(generator=maker, segmentation=halves, keep=("car",)))
    image = codec.decode(data, generator=maker_path(maker))
    asked = halves.label_map == 1
    faithful = np.asarray(codec.decode(codec.encode(photo, quality=60)))
    inside = psnr_db(photo[asked][None], np.asarray(image)[asked][None])
    assert inside > psnr_db(photo[asked][None], faithful[asked][None]) - 1.0
    with pytest.warns(SemcompWarning, match="left without content"):
        plain = codec.decode(data, generator="faithful")
    np.testing.assert_array_equal(np.asarray(plain)[asked], np.asarray(image)[asked])
    assert "synthesised" not in plain.info
    assert "Not a plain photograph: the rest, synthesised by the generator untrained" in image.info["synthesised"]


_PATHS: dict[int, Path] = {}


def maker_path(maker: TrainedGenerator) -> Path:
    return _PATHS[id(maker)]


@pytest.fixture(autouse=True)
def _remember(maker: TrainedGenerator, generator_file: Path) -> None:
    _PATHS[id(maker)] = generator_file


def test_the_band_lies_inside_what_is_kept() -> None:
    keep = torch.zeros(1, 1, 7, 7)
    keep[0, 0, 2:6, 2:] = 1
    weight = feather(keep)[0, 0]
    assert weight.shape == (112, 112)
    assert not weight[:32].any() and not weight[:, :32].any() and not weight[96:].any()
    assert (weight[32 + FEATHER : 96 - FEATHER, 32 + FEATHER :] == 1).all()  # the picture's own edge is no edge
    assert (weight[64, 33:48].diff() >= 0).all() and 0 < weight[64, 40] < 1


def test_tiles_and_seeds(
    codec: Codec,
    maker: TrainedGenerator,
    halves: Segmentation,
    photo: NDArray[np.uint8],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    big = np.tile(photo, (2, 2, 1))
    data = codec.encode(
        big,
        quality=30,
        generative=Request(
            generator=maker, keep=("car",), segmentation=replace(halves, label_map=np.tile(halves.label_map, (2, 2)))
        ),
    )
    latents, guide = codec.latents(data, precise=True), stored_guide(read(data))
    whole = render(codec.network.synthesis, maker, latents, guide)
    assert np.array_equal(whole, render(codec.network.synthesis, maker, latents, guide))
    assert not np.array_equal(whole, render(codec.network.synthesis, maker, latents, guide, seed=1))
    monkeypatch.setattr("semcomp.generative.render.tile_side", lambda height, width: 64)
    parts = render(codec.network.synthesis, maker, latents, guide)
    assert np.abs(parts.astype(int) - whole).max() <= 2
    assert not np.array_equal(whole, render(codec.network.synthesis, maker, latents, None))


def test_global_compression_with_and_without_a_map(
    codec: Codec, maker: TrainedGenerator, generator_file: Path, halves: Segmentation, photo: NDArray[np.uint8]
) -> None:
    plain = codec.encode(photo, quality=8, generative=Request(generator=maker))
    guided = codec.encode(photo, quality=8, generative=Request(generator=maker, segmentation=halves))
    ordinary = codec.encode(photo, quality=8)
    assert read(plain).get(ChunkKind.SYMBOLS) == read(ordinary).get(ChunkKind.SYMBOLS)
    assert len(ordinary) < len(plain) < len(guided)
    pictures = [np.asarray(codec.decode(data, generator=generator_file)) for data in (plain, guided)]
    assert not np.array_equal(pictures[0], pictures[1])
    assert "the whole picture" in codec.decode(plain, generator=generator_file).info["synthesised"]
    best = codec.encode_to(photo, max_bytes=len(guided), generative=Request(generator=maker, segmentation=halves))
    assert best.quality >= 8 and len(best.data) <= len(guided)
    np.testing.assert_array_equal(
        np.asarray(codec.decode(plain, generator="faithful")), np.asarray(codec.decode(ordinary))
    )


def test_files_without_regions_are_what_they_were(codec: Codec) -> None:
    golden = Path(__file__).parents[1] / "golden" / "middle"
    data = golden.with_suffix(".semc").read_bytes()
    container = read(data)
    assert with_checks(container.header, codec.read_symbols(data)) == container.header


def test_other_regions_are_noticed(
    codec: Codec, maker: TrainedGenerator, halves: Segmentation, photo: NDArray[np.uint8]
) -> None:
    data = codec.encode(photo, quality=60, generative=Request(generator=maker, segmentation=halves, keep=("car",)))
    body = read(data).get(ChunkKind.REGIONS)
    assert body is not None
    boxes = read_regions(body, width=131, height=90)[0].boxes
    moved = pack_boxes([boxes[0]._replace(x=boxes[0].x + 1)])
    for damaged in (rebuilt(data, REGIONS=moved), rebuilt(data, REGIONS=None)):
        with pytest.raises(FormatError, match=r"do not match their checksum|left over"):
            codec.latents(damaged)
    with pytest.raises(FormatError, match="names no generator"):
        codec.latents(rebuilt(data, GENERATOR=None))


def test_a_lost_map_costs_the_guidance_alone(
    codec: Codec, maker: TrainedGenerator, generator_file: Path, halves: Segmentation, photo: NDArray[np.uint8]
) -> None:
    data = codec.encode(photo, quality=8, generative=Request(generator=maker, segmentation=halves))
    with pytest.warns(SemcompWarning, match="the generator does without"):
        image = codec.decode(rebuilt(data, LABEL_MAP=b"\1nonsense"), generator=generator_file)
    assert image.size == NORMAL_SIZE


def test_a_generator_that_is_missing_or_another(
    codec: Codec,
    maker: TrainedGenerator,
    generator_file: Path,
    halves: Segmentation,
    photo: NDArray[np.uint8],
    tmp_path: Path,
) -> None:
    data = codec.encode(photo, quality=8, generative=Request(generator=maker))
    with pytest.raises(ModelError, match=r'no generator called untrained.* generator "faithful"'):
        codec.decode(data)
    other = tmp_path / "other.safetensors"
    network = load_generator(generator_file).network
    save_generator(TrainedGenerator(replace(maker.info, classes=("a", "b", "c")), network), other)
    with pytest.warns(SemcompWarning, match="what is synthesised will differ"):
        codec.decode(data, generator=other)
    foreign = tmp_path / "foreign.safetensors"
    save_generator(TrainedGenerator(replace(maker.info, entropy_id="ab" * 8), network), foreign)
    with pytest.raises(ModelError, match="reads latents with entropy id abab"):
        codec.decode(data, generator=foreign)
    with pytest.raises(ModelError, match="train one for this codec"):
        codec.encode(photo, generative=Request(generator=load_generator(foreign)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keep": ("dragon",)}, "no class is called 'dragon'; there are road, car, sky"),
        ({"keep": ("car",), "segmentation": None}, "give a head or a map"),
        ({"mask": np.zeros((90, 131), bool), "segmentation": None}, "give a head or a map"),
        ({"mask": np.zeros((90, 131), bool)}, "the mask is empty"),
        ({"mask": np.ones((90, 131), bool)}, "the mask is full"),
        ({"mask": np.ones((9, 13), bool)}, "the mask is 13x9, the picture 131x90"),
        ({"boxes": ((500, 0, 10, 10),)}, "is outside the picture"),
        ({"keep": ("road", "car", "sky")}, "everything is to be kept"),
    ],
)
def test_wrong_requests_are_one_sentence(
    codec: Codec,
    maker: TrainedGenerator,
    halves: Segmentation,
    photo: NDArray[np.uint8],
    change: dict[str, Any],
    message: str,
) -> None:
    values = {"generator": maker, "segmentation": halves, **change}
    with pytest.raises(ImageError, match=message):
        codec.encode(photo, generative=Request(**values))
    small = replace(halves, label_map=halves.label_map[:50])
    with pytest.raises(ImageError, match="the label map is 131x50, the picture 131x90; make them equal"):
        codec.encode(photo, generative=Request(generator=maker, segmentation=small))


# the command line


@pytest.fixture
def folder(tmp_path: Path, photo: NDArray[np.uint8], halves: Segmentation) -> Path:
    Image.fromarray(photo).save(tmp_path / "photo.png")
    (tmp_path / "map.png").write_bytes(palette_png(halves))
    (tmp_path / "classes.txt").write_text("\n".join(CLASSES))
    mask = np.zeros(photo.shape[:2], np.uint8)
    mask[:20, :30] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    return tmp_path


def test_from_photo_to_picture_and_back(folder: Path, generator_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo, file = str(folder / "photo.png"), str(folder / "photo.semc")
    own = ["--label-map", str(folder / "map.png"), "--classes", str(folder / "classes.txt")]
    made = ["--generator", str(generator_file)]
    keep = ["--drop", "--keep", "car", "--keep-box", "100,10,20,20", "--keep-mask", str(folder / "mask.png")]
    assert main(["encode", photo, *own, *keep, *made, "--keep-dilate", "0", "-q", "40"]) == 0
    assert "kept, the rest for the generator untrained" in capsys.readouterr().out
    assert main(["info", file]) == 0
    shown = capsys.readouterr().out
    assert "real" in shown and "not real  the rest, synthesised by the generator untrained" in shown
    assert main(["info", file, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)["synthesised"]
    assert facts["generator"] == "untrained" and 0.2 < facts["kept_share"] < 0.8 and facts["guided"]
    for arguments in ([], ["--seed", "7"], ["--relabel", "road=sky"], ["--show-synthesised"]):
        assert main(["decode", file, *made, *arguments, "-f"]) == 0
        suffix = ".synthesised.png" if arguments == ["--show-synthesised"] else ".png"
        with Image.open(folder / f"photo{suffix}") as image:
            assert image.size == NORMAL_SIZE and "synthesised by the generator" in image.text["synthesised"]
    assert main(["decode", file, "--generator", "faithful", "-f"]) == 0
    with Image.open(folder / "photo.png") as image:
        assert "synthesised" not in image.text
    capsys.readouterr()
    assert main(["decode", file, *made, "-o", str(folder / "photo.jpg"), "--json"]) == 0
    told = capsys.readouterr()
    assert "synthesised" in json.loads(told.out)["synthesised"] and "holds no note" in told.err


def test_global_mode(folder: Path, generator_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo, made = str(folder / "photo.png"), ["--generator", str(generator_file)]
    assert main(["encode", photo, "--mode", "generative", *made, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["quality"] == 10
    assert main(["info", str(folder / "photo.semc")]) == 0
    assert "nothing is kept as it was" in capsys.readouterr().out
    assert main(["decode", str(folder / "photo.semc"), *made, "--relabel", "a=b", "-f"]) == 1
    assert "there is no label map to relabel" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--mode", "generative", "--keep", "car"], 2, "give one of the two"),
        (["--map"], 2, "--map belongs to --mode generative"),
        (["--generator", "street"], 2, "give --mode generative, or --keep and --drop"),
        (["--drop"], 2, "--drop goes with what is kept"),
        (["--rest-quality", "9"], 2, "--rest-quality goes with what is kept"),
        (["--keep-dilate", "9"], 2, "--keep-dilate goes with what is kept"),
        (["--keep-box", "1,2,3,4", "--head", "street"], 2, "--head makes a label map, and none is asked of it"),
        (["--keep", "car", "--head", "street", "--head", "objects"], 2, "one head makes the label map"),
        (["--keep", "dragon", "--head", "street"], 1, "no class is called 'dragon'"),
        (["--keep-box", "1,2,3,4", "--drop", "--rest-quality", "9"], 2, "give one of the two"),
        (["--mode", "generative", "-q", "50"], 2, "a quality from 1 to 15, not 50"),
        (["--keep", ","], 2, "names no class"),
        (["--keep-box", "1,2,3"], 2, "is not a box"),
        (["--keep", "car", "--drop", "--head", "street", "--semantics", "map"], 2, "give --semantics labels"),
        (["--keep", "car", "--drop", "--head", "street", "--generator", "nowhere"], 4, "no generator called nowhere"),
        (["--keep", "car", "--head", "imagenette"], 2, "gives no label map"),
        (["--keep", "car", "--head", "nowhere"], 4, "no head called nowhere"),
        (["--keep", "dragon", "--label-map", "map.png"], 1, "no class is called 'dragon'"),
        (["--keep-box", "900,900,9,9", "--label-map", "map.png"], 1, "is outside the picture"),
    ],
)
def test_wrong_usage_is_one_sentence(
    folder: Path,
    generator_file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("semcomp.generative.generator_file.DEFAULT", str(generator_file))
    (folder / "names").write_text("\n".join(CLASSES))
    if "--label-map" in arguments:
        arguments = [*arguments, "--classes", "names"]
    with warnings.catch_warnings():
        try:
            assert main(["encode", "photo.png", *arguments]) == code
        except SystemExit as stop:
            assert stop.code == code
    assert message in capsys.readouterr().err


def test_info_needs_no_torch(
    codec: Codec, maker: TrainedGenerator, halves: Segmentation, photo: NDArray[np.uint8], tmp_path: Path
) -> None:
    import subprocess
    import sys

    data = codec.encode(photo, generative=Request(generator=maker, segmentation=halves, keep=("car",)))
    path = tmp_path / "photo.semc"
    path.write_bytes(data)
    code = (
        f"import sys, semcomp; facts = semcomp.info({str(path)!r}); "
        "print(facts.synthesised.kept_share > 0, 'torch' in sys.modules, 'numpy' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.split() == ["True", "False", "False"]
    assert semcomp.info(data).flags & SYNTHESISED
