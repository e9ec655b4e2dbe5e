"""Options that several commands share. Each is a parent parser, so that the commands spell and explain them alike."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable
from typing import NamedTuple

from semcomp.cli.argument_types import job_count, positive_number, size_in_bytes, whole_number

TARGETS = ("bpp", "max_bytes", "psnr")
"""Names of the options that ask for a rate or a distortion instead of a quality."""


NewParser = Callable[..., ArgumentParser]
"""Adds the parser of one command to the command line. It takes the arguments of ArgumentParser: `parents`,
`description` and `epilog`."""


class SharedOptions(NamedTuple):
    """Parent parsers, one for each group of options. A command passes those that it takes as `parents`."""

    output: ArgumentParser
    """--json, --quiet, --verbose"""
    network: ArgumentParser
    """--model, --device, --threads"""
    model: ArgumentParser
    """--model, --graphs, --lossless-weights, --device, --threads"""
    parallel: ArgumentParser
    """--jobs"""
    written: ArgumentParser
    """--output, --force"""
    convert: ArgumentParser
    """--convert"""
    target: ArgumentParser
    """--convert, --convert-colour, --keep-hidden-colour, --strip, and one of --quality, --bpp, --max-bytes, --psnr"""
    batch: ArgumentParser
    """Inputs, --output, --force, --jobs: commands that write one file for each input"""
    reading: ArgumentParser
    """Inputs, --jobs, --convert, --quality: commands that read latents of .semc files or of pictures"""


def shared_options() -> SharedOptions:
    """Build the parent parsers."""
    parallel, written, convert, network = _parallel(), written_options(), _convert(), _network()
    batch = ArgumentParser(add_help=False, parents=[written, parallel])
    batch.add_argument("inputs", nargs="+", metavar="IN", help="files, folders, globs, or - for stdin")
    reading = ArgumentParser(add_help=False, parents=[parallel, convert])
    reading.add_argument(
        "inputs", nargs="+", metavar="FILE", help=".semc files, pictures, folders, globs, or - for stdin"
    )
    add_quality(reading, "quality at which pictures are encoded first (75)")
    return SharedOptions(
        output=_output(),
        network=network,
        model=_model(network),
        parallel=parallel,
        written=written,
        convert=convert,
        target=_target(convert),
        batch=batch,
        reading=reading,
    )


def first_given(options: Namespace, names: Iterable[str]) -> str | None:
    """Return the first of some options whose value is not its default, as the user writes it; None if there is none.

    Args:
        options: The options of a command.
        names: Names of options, with underscores.
    """
    defaults = getattr(options, "defaults", {})
    given = (name for name in names if getattr(options, name, None) != defaults.get(name))
    return next((f"--{name.replace('_', '-')}" for name in given), None)


def add_quality(parser: argparse._ActionsContainer, explanation: str) -> None:
    """Add --quality, which takes a whole number from 1 to 100."""
    parser.add_argument("-q", "--quality", type=whole_number(1, 100), metavar="1..100", help=explanation)


def add_graphs(parser: ArgumentParser) -> None:
    """Add --graphs."""
    parser.add_argument(
        "--graphs",
        metavar="DIR",
        help="compute with onnxruntime, on a folder of semcomp export onnx (without torch: what is installed)",
    )


def add_lossless_weights(parser: ArgumentParser) -> None:
    """Add --lossless-weights."""
    parser.add_argument("--lossless-weights", metavar="FILE", help="weights of lossless coding (those inside semcomp)")


def written_options() -> ArgumentParser:
    """Return a parent parser with --output and --force, for results that follow a pipe to stdout without --output."""
    parent = ArgumentParser(add_help=False)
    parent.set_defaults(piped=True)
    parent.add_argument("-o", "--output", metavar="OUT", help="a file, a folder (mirrors the tree), or - for stdout")
    parent.add_argument("-f", "--force", action="store_true", help="overwrite files that exist")
    return parent


def _output() -> ArgumentParser:
    parent = ArgumentParser(add_help=False)
    parent.add_argument("--json", action="store_true", help="print one JSON object a line on stdout, with stable keys")
    parent.add_argument("--quiet", action="store_true", help="print errors only: no lines and no progress bar")
    parent.add_argument("-v", "--verbose", action="store_true", help="print more, and show tracebacks")
    return parent


def _network() -> ArgumentParser:
    parent = ArgumentParser(add_help=False)
    parent.add_argument("--model", default="base", metavar="NAME", help="weights: a name or a .safetensors path (base)")
    parent.add_argument("--device", metavar="DEVICE", help="cpu, cuda, cuda:1, mps (cpu)")
    parent.add_argument("--threads", type=job_count, metavar="N", help="CPU threads in total (every core)")
    return parent


def _model(network: ArgumentParser) -> ArgumentParser:
    parent = ArgumentParser(add_help=False, parents=[network])
    add_graphs(parent)
    add_lossless_weights(parent)
    return parent


def _parallel() -> ArgumentParser:
    parent = ArgumentParser(add_help=False)
    parent.add_argument(
        "-j", "--jobs", type=job_count, default=1, metavar="N", help="processes (1; 0: one for each core)"
    )
    return parent


def _convert() -> ArgumentParser:
    parent = ArgumentParser(add_help=False)
    parent.add_argument(
        "--convert", action="store_true", help="convert 16-bit, CMYK and animated pictures instead of refusing them"
    )
    return parent


def _target(convert: ArgumentParser) -> ArgumentParser:
    parent = ArgumentParser(add_help=False, parents=[convert])
    exclusive = parent.add_mutually_exclusive_group()
    add_quality(exclusive, "quality (50)")
    exclusive.add_argument("--bpp", type=positive_number, metavar="X", help="at most X bits a pixel")
    exclusive.add_argument("--max-bytes", type=size_in_bytes, metavar="SIZE", help="at most this size, such as 20k")
    exclusive.add_argument("--psnr", type=positive_number, metavar="X", help="at least X dB, in the smallest file")
    parent.add_argument("--strip", action="store_true", help="drop the ICC profile, EXIF and XMP")
    parent.add_argument(
        "--convert-colour", action="store_true", help="convert the colours to sRGB instead of keeping their profile"
    )
    parent.add_argument(
        "--keep-hidden-colour", action="store_true", help="keep the colours of fully transparent pixels"
    )
    return parent
