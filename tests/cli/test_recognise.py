"""`semcomp classify`, `segment`, and `encode --semantics`: heads on the command line."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import semcomp
from heads.classifier import ClassifierConfig, ClassifierNetwork
from heads.head_file import HeadInfo, build_head, save_head
from heads.segmenter import SegmenterConfig, SegmenterNetwork
from semcomp.cli import latents_input
from semcomp.cli.batch import get_codec
from semcomp.cli.main import main
from semcomp.codec.codec import Codec
from semcomp.semantics.head import Segmenter, load_head
from semcomp.semantics.results import VOID, Labels, Segmentation
from semcomp.semantics.stored import Semantics, read_semantics
from semcomp.weights.files import WEIGHTS

NAMES = ("road", "car", "sky")
PALETTE = ((10, 20, 30), (200, 0, 0), (0, 0, 250))


@pytest.fixture(scope="module")
def files(codec: Codec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two heads of random weights, two .semc files and a PNG."""
    folder = tmp_path_factory.mktemp("recognise")
    torch.manual_seed(0)
    common: dict[str, Any] = {"classes": NAMES, "entropy_id": codec.entropy_id.hex()}
    classifier = ClassifierNetwork(ClassifierConfig(classes=3, latents=320, widths=(8, 8), blocks=(1, 1)))
    save_head(build_head(HeadInfo(name="c", task="classify", **common), classifier), folder / "c.safetensors")
    segmenter = SegmenterNetwork(SegmenterConfig(classes=3, latents=320, width16=8, width32=8, width4=4))
    info = HeadInfo(name="s", task="segment", palette=PALETTE, **common)
    save_head(build_head(info, segmenter), folder / "s.safetensors")
    rng = np.random.default_rng(0)
    for name, shape in (("a", (70, 90, 3)), ("b", (40, 33, 3))):
        small = rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)
        image = Image.fromarray(small).resize(shape[1::-1], Image.Resampling.BICUBIC)
        image.save(folder / f"{name}.png")
        (folder / f"{name}.semc").write_bytes(codec.encode(image, quality=60))
    (folder / "b.png").unlink()
    return folder


@pytest.fixture(autouse=True)
def here(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)


@pytest.fixture
def no_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    """No head runs by itself, as where none is installed."""
    monkeypatch.setattr(latents_input, "USUAL", {"classify": "missing", "segment": "missing"})


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


class TestClassify:
    def test_files_and_pictures(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["classify", "a.semc", "b.semc", "a.png", "--head", "c.safetensors", "--json", "-q", "60"]) == 0
        rows = records(capsys.readouterr().out)
        assert [row["input"] for row in rows] == ["a.semc", "b.semc", "a.png"]
        for row in rows:
            assert row["ok"] and row["output"] is None and row["head"] == "c"
            assert {label["name"] for label in row["labels"]} == set(NAMES)
            scores = [label["score"] for label in row["labels"]]
            assert scores == sorted(scores, reverse=True) and sum(scores) == pytest.approx(1, abs=1e-3)
        first, again = ({label["name"]: label["score"] for label in rows[k]["labels"]} for k in (0, 2))
        assert first == pytest.approx(again, abs=0.01)  # a picture is encoded first, at -q

    def test_the_line_and_top(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["classify", "a.semc", "--head", "c.safetensors", "--top", "1"]) == 0
        line = capsys.readouterr().out.strip()
        assert line.startswith("a.semc  ") and len(line.split()) == 3

    def test_a_segmenter_classifies_by_area(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["classify", "a.semc", "--head", "s.safetensors", "--json"]) == 0
        (row,) = records(capsys.readouterr().out)
        assert 0 < sum(label["score"] for label in row["labels"]) <= 1.001 and row["scores_are"] == "areas"
        assert main(["classify", "a.semc", "--head", "s.safetensors"]) == 0
        first = row["labels"][0]
        assert f"{first['name']} covers {100 * first['score']:.0f} %" in capsys.readouterr().out

    @pytest.mark.parametrize("command", ["classify", "segment --fresh", "encode --semantics", "encode --keep red -f"])
    def test_a_head_is_asked_for_where_the_usual_one_is_missing(
        self, no_usual: None, command: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        name, *more = command.split()
        assert main([name, "a.png", *more]) == 2
        err = capsys.readouterr().err
        assert "--head NAME" in err and "objects, street" in err
        assert ("imagenette" in err) == (command in ("classify", "encode --semantics")), "it draws no label map"

    def test_the_heads_that_run_by_themselves_know_a_dog(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        photo = str(Path(__file__).parents[2] / "examples" / "photo.png")
        assert main(["classify", photo]) == 0
        assert "golden retriever" in capsys.readouterr().out
        assert main(["segment", photo, "-o", str(tmp_path / "map.png")]) == 0
        assert "dog" in capsys.readouterr().out

    def test_a_head_that_knows_nothing_says_so(self, capsys: pytest.CaptureFixture[str]) -> None:
        photo = str(Path(__file__).parents[2] / "examples" / "photo.png")
        assert main(["classify", photo, "--head", "street"]) == 0
        assert "nothing known" in capsys.readouterr().out
        assert main(["classify", photo, "--head", "street", "--json"]) == 0
        (row,) = records(capsys.readouterr().out)
        assert row["labels"] == [] and row["ok"]

    def test_nothing_is_said_below_a_confidence(self, capsys: pytest.CaptureFixture[str]) -> None:
        for head in ("c.safetensors", "s.safetensors"):
            arguments = ["classify", "a.semc", "--head", head]
            assert main([*arguments, "--json", "--min-confidence", "0"]) == 0
            assert records(capsys.readouterr().out)[0]["known"] is True
            assert main([*arguments, "--json", "--min-confidence", "1"]) == 0
            (row,) = records(capsys.readouterr().out)
            assert row["labels"] == [] and row["known"] is False and row["ok"]
            assert main([*arguments, "--min-confidence", "1"]) == 0
            assert "nothing known" in capsys.readouterr().out
        with pytest.raises(SystemExit) as stop:
            main([*arguments, "--min-confidence", "80"])
        assert stop.value.code == 2 and "a number from 0 to 1" in capsys.readouterr().err

    def test_processes_give_the_same(self, capsys: pytest.CaptureFixture[str]) -> None:
        arguments = ["classify", "a.semc", "b.semc", "--head", "c.safetensors", "--json"]
        assert main(arguments) == 0
        one = records(capsys.readouterr().out)
        assert main([*arguments, "-j", "2"]) == 0
        two = records(capsys.readouterr().out)
        assert [row["labels"] for row in one] == [row["labels"] for row in two]

    def test_a_bad_file_does_not_stop_the_others(self, capsys: pytest.CaptureFixture[str], files: Path) -> None:
        (files / "bad.semc").write_bytes((files / "a.semc").read_bytes()[:60])
        try:
            code = main(["classify", "bad.semc", "a.semc", "missing.semc", "--head", "c.safetensors"])
        finally:
            (files / "bad.semc").unlink()
        out, err = capsys.readouterr()
        assert code == 1 and out.startswith("a.semc  ")
        assert "2 of 3 failed" in err and "bad.semc: " in err and "missing.semc: no such file" in err

    def test_a_head_that_is_not_there(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["classify", "a.semc", "--head", "nothing"]) == 4
        assert "no head called nothing" in capsys.readouterr().err


class TestSegment:
    def test_a_palette_png(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        target = tmp_path / "map.png"
        assert main(["segment", "a.semc", "--head", "s.safetensors", "-o", str(target), "--json"]) == 0
        (row,) = records(capsys.readouterr().out)
        assert row["stored"] is False and row["head"] == "s" and (row["width"], row["height"]) == (90, 70)
        with Image.open(target) as image:
            assert image.mode == "P" and image.size == (90, 70) and image.getpalette()[:9] == [*sum(PALETTE, ())]
            shares = np.bincount(np.asarray(image).ravel(), minlength=3) / 6300
        assert {c["name"]: c["share"] for c in row["classes"]} == {
            name: pytest.approx(share, abs=1e-3) for name, share in zip(NAMES, shares, strict=True) if share
        }

    def test_an_overlay_has_a_legend_below(self, tmp_path: Path) -> None:
        assert main(["segment", "*.semc", "--head", "s.safetensors", "--overlay", "-o", str(tmp_path / "o")]) == 0
        names = {path.name for path in (tmp_path / "o").iterdir()}
        assert names == {"a.overlay.png", "b.overlay.png"}
        with Image.open(tmp_path / "o" / "a.overlay.png") as image:
            assert image.width == 90 and image.height > 70 + 8
            assert image.getpixel((89, image.height - 1)) == (255, 255, 255)

    def test_nothing_is_overwritten(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        arguments = ["segment", "a.semc", "--head", "s.safetensors", "-o", str(tmp_path / "m.png")]
        assert main(arguments) == 0
        assert main(arguments) == 1
        assert "--force" in capsys.readouterr().err
        assert main([*arguments, "--force"]) == 0

    def test_classes_below_a_confidence_become_void(
        self, no_usual: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file, target = str(tmp_path / "x.semc"), str(tmp_path / "m.png")
        assert main(["encode", "a.png", "-o", file, "--semantics", "map", "--head", "s.safetensors"]) == 0
        capsys.readouterr()
        assert main(["segment", file, "-o", target, "--min-confidence", "1"]) == 2
        assert "--min-confidence runs a head" in capsys.readouterr().err
        arguments = ["segment", file, "-o", target, "-f", "--head", "s.safetensors"]
        assert main([*arguments, "--json"]) == 0
        (row,) = records(capsys.readouterr().out)
        assert row["known"] is True and row["classes"]
        assert main([*arguments, "--json", "--min-confidence", "1"]) == 0
        (row,) = records(capsys.readouterr().out)
        assert row["known"] is False and row["stored"] is False and row["classes"] == [] and row["unknown"] == 1
        assert main([*arguments, "--min-confidence", "1"]) == 0
        assert "nothing known" in capsys.readouterr().out

    def test_a_classifier_cannot_segment(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["segment", "a.semc", "--head", "c.safetensors", "-o", str(tmp_path / "m.png")]) == 2
        assert "semcomp classify" in capsys.readouterr().err


class TestStored:
    def test_encode_stores_and_segment_returns(
        self, no_usual: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = str(tmp_path / "x.semc")
        heads = ["--head", "s.safetensors", "--head", "c.safetensors", "--grid", "1"]
        assert main(["encode", "--semantics", "a.png", "-o", file, *heads, "--json"]) == 0
        (row,) = records(capsys.readouterr().out)
        assert row["semantics_bytes"] > 0
        labels, segmentation = read_semantics(Path(file).read_bytes())
        assert labels is not None and segmentation is not None
        assert labels.head == "c" and segmentation.head == "s"
        assert main(["info", file, "--json"]) == 0
        (row,) = records(capsys.readouterr().out)
        assert [label["name"] for label in row["labels"]] == list(labels.names) and row["labels_source"] == "c"
        assert row["label_map"]["classes"] == list(NAMES) and row["label_map"]["cell"] == 1

        def segment(*more: str) -> tuple[bool, NDArray[np.uint8]]:
            target = str(tmp_path / "y.png")
            assert main(["segment", file, "-o", target, "--force", "--json", *more]) == 0
            (row,) = records(capsys.readouterr().out)
            with Image.open(target) as image:
                return row["stored"], np.asarray(image)

        assert main(["segment", "a.png", "-o", str(tmp_path / "z.png")]) == 1
        assert "no label map is stored here: give --head NAME" in capsys.readouterr().err
        stored, label_map = segment()
        assert stored and np.array_equal(label_map, segmentation.label_map)
        fresh, again = segment("--fresh", "--head", "s.safetensors")
        assert not fresh and np.array_equal(again, label_map)

    def test_fresh_runs_the_head_whose_map_is_stored(
        self, codec: Codec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        street = load_head("street")
        assert isinstance(street, Segmenter)
        made = Segmentation(
            label_map=np.zeros((70, 90), np.uint8), classes=street.classes, palette=street.palette, head="street"
        )
        (tmp_path / "x.semc").write_bytes(codec.encode("a.png", semantics=Semantics(segmentation=made)))
        for more, stored in (([], True), (["--fresh"], False)):
            arguments = ["segment", str(tmp_path / "x.semc"), "--head", "street", "--force", "--json", *more]
            assert main(arguments) == 0
            assert records(capsys.readouterr().out)[0]["stored"] == stored

    def test_tags_and_maps_of_ones_own(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = tmp_path / "x.semc"
        mask = np.zeros((70, 90), np.uint8)
        mask[20:, 40:] = 1
        Image.fromarray(mask).save(tmp_path / "m.png")
        (tmp_path / "c.txt").write_text("paper\nink\n")
        arguments = ["--tag", "dog=0.98", "--tag", "beach", "--label-map", str(tmp_path / "m.png"), "--grid", "1"]
        assert main(["encode", "a.png", "-o", str(file), *arguments, "--classes", str(tmp_path / "c.txt")]) == 0
        labels, segmentation = read_semantics(file.read_bytes())
        assert labels is not None and segmentation is not None
        assert labels.names == ("beach", "dog") and labels.head == ""
        assert labels.scores == pytest.approx((1, 0.98), abs=1e-4)
        assert np.array_equal(segmentation.label_map, mask) and segmentation.classes == ("paper", "ink")
        capsys.readouterr()
        assert main(["info", str(file)]) == 0
        text = capsys.readouterr().out
        assert "dog 0.98" in text and "paper, ink" in text and "void" not in text

    @pytest.mark.parametrize("void", [None, 7])
    def test_void_of_a_map_of_ones_own(
        self, void: int | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file, mask = tmp_path / "x.semc", np.zeros((70, 90), np.uint8)
        mask[20:, 40:] = 1
        mask[:8] = void or 255
        Image.fromarray(mask).save(tmp_path / "m.png")
        (tmp_path / "c.txt").write_bytes("paper\r\nink\r\n".encode("utf-8-sig"))
        own = ["--label-map", str(tmp_path / "m.png"), "--classes", str(tmp_path / "c.txt")]
        own += ["--void", str(void)] if void else []
        assert main(["encode", "a.png", "-o", str(file), *own]) == 0
        _, segmentation = read_semantics(file.read_bytes())
        assert segmentation is not None and segmentation.classes == ("paper", "ink")
        assert (segmentation.label_map[:8] == VOID).all() and (segmentation.label_map[8:] != VOID).all()
        capsys.readouterr()
        assert main(["info", str(file)]) == 0
        assert "paper, ink, and void" in capsys.readouterr().out
        assert main(["segment", str(file), "-o", str(tmp_path / "y.png"), "--json"]) == 0
        assert records(capsys.readouterr().out)[0]["unknown"] == pytest.approx(8 / 70, abs=1e-3)
        with Image.open(tmp_path / "y.png") as image:
            assert (np.asarray(image.convert("RGBA"))[:8, :, 3] == 0).all()

    @pytest.mark.parametrize(
        "arguments",
        [
            ["a.png", "--void", "3"],
            ["a.png", "--tag", "dog=2"],
            ["a.png", "--classes", "c.txt"],
            ["a.png", "--head", "c.safetensors"],
            ["a.png", "--semantics", "map", "--head", "c.safetensors"],
            ["a.png", "--semantics", "labels", "--tag", "dog"],
            ["a.png", "a.semc", "--label-map", "m.png", "-o", "out"],
        ],
    )
    def test_wrong_usage(self, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        code: object
        try:
            code = main(["encode", *arguments])
        except SystemExit as stop:
            code = stop.code
        assert code == 2 and capsys.readouterr().err

    def test_a_damaged_map_is_said_and_the_head_runs(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = tmp_path / "x.semc"
        assert main(["encode", "a.png", "-o", str(file), "--semantics", "map", "--head", "s.safetensors"]) == 0
        data = bytearray(file.read_bytes())
        data[-1] ^= 255  # the map is the last chunk
        file.write_bytes(data)
        target = str(tmp_path / "y.png")
        capsys.readouterr()
        assert main(["segment", str(file), "-o", target, "--head", "s.safetensors", "--json"]) == 0
        out, err = capsys.readouterr()
        assert records(out)[0]["stored"] is False and "LABEL_MAP is lost" in err
        assert main(["decode", str(file), "-o", str(tmp_path / "z.png")]) == 0
        assert "LABEL_MAP is lost" in capsys.readouterr().err


def test_info_of_labels_needs_no_torch(codec: Codec, tmp_path: Path) -> None:
    import subprocess
    import sys

    from semcomp.semantics.head import Labels
    from semcomp.semantics.stored import Semantics

    buffer = io.BytesIO()
    Image.new("RGB", (20, 20)).save(buffer, "PNG")
    own = Semantics(labels=Labels(names=("dog",), scores=(1.0,)))
    file = tmp_path / "x.semc"
    file.write_bytes(get_codec("base", None, None).encode(buffer.getvalue(), semantics=own))
    program = (
        "import sys; sys.modules['torch'] = sys.modules['numpy'] = None\n"
        f"import semcomp; print(semcomp.info({str(file)!r}).labels[0].name)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "dog"
    assert semcomp.info(file).labels_source == ""


def test_models_lists_the_heads(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 0
    heads = {row["name"]: row for row in records(capsys.readouterr().out) if row["kind"] == "head"}
    assert {"street", "objects", "things", "imagenette"} <= heads.keys()
    assert heads["street"]["task"] == "segment" and len(heads["street"]["classes"]) == 11
    assert heads["imagenette"]["task"] == "classify" and "tench" in heads["imagenette"]["classes"]
    assert not any(row["experimental"] for row in heads.values())
    assert "images of another kind" in heads["street"]["limits"]


@pytest.mark.parametrize("name", ["street", "objects", "things", "imagenette"])
def test_embedded_heads_fit_the_embedded_codec(codec: Codec, name: str) -> None:
    head = semcomp.load_head(name)
    assert head.entropy_id == codec.entropy_id and head.origin
    answer = head(codec.latents_of_image(np.zeros((40, 56, 3), np.uint8), quality=50))
    if head.task == "segment":
        assert (
            isinstance(answer, Segmentation)
            and answer.label_map.shape == (40, 56)
            and set(np.unique(answer.label_map)) <= {*range(len(head.classes)), VOID}
        )
    else:
        assert isinstance(answer, Labels) and set(answer.names) <= set(head.classes)
        assert len(head.classes) == {"imagenette": 10, "things": 1000}[name]


def test_models_takes_every_name_that_it_lists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "street", "restorer", "--json"]) == 0
    assert [record["kind"] for record in records(capsys.readouterr().out)] == ["head", "generator", "restorer"]
    for name in ("imagenette", "generator_photos", "restorer_jpeg2000"):
        file = tmp_path / f"my_{name}.safetensors"
        file.write_bytes((WEIGHTS / f"{name}.safetensors").read_bytes())
        assert main(["models", str(file)]) == 0
    capsys.readouterr()
    assert main(["models", "nowhere", "street"]) == 4
    assert "semcomp models: nowhere: no codec called nowhere" in capsys.readouterr().err
    assert main(["push", str(tmp_path / "my_restorer_jpeg2000.safetensors"), "org/a", "--show-card"]) == 4
    assert "is a restorer" in capsys.readouterr().err


class TestUsualHeads:
    """Which heads run where none is named."""

    def test_commands_run_them(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["classify", "a.semc", "b.semc", "--json", "-j", "2"]) == 0
        assert [row["head"] for row in records(capsys.readouterr().out)] == ["things"] * 2
        for more in ([], ["--fresh"], ["--min-confidence", "0.2"]):
            assert main(["segment", "a.semc", "-o", str(tmp_path / "a.png"), "--force", "--json", *more]) == 0
            (row,) = records(capsys.readouterr().out)
            assert row["head"] == "objects" and not row["stored"]
        assert main(["map", "classify", "a.semc", "-o", str(tmp_path / "rows"), "--json"]) == 0
        file = str(tmp_path / "a.semc")
        assert main(["encode", "--semantics", "labels,map", "a.png", "-o", file]) == 0
        labels, segmentation = read_semantics(Path(file).read_bytes())
        assert labels is not None and labels.head == "things"
        assert segmentation is not None and segmentation.head == "objects"
        assert main(["encode", "a.png", "--keep", "person,cat,dog", "--drop", "-o", file, "--force"]) == 1
        assert "the head objects found person 0 %" in capsys.readouterr().err

    def test_a_stored_map_comes_first(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = str(tmp_path / "a.semc")
        assert main(["encode", "--semantics", "map", "--head", "s.safetensors", "a.png", "-o", file]) == 0
        assert main(["segment", file, "-o", str(tmp_path / "a.png"), "--json"]) == 0
        (row,) = records(capsys.readouterr().out.splitlines()[-1])
        assert row["head"] == "s" and row["stored"]

    def test_an_experimental_one_is_left_to_who_asks_for_it(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(latents_input, "is_experimental", lambda name: name == "things")
        assert main(["classify", "a.semc"]) == 2
        assert "no head is asked by itself: give --head NAME" in capsys.readouterr().err
