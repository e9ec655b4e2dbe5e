"""What is told of a head: before it learns, in its file, and on its card."""

import platform
from pathlib import Path

import torch

from heads.datasets import Dataset
from heads.fit_config import FitConfig
from heads.head_file import HeadInfo, Network, NetworkHead
from heads.layers import count
from heads.teachers.asked import guide_of
from semcomp import config as configuration
from semcomp.codec.codec import Codec


def beginning(config: FitConfig, dataset: Dataset) -> str:
    """Tell what a training begins with."""
    if config.trunk:
        start = f"the trunk of {config.trunk}"
    else:
        start = config.start_from or config.sizes.backbone or "random weights"
    classes = f" of {len(dataset.classes)} classes" if dataset.classes else ""
    return (
        f"{len(dataset.train)} pictures{classes} and {len(dataset.val)} held out; "
        f"{len(dataset.train) * config.data.copies} crops are encoded first; starts from {start}"
    )


def info_of(config: FitConfig, codec: Codec, dataset: Dataset, network: Network, further: str) -> HeadInfo:
    """Tell what a head was made from. `further` is what it started from."""
    size = count(network, source=network.config.source, latents=codec.release.config.latents)
    data, sets = config.data, ", ".join(Path(one.folder).name for one in config.data.sets)
    origin = (
        f"{len(dataset.train)} pictures of {sets or data.folder or data.images}, {data.copies} crops of each; "
        f"sees {config.source} of codec {codec.name} {codec.model_id.hex()}; {size['parameters_m']:.2f} M "
        f"parameters, {size['kmac_per_px']:.2f} kMAC/px"
    )
    if further:
        origin += f"; {further}"
    if config.teacher:
        origin += f"; distilled from {Path(config.teacher).stem}"
    if config.features:
        origin += f"; guided by features of {guide_of(config.features)}, which was trained on ImageNet"
    if config.probe:
        origin += "; distilled from a linear classifier on these features"
    if config.licence:
        origin += f"; {config.licence}"
    return HeadInfo(
        name=config.name,
        task=config.task,
        classes=dataset.classes,
        palette=dataset.palette,
        entropy_id=codec.entropy_id.hex(),
        origin=origin,
        halved_from=config.halved_from,
    )


def card(head: NetworkHead, config: FitConfig, file: Path) -> str:
    """A model card: what the head is, what it was made from, and how to make it again."""
    origin = "\n".join(f"- {part}" for part in head.info.origin.split("; "))
    return (
        f"# {head.name}\n\nA head that reads latents ({head.task}), {file.stat().st_size / 1e6:.1f} MB, for the codec "
        f"with entropy id `{head.info.entropy_id}`.\n\n{origin}\n- CPU threads while it "
        f"learned: {torch.get_num_threads()} ({platform.machine()})\n\nClasses: {', '.join(head.classes)}.\n\n"
        f"## Configuration\n\n```yaml\n{configuration.dump(config)}```\n"
    )
