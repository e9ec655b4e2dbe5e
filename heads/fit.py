"""Trains a head: semcomp-fit-head --data FOLDER --task classify, or python -m heads.fit configs/head_street.yaml

What it is asked is read before torch is loaded; fitting.py does the work.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from heads.command_line import HALVED_FROM, TRUNK_STEPS, USUAL_STEPS, check_writable, default_folder
from semcomp import config as configuration
from semcomp.cli.argument_types import positive_number, void_number, whole_number
from semcomp.errors import ModelError, SemcompError, SemcompWarning
from semcomp.semantics.head import TASKS
from semcomp.storage.files import write_whole
from semcomp.storage.places import refuse_to_overwrite

if TYPE_CHECKING:
    from heads.fit_config import FitConfig

LENGTHS = ("optim.steps", "optim.epochs", "optim.minutes")
_WRITTEN = ("output", "card", "log", "cache")


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
    parser.add_argument("--task", choices=TASKS, help="what to learn (guessed from the folder)")
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
    from heads.card import card
    from heads.fitting import fit
    from heads.head_file import save_head
    from heads.training_state import ADVICE

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
    from heads.fit_config import FitConfig
    from heads.start import usual_trunk
    from semcomp.codec.codec import load

    changes = list(options.set)
    if options.data:
        task = options.task or ("segment" if list(Path(options.data).glob("**/masks")) else "classify")
        name = options.output.stem if options.output else Path(options.data).resolve().name
        changes = [f"data.folder={json.dumps(options.data)}", f"task={task}", f"name={json.dumps(name)}", *changes]
        if task == "classify":  # its crops are resized, so it knows no large pictures
            changes = [f"halved_from={HALVED_FROM}", *changes]
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
