"""Training of a generator on small synthetic streets: it begins as the synthesis, resumes exactly, exports, decodes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("train.generator", reason="needs pip install 'semcomp[train]'", exc_type=ImportError)

from heads.datasets import DataConfig
from heads.find_dataset import find_dataset
from heads.head_file import HeadInfo, build_head, build_network, save_head
from heads.segmenter import SegmenterConfig
from heads.squeezenet import SqueezeNet
from semcomp import config as configuration
from semcomp.codec.codec import Codec
from semcomp.codec.release import load_release, save_release
from semcomp.generative.generator_file import load_generator, read_generator_file
from semcomp.generative.request import Request
from semcomp.networks.model import CodecConfig, CodecModel
from semcomp.semantics.results import VOID
from tests.releases import SMALL
from train import generator as program
from train.checkpoint import load_state
from train.conditions import DrawConfig, draw, hardened
from train.discriminator import Discriminator, feature_distance, hinge_of_discriminator
from train.export import export
from train.generator_config import RunConfig
from train.generator_loss import roughness
from train.objective import Objective
from train.perceptual import FIRES, SqueezeNetDistance
from train.semantic_loss import Meaning

FIRE = {2: (96, 16, 64), 3: (128, 16, 64), 4: (128, 32, 128), 5: (256, 32, 128), 6: (256, 48, 192), 7: (384, 48, 192)}
FIRE |= {8: (384, 64, 256), 9: (512, 64, 256)}
"""Of SqueezeNet v1.0: inputs, squeezed and expanded channels of each fire module."""


def random_squeezenet(path: Path) -> Path:
    """The layers of SqueezeNet v1.0 with random weights."""
    rng = np.random.default_rng(0)
    weights = {}
    layers = {"conv1": (96, 3, 7, 7)}
    for number, (inputs, squeezed, wide) in FIRE.items():
        layers[f"fire{number}/conv1x1_1"] = (squeezed, inputs, 1, 1)
        layers[f"fire{number}/conv1x1_2"] = (wide, squeezed, 1, 1)
        layers[f"fire{number}/conv3x3_2"] = (wide, squeezed, 3, 3)
    for name, shape in layers.items():
        scale = np.sqrt(2 / np.prod(shape[1:]))
        weights[f"{name}.w"] = rng.normal(0, scale, shape).astype(np.float32)
        weights[f"{name}.b"] = np.zeros(shape[0], np.float32)
    np.savez(path, **weights)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """images/, masks/, classes.txt, tiny.safetensors (an untrained codec), squeezenet.npz."""
    root, rng = tmp_path_factory.mktemp("generator"), np.random.default_rng(0)
    for folder in ("images", "masks"):
        (root / folder).mkdir()
    pictures = []
    for number in range(4):
        small = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
        picture = small.resize((112, 96), Image.Resampling.BICUBIC)
        pictures.append(np.asarray(picture))
        picture.save(root / "images" / f"{number}.png")
        Image.fromarray(np.asarray(picture)[..., 0] // 90).save(root / "masks" / f"{number}.png")
    (root / "classes.txt").write_text("dark\ngrey\nlight\n")
    torch.manual_seed(0)
    network = CodecModel(CodecConfig(**SMALL))
    save_release(export(network, pictures, name="tiny", skip_below=4, origin="", quiet=True), root / "tiny.safetensors")
    random_squeezenet(root / "squeezenet.npz")
    sizes: dict[str, Any] = {
        "classes": 3,
        "width16": 16,
        "width32": 16,
        "width4": 8,
        "fine": (8, 12),
        "source": "pixels",
    }
    info = HeadInfo(name="tiny", task="segment", classes=("dark", "grey", "light"), entropy_id="00" * 8)
    for name in ("segmenter", "another"):
        save_head(build_head(info, build_network(SegmenterConfig(**sizes))), root / f"{name}.safetensors")
    return root


def settings(data: Path, name: str, **changes: object) -> list[str]:
    values = {
        "name": name,
        "start_from": data / "tiny.safetensors",
        "minutes": "null",
        "steps": 4,
        "fill_steps": 0,
        "batch": 2,
        "bfloat16": "false",
        "semantic": "[]",
        "start_generator": "null",
        "loss.semantic": 0.0,
        "data": json.dumps({"folder": str(data), "side": 64}),
        "perceptual": data / "squeezenet.npz",
        "network": json.dumps({"guide": 8, "discriminator": 8, "more16": 1, "more8": 1, "fill": 8}),
        "optim.warmup_steps": 1,
        "sheet_minutes": 1000,
        "sheet_pictures": 2,
        "device": "cpu",
        **changes,
    }
    return [argument for key, value in values.items() for argument in ("--set", f"{key}={value}")]


def train(data: Path, arguments: list[str]) -> Path:
    config = Path(__file__).parents[2] / "configs" / "generator_street.yaml"
    assert program.main([str(config), "--runs", str(data / "runs"), "--quiet", *arguments]) == 0
    name = next(a.removeprefix("name=") for a in arguments if a.startswith("name="))
    return data / "runs" / name


@pytest.mark.parametrize("fill_steps", [0, 2])
def test_a_stopped_run_resumes_exactly(data: Path, fill_steps: int) -> None:
    whole = load_state(train(data, settings(data, f"whole{fill_steps}", fill_steps=fill_steps)) / "state.safetensors")
    part = settings(data, f"part{fill_steps}", fill_steps=fill_steps)
    folder = train(data, [*part, "--max-minutes", "0"])
    assert load_state(folder / "state.safetensors")["step"] == 1
    resumed = load_state(train(data, [*part, "--resume"]) / "state.safetensors")
    assert resumed["step"] == whole["step"] == 4
    for kind in ("generator", "average", "discriminator"):
        for name, value in whole[kind].items():
            assert torch.equal(resumed[kind][name], value), f"{kind} {name}"


def test_a_run_learns_and_leaves_a_generator(data: Path, tmp_path: Path) -> None:
    arguments = settings(data, "log", steps=101, adversarial_from=0.5, **{"optim.lr": 0.003})
    out = tmp_path / "made.safetensors"
    folder = train(data, [*arguments, "-o", str(out)])
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert len(rows) == 2 and rows[1]["perceptual"] < rows[0]["perceptual"]
    assert rows[0].keys() >= {"loss", "psnr_db", "adversarial", "matching", "discriminator"}
    with Image.open(next((folder / "sheets").glob("*.png"))) as sheet:
        assert sheet.width == 5 * 68
    made = load_generator(out)
    assert made.name == "street" and made.info.classes == ("dark", "grey", "light")
    told = out.with_suffix(".md").read_text()
    assert "features of SqueezeNet v1.0" in told and "CamVid" in told and made.generator_id.hex() in told
    codec = Codec(load_release(data / "tiny.safetensors"))
    before = codec.network.synthesis.state_dict()
    after = made.network.synthesis.state_dict()
    assert any(not torch.equal(before[name].half(), after[name].half()) for name in before)
    assert made.network.modulation8.project.weight.abs().sum() > 0
    picture = np.asarray(Image.open(data / "images" / "0.png"))
    file = codec.encode(picture, quality=5, generative=Request(generator=made))
    assert "synthesised" in codec.decode(file, generator=out).info


def test_the_fill_learns_first_and_alone(data: Path) -> None:
    folder = train(data, settings(data, "fill", steps=100, fill_steps=100, fill_lr=0.02))
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert len(rows) == 2 and rows[1]["loss"] < rows[0]["loss"] and "adversarial" not in rows[1]
    made = read_generator_file(folder / "generator.safetensors").network
    assert made.fill.project.weight.abs().sum() > 0 and not made.modulation8.project.weight.any()
    synthesis = load_release(data / "tiny.safetensors").weights
    for name, value in made.synthesis.state_dict().items():
        assert torch.equal(value.half(), synthesis[f"synthesis.{name}"].half())


def test_a_segmenter_may_say_what_is_lost_from_some_step_on(data: Path) -> None:
    names = [str(data / f"{name}.safetensors") for name in ("segmenter", "another")]
    more = {"semantic": names, "loss.semantic": 2.0, "semantic_from": 0.5}
    folder = train(data, settings(data, "semantic", steps=100, adversarial_from=1.0, **more))
    first, second = (json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines())
    assert first["semantic"] == 0 and second["semantic"] > 0
    assert second["loss"] > first["loss"] + second["semantic"]


def test_what_several_segmenters_say_counts_alike(data: Path) -> None:
    dataset = find_dataset("segment", DataConfig(folder=str(data), side=64))
    x, label_map = torch.rand(2, 3, 64, 64), torch.randint(0, 3, (2, 64, 64))
    names = [str(data / f"{name}.safetensors") for name in ("segmenter", "another")]
    alone = [Meaning([name], dataset, torch.device("cpu"))(x, label_map) for name in names]
    assert alone[0] != alone[1]
    torch.testing.assert_close(Meaning(names, dataset, torch.device("cpu"))(x, label_map), sum(alone) / 2)


def test_what_a_segmenter_sees_has_gradients(data: Path) -> None:
    dataset = find_dataset("segment", DataConfig(folder=str(data), side=64))
    meaning = Meaning([str(data / "segmenter.safetensors")], dataset, torch.device("cpu"))
    assert meaning.weights.shape == (3,) and meaning.weights.argmax() == 2  # the rarest class
    x = torch.rand(2, 3, 64, 64, requires_grad=True)
    label_map = torch.zeros(2, 64, 64, dtype=torch.long)
    label_map[0] = VOID
    loss = meaning(x, label_map)
    loss.backward()
    assert x.grad is not None
    assert loss > 0 and not x.grad[0].any() and x.grad[1].any()
    assert all(parameter.grad is None for parameter in meaning.networks[0].parameters())
    nothing = meaning(x, torch.full_like(label_map, VOID))
    nothing.backward()
    assert nothing == 0 and x.grad.isfinite().all()


def test_the_analysis_may_learn_along(data: Path) -> None:
    folder = train(data, settings(data, "moves", moves="analysis", steps=2))
    before, after = load_release(data / "tiny.safetensors"), load_release(folder / "codec.safetensors")
    changed = {name for name in before.weights if not torch.equal(before.weights[name], after.weights[name])}
    assert changed and all(name.startswith("analysis.") for name in changed)
    assert after.entropy_id == before.entropy_id and after.model_id == before.model_id


def test_bfloat16_and_a_second_leg(data: Path) -> None:
    folder = train(data, settings(data, "first", steps=1, bfloat16="true"))
    start = {"start_generator": folder / "generator.safetensors", "optim.lr": 0.0, "optim.linear_lr": 0.0}
    further = train(data, settings(data, "second", steps=1, **start))
    first, second = (load_generator(run / "generator.safetensors") for run in (folder, further))
    assert first.generator_id == second.generator_id


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"moves": "all"}, "moves is one of generator, analysis"),
        ({"data.side": 80}, "multiple of"),
        ({"draw.low": 2.0}, "draw.low is a share from 0 to 1"),
        ({"loss.gan": 1.0}, "unknown key loss.gan"),
        ({"loss.semantic": 1.0}, "semantic and loss.semantic go together"),
        ({"steps": "null"}, "either minutes or steps"),
    ],
)
def test_mistakes_are_named(
    data: Path, change: dict[str, object], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        train(data, settings(data, "wrong", **change))
    assert message in capsys.readouterr().err


def test_conditions_are_what_files_hold() -> None:
    generator = torch.Generator().manual_seed(0)
    label_map = torch.zeros(16, 64, 64, dtype=torch.long)
    label_map[:, :32, :32] = 1
    label_map[:, 48:] = 255
    x = torch.rand(16, 3, 64, 64)
    sample = draw(x, label_map, classes=3, config=DrawConfig(), generator=generator)
    assert sample.quality.min() >= 1 and sample.quality.max() <= 100 and (sample.quality <= 15).float().mean() > 0.5
    assert 0 < sample.selective.sum() < 16
    for keep, selective in zip(sample.keep, sample.selective, strict=True):
        assert keep.any() and bool(keep.all()) != bool(selective)
    absent = sample.guide[:, 3].flatten(1).any(1)
    assert 0 < absent.sum() < 16 and not sample.guide[absent, :3].any()
    planes = torch.tensor([0.5, 0.3, 0.0])[:, None, None].expand(3, 2, 2).clone()
    planes[:, 1, 1] = 0
    assert torch.equal(hardened(planes)[:, 0, 0], torch.tensor([1.0, 0, 0])) and not hardened(planes)[:, 1, 1].any()
    whole = draw(x, label_map, classes=3, config=DrawConfig(selective=0.0, no_map=0.0), generator=generator)
    assert whole.keep.all() and not whole.guide[:, 3].any()


def test_what_is_not_kept_costs_nothing() -> None:
    torch.manual_seed(0)
    objective = Objective(CodecModel(CodecConfig(**SMALL)), skip_below=0)
    x, quality = torch.rand(2, 3, 64, 64), torch.tensor([50, 90])
    keep = torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    keep[:, :, :2, :2] = True
    whole, _ = objective.measure(x, quality, rounded=True)
    part, y_hat = objective.measure(x, quality, rounded=True, keep=keep)
    assert (part.bpp_y < 0.5 * whole.bpp_y).all()
    assert not y_hat[:, :, 2:].any() and y_hat[:, :, :2, :2].any()
    other = x.clone()
    other[:, :, 48:, 48:] = 0.5
    coded = objective.encode(other, quality, keep)
    assert torch.equal(coded.y_hat[:, :, 2:], torch.zeros_like(coded.y_hat[:, :, 2:]))


def test_the_perceptual_distance_sees_differences_where_it_is_told(data: Path) -> None:
    distance = SqueezeNetDistance(data / "squeezenet.npz")
    x = torch.rand(2, 3, 64, 64)
    made = x.clone()
    made[:, :, :32] = 0.5
    made.requires_grad_(True)
    everywhere = torch.ones(2, 1, 64, 64)
    below = everywhere.clone()
    below[:, :, :48] = 0
    with torch.autocast("cpu", enabled=False):
        far, near, none = (distance(a, x, w) for a, w in ((made, everywhere), (made, below), (x, everywhere)))
    assert (far > near).all() and (near < 0.5 * far).all() and none.abs().max() < 1e-5
    far.sum().backward()
    assert made.grad is not None and made.grad.abs().sum() > 0
    network = SqueezeNet(data / "squeezenet.npz")
    shapes = [tuple(each.shape[1:]) for each in network.maps(x, FIRES)]
    assert [shape[0] for shape in shapes] == [128, 256, 384, 512, 512]
    torch.testing.assert_close(network.maps(torch.rand(1, 3, 224, 224), (9,))[0].shape[1], 512)


def test_the_discriminator_looks_at_patches_and_conditions() -> None:
    torch.manual_seed(0)
    network = Discriminator(latents=24, classes=3, width=8).eval()
    x, y_hat = torch.rand(2, 3, 64, 64), torch.randn(2, 24, 4, 4)
    guide, keep = torch.rand(2, 4, 8, 8), torch.ones(2, 1, 4, 4)
    with torch.no_grad():
        logits, features = network(x, y_hat, guide, keep)
        assert logits.shape == (2, 1, 4, 4) and len(features) == 4
        for other in ((x, -y_hat, guide, keep), (x, y_hat, 1 - guide, keep), (x, y_hat, guide, 0 * keep)):
            assert not torch.allclose(network(*other)[0], logits)
    assert hinge_of_discriminator(*(torch.full((1, 1, 2, 2), value) for value in (2.0, -2.0, 1.0))) == 0


def test_patches_that_do_not_count_change_no_loss() -> None:
    rng = torch.Generator().manual_seed(0)
    real, made = (torch.randn(2, 1, 4, 6, generator=rng) for _ in range(2))
    features = [torch.randn(2, 8, 4 * k, 6 * k, generator=rng) for k in (4, 1)]
    weight = torch.ones(2, 1, 4, 6)
    weight[..., 3:] = 0
    other = [value.clone() for value in (made, *features)]
    for value in other:
        value[..., value.shape[-1] // 2 :] = 9
    hinge = hinge_of_discriminator(real, made, weight)
    assert torch.equal(hinge_of_discriminator(real, other[0], weight), hinge)
    assert torch.allclose(hinge, hinge_of_discriminator(real[..., :3], made[..., :3], weight[..., :3]))
    zeros = [torch.zeros_like(value) for value in features]
    distance = feature_distance(features, zeros, weight)
    assert torch.equal(feature_distance(other[1:], zeros, weight), distance)
    halves = [value[..., : value.shape[-1] // 2].abs().mean() for value in features]
    assert torch.allclose(distance, torch.stack(halves).mean())
    assert hinge_of_discriminator(real, made, 0 * weight) == 0


def test_what_is_not_kept_is_learned_by_its_mean_alone(data: Path) -> None:
    only = {
        "loss.mse": 0.0,
        "loss.mse_kept": 0.0,
        "loss.perceptual": 0.0,
        "loss.adversarial": 0.0,
        "loss.feature_matching": 0.0,
        "draw.selective": 1.0,
        "optim.lr": 0.01,
    }
    losses = []
    for name, weight in (("beyond", 0.001), ("nothing", 0.0)):
        arguments = settings(data, name, steps=101, **only, **{"loss.mse_beyond": weight})
        rows = [json.loads(line) for line in (train(data, arguments) / "log.jsonl").read_text().splitlines()]
        losses.append([row["loss"] for row in rows])
    assert losses[0][-1] < losses[0][0] and losses[1][-1] == 0


def test_roughness_is_of_texture_alone() -> None:
    even = torch.full((1, 3, 64, 64), 0.4)
    assert roughness(even).max() < 1e-6
    board = even + 0.1 * ((torch.arange(64)[:, None] + torch.arange(64)) % 2)
    assert torch.allclose(roughness(board).mean(), torch.tensor((0.05 * 255) ** 2), rtol=0.02)


def test_configs_of_the_repository_are_valid() -> None:
    for name in ("street", "photos"):
        path = Path(__file__).parents[2] / "configs" / f"generator_{name}.yaml"
        assert configuration.load(RunConfig, path).generator == name
