"""`semcomp eval`: codecs beside each other on a folder of pictures; recognition with --task."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from semcomp.cli.argument_types import (
    finite_number,
    name_list,
    number_range,
    positive_number,
    positive_numbers,
    qualities,
    void_number,
    whole_number,
)
from semcomp.cli.exit_codes import EXIT_FAILED, EXIT_OK, UsageError
from semcomp.cli.failures import check_readable, local_output
from semcomp.cli.inputs import is_pipe
from semcomp.cli.own_outputs import mark
from semcomp.cli.paths import IMAGE_SUFFIXES, STREAM, check_target, list_jobs, write_target
from semcomp.cli.shared_options import NewParser, SharedOptions, first_given
from semcomp.cli.terminal import complain, json_text, say, say_document, say_json
from semcomp.storage.files import local_copy
from semcomp.storage.urls import is_url

EXIT_LIMIT = 5
LIMITS = ("min_psnr", "max_bpp", "max_bd_rate")
TASKS = "semcomp.tasks"
"""Group of entry points. Each maps a task to a callable that takes the options and returns (result, text)."""

_OF_TASKS = ("void", "head", "pixels", "bpp")
_OF_CODECS = (*("metrics", "qualities", "anchor", "range", "worst", "csv", "html", "jobs", "convert"), *LIMITS)
"""Options that only --task has, and those that it lacks"""

_EPILOG = """\
examples:
  semcomp eval photos/ -o out/                        which codec for these? curves, report.html, points.csv
  semcomp eval photos/ --codecs semcomp,jpeg --qualities 30,50,70
  semcomp eval photos/ --codecs semcomp,avif --anchor avif --metrics psnr,ssim,ms-ssim
  semcomp eval photos/ --qualities 50 --codecs semcomp --min-psnr 31 --max-bpp 0.4     a check: exit code 5
  semcomp eval labelled/ --task segment --head street --pixels pixel_network.safetensors

A run with -o DIR that was interrupted goes on where it stopped. Codecs: semcomp; jpeg, webp, avif, jpeg2000 by
Pillow; jxl by imagecodecs, heic by pillow-heif, mozjpeg by pyvips and jpegli by pyjpegli, where they are installed
(avif444, AVIF at its slowest, mozjpeg and jpegli only if they are named); CompressAI's bmshj2018-factorized,
bmshj2018-hyperprior, mbt2018-mean and cheng2020-anchor: with their pretrained weights where those are on this machine
(nothing is downloaded), else their speed alone; jpeg+restore, JPEG files that semcomp restore decodes, and
jpeg+restore=FILE with weights from a file.
"""


def add_parser(new_parser: NewParser, shared: SharedOptions) -> None:
    """Add the command and its options."""
    parser = new_parser(
        parents=[shared.parallel, shared.convert, shared.network, shared.output],
        epilog=_EPILOG,
        description="Measure codecs on pictures, or recognition on labelled ones, from real files.",
    )
    parser.add_argument("inputs", nargs="+", metavar="IN", help="pictures, folders or globs")
    _add_codec_options(parser)
    _add_limit_options(parser)
    _add_recognition_options(parser)
    parser.set_defaults(run=run)


def _add_codec_options(parser: ArgumentParser) -> None:
    parser.add_argument("--codecs", type=name_list, metavar="A,B", help="codecs (semcomp and every classical one)")
    parser.add_argument(
        "--metrics",
        type=name_list,
        default=("psnr", "ms-ssim"),
        metavar="A,B",
        help="psnr, ssim, ms-ssim, lpips, ssimulacra2 (psnr,ms-ssim)",
    )
    parser.add_argument(
        "--qualities", type=qualities, metavar="A,B", help="settings of each codec, or full (five of each codec's own)"
    )
    parser.add_argument("--anchor", default="jpeg", metavar="NAME", help="codec that BD-rates refer to (jpeg)")
    parser.add_argument("--range", type=number_range, metavar="LOW,HIGH", help="PSNR that BD-rates span, in dB (26,38)")
    parser.add_argument("--limit", type=whole_number(1, 10**6), metavar="N", help="take only N pictures, evenly spaced")
    parser.add_argument(
        "--worst", type=whole_number(0, 10**6), default=10, metavar="N", help="pictures shown of each codec (10)"
    )
    parser.add_argument("--csv", action="store_true", help="print a line for each picture and setting on stdout")
    parser.add_argument("--html", action="store_true", help="print the report on stdout")
    parser.add_argument(
        "-o", "--output", metavar="DIR", help="report.html, report.json, points.csv, plots, and what a run resumes"
    )


def _add_limit_options(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("limits of semcomp, or of the first codec; exit code 5 if one does not hold")
    group.add_argument("--min-psnr", type=finite_number, metavar="DB", help="mean PSNR at every quality")
    group.add_argument("--max-bpp", type=positive_number, metavar="X", help="mean bits a pixel at every quality")
    group.add_argument("--max-bd-rate", type=finite_number, metavar="PERCENT", help="BD-rate against the anchor")


def _add_recognition_options(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("recognition: accuracy against bytes")
    group.add_argument("--task", metavar="TASK", help="segment or classify: IN is a folder of labelled pictures")
    group.add_argument(
        "--void", type=void_number, default=255, metavar="N", help="number in masks that is not counted (255)"
    )
    group.add_argument("--head", metavar="NAME", help="head that reads latents: a name or a file")
    group.add_argument("--pixels", metavar="FILE", help="network that reads pixels, trained with --set source=decoded")
    group.add_argument(
        "--bpp", type=positive_numbers, default=(0.15, 0.3, 0.6), metavar="A,B", help="rates (0.15,0.3,0.6)"
    )


def run(options: Namespace) -> int:
    """Measure and report; returns the exit code."""
    if sum((options.json, options.csv, options.html)) > 1:
        raise UsageError("give one of --json, --csv and --html; -o DIR writes all of them")
    if options.output and Path(options.output).is_file():
        raise UsageError(f"-o {options.output} is a file; eval writes a folder")
    options.output = options.output and local_output(options.output)
    if flag := first_given(options, _OF_CODECS if options.task else _OF_TASKS):
        raise UsageError(f"{flag} {'does not go with' if options.task else 'belongs to'} --task: leave it out")
    return _recognise(options) if options.task else _compare(options)


def _compare(options: Namespace) -> int:
    from semcomp.eval.codecs import installed
    from semcomp.eval.run import peaks
    from semcomp.eval.run import run as measure
    from semcomp.eval.summary import summarise, table, thresholds, to_csv

    names = options.codecs or tuple(installed())
    subject = "semcomp" if "semcomp" in names else names[0]
    limited = {key: getattr(options, key) for key in LIMITS}
    _check_options(options, names, subject)
    plan = _plan(options, names)
    folder = Path(options.output) if options.output else None
    bars = not options.quiet and sys.stderr.isatty()
    rows, coders = measure(plan, folder=folder, progress=bars)
    memory = peaks(plan, rows, coders, progress=bars)
    limits = {"limits": options.range} if options.range else {}
    result = summarise(plan, rows, coders, anchor=options.anchor, memory=memory, **limits)
    if any(value is not None for value in limited.values()):
        result["thresholds"] = thresholds(result, subject=subject, **limited)
    told = result["pictures"] and (options.html or folder)
    text = _report(options, plan, rows, coders, result, bars) if told else ""
    if folder:
        files = {
            "report.json": json_text(result, indent=1) + "\n",
            "report.html": text,
            "points.csv": to_csv(rows, result["metrics"]),
        }
        for name, content in files.items():
            write_target(str(folder / name), content.encode(), force=True)
        _plots(result, folder, _command(options))
    if options.json:
        say_json(result)
    elif options.csv:
        say_document(to_csv(rows, result["metrics"]))
    elif options.html:
        say_document(text + "\n")
    elif not options.quiet:
        say(table(result).splitlines())
        if folder:
            say(["", f"written: {folder / 'report.html'}, report.json, points.csv"])
    return _exit_code(result)


def _check_options(options: Namespace, names: tuple[str, ...], subject: str) -> None:
    """UsageError for what makes no sense, before anything is measured; MissingExtraError and the like, too."""
    from semcomp.eval.codecs import NAMES, find
    from semcomp.eval.measure import METRICS, prepare

    if unknown := [metric for metric in options.metrics if metric not in METRICS]:
        raise UsageError(f"no metric called {unknown[0]}; known: {', '.join(METRICS)}")
    if unknown := [name for name in names if name.partition("=")[0] not in NAMES]:
        raise UsageError(f"no codec called {unknown[0]}; known: {', '.join(NAMES)}")
    if first_given(options, ("anchor",)) and options.anchor not in names:
        raise UsageError(f"--anchor {options.anchor} is not measured: name one of {', '.join(names)}")
    wants_psnr = options.min_psnr is not None or options.max_bd_rate is not None
    if wants_psnr and "psnr" not in options.metrics:
        raise UsageError("--min-psnr and --max-bd-rate need psnr among the --metrics")
    if options.max_bd_rate is not None and (options.anchor not in names or options.anchor == subject):
        raise UsageError(f"--max-bd-rate compares {subject} with {options.anchor}: both must be among the --codecs")
    for name in names:
        find(name, model=options.model)
    prepare(options.metrics, compared=options.anchor in names and len(names) > 1)


def _plan(options: Namespace, names: tuple[str, ...]) -> Any:
    from semcomp.eval.codecs import evenly
    from semcomp.eval.run import EvalPlan

    jobs, unusable, notes = list_jobs(options.inputs, read_suffixes=IMAGE_SUFFIXES)
    if unusable:
        raise unusable[0].named_error
    if any(job.source == STREAM or (not is_url(job.source) and is_pipe(Path(job.source))) for job in jobs):
        raise UsageError("eval reads every picture several times, and a pipe can be read once: save it to a file")
    for note in notes:
        complain(f"semcomp eval: {note}")
    sources = [job.source for job in jobs]
    if options.output:
        from semcomp.eval.measure import METRICS

        for metric in options.metrics:
            check_target(str(Path(options.output) / f"{METRICS[metric]}.png"), options, sources=sources)
    if options.limit:
        sources = list(evenly(sources, options.limit))
    paths = [Path(local_copy(source)) for source in sources]
    return EvalPlan(
        paths=tuple(paths),
        codecs=tuple(names),
        metrics=options.metrics,
        qualities=options.qualities,
        model=options.model,
        device=options.device,
        convert=options.convert,
        jobs=options.jobs,
        threads=options.threads,
    )


def _report(options: Namespace, plan: Any, rows: Any, coders: Any, result: dict[str, Any], bars: bool) -> str:
    from semcomp.eval.page import report_page
    from semcomp.eval.worst import exhibits, show_all

    ranked: dict[str, list[tuple[str, float]]] = {}
    made: list[Any] = []
    if "psnr_db" in result["metrics"] and options.worst > 0 and any(not coder.speed_only for coder in coders.values()):
        ranked, made = exhibits(rows, coders, plan, anchor=options.anchor, count=options.worst)
    shown = show_all(made, jobs=plan.jobs, progress=bars)
    title = ", ".join(Path(name).name or name for name in options.inputs)
    return report_page(result, title=title, command=_command(options), worst=ranked, shown=shown)


def _plots(result: dict[str, Any], folder: Path, command: str) -> None:
    """A PNG a metric, where matplotlib is installed."""
    from io import BytesIO

    from semcomp.errors import MissingExtraError
    from semcomp.eval.page import chart
    from semcomp.eval.plot import draw

    for metric in result["metrics"]:
        try:
            plot = BytesIO()
            draw(chart(result, metric, footer=f"{command}, {result['date']}"), plot, format="png")
            write_target(str(folder / f"{metric}.png"), mark(plot.getvalue(), "plot"), force=True)
        except MissingExtraError as error:
            complain(f"semcomp eval: no plots: {error}")
            return


def _command(options: Namespace) -> str:
    """The command without where its files went."""
    import shlex

    given = [*options.inputs]
    if options.codecs:
        given += ["--codecs", ",".join(options.codecs)]
    if options.qualities:
        full = options.qualities == "full"
        given += ["--qualities", "full" if full else ",".join(map(str, options.qualities))]
    return shlex.join(["semcomp", "eval", *given])


def _exit_code(result: dict[str, Any]) -> int:
    for failure in result["failures"]:
        complain(f"semcomp eval: {failure['picture']}: {failure['codec']}: {failure['message']}")
    broken = [check for check in result.get("thresholds", ()) if not check["passed"]]
    for check in broken:
        value = "not measured" if check["value"] is None else f"{check['value']:g}"
        complain(f"semcomp eval: {check['name']} is {value}, the limit is {check['limit']:g}")
    return EXIT_LIMIT if broken else EXIT_FAILED if result["failures"] else EXIT_OK


def _recognise(options: Namespace) -> int:
    from importlib.metadata import entry_points

    tasks = {point.name: point for point in entry_points(group=TASKS)}
    if options.task not in tasks:
        known = ", ".join(sorted(tasks)) or "none is installed: install semcomp again"
        raise UsageError(f"no task called {options.task}; known: {known}")
    if len(options.inputs) != 1:
        raise UsageError("--task takes one folder of labelled pictures, and there are several")
    check_readable(options.inputs[0], folder=True)
    result, text = tasks[options.task].load()(options)
    if options.output:
        target = Path(options.output) / f"{options.task}.json"
        write_target(str(target), json_text(result, indent=1).encode(), force=True)
    if options.json:
        say_json(result)
    elif not options.quiet:
        say(text.splitlines())
    return EXIT_OK
