"""The deep half of a published network in heads: what it computes, what it starts as, and how it learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from heads import backbone, start
from heads.classifier import ClassifierConfig, ClassifierNetwork
from heads.datasets import DataConfig, DataError
from heads.exported_network import for_export
from heads.find_dataset import find_dataset
from heads.fit_config import FitConfig
from heads.head_file import HeadInfo, NetworkEmbedder, build_head, build_network, read_head, save_head
from heads.inference import for_inference
from heads.latent_cache import Cache
from heads.photos import find_photos
from heads.segmenter import SegmenterConfig
from heads.teachers.efficientnet import NAME, timm
from heads.training import Mark, OptimConfig, learn
from heads.training_state import StateFile
from semcomp.codec.codec import Codec
from semcomp.networks.precision import fast_pixels
from semcomp.torchvision_compat import declare_missing_operators

SEGMENTS = SegmenterConfig(
    classes=5, latents=24, adapter=16, width16=120, width32=352, blocks16=(1, 1), backbone=backbone.NAME
)
CLASSIFIES = ClassifierConfig(
    classes=5, latents=24, adapter=16, widths=(120, 352, 1280), blocks=(1, 0, 0), backbone=backbone.NAME, spread=0.7
)
ALL = pytest.mark.parametrize("config", [SEGMENTS, CLASSIFIES], ids=["segment", "classify"])


@pytest.fixture(scope="module")
def published() -> Any:
    """timm's network with random weights, and norms that do something."""
    declare_missing_operators()
    pytest.importorskip("timm")
    torch.manual_seed(3)
    network = timm().create_model(NAME, pretrained=False).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.3, 0.3)  # type: ignore[arg-type]
            torch.nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
            torch.nn.init.uniform_(module.weight, 0.5, 2)
            torch.nn.init.uniform_(module.bias, -0.3, 0.3)
    return network.requires_grad_(False)


@ALL
def test_the_stages_compute_what_the_published_ones_do(config: Any, published: Any) -> None:
    network: Any = build_network(config).eval()
    backbone.Taught(published).fill(network.taught())
    expected = value = torch.randn(1, backbone.READS, 6, 10, generator=torch.Generator().manual_seed(0))
    for stage in published.blocks[4:]:
        expected = stage(expected)
    for layer in network.taught()[:10]:
        value = layer(value)
    assert expected.shape == (1, backbone.COARSE, 3, 5)
    torch.testing.assert_close(value, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))
    if isinstance(network, ClassifierNetwork):
        last = published.bn2(published.conv_head(expected))
        torch.testing.assert_close(network.taught()[10](expected), last, rtol=0, atol=1e-4 * float(last.abs().max()))


@ALL
def test_sizes_that_no_stride_divides_are_answered_alike_as_trained_as_run_and_as_exported(config: Any) -> None:
    torch.manual_seed(0)
    network: Any = build_network(config).eval()
    for values in (network.stem.rate.weight, network.stem.mean, network.stem.spread):
        torch.nn.init.uniform_(values, -0.5, 0.5)
    y_hat, quality = torch.randn(1, 24, 7, 5), torch.tensor([40])
    with torch.no_grad():
        expected, features = network.with_features(y_hat, quality)
        assert expected.shape == ((1, 5, 28, 20) if config is SEGMENTS else (1, 5))
        torch.testing.assert_close(network(y_hat, quality), expected)
        torch.testing.assert_close(network.features(y_hat, quality), features)
        assert features.shape == (1, network.feature_width)
        for ours, theirs in zip(for_export(network).with_features(y_hat, quality), (expected, features), strict=True):  # type: ignore[operator]
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4 * float(theirs.abs().max()))
        with fast_pixels(y_hat.device):
            answer = for_inference(network, torch.device("cpu"))(y_hat, quality).float()
    assert (answer - expected).abs().max() < 0.05 * expected.abs().max()


@pytest.mark.parametrize(
    "given", [{"backbone": "resnet"}, {"backbone": backbone.NAME}, {"backbone": backbone.NAME, "widths": (120, 300)}]
)
def test_other_backbones_and_widths_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="backbone"):
        ClassifierConfig(**{"blocks": (1, 1), "widths": (64, 64)} | given)


def test_a_training_begins_with_the_published_weights(
    published: Any, codec: Codec, class_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Published:
        network = published

    monkeypatch.setattr(start, "Names", Published)
    data = DataConfig(folder=str(class_folders))
    sizes: Any = {"widths": (120, 352, 1280), "blocks": (1, 0, 0), "backbone": backbone.NAME}
    config = FitConfig(task="embed", data=data, embed=ClassifierConfig(classes=16, **sizes))
    network, begun = start.begin(config, codec, find_photos(data))
    assert "EfficientNet-Lite2" in begun.told and not begun.is_trunk and network.config.classes == 16
    first: Any = network.taught()[0]
    expected = published.blocks[4][0]
    scale = expected.bn1.weight / (expected.bn1.running_var + expected.bn1.eps).sqrt()
    torch.testing.assert_close(first.expand.weight, expected.conv_pw.weight[:, :, 0, 0] * scale[:, None])
    mean, spread = backbone.Taught(published).read()
    stem: Any = network.stem
    torch.testing.assert_close(stem.mean, mean)
    torch.testing.assert_close(stem.spread, spread)
    rival = FitConfig(source="decoded", data=data, classify=ClassifierConfig(**sizes))
    stem = start.begin(rival, codec, find_photos(data))[0].stem
    torch.testing.assert_close(stem.descent[-2].conv.bias, mean)
    torch.testing.assert_close(stem.descent[-2].conv.weight.flatten(1).norm(dim=1), spread)


@ALL
def test_kernels_stay_and_the_rest_of_a_backbone_learns_slowly_as_the_adapter_does(config: Any) -> None:
    torch.manual_seed(0)
    network: Any = build_network(config)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    rng, n = np.random.default_rng(0), 8
    target = rng.integers(0, 5, (n, 64, 64) if config is SEGMENTS else n).astype(np.uint8)
    crops = Cache(
        value=rng.normal(size=(n, 4, 4, 24)).astype(np.float16),
        quality=np.full(n, 50, np.uint8),
        target=target,
        teacher=None,
        features=rng.normal(size=(n, 2, 2, 352)).astype(np.float16),
    )
    o = OptimConfig(steps=3, batch=4, warmup_steps=0, mixup=0, backbone_lr=0.1, weight_decay=0)
    learn(network, crops, o, classes=5, seed=0, quiet=True)
    moved = {name: (value - before[name]).abs().max().item() for name, value in network.state_dict().items()}
    kernels = [n for n in moved if "depthwise.weight" in n and before[n].shape[0] % 6 == 0 and before[n].shape[0] > 352]
    assert len(kernels) == 10 and all(moved[name] == 0 for name in kernels)
    wide = [n for n in moved if n.endswith("expand.weight") and before[n].shape[0] > 600 and "around" not in n]
    fast = moved["logits.weight" if config is SEGMENTS else "linear.weight"]
    for slow in (max(moved[name] for name in wide), moved["stem.blocks.0.expand.weight"]):
        assert 0 < slow < 0.2 * fast


def test_a_stem_learns_alone_first_what_the_backbone_reads(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = replace(CLASSIFIES, dropout=0.0)
    network: Any = build_network(config)
    rng, n = np.random.default_rng(0), 8
    value = rng.normal(size=(n, 4, 4, 24)).astype(np.float16)
    crops = Cache(
        value=value,
        quality=np.full(n, 50, np.uint8),
        target=rng.integers(0, 5, n),
        teacher=None,
        features=None,
        fine=(np.tanh(value[..., :4]) @ rng.normal(size=(4, backbone.READS))).astype(np.float16),
    )
    o = OptimConfig(stem_steps=60, steps=2, batch=8, stem_lr=0.02, warmup_steps=5, mixup=0)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    marks: list[Mark] = []
    moved: set[str] = set()

    def on_mark(mark: Mark) -> None:
        if not marks:
            moved.update(name for name, value in network.state_dict().items() if not torch.equal(value, before[name]))
        marks.append(mark)

    rows = learn(network, crops, o, classes=5, seed=0, quiet=True, on_mark=on_mark)
    assert marks[0].step == 60 and marks[0].progress == 0 and len(rows) == 62
    assert {name.partition(".")[0] for name in moved} == {"stem"}
    assert "stem.enter.weight" in moved and "stem.leave.weight" in moved and "stem.mean" not in moved
    assert rows[0]["loss"] > 0.9 and rows[59]["loss"] < 0.4

    for alone in (60, 0):
        kept: Any = build_network(config)
        kept.load_state_dict(before)
        short = replace(o, stem_steps=alone, steps=0)
        assert len(learn(kept, crops, short, classes=5, seed=0, quiet=True)) == alone
        changed = {name for name, value in kept.state_dict().items() if not torch.equal(value, before[name])}
        assert changed == (moved if alone else set())

    def stopping(mark: Mark) -> None:
        raise KeyboardInterrupt

    again: Any = build_network(config)
    again.load_state_dict(before)
    file = tmp_path / "a.state"
    learn(again, crops, o, classes=5, seed=0, quiet=True, on_mark=stopping, state=StateFile(file, "a"))
    resumed = learn(again, crops, o, classes=5, seed=0, quiet=True, state=StateFile(file, "a", resume=True))
    assert [row["loss"] for row in resumed] == [row["loss"] for row in rows]
    with pytest.raises(ValueError, match="stem_steps"):
        OptimConfig(stem_steps=5, minutes=1)


def test_a_head_that_embeds_starts_from_the_trunk_of_a_classifier(
    codec: Codec, class_folders: Path, tmp_path: Path
) -> None:
    data = DataConfig(folder=str(class_folders))
    trunk = ClassifierNetwork(ClassifierConfig(classes=3, widths=(24, 32), blocks=(1, 1)))
    info = HeadInfo(name="t", task="classify", classes=("a", "b", "c"), entropy_id=codec.entropy_id.hex())
    save_head(build_head(info, trunk), tmp_path / "t.safetensors")
    config = FitConfig(task="embed", data=data, trunk=str(tmp_path / "t.safetensors"))
    network, begun = start.begin(config, codec, find_photos(data))
    assert begun.is_trunk and network.config.classes == 128 and network.feature_width == 32
    kept = read_head(tmp_path / "t.safetensors").network.state_dict()
    own = network.state_dict()
    assert all(torch.equal(own[name], kept[name]) for name in own if not name.startswith("linear."))
    assert isinstance(build_head(HeadInfo(name="e", task="embed", classes=(), entropy_id=""), network), NetworkEmbedder)


def test_a_segmenter_takes_the_stem_and_the_backbone_of_a_classifier(codec: Codec, tmp_path: Path) -> None:
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    for number in range(2):
        Image.new("RGB", (32, 32)).save(tmp_path / "images" / f"{number}.png")
        Image.new("L", (32, 32)).save(tmp_path / "masks" / f"{number}.png")
    (tmp_path / "classes.txt").write_text("a\nb\n")
    classifier = ClassifierNetwork(replace(CLASSIFIES, latents=320))
    info = HeadInfo(name="t", task="classify", classes=tuple("abcde"), entropy_id=codec.entropy_id.hex())
    save_head(build_head(info, classifier), tmp_path / "t.safetensors")
    data, sizes = DataConfig(folder=str(tmp_path)), replace(SEGMENTS, latents=320)
    config = FitConfig(task="segment", data=data, segment=sizes, start_from=str(tmp_path / "t.safetensors"))
    network, begun = start.begin(config, codec, find_dataset("segment", data))
    kept = read_head(tmp_path / "t.safetensors").network
    value, quality = torch.randn(1, 320, 4, 6), torch.tensor([40])
    with torch.no_grad():
        theirs = kept.eval().after_stem(kept.stem(value, quality))[1]
        torch.testing.assert_close(network.eval().after_stem(network.stem(value, quality))[1], theirs)
    assert begun.stem is not None and not begun.is_trunk
    for other in (replace(sizes, adapter=24), SegmenterConfig(classes=2, fine=(8, 16))):
        with pytest.raises(DataError, match="has not the stem and the backbone"):
            start.begin(replace(config, segment=other), codec, find_dataset("segment", data))
