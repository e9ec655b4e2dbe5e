"""`semcomp export onnx`: graphs for clients without torch."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from semcomp.cli.argument_types import name_list
from semcomp.cli.exit_codes import EXIT_OK, UsageError
from semcomp.cli.failures import check_readable, local_output
from semcomp.cli.paths import check_target, write_target
from semcomp.cli.shared_options import NewParser, SharedOptions, first_given
from semcomp.cli.terminal import complain, say, say_json

_EPILOG = """\
examples:
  semcomp export onnx -o edge/                              every part and head, no generator
  semcomp export onnx -o edge/ --generators all             the generators too, 4 MB each
  semcomp export onnx -o edge/ --heads street               a smaller client
  semcomp export onnx -o viewer/ --parts sigma,mean,synthesis
  semcomp export onnx -o edge8/ --int8 --calibration photos/    integers: smaller and faster
  semcomp export onnx -o edge/ --restorer FILE              restorer.onnx alone, from weights of semcomp restore
  semcomp decode photo.semc --graphs edge/                  the client, without torch
"""


def add_parser(new_parser: NewParser, shared: SharedOptions) -> None:
    """Add the command and its options."""
    parser = new_parser(
        parents=[shared.output],
        epilog=_EPILOG,
        description="Write graphs, tables and a manifest into a folder, and compare onnxruntime with torch.",
    )
    parser.add_argument("format", choices=("onnx",), help="onnx")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="the folder")
    parser.add_argument("-f", "--force", action="store_true", help="overwrite an export that exists")
    parser.add_argument("--parts", type=name_list, default=("all",), metavar="A,B", help="all, or some parts (all)")
    parser.add_argument("--model", default="base", metavar="NAME", help="weights: a name or a .safetensors path (base)")
    parser.add_argument(
        "--heads", type=name_list, metavar="A,B", help="names or files of heads (all that are installed)"
    )
    parser.add_argument(
        "--generators",
        type=name_list,
        default=(),
        metavar="A,B",
        help="names or files of generators, or all that come with the package (none)",
    )
    parser.add_argument(
        "--int8", action="store_true", help="analysis, synthesis, heads and what they read in 8-bit integers"
    )
    parser.add_argument("--compact", action="store_true", help="coarser weights of mean path and synthesis, for pages")
    parser.add_argument(
        "--int8-parts",
        type=name_list,
        metavar="A,B",
        help="what --int8 changes: analysis, synthesis, mean, heads, or a graph such as head_street (all of them)",
    )
    parser.add_argument("--lossless-weights", metavar="FILE", help="weights of lossless coding (those inside semcomp)")
    parser.add_argument("--calibration", metavar="DIR", help="photos that set the scales of --int8 (the sample photo)")
    parser.add_argument("--restorer", metavar="FILE", help="export this restorer of JPEG files, and nothing else")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Write the folder and show how far onnxruntime is from torch; returns the exit code."""
    options.output = local_output(options.output)
    if options.restorer is not None:
        return _export_restorer(options)
    _check_options(options)
    from semcomp.export.folder import export_onnx
    from semcomp.export.int8 import INT8_PARTS

    def progress(name: str) -> None:
        if not options.quiet:
            complain(f"semcomp export: {name}")

    parts = _checked_parts(options)
    result = export_onnx(
        options.output,
        model=options.model,
        parts=parts,
        lossless_weights=options.lossless_weights,
        heads=options.heads,
        generators=options.generators,
        int8=options.int8,
        compact=options.compact,
        int8_parts=options.int8_parts or INT8_PARTS,
        calibration=options.calibration,
        force=options.force,
        progress=progress,
    )
    if options.json:
        values = {"command": "export", "output": options.output, "bytes": result.sizes, "int8": list(result.int8)}
        say_json({**values, "differences": [{**vars(entry), "passed": entry.passed} for entry in result.differences]})
    elif not options.quiet:
        for file, size in result.sizes.items():
            say(f"{file:<28}{size:>12,} bytes{'  int8' if file in result.int8 else ''}")
        for entry in result.differences:
            say(f"{entry.name:<36}{entry.value:>12.3g} {entry.unit} (at most {entry.limit:g})")
    return EXIT_OK


def _check_options(options: Namespace) -> None:
    """Check before torch is loaded what can be checked without it.

    Raises:
        UsageError: The options contradict each other.
        ModelError: A codec, a head or a generator is missing.
        Fault: There is no folder of photos, or no file of lossless weights.
    """
    from semcomp.semantics.head import find_head
    from semcomp.weights.files import codec_file, generator_file

    if "generator" in options.parts:
        raise UsageError("generators are not parts: name them with --generators, or give --generators all")
    for name, value in (("--calibration", options.calibration), ("--int8-parts", options.int8_parts)):
        if value and not options.int8:
            raise UsageError(f"{name} belongs to --int8: give both, or neither")
    check_readable(options.calibration, what="the folder of photos", folder=True)
    check_readable(options.lossless_weights, what="the file of lossless weights")
    codec_file(options.model)
    for name in options.heads or ():
        find_head(name)
    for name in options.generators if options.generators != ("all",) else ():
        generator_file(name)


def _export_restorer(options: Namespace) -> int:
    """Write restorer.onnx; returns the exit code."""
    others = (
        "parts",
        "model",
        "heads",
        "generators",
        "int8",
        "compact",
        "int8_parts",
        "lossless_weights",
        "calibration",
    )
    if flag := first_given(options, others):
        raise UsageError(f"--restorer exports the restorer alone: leave out {flag}")
    target = str(Path(options.output) / "restorer.onnx")
    check_target(target, options)
    from semcomp.weights.files import restorer_file

    restorer_file(options.restorer)
    from semcomp.export.restorer_part import enter, restorer_graph
    from semcomp.restoration.restorer_file import load_restorer

    restorer = load_restorer(options.restorer)
    graph = restorer_graph(restorer)
    write_target(target, graph, force=options.force)
    enter(Path(options.output))
    if options.json:
        values = {"command": "export", "output": options.output, "bytes": {"restorer.onnx": len(graph)}}
        say_json({**values, "restorer": restorer.restorer_id.hex()})
    elif not options.quiet:
        say(f"{'restorer.onnx':<28}{len(graph):>12,} bytes")
    return EXIT_OK


def _checked_parts(options: Namespace) -> tuple[str, ...]:
    """Return the parts to export. Raises UsageError for one that does not exist."""
    from semcomp.export.folder import ALL_PARTS

    parts = ALL_PARTS if options.parts == ("all",) else options.parts
    if unknown := [part for part in parts if part not in ALL_PARTS]:
        raise UsageError(f"the part {unknown[0]} does not exist: give all, or some of {','.join(ALL_PARTS)}")
    if options.int8 and not options.calibration:
        complain(
            "semcomp export: the sample photo alone sets the scales, and values beyond those that it reaches are "
            "clipped: give a folder of photos like yours with --calibration"
        )
    return tuple(parts)
