"""Trains a head: semcomp-fit-head --data FOLDER --task classify, or python -m heads.fit configs/head_street.yaml

The pictures are encoded once (latent_cache.py), then a small network learns to read the latents. The program also
trains the networks that heads are compared with, of equal size on decoded pictures or on originals, and teachers.
"""

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from heads.confidence import calibrate, divide_scores, held_scores
from heads.datasets import DataError, Dataset
from heads.find_dataset import find_dataset
from heads.fit_config import FitConfig
from heads.head_file import (
    HeadInfo,
    Network,
    NetworkClassifier,
    NetworkHead,
    NetworkSegmenter,
    build_head,
    build_network,
    read_head,
    save_head,
)
from heads.latent_cache import Cache, default_folder, open_cache, whole_pictures
from heads.layers import count
from heads.probe import probe
from heads.score import Score
from heads.segmenter import SegmenterConfig
from heads.stem_unfolding import unfolding
from heads.teachers.asked import guide_of, teachers_of
from heads.training import learn
from semcomp import config as configuration
from semcomp.codec.codec import Codec, load
from semcomp.errors import SemcompError

TrainedHead = NetworkClassifier | NetworkSegmenter


def fit(config: FitConfig, *, cache: Path | None = None, log: Path | None = None, quiet: bool = False) -> TrainedHead:
    """Train a head. Ctrl-C ends the training early and keeps what was learned.

    Args:
        config: The settings.
        cache: Folder of the encoded crops.
        log: File that gets a JSON line for every step, and one for the figures.
        quiet: Whether progress bars are left out.

    Returns:
        The head. Its origin tells how it was made and how well it does on held-out pictures.

    Raises:
        DataError: The data does not fit together (exit code 2).
        ModelError: A codec or teacher is not there.
    """
    torch.manual_seed(config.seed)
    codec = load(config.model)
    dataset = find_dataset(config.task, config.data)
    crops = _crops(config, codec, dataset, folder=cache or default_folder(), quiet=quiet)
    held = whole_pictures(codec, dataset, config.data, source=config.source, quiet=quiet)
    network, start, further = _network(config, codec, dataset), None, ""
    if config.start_from:
        before = read_head(config.start_from)
        _take_over(network, before, dataset, file=config.start_from)
        start, further = before.network.stem, f"trained further from {Path(config.start_from).stem}: {before.origin}"
    with unfolding(network.stem, codec, crops, start=start):
        rows = learn(network, crops, config.optim, classes=len(dataset.classes), seed=config.seed, quiet=quiet)
    info = _info(config, codec, dataset, network, further)
    calibration = calibrate(held_scores(build_head(info, network), held))
    divide_scores(network, calibration.temperature)
    info = replace(info, temperature=calibration.temperature)
    score = validate(build_head(info, network), held, dataset)
    seconds = round(rows[-1]["seconds"], 1)
    if log:
        figures = score.figures | {"steps": len(rows), "seconds": seconds, "train_loss": rows[-1]["loss"]}
        figures |= {"temperature": calibration.temperature, "calibration_error": calibration.error}
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("".join(json.dumps(row) + "\n" for row in [*rows, figures]))
    told = f"{seconds / 60:.1f} minutes; {score.figure} {score.percent} % on {len(held)} held-out pictures"
    return build_head(replace(info, origin=f"{info.origin}; {told}; {calibration}"), network)


def _crops(config: FitConfig, codec: Codec, dataset: Dataset, *, folder: Path, quiet: bool) -> Cache:
    """Open the training crops, with the scores of a probe where one is asked for."""
    crops = open_cache(
        codec,
        dataset,
        config.data,
        source=config.source,
        folder=folder,
        seed=config.seed,
        teachers=teachers_of(dataset, teacher=config.teacher, features=config.features, side=config.data.side),
        quiet=quiet,
    )
    if not config.probe:
        return crops
    assert crops.features is not None
    scores = probe(crops.features, crops.target, config.data.copies, len(dataset.classes))
    return replace(crops, teacher=scores)


def _take_over(network: Network, before: NetworkHead, dataset: Dataset, *, file: str) -> None:
    """Begin with what a head has learned. Of a network that sees pixels where this does not: all but the stem's first
    layer, and the layers at a quarter of the resolution where those are of another width.

    DataError where the two do not fit together.
    """
    mine, theirs = network.config, before.network.config
    if theirs.source == "pixels":
        theirs = replace(theirs, source=mine.source, rank=mine.rank, companded=mine.companded)
        if isinstance(mine, SegmenterConfig) and isinstance(theirs, SegmenterConfig) and mine.source == "latents":
            theirs = replace(theirs, width4=mine.width4)
    if before.classes != dataset.classes or theirs != mine:
        raise DataError(f"{file} has other classes or sizes than this head; train from the beginning")
    own, learned = network.state_dict(), before.network.state_dict()
    kept = {name: value for name, value in learned.items() if name in own and value.shape == own[name].shape}
    network.load_state_dict(own | kept)


def _network(config: FitConfig, codec: Codec, dataset: Dataset) -> Network:
    c = codec.release.config
    source = "latents" if config.source == "latents" else "pixels"
    return build_network(
        replace(config.sizes, classes=len(dataset.classes), latents=c.latents, nodes=c.nodes, source=source)
    )


def _info(config: FitConfig, codec: Codec, dataset: Dataset, network: Network, further: str) -> HeadInfo:
    size = count(network, source=network.config.source, latents=codec.release.config.latents)
    origin = (
        f"{len(dataset.train)} pictures of {config.data.folder or config.data.images}, {config.data.copies} crops of "
        f"each; sees {config.source} of codec {codec.name} {codec.model_id.hex()}; {size['parameters_m']:.2f} M "
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
    )


def validate(head: TrainedHead, held: Sequence[tuple[Tensor, int, Any]], dataset: Dataset) -> Score:
    """Score a head on pictures at the qualities that they were drawn at."""
    score = dataset.new_score()
    for value, quality, truth in held:
        if isinstance(head, NetworkSegmenter):
            height, width = truth.shape
            score.add(head.read(value.float(), quality, height=height, width=width), truth)
        else:
            score.add(head.read(value.float(), quality), truth)
    return score


_EPILOG = """\
examples:
  semcomp-fit-head --data my_photos/ --task classify -o my.safetensors      a folder per class
  semcomp-fit-head --data streets/ --task segment --minutes 20              images/ + masks/ + classes.txt
  semcomp classify --head my.safetensors new/*.semc
  python -m heads.fit configs/head_street.yaml --set optim.minutes=5
"""


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="semcomp-fit-head",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Train a recognition head on your own pictures. It reads latents and needs no decoded pixel.",
    )
    parser.add_argument("config", nargs="?", type=Path, help="a YAML file; without one, --data says what to learn")
    parser.add_argument("--data", metavar="FOLDER", help="a folder per class, or images/ + masks/ + classes.txt")
    parser.add_argument("--task", choices=("classify", "segment"), help="what to learn (guessed from the folder)")
    parser.add_argument("--void", type=int, metavar="N", help="number in masks that means: nothing is known (255)")
    parser.add_argument("--minutes", type=float, metavar="M", help="time to train, encoding not counted (10)")
    parser.add_argument("--model", metavar="NAME", help="codec: a name or a .safetensors path (base)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="any value of the configuration"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="the head's file (NAME.safetensors)")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help=f"where latents are kept ({default_folder()})")
    parser.add_argument("--card", type=Path, metavar="FILE", help="a model card as Markdown")
    parser.add_argument("--log", type=Path, metavar="FILE", help="loss of every step, as JSON lines")
    parser.add_argument("--json", action="store_true", help="figures as one JSON object on stdout")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    options = build_parser().parse_args(argv)
    try:
        config = _configure(options)
        output = options.output or Path(f"{config.name}.safetensors")
        head = fit(config, cache=options.cache, log=options.log, quiet=options.quiet or not sys.stderr.isatty())
        save_head(head, output)
        if options.card:
            options.card.write_text(card(head, config, output), encoding="utf-8")
    except (SemcompError, OSError) as error:
        print(f"semcomp-fit-head: {error}", file=sys.stderr)
        return getattr(error, "exit_code", 1)
    except (ValueError, yaml.YAMLError) as error:
        print(f"semcomp-fit-head: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("semcomp-fit-head: interrupted before anything was learned", file=sys.stderr)
        return 130
    facts = {
        "output": str(output),
        "bytes": output.stat().st_size,
        "classes": list(head.classes),
        "origin": head.info.origin,
    }
    if options.json:
        print(json.dumps(facts, ensure_ascii=False))
    elif not options.quiet:
        print(f"{output}  {facts['bytes']:,} B  {len(head.classes)} classes\n  {head.info.origin}")
    return 0


def card(head: NetworkHead, config: FitConfig, file: Path) -> str:
    """A model card: what the head is, what it was made from, and how to make it again."""
    origin = "\n".join(f"- {part}" for part in head.info.origin.split("; "))
    return (
        f"# {head.name}\n\nA head that reads latents ({head.task}), {file.stat().st_size / 1e6:.1f} MB, for the codec "
        f"with entropy id `{head.info.entropy_id}`.\n\n{origin}\n- CPU threads while it "
        f"learned: {torch.get_num_threads()} ({platform.machine()})\n\nClasses: {', '.join(head.classes)}.\n\n"
        f"## Configuration\n\n```yaml\n{configuration.dump(config)}```\n"
    )


def _configure(options: argparse.Namespace) -> FitConfig:
    changes = list(options.set)
    if options.data:
        task = options.task or ("segment" if list(Path(options.data).glob("**/masks")) else "classify")
        name = Path(options.data).resolve().name
        changes = [f"data.folder={json.dumps(options.data)}", f"task={task}", f"name={json.dumps(name)}", *changes]
    elif options.config is None:
        raise ValueError("give --data FOLDER, or a YAML file")
    elif options.task:
        changes.append(f"task={options.task}")
    if options.void is not None:
        changes.append(f"data.void={options.void}")
    if options.minutes is not None:
        changes += [f"optim.minutes={options.minutes}", "optim.epochs=null"]
    if options.model:
        changes.append(f"model={json.dumps(options.model)}")
    return configuration.load(FitConfig, options.config, overrides=changes)


if __name__ == "__main__":
    sys.exit(main())
