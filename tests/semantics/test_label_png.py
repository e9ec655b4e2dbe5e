"""Label maps as PNG: read with void and names, written, and drawn over a photo."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from semcomp.errors import ImageError
from semcomp.semantics.label_png import overlay, palette_png, read_label_png
from semcomp.semantics.results import VOID, Segmentation, default_palette


def with_void() -> Segmentation:
    label_map = np.zeros((40, 60), np.uint8)
    label_map[:10] = VOID
    label_map[20:] = 2
    return Segmentation(label_map=label_map, classes=("road", "car", "sky"), palette=((9, 8, 7), (1, 2, 3), (4, 5, 6)))


def test_void_is_no_label() -> None:
    found = with_void()
    assert found.labels().names == ("sky", "road") and found.labels().scores == (0.5, 0.25)
    assert found.labels().areas and found.present == (0, 2) and found.void_share == 0.25
    nothing = Segmentation(label_map=np.full((3, 3), VOID, np.uint8), classes=("a",), palette=default_palette(1))
    assert nothing.labels().names == () and nothing.present == ()


def test_a_map_comes_back_from_its_png_with_void(tmp_path: Path) -> None:
    (tmp_path / "map.png").write_bytes(palette_png(with_void()))
    (tmp_path / "classes.txt").write_text("road\ncar\nsky\n")
    found = read_label_png(tmp_path / "map.png", classes=tmp_path / "classes.txt")
    assert np.array_equal(found.label_map, with_void().label_map)
    assert (found.classes, found.palette) == (with_void().classes, with_void().palette)


def test_void_is_transparent_in_the_png() -> None:
    with Image.open(io.BytesIO(palette_png(with_void()))) as image:
        assert image.mode == "P"
        shown = np.asarray(image.convert("RGBA"))
    assert (shown[:10, :, 3] == 0).all() and (shown[10:, :, 3] == 255).all()
    assert tuple(shown[30, 0]) == (4, 5, 6, 255)


def test_a_png_without_void_has_no_transparency_and_a_short_palette() -> None:
    label_map = np.array([[0, 1], [2, 2]], np.uint8)
    data = palette_png(Segmentation(label_map=label_map, classes=("a", "b", "c"), palette=default_palette(3)))
    assert b"tRNS" not in data and len(data) < 200


def test_an_overlay_leaves_void_as_it_is() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    drawn = np.asarray(overlay(with_void(), photo))
    assert np.array_equal(drawn[:10], photo[:10]) and not np.array_equal(drawn[10:40], photo[10:])
    assert drawn.shape[0] > 40  # the legend


@pytest.mark.parametrize("void", [255, 0, 7, 300])
def test_the_number_of_void_can_be_chosen(tmp_path: Path, void: int) -> None:
    numbers = np.array([[1, 2, void], [void, 1, 1]], np.uint16)
    Image.fromarray(numbers).save(tmp_path / "map.png")
    found = read_label_png(tmp_path / "map.png", void=void)
    assert np.array_equal(found.label_map == VOID, numbers == void)
    assert np.array_equal(found.label_map[numbers != void], numbers[numbers != void])


@pytest.mark.parametrize(
    ("numbers", "options", "message"),
    [
        (np.array([[0, 3]], np.uint8), {"names": "a\nb\n"}, "holds class 3, .*names 2 classes.*void=3"),
        (np.array([[0, 255]], np.uint8), {"names": "a\nb\n", "void": 254}, "holds class 255"),
        (np.array([[0, 400]], np.uint16), {}, "401 classes; a label map has at most 255"),
        (np.array([[-1, 0]], np.int32), {}, "holds class -1"),
    ],
)
def test_maps_and_names_that_do_not_fit(tmp_path: Path, numbers: Any, options: dict[str, Any], message: str) -> None:
    path, names = tmp_path / "map.tif", options.pop("names", None)
    Image.fromarray(numbers).save(path)
    if names:
        (tmp_path / "classes.txt").write_text(names)
        options["classes"] = tmp_path / "classes.txt"
    with pytest.raises(ImageError, match=message):
        read_label_png(path, **options)
