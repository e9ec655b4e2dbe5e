"""Heads: data that they are trained on, training on small synthetic pictures, their files, what they answer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file

from heads import fit as program
from heads.augment import augment
from heads.class_balance import epoch, pixels_of, repeats, seen_more
from heads.classifier import ClassifierConfig, ClassifierNetwork
from heads.datasets import DataConfig, DataError, read_rgb
from heads.exported_network import for_export
from heads.find_dataset import find_dataset
from heads.fit_config import FitConfig
from heads.head_file import FORMAT, HeadInfo, build_network, embedded, read_head, save_head
from heads.inference import for_inference
from heads.latent_cache import Cache, open_cache
from heads.layers import count
from heads.score import MeanIou, TopOne, confusion, iou, mean_iou
from heads.segmenter import SegmenterConfig, SegmenterNetwork
from heads.squeezenet import SqueezeNet
from heads.training import OptimConfig, learn
from semcomp import config as configuration
from semcomp.codec.codec import Codec
from semcomp.errors import ModelError
from semcomp.networks.precision import fast_pixels
from semcomp.semantics.head import Labels, Segmentation, load_head
from semcomp.semantics.results import VOID, default_palette
from semcomp.semantics.upsample import full_resolution
from semcomp.weights.files import WEIGHTS
from tests.conftest import texture


@pytest.fixture(scope="module")
def mask_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stripes across above a random row, along below it; class 2 is void, a border of it around everything."""
    root, rng = tmp_path_factory.mktemp("masks"), np.random.default_rng(1)
    (root / "classes.txt").write_text("0 Across\n1 Along\n2 Void\n")
    for part in ("images", "masks"):
        (root / part).mkdir()
    for number in range(12):
        split = int(rng.integers(24, 56))
        picture = np.concatenate([texture(0, split, 96, rng), texture(1, 80 - split, 96, rng)])
        mask = np.repeat([0, 1], [split, 80 - split])[:, None].repeat(96, 1).astype(np.uint8)
        mask[:2], mask[-2:] = 2, 2
        Image.fromarray(picture).save(root / "images" / f"{number:02}.png")
        Image.fromarray(mask).save(root / "masks" / f"{number:02}.png")
    return root


def settings(folder: Path, task: str, **changes: object) -> list[str]:
    values = {
        "data.side": 64,
        "data.copies": 3,
        "data.recolour": 0.1,
        "optim.minutes": "null",
        "optim.epochs": 24,
        "optim.batch": 8,
        "optim.warmup_steps": 5,
        "data.qualities": "[40, 90]",
        **changes,
    }
    pairs = [argument for key, value in values.items() for argument in ("--set", f"{key}={value}")]
    return ["--data", str(folder), "--task", task, "--trunk", "none", "--quiet", *pairs]


@pytest.fixture(scope="module")
def classifier_file(class_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("heads")
    arguments = settings(class_folders, "classify")
    code = program.main(
        [
            *arguments,
            "-o",
            str(place / "a.safetensors"),
            "--cache",
            str(place / "cache"),
            "--log",
            str(place / "log.jsonl"),
        ]
    )
    assert code == 0
    return place / "a.safetensors"


@pytest.fixture(scope="module")
def segmenter_file(mask_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("heads")
    arguments = settings(mask_folders, "segment", **{"data.zoom": "[0.9, 1.2]", "optim.epochs": 30})
    assert program.main([*arguments, "-o", str(place / "b.safetensors"), "--cache", str(place / "cache")]) == 0
    return place / "b.safetensors"


# ------------------------------------------------------------------ networks


@pytest.mark.parametrize("source", ["latents", "pixels"])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 5), (10, 10)])
def test_networks_take_every_size(source: str, height: int, width: int) -> None:
    value = torch.rand(2, 40, height, width) if source == "latents" else torch.rand(2, 3, 16 * height, 16 * width)
    quality = torch.tensor([1, 100])
    small = ClassifierConfig(classes=5, latents=40, widths=(8, 12), blocks=(1, 1), source=source)
    assert ClassifierNetwork(small).eval()(value, quality).shape == (2, 5)
    maps = SegmenterConfig(classes=5, latents=40, width16=8, width32=12, width4=4, source=source)
    assert SegmenterNetwork(maps).eval()(value, quality).shape == (2, 5, 4 * height, 4 * width)


BUDGETS = {"objects": (6, 12), "things": (7, 12), "street": (3, 2.5), "imagenette": (6, 12)}
"""Millions of parameters, and thousands of multiply-adds a pixel."""


def test_embedded_sizes_keep_to_the_budget() -> None:
    defaults = [ClassifierNetwork(ClassifierConfig(classes=10)), SegmenterNetwork(SegmenterConfig(classes=21))]
    for network in defaults:
        size = count(network, source="latents", latents=320)
        assert size["parameters_m"] <= 3 and size["kmac_per_px"] <= 2.5
    for name in embedded():
        network, (parameters, kmac) = read_head(WEIGHTS / f"{name}.safetensors").network, BUDGETS[name]
        size = count(network, source="latents", latents=network.config.latents)
        assert size["parameters_m"] <= parameters and size["kmac_per_px"] <= kmac


@pytest.mark.parametrize(("name", "classes"), [("objects", 21), ("things", 1000), ("street", 11), ("imagenette", 10)])
def test_the_recipes_of_the_heads_keep_to_their_budgets(name: str, classes: int) -> None:
    config = configuration.load(FitConfig, Path(__file__).parents[2] / "configs" / f"head_{name}.yaml")
    assert config.name == name and config.licence
    sizes: Any = config.sizes
    size = count(build_network(replace(sizes, classes=classes)), source="latents", latents=sizes.latents)
    assert size["parameters_m"] <= BUDGETS[name][0] and size["kmac_per_px"] <= BUDGETS[name][1]


def _as_if_learned(network: torch.nn.Module) -> None:
    """Give a new network norms and rates that do something."""
    for norm in (m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        assert norm.running_mean is not None and norm.running_var is not None
        torch.nn.init.uniform_(norm.running_mean, -0.2, 0.2)
        torch.nn.init.uniform_(norm.running_var, 0.5, 2)
        torch.nn.init.uniform_(norm.weight, 0.5, 2)
        torch.nn.init.uniform_(norm.bias, -0.2, 0.2)
    torch.nn.init.uniform_(network.get_parameter("stem.rate.weight"), -0.5, 0.5)


@pytest.mark.parametrize("task", ["classify", "segment"])
def test_a_network_as_it_runs_answers_as_it_was_trained(task: str) -> None:
    config: Any = ClassifierConfig(classes=5, rank=48) if task == "classify" else SegmenterConfig(classes=5)
    network: Any = build_network(config)
    y_hat, quality = 3 * torch.randn(1, 320, 9, 7, generator=torch.Generator().manual_seed(0)), torch.tensor([40])
    _as_if_learned(network)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    running = for_inference(network, torch.device("cpu"))
    assert sum(isinstance(m, torch.nn.BatchNorm2d) for m in running.modules()) <= 2
    with torch.no_grad():
        expected = network.eval()(y_hat, quality)
        with fast_pixels(y_hat.device):
            answer = running(y_hat, quality).float()
    assert (answer - expected).abs().max() < 0.03 * expected.abs().max()
    for number in (*range(1, 100, 4), 40, 1):  # more than it keeps ready
        quality = torch.tensor([number])
        with torch.no_grad(), fast_pixels(y_hat.device):
            expected, answer = network(y_hat, quality).float(), running(y_hat, quality).float()
        assert (answer - expected).abs().max() < 0.04 * expected.abs().max()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("task", ["classify", "segment"])
def test_a_network_as_it_is_exported_answers_the_same(task: str) -> None:
    config: Any = SegmenterConfig(classes=5)
    if task == "classify":
        config = ClassifierConfig(classes=5, rank=48, context=1)
    network: Any = build_network(config).eval()
    _as_if_learned(network)
    torch.nn.init.uniform_(network.stem.unfold.conv.bias, -0.5, 0.5)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    exported: Any = for_export(network)
    y_hat = 3 * torch.randn(1, 320, 9, 7, generator=torch.Generator().manual_seed(0))
    for number in (1, 40, 100):
        quality = torch.tensor([number])
        with torch.no_grad():
            for ours, expected in zip(
                exported.with_features(y_hat, quality), network.with_features(y_hat, quality), strict=True
            ):
                assert (ours - expected).abs().max() < 1e-4 * expected.abs().max()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_quality_reaches_the_answer() -> None:
    network = ClassifierNetwork(ClassifierConfig(classes=3, latents=8, widths=(8, 8), blocks=(1, 1))).eval()
    torch.nn.init.normal_(network.get_parameter("stem.rate.weight"))
    y_hat = torch.rand(1, 8, 4, 4)
    assert not torch.allclose(network(y_hat, torch.tensor([1])), network(y_hat, torch.tensor([100])))


def test_interpolating_at_borders_alone_gives_what_the_whole_gives() -> None:
    logits = torch.randn(1, 4, 150, 7, generator=torch.Generator().manual_seed(0))
    whole = torch.nn.functional.interpolate(logits, scale_factor=4, mode="bilinear", align_corners=False)
    expected = whole.argmax(1)[0, :597, :25].numpy()
    assert np.array_equal(full_resolution(logits.numpy(), height=597, width=25), expected)


# ------------------------------------------------------------------ data


def test_folders_become_classes(class_folders: Path) -> None:
    dataset = find_dataset("classify", DataConfig(folder=str(class_folders), held_part=0.25))
    assert dataset.classes == ("across", "along")
    assert len(dataset.train) == 18 and len(dataset.val) == 6
    assert not {s.image for s in dataset.train} & {s.image for s in dataset.val}


def test_own_train_and_val_folders_and_names(class_folders: Path, tmp_path: Path) -> None:
    (tmp_path / "train").symlink_to(class_folders)
    (tmp_path / "val").symlink_to(class_folders)
    (tmp_path / "classes.txt").write_text("across zebra crossing\n")
    dataset = find_dataset("classify", DataConfig(folder=str(tmp_path)))
    assert dataset.classes == ("zebra crossing", "along")
    assert len(dataset.train) == len(dataset.val) == 24


def test_void_is_ignored_and_numbers_are_kept(mask_folders: Path) -> None:
    dataset = find_dataset("segment", DataConfig(folder=str(mask_folders), hold_out="0"))
    assert dataset.classes == ("Across", "Along") and len(dataset.palette) == 2
    assert len(dataset.val) == 10 and len(dataset.train) == 2
    mask = dataset.truth(dataset.train[0])
    assert set(np.unique(mask)) == {0, 1, VOID} and (mask[:2] == VOID).all()


def masks_of(folder: Path, numbers: NDArray[np.integer[Any]], classes: str, **config: Any) -> Any:
    """A data set of one image and its mask, twice."""
    for part in ("images", "masks"):
        (folder / part).mkdir()
    for number in range(2):
        Image.fromarray(np.zeros((*numbers.shape, 3), np.uint8)).save(folder / "images" / f"{number}.png")
        Image.fromarray(numbers).save(folder / "masks" / f"{number}.png")
    (folder / "classes.txt").write_bytes(classes.encode("utf-8-sig"))
    return find_dataset("segment", DataConfig(folder=str(folder), **config))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_255_is_void_and_so_is_the_number_that_is_said_to_be(tmp_path: Path, dtype: Any) -> None:
    numbers = np.array([[0, 1, 2, 255]] * 2, dtype)
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    dataset = masks_of(first, numbers, "road\ncar\nsky\n")
    assert dataset.classes == ("road", "car", "sky")
    assert dataset.mask(dataset.train[0]).tolist() == [[0, 1, 2, VOID]] * 2
    dataset = masks_of(second, numbers, "road\ncar\nsky\n", void=1)
    assert dataset.classes == ("road", "sky")
    assert dataset.mask(dataset.train[0]).tolist() == [[0, VOID, 1, VOID]] * 2


def test_an_empty_line_of_the_classes_keeps_its_number(tmp_path: Path) -> None:
    dataset = masks_of(tmp_path, np.array([[0, 1, 2]] * 2, np.uint8), "road\n\nsky\n")
    assert dataset.classes == ("road", "sky")
    assert dataset.mask(dataset.train[0]).tolist() == [[0, VOID, 1]] * 2


def test_a_mask_with_numbers_beyond_255_is_one_sentence(tmp_path: Path) -> None:
    dataset = masks_of(tmp_path, np.array([[0, 300]] * 2, np.uint16), "road\nsky\n")
    with pytest.raises(DataError, match="holds the number 300"):
        dataset.mask(dataset.train[0])


@pytest.mark.parametrize(
    ("task", "change", "message"),
    [
        ("classify", {"folder": "nowhere"}, "there is no folder"),
        ("classify", {}, "data.folder is missing"),
        ("segment", {"folder": "nowhere"}, "there is no folder"),
        ("segment", {}, "data.images is missing"),
        ("detect", {}, "there is no task detect; choose one of classify, segment"),
    ],
)
def test_missing_data_is_one_sentence(task: str, change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        find_dataset(task, DataConfig(**change))


def test_a_mask_without_classes_or_partner_is_refused(mask_folders: Path, tmp_path: Path) -> None:
    for part in ("images", "masks"):
        (tmp_path / part).symlink_to(mask_folders / part)
    with pytest.raises(DataError, match=r"classes\.txt"):
        find_dataset("segment", DataConfig(folder=str(tmp_path)))
    (tmp_path / "masks").unlink()
    (tmp_path / "masks").mkdir()
    (tmp_path / "classes.txt").write_text("a\nb\n")
    with pytest.raises(DataError, match="12 pictures have no mask"):
        find_dataset("segment", DataConfig(folder=str(tmp_path)))


def test_crops_and_masks_move_together() -> None:
    rng = np.random.default_rng(0)
    mask = rng.integers(0, 2, (60, 50)).repeat(4, 0).repeat(4, 1).astype(np.uint8)
    pixels = np.where(mask[..., None] > 0, 255, 0).repeat(3, 2).astype(np.uint8)
    config = DataConfig(side=64, zoom=(1.0, 1.0), recolour=0.0)
    for _ in range(8):
        crop, target = augment(pixels, mask, config, rng)
        assert target is not None and crop.shape == (64, 64, 3) and target.shape == (64, 64)
        assert np.array_equal(crop[..., 0] > 127, target > 0)


def test_a_picture_smaller_than_the_crop_is_filled_up_and_not_counted() -> None:
    config = DataConfig(side=64, zoom=(1.0, 1.0))
    crop, target = augment(
        np.zeros((20, 30, 3), np.uint8), np.ones((20, 30), np.uint8), config, np.random.default_rng(0)
    )
    assert crop.shape == (64, 64, 3)
    assert target is not None and (target == 1).sum() == 600 and (target == VOID).sum() == 64 * 64 - 600
    enlarging = DataConfig(side=64, zoom=(1.0, 1.0), enlarge=True)
    crop, target = augment(
        np.zeros((20, 30, 3), np.uint8), np.ones((20, 30), np.uint8), enlarging, np.random.default_rng(0)
    )
    assert crop.shape == (64, 64, 3) and target is not None and (target == 1).all()


def test_a_cache_is_made_once(codec: Codec, class_folders: Path, tmp_path: Path) -> None:
    config = DataConfig(folder=str(class_folders), side=64, copies=2, limit=4)
    dataset = find_dataset("classify", config)

    def cache(config: DataConfig) -> Any:
        return open_cache(codec, dataset, config, source="latents", folder=tmp_path, quiet=True)

    first = cache(config)
    assert first.value.shape == (8, 4, 4, 320) and first.value.dtype == np.float16
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")}
    again = cache(config)
    assert times == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")}
    assert np.array_equal(first.value, again.value)
    parts = len(list(tmp_path.iterdir()))
    cache(replace(config, copies=3))
    assert len(list(tmp_path.iterdir())) == 2 * parts


def test_a_picture_that_was_changed_is_encoded_again(codec: Codec, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "in" / name).mkdir(parents=True)
        for number in range(2):
            Image.new("RGB", (64, 64), "teal").save(tmp_path / "in" / name / f"{number}.png")
    config = DataConfig(folder=str(tmp_path / "in"), side=64, copies=1, limit=1, recolour=0.0, qualities=(90, 90))
    dataset = find_dataset("classify", config)

    def values() -> Any:
        return open_cache(codec, dataset, config, source="originals", folder=tmp_path / "out", quiet=True).value

    before = values()
    Image.new("RGB", (64, 64), "white").save(dataset.train[0].image)
    assert values().mean() > before.mean() + 50


def test_pictures_are_read_the_right_way_up(tmp_path: Path) -> None:
    image, exif = Image.new("RGB", (40, 24)), Image.Exif()
    image.paste((255, 255, 255), (0, 0, 40, 12))
    exif[0x0112] = 6  # to be turned a quarter, clockwise
    image.save(tmp_path / "a.png", exif=exif)
    pixels = read_rgb(tmp_path / "a.png")
    assert pixels.shape == (40, 24, 3) and pixels[:, 12:].min() == 255 and pixels[:, :12].max() == 0


def test_cached_latents_are_those_of_a_file(codec: Codec, class_folders: Path, tmp_path: Path) -> None:
    config = DataConfig(folder=str(class_folders), side=64, copies=1, limit=2, recolour=0.0)
    dataset = find_dataset("classify", config)
    cache = open_cache(codec, dataset, config, source="latents", folder=tmp_path, quiet=True)
    rng = np.random.default_rng((0, 0, 0))
    crop, _ = augment(read_rgb(dataset.train[0].image), None, config, rng)
    quality = int(cache.quality[0])
    latents = codec.latents(codec.encode(crop, quality=quality))
    same = np.isclose(cache.value[0], latents.y_hat[0].permute(1, 2, 0).numpy(), atol=1e-2)
    assert same.mean() > 0.95, "a few symbols may differ by one step"


# ------------------------------------------------------------------ figures


def test_iou_by_hand() -> None:
    truth = np.array([[0, 0, 1], [1, VOID, 2]], np.uint8)
    answer = np.array([[0, 1, 1], [1, 2, 0]], np.uint8)
    matrix = confusion(truth, answer, 4)
    assert matrix.sum() == 5
    assert np.allclose(iou(matrix), [1 / 3, 2 / 3, 0, np.nan], equal_nan=True)
    assert mean_iou(matrix) == pytest.approx(100 / 3)


def test_an_answer_that_knows_nothing_is_wrong_and_void_is_not_counted() -> None:
    truth = np.array([[0, 0, 1, VOID]], np.uint8)
    answer = np.array([[0, VOID, VOID, VOID]], np.uint8)
    matrix = confusion(truth, answer, 2)
    assert matrix.tolist() == [[1, 0, 1], [0, 0, 1]]
    assert np.allclose(iou(matrix), [0.5, 0])
    score = MeanIou(("a", "b"))
    score.add(Segmentation(label_map=answer, classes=("a", "b"), palette=default_palette(2)), truth)
    assert score.figures == {"mean_iou": 25.0, "pixel_accuracy": 33.33}
    named = TopOne(("a", "b"))
    named.add(Labels(names=(), scores=()), 0)
    named.add(Labels(names=("A", "b"), scores=(0.6, 0.4)), 0)
    assert named.figures == {"top1": 50.0}


# ------------------------------------------------------------------ training and files


def test_crops_of_rare_classes_are_seen_more_often() -> None:
    targets = np.zeros((100, 16, 16), np.uint8)
    targets[:2, :8], targets[2:40, :, :4], targets[50:, 0, :5] = 1, 2, VOID
    shown = pixels_of(targets, 3)
    often = repeats(shown, 0.32)
    assert often.mean() == pytest.approx(1) and often[0] / often[60] == pytest.approx(4)  # 2 of 100 instead of 32
    assert often[5] == often[60] and (repeats(shown, 0.01) == 1).all()
    more = seen_more(np.pad(shown, ((0, 0), (0, 1))), often).tolist()
    assert more[1] == pytest.approx(often[0]) and more[2] == pytest.approx(often[60]) and more[3] == 1  # 3 is nowhere
    counts = np.bincount(np.concatenate([epoch(often, np.random.default_rng(k)) for k in range(200)]), minlength=100)
    assert np.allclose(counts / 200, often, rtol=0.2)


def test_natural_scores_are_free_of_weights_and_repeats() -> None:
    """Where nothing can be learned from the latents, the scores are the classes' shares, whatever they counted for."""
    rng = np.random.default_rng(0)
    targets = (rng.random((64, 64, 64)) < np.where(np.arange(64) < 6, 0.4, 0.0)[:, None, None]).astype(np.uint8)
    crops = Cache(
        value=np.zeros((64, 64, 64, 3), np.uint8),
        quality=np.full(64, 50, np.uint8),
        target=targets,
        teacher=None,
        features=None,
    )
    answers = {}
    for natural in (False, True):
        torch.manual_seed(0)
        network = SegmenterNetwork(
            SegmenterConfig(classes=2, fine=(8, 8), width16=16, width32=16, width4=8, source="pixels")
        )
        o = OptimConfig(
            minutes=None, epochs=40, batch=32, lr=1e-2, warmup_steps=1, balance=0.5, repeat=0.5, natural=natural
        )
        learn(network, crops, o, classes=2, seed=0, quiet=True)
        with torch.no_grad():
            logits = network.eval()(torch.zeros(1, 3, 64, 64), torch.tensor([50]))
        answers[natural] = float(logits.softmax(1)[:, 1].mean())
    share = float(targets.mean())
    assert abs(answers[True] - share) < 0.02 < answers[False] - share


def test_a_classifier_learns_stripes(classifier_file: Path, class_folders: Path, codec: Codec) -> None:
    head = load_head(classifier_file)
    rng, right = np.random.default_rng(7), 0
    for number in range(20):
        picture = texture(number % 2, 64, 64, rng)
        answer = head(codec.latents(codec.encode(picture, quality=60)))
        assert isinstance(answer, Labels)
        assert sum(answer.scores) == pytest.approx(1, abs=1e-4) and answer.scores[0] >= answer.scores[1]
        right += answer.names[0] == ("across", "along")[number % 2]
    assert right >= 18
    rows = [json.loads(line) for line in (classifier_file.parent / "log.jsonl").read_text().splitlines()]
    assert rows[-2]["loss"] < rows[0]["loss"]
    assert rows[-1]["top1"] >= 75


def test_a_segmenter_learns_stripes(segmenter_file: Path, codec: Codec) -> None:
    head, rng = load_head(segmenter_file), np.random.default_rng(8)
    picture = np.concatenate([texture(0, 48, 96, rng), texture(1, 42, 96, rng)])
    answer = head(codec.latents(codec.encode(picture, quality=60)))
    assert isinstance(answer, Segmentation)
    assert answer.label_map.shape == (90, 96) and answer.label_map.dtype == np.uint8
    truth = np.repeat([0, 1], [48, 42])[:, None].repeat(96, 1)
    assert (answer.label_map == truth).mean() > 0.8
    assert answer.classes == ("Across", "Along")


def test_a_file_comes_back_as_it_was(classifier_file: Path, codec: Codec, tmp_path: Path) -> None:
    head = read_head(classifier_file)
    save_head(head, tmp_path / "again.safetensors")
    again = read_head(tmp_path / "again.safetensors")
    assert again.info == head.info
    latents = codec.latents_of_image(np.zeros((33, 17, 3), np.uint8), quality=20)
    assert again(latents) == head(latents)


def test_latents_of_another_codec_are_refused(classifier_file: Path, codec: Codec) -> None:
    latents = replace(codec.latents_of_image(np.zeros((16, 16, 3), np.uint8)), entropy_id=b"another!")
    with pytest.raises(ModelError, match=r"was trained on latents with entropy id .* semcomp-fit-head"):
        load_head(classifier_file)(latents)


def test_damaged_and_foreign_files_are_refused(classifier_file: Path, tmp_path: Path) -> None:
    whole = classifier_file.read_bytes()
    for number, data in enumerate([whole[: len(whole) // 2], b"", b"garbage", whole[:200]]):
        path = tmp_path / f"{number}.safetensors"
        path.write_bytes(data)
        with pytest.raises(ModelError):
            load_head(path)
    save_file({"a": torch.zeros(2)}, tmp_path / "foreign.safetensors", metadata={"format": "something-1"})
    with pytest.raises(ModelError, match="something-1"):
        load_head(tmp_path / "foreign.safetensors")
    save_file({"a": torch.zeros(2)}, tmp_path / "empty.safetensors", metadata={"format": FORMAT})
    with pytest.raises(ModelError, match="damaged or of another version"):
        load_head(tmp_path / "empty.safetensors")
    with pytest.raises(ModelError, match="one of: "):
        load_head("no_such_head")


def test_a_pixel_network_and_distillation(class_folders: Path, tmp_path: Path, codec: Codec) -> None:
    short = {"optim.epochs": 2, "data.limit": 8, "data.copies": 1}
    common = ["--cache", str(tmp_path / "cache")]
    teacher = tmp_path / "teacher.safetensors"
    arguments = settings(class_folders, "classify", source="originals", **short)
    assert program.main([*arguments, *common, "-o", str(teacher)]) == 0
    assert read_head(teacher).network.config.source == "pixels"
    arguments = settings(class_folders, "classify", teacher=teacher, **short)
    assert program.main([*arguments, *common, "-o", str(tmp_path / "student.safetensors")]) == 0
    assert "distilled from teacher" in read_head(tmp_path / "student.safetensors").info.origin
    arguments = settings(class_folders, "classify", source="decoded", **short)
    assert program.main([*arguments, *common, "-o", str(tmp_path / "decoded.safetensors")]) == 0
    further = settings(class_folders, "classify", start_from=tmp_path / "decoded.safetensors", **short)
    assert program.main([*further, *common, "-o", str(tmp_path / "further.safetensors")]) == 0
    head = read_head(tmp_path / "further.safetensors")
    assert head.network.config.source == "latents" and "trained further from decoded" in head.info.origin
    assert program.main([*further, *common, "--set", "classify.widths=[64, 96, 128]", "-o", str(tmp_path / "x")]) == 2
    student_as_teacher = settings(class_folders, "classify", teacher=tmp_path / "student.safetensors", **short)
    assert program.main([*student_as_teacher, *common, "-o", str(tmp_path / "x.safetensors")]) == 2


def test_a_pixel_network_gives_a_head_all_layers_that_fit(mask_folders: Path, tmp_path: Path) -> None:
    def learn(name: str, **changes: object) -> int:
        short = {"optim.epochs": 1, "data.limit": 4, "data.copies": 1, "optim.lr": "0.0", **changes}
        arguments = [*settings(mask_folders, "segment", **short), "--cache", str(tmp_path / "cache")]
        return program.main([*arguments, "-o", str(tmp_path / f"{name}.safetensors")])

    assert learn("pixels", source="decoded", seed=1) == 0
    further = {"start_from": tmp_path / "pixels.safetensors", "segment.rank": 20, "segment.width4": 16}
    assert learn("head", **further) == 0
    before, after = (
        dict(read_head(tmp_path / f"{name}.safetensors").network.named_parameters()) for name in ("pixels", "head")
    )
    own = {name for name, value in after.items() if name not in before or not torch.equal(value, before[name])}
    first = {name for name in after if name.startswith(("stem.reduce", "stem.unfold", "stem.rate"))}
    last = {name for name in after if name.startswith(("up4", "depthwise", "mix", "logits.weight"))}
    assert own == first | last
    assert learn("other", **further, **{"segment.width16": 96}) == 2
    assert learn("other", source="decoded", **further) == 2  # where both see pixels, nothing begins anew


def squeezenet_file(path: Path) -> Path:
    """Random weights in the shapes of SqueezeNet v1.0."""
    rng, shapes = np.random.default_rng(0), {"conv1": (96, 3, 7, 7)}
    inputs = 96
    for number, (squeezed, wide) in enumerate(
        [(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)], start=2
    ):
        shapes[f"fire{number}/conv1x1_1"] = (squeezed, inputs, 1, 1)
        shapes[f"fire{number}/conv1x1_2"] = (wide, squeezed, 1, 1)
        shapes[f"fire{number}/conv3x3_2"] = (wide, squeezed, 3, 3)
        inputs = 2 * wide
    arrays = {}
    for name, shape in shapes.items():
        arrays[f"{name}.w"] = rng.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape).astype(np.float32)
        arrays[f"{name}.b"] = np.zeros(shape[0], np.float32)
    np.savez(path, **arrays)
    return path


def test_features_of_squeezenet_guide_a_head(class_folders: Path, mask_folders: Path, tmp_path: Path) -> None:
    weights = squeezenet_file(tmp_path / "squeezenet.npz")
    teacher = SqueezeNet(weights)
    crops = torch.rand(2, 3, 64, 64)
    grid = teacher.grid(crops, 2)
    assert grid.shape == (2, 512, 2, 2) and grid.min() >= 0 and grid.std() > 0
    assert not torch.equal(grid[0], grid[1])
    for folder, task in ((class_folders, "classify"), (mask_folders, "segment")):
        short = {"optim.epochs": 2, "data.limit": 4, "data.copies": 1, "features": weights}
        output = tmp_path / f"{task}.safetensors"
        arguments = settings(folder, task, **short)
        assert program.main([*arguments, "--cache", str(tmp_path / "cache"), "-o", str(output)]) == 0
        assert "SqueezeNet" in read_head(output).info.origin
    probed = tmp_path / "probed.safetensors"
    arguments = settings(class_folders, "classify", probe="true", **short)
    assert program.main([*arguments, "--cache", str(tmp_path / "cache"), "-o", str(probed)]) == 0
    assert "distilled from a linear classifier" in read_head(probed).info.origin
    refused = [*settings(mask_folders, "segment", probe="true", **short), "-o", str(tmp_path / "x")]
    assert program.main(refused) == 2
    np.savez(weights, **{"conv1.w": np.zeros(3)})
    wrong = [*settings(class_folders, "classify", **short), "--cache", str(tmp_path), "-o", str(tmp_path / "x")]
    assert program.main(wrong) != 0


@pytest.mark.parametrize("arguments", [[], ["--data", "nowhere"], ["--data", "tests", "--set", "optim.lrr=1"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(arguments) == 2
    assert capsys.readouterr().err.startswith("semcomp-fit-head: ")


def test_info_checks_its_task() -> None:
    with pytest.raises(ValueError, match="classify, segment"):
        HeadInfo(name="x", task="detect", classes=("a",), entropy_id="00")
