"""Trains a head: semcomp-fit-head --data FOLDER --task classify, or python -m heads.fit configs/head_street.yaml

The pictures are encoded once (latent_cache.py), then a small network learns to read the latents. The program also
trains the networks that heads are compared with, of equal size on decoded pictures or on originals, and teachers.
"""

import argparse
import json
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch
import yaml

from heads.byte_weights import round_weights
from heads.card import beginning, card, info_of
from heads.command_line import check_writable
from heads.confidence import NOT_NEEDED, calibrate, divide_scores, held_scores
from heads.datasets import Dataset
from heads.find_dataset import find_dataset
from heads.fit_config import FitConfig
from heads.head_file import TASKS, Network, TrainedHead, build_head, save_head
from heads.latent_cache import Cache, default_folder, open_cache, whole_pictures
from heads.probe import probe
from heads.start import TRUNK_STEPS, Start, begin, usual_trunk
from heads.stem_unfolding import unfolding
from heads.teachers.asked import teachers_of
from heads.training import USUAL_STEPS, learn
from heads.training_state import ADVICE, StateFile
from heads.validation import Held, HeldOut, validate
from semcomp import config as configuration
from semcomp.cli.argument_types import positive_number, void_number, whole_number
from semcomp.codec.codec import Codec, load
from semcomp.errors import ModelError, SemcompError, SemcompWarning
from semcomp.storage.files import write_whole
from semcomp.storage.places import refuse_to_overwrite

LENGTHS = ("optim.steps", "optim.epochs", "optim.minutes")
_WRITTEN = ("output", "card", "log", "cache")


def fit(
    config: FitConfig,
    *,
    cache: Path | None = None,
    log: Path | None = None,
    state: Path | None = None,
    resume: bool = False,
    quiet: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> TrainedHead:
    """Train a head. Ctrl-C ends the training early and keeps what was learned.

    Args:
        config: The settings.
        cache: Folder of the encoded crops.
        log: File that gets a JSON line for every step, and one for the figures.
        state: File that gets the state of the training every few minutes, until it ends.
        resume: Whether to go on from `state`.
        quiet: Whether progress bars are left out.
        tell: Hears a line before the pictures are encoded, and how well the head does on held-out pictures a few times.

    Returns:
        The head. Its origin tells how it was made and how well it does on held-out pictures.

    Raises:
        DataError: The data does not fit together (exit code 2).
        ModelError: A codec, teacher, trunk or state is not there, the trunk is for another codec, or the state of
            another training.

    Warns:
        SemcompWarning: The head is hardly better than chance, or gives nearly always one class.
    """
    torch.manual_seed(config.seed)
    codec = load(config.model)
    dataset = find_dataset(config.task, config.data)
    network, start = begin(config, codec, dataset)
    tell(beginning(config, dataset))
    crops = _crops(config, codec, dataset, folder=cache or default_folder(), quiet=quiet)
    held = whole_pictures(codec, dataset, config.data, source=config.source, quiet=quiet)
    of = f"{configuration.dump(config)}codec {codec.release.weights_id.hex()}, {len(crops)} crops"
    kept = None if state is None else StateFile(state, of, resume=resume)
    rows = _learned(network, start, crops, held, config, codec, dataset, state=kept, quiet=quiet, tell=tell)
    info = info_of(config, codec, dataset, network, start.told)
    calibration = calibrate(held_scores(build_head(info, network), held)) if dataset.classes else NOT_NEEDED
    divide_scores(network, calibration.temperature)
    round_weights(network)
    info = replace(info, temperature=calibration.temperature)
    score = validate(build_head(info, network), held, dataset)
    for doubt in score.doubts:
        warnings.warn(doubt, SemcompWarning, stacklevel=2)
    seconds = round(rows[-1]["seconds"], 1)
    if log:
        figures = score.figures | {"steps": len(rows), "seconds": seconds, "train_loss": rows[-1]["loss"]}
        figures |= {"temperature": calibration.temperature, "calibration_error": calibration.error}
        write_whole(str(log), "".join(json.dumps(row) + "\n" for row in [*rows, figures]).encode())
    told = f"{seconds / 60:.1f} minutes; {score.figure} {score.percent} % on {len(held)} held-out pictures"
    origin = "; ".join([info.origin, told, *([str(calibration)] if dataset.classes else []), *score.doubts])
    return build_head(replace(info, origin=origin), network)


def _learned(
    network: Network,
    start: Start,
    crops: Cache,
    held: Held,
    config: FitConfig,
    codec: Codec,
    dataset: Dataset,
    *,
    state: StateFile | None,
    quiet: bool,
    tell: Callable[[str], None],
) -> list[dict[str, float]]:
    """Train the network; returns what is logged of each step."""
    # The stem of a trunk has learned already, and learns on as the one matrix that it is.
    with nullcontext() if start.is_trunk else unfolding(network.stem, codec, crops, start=start.stem):
        return learn(
            network,
            crops,
            config.optim,
            classes=len(dataset.classes),
            seed=config.seed,
            quiet=quiet,
            has_trunk=start.is_trunk,
            on_mark=HeldOut(network, held, dataset, tell).mark,
            state=state,
        )


def _crops(config: FitConfig, codec: Codec, dataset: Dataset, *, folder: Path, quiet: bool) -> Cache:
    """Open the training crops, with the scores of a probe where one is asked for."""
    crops = open_cache(
        codec,
        dataset,
        config.data,
        source=config.source,
        folder=folder,
        seed=config.seed,
        teachers=teachers_of(
            dataset,
            teacher=config.teacher,
            features=config.features,
            side=config.data.side,
            fine=config.sizes.backbone is not None,
        ),
        quiet=quiet,
    )
    if not config.probe:
        return crops
    assert crops.features is not None
    scores = probe(crops.features, crops.target, config.data.copies, len(dataset.classes))
    return replace(crops, teacher=scores)


_EPILOG = """\
examples:
  semcomp-fit-head --data my_photos/ --task classify -o my.safetensors      a folder per class
  semcomp-fit-head --data streets/ --task segment --minutes 20              images/ + masks/ + classes.txt
  semcomp classify --head my.safetensors new/*.semc
  python -m heads.fit configs/head_street.yaml --set optim.minutes=5
  python -m heads.fit configs/head_street.yaml --resume                     after a stop
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
    parser.add_argument("--task", choices=tuple(TASKS), help="what to learn (guessed from the folder)")
    parser.add_argument(
        "--void", type=void_number, metavar="N", help="number in masks that means: nothing is known (255)"
    )
    parser.add_argument("--trunk", metavar="NAME", help="head to start from, or none (things, else objects)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--steps",
        type=whole_number(1, 10**9),
        metavar="N",
        help=f"batches to learn from ({TRUNK_STEPS}; {USUAL_STEPS} without a trunk)",
    )
    length.add_argument(
        "--minutes", type=positive_number, metavar="M", help="time to train instead, encoding not counted"
    )
    parser.add_argument("--model", metavar="NAME", help="codec: a name or a .safetensors path (base)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="any value of the configuration"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="the head's file (NAME.safetensors)")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help=f"where latents are kept ({default_folder()})")
    parser.add_argument("--card", type=Path, metavar="FILE", help="a model card as Markdown")
    parser.add_argument("--log", type=Path, metavar="FILE", help="loss of every step, as JSON lines")
    parser.add_argument("--resume", action="store_true", help="go on from the state that a stopped training has left")
    parser.add_argument("--json", action="store_true", help="figures as one JSON object on stdout")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    options = build_parser().parse_args(argv)
    quiet, doubts = options.quiet or not sys.stderr.isatty(), list[str]()

    def tell(line: str) -> None:
        if not options.quiet:
            print(line, file=sys.stderr, flush=True)

    try:
        config = _configure(options)
        output = options.output or Path(f"{config.name}.safetensors")
        refuse_to_overwrite((output, options.card, options.log), vars(options), words=_WRITTEN)
        state = output.with_suffix(".state")
        check_writable(output, options.card, options.log, folder=options.cache)
        if options.resume and not state.is_file():
            raise ModelError(f"there is no {state} to go on from; {ADVICE}")
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always", SemcompWarning)
            head = fit(
                config, cache=options.cache, log=options.log, state=state, resume=options.resume, quiet=quiet, tell=tell
            )
        doubts += [str(entry.message) for entry in heard if issubclass(entry.category, SemcompWarning)]
        save_head(head, output)
        if options.card:
            write_whole(str(options.card), card(head, config, output).encode())
    except (SemcompError, OSError, ValueError, yaml.YAMLError) as error:
        print(f"semcomp-fit-head: {error}", file=sys.stderr)
        return getattr(error, "exit_code", 1 if isinstance(error, OSError) else 2)
    except KeyboardInterrupt:
        print("semcomp-fit-head: interrupted before anything was learned", file=sys.stderr)
        return 130
    facts = {"output": str(output), "bytes": output.stat().st_size, "classes": list(head.classes)}
    facts |= {"origin": head.info.origin, "warnings": doubts}
    for doubt in doubts:
        print(f"semcomp-fit-head: warning: {doubt}", file=sys.stderr)
    if options.json:
        print(json.dumps(facts, ensure_ascii=False))
    elif not options.quiet:
        print(f"{output}  {facts['bytes']:,} B  {len(head.classes)} classes\n  {head.info.origin}")
    return 0


def _configure(options: argparse.Namespace) -> FitConfig:
    changes = list(options.set)
    if options.data:
        task = options.task or ("segment" if list(Path(options.data).glob("**/masks")) else "classify")
        name = options.output.stem if options.output else Path(options.data).resolve().name
        changes = [f"data.folder={json.dumps(options.data)}", f"task={task}", f"name={json.dumps(name)}", *changes]
    elif options.config is None:
        raise ValueError("give --data FOLDER, or a YAML file")
    elif options.task:
        changes.append(f"task={options.task}")
    if options.void is not None:
        changes.append(f"data.void={options.void}")
    if options.data and options.trunk is None:
        options.trunk = usual_trunk(task, load(options.model or "base"))
    if options.trunk and options.trunk != "none":
        changes = [f"trunk={json.dumps(options.trunk)}", *changes]
        if not any(change.partition("=")[0] in LENGTHS for change in changes):
            changes.append(f"optim.steps={TRUNK_STEPS}")
    elif options.trunk:
        changes.append("trunk=null")
    for name in ("minutes", "steps"):
        if (value := getattr(options, name)) is not None:
            changes += [f"{key}=null" for key in LENGTHS]
            changes.append(f"optim.{name}={value}")
    if options.model:
        changes.append(f"model={json.dumps(options.model)}")
    return configuration.load(FitConfig, options.config, overrides=changes)


if __name__ == "__main__":
    sys.exit(main())
