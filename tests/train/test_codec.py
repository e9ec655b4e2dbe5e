"""Training programs on small synthetic photos: configuration, exact resumption, what is logged, export."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("train.codec", reason="needs pip install 'semcomp[train]'", exc_type=ImportError)

from semcomp import config as configuration
from semcomp.codec.codec import Codec
from semcomp.codec.release import load_release, save_release
from semcomp.errors import ModelError
from semcomp.imaging.metrics import psnr_db
from semcomp.networks.model import CodecConfig, CodecModel
from tests.releases import SMALL
from train import codec as program
from train.checkpoint import load_state, save_state
from train.export import export, fit_tables_y, fit_tables_z
from train.export import main as export_main
from train.objective import Objective, PriorBank
from train.optim import OptimConfig, rate_factor
from train.photos import Mix, Photos, find_photos, tiles
from train.quantizers import KINDS, Quantizer, soft_round
from train.queue import read_queue


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number in range(4):
        small = rng.integers(0, 256, (12, 10 + number, 3), dtype=np.uint8)
        Image.fromarray(small).resize((150 + 10 * number, 140), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    return folder


def settings(photos: Path, name: str, **changes: str) -> list[str]:
    values = {
        "name": name,
        "codec": json.dumps(SMALL),
        "data.photos": f"[{photos}]",
        "data.crop": "64",
        "data.batch": "2",
        "validation.photos": "[]",
        "minutes": "null",
        "steps": "6",
        "precision": "32-true",
        "optim.warmup_steps": "2",
        **changes,
    }
    return [argument for key, value in values.items() for argument in ("--set", f"{key}={value}")]


def train(runs: Path, arguments: list[str]) -> dict[str, Any]:
    config = Path(__file__).parents[2] / "configs" / "codec_base.yaml"
    assert program.main([str(config), "--runs", str(runs), "--quiet", *arguments]) == 0
    name = next(a.removeprefix("name=") for a in arguments if a.startswith("name="))
    return load_state(runs / name / "state.safetensors")


SECOND = {
    "optim.muon_lr": "0.001",
    "codec.refine_width": "16",
    "codec.passes": "4",
    "data.mix": "{rescale: 0.5, noise: 0.5, drawn: 0.3}",
}
"""What a run of the second codec adds to the state."""


@pytest.mark.parametrize("changes", [{}, SECOND], ids=["first", "second"])
def test_a_stopped_run_resumes_exactly(photos: Path, tmp_path: Path, changes: dict[str, str]) -> None:
    whole = train(tmp_path, settings(photos, "whole", **changes))
    part = settings(photos, "part", **changes)
    train(tmp_path, [*part, "--max-minutes", "0"])  # stops after its first step
    stopped = load_state(tmp_path / "part" / "state.safetensors")
    assert 0 < stopped["step"] < 6
    resumed = train(tmp_path, [*part, "--resume"])
    assert resumed["step"] == whole["step"] == 6
    for kind in ("objective", "average"):
        for name, value in whole[kind].items():
            assert torch.equal(resumed[kind][name], value), f"{kind} {name}"


def test_a_run_learns_and_logs(photos: Path, tmp_path: Path) -> None:
    arguments = settings(
        photos,
        "log",
        steps="101",
        rounded_from="0.5",
        **{
            "validation.photos": f"[{photos}]",
            "validation.every": "2",
            "validation.qualities": "[1, 50, 100]",
            "validation.minutes": "1000",
        },
    )
    train(tmp_path, arguments)
    rows = [json.loads(line) for line in (tmp_path / "log" / "log.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if "loss" in row]
    assert len(losses) == 2 and losses[1] < losses[0]
    assert {"quality", "bpp", "bpp_z", "psnr_db", "bd_rate", "step", "minutes"} <= rows[-1].keys()
    assert rows[-1]["psnr_db"] == sorted(rows[-1]["psnr_db"])
    assert list((tmp_path / "log" / "tensorboard").iterdir())


def test_a_run_is_not_overwritten_and_mistakes_are_named(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tmp_path, settings(photos, "once", steps="1"))
    with pytest.raises(SystemExit) as stop:
        train(tmp_path, settings(photos, "once", steps="1"))
    assert stop.value.code == 2 and "--resume" in capsys.readouterr().err
    for change, message in (
        ({"optim.lrr": "1"}, "did you mean optim.lr"),
        ({"data.crop": "100"}, "multiple of 64"),
        ({"data.photos": f"[{tmp_path / 'nothing'}]"}, "no photo below"),
        ({"seed": "high"}, "seed must be int"),
    ):
        with pytest.raises(SystemExit):
            train(tmp_path, settings(photos, "wrong", **change))
        assert message in capsys.readouterr().err


def test_export_makes_a_codec_that_keeps_its_word(photos: Path, tmp_path: Path) -> None:
    train(tmp_path, settings(photos, "run", steps="60"))
    weights = tmp_path / "tiny.safetensors"
    assert export_main([str(tmp_path / "run"), str(weights), "--photos", "4", "--quiet"]) == 0
    codec = Codec(load_release(weights))
    assert codec.name == "tiny" and load_release(weights).model_id == codec.model_id
    picture = np.asarray(Image.open(photos / "0.png"))
    files = {quality: codec.encode(picture, quality=quality) for quality in (1, 50, 100)}
    sizes = [len(data) for data in files.values()]
    assert sizes == sorted(sizes)
    assert psnr_db(picture, np.asarray(codec.decode(files[100]))) > 25
    again = train(tmp_path, settings(photos, "again", steps="1", start_from=str(weights), **{"optim.lr": "0.0"}))
    kept = load_release(weights).weights["synthesis.entry.weight"].float()
    assert torch.equal(again["objective"]["codec.synthesis.entry.weight"], kept)
    card = (tmp_path / "tiny.md").read_text()
    assert "60 steps" in card and codec.model_id.hex() in card


def test_tables_follow_the_counts() -> None:
    torch.manual_seed(0)
    from semcomp.networks.model import CodecModel
    from train.export import Histogram

    histogram = Histogram(CodecConfig(**SMALL))
    histogram.y[20, 1023 - 1 : 1023 + 2] = (1e6, 2e6, 1e6)
    tables = fit_tables_y(histogram)
    bits = tables.bits()
    middle = bits.shape[1] // 2
    assert bits[20, middle] == pytest.approx(1, abs=0.01) and bits[20, middle + 1] == pytest.approx(2, abs=0.01)
    histogram.z[5, 127 + 3] = 1000
    table = fit_tables_z(histogram).frequencies[5]
    bound = (len(table) - 2) // 2
    assert bound >= 3 and table.argmax() == bound + 3
    network = CodecModel(CodecConfig(**SMALL))
    release = export(
        network, [np.zeros((64, 64, 3), np.uint8)] * 4, name="untrained", skip_below=4, origin="", quiet=True
    )
    assert len(release.tables_y) == 64 and len(release.tables_z) == 32


def test_a_damaged_weights_file_is_refused(photos: Path, tmp_path: Path) -> None:
    import semcomp

    with pytest.raises(semcomp.ModelError, match="no codec called nowhere"):
        load_release("nowhere")
    from semcomp.networks.model import CodecModel

    black, network = np.zeros((64, 64, 3), np.uint8), CodecModel(CodecConfig(**SMALL))
    release = export(network, [black], name="a", skip_below=4, origin="", quiet=True)
    path = tmp_path / "a.safetensors"
    save_release(release, path)
    data = path.read_bytes()
    for damaged in (data[:1000], b"", data[:40] + b"\xff" * 8 + data[48:]):
        path.write_bytes(damaged)
        with pytest.raises(semcomp.ModelError, match="damaged"):
            load_release(path)


def test_checkpoints_hold_nested_state(tmp_path: Path) -> None:
    state = {"a": [1, 2.5, None, {3: torch.arange(4)}], "b": {"c": torch.zeros(0), "d": "text", "e": True}}
    save_state(tmp_path / "state.safetensors", state)
    read = load_state(tmp_path / "state.safetensors")
    assert read["a"][:3] == [1, 2.5, None] and torch.equal(read["a"][3][3], torch.arange(4))
    assert read["b"]["c"].shape == (0,) and read["b"]["d"] == "text" and read["b"]["e"] is True
    with pytest.raises(TypeError, match="set"):
        save_state(tmp_path / "state.safetensors", {"a": {1, 2}})


def test_prior_bank_equals_one_bottleneck_a_node() -> None:
    from compressai.entropy_models import EntropyBottleneck

    torch.manual_seed(1)
    bank = PriorBank(5, 3)
    z = torch.randn(4, 5, 2, 2) * 3
    node = torch.tensor([2, 0, 2, 1])
    mixed = bank(z, node)
    for sample, number in enumerate(node.tolist()):
        single = EntropyBottleneck(5)
        rows = slice(5 * number, 5 * number + 5)
        for kind in ("matrices", "biases", "factors"):
            for target, source in zip(getattr(single, kind), getattr(bank, kind), strict=True):
                target.data = source.data[rows]
        expected, _, _ = single._likelihood(z[sample].flatten(1)[:, None])
        torch.testing.assert_close(mixed[sample].flatten(1), expected[:, 0])


def test_crops_come_from_the_photos_and_repeat_with_the_seed(photos: Path) -> None:
    source = Photos(find_photos([str(photos)]), smallest=64, device=torch.device("cpu"), quiet=True)
    draws = [source.batch(6, 64, mix=Mix(halve=0.5), generator=torch.Generator().manual_seed(3)) for _ in range(2)]
    assert torch.equal(*draws) and draws[0].shape == (6, 3, 64, 64)
    assert 0 <= draws[0].min() < draws[0].max() <= 1
    with pytest.raises(ValueError, match="no photo has 500"):
        Photos(find_photos([str(photos)]), smallest=500, device=torch.device("cpu"), quiet=True)


def test_tiles_cut_a_batch_into_whole_squares() -> None:
    batch = torch.randn(2, 3, 128, 192).contiguous(memory_format=torch.channels_last)
    cut = tiles(batch, 64)
    assert cut.shape == (12, 3, 64, 64) and cut.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(cut[4], batch[0, :, 64:, 64:128]) and torch.equal(cut[7], batch[1, :, :64, 64:128])


def test_small_pictures_are_learned_from_too(photos: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    forward = Objective.forward

    def counted(self: Objective, x: torch.Tensor, *others: Any) -> Any:
        seen.append(x.shape[0] if x.shape[2:] == (64, 64) else 0)
        return forward(self, x, *others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Objective, "forward", counted)
        changes = {"data.crop": "128", "data.small": "0.5", "steps": "12"}
        train(tmp_path, settings(photos, "small", **changes))
    assert 2 < seen.count(8) < 10 and seen.count(8) + seen.count(0) == 12


def test_the_schedule_warms_up_holds_and_falls() -> None:
    config = OptimConfig(warmup_steps=10, hold=0.5, last=0.1)
    assert rate_factor(config, step=0, progress=0) == pytest.approx(0.1)
    assert rate_factor(config, step=50, progress=0.5) == 1
    assert rate_factor(config, step=50, progress=0.75) == pytest.approx(0.55)
    assert rate_factor(config, step=50, progress=1) == pytest.approx(0.1)
    kept = OptimConfig(warmup_steps=0, hold=1)
    assert [rate_factor(kept, step=step, progress=done) for step, done in ((0, 0), (9, 1), (9, 1.1))] == [1, 1, 1]


def test_configs_of_the_repository_are_valid() -> None:
    for path in sorted((Path(__file__).parents[2] / "configs").glob("codec_*.yaml")):
        if path.name == "codec_queue.yaml":
            assert len(read_queue(path)[1]) > 3
        else:
            configuration.load(program.RunConfig, path)


@pytest.mark.parametrize(
    "changes",
    [
        {"codec.refine_width": 16},
        {"codec.passes": 4, "codec.refine_width": 16},
        {"codec.width": True},
        {"codec.latents_low": 12, "codec.latents_all_from": 50},
        {"codec.analysis_rate": True},
        {"codec.centroid": True, "codec.kernel16": 5},
        {"codec.synthesis_scales": True, "codec.synthesis_filters4": 1},
        *({"quantizer": kind} for kind in ("noise", "straight", "dithered", "soft")),
    ],
    ids=str,
)
def test_every_choice_learns_and_is_measured(photos: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    """Every parameter has a gradient, and the validation line has every figure."""
    config = configuration.build(CodecConfig, {**SMALL, **_codec_values(changes)})
    objective = Objective(CodecModel(config), skip_below=4, quantizer=changes.get("quantizer", "mixed"))
    quality = torch.tensor([20, 90])
    objective.loss(objective(torch.rand(2, 3, 64, 64), quality), quality).backward()
    for name, parameter in objective.named_parameters():
        assert parameter.grad is not None or not parameter.requires_grad, name

    sets = {key: json.dumps(value) for key, value in changes.items()}
    qualities = {"validation.qualities": "[1, 100]"}
    folders = {"validation.photos": f"[{photos}]", "validation.native": f"[{photos}]"}
    train(tmp_path, settings(photos, "choice", steps="2", **qualities, **folders, **sets))
    line = json.loads((tmp_path / "choice" / "log.jsonl").read_text().splitlines()[-1])
    for prefix in ("", "native_"):
        for key in ("bpp", "bpp_z", "psnr_db", "floor_db"):
            assert len(line[prefix + key]) == 2 and np.isfinite(line[prefix + key]).all()
        assert {prefix + key for key in ("bd_rate", "bd_rate_low", "bd_rate_high")} <= line.keys()
        assert line[prefix + "floor_db"][1] >= line[prefix + "psnr_db"][1] - 0.05


def _codec_values(changes: dict[str, Any]) -> dict[str, Any]:
    return {key.removeprefix("codec."): value for key, value in changes.items() if key.startswith("codec.")}


def test_channels_that_do_not_exist_cost_and_change_nothing() -> None:
    torch.manual_seed(0)
    config = CodecConfig(**{**SMALL, "latents_low": 12, "latents_all_from": 50})
    objective = Objective(CodecModel(config), skip_below=4).eval()
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        low, high = (objective.encode(x, torch.tensor([quality])) for quality in (49, 50))
        assert not low.y_hat[:, 12:].any() and not low.y_scaled[:, 12:].any() and high.y_hat[:, 12:].all(1).any()
        bits = objective(x, torch.tensor([49]), True).bpp_y
        objective.codec.log_gain.weight[:, 12:] += 3  # louder channels that do not exist
        assert torch.equal(objective(x, torch.tensor([49]), True).bpp_y, bits)


def test_quantizers_agree_with_rounding_where_they_should() -> None:
    torch.manual_seed(0)
    value, mean = torch.randn(4, 8, 16, 16) * 3, torch.randn(4, 8, 16, 16)
    coded = torch.ones_like(value)
    hard = (value - mean).round()
    for kind in KINDS:
        assert torch.equal(Quantizer(kind).eval()(value, mean, coded), hard)
        trained = Quantizer(kind).train()(value, mean, coded)
        assert (trained - (value - mean)).abs().max() <= 0.5 + 1e-5
        assert not Quantizer(kind).train()(value, mean, 0 * coded).any()
    assert torch.equal(Quantizer("straight").train()(value, mean, coded), hard)
    errors = Quantizer("dithered").train()(value, mean, coded) - (value - mean)
    assert abs(errors.mean()) < 0.01 and errors.var().item() == pytest.approx(1 / 12, rel=0.05)
    near = ((value - mean).frac().abs() - 0.5).abs() > 0.1
    assert (soft_round(value - mean, 100.0) - hard)[near].abs().max() < 1e-3
    with pytest.raises(ValueError, match="must be one of"):
        Quantizer("floor")


def test_what_cannot_be_encoded_with_yet_is_not_exported() -> None:
    network = CodecModel(CodecConfig(**{**SMALL, "width": True}))
    with pytest.raises(ModelError, match="needs width, which can be trained but not encoded with yet"):
        export(network, [np.zeros((64, 64, 3), np.uint8)] * 4, name="later", skip_below=4, origin="", quiet=True)
