"""The exported restorer and its client without torch give what the library gives."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

import semcomp
from semcomp.cli.main import main
from semcomp.edge.bundle import FORMAT
from semcomp.edge.restorer import EdgeRestorer
from semcomp.errors import ImageError, ModelError
from semcomp.export.folder import export_onnx
from semcomp.restoration.restorer_file import TrainedRestorer
from tests.jpeg.files import KINDS, jpeg, photo
from tests.restoration.conftest import restorer as restorer
from tests.restoration.conftest import weights as weights

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def client(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> EdgeRestorer:
    folder = tmp_path_factory.mktemp("edge")
    assert main(["export", "onnx", "-o", str(folder), "--restorer", str(weights), "--quiet"]) == 0
    assert [path.name for path in folder.iterdir()] == ["restorer.onnx"]
    return EdgeRestorer(folder / "restorer.onnx", threads=1)


@pytest.mark.parametrize("strength", [1.0, 0.4])
@pytest.mark.parametrize("kind", ["baseline", "4:4:4 progressive", "4:2:2", "RGB", "grey"])
def test_the_client_shows_what_the_library_shows(
    kind: str, strength: float, client: EdgeRestorer, restorer: TrainedRestorer
) -> None:
    options = KINDS.get(kind, {"quality": 50})
    data = jpeg(photo(83, 130, grey=kind == "grey"), **options)
    ours = semcomp.restore(data, weights=restorer, strength=strength)
    theirs = client.restore(data, strength=strength)
    assert (ours.mode, ours.size) == (theirs.mode, theirs.size)
    difference = np.abs(np.asarray(ours).astype(int) - np.asarray(theirs))
    assert difference.mean() < 0.4  # the library multiplies in bfloat16 where the processor does
    assert client.restorer_id == restorer.restorer_id


def test_tiles_of_the_client_fit_together(client: EdgeRestorer, monkeypatch: pytest.MonkeyPatch) -> None:
    data = jpeg(photo(300, 280), quality=40)
    whole = np.asarray(client.restore(data)).astype(int)
    monkeypatch.setattr("semcomp.edge.restorer.TILE", 16)
    assert np.abs(whole - np.asarray(client.restore(data))).max() <= 1


def test_what_the_client_refuses(client: EdgeRestorer, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="not a JPEG file"):
        client.restore(b"nothing")
    with pytest.raises(ImageError, match="0 to 1"):
        client.restore(jpeg(photo(20, 20)), strength=2)
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match="export it again"):
        EdgeRestorer(tmp_path / "broken.onnx")


def test_a_folder_of_graphs_names_its_restorer(
    weights: Path, restorer: TrainedRestorer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"format": FORMAT, "name": "base"}))
    arguments = ["export", "onnx", "-o", str(tmp_path), "--restorer", str(weights), "--quiet", "-f"]
    assert main(arguments) == 0
    found = json.loads(manifest.read_text())
    data = (tmp_path / "restorer.onnx").read_bytes()
    assert found["name"] == "base"
    assert found["restorer"]["id"] == restorer.restorer_id.hex() and found["restorer"]["reach"] > 0
    assert found["restorer"]["sha256"] == hashlib.sha256(data).hexdigest()
    for force in (True, False):  # over a manifest, and after one was removed
        export_onnx(tmp_path, parts=["sigma"], heads=[], force=force)
        assert json.loads(manifest.read_text())["restorer"] == found["restorer"]
        manifest.unlink()
    manifest.write_text("{}")
    assert main(arguments) != 0
    assert "export the folder again" in capsys.readouterr().err
