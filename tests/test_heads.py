"""Heads: data that they are trained on, training on small synthetic pictures, their files, what they answer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from heads import fit as program
from heads.cache import Cache, augment, open_cache, to_network
from heads.classify import Classifier, ClassifierConfig
from heads.data import IGNORED, DataConfig, DataError, find_dataset
from heads.depthwise import quick_depthwise
from heads.file import FORMAT, HeadInfo, build_network, embedded, read_head, save_head
from heads.inference import for_inference
from heads.learn import OptimConfig, epoch, learn, pixels_of, repeats
from heads.metrics import confusion, iou, mean_iou
from heads.segment import Segmenter, SegmenterConfig
from heads.squeezenet import SqueezeNet
from heads.trunk import LatentStem, PixelStem, count
from heads.unfold import pixels_from_latents, seen, unfolding
from heads.warp import MOVED, draw, warped
from semcomp.errors import ModelError
from semcomp.interpolation import full_resolution
from semcomp.precision import fast_pixels
from semcomp.semantics import Labels, Segmentation, load_head
from semcomp.store import WEIGHTS


def texture(kind: int, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Stripes across (0) or along (1), of a random period and colour. uint8 (H, W, 3)."""
    y, x = np.mgrid[0:height, 0:width]
    wave = np.sin((y if kind == 0 else x) * rng.uniform(0.5, 0.9) + rng.uniform(0, 6))
    return np.clip(128 + 70 * wave[..., None] + rng.normal(0, 15, 3), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def class_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, rng = tmp_path_factory.mktemp("stripes"), np.random.default_rng(0)
    for kind, name in enumerate(("across", "along")):
        (root / name).mkdir()
        for number in range(12):
            picture = texture(kind, 70 + number, 90 - number, rng)
            Image.fromarray(picture).save(root / name / f"{number:02}.png")
    return root


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
        "data.side": 64, "data.copies": 3, "data.recolour": 0.1, "optim.minutes": "null", "optim.epochs": 24,
        "optim.batch": 8,
        "optim.warmup_steps": 5, "data.qualities": "[40, 90]", **changes,
    }  # fmt: skip
    pairs = [argument for key, value in values.items() for argument in ("--set", f"{key}={value}")]
    return ["--data", str(folder), "--task", task, "--quiet", *pairs]


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
    assert Classifier(small).eval()(value, quality).shape == (2, 5)
    maps = SegmenterConfig(classes=5, latents=40, width16=8, width32=12, width4=4, source=source)
    assert Segmenter(maps).eval()(value, quality).shape == (2, 5, 4 * height, 4 * width)


def test_embedded_sizes_keep_to_the_budget() -> None:
    defaults = [Classifier(ClassifierConfig(classes=10)), Segmenter(SegmenterConfig(classes=21))]
    for network in (*defaults, *(read_head(WEIGHTS / f"{name}.safetensors").network for name in embedded())):
        size = count(network, source="latents", latents=320)
        assert size["parameters_m"] <= 3 and size["kmac_per_px"] <= 2.5


@pytest.mark.parametrize("task", ["classify", "segment"])
def test_a_network_as_it_runs_answers_as_it_was_trained(task: str) -> None:
    config: Any = ClassifierConfig(classes=5, rank=48) if task == "classify" else SegmenterConfig(classes=5)
    network: Any = build_network(task, config)
    y_hat, quality = 3 * torch.randn(1, 320, 9, 7, generator=torch.Generator().manual_seed(0)), torch.tensor([40])
    for norm in (m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        torch.nn.init.uniform_(norm.running_mean, -0.2, 0.2)
        torch.nn.init.uniform_(norm.running_var, 0.5, 2)
        torch.nn.init.uniform_(norm.weight, 0.5, 2)
    torch.nn.init.uniform_(network.stem.rate.weight, -0.5, 0.5)
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


def test_quality_reaches_the_answer() -> None:
    network = Classifier(ClassifierConfig(classes=3, latents=8, widths=(8, 8), blocks=(1, 1))).eval()
    torch.nn.init.normal_(network.stem.rate.weight)
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
    mask = dataset.mask(dataset.train[0])
    assert set(np.unique(mask)) == {0, 1, IGNORED} and (mask[:2] == IGNORED).all()


@pytest.mark.parametrize(
    ("task", "change", "message"),
    [
        ("classify", {"folder": "nowhere"}, "there is no folder"),
        ("classify", {}, "data.folder is missing"),
        ("segment", {"folder": "nowhere"}, "there is no folder"),
        ("segment", {}, "data.images is missing"),
    ],
)
def test_missing_data_is_one_sentence(task: str, change: dict[str, str], message: str) -> None:
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
    assert target is not None and (target == 1).sum() == 600 and (target == IGNORED).sum() == 64 * 64 - 600
    enlarging = DataConfig(side=64, zoom=(1.0, 1.0), enlarge=True)
    crop, target = augment(
        np.zeros((20, 30, 3), np.uint8), np.ones((20, 30), np.uint8), enlarging, np.random.default_rng(0)
    )
    assert crop.shape == (64, 64, 3) and target is not None and (target == 1).all()


def test_a_cache_is_made_once(codec: Any, class_folders: Path, tmp_path: Path) -> None:
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
    cache(replace(config, copies=3))
    assert len(list(tmp_path.iterdir())) == 2


def test_cached_latents_are_those_of_a_file(codec: Any, class_folders: Path, tmp_path: Path) -> None:
    config = DataConfig(folder=str(class_folders), side=64, copies=1, limit=2, recolour=0.0)
    dataset = find_dataset("classify", config)
    cache = open_cache(codec, dataset, config, source="latents", folder=tmp_path, quiet=True)
    from heads.data import read_rgb

    rng = np.random.default_rng((0, 0, 0))
    crop, _ = augment(read_rgb(dataset.train[0].image), None, config, rng)
    quality = int(cache.quality[0])
    latents = codec.latents(codec.encode(crop, quality=quality))
    assert np.allclose(cache.value[0], latents.y_hat[0].permute(1, 2, 0).numpy(), atol=1e-2)


# ------------------------------------------------------------------ unfolding


@pytest.fixture(scope="module")
def few_crops(codec: Any, class_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    config = DataConfig(folder=str(class_folders), side=64, copies=3, recolour=0.1, qualities=(60, 90))
    dataset = find_dataset("classify", config)
    folder = tmp_path_factory.mktemp("cache")
    return open_cache(codec, dataset, config, source="latents", folder=folder, quiet=True)


@pytest.mark.parametrize(("companded", "limit"), [(True, 0.2), (False, 0.02)])
def test_a_linear_map_finds_the_picture_in_the_latents(
    codec: Any, few_crops: Any, companded: bool, limit: float
) -> None:
    stem = LatentStem(320, 16, widths=(8, 12), companded=companded)
    pixels, _ = pixels_from_latents(codec, few_crops, stem)
    assert pixels.shape == (3, 16, 16, 320)
    y_hat = to_network(few_crops.value[:8])
    seen = torch.einsum("cijm,bmrs->bcijrs", pixels, stem.prepared(y_hat)).flatten(1, 3)
    picture = torch.nn.functional.pixel_shuffle(seen, 16)
    with torch.no_grad():
        wanted = codec.network.synthesis(y_hat, torch.from_numpy(few_crops.quality[:8].astype(np.int64)))
    detail = wanted - wanted.mean((2, 3), keepdim=True)
    error = (picture - picture.mean((2, 3), keepdim=True) - detail).square().mean() / detail.square().mean()
    assert error < limit


@pytest.mark.parametrize(
    ("widths", "companded", "rank"),
    [((8, 12), True, None), ((12,), True, None), ((8, 12), False, None), ((8, 12), False, 128)],
)
def test_an_unfolding_that_learned_is_one_matrix(
    codec: Any, few_crops: Any, widths: tuple[int, ...], companded: bool, rank: int | None
) -> None:
    torch.manual_seed(0)
    stem = LatentStem(320, 16, widths=widths, companded=companded, rank=rank).eval()
    names, y_hat, quality = set(stem.state_dict()), to_network(few_crops.value[:2]), torch.tensor([60, 60])
    with unfolding(stem, codec, few_crops, fresh=True):
        stem(y_hat, quality).square().sum().backward()
        learned: Any = stem.unfold
        assert learned.filters.weight.grad.abs().sum() > 0
        expected = stem(y_hat, quality).detach()
    assert set(stem.state_dict()) == names
    assert torch.allclose(stem(y_hat, quality), expected, rtol=1e-3, atol=1e-4)
    with unfolding(stem, codec, few_crops, fresh=False):
        assert torch.allclose(stem(y_hat, quality), expected, rtol=1e-2, atol=1e-2 * float(expected.abs().max()))


def test_a_rank_that_no_product_has_is_refused() -> None:
    with pytest.raises(ValueError, match="1 to 128, not 129"):
        LatentStem(320, 16, widths=(8, 12), rank=129)


def test_an_unfolding_of_low_rank_keeps_what_latents_make_most_of(codec: Any, few_crops: Any) -> None:
    torch.manual_seed(0)
    stem = LatentStem(320, 16, widths=(8, 12), companded=False, rank=24).eval()
    y_hat = stem.prepared(to_network(few_crops.value[:])).detach()
    with unfolding(stem, codec, few_crops, fresh=True):
        product: Any = stem.unfold
        full = torch.einsum("ocij,crisjm->orsm", product.filters.weight, product.patches).flatten(0, 2).detach()
    narrow = (stem.unfold.conv.weight @ stem.reduce.weight).detach()
    left, sizes, right = torch.linalg.svd(full)
    truncated = (left[:, :24] * sizes[:24]) @ right[:24]

    def error(matrix: torch.Tensor) -> float:
        wanted, made = (torch.einsum("om,bmhw->bohw", m, y_hat) for m in (full, matrix))
        return float((wanted - made).square().mean() / wanted.square().mean())

    assert error(narrow) < min(0.2, 0.8 * error(truncated))


@pytest.mark.parametrize("source", ["latents", "pixels"])
def test_mirrored_crops_are_seen_mirrored(codec: Any, few_crops: Any, source: str) -> None:
    quality = torch.tensor([60, 60])
    places = torch.tensor([[[-1.0, 0, 0], [0, 1, 0]], [[1, 0, 0], [0, 1, 0]]])
    if source == "pixels":
        stem: Any = PixelStem(16, widths=(8, 12)).eval()
        value = torch.rand(2, 3, 32, 48)
        expected = stem(torch.stack([value[0].flip(2), value[1]]), quality)
        assert torch.equal(stem(seen(stem, value, places), quality), expected)
        return
    stem, value = LatentStem(320, 16, widths=(8, 12)).eval(), to_network(few_crops.value[:2])
    with unfolding(stem, codec, few_crops, fresh=True):
        straight = stem(value, quality)
        with torch.no_grad():  # filters that are mirrored themselves see in a mirrored picture what they did before
            stem.unfold.filters.weight.copy_(stem.unfold.filters.weight.flip(3))
            for block in stem.descent:
                layer = getattr(block, "depthwise", None) or block.conv
                layer.weight.copy_(layer.weight.flip(3))
        answer = stem(seen(stem, value, places), quality)
    assert torch.allclose(answer[0], straight[0].flip(2), rtol=1e-3, atol=1e-4)
    assert not torch.allclose(answer[1], straight[1].flip(2), rtol=1e-3, atol=1e-4)


def test_views_of_a_crop() -> None:
    """Half are mirrored, half changed; sizes keep to their range, and what is seen is where it says."""
    places = draw(4000, 1.5, np.random.default_rng(0))
    sizes = places[:, 1, 1]
    changed = sizes != 1
    assert abs((places[:, 0, 0] < 0).float().mean() - 0.5) < 0.05 and abs(changed.float().mean() - 0.5) < 0.05
    assert torch.equal(places[:, 0, 0].abs(), sizes) and sizes.min() >= 1 / 1.5 and sizes.max() <= 1.5
    assert (places[:, :, 2].abs().amax(1) <= (1 - sizes).abs() + 2 * MOVED + 1e-6).all()
    assert not (draw(50, 1.0, np.random.default_rng(0))[:, 1, 1] != 1).any()

    ramp = torch.arange(32.0).expand(2, 1, 32, 32)
    halved = torch.tensor([[[0.5, 0, 0.25], [0, 0.5, 0]], [[-1, 0, 0], [0, 1, 0]]])
    answer = warped(ramp, halved)
    assert torch.allclose(answer[0, 0, 5], torch.linspace(11.75, 27.25, 32))  # 16 of 32 columns, 4 right of the middle
    assert torch.equal(answer[1], ramp[1].flip(2))
    numbers = warped(ramp.byte(), halved, nearest=True)
    assert numbers.dtype == torch.uint8 and set(numbers[0].unique().tolist()) == set(range(12, 28))


def test_crops_of_rare_classes_are_seen_more_often() -> None:
    targets = np.zeros((100, 16, 16), np.uint8)
    targets[:2, :8], targets[2:40, :, :4], targets[50:, 0, :5] = 1, 2, IGNORED
    shown = pixels_of(targets, 3)
    often = repeats(shown, 0.32)
    assert often.mean() == pytest.approx(1) and often[0] / often[60] == pytest.approx(4)  # 2 of 100 instead of 32
    assert often[5] == often[60] and (repeats(shown, 0.01) == 1).all()
    counts = np.bincount(np.concatenate([epoch(often, np.random.default_rng(k)) for k in range(200)]), minlength=100)
    assert np.allclose(counts / 200, often, rtol=0.2)


def test_natural_scores_are_free_of_weights_and_repeats() -> None:
    """Where nothing can be learned from the latents, the scores are the classes' shares, whatever they counted for."""
    rng = np.random.default_rng(0)
    targets = (rng.random((64, 64, 64)) < np.where(np.arange(64) < 6, 0.4, 0.0)[:, None, None]).astype(np.uint8)
    crops = Cache(
        value=np.zeros((64, 64, 64, 3), np.uint8), quality=np.full(64, 50, np.uint8), target=targets,
        teacher=None, features=None,
    )  # fmt: skip
    answers = {}
    for natural in (False, True):
        torch.manual_seed(0)
        network = Segmenter(SegmenterConfig(classes=2, fine=(8, 8), width16=16, width32=16, width4=8, source="pixels"))
        o = OptimConfig(
            minutes=None, epochs=40, batch=32, lr=1e-2, warmup_steps=1, balance=0.5, repeat=0.5, natural=natural
        )  # fmt: skip
        learn(network, crops, o, task="segment", classes=2, seed=0, quiet=True)
        with torch.no_grad():
            logits = network.eval()(torch.zeros(1, 3, 64, 64), torch.tensor([50]))
        answers[natural] = float(logits.softmax(1)[:, 1].mean())
    share = float(targets.mean())
    assert abs(answers[True] - share) < 0.02 < answers[False] - share


# ------------------------------------------------------------------ figures


def test_iou_by_hand() -> None:
    truth = np.array([[0, 0, 1], [1, IGNORED, 2]], np.uint8)
    answer = np.array([[0, 1, 1], [1, 2, 0]], np.uint8)
    matrix = confusion(truth, answer, 4)
    assert matrix.sum() == 5
    assert np.allclose(iou(matrix), [1 / 3, 2 / 3, 0, np.nan], equal_nan=True)
    assert mean_iou(matrix) == pytest.approx(100 / 3)


# ------------------------------------------------------------------ training and files


def test_a_classifier_learns_stripes(classifier_file: Path, class_folders: Path, codec: Any) -> None:
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


def test_a_segmenter_learns_stripes(segmenter_file: Path, codec: Any) -> None:
    head, rng = load_head(segmenter_file), np.random.default_rng(8)
    picture = np.concatenate([texture(0, 48, 96, rng), texture(1, 42, 96, rng)])
    answer = head(codec.latents(codec.encode(picture, quality=60)))
    assert isinstance(answer, Segmentation)
    assert answer.label_map.shape == (90, 96) and answer.label_map.dtype == np.uint8
    truth = np.repeat([0, 1], [48, 42])[:, None].repeat(96, 1)
    assert (answer.label_map == truth).mean() > 0.8
    assert answer.classes == ("Across", "Along")


def test_a_file_comes_back_as_it_was(classifier_file: Path, codec: Any, tmp_path: Path) -> None:
    head = read_head(classifier_file)
    save_head(head, tmp_path / "again.safetensors")
    again = read_head(tmp_path / "again.safetensors")
    assert again.info == head.info
    latents = codec.latents_of(np.zeros((33, 17, 3), np.uint8), quality=20)
    assert again(latents) == head(latents)


def test_latents_of_another_codec_are_refused(classifier_file: Path, codec: Any) -> None:
    latents = replace(codec.latents_of(np.zeros((16, 16, 3), np.uint8)), entropy_id=b"another!")
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


def test_a_pixel_network_and_distillation(class_folders: Path, tmp_path: Path, codec: Any) -> None:
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
    student_as_teacher = settings(class_folders, "classify", teacher=tmp_path / "student.safetensors", **short)
    assert program.main([*student_as_teacher, *common, "-o", str(tmp_path / "x.safetensors")]) == 2


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


def test_quick_gradients_of_depthwise_convolutions_are_the_slow_ones() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(6, 6, 5, padding=2, groups=6),
        torch.nn.Conv2d(6, 6, 3, padding=2, dilation=2, groups=6, bias=False),
        torch.nn.Conv2d(6, 6, 3, padding=1),
    )
    x = torch.randn(3, 6, 9, 7, requires_grad=True)

    def gradients() -> list[torch.Tensor]:
        network.zero_grad()
        x.grad = None
        network(x).square().sum().backward()
        return [p.grad.clone() for p in [x, *network.parameters()] if p.grad is not None]

    slow = gradients()
    with quick_depthwise(network):
        quick = gradients()
        assert "forward" in vars(network[0]) and "forward" not in vars(network[2])
    assert len(slow) == len(quick) and "forward" not in vars(network[0])
    for one, other in zip(slow, quick, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("arguments", [[], ["--data", "nowhere"], ["--data", "tests", "--set", "optim.lrr=1"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(arguments) == 2
    assert capsys.readouterr().err.startswith("semcomp-fit-head: ")


def test_info_checks_its_task() -> None:
    with pytest.raises(ValueError, match="classify, segment"):
        HeadInfo(name="x", task="detect", classes=("a",), entropy_id="00")
