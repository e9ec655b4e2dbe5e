"""Files are taken as paths, bytes and streams alike, and every refusal is a SemcompError."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import semcomp
from semcomp import FormatError, ModelError, SemcompError
from semcomp.codec.codec import Codec
from semcomp.errors import FileError, MissingFileError

RAMP = Path(__file__).parents[1] / "golden" / "ramp.semc"
READERS = {"decode": Codec.decode, "latents": Codec.latents, "read_symbols": Codec.read_symbols}


def readers(codec: Codec) -> list[Callable[[Any], Any]]:
    return [semcomp.info, codec.decode, codec.latents, codec.read_symbols]


def test_every_kind_of_source_gives_the_same_file(codec: Codec) -> None:
    data = RAMP.read_bytes()
    wanted = codec.latents(data).y_hat
    with RAMP.open("rb") as stream:
        sources: list[Any] = [RAMP, str(RAMP), data, bytearray(data), memoryview(data), io.BytesIO(data), stream]
        for source in sources:
            assert np.array_equal(codec.latents(source).y_hat, wanted)
    assert semcomp.info(RAMP) == semcomp.info(data) == semcomp.info(io.BytesIO(data))
    assert codec.decode(str(RAMP)).tobytes() == codec.decode(data).tobytes()
    assert np.array_equal(codec.read_symbols(RAMP).y, codec.read_symbols(data).y)


def test_a_missing_file_is_both_kinds_of_error(codec: Codec, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.semc"
    for read in readers(codec):
        for source in (missing, str(missing)):
            with pytest.raises(MissingFileError, match=r"nowhere\.semc cannot be read: no such file") as caught:
                read(source)
            assert isinstance(caught.value, SemcompError) and isinstance(caught.value, FileNotFoundError)
            assert caught.value.filename == str(missing) and caught.value.errno == 2
    for encode in (codec.encode, lambda image: codec.encode_to(image, bpp=1.0), codec.latents_of_image):
        with pytest.raises(FileNotFoundError, match=r"photo\.png") as refused:
            encode(tmp_path / "photo.png")
        assert isinstance(refused.value, SemcompError)


def test_folders_and_other_things_are_refused_in_a_sentence(codec: Codec, tmp_path: Path) -> None:
    closed = io.BytesIO(b"abc")
    closed.close()
    for read in readers(codec):
        with pytest.raises(FileError, match="cannot be read"):
            read(tmp_path)
        for source in (None, 5, ["a.semc"], closed, "null\0byte.semc"):
            with pytest.raises(FormatError):
                read(source)
        with pytest.raises(FormatError, match="open it in binary mode"):
            read(io.StringIO("text"))


def test_errors_survive_the_trip_out_of_a_process() -> None:
    import pickle

    with pytest.raises(MissingFileError) as caught:
        semcomp.info("nowhere.semc")
    again = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(again, MissingFileError) and str(again) == str(caught.value)


@pytest.mark.parametrize("device", ["foo", "cuda:99", "cpu:x", ""])
def test_a_device_that_is_not_there_is_named(device: str) -> None:
    if device == "":
        assert semcomp.load(device=device).device.type == "cpu"
        return
    with pytest.raises(ModelError, match=rf"the device '{device}' does not exist here: choose one of cpu"):
        semcomp.load(device=device)


@pytest.mark.parametrize("name", ["nowhere", "a" * 5000, "null\0byte", "."])
def test_weights_that_are_not_there_are_named(name: str) -> None:
    with pytest.raises(ModelError, match="no codec called"):
        semcomp.load(name)
