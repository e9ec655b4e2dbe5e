"""Semantics beside the picture: answers of heads, how heads are found, what a file stores."""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace
from importlib import invalidate_caches
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import semcomp
from semcomp.bitstream.container import Chunk, ChunkKind, Container, read, write
from semcomp.codec.codec import Codec
from semcomp.errors import FormatError, ImageError, ModelError, SemcompError, SemcompWarning
from semcomp.semantics.head import Classifier, Labels, Segmentation, Segmenter, default_palette, head_names, load_head
from semcomp.semantics.stored import Semantics, from_heads, read_semantics
from semcomp.types import Latents

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

THIRD_PARTY = Path(__file__).parents[2] / "examples" / "third_party_head"


def halves(height: int, width: int) -> Segmentation:
    """Class 2 above, class 0 below."""
    label_map = np.zeros((height, width), np.uint8)
    label_map[: height // 4] = 2
    return Segmentation(label_map=label_map, classes=("road", "car", "sky"), palette=default_palette(3), head="halves")


class Halves(Segmenter):
    """A segmenter that always answers the same."""

    name, classes = "halves", ("road", "car", "sky")

    def __init__(self, entropy_id: bytes) -> None:
        self.entropy_id = entropy_id

    def answer(self, latents: Latents) -> Segmentation:
        return halves(latents.height, latents.width)


class Always(Classifier):
    """A classifier that always answers the same."""

    name, classes = "always", ("tiger", "lily")

    def __init__(self, entropy_id: bytes) -> None:
        self.entropy_id = entropy_id

    def answer(self, latents: Latents) -> Labels:
        return Labels(names=("tiger", "lily"), scores=(0.75, 0.001), head=self.name)


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installs the example package as pip would: its module on the path, its entry points beside it."""
    project = tomllib.loads((THIRD_PARTY / "pyproject.toml").read_text())["project"]
    (module,) = THIRD_PARTY.glob("*.py")
    (tmp_path / module.name).write_text(module.read_text())
    info = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    invalidate_caches()


# ------------------------------------------------------------------ answers


def test_areas_become_labels() -> None:
    labels = halves(40, 10).labels()
    assert labels.names == ("road", "sky") and labels.scores == (0.75, 0.25) and labels.head == "halves"
    assert halves(40, 10).present == (0, 2)
    background = replace(halves(40, 10), classes=("background", "car", "sky"))
    assert background.labels().names == ("sky",)
    assert halves(40, 10).labels(least=0.5).names == ("road",)
    assert halves(40, 10).labels(least=0.25).names == halves(40, 10).labels(least=0.0).names == ("road", "sky")


def test_the_palette_is_that_of_pascal_voc() -> None:
    assert default_palette(21)[:4] == ((0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0))
    assert default_palette(21)[15] == (192, 128, 128) and default_palette(21)[20] == (0, 64, 128)
    assert len(set(default_palette(256))) == 256


# ------------------------------------------------------------------ finding heads


def test_embedded_heads_are_found() -> None:
    assert {"street", "objects", "imagenette"} <= set(head_names())


def test_a_head_of_somebody_else_is_found(third_party: None, codec: Codec) -> None:
    assert "daylight" in head_names()
    head = load_head("daylight")
    for value, name in ((250, "bright"), (5, "dark")):
        picture = np.full((50, 70, 3), value, np.uint8)
        answer = head(codec.latents(codec.encode(picture, quality=30)))
        assert isinstance(answer, Labels) and answer.names[0] == name and answer.scores[0] > 0.9


def test_the_example_head_is_thirty_lines() -> None:
    (module,) = THIRD_PARTY.glob("*.py")
    assert len(module.read_text().splitlines()) <= 30


def test_a_head_that_does_not_import_says_so(third_party: None, tmp_path: Path, monkeypatch: Any) -> None:
    module = next(tmp_path.glob("semcomp_head_*.py"))
    module.write_text("import a_module_that_is_not_there\n")
    monkeypatch.delitem(sys.modules, module.stem, raising=False)
    with pytest.raises(ModelError, match=r"daylight .*does not load.*reinstall"):
        load_head("daylight")
    monkeypatch.delitem(sys.modules, module.stem, raising=False)
    module.write_text("def Daylight():\n    return 3\n")
    with pytest.raises(ModelError, match="gave a int"):
        load_head("daylight")


def test_a_head_refuses_latents_of_another_codec() -> None:
    import torch

    latents = Latents(
        y_hat=torch.zeros(1, 4, 1, 1), width=8, height=8, quality=50, entropy_id=b"12345678", model_id=b"12345678"
    )
    with pytest.raises(ModelError, match="the head always was trained on latents with entropy id"):
        Always(b"87654321")(latents)
    answer = Always(b"12345678")(latents)
    assert isinstance(answer, Labels) and answer.names[0] == "tiger"


# ------------------------------------------------------------------ what a file stores


def test_labels_and_map_come_back(codec: Codec, photo: NDArray[np.uint8]) -> None:
    heads = [Halves(codec.entropy_id), Always(codec.entropy_id)]
    data = codec.encode(photo, quality=30, semantics=from_heads(heads, cell=1))
    labels, segmentation = read_semantics(data)
    assert labels is not None and (labels.names, labels.head) == (("tiger",), "always")
    assert labels.scores == pytest.approx((0.75,), abs=1e-4)
    assert segmentation is not None and np.array_equal(segmentation.label_map, halves(90, 131).label_map)
    assert segmentation.classes == ("road", "car", "sky") and segmentation.palette == default_palette(3)
    assert codec.decode(data) == codec.decode(codec.encode(photo, quality=30))


def test_a_segmenter_alone_gives_labels_by_area(codec: Codec, photo: NDArray[np.uint8]) -> None:
    labels, segmentation = read_semantics(codec.encode(photo, semantics=from_heads([Halves(codec.entropy_id)])))
    assert labels is not None and segmentation is not None
    assert labels.names == ("road", "sky") and labels.scores[0] == pytest.approx(0.756, abs=0.01)
    assert segmentation.label_map.shape == (90, 131)
    only_map = from_heads([Halves(codec.entropy_id)], labels=False)
    assert read_semantics(codec.encode(photo, semantics=only_map))[0] is None
    only_labels = from_heads([Halves(codec.entropy_id)], label_map=False)
    assert read_semantics(codec.encode(photo, semantics=only_labels))[1] is None


def test_the_first_sixteen_labels_are_stored() -> None:
    class Unsure(Classifier):
        name, classes, entropy_id = "unsure", tuple(f"class {k}" for k in range(20)), bytes(8)

        def answer(self, latents: Latents) -> Labels:
            return Labels(names=self.classes, scores=(0.05,) * 20, head=self.name)

    y_hat = np.zeros((1, 1, 1, 1), np.float32)
    latents = Latents(y_hat=y_hat, height=16, width=16, quality=50, entropy_id=bytes(8), model_id=bytes(8))
    stored = from_heads([Unsure()])(latents).labels
    assert stored is not None and stored.names == Unsure.classes[:16]


def test_targets_count_the_semantics(codec: Codec, photo: NDArray[np.uint8]) -> None:
    own = Semantics(labels=Labels(names=tuple(f"name {k}" for k in range(40)), scores=(0.5,) * 40))
    encoded = codec.encode_to(photo, max_bytes=1500, semantics=own)
    assert len(encoded.data) <= 1500
    labels, _ = read_semantics(encoded.data)
    assert labels is not None and len(labels.names) == 40
    assert encoded.quality < codec.encode_to(photo, max_bytes=1500).quality


def test_a_map_of_another_size_is_refused(codec: Codec, photo: NDArray[np.uint8]) -> None:
    with pytest.raises(ImageError, match="the label map is 10x40, the picture 131x90"):
        codec.encode(photo, semantics=Semantics(segmentation=halves(40, 10)))


def test_info_prints_them_without_a_network(codec: Codec, photo: NDArray[np.uint8]) -> None:
    data = codec.encode(photo, semantics=from_heads([Halves(codec.entropy_id)]))
    info = semcomp.info(data)
    assert [label.name for label in info.labels] == ["road", "sky"] and info.labels_source == "halves"
    assert info.label_map is not None
    assert info.label_map.classes == ("road", "car", "sky") and info.label_map.cell == 4
    plain = info.to_dict()
    assert plain["labels"][0]["name"] == "road" and plain["label_map"]["source"] == "halves"
    assert semcomp.info(codec.encode(photo)).labels == ()


def damaged(data: bytes, kind: ChunkKind, body: bytes, *, honest: bool) -> bytes:
    """The file with another body of a chunk, its checksum made right (`honest`) or left as it was."""
    container = read(data)
    chunks = tuple(Chunk(c.kind, body if c.kind == kind else c.data) for c in container.chunks)
    changed = write(Container(container.header, chunks))
    if honest:
        return changed
    place = changed.index(body)
    return changed[:place] + bytes(255 - b for b in body) + changed[place + len(body) :]


@pytest.mark.parametrize("kind", [ChunkKind.TAGS, ChunkKind.LABEL_MAP])
def test_damage_to_the_payload_leaves_the_picture(codec: Codec, photo: NDArray[np.uint8], kind: ChunkKind) -> None:
    data = codec.encode(photo, semantics=from_heads([Halves(codec.entropy_id)]))
    body = read(data).get(kind)
    assert body is not None
    broken = damaged(data, kind, body, honest=False)
    with pytest.warns(SemcompWarning, match=f"{kind.name} is lost"):
        picture = codec.decode(broken)
    assert picture == codec.decode(data)
    assert any(kind.name in lost for lost in semcomp.info(broken).lost)
    with pytest.raises(FormatError, match=f"{kind.name} is lost"):
        read_semantics(broken)


@pytest.mark.parametrize("kind", [ChunkKind.TAGS, ChunkKind.LABEL_MAP])
def test_a_hostile_payload_is_an_error_of_ours(codec: Codec, photo: NDArray[np.uint8], kind: ChunkKind) -> None:
    data = codec.encode(photo, semantics=from_heads([Halves(codec.entropy_id)]))
    body = read(data).get(kind)
    assert body is not None
    rng = np.random.default_rng(0)
    picture = np.asarray(codec.decode(data))
    bodies = [b"", b"\xff" * 40, b"\x01" + b"\xff" * 300, body + b"\x00", body[:-1]]
    for _ in range(200):
        changed = bytearray(body)
        changed[rng.integers(len(changed))] = rng.integers(256)
        bodies.append(bytes(changed))
    refused = 0
    for number, hostile in enumerate(bodies):
        file = damaged(data, kind, hostile, honest=True)
        try:
            read_semantics(file)
        except SemcompError:
            refused += 1
        info = semcomp.info(file)  # what can be read of it, the rest is listed as lost
        assert info.width == 131
        if number < 8:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SemcompWarning)
                assert np.array_equal(np.asarray(codec.decode(file)), picture)
    assert refused >= 5
