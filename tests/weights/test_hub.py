"""Weights on a hub: pushed, loaded by name and commit, checked, and found again without the network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("huggingface_hub", reason="needs pip install 'semcomp[scale]'")

import semcomp
from semcomp.cli.main import main
from semcomp.errors import MissingExtraError, ModelError
from semcomp.generative.generator_file import load_generator
from semcomp.storage.files import write_bytes
from semcomp.weights.card import card_of
from semcomp.weights.files import WEIGHTS
from semcomp.weights.hub import fetch, hub_name, located
from tests.weights.hub_server import Hub, running_hub

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """An empty hub, which the environment names, and an empty cache."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    monkeypatch.chdir(tmp_path)
    with running_hub() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.address)
        yield running


def pushed(name: str, repository: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Push weights of the package; returns the name with the commit."""
    capsys.readouterr()
    assert main(["push", name, repository, "--license", "apache-2.0", "--json"]) == 0
    return str(json.loads(capsys.readouterr().out)["name"])


def test_a_head_is_pushed_and_loaded(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    name = pushed("imagenette", "org/scenes", capsys)
    head, own = semcomp.load_head(name), semcomp.load_head("imagenette")
    assert head.classes == own.classes and head.limits == own.limits, "the limits travel too"
    assert semcomp.load_head("org/scenes").classes == own.classes
    card = hub.files("org/scenes", "main")[1]["README.md"].decode()  # type: ignore[index]
    assert "license: apache-2.0" in card and "pipeline_tag: image-classification" in card
    assert own.entropy_id.hex() in card and "golf ball" in card and 'semcomp.load_head("org/scenes@COMMIT")' in card
    assert "Imagenette" in card, "the card of the package follows"


def test_a_codec_and_a_generator_are_loaded(hub: Hub, codec: Any, capsys: pytest.CaptureFixture[str]) -> None:
    loaded = semcomp.load(pushed("base", "org/base", capsys))
    assert loaded.model_id == codec.model_id and loaded.entropy_id == codec.entropy_id
    made = load_generator(pushed("generator_street", "org/street", capsys))
    assert made.generator_id == load_generator("street").generator_id


def test_a_pinned_commit_stays_and_the_branch_moves(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    first = pushed("imagenette", "org/scenes", capsys)
    commit, files = hub.repositories["org/scenes"][0]
    other = (WEIGHTS / "street.safetensors").read_bytes()
    import hashlib

    manifest = json.loads(files["semcomp.json"])
    manifest["files"] = {"street.safetensors": hashlib.sha256(other).hexdigest()}
    moved = {**files, "street.safetensors": other, "semcomp.json": json.dumps(manifest).encode()}
    hub.repositories["org/scenes"].append(("b" * 40, moved))
    assert semcomp.load_head(first).task == "classify" and first.endswith(commit)
    assert semcomp.load_head("org/scenes").task == "segment"
    assert fetch("org/scenes").pinned == f"org/scenes@{'b' * 40}"


def test_without_the_network_the_cache_answers(hub: Hub, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    name = pushed("imagenette", "org/scenes", capsys)
    semcomp.load_head(name)
    semcomp.load_head("org/scenes")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens
    assert semcomp.load_head(name).task == semcomp.load_head("org/scenes").task == "classify"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert semcomp.load_head(name).task == "classify"
    with pytest.raises(ModelError, match=r"semcomp\.json of org/never is not in the cache"):
        semcomp.load_head("org/never")


def test_a_file_that_was_changed_is_refused(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    pushed("imagenette", "org/scenes", capsys)
    files = hub.repositories["org/scenes"][0][1]
    files["imagenette.safetensors"] = files["imagenette.safetensors"][:-1] + b"x"
    with pytest.raises(ModelError, match=r"has the SHA-256 .*, and its manifest says"):
        semcomp.load_head("org/scenes")


def test_a_manifest_cannot_name_files_elsewhere(hub: Hub) -> None:
    evil = {"format": "semcomp-weights-1", "files": {"../../x.safetensors": "00"}}
    hub.repositories["org/evil"] = [("a" * 40, {"semcomp.json": json.dumps(evil).encode()})]
    with pytest.raises(ModelError, match="outside of its folder"):
        semcomp.load_head("org/evil")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("org/nowhere", "the hub has no repository org/nowhere"),
        ("org/empty@v9", "org/empty has no revision v9"),
        ("org/empty", r"org/empty has no semcomp\.json"),
    ],
)
def test_what_is_missing_is_said(hub: Hub, name: str, message: str) -> None:
    hub.repositories["org/empty"] = [("a" * 40, {})]
    with pytest.raises(ModelError, match=message):
        semcomp.load(name)


def test_a_name_on_the_hub_is_told_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert hub_name("org/name") is not None
    (tmp_path / "org").mkdir()
    (tmp_path / "org/name").write_bytes(b"")
    assert hub_name("org/name") is None and located("org/name") == "org/name"


def test_weights_behind_a_url(tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    for suffix in (".safetensors", ".limits.json"):
        write_bytes(f"memory://weights/scenes{suffix}", (WEIGHTS / f"imagenette{suffix}").read_bytes())
    assert semcomp.load_head("memory://weights/scenes.safetensors").limits == semcomp.load_head("imagenette").limits


def test_a_missing_package_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"The hub needs .* pip install 'semcomp\[scale\]'"):
        semcomp.load("org/name")


def test_show_card_uploads_nothing(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["push", "street", "org/street", "--show-card"]) == 0
    assert "# street" in capsys.readouterr().out and not hub.repositories
    assert main(["push", "street", "street"]) == 2
    assert main(["push", "nowhere", "org/street"]) == 4


def test_a_card_says_that_a_head_is_experimental() -> None:
    card = card_of({"kind": "head", "name": "x", "task": "segment", "experimental": True}, repository="o/x")
    assert "**Experimental" in card and "image-segmentation" in card and "license" not in card
