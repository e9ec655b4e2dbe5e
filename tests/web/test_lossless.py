"""The TypeScript decoder reads the exact pixels that the library writes, in plain arithmetic and on exported graphs."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.lossless_exactness import Case, modes, read_in_browser, whole_file
from semcomp.codec.codec import Codec
from semcomp.export.folder import export_onnx
from semcomp.lossless.colour import ColourTransform
from semcomp.lossless.model import model_bytes
from semcomp.lossless.stream import decode_lossless, encode_lossless
from semcomp.lossless.weights import load_weights
from tests.lossless.conftest import photo
from tests.web.test_package import needs
from tests.web.test_web import built, node

__all__ = ["built"]


def cases() -> list[tuple[str, NDArray[Any], dict[str, Any]]]:
    rgb, rng = photo(41, 37), np.random.default_rng(0)
    deep: NDArray[Any] = rgb.astype(np.uint16) * 256 + rng.integers(0, 256, rgb.shape).astype(np.uint16)
    grey = np.ascontiguousarray(rgb[..., 0])
    extremes = (rng.integers(0, 8, (20, 13, 3)) // 7 * 65535 ^ 1).astype(np.uint16)
    return [
        ("rgb", rgb, {}),
        ("grey", grey, {}),
        ("at most 3 off", rgb, {"near": 3}),
        ("grey, at most 1 off", grey, {"near": 1}),
        ("no transform", rgb, {"transform": ColourTransform.NONE}),
        ("differences to green", rgb, {"transform": ColourTransform.GREEN}),
        ("rgb of 16 bits", deep, {}),
        ("grey of 16 bits", np.ascontiguousarray(deep[..., 1]), {}),
        ("black and white of 16 bits", extremes, {}),
        ("12 of 16 bits", deep >> 4 << 4, {}),
        ("8 of 16 bits", rgb.astype(np.uint16) * 257, {}),
        ("one pixel", rgb[:1, :1], {}),
        ("thin", rgb[:1], {}),
        ("noise", rng.integers(0, 256, (30, 31, 3)).astype(np.uint8), {}),
    ]


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize("weights", ["random", "released"])
def test_plain_arithmetic_agrees(built: None, lossless_file: Path, tmp_path: Path, weights: str) -> None:
    model, rows = load_weights(lossless_file if weights == "random" else None), []
    for name, pixels, options in cases():
        data = encode_lossless(np.ascontiguousarray(pixels), model=model, general=False, **options)
        decoded = np.ascontiguousarray(decode_lossless(data, model=model))
        rows.append(
            {
                "name": name,
                "file": text(data),
                "samples": text(decoded.tobytes()),
                "bits": 8 * decoded.itemsize,
                "channels": 1 if decoded.ndim == 2 else 3,
            }
        )
    fixture = tmp_path / "lossless.json"
    fixture.write_text(json.dumps({"model": text(model_bytes(model)), "id": model.id.hex(), "cases": rows}))
    done = node("--test", "--test-reporter=tap", "tests/lossless.mjs", SEMCOMP_LOSSLESS=str(fixture))
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "# skipped 0" in done.stdout
    assert f"# pass {len(rows) + 3}" in done.stdout


@pytest.mark.usefixtures("embedded_lossless", "built")
def test_graphs_in_node_agree(codec: Codec, lossless_file: Path, tmp_path: Path) -> None:
    """onnxruntime's WebAssembly decodes whole files, which may have alpha and no latents."""
    pytest.importorskip("onnxruntime")
    export_onnx(tmp_path / "graphs", parts=["lossless"], lossless_weights=lossless_file)
    rgb = photo(50, 43)
    alpha = np.linspace(0, 255, rgb[..., :1].size).astype(np.uint8).reshape(50, 43, 1)
    pictures = {"rgb": rgb, "rgba": np.concatenate([rgb, alpha], 2), "grey": np.repeat(rgb[..., 1:2], 3, 2)}
    jobs = []
    for name, pixels in pictures.items():
        (tmp_path / f"{name}.file").write_bytes(codec.encode(pixels, lossless=True))
        jobs.append({"do": "open", "file": str(tmp_path / f"{name}.file"), "decode": True, "save": name})
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    done = node("tests/nodeclient.mjs", tmp_path / "graphs", tmp_path / "jobs.json", tmp_path)
    assert done.returncode == 0, done.stderr[-4000:]
    for row, (name, pixels) in zip(json.loads(done.stdout), pictures.items(), strict=True):
        assert "error" not in row, row
        shown = np.fromfile(tmp_path / f"{name}.rgba", np.uint8).reshape(50, 43, 4)
        assert np.array_equal(shown[..., : pixels.shape[2]], pixels), name


def test_chromium_agrees(built: None, lossless_file: Path, tmp_path: Path) -> None:
    """A browser decodes every mode of 8 bits with its own WebP and WebAssembly."""
    needs("chromium")
    model, rgb = load_weights(lossless_file), photo(41, 37)
    export_onnx(tmp_path / "graphs", parts=["lossless"], lossless_weights=lossless_file)
    files = {}
    for number, case in enumerate([Case("rgb", rgb, {}), *modes(rgb)]):
        data = encode_lossless(case.pixels, model=model, **case.options)
        if case.pixels.dtype == np.uint8:
            pixels = decode_lossless(data, model=model)
            files[f"case{number}"] = whole_file(data, pixels), pixels
    tally = read_in_browser(tmp_path / "graphs", files)
    assert (tally.files, tally.wrong) == (14, 0)
    name, (data, pixels) = next(iter(files.items()))
    assert read_in_browser(tmp_path / "graphs", {name: (data, pixels ^ 1)}).wrong == pixels.size
