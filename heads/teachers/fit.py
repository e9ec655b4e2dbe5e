"""Trains a teacher of segmentation: python -m heads.teachers.fit configs/teacher_objects.yaml --runs runs

Its state is written every few minutes; --resume goes on after any stop.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from heads.command_line import run
from heads.find_dataset import find_dataset
from heads.teachers.deeplab import read_teacher
from heads.teachers.training import TeacherConfig, train, validate
from semcomp import config as configuration

_EPILOG = """\
examples:
  python -m heads.teachers.fit configs/teacher_objects.yaml --runs runs
  python -m heads.teachers.fit configs/teacher_objects.yaml --runs runs --resume
  python -m heads.teachers.fit configs/teacher_objects.yaml --score runs/teacher_objects/teacher_objects.safetensors
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m heads.teachers.fit",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Train a network on pixels that teaches segmentation heads.",
    )
    parser.add_argument("config", type=Path, help="a YAML file")
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="folder of all runs (runs)")
    parser.add_argument("--resume", action="store_true", help="go on from the state that the run has left")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="the trunk's weights (those of the package)")
    parser.add_argument("--score", type=Path, metavar="FILE", help="only score a teacher on the held-out pictures")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="any value of the configuration"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress")
    o = parser.parse_args(argv)

    def work() -> None:
        config = configuration.load(TeacherConfig, o.config, overrides=o.set)
        if o.score:
            figures = validate(read_teacher(o.score), find_dataset("segment", config.data))
            print(json.dumps(figures, indent=1))
            return
        quiet = o.quiet or not sys.stderr.isatty()
        print(train(config, o.runs / config.name, resume=o.resume, weights=o.weights, quiet=quiet))

    return run("heads.teachers.fit", work, interrupted="; --resume goes on", mistakes=(ValueError, yaml.YAMLError))


if __name__ == "__main__":
    sys.exit(main())
