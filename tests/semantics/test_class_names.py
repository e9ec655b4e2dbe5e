"""Files of class names: encodings, empty lines, names that are given twice; and words that mean a class."""

from __future__ import annotations

import codecs
from pathlib import Path

import numpy as np
import pytest

from semcomp.errors import ImageError
from semcomp.semantics.class_names import read_class_names, translation

NAMES = ("background", "vélo", "chat")


@pytest.mark.parametrize(
    "data",
    [
        "\n".join(NAMES).encode(),
        ("\n".join(NAMES) + "\n").encode(),
        ("\n".join(NAMES) + "\n\n \n").encode(),
        "\r\n".join(NAMES).encode(),
        "\r".join(NAMES).encode(),
        codecs.BOM_UTF8 + "\r\n".join(NAMES).encode(),
        "\n".join(NAMES).encode("utf-16"),
        codecs.BOM_UTF16_LE + "\r\n".join(NAMES).encode("utf-16-le"),
        codecs.BOM_UTF16_BE + "\n".join(NAMES).encode("utf-16-be"),
        "\n".join(NAMES).encode("utf-32"),
        "\n".join(f"  {name}\t" for name in NAMES).encode(),
    ],
)
def test_encodings_and_line_ends_do_not_change_the_names(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "classes.txt"
    path.write_bytes(data)
    assert read_class_names(path) == NAMES


@pytest.mark.parametrize("text", ["road\n\nsky\ntree\n", "road\n  \nsky\ntree", "road\r\n\r\nsky\r\ntree\r\n\r\n"])
def test_an_empty_line_keeps_its_number(tmp_path: Path, text: str) -> None:
    path = tmp_path / "classes.txt"
    path.write_text(text, newline="")
    assert read_class_names(path) == ("road", "1", "sky", "tree")


def test_a_first_line_that_is_empty_is_class_0(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("\nroad\n")
    assert read_class_names(tmp_path / "classes.txt") == ("0", "road")


def test_unusual_separators_stay_inside_a_name(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("a\u2028b\nc", encoding="utf-8")
    assert read_class_names(tmp_path / "classes.txt") == ("a\u2028b", "c")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("fond\nvélo\n".encode("latin-1"), "not UTF-8: byte 6 is 0xe9; save it as UTF-8"),
        ("fond\nvélo\n".encode("utf-16-le"), "UTF-16 without a byte-order mark|not UTF-8"),
        (codecs.BOM_UTF16_LE + b"a", "not UTF-16"),
        (b"", "names no class"),
        (b"\n\n", "names no class"),
        (b"cat\ndog\ncat\n", "calls the classes 0 and 2 'cat'"),
        (b"Cat\ndog\ncat\n", "calls the classes 0 and 2 'cat'"),
        (b"\x89PNG\r\n\x1a\n\0\0", "not UTF-8"),
    ],
)
def test_other_files_are_one_sentence(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "classes.txt"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=message) as caught:
        read_class_names(path)
    assert "classes.txt" in str(caught.value) and len(str(caught.value)) < 300


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nowhere\.txt cannot be read: No such file"):
        read_class_names(tmp_path / "nowhere.txt")


def test_void_means_no_class_of_another_list() -> None:
    numbers = translation(("car", "moon"), ("Sky", "Car"))
    assert numbers[[0, 1, 255]].tolist() == [1, 2, 2] and numbers.dtype == np.uint8
