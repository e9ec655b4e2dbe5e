"""The command where torch is not installed: every verb runs on graphs, or says in a sentence what to install."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import semcomp
from heads.embedding import save as save_projection
from semcomp.backend import open_embedder
from semcomp.bitstream.container import read
from semcomp.cli.batch import get_codec
from semcomp.cli.commands.doctor import describe
from semcomp.cli.main import main
from semcomp.codec.codec import Codec
from semcomp.errors import ImageError, MissingExtraError, ModelError, TargetError
from semcomp.semantics import projection as projections
from semcomp.semantics.head import load_head
from semcomp.semantics.projection import Projection
from semcomp.semantics.stored import read_embedding
from tests.jpeg.files import jpeg
from tests.jpeg.files import photo as jpeg_photo
from tests.restoration.conftest import restorer as restorer
from tests.restoration.conftest import weights as weights

for name in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(name)

from semcomp.edge import EdgeCodec, stand_ins  # noqa: E402
from semcomp.export.folder import Exported, export_onnx  # noqa: E402

ROOT = Path(__file__).parents[2]
INSTALL = "which is not installed: pip install semcomp"
Result = tuple[int, str, str]
"""Exit code, stdout and stderr of a command."""


@pytest.fixture(scope="module")
def graphs(
    exported: tuple[Path, Exported], lossless_file: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with the graphs of the codec, of two heads, a generator, the lossless networks and a restorer."""
    folder = tmp_path_factory.mktemp("installed") / "graphs"
    shutil.copytree(exported[0], folder)
    exact = tmp_path_factory.mktemp("exact")
    export_onnx(exact, parts=["lossless"], lossless_weights=lossless_file)
    manifest, more = (json.loads((path / "manifest.json").read_text()) for path in (folder, exact))
    for file in exact.iterdir():
        if file.name.startswith("lossless"):
            shutil.copy(file, folder)
    manifest["graphs"] |= more["graphs"]
    manifest["lossless"] = more["lossless"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert main(["export", "onnx", "-o", str(folder), "--restorer", str(weights), "--quiet"]) == 0
    return folder


@dataclass(frozen=True, kw_only=True)
class Ran:
    """The same commands without torch, and in this process."""

    alone: dict[str, Result]
    folder: Path
    graphs: Path


COMMANDS: dict[str, list[str]] = {
    "encode": ["encode", "in", "-o", "semc", "-q", "60", "--json"],
    "decode": ["decode", "semc", "-o", "png"],
    "info": ["info", "semc/a.semc", "--json"],
    "classify": ["classify", "semc/a.semc", "in/a.png", "--head", "imagenette", "--json"],
    "segment": ["segment", "semc/a.semc", "-o", "map.png", "--head", "street", "--json"],
    "overlay": ["segment", "semc/a.semc", "-o", "overlay.png", "--head", "street", "--overlay"],
    "thumb": ["thumb", "in/a.png"],
    "lossless": ["encode", "in/deep/b.png", "-o", "exact.semc", "--lossless"],
    "exact": ["decode", "exact.semc", "-o", "exact.png"],
    "lossless weights": ["decode", "exact.semc", "-o", "exact2.png", "--lossless-weights", "exact.safetensors"],
    "semantics": ["encode", "in/a.png", "-o", "labels.semc", "--semantics", "--head", "street"],
    "embed": ["encode", "in/a.png", "-o", "embedded.semc", "--semantics", "embed"],
    "sure": ["classify", "semc/a.semc", "--head", "imagenette", "--min-confidence", "0.9"],
    "index": ["index", "semc", "-o", "photos.index", "--head", "imagenette"],
    "search": ["search", "photos.index", "--like", "in/a.png", "--json"],
    "search by features": ["search", "library.index", "--like", "in/a.png", "--json"],
    "features": ["encode", "in/a.png", "-o", "features.semc", "--semantics", "embed", "--embedder", "imagenette"],
    "keep": ["encode", "in/a.png", "-o", "keep.semc", "--keep-box", "0,0,64,64", "--rest-quality", "5"],
    "generative": ["encode", "in/a.png", "-o", "tiny.semc", "--mode", "generative", "--generator", "untrained"],
    "complete": ["decode", "tiny.semc", "-o", "tiny.png"],
    "restore": ["restore", "photo.jpg", "-o", "restored.png"],
    "models": ["models", "--json"],
    "doctor": ["doctor", "--json"],
    # what needs the library, or is wrong
    "eval": ["eval", "in", "-o", "out"],
    "export": ["export", "onnx", "-o", "out"],
    "compare": ["compare", "in/a.png"],
    "push": ["push", "x", "org/x"],
    "as jpeg": ["encode", "in/a.png", "-o", "a.jpg", "--as", "jpeg", "--psnr", "30"],
    "effort": ["encode", "in/a.png", "-o", "b.semc", "--effort", "7"],
    "model": ["decode", "semc/a.semc", "-o", "b.png", "--model", "mine.safetensors"],
    "device": ["decode", "semc/a.semc", "-o", "b.png", "--device", "cuda"],
    "weights": ["restore", "photo.jpg", "-o", "b.png", "--weights", "mine.safetensors"],
    "no head": ["classify", "semc/a.semc"],
    "other head": ["classify", "semc/a.semc", "--head", "mine.safetensors"],
    "embedder": ["encode", "in/a.png", "-o", "b.semc", "--semantics", "embed", "--embedder", "objects"],
    "other folder": ["decode", "semc/a.semc", "-o", "b.png", "--graphs", "nowhere"],
}


@pytest.fixture(scope="module")
def ran(graphs: Path, lossless_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """All commands in one process without torch."""
    folder = tmp_path_factory.mktemp("alone")
    _inputs(folder)
    shutil.copy(lossless_file, folder / "exact.safetensors")
    index = ["index", str(folder / "in"), "-o", str(folder / "library.index"), "--embedder", "imagenette", "--quiet"]
    assert main(index) == 0
    program = [sys.executable, "-m", "tests.command_alone", str(graphs)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    given = json.dumps(list(COMMANDS.values()))
    done = subprocess.run(program, input=given, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results = [tuple(result) for result in json.loads(done.stdout)]
    return Ran(alone=dict(zip(COMMANDS, results, strict=True)), folder=folder, graphs=graphs)


def _inputs(folder: Path) -> None:
    (folder / "in" / "deep").mkdir(parents=True)
    with Image.open(ROOT / "examples" / "photo.png") as image:
        picture = image.convert("RGB")
    picture.resize((131, 90)).save(folder / "in" / "a.png")
    picture.resize((33, 40)).save(folder / "in" / "deep" / "b.png")
    (folder / "photo.jpg").write_bytes(jpeg(jpeg_photo(40, 56), quality=40))


def pixels(path: Path) -> NDArray[Any]:
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


WORKING = list(COMMANDS)[: list(COMMANDS).index("eval")]


@pytest.mark.parametrize("name", WORKING)
def test_a_verb_works(ran: Ran, name: str) -> None:
    code, out, err = ran.alone[name]
    assert code == 0 and out + err, err
    assert not err or name == "index"  # which says on stderr what it did


def test_files_are_those_of_the_client_and_the_library_reads_them(ran: Ran, codec: Codec) -> None:
    (first, second), edge = rows(ran.alone["encode"][1]), EdgeCodec(ran.graphs, threads=1)
    assert (first["output"], second["output"]) == ("semc/a.semc", "semc/deep/b.semc") and first["quality"] == 60
    for name in ("a", "deep/b"):
        source, data = ran.folder / "in" / f"{name}.png", (ran.folder / "semc" / f"{name}.semc").read_bytes()
        assert data == edge.encode(source, quality=60)
        assert abs(len(data) - len(codec.encode(source, quality=60))) <= 0.02 * len(data)
        ours, theirs = edge.read_symbols(data), codec.read_symbols(data)
        for part in ("z", "y", "index"):
            np.testing.assert_array_equal(getattr(ours, part), getattr(theirs, part))
        apart = np.abs(pixels(ran.folder / "png" / f"{name}.png") - np.asarray(codec.decode(data)))
        assert apart.max() <= 3 and apart.mean() <= 0.2  # the library may render in bfloat16
    assert rows(ran.alone["info"][1])[0]["model_id"] == codec.model_id.hex()


def test_answers_are_those_of_the_library(ran: Ran, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(ran.folder)
    assert main(COMMANDS["classify"]) == 0
    for ours, theirs in zip(rows(ran.alone["classify"][1]), rows(capsys.readouterr().out), strict=True):
        found, expected = ({label["name"]: label["score"] for label in row["labels"]} for row in (ours, theirs))
        assert found == pytest.approx(expected, abs=0.05)  # the client's heads are in 8 bits
        assert {**ours, "seconds": 0, "labels": []} == {**theirs, "seconds": 0, "labels": []}
    assert main([*COMMANDS["segment"][:2], "-o", "library.png", "--head", "street", "--json"]) == 0
    ours, theirs = rows(ran.alone["segment"][1])[0], rows(capsys.readouterr().out)[0]
    assert {**ours, "output": "", "seconds": 0} == {**theirs, "output": "", "seconds": 0}
    np.testing.assert_array_equal(pixels(ran.folder / "map.png"), pixels(ran.folder / "library.png"))
    assert main(COMMANDS["thumb"]) == 0 and capsys.readouterr().out == ran.alone["thumb"][1]


def test_exact_pixels_have_the_bytes_of_the_library(ran: Ran, codec: Codec, lossless_file: Path) -> None:
    source, library = ran.folder / "in" / "deep" / "b.png", semcomp.load(lossless_weights=lossless_file)
    assert (ran.folder / "exact.semc").read_bytes() == library.encode(source, lossless=True)
    for name in ("exact.png", "exact2.png"):  # by the graphs, and by a file of weights
        np.testing.assert_array_equal(pixels(ran.folder / name), pixels(source))


def test_graphs_are_a_folder_where_torch_is_installed_too(ran: Ran, capsys: Any) -> None:
    source, target = ran.folder / "in" / "a.png", ran.folder / "with torch.semc"
    arguments = ["encode", str(source), "-o", str(target), "-q", "60", "--graphs", str(ran.graphs)]
    assert main(arguments) == 0
    assert target.read_bytes() == (ran.folder / "semc" / "a.semc").read_bytes()
    assert isinstance(get_codec("base", None, None, None, str(ran.graphs)), EdgeCodec)
    capsys.readouterr()
    for more, said in ((["--model", "x"], "leave out --model x"), (["--effort", "7"], "leave out --graphs")):
        assert main([*arguments, "-f", *more]) != 0
        assert said in capsys.readouterr().err


def test_processes_compute_on_the_folder_too(ran: Ran, tmp_path: Path) -> None:
    more = ["-q", "60", "-j", "2", "--threads", "2", "--graphs", str(ran.graphs)]
    assert main(["encode", str(ran.folder / "in"), "-o", str(tmp_path), *more]) == 0
    for name in ("a.semc", "deep/b.semc"):
        assert (tmp_path / name).read_bytes() == (ran.folder / "semc" / name).read_bytes()


def test_map_computes_on_the_folder(ran: Ran, codec: Codec, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    graphs = ["--graphs", str(ran.graphs), "--quiet"]
    assert main(["map", "embed", str(ran.folder / "semc"), "-o", str(tmp_path / "rows"), *graphs]) == 0
    (first, _) = sorted(parquet.read_table(tmp_path / "rows").to_pylist(), key=lambda row: str(row["path"]))
    y = codec.latents((ran.folder / "semc" / "a.semc").read_bytes(), precise=True).y_hat[0].numpy().reshape(320, -1)
    np.testing.assert_allclose(first["embedding"], [*y.mean(1), *y.std(1)], atol=1e-4)


def test_restored_pictures_and_synthesised_ones(ran: Ran, codec: Codec, weights: Path, generator_file: Path) -> None:
    expected = np.asarray(semcomp.restore(ran.folder / "photo.jpg", weights=weights))
    assert np.abs(pixels(ran.folder / "restored.png") - expected).mean() < 0.4
    tiny = (ran.folder / "tiny.semc").read_bytes()
    ours, theirs = pixels(ran.folder / "tiny.png"), np.asarray(codec.decode(tiny, generator=generator_file))
    assert np.abs(ours - theirs).mean() <= 0.5
    assert semcomp.info(ran.folder / "labels.semc").label_map is not None


def test_photos_are_found_again(ran: Ran) -> None:
    hits = rows(ran.alone["search"][1])
    assert [hit["path"] for hit in hits] == ["semc/a.semc", "semc/deep/b.semc"]
    assert hits[0]["score"] > hits[1]["score"]
    embedding = read_embedding(read((ran.folder / "embedded.semc").read_bytes()))
    assert embedding is not None and embedding.head == "latents"


def test_an_index_of_the_library_is_searched_by_the_features_of_a_head(ran: Ran, capsys: Any) -> None:
    (hit,) = rows(ran.alone["search by features"][1])
    capsys.readouterr()
    assert main(["search", str(ran.folder / "library.index"), "--like", str(ran.folder / "in/a.png"), "--json"]) == 0
    (expected,) = rows(capsys.readouterr().out)
    assert hit["path"] == "in/deep/b.png" and hit["score"] == pytest.approx(expected["score"], abs=0.02)
    stored = read_embedding(read((ran.folder / "features.semc").read_bytes()))
    assert stored is not None and stored.head == "imagenette"
    vector = load_head("imagenette").features(semcomp.load().latents(ran.folder / "features.semc"))
    assert np.abs(stored.vector - 127 * vector / np.abs(vector).max()).max() < 12


def test_the_released_embedding_reads_the_features_of_graphs(
    ran: Ran, codec: Codec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, rng = load_head("imagenette"), np.random.default_rng(0)
    width = len(head.features(codec.latents(ran.folder / "features.semc")))
    weight = rng.normal(size=(5, width)).astype(np.float32)
    bias = np.zeros(5, np.float32)
    projection = Projection(weight=weight, bias=bias, name="embed", head=head.name, entropy_id=codec.entropy_id)
    save_projection(projection, tmp_path / "embed.safetensors")
    monkeypatch.setattr(projections, "EMBED", tmp_path / "embed.safetensors")
    client = EdgeCodec(ran.graphs)
    latents = client.latents((ran.folder / "features.semc").read_bytes())
    for name in (None, "embed"):
        embedding = open_embedder(name, client)(latents)
        expected = projection.of(head.features(codec.latents(ran.folder / "features.semc")))
        assert embedding.head == "embed"
        assert np.abs(embedding.vector - 127 * expected / np.abs(expected).max()).max() < 12


def test_heads_of_an_earlier_export_have_no_features(ran: Ran, codec: Codec) -> None:
    client = EdgeCodec(ran.graphs)
    for entry in client.bundle.manifest["graphs"].values():
        entry["outputs"] = [output for output in entry["outputs"] if output["name"] != "features"]
    latents = client.latents((ran.folder / "semc" / "a.semc").read_bytes())
    with pytest.raises(ModelError, match="imagenette without its features: export it again, or choose latents"):
        open_embedder("imagenette", client)(latents)
    assert open_embedder(None, client)(latents).head == "latents"


def test_a_client_lists_and_tests_itself(ran: Ran) -> None:
    listed = [(row["kind"], row["name"]) for row in rows(ran.alone["models"][1])]
    heads = [("head", "street"), ("head", "imagenette")]
    assert listed == [("codec", "base"), *heads, ("generator", "untrained"), ("lossless", "lossless")]
    report = rows(ran.alone["doctor"][1])[0]
    assert report["ok"] and report["versions"]["onnxruntime"] and "torch" not in report["versions"]
    assert [check["name"] for check in report["checks"]] == ["symbols", "coder"]
    assert report["library"] is False and list(report["extras"]) == ["scale"]
    lines = describe({**report, "extras": {"scale": False}})
    assert "extra      scale   not installed: pip install 'semcomp-edge[scale]'" in lines
    assert any(line.startswith("library    not installed: pip install semcomp (") for line in lines)


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        *((name, 1, f"this command needs the library on torch, {INSTALL}") for name in ("eval", "export", "compare")),
        ("push", 1, f"this command needs the library on torch, {INSTALL}"),
        ("as jpeg", 1, f"--as jpeg needs the library on torch, {INSTALL}"),
        ("effort", 1, f"--effort 7 needs the library on torch, {INSTALL}"),
        ("model", 1, f"Loading the weights mine.safetensors needs the library on torch, {INSTALL}"),
        ("weights", 1, f"Loading the weights mine.safetensors needs the library on torch, {INSTALL}"),
        ("device", 1, f"The device cuda needs the library on torch, {INSTALL}"),
        ("no head", 2, "give --head NAME, one of street, imagenette"),
        ("other head", 4, "has no head mine.safetensors; it has: street (segment), imagenette (classify)"),
        ("embedder", 4, "has no head objects; it has: street (segment), imagenette (classify)"),
        ("other folder", 4, "nowhere/manifest.json cannot be read (No such file or directory)"),
    ],
)
def test_what_a_client_does_not_have_it_says(ran: Ran, name: str, code: int, said: str) -> None:
    result = ran.alone[name]
    assert result[0] == code and not result[1]
    assert said in result[2] and len(result[2].splitlines()) == 1


class TestStandIns:
    """What `semcomp` resolves its names to where torch is not installed."""

    def test_names(self, graphs: Path, photo: NDArray[np.uint8]) -> None:
        program = (
            "import sys; from tests.command_alone import hide; hide()\n"
            f"import semcomp.edge.bundle, pathlib; semcomp.edge.bundle.INSTALLED = pathlib.Path({str(graphs)!r})\n"
            "import semcomp, numpy\n"
            "codec = semcomp.load()\n"
            "data = codec.encode(numpy.full((40, 50, 3), 90, numpy.uint8))\n"
            "assert codec.decode(data).size == (50, 40) and isinstance(codec, semcomp.Codec)\n"
            "assert semcomp.load_head('street')(codec.latents(data)).label_map.shape == (40, 50)\n"
            "import semcomp.pillow, io; from PIL import Image; assert Image.open(io.BytesIO(data)).load()\n"
        )
        subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)

    def test_what_they_refuse(self, graphs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        with pytest.raises(MissingExtraError, match="The device mps needs the library"):
            stand_ins.load(device="mps")
        with pytest.raises(MissingExtraError, match=r"Loading the weights a\.safetensors needs the library"):
            stand_ins.load("a.safetensors")
        with pytest.raises(TargetError, match="hold their weights: leave out model=other"):
            stand_ins.load("other", graphs=graphs)
        with pytest.raises(MissingExtraError, match="needs the library"):
            stand_ins.restore(b"", weights=tmp_path / "a.safetensors")
        with pytest.raises(ModelError, match=r"no graph of a restorer at .*restorer\.onnx"):
            stand_ins.restore(b"", weights=tmp_path / "restorer.onnx")
        with pytest.raises(ImageError, match="not a JPEG file"):
            stand_ins.restore(b"nothing", weights=graphs / "restorer.onnx")

    def test_what_to_install(self) -> None:
        program = (
            "from tests.command_alone import hide; hide()\n"
            "from semcomp.errors import MissingExtraError\n"
            "print(MissingExtraError('The hub', 'scale'), MissingExtraError('The client', 'edge'), sep='\\n')"
        )
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
        assert [line.partition(": ")[2] for line in done.stdout.splitlines()] == [
            "pip install 'semcomp-edge[scale]'",
            "pip install semcomp-edge",
        ]

    def test_no_graphs(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr("semcomp.edge.bundle.INSTALLED", tmp_path)
        for open_it in (EdgeCodec, stand_ins.load, lambda: stand_ins.load_head("street")):
            with pytest.raises(ModelError, match=r"no graphs are installed in .* pip install semcomp .* give a folder"):
                open_it()
