"""Options of `semcomp eval`. Building them imports nothing beyond argparse."""

from __future__ import annotations

import argparse
from typing import Any

EPILOG = """\
examples:
  semcomp eval photos/ -o out/                        which codec for these? curves, report.html, points.csv
  semcomp eval photos/ --codecs semcomp,jpeg --qualities 30,50,70
  semcomp eval photos/ --codecs semcomp,avif --anchor avif --metrics psnr,ssim,ms-ssim
  semcomp eval photos/ --qualities 50 --codecs semcomp --min-psnr 31 --max-bpp 0.4     a check: exit code 5
  semcomp eval labelled/ --task segment --head street --pixels pixel_network.safetensors

A run with -o DIR that was interrupted goes on where it stopped. Codecs: semcomp; jpeg, webp, avif, jpeg2000 by
Pillow; jxl by imagecodecs and heic by pillow-heif, where they are installed; CompressAI's bmshj2018-factorized,
bmshj2018-hyperprior, mbt2018-mean and cheng2020-anchor: with their pretrained weights where those are on this machine
(nothing is downloaded), else their speed alone.
"""


def _list(text: str) -> tuple[str, ...]:
    parts = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not parts:
        raise argparse.ArgumentTypeError(f"{text!r} names nothing")
    return parts


def _qualities(text: str) -> tuple[int, ...] | str:
    if text == "full":
        return text
    parts = _list(text)
    if not all(part.isdecimal() and int(part) <= 100 for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r}: give whole numbers up to 100, such as 10,30,50,70,90, or full")
    return tuple(sorted(map(int, parts)))


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in _list(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: give numbers with commas between") from None


def _range(text: str) -> tuple[float, float]:
    values = _numbers(text)
    if len(values) != 2 or values[0] >= values[1]:
        raise argparse.ArgumentTypeError(f"{text!r}: give two ascending numbers, such as 26,38")
    return values[0], values[1]


def add_eval(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    """Add the command to the subparsers."""
    parser = commands.add_parser(
        "eval",
        parents=parents,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EPILOG,
        help="codecs beside each other on your own pictures",
        description="Measure codecs on pictures, or recognition on labelled ones, from real files.",
    )
    parser.add_argument("inputs", nargs="+", metavar="IN", help="pictures, folders or globs")
    parser.add_argument("--codecs", type=_list, metavar="A,B", help="codecs (semcomp and every classical one)")
    parser.add_argument(
        "--metrics",
        type=_list,
        default=("psnr", "ms-ssim"),
        metavar="A,B",
        help="psnr, ssim, ms-ssim, lpips (psnr,ms-ssim)",
    )
    parser.add_argument(
        "--qualities", type=_qualities, metavar="A,B", help="settings of each codec, or full (five of each codec's own)"
    )
    parser.add_argument("--anchor", default="jpeg", metavar="NAME", help="codec that BD-rates refer to (jpeg)")
    parser.add_argument("--range", type=_range, metavar="LOW,HIGH", help="PSNR that BD-rates span, in dB (26,38)")
    parser.add_argument("--limit", type=int, metavar="N", help="take only N pictures, evenly spaced")
    parser.add_argument("--worst", type=int, default=10, metavar="N", help="pictures shown of each codec (10)")
    parser.add_argument("--csv", action="store_true", help="a line for each picture and setting on stdout")
    parser.add_argument("--html", action="store_true", help="the report on stdout")
    parser.add_argument(
        "-o", "--output", metavar="DIR", help="report.html, report.json, points.csv, plots, and what a run resumes"
    )
    limits = parser.add_argument_group("limits of semcomp, or of the first codec; exit code 5 if one does not hold")
    limits.add_argument("--min-psnr", type=float, metavar="DB", help="mean PSNR at every quality")
    limits.add_argument("--max-bpp", type=float, metavar="X", help="mean bits a pixel at every quality")
    limits.add_argument("--max-bd-rate", type=float, metavar="PERCENT", help="BD-rate against the anchor")
    task = parser.add_argument_group("recognition: accuracy against bytes")
    task.add_argument("--task", metavar="TASK", help="segment or classify: IN is a folder of labelled pictures")
    task.add_argument("--head", metavar="NAME", help="head that reads latents: a name or a file (the task's own)")
    task.add_argument("--pixels", metavar="FILE", help="network that reads pixels, trained with --set source=decoded")
    task.add_argument(
        "--bpp", type=_numbers, default=(0.15, 0.3, 0.6), metavar="A,B", help="rates to compare at (0.15,0.3,0.6)"
    )
    parser.set_defaults(module="semcomp.cli.eval")
