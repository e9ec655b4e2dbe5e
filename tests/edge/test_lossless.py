"""torch, numpy and onnxruntime write the same lossless bytes and read each other's files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from semcomp.codec.codec import Codec
from semcomp.edge.client import EdgeCodec
from semcomp.edge.lossless import EdgeNetworks
from semcomp.errors import FormatError, ModelError
from semcomp.export.folder import export_onnx
from semcomp.lossless.stream import decode_lossless, encode_lossless
from semcomp.lossless.weights import load_weights
from tests.golden.exact import EXACT, exact_pictures
from tests.lossless.conftest import photo


@pytest.fixture(scope="module")
def folder(lossless_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lossless_graphs")
    export_onnx(path, parts=["lossless"], lossless_weights=lossless_file)
    return path


@pytest.fixture(scope="module")
def edge(folder: Path) -> EdgeCodec:
    return EdgeCodec(folder, threads=1)


def pictures() -> list[NDArray[Any]]:
    rgb = photo(61, 70)
    deep = rgb.astype(np.uint16) * 256 + np.random.default_rng(1).integers(0, 256, rgb.shape).astype(np.uint16)
    return [rgb, np.ascontiguousarray(rgb[..., 2]), deep, np.ascontiguousarray(deep[..., 0])]


@pytest.mark.usefixtures("embedded_lossless")
@pytest.mark.parametrize("number", range(4))
def test_client_and_library_write_the_same_bytes(codec: Codec, edge: EdgeCodec, number: int) -> None:
    pixels = pictures()[number]
    with_numpy = encode_lossless(pixels, model=load_weights())
    data = edge.encode(pixels, lossless=True)
    assert data.endswith(with_numpy)
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            assert codec.encode(pixels, lossless=True) == data
            assert np.array_equal(codec.decode_pixels(data), pixels)
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(edge.decode_pixels(data), pixels)
    assert np.array_equal(edge.decode_pixels(data, scale=4), pixels[::4, ::4])


def test_the_released_weights_read_and_write_golden_files(
    codec: Codec, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("released_graphs")
    export_onnx(folder, parts=["lossless"])
    client = EdgeCodec(folder, threads=2)
    for name, (pixels, options) in exact_pictures().items():
        file = EXACT / f"{name}.semc"
        found = client.decode_pixels(file)
        assert np.array_equal(found, codec.decode_pixels(file)), name
        if "with_latents" not in options:
            written = [maker.encode_exact(np.ascontiguousarray(pixels), **options) for maker in (client, codec)]
            assert written[0] == written[1], name


def test_a_client_that_is_off_by_one_is_noticed(edge: EdgeCodec) -> None:
    coder, pixels = edge.lossless_coder(), photo(40, 40)

    class Wrong(EdgeNetworks):
        def run(self, name: str, features: NDArray[Any]) -> NDArray[np.int32]:
            output = super().run(name, features).copy()
            output[1, -1] += 4
            return output

    data = encode_lossless(pixels, model=coder.model)
    wrong = Wrong(edge.bundle, coder.model)
    assert encode_lossless(pixels, model=coder.model, networks=wrong) != data
    with pytest.raises(FormatError):
        decode_lossless(data, model=coder.model, networks=wrong)


def test_a_folder_without_lossless_networks_says_so(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    manifest = tmp_path / "manifest.json"
    text = manifest.read_text()
    start = text.index('"lossless": {')
    manifest.write_text(text[:start] + '"lossless": null' + text[text.index("}", start) + 1 :])
    with pytest.raises(ModelError, match="export onnx --parts all"):
        EdgeCodec(tmp_path).encode(photo(8, 8), lossless=True)
    (tmp_path / "lossless.safetensors").write_bytes(b"damaged")
    manifest.write_text(text)
    with pytest.raises(ModelError, match="export the graphs again"):
        EdgeCodec(tmp_path).encode(photo(8, 8), lossless=True)
