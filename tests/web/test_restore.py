"""The TypeScript reader and restorer of JPEG files give what the Python ones give, coefficient by coefficient."""

from __future__ import annotations

import base64
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from semcomp.cli.main import main
from semcomp.edge.restorer import EdgeRestorer
from semcomp.errors import ImageError
from semcomp.jpeg.reader import read_jpeg
from semcomp.jpeg.segments import DHT
from tests.jpeg.files import KINDS, beyond_16_bits, jpeg, photo, without
from tests.restoration.conftest import restorer, weights
from tests.web.test_package import BROWSERS, SHOTS, needs
from tests.web.test_web import built, exported_graphs, node

__all__ = ["built", "exported_graphs", "restorer", "weights"]

STRENGTHS = (1.0, 0.4)
FORMS = ("baseline", "progressive")
PICTURES = ("baseline", "4:4:4 progressive", "4:2:2", "RGB", "grey", "very low quality", "beyond 16 bits, baseline")


class WildNetwork:
    """Corrections that are far too large, so that the cells decide. tests/restore.mjs has the same."""

    def run(self, names: None, inputs: dict[str, NDArray[Any]]) -> tuple[NDArray[np.float32]]:
        blocks, windows, places = (inputs[name][0].astype(np.float64) for name in ("blocks", "windows", "places"))
        flags = inputs["flags"][0]
        seen = inputs["steps"].reshape(-1)[5] + flags[0] + 2 * flags[1] + 4 * flags[2]
        phase = 0.37 * np.arange(192) + seen + places[..., :1] + 2 * places[..., 1:]
        return ((30 * np.sin(phase) + 0.1 * blocks + 0.05 * windows[..., ::2])[None].astype(np.float32),)


def wild_restorer() -> EdgeRestorer:
    restorer = object.__new__(EdgeRestorer)
    restorer._session, restorer._halo, restorer.restorer_id = WildNetwork(), 12, bytes(8)
    return restorer


def text(data: bytes | bytearray) -> str:
    return base64.b64encode(data).decode()


def described(name: str, data: bytes) -> dict[str, Any]:
    file = read_jpeg(data)
    planes = [
        {
            "rows": plane.coefficients.shape[0],
            "columns": plane.coefficients.shape[1],
            "coefficients": text(plane.coefficients.astype("<i2").tobytes()),
            "steps": plane.steps.tolist(),
        }
        for plane in file.planes
    ]
    return {"name": name, "file": text(data), "width": file.width, "height": file.height, "planes": planes}


def damaged(data: bytes) -> list[dict[str, str | None]]:
    """Cut and changed files, and what the Python reader says of each. None where it refuses one."""
    rng, found = np.random.default_rng(4), []
    for number in range(80):
        changed = bytearray(data)
        at = int(rng.integers(2, len(data)))
        changed[at:] = b"" if number % 3 == 0 else bytes([changed[at] ^ (1 << number % 8)]) + changed[at + 1 :]
        try:
            damage: str | None = read_jpeg(bytes(changed)).damage
        except ImageError:
            damage = None
        found.append({"file": text(changed), "damage": damage})
    return found


def encoded(image: Image.Image, form: str) -> bytes:
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()


@pytest.mark.usefixtures("built")
def test_files_are_read_and_restored_as_in_python(tmp_path: Path) -> None:
    files = {name: jpeg(photo(83, 130), **options) for name, options in KINDS.items()}
    files |= {"grey": jpeg(photo(83, 130, grey=True)), "one pixel": jpeg(photo(1, 1)), "thin": jpeg(photo(200, 5))}
    files |= {"without codes": without(files["baseline"], DHT), "grey without codes": without(files["grey"], DHT)}
    files |= {f"beyond 16 bits, {form}": beyond_16_bits(progressive=form == "progressive")[0] for form in FORMS}
    for turn in range(2, 9):
        exif = Image.Exif()
        exif[0x0112] = turn
        files[f"orientation {turn}"] = jpeg(photo(40, 56), quality=50, exif=exif.tobytes())
    files["orientation by XMP"] = jpeg(photo(40, 56), quality=50, xmp=b'<x tiff:Orientation="6"/>')
    restorer, pictures = wild_restorer(), []
    for name in (*PICTURES, *(name for name in files if name.startswith("orientation"))):
        for strength in STRENGTHS if name in PICTURES else (1.0,):
            image = restorer.restore(files[name], strength=strength).convert("RGB")
            row = {"name": name, "file": text(files[name]), "strength": strength, "pixels": text(image.tobytes())}
            pictures.append(row | {"width": image.width, "height": image.height})
    fixture = {
        "files": [described(name, data) for name, data in files.items()],
        "pictures": pictures,
        "damaged": damaged(files["baseline"]) + damaged(files["4:2:2 progressive"]),
        "refused": text(without(files["progressive"], DHT)),
        "cmyk": text(encoded(Image.new("CMYK", (20, 20)), "JPEG")),
        "png": text(encoded(Image.new("RGB", (2, 2)), "PNG")),
    }
    path = tmp_path / "restore.json"
    path.write_text(json.dumps(fixture))
    done = node("--test", "--test-reporter=tap", "tests/restore.mjs", SEMCOMP_RESTORE=str(path))
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "# skipped 0" in done.stdout
    assert f"# pass {len(files) + len(pictures) + 3}" in done.stdout


# ---- the page ----


@pytest.mark.parametrize("browser", BROWSERS)
def test_the_page_shows_a_jpeg_file_before_and_after(
    browser: str, built: None, exported_graphs: Path, weights: Path, tmp_path: Path
) -> None:
    needs(browser)
    pytest.importorskip("onnxscript")
    graphs = tmp_path / "graphs"
    shutil.copytree(exported_graphs, graphs)
    assert main(["export", "onnx", "-o", str(graphs), "--restorer", str(weights), "--quiet", "--force"]) == 0
    data = jpeg(photo(160, 200), quality=20)
    (tmp_path / "photo.jpg").write_bytes(data)
    SHOTS.mkdir(parents=True, exist_ok=True)
    done = node("tests/restoretab.mjs", browser, graphs, tmp_path / "photo.jpg", SHOTS / f"restored-{browser}.png")
    assert done.returncode == 0, done.stderr[-4000:]
    result = json.loads(done.stdout)
    assert "failure" not in result, result
    seen = result["seen"]
    assert seen["offered"] and seen["divider"] and seen["tag"] == "Restored" and "nothing is invented" in seen["hint"]
    assert seen["sizes"] == [200, 160, 200, 160] and result["strangers"] == []
    assert seen["changed"] > 0.05 and seen["mean"] < 12
    expected = np.asarray(EdgeRestorer(graphs / "restorer.onnx", threads=1).restore(data).convert("RGBA"))
    shown = np.array(seen["rgba"]).reshape(-1, 4)
    assert np.abs(shown - expected.reshape(-1, 4)[: len(shown)].astype(int)).max() <= 1
