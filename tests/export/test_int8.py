"""Graphs in 8-bit integers: what they keep, what they cost, and that they change no file's symbols."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import Identity

from semcomp.cli.exit_codes import EXIT_USAGE
from semcomp.cli.main import main as command
from semcomp.codec.codec import Codec
from semcomp.errors import ModelError, TargetError
from semcomp.imaging.metrics import psnr_db
from semcomp.imaging.picture import from_array

onnx = pytest.importorskip("onnx")
for name in ("onnxscript", "onnxruntime"):
    pytest.importorskip(name)

from semcomp.edge import EdgeCodec  # noqa: E402
from semcomp.export.folder import Exported, export_onnx  # noqa: E402
from semcomp.export.int8 import CROP, CROPS, FLOAT_LAYERS, FLOAT_PART, Calibration, becomes_int8  # noqa: E402
from semcomp.export.part import Part  # noqa: E402
from semcomp.semantics.limits import NO_LIMITS  # noqa: E402

INT8 = ("analysis", "synthesis", "head_street")
FAST = "mean_fast"
"""The graph that only an int8 export has."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Exported]:
    """The graphs that are quantised, and one that never is, calibrated with the sample photo."""
    folder = tmp_path_factory.mktemp("int8")
    parts = ["analysis", "sigma", "mean", "synthesis", "heads"]
    return folder, export_onnx(folder, parts=parts, heads=["street"], int8=True)


@pytest.fixture(scope="module")
def folder(made: tuple[Path, Exported], exported: tuple[Path, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole client: the int8 graphs in the place of the float ones."""
    whole = tmp_path_factory.mktemp("whole") / "edge"
    shutil.copytree(exported[0], whole)
    manifest, int8 = (json.loads((path / "manifest.json").read_text()) for path in (whole, made[0]))
    for name in (*INT8, FAST):
        manifest["graphs"][name] = int8["graphs"][name]
        shutil.copy(made[0] / f"{name}.onnx", whole)
    (whole / "manifest.json").write_text(json.dumps(manifest))
    return whole


@pytest.fixture(scope="module")
def clients(folder: Path, exported: tuple[Path, Any]) -> dict[str, EdgeCodec]:
    return {"float": EdgeCodec(exported[0], threads=1), "int8": EdgeCodec(folder, threads=1)}


@pytest.fixture(scope="module")
def crop() -> NDArray[np.uint8]:
    with Image.open(Path(__file__).parents[2] / "examples" / "photo.png") as image:
        return np.asarray(image.convert("RGB").crop((100, 60, 356, 252)))


def test_the_manifest_says_how_each_graph_computes(made: tuple[Path, Exported], exported: tuple[Path, Any]) -> None:
    manifest, before = (json.loads((path / "manifest.json").read_text()) for path in (made[0], exported[0]))
    precision = {name: graph["precision"] for name, graph in manifest["graphs"].items()}
    stays = dict.fromkeys(("sigma", "refine", "mean_first", "mean_next", "label_map"), "float")
    assert precision == {**dict.fromkeys((*INT8, FAST), "int8"), **stays} and FAST not in before["graphs"]
    assert {graph["precision"] for graph in before["graphs"].values()} == {"float"}
    assert manifest["graphs"]["sigma"]["sha256"] == before["graphs"]["sigma"]["sha256"]
    for name in INT8:
        for key in ("inputs", "outputs", "reach"):
            assert manifest["graphs"][name][key] == before["graphs"][name][key]
        in_bytes = name.startswith("head_")  # its weights were bytes before
        assert manifest["graphs"][name]["bytes"] < (1.3 if in_bytes else 0.75) * before["graphs"][name]["bytes"]
    assert set(made[1].int8) == {f"{name}.onnx" for name in (*INT8, FAST)} and exported[1].int8 == ()


def test_single_graphs_are_quantized(tmp_path: Path) -> None:
    parts = ["analysis", "synthesis"]
    given: dict[str, Any] = {"parts": parts, "heads": [], "int8": True}
    with pytest.raises(TargetError, match=r"sigma cannot become int8: choose from analysis, synthesis, mean, heads$"):
        export_onnx(tmp_path, **given, int8_parts=["sigma"])
    assert export_onnx(tmp_path, **given, int8_parts=["synthesis", "heads"]).int8 == ("synthesis.onnx",)


@pytest.mark.parametrize(
    ("name", "names", "expected"),
    [
        ("head_street", ["heads"], True),
        ("head_street", ["head_street", "analysis"], True),
        ("head_street", ["head_objects"], False),
        ("synthesis", ["analysis"], False),
        ("sigma", ["sigma"], False),
        ("mean_fast", ["mean"], True),
        ("mean_fast", ["heads"], False),
    ],
)
def test_names_choose_graphs(name: str, names: list[str], expected: bool) -> None:
    part = Part(name=name, module=Identity(), inputs=(), outputs=(), sizes={})
    assert becomes_int8(part, names) is expected


def test_convolutions_compute_in_integers_but_those_that_are_kept(made: tuple[Path, Exported]) -> None:
    for name in (*INT8, FAST):
        graph = onnx.load(made[0] / f"{name}.onnx").graph
        wide = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
        for node in graph.node:
            if node.op_type == "Conv":
                kept = any(each.startswith(FLOAT_LAYERS) or FLOAT_PART in each for each in node.input)
                assert [value in wide for value in node.input[:2]] == [not kept] * 2
        read = [node.op_type for node in graph.node if "y_hat" in node.input]
        assert "QuantizeLinear" not in read or not name.startswith("head_")  # the stem's reduction has no bias
        levels = [
            t for t in graph.initializer if t.data_type == onnx.TensorProto.INT8 and not t.name.endswith(".stored")
        ]
        weights = [onnx.numpy_helper.to_array(t) for t in levels]
        assert max(np.abs(weight.astype(int)).max() for weight in weights if weight.ndim == 4) <= 64


def test_symbols_cross_and_little_is_lost(clients: dict[str, EdgeCodec], codec: Codec, crop: NDArray[np.uint8]) -> None:
    for quality in (1, 50, 100):
        written = {name: client.encode(crop, quality=quality) for name, client in clients.items()}
        for data in (*written.values(), codec.encode(crop, quality=quality)):
            symbols = [codec.read_symbols(data), *(client.read_symbols(data) for client in clients.values())]
            for part in ("z", "y", "index"):
                assert all(np.array_equal(getattr(symbols[0], part), getattr(other, part)) for other in symbols[1:])
        assert written["int8"] != written["float"] or quality == 1  # or nothing was quantised
        assert abs(len(written["int8"]) - len(written["float"])) <= 0.03 * len(written["float"])
        shown = {name: np.asarray(client.decode(written[name])) for name, client in clients.items()}
        lost = psnr_db(crop, shown["float"]) - psnr_db(crop, shown["int8"])
        assert lost < (0.4 if quality == 100 else 0.15)


@pytest.mark.filterwarnings("ignore:quality 60 keeps only:semcomp.errors.SemcompWarning")
@pytest.mark.parametrize("kind", ["noise", "squares", "white"])
def test_what_no_photo_shows_is_not_spoilt(clients: dict[str, EdgeCodec], kind: str) -> None:
    rng = np.random.default_rng(2)
    pictures = {
        "noise": rng.integers(0, 256, (128, 128, 3)),
        "squares": np.kron(rng.integers(0, 2, (8, 8, 3)) * 255, np.ones((16, 16, 1), int)),
        "white": np.full((128, 128, 3), 255),
    }
    picture = pictures[kind].astype(np.uint8)
    rows = {}
    for name, client in clients.items():
        data = client.encode(picture, quality=60)
        rows[name] = len(data), psnr_db(picture, np.asarray(client.decode(data)))
    assert rows["int8"][0] <= 1.1 * rows["float"][0] + 16
    assert rows["int8"][1] >= min(rows["float"][1], 46) - 1  # beyond, no eye sees it


def test_latents_for_heads_move_by_less_than_rounding_does(
    clients: dict[str, EdgeCodec], codec: Codec, crop: NDArray[np.uint8]
) -> None:
    keep = np.zeros((12, 16), bool)
    keep[2:9, 3:14] = True
    gain = codec.network.gain(torch.tensor([50])).detach().numpy()
    picture = from_array(crop)
    for places in (None, keep):
        symbols = codec.quantize(codec.analyse(picture), picture, quality=50, keep=places)
        exact, fast = (
            clients["int8"].coder.dequantize(symbols, quality=50, precise=precise) for precise in (True, False)
        )
        assert np.array_equal(exact, clients["float"].coder.dequantize(symbols, quality=50, precise=False))
        steps = np.sqrt(np.mean(np.square((fast - exact) * gain)))
        assert 0 < steps < 0.1  # rounding moves a latent by 0.29 steps
        assert places is None or not fast[0][:, ~places].any()
    data = codec.encode(crop, quality=50)
    moved = clients["int8"].latents(data).y_hat, clients["int8"].latents(data, precise=True).y_hat
    assert not np.array_equal(*moved)
    assert np.array_equal(moved[1], clients["float"].latents(data).y_hat)


def test_label_maps_stay(
    clients: dict[str, EdgeCodec], crop: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    for client in clients.values():
        monkeypatch.setattr(client.heads["street"], "limits", NO_LIMITS)  # the head knows nothing of this photo
    latents = clients["float"].latents_of_image(crop, quality=60)
    ours, theirs = (clients[name].segment(latents, head="street").label_map for name in ("int8", "float"))
    assert np.mean(ours == theirs) > 0.93 and len(np.unique(theirs)) > 1


def test_calibration_takes_what_there_is(codec: Codec, photo: NDArray[np.uint8], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no photo to calibrate with below .*: give a folder of larger photos"):
        Calibration(codec, tmp_path)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    Image.new("RGB", (60, 600)).save(tmp_path / "narrow.png")
    with pytest.raises(ModelError, match="no photo to calibrate with"):
        Calibration(codec, tmp_path)
    (tmp_path / "below").mkdir()
    Image.fromarray(photo).save(tmp_path / "below" / "small.jpg")
    Image.fromarray(np.tile(photo, (8, 8, 1))).save(tmp_path / "large.png")
    crops = Calibration(codec, tmp_path).crops
    assert {crop.shape for crop in crops} == {(CROP, CROP, 3), (64, 128, 3)} and len(crops) <= CROPS + 4
    (tmp_path / "deep").mkdir()
    Image.fromarray(np.tile(photo[..., 0].astype(np.uint16) * 257, (2, 2))).save(tmp_path / "deep/16_bits.png")
    assert Calibration(codec, tmp_path / "deep").crops, "16 bits are converted"
    sample = Calibration(codec, None)
    assert 1 < len(sample.crops) <= CROPS and len({crop.tobytes() for crop in sample.crops}) == len(sample.crops)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["export", "onnx", "-o", str(tmp_path / "a"), "--parts", "sigma"]
    assert command([*arguments, "--calibration", str(tmp_path)]) == EXIT_USAGE
    assert "--calibration belongs to --int8" in capsys.readouterr().err
    assert command([*arguments, "--int8-parts", "heads"]) == EXIT_USAGE
    assert "--int8-parts belongs to --int8" in capsys.readouterr().err
    assert command([*arguments, "--int8", "--calibration", str(tmp_path)]) == ModelError.exit_code
    assert "no photo to calibrate with" in capsys.readouterr().err
    assert command([*arguments, "--int8"]) == 0
    told = capsys.readouterr()
    assert "the sample photo alone sets the scales" in told.err and "int8" not in told.out


def test_the_benchmark_compares_precisions(
    folder: Path,
    exported: tuple[Path, Any],
    codec: Codec,
    crop: NDArray[np.uint8],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("scipy")
    from benchmarks import common, edge

    monkeypatch.setattr(common, "load_codec", lambda options, *, threads=None: codec)
    monkeypatch.setattr(common, "ROOT", tmp_path)  # no configuration there: heads are left out
    Image.fromarray(crop).save(tmp_path / "a.png")
    small = ["--threads", "1", "--repeats", "1", "--size", "64", "64", "--qualities", "50", "--quiet"]
    given = ["--graphs", str(exported[0]), "--int8", str(folder), "-o", str(tmp_path / "a.json")]
    edge.main([str(tmp_path / "a.png"), *given, *small])
    found = json.loads((tmp_path / "a.json").read_text())
    int8 = found["int8"]
    assert int8["differing"] == 0 and int8["heads"] == {} and int8["bytes"]["int8"] < int8["bytes"]["float"]
    assert set(int8["bd_rate"]) == {"int8 encoder", "int8 decoder", "int8"} and abs(int8["bd_rate"]["int8"]) < 4
    assert len(found["speed"]["1"]["encode"]["int8_times_as_fast"]) == 3
    assert "BD-rate against float" in capsys.readouterr().out
