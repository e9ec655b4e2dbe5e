"""One verb over many files: rows, errors, resuming, dying workers, shards, and both engines."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from semcomp.bitstream.container import ChunkKind, read_header
from semcomp.cli.main import main
from semcomp.codec.codec import Codec
from semcomp.errors import FormatError, SemcompWarning, TargetError
from semcomp.imaging.exact import exact_picture
from semcomp.scale.run_folder import Block, Input, RunFolder, in_blocks
from semcomp.scale.task import MapTask
from semcomp.scale.verbs import Tools, decode_row, embed_row, encode_row, segment_row
from semcomp.semantics.head import Segmentation, default_palette, load_head
from semcomp.semantics.stored import Semantics
from semcomp.storage.files import read_bytes
from semcomp.storage.shards import pack_shard, read_shard
from tests.conftest import texture

pq = pytest.importorskip("pyarrow.parquet", reason="needs pip install 'semcomp[scale]'", exc_type=ImportError)

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Forty small .semc files, one of them damaged, in two folders."""
    kinds = sorted(GOLDEN.glob("*.semc"))
    for number in range(40):
        target = tmp_path / "in" / f"{number % 2}" / f"{number:03}.semc"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(kinds[number % len(kinds)], target)
    (tmp_path / "in/1/013.semc").write_bytes(b"damaged")
    return tmp_path / "in"


def rows_of(place: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(place).to_pylist()
    return rows


def check_whole(place: Path, files: Path) -> None:
    """Every file has one row, in the order of the files; the damaged one has its error."""
    rows = rows_of(place)
    assert [Path(row["path"]) for row in rows] == sorted(files.rglob("*.semc"))
    failed = [row for row in rows if row["error"]]
    assert [Path(row["path"]).name for row in failed] == ["013.semc"]
    assert failed[0]["error_kind"] == "FormatError" and "not a .semc file" in failed[0]["error"]
    assert all(row["width"] for row in rows if not row["error"])


def command(files: Path, place: Path, *more: str, path: str = "") -> list[str]:
    return [sys.executable, "-m", "semcomp", "map", "info", str(files), "-o", str(place), "--block", "4", *more]


def environment(*first: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*first, ROOT]))}


def test_rows_and_errors(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["map", "info", str(files), "-o", str(tmp_path / "out.parquet"), "--block", "7"]
    assert main(arguments) == 1
    assert "40 files in" in (said := capsys.readouterr().err) and "1 failed" in said
    check_whole(tmp_path / "out.parquet", files)
    assert main(arguments) == 0
    assert "0 files" in (said := capsys.readouterr().err) and "40 inputs were done before" in said
    check_whole(tmp_path / "out.parquet", files)


def test_new_files_are_added_and_failed_ones_are_tried_again(files: Path, tmp_path: Path) -> None:
    arguments = ["map", "info", str(files), "-o", str(tmp_path / "out.parquet"), "--block", "7", "--quiet"]
    main(arguments)
    shutil.copy(files / "0/000.semc", files / "0/000b.semc")
    assert main(arguments) == 0
    rows = rows_of(tmp_path / "out.parquet")
    assert len(rows) == 41 == len({row["path"] for row in rows})
    shutil.copy(files / "0/000.semc", files / "1/013.semc")
    assert main([*arguments, "--retry"]) == 0
    rows = rows_of(tmp_path / "out.parquet")
    assert len(rows) == 41 == len({row["path"] for row in rows}) and not any(row["error"] for row in rows)


def test_another_task_is_refused_unless_forced(files: Path, tmp_path: Path, capsys: Any) -> None:
    place = ["-o", str(tmp_path / "out.parquet"), "--files", str(tmp_path / "pictures")]
    first = ["map", "decode", str(files), *place, "--quiet"]
    other = [*first, "--format", "webp"]
    main(first)
    assert main(other) == 1
    assert "format was 'png' and is 'webp'): name another output" in capsys.readouterr().err
    assert main([*other, "--force"]) == 1 and len(rows_of(tmp_path / "out.parquet")) == 40
    (tmp_path / "foreign").mkdir()
    shutil.copy(tmp_path / "out.parquet/part-000000.parquet", tmp_path / "foreign")
    assert main([*first[:4], str(tmp_path / "foreign"), *first[5:]]) == 1
    assert "other Parquet files" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
def test_a_run_that_is_killed_loses_and_doubles_no_row(files: Path, tmp_path: Path) -> None:
    place = tmp_path / "out.parquet"
    for parts in (2, 5):
        run = subprocess.Popen(command(files, place, "-j", "2", "--quiet"), env=environment())
        deadline = time.monotonic() + 120
        while len(list(place.glob("part-*.parquet"))) < parts and run.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        run.kill()
        run.wait()
        before = {path: path.read_bytes() for path in place.glob("part-*.parquet")}
    subprocess.run(command(files, place, "--quiet"), env=environment(), check=False)
    check_whole(place, files)
    assert all(path.read_bytes() == data for path, data in before.items()), "what was done is not done again"


@pytest.mark.parametrize("engine", ["processes", "ray"])
def test_a_file_that_kills_its_worker_is_one_failure(files: Path, tmp_path: Path, engine: str) -> None:
    if engine == "ray":
        pytest.importorskip("ray.data", exc_type=ImportError)
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook/sitecustomize.py").write_text(
        "import os\nimport semcomp.scale.verbs as verbs\nbefore = verbs.FUNCTIONS['info']\n"
        "verbs.FUNCTIONS['info'] = lambda data, tools: os._exit(9) if data == b'deadly' else before(data, tools)\n"
    )
    (files / "0/004.semc").write_bytes(b"deadly")
    place = tmp_path / "out.parquet"
    more = ["-j", "2", "--quiet", "--engine", engine]
    subprocess.run(command(files, place, *more), env=environment(tmp_path / "hook"), check=False, timeout=500)
    rows = rows_of(place)
    assert [Path(row["path"]) for row in rows] == sorted(files.rglob("*.semc"))
    failed = {Path(row["path"]).name: row["error"] for row in rows if row["error"]}
    assert failed.keys() == {"004.semc", "013.semc"} and "a worker process died at this file" in failed["004.semc"]
    assert not list(place.glob("_try-*"))


def test_ray_gives_the_rows_of_the_pool(files: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray.data", exc_type=ImportError)
    main(["map", "info", str(files), "-o", str(tmp_path / "a.parquet"), "--block", "7", "--quiet"])
    run = subprocess.run(
        command(files, tmp_path / "b.parquet", "--engine", "ray", "--block", "7", "--json"),
        env=environment(),
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1, run.stderr
    assert sum(json.loads(line)["files"] for line in run.stdout.splitlines()) == 40
    a, b = rows_of(tmp_path / "a.parquet"), rows_of(tmp_path / "b.parquet")
    timeless = {"seconds": 0, "cpu_seconds": 0}
    assert [{**row, **timeless} for row in a] == [{**row, **timeless} for row in b]


class TestVerbs:
    """In this process, with a stand-in for the codec where that is enough."""

    @pytest.fixture
    def photos(self, tmp_path: Path) -> Path:
        rng = np.random.default_rng(0)
        for name in ("a.png", "deep/b.png", "deep/b.jpg"):
            (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
            picture = rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)
            Image.fromarray(picture).resize((80, 64)).save(tmp_path / "photos" / name)
        return tmp_path / "photos"

    def test_encode_and_decode_files(self, photos: Path, stand_in: Any, tmp_path: Path) -> None:
        arguments = ["map", "encode", str(photos), "-o", str(tmp_path / "e.parquet"), "--files", str(tmp_path / "s")]
        assert main(arguments) == 1, "two photos share a target"
        rows = rows_of(tmp_path / "e.parquet")
        assert [Path(row["output"]).name for row in rows if row["output"]] == ["a.semc", "b.semc"]
        assert ["deep/b.semc is already written" in (row["error"] or "") for row in rows] == [False, False, True]
        assert all(Path(row["output"]).stat().st_size == row["output_bytes"] for row in rows if row["output"])
        back = ["map", "decode", str(tmp_path / "s"), "-o", str(tmp_path / "d.parquet"), "--files", str(tmp_path / "b")]
        assert main([*back, "--format", "webp"]) == 0
        with Image.open(tmp_path / "b/deep/b.webp") as image:
            assert image.size == (80, 64)

    def test_shards_out_and_in_keep_what_is_beside_the_photo(self, photos: Path, stand_in: Any, tmp_path: Path) -> None:
        png = (photos / "a.png").read_bytes()
        samples = [(f"{number:03}", {"png": png, "cls": str(number).encode()}) for number in range(3)]
        (tmp_path / "in.tar").write_bytes(pack_shard([*samples, ("003", {"cls": b"3"})]))
        shards = ["--files", str(tmp_path / "s"), "--shards"]
        assert main(["map", "encode", str(tmp_path / "in.tar"), "-o", str(tmp_path / "e.parquet"), *shards]) == 1
        rows = rows_of(tmp_path / "e.parquet")
        assert [row["error"] for row in rows] == [None, None, None, "no picture in it"]
        written = list(read_shard(str(tmp_path / "s/part-000000.tar")))
        assert [sample.members["cls"] for sample in written] == [b"0", b"1", b"2"]
        assert all(sample.members["semc"].startswith(b"\x89SMC") for sample in written)
        # A row's output is a URL that every command reads.
        assert main(["info", rows[1]["output"], "--quiet"]) == 0
        more = ["map", "info", str(tmp_path / "s/part-000000.tar"), "-o", str(tmp_path / "i.parquet")]
        assert main(more) == 0 and len(rows_of(tmp_path / "i.parquet")) == 3

    @pytest.mark.skipif(os.name == "nt", reason="no file of Windows has a colon in its name")
    @pytest.mark.parametrize("shards", [[], ["--shards"]])
    def test_paths_of_rows_are_urls_whatever_members_are_called(
        self, photos: Path, stand_in: Any, tmp_path: Path, shards: list[str]
    ) -> None:
        png = (photos / "a.png").read_bytes()
        (tmp_path / "in.tar").write_bytes(pack_shard((key, {"PNG": png}) for key in ("a::b", "deep/12:30", "50%25")))
        given = ["--files", str(tmp_path / "s"), *shards]
        assert main(["map", "encode", str(tmp_path / "in.tar"), "-o", str(tmp_path / "e.parquet"), *given]) == 0
        for row in rows_of(tmp_path / "e.parquet"):
            assert read_bytes(row["path"]) == png and len(read_bytes(row["output"])) == row["output_bytes"]

    def test_a_member_of_a_shard_never_leaves_the_folder(self, photos: Path, stand_in: Any, tmp_path: Path) -> None:
        png = (photos / "a.png").read_bytes()
        keys = ("../../out", str(tmp_path / "out"), "good")
        (tmp_path / "in.tar").write_bytes(pack_shard((key, {"png": png}) for key in keys))
        given = ["-o", str(tmp_path / "e.parquet"), "--files", str(tmp_path / "deep/files")]
        assert main(["map", "encode", str(tmp_path / "in.tar"), *given]) == 1
        assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.semc")] == [
            "deep/files/in/good.semc"
        ]
        kinds = [row["error_kind"] for row in rows_of(tmp_path / "e.parquet")]
        assert kinds == ["FormatError", "FormatError", None]

    def test_a_cut_shard_keeps_the_samples_before(self, photos: Path, tmp_path: Path) -> None:
        semc = (GOLDEN / "ramp.semc").read_bytes()
        whole = pack_shard((key, {"semc": semc}) for key in "abc")
        (tmp_path / "in.tar").write_bytes(whole[:2100])
        assert main(["map", "info", str(tmp_path / "in.tar"), "-o", str(tmp_path / "i.parquet"), "--quiet"]) == 1
        rows = rows_of(tmp_path / "i.parquet")
        assert [row["error_kind"] for row in rows] == [None, "FormatError"] and "in.tar" in rows[1]["path"]

    def test_recognition_with_the_real_codec(self, codec: Any, photos: Path, tmp_path: Path) -> None:
        semc = tmp_path / "files"
        semc.mkdir()
        (semc / "a.semc").write_bytes(codec.encode(photos / "a.png"))
        (semc / "bad.semc").write_bytes(b"bad")
        for verb, options in (("classify", ["--head", "imagenette"]), ("segment", ["--head", "street", "--maps"])):
            assert main(["map", verb, str(semc), "-o", str(tmp_path / verb), *options, "--quiet"]) == 1
        label, bad = rows_of(tmp_path / "classify")
        assert label["head"] == "imagenette" and label["scores_are"] == "probabilities" and bad["labels"] is None
        area = rows_of(tmp_path / "segment")[0]
        assert sum(area["shares"]) + area["unknown"] == pytest.approx(1, abs=1e-3)
        assert area["label_map"].startswith(b"\x89PNG")
        assert main(["map", "embed", str(semc), "-o", str(tmp_path / "embed"), "--quiet"]) == 1
        table = pq.read_table(tmp_path / "embed")
        vectors = np.stack(table["embedding"].to_numpy())
        y = codec.latents(semc / "a.semc").y_hat[0].flatten(1)
        assert vectors.shape == (2, 640) and np.isnan(vectors[1]).all()
        assert np.allclose(vectors[0, :320], y.mean(1), atol=1e-5)

    def test_embed_gives_the_features_of_a_head(self, photos: Path, codec: Codec, tmp_path: Path) -> None:
        semc, head = tmp_path / "semc", load_head("imagenette")
        semc.mkdir()
        (semc / "a.semc").write_bytes(codec.encode(photos / "a.png"))
        (semc / "bad.semc").write_bytes(b"bad")
        given = ["--head", "imagenette", "--quiet"]
        assert main(["map", "embed", str(semc), "-o", str(tmp_path / "embed"), *given]) == 1
        vectors = np.stack(pq.read_table(tmp_path / "embed")["embedding"].to_numpy())
        expected = head.features(codec.latents(semc / "a.semc"))
        assert np.isnan(vectors[1]).all() and np.allclose(vectors[0], expected, atol=1e-5)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["encode"], "give --files"),
            (["info", "--shards"], "leave out --files"),
            (
                ["info", "--head", "street"],
                "--head belongs to map classify and map segment and map embed and map encode",
            ),
            (
                ["embed", "--head", "street", "--min-confidence", "0.5"],
                "--min-confidence belongs to map classify and map segment and map encode",
            ),
            (["info", "--bpp", "1"], "--bpp belongs to map encode"),
            (["info", "--address", "auto"], "give --engine ray"),
            (["info", "--format", "jpg"], "--format belongs to map decode"),
            (["embed", "--top", "3"], "--top belongs to map classify and map encode"),
        ],
    )
    def test_wrong_usage_is_said(
        self, photos: Path, arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["map", *arguments, str(photos), "-o", str(tmp_path / "x")]) == 2
        assert message in capsys.readouterr().err and not (tmp_path / "x").exists()


def test_a_name_that_is_not_utf8_fails_alone(files: Path, tmp_path: Path) -> None:
    named = b"a\xff.semc".decode("utf-8", "surrogateescape")
    shutil.copy(files / "0/000.semc", files / "0" / named)
    for code in (1, 0):  # the second run finds nothing new
        assert main(["map", "info", str(files / "0"), "-o", str(tmp_path / "out"), "--quiet"]) == code
        failed = [row for row in rows_of(tmp_path / "out") if row["error"]]
        assert (
            len(failed) == 1 and failed[0]["path"].endswith("a\\udcff.semc") and "rename the file" in failed[0]["error"]
        )


def test_map_decodes_exact_pixels_with_weights_of_ones_own(
    lossless_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("a.png")
    given = ["--lossless-weights", str(lossless_file), "--quiet"]
    assert main(["encode", "a.png", "-o", "semc/a.semc", "--lossless", *given]) == 0
    assert main(["map", "decode", "semc", "-o", "rows", "--files", "back", *given]) == 0
    assert np.array_equal(np.asarray(Image.open("back/a.png")), pixels)


def test_rows_need_a_folder(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rows").write_bytes(b"")
    assert main(["map", "info", str(files), "-o", str(tmp_path / "rows"), "--force"]) == 1
    assert "rows cannot be written: Not a directory; choose another -o" in capsys.readouterr().err


def test_a_shard_is_a_block_of_its_own() -> None:
    inputs = [Input(name, name) for name in ("a", "b", "c", "x.tar", "y.tar", "d")]
    assert [[entry.path for entry in block] for block in in_blocks(inputs, 2)] == [
        ["a", "b"],
        ["c"],
        ["x.tar"],
        ["y.tar"],
        ["d"],
    ]


def test_a_plan_is_read_block_by_block(tmp_path: Path) -> None:
    folder = RunFolder(str(tmp_path / "run"))
    task = MapTask(verb="info")
    folder.begin(task, force=False)
    assert folder.add_inputs((Input(f"{n}.semc", f"{n}.semc") for n in range(5)), task=task, block=2) == 5
    assert folder.blocks() == [Block(0, 0, 0, 2), Block(1, 0, 1, 2), Block(2, 0, 2, 1)]
    assert [entry.path for entry in folder.inputs(folder.blocks()[1])] == ["2.semc", "3.semc"]
    assert folder.add_inputs([Input("5.semc", "5.semc"), Input("0.semc", "0.semc")], task=task, block=2) == 1
    assert folder.blocks()[-1] == Block(3, 1, 0, 1)


def test_a_quality_of_0_is_refused_and_not_replaced(codec: Codec, tmp_path: Path) -> None:
    tools = Tools(MapTask(verb="encode", quality=0, files=str(tmp_path)))
    tools._codec = codec
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    for row in (encode_row, embed_row):
        with pytest.raises(TargetError, match="1 to 100"):
            row(buffer.getvalue(), tools)


def test_map_decodes_exact_pixels_of_16_bits(lossless_file: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (12, 16, 3), dtype=np.uint16)
    tools = Tools(MapTask(verb="decode", lossless_weights=str(lossless_file), files=str(tmp_path)))
    outcome = decode_row(tools.codec.encode_exact(pixels), tools)
    assert outcome.output is not None
    (tmp_path / "a.png").write_bytes(outcome.output)
    assert np.array_equal(exact_picture(tmp_path / "a.png").pixels, pixels)


def test_a_head_takes_the_place_of_a_damaged_map(codec: Codec, tmp_path: Path) -> None:
    picture = texture(0, 64, 64, np.random.default_rng(0))
    label_map = (np.arange(64 * 64) // 999 % 2).astype(np.uint8).reshape(64, 64)
    made = Segmentation(label_map=label_map, classes=("a", "b"), palette=default_palette(2), head="street")
    data = bytearray(codec.encode(picture, semantics=Semantics(segmentation=made)))
    entry = next(entry for entry in read_header(io.BytesIO(data))[1] if entry.kind == ChunkKind.LABEL_MAP)
    data[entry.offset + entry.length - 1] ^= 1
    with pytest.raises(FormatError, match=r"label map is damaged \(.*\): copy the file again, or give head="):
        segment_row(bytes(data), Tools(MapTask(verb="segment")))
    tools = Tools(MapTask(verb="segment", head="street"))
    with pytest.warns(SemcompWarning, match="damaged .*; the head runs instead"):
        row = segment_row(bytes(data), tools).row
    assert row["stored"] is False and row["head"] == "street"
