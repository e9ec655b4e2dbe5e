"""The client on weights whose passes refine their tables: the symbols of the library, and its latents."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from semcomp.bitstream.container import Chunk, ChunkKind, Container, read, write
from semcomp.codec.codec import Codec
from semcomp.errors import ModelError, SemcompError
from semcomp.imaging.picture import from_array

for name in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(name)

from semcomp.edge import EdgeCodec  # noqa: E402
from semcomp.edge.bundle import LEVELS  # noqa: E402
from semcomp.export.folder import Exported  # noqa: E402

SIZES = ((90, 131), (64, 64), (17, 250), (1, 1), (130, 33))


def test_the_export_compares_every_pass(refined_export: tuple[Codec, Path, Exported]) -> None:
    found = {difference.name: difference for difference in refined_export[2].differences}
    exact = {"file of the library: symbols", "file of the client: symbols", "sigma: sums", "refine: index"}
    assert all(found[name].value == found[name].limit == 0 for name in exact)
    assert {"mean_next: mean", "latents of files"} <= set(found)
    assert all(difference.passed for difference in refined_export[2].differences)


@pytest.mark.filterwarnings("ignore:quality .* keeps only:semcomp.errors.SemcompWarning")
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_files_cross(
    refined_export: tuple[Codec, Path, Exported], photo: NDArray[np.uint8], size: tuple[int, int]
) -> None:
    codec, edge = refined_export[0], EdgeCodec(refined_export[1], threads=1)
    pixels = np.ascontiguousarray(np.tile(photo, (2, 2, 1))[: size[0], : size[1]])
    for quality in (1, 37, 70, 100):
        for writer in (codec, edge):
            data = writer.encode(pixels, quality=quality)
            ours, theirs = edge.read_symbols(data), codec.read_symbols(data, plain=quality == 37)
            for part in ("z", "y", "index"):
                np.testing.assert_array_equal(getattr(ours, part), getattr(theirs, part))
            expected = codec.latents(data, precise=True).y_hat.numpy()
            np.testing.assert_allclose(edge.latents(data).y_hat, expected, atol=1e-4 * np.abs(expected).max())
        assert edge.latents_of_image(pixels, quality=quality).y_hat.shape == expected.shape


def test_every_arrangement_of_the_client_reads_alike(
    refined_export: tuple[Codec, Path, Exported], photo: NDArray[np.uint8]
) -> None:
    codec, folder, _ = refined_export
    data = codec.encode(photo, quality=90)
    expected = codec.read_symbols(data)
    assert (expected.index >= 0).mean() > 0.2
    for threads in (1, 2):
        for level in LEVELS:
            symbols = EdgeCodec(folder, threads=threads, optimisation=level).read_symbols(data, plain=threads == 2)
            for part in ("z", "y", "index"):
                np.testing.assert_array_equal(getattr(symbols, part), getattr(expected, part))


def test_what_is_not_kept_is_not_coded(refined_export: tuple[Codec, Path, Exported], photo: NDArray[np.uint8]) -> None:
    codec, edge, picture = refined_export[0], EdgeCodec(refined_export[1], threads=1), from_array(photo)
    keep = np.zeros((6, 9), bool)
    keep[1:4, 2:7] = keep[5, 8] = True
    pairs: tuple[tuple[Any, Any], ...] = ((codec, edge), (edge, codec))
    for one, other in pairs:
        written = one.quantize(one.analyse(picture), picture, quality=80, keep=keep)
        assert written.y[:, keep].any() and not written.y[:, ~keep].any() and (written.index[:, ~keep] == -1).all()
        size: dict[str, Any] = {"height": picture.height, "width": picture.width, "quality": 80}
        found = other.coder.read(one.coder.write(written, quality=80), **size, keep=keep)
        for part in ("z", "y", "index"):
            np.testing.assert_array_equal(getattr(found, part), getattr(written, part))
        ours, theirs = (np.asarray(each.coder.dequantize(found, quality=80)) for each in (one, other))
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(ours).max())
        assert not ours[0][:, ~keep].any()


def verdict(codec: Codec | EdgeCodec, data: bytes) -> tuple[bytes, bytes] | type[SemcompError]:
    """The symbols that a stream gives, or the error."""
    try:
        symbols = codec.coder.read(data, height=90, width=131, quality=60)
    except SemcompError as error:
        return type(error)
    return symbols.y.tobytes(), symbols.index.tobytes()


def test_damage_at_every_pass_gets_one_verdict(
    refined_export: tuple[Codec, Path, Exported], photo: NDArray[np.uint8]
) -> None:
    """Streams that are cut or changed, so that z or any pass reads other symbols than were written."""
    codec, edge = refined_export[0], EdgeCodec(refined_export[1], threads=1)
    container = read(codec.encode(photo, quality=60))
    stream = container.get(ChunkKind.SYMBOLS)
    assert stream is not None
    rng, verdicts = np.random.default_rng(1), []
    for number in range(60):
        damaged = bytearray(stream)
        at = int(rng.integers(len(stream)))
        if number % 3 == 0:
            del damaged[at:]
        elif number % 3 == 1:
            damaged[at] ^= 1 << int(rng.integers(8))
        else:
            damaged[at:] = rng.bytes(len(stream) - at)
        verdicts.append(verdict(codec, bytes(damaged)))
        assert verdict(edge, bytes(damaged)) == verdicts[-1]
    whole = verdict(codec, stream)
    assert not isinstance(whole, type) and whole not in verdicts
    other = write(Container(container.header, (Chunk(ChunkKind.SYMBOLS, stream[:-4]),)))
    for reader in (codec, edge):
        with pytest.raises(SemcompError):
            reader.decode(other)


def test_sums_that_are_not_exact_are_noticed_before_anything_is_read(
    refined_export: tuple[Codec, Path, Exported], photo: NDArray[np.uint8], tmp_path: Path
) -> None:
    """The manifest says what the integer graphs give for extreme bytes. Here it says something else."""
    codec, folder, _ = refined_export
    data, manifest = codec.encode(photo, quality=60), json.loads((folder / "manifest.json").read_text())
    assert set(manifest["products"]) == {"sigma", "refine"}
    for name in manifest["products"]:
        shutil.copytree(folder, tmp_path / name)
        changed = {**manifest["products"], name: manifest["products"][name] ^ 1}
        (tmp_path / name / "manifest.json").write_text(json.dumps({**manifest, "products": changed}))
        client = EdgeCodec(tmp_path / name, threads=1)
        with pytest.raises(ModelError, match=rf"does not sum the products of the graph {name} exactly"):
            client.read_symbols(data)
        with pytest.raises(ModelError, match=rf"the graph {name} exactly"):
            client.encode(photo, quality=60)


def test_other_versions_are_refused_in_words(refined_export: tuple[Codec, Path, Exported], tmp_path: Path) -> None:
    manifest = json.loads((refined_export[1] / "manifest.json").read_text())
    assert manifest["format"] == "semcomp-edge-2" and manifest["sizes"]["passes"] == 4
    for form, words in (
        ("semcomp-edge-1", r"written by an earlier version .* semcomp export onnx --force -o"),
        ("semcomp-edge-3", r"of another version \(its format is semcomp-edge-3, not semcomp-edge-2\)"),
    ):
        (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "format": form}))
        with pytest.raises(ModelError, match=words):
            EdgeCodec(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "sizes": {**manifest["sizes"], "passes": 3}}))
    with pytest.raises(ModelError, match="it has 3 passes"):
        EdgeCodec(tmp_path)
