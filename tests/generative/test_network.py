"""The generator: it begins as the synthesis, its cost, its file; what is kept, and the chunks that hold it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semcomp.bitstream.container import Chunk, ChunkKind, ColorMode, Container, Header
from semcomp.bitstream.generator_note import GeneratorNote, pack_generator, read_generator
from semcomp.bitstream.keep_mask import pack_keep, rectangles, unpack_keep
from semcomp.bitstream.origin import read_origin
from semcomp.bitstream.regions import Box, pack_bitmap, pack_boxes, read_regions
from semcomp.errors import FormatError, ImageError, ModelError
from semcomp.generative.generator_file import (
    GeneratorInfo,
    TrainedGenerator,
    load_generator,
    read_generator_file,
    save_generator,
)
from semcomp.generative.network import Generator, GeneratorConfig, guide_planes, kmac_per_pixel
from semcomp.generative.selection import box_mask, positions
from semcomp.semantics.class_names import class_number
from semcomp.semantics.head import Segmentation, default_palette
from semcomp.weights.files import generator_names

SIZES = {"classes": 3, "latents": 24, "c16": 16, "c8": 12, "c4": 8, "blocks16": 1, "blocks8": 1, "nodes": 4}
CAMVID = (
    *("Sky", "Building", "Pole", "Road", "Pavement", "Tree"),
    *("SignSymbol", "Fence", "Car", "Pedestrian", "Bicyclist"),
)


def small(classes: tuple[str, ...] = ("road", "car", "sky")) -> TrainedGenerator:
    torch.manual_seed(0)
    network = Generator(GeneratorConfig(**{**SIZES, "classes": len(classes)}))
    info = GeneratorInfo(name="tiny", classes=classes, palette=default_palette(len(classes)), entropy_id="00" * 8)
    return TrainedGenerator(info, network)


def inputs(network: Generator, batch: int = 2) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    y_hat = torch.randn(batch, network.config.latents, 6, 5, generator=generator)
    guide = torch.rand(batch, network.config.classes + 1, 12, 10, generator=generator)
    keep = (torch.rand(batch, 1, 6, 5, generator=generator) < 0.5).float()
    return y_hat, torch.tensor([3, 90]), guide, keep


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_untrained_generator_is_the_synthesis(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    network = Generator(GeneratorConfig(**SIZES)).eval()
    y_hat, quality, guide, keep = inputs(network)
    with torch.no_grad(), torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
        made = network(y_hat, quality, guide, keep, network.draw_noise(2, 6, 5))
        assert torch.equal(made, network.synthesis(y_hat, quality))


def test_every_input_can_matter() -> None:
    torch.manual_seed(0)
    network = Generator(GeneratorConfig(**SIZES))
    for parameter in network.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    y_hat, quality, guide, keep = inputs(network)
    noise = network.draw_noise(2, 6, 5)
    first = network(y_hat, quality, guide, keep, noise)
    others = [
        network(y_hat, quality, guide.flip(1), keep, noise),
        network(y_hat, quality, guide, 1 - keep, noise),
        network(y_hat, quality, guide, keep, network.draw_noise(2, 6, 5)),
    ]
    assert all(not torch.allclose(first, other) for other in others)
    first.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_the_fill_changes_only_what_was_not_coded() -> None:
    torch.manual_seed(0)
    fill = Generator(GeneratorConfig(**SIZES)).fill
    torch.nn.init.normal_(fill.project.weight)
    y_hat, _, guide, keep = inputs(Generator(GeneratorConfig(**SIZES)))
    y_hat = y_hat * keep
    filled = fill(y_hat, Generator.coarse(guide, keep), keep)
    changed = (filled != y_hat).any(1, keepdim=True)
    assert torch.equal(changed, keep == 0) and changed.any() and not changed.all()


def test_it_reaches_no_farther_than_it_says() -> None:
    torch.manual_seed(0)
    network = Generator(GeneratorConfig(**SIZES)).eval()
    for parameter in network.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    side = 2 * network.reach + 1
    y_hat = torch.zeros(1, 24, side, side, requires_grad=True)
    keep = torch.full((1, 1, side, side), 0.5, requires_grad=True)  # coded and filled at once
    guide = torch.rand(1, 4, 2 * side, 2 * side)
    noise = network.draw_noise(1, side, side)
    middle = 16 * network.reach
    made = network(y_hat, torch.tensor([50]), guide, keep, noise)
    made[..., middle : middle + 16, middle : middle + 16].sum().backward()
    for value in (y_hat, keep):
        assert value.grad is not None
        touched = value.grad.abs().sum((0, 1)).nonzero()
        assert 0 < (touched - network.reach).abs().max() <= network.reach


@pytest.mark.parametrize("classes", [11, 21])
def test_it_takes_at_most_12_kmac_a_pixel(classes: int) -> None:
    assert 7 < kmac_per_pixel(GeneratorConfig(classes=classes)) <= 12


def test_guide_holds_shares_of_classes() -> None:
    label_map = torch.full((1, 20, 18), 2)
    label_map[0, :8, :4] = 1
    label_map[0, 0, 17] = 9  # void
    planes = guide_planes(label_map, classes=3, rows=2, columns=2)
    assert planes.shape == (1, 4, 4, 4)
    assert planes[0, 1, 0, 0] == 0.5 and planes[0, 2, 0, 0] == 0.5 and planes[0, 2, 3, 3] == 1
    assert planes[0, :, 0, 2].sum() < 1 and not planes[0, 3].any()
    absent = guide_planes(None, classes=3, rows=2, columns=2)
    assert absent[0, 3].all() and not absent[0, :3].any()


def test_a_file_gives_the_same_generator_back(tmp_path: Path) -> None:
    made = small()
    path = tmp_path / "tiny.safetensors"
    save_generator(made, path)
    back = load_generator(path)
    assert back.info == made.info and back.generator_id == made.generator_id
    values = (*inputs(made.network), made.network.draw_noise(2, 6, 5))
    assert torch.equal(back.network(*values), made.network(*values))
    data = path.read_bytes()
    for damaged in (data[:500], b"", data[:40] + b"\xff" * 8 + data[48:]):
        path.write_bytes(damaged)
        with pytest.raises(ModelError, match=r"damaged|format"):
            read_generator_file(path)
    with pytest.raises(ModelError, match=r"no generator called nowhere, .*; give the path"):
        load_generator("nowhere")
    assert all(load_generator(name).name == name for name in generator_names())


def test_a_map_guides_by_the_names_of_its_classes() -> None:
    made = small(("Car", "Pedestrian", "Sky"))
    label_map = np.zeros((32, 32), np.uint8)
    label_map[16:] = 1
    palette = default_palette(2)
    guide = made.guide(
        Segmentation(label_map=label_map, classes=("people", "lamp"), palette=palette), rows=2, columns=2
    )
    assert guide[0, 1, 0, 0] == 1 and not guide[0, :, 2:].any()
    with pytest.raises(ImageError, match="knows none of the label map's classes; it knows Car"):
        made.guide(Segmentation(label_map=label_map, classes=("lamp", "moon"), palette=palette), rows=2, columns=2)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("person", "Pedestrian"),
        ("people", "Pedestrian"),
        ("sign", "SignSymbol"),
        ("bike", "Bicyclist"),
        ("cars", "Car"),
        ("CAR ", "Car"),
        ("sidewalk", "Pavement"),
        ("pole", "Pole"),
        ("vegetation", "Tree"),
    ],
)
def test_plain_words_are_understood(word: str, name: str) -> None:
    assert CAMVID[class_number(word, CAMVID)] == name


def test_an_unknown_word_is_named() -> None:
    with pytest.raises(ImageError, match="no class is called 'dragon'; there are Sky, Building"):
        class_number("dragon", CAMVID)
    assert class_number("person", ("background", "person", "pedestrian")) == 1


# what is kept


@given(data=st.data(), rows=st.integers(1, 12), columns=st.integers(1, 12))
@settings(max_examples=60)
def test_any_mask_survives(data: st.DataObject, rows: int, columns: int) -> None:
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=rows * columns, max_size=rows * columns)))
    keep = keep.reshape(rows, columns)
    width, height = 16 * columns - data.draw(st.integers(0, 15)), 16 * rows - data.draw(st.integers(0, 15))
    if not 0 < keep.sum() < keep.size:
        with pytest.raises(ValueError, match="keeps"):
            pack_keep(keep)
        return
    cover = np.zeros(keep.shape, int)
    for box in rectangles(keep):
        cover[box.y : box.y + box.height, box.x : box.x + box.width] += 1
    np.testing.assert_array_equal(cover, keep)
    body = pack_keep(keep)
    for plain in (False, True):
        np.testing.assert_array_equal(unpack_keep(body, width=width, height=height, plain=plain), keep)
    for length in range(len(body)):
        with pytest.raises(FormatError):
            unpack_keep(body[:length], width=width, height=height)


def test_both_forms_are_used() -> None:
    keep = np.zeros((40, 60), bool)
    keep[3:9, 10:20] = True
    assert read_regions(pack_keep(keep), width=960, height=640)[0].boxes == (Box(10, 3, 10, 6),)
    y, x = np.mgrid[:40, :60]
    disc = (y - 20) ** 2 + (x - 30) ** 2 < 150
    regions, _ = read_regions(pack_keep(disc), width=960, height=640)
    assert not regions.boxes and regions.kept == disc.sum()
    assert len(pack_keep(disc)) < 60


def test_boxes_may_touch() -> None:
    boxes = (Box(1, 1, 1, 1), Box(0, 1, 1, 1), Box(2, 1, 1, 1), Box(1, 0, 1, 1))
    for order in (boxes, boxes[::-1]):
        assert read_regions(pack_boxes(order), width=48, height=48)[0].boxes == order


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "empty"),
        (b"\2\1\0\1\0\0\1\1", "version 2"),
        (b"\1\0\0\1\0\0\1\1", "keep 0 of 6"),
        (b"\1\6\1", "keep 6 of 6"),
        (b"\1\1\7", "form 7"),
        (b"\1\1\0\0", "claim 0 boxes"),
        (b"\1\1\0\x41" + b"\0\0\1\1" * 65, "claim 65 boxes"),
        (b"\1\1\0\1\3\0\1\1", "empty or outside"),
        (b"\1\1\0\1\0\0\0\1", "empty or outside"),
        (b"\1\2\0\2\0\0\1\1\0\0\1\1", "overlaps"),
        (pack_boxes([Box(0, 0, 1, 1)]) + b"\0", "do not end"),
        (b"\1\2\0\1\0\0\1\1", "count them wrongly"),
        (pack_bitmap(1, b"\0"), "zero byte"),
        (pack_bitmap(3, pack_keep(np.array([[1, 0, 1], [0, 1, 1]], bool))[4:]), "keeps|left over|cell"),
    ],
)
def test_malformed_regions_are_refused(body: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        unpack_keep(body, width=48, height=32)


def test_positions_hold_what_was_asked_for_and_a_margin() -> None:
    mask = np.zeros((90, 131), bool)
    mask[40, 70] = True
    assert positions(mask, dilate=0).sum() == 1 and positions(mask, dilate=0)[2, 4]
    grown = positions(mask, dilate=16)
    assert grown[1:4, 3:6].all() and grown.sum() == 9
    with pytest.raises(ImageError, match="nothing is to be kept"):
        positions(np.zeros((90, 131), bool), dilate=16)
    with pytest.raises(ImageError, match="everything is to be kept"):
        positions(np.ones((90, 131), bool), dilate=0)
    assert box_mask([(100, 80, 500, 500)], width=131, height=90).sum() == 310
    with pytest.raises(ImageError, match=r"131,0,5,5 is outside the picture of 131x90"):
        box_mask([(131, 0, 5, 5)], width=131, height=90)


def test_the_generator_of_a_file_survives() -> None:
    note = GeneratorNote(name="street", generator_id=b"12345678", guided=True)
    body = pack_generator(note)
    assert read_generator(body) == note
    for length in range(len(body)):
        with pytest.raises(FormatError):
            read_generator(body[:length])
    for wrong in (body + b"\0", body[:-1] + b"\2", b"\2" + body[1:]):
        with pytest.raises(FormatError):
            read_generator(wrong)
    with pytest.raises(ValueError, match="holds 3 bytes"):
        GeneratorNote(name="", generator_id=b"123", guided=False)


def test_regions_need_a_generator() -> None:
    header = Header(
        width=48,
        height=32,
        mode=ColorMode.RGB,
        quality=50,
        entropy_id=bytes(8),
        model_id=bytes(8),
        symbol_crc=0,
        z_check=0,
    )
    regions = Chunk(ChunkKind.REGIONS, pack_boxes([Box(1, 0, 2, 2)]))
    assert regions.required
    with pytest.raises(FormatError, match="names no generator"):
        read_origin(Container(header, (Chunk(ChunkKind.SYMBOLS, b""), regions)))
    maker = Chunk(ChunkKind.GENERATOR, pack_generator(GeneratorNote(name="a", generator_id=bytes(8), guided=False)))
    origin = read_origin(Container(header, (Chunk(ChunkKind.SYMBOLS, b""), regions, maker)))
    assert origin is not None and origin.kept_share == pytest.approx(4 / 6)
    assert origin.kept_boxes == (Box(16, 0, 32, 32),)
    assert read_origin(Container(header, (Chunk(ChunkKind.SYMBOLS, b""),))) is None
