"""The npm package: what is packed, its declarations, its element and its symbols, in Chromium and in Firefox."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import semcomp
from benchmarks import common, web_symbols
from semcomp.codec.codec import Codec
from semcomp.thumbs.text import to_text
from tests.web.test_web import ROOT, WEB, built, exported_graphs, files, node, pictures

__all__ = ["built", "exported_graphs", "files"]

PACKAGE = WEB / "packages" / "semcomp"
MANIFEST = json.loads((PACKAGE / "package.json").read_text(encoding="utf-8"))
SHOTS = ROOT / "out" / "web"
BROWSERS = ("chromium", "firefox")


def needs(browser: str) -> None:
    if not web_symbols.is_installed(browser):
        pytest.skip(f"{browser} is missing: apt-get install {web_symbols.COMMANDS[browser][0]} installs it")


@pytest.fixture(scope="module")
def package(built: None, exported_graphs: Path) -> Path:
    """The package's folder with its graphs, as npm packs it."""
    done = node(PACKAGE / "graphs.mjs", exported_graphs, "--heads", "street,imagenette")
    assert done.returncode == 0, done.stderr
    return PACKAGE


# ---- what is packed ----


def test_the_version_is_that_of_the_library() -> None:
    assert MANIFEST["version"] == semcomp.__version__
    notice = (PACKAGE / "NOTICE").read_text(encoding="utf-8")
    assert f"onnxruntime-web {MANIFEST['devDependencies']['onnxruntime-web']}:" in notice


def test_the_tarball_holds_what_a_page_needs(package: Path) -> None:
    done = node(
        shutil.which("npm") or "npm", "pack", "--dry-run", "--json", "--ignore-scripts", "--workspace", "semcomp"
    )
    assert done.returncode == 0, done.stderr
    (packed,) = json.loads(done.stdout)
    names = {entry["path"] for entry in packed["files"]}
    exported = [way for way in json.dumps(MANIFEST["exports"]).replace('"', " ").split() if way.startswith("./")]
    targets = {way.removeprefix("./") for way in exported if re.search(r"\.(js|ts|json)$", way)}
    assert targets <= names
    graphs = json.loads((package / "graphs" / "manifest.json").read_text(encoding="utf-8"))
    stored = [graphs["tables"], *graphs["graphs"].values()]
    assert {f"graphs/{entry['file']}" for entry in stored} | {"graphs/manifest.json"} <= names
    assert {"README.md", "LICENSE", "NOTICE", "dist/thumbs.safetensors"} <= names
    assert {f"dist/ort/ort-wasm-simd-threaded.{end}" for end in ("mjs", "wasm")} <= names
    assert not [name for name in names if name.startswith(("src/", "build/", "node_modules/"))]


def test_graphs_that_are_not_whole_are_not_packed(package: Path, tmp_path: Path) -> None:
    copy = tmp_path / "semcomp"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("dist", "build", "src"))
    assert node(copy / "graphs.mjs", "--check").returncode == 0
    (copy / "graphs" / "synthesis.onnx").write_bytes(b"")
    done = node(copy / "graphs.mjs", "--check")
    assert done.returncode == 1 and "synthesis.onnx is not whole" in done.stderr


def test_the_package_carries_no_generators_and_the_named_heads(package: Path, exported_graphs: Path) -> None:
    manifest = json.loads((package / "graphs" / "manifest.json").read_text(encoding="utf-8"))
    assert set(manifest["heads"]) == {"street", "imagenette"} and manifest["generators"] == {}
    assert not [name for name in manifest["graphs"] if name.startswith("generator_") or name == "blend"]
    done = node(package / "graphs.mjs", exported_graphs, "--heads", "streets")
    assert done.returncode == 1 and "there" not in done.stdout and "no head streets" in done.stderr


CONSUMER = """
import { configure, decode, encode, info, segment, SemcompError, type Decoded, type FileFacts } from "semcomp";
import { SemcImage } from "semcomp/element";
import { loadThumbTables, drawThumb } from "semcomp/thumb";

configure({ graphs: "/graphs/", threads: 1 });
const onProgress = (step: string, share: number) => console.log(step, share);
const decoded: Decoded = await decode(await fetch("photo.semc"), { faithful: true, onProgress });
const facts: FileFacts = await info(new Blob());
const { bytes } = await encode(decoded.imageData, { quality: 50 });
const width: number = facts.width + (await segment(bytes, { head: "street" })).map.length;
const element: SemcImage = document.createElement("semc-img");
element.loading = "lazy";
drawThumb(document.createElement("canvas"), "AOSL", await loadThumbTables());
export const kinds = (error: unknown) => (error instanceof SemcompError ? error.kind : width);
"""


@pytest.mark.parametrize("resolution", ["bundler", "nodenext"])
def test_declarations_serve_a_user(built: None, resolution: str) -> None:
    folder = WEB / "build" / f"consumer-{resolution}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    options = {
        "target": "ES2022",
        "strict": True,
        "noEmit": True,
        "types": [],
        "lib": ["ES2022", "DOM", "DOM.Iterable"],
    }
    options |= {"module": "ESNext" if resolution == "bundler" else "NodeNext", "moduleResolution": resolution}
    (folder / "tsconfig.json").write_text(
        json.dumps({"compilerOptions": options, "files": ["main.ts"]}), encoding="utf-8"
    )
    tsc = WEB / "node_modules" / "typescript" / "bin" / "tsc"
    (folder / "main.ts").write_text(CONSUMER, encoding="utf-8")
    done = node(tsc, "-p", folder)
    assert done.returncode == 0, done.stdout
    (folder / "main.ts").write_text(CONSUMER.replace("quality: 50", "quality: true"), encoding="utf-8")
    assert node(tsc, "-p", folder).returncode != 0


# ---- the element ----


@pytest.fixture(scope="module", params=BROWSERS)
def seen(
    request: pytest.FixtureRequest, package: Path, codec: Codec, files: dict[str, bytes], tmp_path_factory: Any
) -> dict[str, Any]:
    """What each browser showed of <semc-img>."""
    needs(request.param)
    folder, photo = tmp_path_factory.mktemp("element"), np.ascontiguousarray(pictures()["photo"][..., :3])
    (folder / "photo.semc").write_bytes(codec.encode(photo, quality=50, preview=48))
    (folder / "other.semc").write_bytes(codec.encode(np.ascontiguousarray(photo[:130, :90]), quality=50))
    (folder / "part.semc").write_bytes(files["part"])
    (folder / "damaged.semc").write_bytes(files["cut"])
    (folder / "thumb.txt").write_text(to_text(semcomp.thumb(photo)), encoding="utf-8")
    SHOTS.mkdir(parents=True, exist_ok=True)
    done = node("tests/element.mjs", request.param, folder, SHOTS / f"element-{request.param}.png")
    assert done.returncode == 0, done.stderr[-4000:]
    result: dict[str, Any] = json.loads(done.stdout)
    assert "failure" not in result, result
    assert result["strangers"] == [] and request.param in result["version"].lower()
    assert result["seen"]["defined"]
    shown: dict[str, Any] = result["seen"]
    return shown


def test_the_element_shows_a_picture_as_img_does(seen: dict[str, Any]) -> None:
    shown = seen["shows"]
    assert shown["before"] == {"complete": False, "natural": 0}
    assert (shown["event"], shown["complete"], shown["current"]) == ("load", True, "/files/photo.semc")
    assert shown["natural"] == shown["size"] == [211, 149]
    assert shown["same"] and shown["bytes"] > 0
    assert shown["preview"], "the stored thumbnail is seen before the picture"


def test_the_element_has_a_name_and_a_role(seen: dict[str, Any]) -> None:
    assert (seen["shows"]["role"], seen["shows"]["name"]) == ("img", "A street in the rain")
    assert seen["sizes"]["role"] == "presentation", 'alt="" marks decoration'


def test_the_element_has_the_sizes_of_img(seen: dict[str, Any]) -> None:
    sizes = seen["sizes"]
    assert sizes["width"] == [100, 71] and sizes["height"] == [71, 50]
    assert sizes["both"] == [120, 120] and sizes["fit"] == "cover"
    assert sizes["styled"] == [60, 120] and sizes["auto"] == [60, 60]
    assert sizes["nonsense"] == [211, 149]


def test_a_lazy_element_waits_until_it_is_near(seen: dict[str, Any]) -> None:
    assert seen["askedBefore"] == 0
    assert seen["lazy"] == {"early": 0, "event": "load", "natural": [90, 130]}


def test_the_element_says_what_is_wrong(seen: dict[str, Any]) -> None:
    fails = seen["fails"]
    assert (fails["event"], fails["kind"], fails["complete"]) == ("error", "format", True)
    assert fails["text"].startswith("A street (") and "truncated" in fails["text"] and "truncated" in fails["rejected"]
    assert fails["network"] == "network" and fails["fallback"] == ["the same as text"] and fails["tall"]
    assert fails["seen"] == ["none", "none"]
    assert fails["after"] == ["load", None, "none"], "another src is shown"


def test_the_last_src_counts(seen: dict[str, Any]) -> None:
    expected = {"events": ["load"], "natural": [90, 130], "src": "/files/other.semc", "name": "two"}
    assert seen["changes"] == expected


def test_what_is_not_stored_is_transparent(seen: dict[str, Any]) -> None:
    assert 0.2 < seen["partly"]["clear"] < 0.9
    assert abs(1 - seen["partly"]["kept"] - seen["partly"]["clear"]) < 0.1


def test_a_thumbnail_of_the_page_is_shown_first(seen: dict[str, Any]) -> None:
    assert seen["thumbnail"]["shown"] and not seen["thumbnail"]["complete"]
    assert seen["thumbnail"]["colours"] > 50


def test_the_calls_of_the_package(seen: dict[str, Any]) -> None:
    calls = seen["calls"]
    assert calls["encoded"][0] > 500 and calls["encoded"][1:] == [576, 576, 20]
    assert calls["info"] == [211, 149, 50, None]
    assert calls["dropped"] == "AbortError" and calls["busy"] == 30
    assert calls["answers"]["street"][0] == "segment" and calls["answers"]["street"][2] == 211 * 149
    assert calls["answers"]["imagenette"][0] == "classify"
    assert (calls["wrong"], calls["html"]) == ("image", "format")


# ---- symbols ----


@pytest.mark.parametrize("browser", BROWSERS)
def test_symbols_are_equal(
    browser: str, built: None, exported_graphs: Path, codec: Codec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table that `python -m benchmarks.web_symbols` prints, of one small photo."""
    needs(browser)
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(common, "load_codec", lambda options: codec)
    Image.fromarray(pictures()["photo"][..., :3]).save(tmp_path / "a.png")
    small = ("--side", "100", "--qualities", "1", "100", "--browsers", browser, "--quiet")
    out = tmp_path / "symbols.json"
    status = web_symbols.main([str(tmp_path), "--graphs", str(exported_graphs), *small, "-o", str(out)])
    result = json.loads(out.read_text(encoding="utf-8"))
    assert status == 0 and result["left_out"] == []
    assert [(row["writer"], row["reader"], row["differing"]) for row in result["rows"]] == [
        ("library", "semcomp.edge", 0),
        ("library", browser, 0),
        (browser, "semcomp.edge", 0),
        (browser, browser, 0),
    ]
    assert all(row["files"] == 2 and row["symbols"] > 1000 for row in result["rows"])


@pytest.mark.parametrize("browser", BROWSERS)
def test_a_page_without_isolation_has_one_thread_and_the_same_symbols(
    browser: str, built: None, exported_graphs: Path, codec: Codec, tmp_path: Path
) -> None:
    needs(browser)
    pixels = np.ascontiguousarray(pictures()["photo"][:80, :100])
    (tmp_path / "pixels").write_bytes(pixels.tobytes())
    job = {
        "do": "encode",
        "pixels": str(tmp_path / "pixels"),
        "width": 100,
        "height": 80,
        "quality": 60,
        "save": "made",
    }
    (tmp_path / "jobs.json").write_text(json.dumps([job]), encoding="utf-8")
    done = node("tests/drive.mjs", exported_graphs, tmp_path / "jobs.json", tmp_path, f"{browser}-alone")
    assert done.returncode == 0, done.stderr[-4000:]
    result = json.loads(done.stdout)
    assert not result["facts"]["isolated"] and result["facts"]["threads"] == 1
    symbols = codec.read_symbols((tmp_path / "made.semc").read_bytes())
    assert np.array_equal(np.fromfile(tmp_path / "made.y", "<i2"), symbols.y.ravel())


# ---- without a network ----


@pytest.mark.parametrize("browser", BROWSERS)
def test_the_page_works_without_a_network(browser: str, built: None, exported_graphs: Path) -> None:
    """It was opened once from a server that sends no headers of isolation, as that of a documentation."""
    needs(browser)
    SHOTS.mkdir(parents=True, exist_ok=True)
    done = node("tests/offline.mjs", browser, exported_graphs, SHOTS / f"offline-{browser}.png")
    assert done.returncode == 0, done.stderr[-4000:]
    result = json.loads(done.stdout)
    assert "failure" not in result, result
    assert result["files"] >= 15
    assert result["seen"]["status"].endswith("decoded")
    assert result["seen"]["isolated"], "the service worker lets threads run"
