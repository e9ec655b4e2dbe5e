"""Benchmarks of exact pixels: a backend that differs is counted, and medical samples are taken as they are."""

from __future__ import annotations

import importlib.util
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

pytest.importorskip("torch")

from benchmarks import deep_samples, lossless, lossless_exactness, lossless_fuzz
from benchmarks.records import BLOCKS
from semcomp.export.folder import export_onnx
from semcomp.imaging.exact import exact_picture
from semcomp.lossless.stream import decode_lossless
from semcomp.networks.lossless_fast import TorchNetworks
from tests.lossless.conftest import photo

HAS_NUMBA = importlib.util.find_spec("numba") is not None


@pytest.fixture
def arguments(lossless_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A photo, graphs and random weights, without a browser."""
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(lossless_exactness, "is_installed", lambda name: False)
    export_onnx(tmp_path / "graphs", parts=["lossless"], lossless_weights=lossless_file)
    Image.fromarray(photo(40, 33)).save(tmp_path / "a.png")
    folder, out = str(tmp_path / "graphs"), str(tmp_path / "out.json")
    return [str(tmp_path / "a.png"), "--model", str(lossless_file), "--graphs", folder, "-o", out, "--quiet"]


def test_every_backend_and_mode_is_compared(arguments: list[str], tmp_path: Path) -> None:
    assert lossless_exactness.main(arguments) == 0
    result = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    rows = result["backends"]
    assert len(rows) == 6 + HAS_NUMBA and {row["files"] for row in rows.values()} == {18}
    assert {row["bytes"] + row["wrong"] for row in rows.values()} == {0}
    assert "| numpy | 18 |" in BLOCKS["lossless_exactness.backends"](result)


def test_a_backend_that_differs_is_counted(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def smudged(data: bytes, *, networks: Any = None, **how: Any) -> NDArray[Any]:
        pixels = decode(data, networks=networks, **how).copy()
        if isinstance(networks, TorchNetworks) and not networks.by_bytes:
            pixels[0, 0] ^= 1
        return pixels

    decode = decode_lossless
    monkeypatch.setattr(lossless_exactness, "decode_lossless", smudged)
    monkeypatch.setattr(lossless_exactness, "modes", lambda pixels: iter(()))
    assert lossless_exactness.main(arguments) == 1
    rows = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["backends"]
    assert rows["torch in float32"]["wrong"] == 3 and rows["numpy"]["wrong"] == 0


def test_damage_is_counted_by_outcome(lossless_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    assert lossless_fuzz.main(["--model", str(lossless_file), "--count", "12", "-o", str(out), "--quiet"]) == 0
    result = json.loads(out.read_text(encoding="utf-8"))
    text = BLOCKS["lossless_fuzz.damage"](result)
    assert text.startswith("12 files were changed and ") and "refused" in text and "**0 violations.**" in text


def test_medical_samples_keep_every_bit(tmp_path: Path) -> None:
    pydicom = pytest.importorskip("pydicom")
    values = photo(300, 260)[..., 0].astype(np.int16) * 16 - 1000

    def write(name: str, **facts: Any) -> None:
        file = pydicom.Dataset()
        file.file_meta = pydicom.dataset.FileMetaDataset()
        file.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        file.Rows, file.Columns, file.SamplesPerPixel = 300, 260, 1
        file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 16, 15, 1
        file.PhotometricInterpretation, file.Modality = "MONOCHROME2", "CT"
        file.SOPClassUID = file.SOPInstanceUID = "1.2.3"
        for key, value in facts.items():
            setattr(file, key, value)
        file.PixelData = values.tobytes()
        file.save_as(tmp_path / f"{name}.dcm", enforce_file_format=True)

    write("scan")
    write("copy of scan")
    write("lossy", LossyImageCompression="01")
    write("drawing", Modality="OT")
    (tmp_path / "damaged.dcm").write_bytes(b"DICM")
    assert deep_samples.main([str(tmp_path), "-o", str(tmp_path / "deep")]) == 0
    (made,) = (tmp_path / "deep").iterdir()
    assert np.array_equal(exact_picture(made).pixels.astype(np.int32) - 32768, values)


def test_several_threads_are_timed_by_the_clock_and_one_by_the_processor() -> None:
    def slept(data: Any) -> Any:
        time.sleep(0.2)
        return data

    pixels = np.zeros(3, np.uint8)
    codec = lossless.Codec(
        "asleep", lambda picture: slept(picture.tobytes()), lambda data: np.frombuffer(slept(data), "u1")
    )
    one, two = lossless.measure(codec, pixels), lossless.measure(codec, pixels, threads=2)
    assert one["encode_s"] + one["decode_s"] < 0.2 <= min(two["encode_s"], two["decode_s"])
    assert (two["bytes"], two["wrong"]) == (3, 0)
