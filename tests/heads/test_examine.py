"""What a card says of a head: figures of files, confusions, and a sheet of photos."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from heads import examine as program
from heads.examine import HEADING, Examined, section, sheet, with_section
from semcomp.semantics.results import VOID, Labels, Segmentation, default_palette
from tests.conftest import texture

CLASSES = ("background", "cat", "dog")


def mapped(rows: list[list[int]]) -> Segmentation:
    return Segmentation(label_map=np.array(rows, np.uint8), classes=CLASSES, palette=default_palette(3))


def test_classes_are_counted_by_pictures_and_by_pixels() -> None:
    found = Examined(CLASSES, segments=True)
    truth = np.array([[0, 1, 1, VOID]], np.uint8)
    for _ in range(10):
        found.add(mapped([[0, 1, 2, 2]]), truth)
    found.add(mapped([[0, 0, 2, 2]]), np.array([[0, 2, 2, 2]], np.uint8))
    assert found.pictures.tolist() == [11, 10, 1]
    assert found.percent == pytest.approx([100 * 11 / 12, 50, 100 * 2 / 13])
    assert found.figures["mean_iou_of_shown"] == pytest.approx(found.percent[:2].mean())
    assert found.named_first(1) == "0 of 10" and found.named_first(2) == "1 of 1" and not found.named_first(0)
    assert found.taken_for(1) == "dog 50 %" and found.taken_for(2) == "background 33 %" and not found.taken_for(0)
    text = section(found, bpp=0.31, sheet="x.jpg")
    assert (
        "11 held-out pictures in files of 0.31 bits a pixel" in text
        and "| cat | 10 | 50 % | dog 50 % | 0 of 10 | dog 100 % |" in text
    )
    assert "the 2 that at least 10 pictures show" in text and "`x.jpg`" in text


def test_names_are_counted_and_no_name_is_an_answer() -> None:
    found = Examined(CLASSES, segments=False)
    found.add(Labels(names=("Cat", "dog"), scores=(0.7, 0.2)), 1)
    found.add(Labels(names=("cat", "dog"), scores=(0.7, 0.2)), 2)
    found.add(Labels(names=(), scores=()), 2)
    assert found.figures == pytest.approx({"top1": 100 / 3, "top5": 200 / 3})
    assert found.taken_for(2) in ("cat 50 %", "nothing 50 %") and np.isnan(found.percent[0])
    assert "| cat | 1 | 100 % |  |" in section(found, bpp=0.3, sheet=None)


def test_a_section_takes_the_place_of_the_one_before() -> None:
    card = "# a\n\nText.\n\n## When it keeps quiet\n\nNever.\n\n## Configuration\n\n```yaml\nx: 1\n```\n"
    once = with_section(card, f"{HEADING}\n\nBadly.\n")
    assert once.index("Text.") < once.index("Badly.") < once.index("## When") < once.index("## Configuration")
    twice = with_section(once, f"{HEADING}\n\nWell.\n")
    assert twice == once.replace("Badly", "Well")


def test_a_head_is_examined_on_files_of_what_its_training_holds_out(
    class_folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from heads.fit import main as fit

    own, config, card = tmp_path / "own.safetensors", tmp_path / "own.yaml", tmp_path / "own.md"
    changes = ("data.side=64", "data.copies=2", "optim.batch=8", "optim.mixup=0", "data.held_part=0.3")
    more = [argument for change in changes for argument in ("--set", change)]
    arguments = ["--data", str(class_folders), "--steps", "30", "--quiet", "-o", str(own), "--card", str(card), *more]
    assert fit([*arguments, "--cache", str(tmp_path / "cache")]) == 0
    config.write_text("name: own\ndata: {folder: elsewhere, held_part: 0.3}\n")
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(3):
        Image.fromarray(texture(number, 64, 80, np.random.default_rng(number))).save(photos / f"{number}.png")
    capsys.readouterr()
    asked = [
        str(config),
        "--data",
        str(class_folders),
        "--head",
        str(own),
        "--card",
        str(card),
        "--photos",
        str(photos),
        "--bpp",
        "1",
        "--quiet",
    ]
    assert program.main([*asked, "--sheet", str(tmp_path / "own.jpg"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["pictures"] == 7 and set(result["classes"]) == {"across", "along"}
    assert HEADING in card.read_text() and f"first in {result['top1']:.1f} %" in card.read_text()
    with Image.open(tmp_path / "own.jpg") as drawn:
        assert drawn.size == (4 * 320, 342)


def test_a_sheet_has_a_row_for_every_four_tiles() -> None:
    assert sheet([Image.new("RGB", (320, 342))] * 5).size == (1280, 684)


def test_what_cannot_be_examined_is_one_sentence(
    class_folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "own.yaml"
    config.write_text(f"data: {{folder: {class_folders}}}\n")
    assert program.main([str(config), "--head", "imagenette"]) == 2
    assert "the head imagenette knows" in capsys.readouterr().err
