"""The browser client: its parts in node, its calls in Chromium, and the page as a person uses it.

Skipped where node, the npm modules or Chromium are missing: make test-web installs them. Graphs come from the folder
that SEMCOMP_EDGE names, from out/edge, or are exported anew. Screenshots go into out/web.
"""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks import common, web
from semcomp.bitstream.container import Chunk, ChunkKind, Container, read, write
from semcomp.bitstream.generator_note import GeneratorNote
from semcomp.bitstream.inspect import info
from semcomp.bitstream.keep_mask import unpack_keep
from semcomp.bitstream.label_map_header import VOID
from semcomp.bitstream.origin import read_origin
from semcomp.codec.codec import Codec
from semcomp.errors import SemcompWarning
from semcomp.generative.generator_file import load_generator
from semcomp.imaging.metrics import psnr_db
from semcomp.imaging.picture import from_array
from semcomp.pipeline.completion import GenerativePlan
from semcomp.semantics.head import load_head
from semcomp.semantics.limits import NO_LIMITS
from semcomp.semantics.results import Labels, Segmentation
from semcomp.semantics.stored import Semantics, read_labels, read_segmentation
from semcomp.semantics.upsample import full_resolution
from tests.web.fixture import make

ROOT = Path(__file__).parents[2]
WEB = ROOT / "examples" / "web"
PHOTO = ROOT / "examples" / "photo.png"
GOLDEN = sorted((ROOT / "tests" / "golden").glob("*.semc"))
CHROMIUM = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
HOW = "make test-web installs it"

if shutil.which("node") is None:
    pytest.skip(f"node is missing; {HOW}", allow_module_level=True)
if not (WEB / "node_modules" / "esbuild").is_dir():
    pytest.skip(f"examples/web/node_modules is missing; {HOW}", allow_module_level=True)


def node(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["node", *map(str, arguments)],
        cwd=WEB,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=1800,
    )


@pytest.fixture(scope="module")
def built() -> None:
    done = node("build.mjs")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def chromium() -> str:
    found = next((place for place in (os.environ.get("CHROMIUM"), *CHROMIUM) if place and Path(place).exists()), None)
    if found is None:
        pytest.skip(f"Chromium is missing; {HOW}")
    return found


@pytest.fixture(scope="module")
def graphs(exported_graphs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported graphs with heads that always answer: the photo of these tests is not of any head's kind."""
    folder = tmp_path_factory.mktemp("unlimited")
    for file in exported_graphs.iterdir():
        (folder / file.name).symlink_to(file)
    manifest = json.loads((exported_graphs / "manifest.json").read_text(encoding="utf-8"))
    for head in manifest["heads"].values():
        head["limits"] = None
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def exported_graphs(codec: Codec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    for place in (os.environ.get("SEMCOMP_EDGE"), ROOT / "out" / "edge"):
        manifest = Path(place or "") / "manifest.json"
        if place and manifest.is_file():
            found = json.loads(manifest.read_text(encoding="utf-8"))
            current = found["model_id"] == codec.model_id.hex() and {"street", "imagenette"} <= set(found["heads"])
            street = found.get("generators", {}).get("street", {})
            if current and street.get("id") == load_generator("street").generator_id.hex():
                return manifest.parent.resolve()
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)
    from semcomp.export.folder import export_onnx

    folder = tmp_path_factory.mktemp("edge")
    export_onnx(folder, heads=("street", "imagenette"), generators=("street",))
    return folder


def test_parts_agree_with_the_library(built: None, tmp_path: Path) -> None:
    """Coder, tables, rounding, label maps, masks, containers: examples/web/tests/*.test.mjs."""
    fixture = tmp_path / "fixture.json"
    fixture.write_text(json.dumps(make()), encoding="utf-8")
    done = node("--test", "--test-reporter=tap", "tests/", SEMCOMP_FIXTURE=str(fixture))
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "# skipped 0" in done.stdout and "# pass 0" not in done.stdout


@pytest.mark.filterwarnings("ignore:quality .* keeps only:semcomp.errors.SemcompWarning")
def test_refined_tables_in_node(
    built: None, refined_export: tuple[Codec, Path, Any], photo: NDArray[np.uint8], tmp_path: Path
) -> None:
    """The client on WebAssembly in node reads the library's files, and the library reads the client's."""
    codec, graphs, _ = refined_export
    jobs: list[dict[str, Any]] = []
    keep = np.zeros((6, 9), np.bool_)
    keep[1:4, 2:7] = True
    (tmp_path / "keep").write_bytes(keep.tobytes())
    for height, width in ((90, 131), (64, 64), (17, 121), (1, 1)):
        pixels = np.ascontiguousarray(photo[:height, :width])
        name = f"{width}x{height}"
        opaque = np.dstack([pixels, np.full((height, width), 255, np.uint8)])
        (tmp_path / f"{name}.pixels").write_bytes(opaque.tobytes())
        for quality in (1, 60, 100):
            save, size = f"{name}.{quality}", {"width": width, "height": height, "quality": quality}
            (tmp_path / f"{save}.library").write_bytes(codec.encode(pixels, quality=quality))
            jobs.append(
                {"do": "open", "file": str(tmp_path / f"{save}.library"), "decode": True, "save": f"{save}.read"}
            )
            jobs.append({"do": "encode", "pixels": str(tmp_path / f"{name}.pixels"), **size, "save": f"{save}.written"})
    jobs.append({**jobs[3], "keep": str(tmp_path / "keep"), "save": "kept"})
    damaged = bytearray((tmp_path / "131x90.60.library").read_bytes())
    damaged[-1] ^= 64
    (tmp_path / "damaged").write_bytes(damaged)
    jobs.append({"do": "open", "file": str(tmp_path / "damaged")})
    (tmp_path / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
    done = node("tests/nodeclient.mjs", graphs, tmp_path / "jobs.json", tmp_path)
    assert done.returncode == 0, done.stderr[-4000:]
    rows = json.loads(done.stdout)
    assert rows.pop()["error"]["kind"] == "format"
    for job, row in zip(jobs, rows, strict=False):
        assert "error" not in row, row
        path = tmp_path / f"{job['save']}.semc"
        data = path.read_bytes() if path.exists() else Path(job["file"]).read_bytes()
        symbols = codec.read_symbols(data)
        for end, dtype, expected in (("z", "<i2", symbols.z), ("y", "<i2", symbols.y), ("index", "i1", symbols.index)):
            assert np.array_equal(np.fromfile(tmp_path / f"{job['save']}.{end}", dtype), expected.ravel()), job
        if job["do"] == "open":
            shown = np.fromfile(tmp_path / f"{job['save']}.rgba", np.uint8).reshape(-1, 4)[:, :3].astype(int)
            assert np.abs(shown - np.asarray(codec.decode(data)).reshape(-1, 3)).max() <= 3
    assert len((tmp_path / "kept.semc").read_bytes()) < len((tmp_path / "131x90.60.written.semc").read_bytes())


def test_an_engine_that_sums_wrongly_is_refused(
    built: None, refined_export: tuple[Codec, Path, Any], photo: NDArray[np.uint8], tmp_path: Path
) -> None:
    """The tables of a file depend on exact sums, so the client compares some with the manifest."""
    codec, exported, _ = refined_export
    graphs = tmp_path / "graphs"
    shutil.copytree(exported, graphs)
    (tmp_path / "file").write_bytes(codec.encode(np.ascontiguousarray(photo[:64, :64]), quality=60))
    (tmp_path / "jobs.json").write_text(json.dumps([{"do": "open", "file": str(tmp_path / "file")}]), encoding="utf-8")
    manifest = json.loads((graphs / "manifest.json").read_text(encoding="utf-8"))
    assert set(manifest["products"]) == {"sigma", "refine"}
    for name in (None, *manifest["products"]):
        wrong = manifest["products"] | ({name: manifest["products"][name] ^ 1} if name else {})
        (graphs / "manifest.json").write_text(json.dumps(manifest | {"products": wrong}), encoding="utf-8")
        done = node("tests/nodeclient.mjs", graphs, tmp_path / "jobs.json", tmp_path)
        assert done.returncode == 0, done.stderr[-4000:]
        (row,) = json.loads(done.stdout)
        assert ("error" in row) == (name is not None)
        if name:
            assert row["error"]["kind"] == "model" and f"the graph {name} exactly" in row["error"]["message"]


# ---- calls of the client, all in one browser ----


def pictures() -> dict[str, NDArray[np.uint8]]:
    """R, G, B, A: a part of the sample photo, the same with transparency, and without colour."""
    with Image.open(PHOTO) as opened:
        part = np.asarray(opened.convert("RGBA").crop((120, 60, 120 + 211, 60 + 149))).copy()
    veiled, grey = part.copy(), part.copy()
    veiled[..., 3] = np.linspace(0, 255, part.shape[1]).astype(np.uint8)
    grey[..., :3] = part[..., 1:2]
    return {"photo": part, "veiled": veiled, "grey": grey}


def kept_positions() -> NDArray[np.bool_]:
    keep = np.zeros((10, 14), bool)
    keep[2:7, 3:9] = keep[6:9, 8:12] = True
    return keep


def library_files(codec: Codec) -> dict[str, bytes]:
    """Files of the library: golden ones, one with labels and a map, one that keeps a part, and what is refused."""
    part = np.ascontiguousarray(pictures()["photo"][..., :3])
    head = load_head("street")
    segmentation = head(codec.latents_of_image(part))
    assert isinstance(segmentation, Segmentation)
    labels = Labels(names=("dog", "Gräser"), scores=(0.75, 0.25), head="hand")
    picture, keep = from_array(part), kept_positions()
    note = GeneratorNote(name="street", generator_id=load_generator("street").generator_id, guided=True)
    plan = GenerativePlan(note=note, keep=keep, segmentation=segmentation, cell=8)
    y = codec.analyse(picture)
    data = codec.encode(part, quality=62, semantics=Semantics(labels=labels, segmentation=segmentation))
    container = read(data)
    files = {path.stem: path.read_bytes() for path in GOLDEN}
    files["told"] = data
    files["part"] = codec.pack(picture, codec.quantize(y, picture, quality=33, keep=keep), quality=33, plan=plan)
    files["flipped"] = data[:-1] + bytes([data[-1] ^ 1])
    files["cut"] = data[: len(data) // 2]
    files["symbols"] = write(Container(replace(container.header, symbol_crc=1), container.chunks))
    files["z"] = write(Container(replace(container.header, z_check=1), container.chunks))
    files["size"] = write(Container(replace(container.header, width=180), container.chunks))
    files["foreign"] = write(Container(replace(container.header, entropy_id=b"ANOTHER!"), container.chunks))
    files["picture"] = PHOTO.read_bytes()[:5000]
    giant = replace(container.header, width=20000, height=8000)
    padding = (Chunk(ChunkKind.SYMBOLS, b"abc"), Chunk(ChunkKind.PADDING, bytes(40000)))
    files["giant"] = write(Container(giant, padding))
    lost = bytearray(data)
    lost[-1 - len(container.get(ChunkKind.LABEL_MAP) or b"")] ^= 1  # the last byte of the chunk before it
    files["lost"] = bytes(lost)
    return files


REFUSED = {
    "flipped": None,
    "cut": ("format", "truncated"),
    "symbols": ("format", "checksum"),
    "z": ("format", "checksum"),
    "size": ("format", "checksum"),
    "foreign": ("model", "entropy id"),
    "picture": ("format", "not a .semc file"),
    "giant": ("memory", "megapixels"),
}
QUALITIES = (1, 50, 100)


class Driven:
    """What Chromium gave: rows by name, and the files that it wrote."""

    def __init__(self, folder: Path, result: dict[str, Any], names: list[str]) -> None:
        self.folder, self.result, self.names = folder, result, names
        self.rows = dict(zip(names, result["rows"], strict=True))

    def row(self, name: str) -> dict[str, Any]:
        row: dict[str, Any] = self.rows[name]
        assert "error" not in row, row["error"]
        return row

    def data(self, name: str, end: str, dtype: str = "u1") -> NDArray[np.uint8]:
        return np.fromfile(self.folder / f"job{self.names.index(name)}.{end}", dtype)


@pytest.fixture(scope="module")
def files(codec: Codec) -> dict[str, bytes]:
    return library_files(codec)


@pytest.fixture(scope="module")
def driven(
    built: None, chromium: str, graphs: Path, files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> Driven:
    folder = tmp_path_factory.mktemp("driven")
    jobs: dict[str, dict[str, Any]] = {}
    for name, pixels in pictures().items():
        path = folder / f"{name}.pixels"
        path.write_bytes(pixels.tobytes())
        height, width = pixels.shape[:2]
        for quality in QUALITIES if name == "photo" else (50,):
            jobs[f"{name} {quality}"] = {
                "do": "encode",
                "pixels": str(path),
                "width": width,
                "height": height,
                "quality": quality,
            }
    whole = jobs["photo 50"]
    (folder / "keep").write_bytes(kept_positions().tobytes())
    jobs["kept"] = {**whole, "keep": str(folder / "keep"), "head": "street"}
    jobs["stored"] = {**whole, "store": ["imagenette", "street"], "recognise": ["street", "imagenette"]}
    jobs["stored surely"] = {**jobs["stored"], "minConfidence": 0.9, "recognise": []}
    jobs["too large"] = {**whole, "width": 20000, "height": 8000}
    jobs["nothing kept"] = {**whole, "keep": str(folder / "none")}
    (folder / "none").write_bytes(bytes(140))
    for name, data in files.items():
        path = folder / f"{name}.library"
        path.write_bytes(data)
        jobs[f"file {name}"] = {"do": "open", "file": str(path), "decode": True, "faithful": True}
    jobs["completed"] = {**jobs["file part"], "faithful": False}
    jobs["file told"] |= {"stored": True, "recognise": ["street", "imagenette"], "decode": False}
    for number, job in enumerate(jobs.values()):
        job["save"] = f"job{number}"
    path = folder / "jobs.json"
    path.write_text(json.dumps(list(jobs.values())), encoding="utf-8")
    done = node("tests/drive.mjs", graphs, path, folder, CHROMIUM=chromium)
    assert done.returncode == 0, done.stderr[-4000:]
    return Driven(folder, json.loads(done.stdout), list(jobs))


def assert_same_symbols(driven: Driven, name: str, codec: Codec, data: bytes) -> None:
    symbols = codec.read_symbols(data)
    assert np.array_equal(driven.data(name, "z", "<i2"), symbols.z.ravel())
    assert np.array_equal(driven.data(name, "y", "<i2"), symbols.y.ravel())
    assert np.array_equal(driven.data(name, "index", "i1"), symbols.index.ravel())


@pytest.mark.parametrize("quality", QUALITIES)
def test_library_decodes_what_the_browser_encoded(driven: Driven, codec: Codec, quality: int) -> None:
    name, pixels = f"photo {quality}", np.ascontiguousarray(pictures()["photo"][..., :3])
    facts, data = driven.row(name)["facts"], driven.data(name, "semc").tobytes()
    assert_same_symbols(driven, name, codec, data)
    assert (facts["width"], facts["height"], facts["quality"], facts["bytes"]) == (211, 149, quality, len(data))
    own = codec.encode(pixels, quality=quality)
    assert abs(len(data) - len(own)) <= 0.01 * len(own) + 8
    decoded = np.asarray(codec.decode(data))
    assert psnr_db(pixels, decoded) > psnr_db(pixels, np.asarray(codec.decode(own))) - 0.1


def test_transparency_and_grey_cross(driven: Driven, codec: Codec) -> None:
    veiled = codec.decode(driven.data("veiled 50", "semc").tobytes())
    assert veiled.mode == "RGBA"
    assert np.array_equal(np.asarray(veiled)[..., 3], pictures()["veiled"][..., 3])
    grey = codec.decode(driven.data("grey 50", "semc").tobytes())
    assert grey.mode == "L"
    assert psnr_db(pictures()["grey"][..., 0], np.asarray(grey)) > 28


@pytest.mark.filterwarnings("ignore:.*not kept.*:semcomp.errors.SemcompWarning")
@pytest.mark.parametrize("name", [*(path.stem for path in GOLDEN), "told", "part"])
def test_browser_reads_files_of_the_library(driven: Driven, codec: Codec, files: dict[str, bytes], name: str) -> None:
    row = driven.row(f"file {name}")
    assert_same_symbols(driven, f"file {name}", codec, files[name])
    facts = info(files[name])
    assert (row["facts"]["width"], row["facts"]["height"]) == (facts.width, facts.height)
    assert row["facts"]["chunks"] == [{"name": chunk.kind, "bytes": chunk.bytes} for chunk in facts.chunks]
    if name != "told":
        expected = np.asarray(codec.decode(files[name], generator="faithful").convert("RGBA")).astype(int)
        shown = driven.data(f"file {name}", "rgba").reshape(expected.shape).astype(int)
        assert np.abs(shown - expected).max() <= 2
        assert row["decoderRuns"] == 1


def test_latents_are_recognised_without_the_decoder(driven: Driven, codec: Codec, files: dict[str, bytes]) -> None:
    row = driven.row("file told")
    assert row["decoderRuns"] == 0
    latents = codec.latents(files["told"], precise=True)
    street: Any = load_head("street")
    imagenette: Any = load_head("imagenette")
    street.limits = imagenette.limits = NO_LIMITS  # as in the graphs of these tests
    quality = torch.tensor([latents.quality])
    with torch.inference_mode():  # in float32 as on the page; the library runs heads in bfloat16 where it can
        logits = street.network(latents.y_hat, quality).numpy()
        scores = imagenette.network(latents.y_hat, quality).softmax(1)[0]
    expected = full_resolution(logits, height=latents.height, width=latents.width)
    drawn = driven.data("file told", "street.map").reshape(expected.shape)
    assert (drawn != expected).mean() < 0.005  # near a border between classes
    segmentation, labels = street(latents), imagenette(latents)
    assert isinstance(segmentation, Segmentation) and isinstance(labels, Labels)
    named = row["answers"]["imagenette"]["labels"]
    best = scores.argsort(descending=True)[:3]
    assert [label["name"] for label in named[:3]] == [imagenette.classes[k] for k in best.tolist()]
    assert np.allclose([label["score"] for label in named[:3]], scores[best].numpy(), atol=0.002)


def test_stored_labels_and_map_are_read(driven: Driven, files: dict[str, bytes]) -> None:
    row, container = driven.row("file told"), read(files["told"])
    stored = read_segmentation(container)
    assert stored is not None
    drawn = driven.data("file told", "stored.map").reshape(stored.label_map.shape)
    assert np.array_equal(drawn, stored.label_map)
    assert row["answers"]["stored"]["classes"] == list(stored.classes)
    assert [label["name"] for label in row["facts"]["storedLabels"]] == ["dog", "Gräser"]
    assert row["facts"]["labelsSource"] == "hand"


def test_labels_and_map_that_the_browser_stored(driven: Driven, files: dict[str, bytes]) -> None:
    row, container = driven.row("stored"), read(driven.data("stored", "semc").tobytes())
    labels, segmentation = read_labels(container), read_segmentation(container)
    assert labels is not None and segmentation is not None
    assert (labels.head, segmentation.head) == ("imagenette", "street")
    assert labels.names[0] == row["answers"]["imagenette"]["labels"][0]["name"]
    drawn = driven.data("stored", "street.map").reshape(149, 211)
    assert (drawn != segmentation.label_map).mean() < 0.1  # stored at a quarter of the resolution


def test_what_the_browser_stores_is_as_sure_as_it_was_asked(driven: Driven) -> None:
    plain, sure = (read(driven.data(name, "semc").tobytes()) for name in ("stored", "stored surely"))
    (some, drawn), (fewer, quieter) = ((read_labels(one), read_segmentation(one)) for one in (plain, sure))
    assert some is not None and drawn is not None and fewer is not None and quieter is not None
    assert fewer.scores == tuple(score for score in some.scores if score >= 0.9)
    silent = quieter.label_map == VOID
    assert silent.any() and np.array_equal(quieter.label_map[~silent], drawn.label_map[~silent])


def test_a_part_that_the_browser_kept(driven: Driven, codec: Codec) -> None:
    facts, data = driven.row("kept")["facts"], driven.data("kept", "semc").tobytes()
    assert_same_symbols(driven, "kept", codec, data)
    container = read(data)
    origin, body = read_origin(container), container.get(ChunkKind.REGIONS)
    assert origin is not None and body is not None
    assert np.array_equal(unpack_keep(body, width=211, height=149), kept_positions())
    assert (origin.generator, origin.guided, facts["kept"]) == ("street", True, origin.kept_share)
    assert read_segmentation(container) is not None
    assert container.header.flags == 1 and facts["synthesised"]
    assert len(data) < len(driven.data("photo 50", "semc"))
    with pytest.warns(SemcompWarning, match="not kept"):
        decoded = np.asarray(codec.decode(data, generator="faithful"))
    inside = np.repeat(np.repeat(kept_positions(), 16, 0), 16, 1)[:149, :211]
    inside &= np.roll(inside, 16, 0) & np.roll(inside, -16, 0) & np.roll(inside, 16, 1) & np.roll(inside, -16, 1)
    pixels = pictures()["photo"][..., :3]
    assert psnr_db(pixels[inside][None], decoded[inside][None]) > 25


def test_the_kept_part_of_a_file_of_the_library(driven: Driven) -> None:
    facts = driven.row("file part")["facts"]
    assert facts["kept"] == kept_positions().mean()
    assert np.array_equal(driven.data("file part", "keep").reshape(10, 14), kept_positions())


def test_the_generator_completes_what_is_not_stored(driven: Driven, codec: Codec, files: dict[str, bytes]) -> None:
    row = driven.row("completed")
    assert row["facts"]["completion"] == "street" and row["decoderRuns"] == 1
    assert "29.3 % of the picture" in row["synthesised"] and "synthesised by the generator street" in row["synthesised"]
    expected = codec.decode(files["part"])
    shown = driven.data("completed", "rgba").reshape(149, 211, 4)[..., :3]
    away = np.abs(shown.astype(int) - np.asarray(expected).astype(int))
    assert (away > 3).mean() < 0.01 and away.mean() < 1  # the library computes with fewer digits
    assert expected.info["synthesised"].startswith("Not a plain photograph")
    alone = driven.data("file part", "rgba").reshape(149, 211, 4)[..., :3]
    inside = np.repeat(np.repeat(kept_positions(), 16, 0), 16, 1)[:149, :211]
    assert driven.row("file part")["synthesised"] == ""
    assert np.abs(shown.astype(int) - alone)[~inside].mean() > 5


@pytest.mark.parametrize("name", REFUSED)
def test_refused_files_are_explained(driven: Driven, name: str) -> None:
    expected, row = REFUSED[name], driven.rows[f"file {name}"]
    if expected is None:  # the last byte is that of an optional chunk
        assert "is lost" in driven.row(f"file {name}")["facts"]["warnings"][0]
        return
    assert row["error"]["kind"] == expected[0]
    assert expected[1] in row["error"]["message"]


def test_a_damaged_chunk_costs_itself_alone(driven: Driven, codec: Codec, files: dict[str, bytes]) -> None:
    row = driven.row("file lost")
    assert_same_symbols(driven, "file lost", codec, files["lost"])
    assert [warning for warning in row["facts"]["warnings"] if "is lost" in warning]


def test_photos_that_cannot_be_taken_are_explained(driven: Driven) -> None:
    large, nothing = driven.rows["too large"]["error"], driven.rows["nothing kept"]["error"]
    assert large["kind"] == "memory" and "160 megapixels" in large["message"]
    assert nothing["kind"] == "image" and "nothing is to be kept" in nothing["message"]


def test_threads_and_progress(driven: Driven) -> None:
    facts, steps = driven.result["facts"], driven.row("photo 1")["steps"]
    assert facts["isolated"] and facts["simd"]
    assert facts["threads"] == min(4, len(os.sched_getaffinity(0))) or facts["threads"] >= 1
    assert steps["analysis"] == steps["quantize"] == steps["entropy"] == 1
    assert driven.result["strangers"] == []


def test_benchmark(
    built: None, chromium: str, graphs: Path, codec: Codec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(common, "load_codec", lambda options: codec)
    Image.fromarray(pictures()["photo"][:70, :90, :3]).save(tmp_path / "a.png")
    small = ("--qualities", "40", "--size", "96", "64", "--repeats", "1", "--skip-large", "--quiet")
    status = web.main([str(tmp_path), "--graphs", str(graphs), *small, "-o", str(tmp_path / "web.json")])
    result = json.loads((tmp_path / "web.json").read_text(encoding="utf-8"))
    assert result["differing"] == {"library": 0, "onnxruntime": 0, "Chromium": 0} and result["files"] == 2
    assert result["speed"]["encode_ms"] > result["speed"]["steps_ms"]["photo: analysis"] > 0
    assert status == (0 if result["passed"] else 1)


# ---- the page ----


@pytest.fixture(scope="module")
def used(
    built: None, chromium: str, graphs: Path, files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    shots, folder = ROOT / "out" / "web", tmp_path_factory.mktemp("page")
    shots.mkdir(parents=True, exist_ok=True)
    names = {"library.semc": files["told"], "damaged.semc": files["cut"]}
    for name, data in names.items():
        (folder / name).write_bytes(data)
    done = node(
        "tests/page.mjs", graphs, shots, PHOTO, folder / "library.semc", folder / "damaged.semc", CHROMIUM=chromium
    )
    assert done.returncode == 0, done.stderr[-4000:]
    result = json.loads(done.stdout)
    assert "failure" not in result, result
    return shots, result


def test_page_encodes_a_photo_and_gives_the_file(used: tuple[Path, dict[str, Any]], codec: Codec) -> None:
    shots, result = used
    seen, data = result["seen"]["photo"], (shots / "page.semc").read_bytes()
    assert (seen["name"], seen["bytes"]) == ("photo.semc", len(data))
    assert abs(seen["bpp"] - 8 * len(data) / 576**2) < 0.001
    with Image.open(PHOTO) as opened:
        original = np.asarray(opened.convert("RGB"))
    assert abs(psnr_db(original, np.asarray(codec.decode(data))) - seen["psnr"]) < 0.02


def test_page_follows_quality_divider_and_switch(used: tuple[Path, dict[str, Any]]) -> None:
    seen = used[1]["seen"]
    assert seen["finer"]["bytes"] > seen["photo"]["bytes"] and seen["finer"]["psnr"] > seen["photo"]["psnr"]
    assert seen["divider"][1] < seen["divider"][0]
    assert "Decoder runs 0" in seen["latents"]["proof"] and seen["latents"]["labels"]


def test_page_says_less_where_it_has_to_be_surer(used: tuple[Path, dict[str, Any]]) -> None:
    seen = used[1]["seen"]["sure"]
    assert not seen["at"] and seen["note"] == "Nothing known with 99 % or more." and seen["value"] == "99 %"
    assert seen["before"] and seen["after"] == seen["before"]


def test_page_asks_no_head_by_itself(used: tuple[Path, dict[str, Any]]) -> None:
    assert used[1]["seen"]["unaskedConfidence"] is False
    assert used[1]["seen"]["unasked"] == "Choose a head to ask what the picture shows."


def test_page_keeps_a_class(used: tuple[Path, dict[str, Any]], codec: Codec) -> None:
    shots, result = used
    data = (shots / "page-kept.semc").read_bytes()
    origin = read_origin(read(data))
    assert origin is not None and 0 < origin.kept_share < 1
    assert result["seen"]["kept"]["bytes"] == len(data) < result["seen"]["finer"]["bytes"]
    codec.read_symbols(data)
    made = 100 * (1 - origin.kept_share)
    note = f"{made:.{1 if made < 10 else 0}f} % synthesised by street"
    assert (result["seen"]["kept"]["note"], result["seen"]["kept"]["alone"]) == (note, "not stored")
    with Image.open(shots / "page-kept.png") as saved:
        assert saved.size == (576, 576) and "synthesised by the generator street" in saved.info["synthesised"]


def test_page_keeps_what_is_painted(used: tuple[Path, dict[str, Any]], codec: Codec) -> None:
    shots, result = used
    data = (shots / "page-painted.semc").read_bytes()
    origin = read_origin(read(data))
    assert origin is not None and 0.01 < origin.kept_share < 0.2 and len(data) == result["seen"]["painted"]["bytes"]
    body = read(data).get(ChunkKind.REGIONS)
    assert body is not None
    keep = unpack_keep(body, width=576, height=576)
    assert keep[18, 18] and not keep[:6].any() and not keep[-6:].any()  # a stroke through the middle


def test_page_stores_the_answer(used: tuple[Path, dict[str, Any]], codec: Codec) -> None:
    container = read((used[0] / "page-stored.semc").read_bytes())
    stored = read_segmentation(container)
    assert stored is not None and stored.head == "street" and stored.label_map.shape == (576, 576)
    assert read_labels(container) is not None and container.header.flags == 0


def test_page_opens_files_and_explains_damage(used: tuple[Path, dict[str, Any]], files: dict[str, bytes]) -> None:
    shots, result = used
    seen = result["seen"]
    assert seen["file"]["bytes"] == len(files["told"])
    assert "truncated" in seen["damaged"]["message"] and seen["damaged"]["title"].startswith("library.semc")
    assert not seen["narrow"]["scrolls"]
    assert result["strangers"] == [] and result["problems"] == []
    for name in ("photo-wide", "map-dark", "kept-wide", "file-narrow", "damaged-narrow", "photo-narrow"):
        with Image.open(shots / f"{name}.png") as shot:
            assert len(shot.convert("RGB").getcolors(1 << 24)) > 50


# ---- the page, where its heads keep quiet ----


@pytest.fixture(scope="module")
def quiet(built: None, chromium: str, exported_graphs: Path) -> dict[str, Any]:
    shots = ROOT / "out" / "web"
    shots.mkdir(parents=True, exist_ok=True)
    done = node("tests/quiet.mjs", exported_graphs, shots, PHOTO, CHROMIUM=chromium)
    assert done.returncode == 0, done.stderr[-4000:]
    result: dict[str, Any] = json.loads(done.stdout)
    assert "failure" not in result, result
    assert result["strangers"] == [] and result["problems"] == []
    return result


def test_page_asks_for_a_head_and_names_experimental_ones(quiet: dict[str, Any], exported_graphs: Path) -> None:
    ask = "Choose a head to ask what the picture shows."
    assert quiet["unasked"] == {"note": ask, "rows": 0, "map": ask, "checked": 0}
    heads = json.loads((exported_graphs / "manifest.json").read_text(encoding="utf-8"))["heads"]
    marked = {name: (head["limits"] or {}).get("experimental", False) for name, head in heads.items()}
    assert sorted(quiet["chips"]) == sorted(f"{name} (experimental)" if marked[name] else name for name in heads)


def test_page_says_where_nothing_is_known(quiet: dict[str, Any]) -> None:
    street, imagenette = quiet["answers"]["street"], quiet["answers"]["imagenette"]
    assert street == {"note": "Nothing known.", "rows": 0, "map": "Nothing known.", "checked": 1}
    assert (imagenette["note"], imagenette["rows"]) == ("Nothing known.", 0)


def test_page_stores_that_nothing_is_known(quiet: dict[str, Any], codec: Codec) -> None:
    data = (ROOT / "out" / "web" / "page-quiet.semc").read_bytes()
    labels, segmentation = read_labels(read(data)), read_segmentation(read(data))
    assert labels is not None and segmentation is not None
    assert (labels.head, labels.names, segmentation.head) == ("street", (), "street")
    assert (segmentation.label_map == VOID).all()
    codec.read_symbols(data)


def test_generator_needs_no_known_class(quiet: dict[str, Any], codec: Codec) -> None:
    data = (ROOT / "out" / "web" / "page-quiet-kept.semc").read_bytes()
    segmentation, origin = read_segmentation(read(data)), read_origin(read(data))
    assert segmentation is not None and (segmentation.label_map == VOID).all()
    assert origin is not None and 0 < origin.kept_share < 0.1
    assert "synthesised by the generator street" in codec.decode(data).info["synthesised"]


def test_page_says_that_the_rest_is_dropped(quiet: dict[str, Any], used: tuple[Path, dict[str, Any]]) -> None:
    assert "the rest is dropped from the file" in quiet["keep"]
    for what in ("kept", "painted"):
        hint = used[1]["seen"][what]["hint"]
        assert " % of the picture is kept. The rest is dropped from the file." in hint
