"""`semcomp export onnx`: graphs for clients without torch."""

from __future__ import annotations

import json
import sys
from argparse import Namespace

from semcomp.cli.exit_codes import EXIT_OK, UsageError


def run(options: Namespace) -> int:
    """Write the folder and show how far onnxruntime is from torch; returns the exit code."""
    from semcomp.export.folder import ALL_PARTS, export_onnx

    parts = ALL_PARTS if options.parts == ("all",) else options.parts
    if unknown := [part for part in parts if part not in ALL_PARTS]:
        raise UsageError(f"there is no part {unknown[0]}; give all, or some of {','.join(ALL_PARTS)}")

    if options.calibration and not options.int8:
        raise UsageError("--calibration belongs to --int8: give both, or none")
    if options.int8 and not options.calibration:
        print(
            "semcomp export: calibrating with the sample photo alone: what it does not reach will be clipped, so "
            "give a folder of photos like yours with --calibration",
            file=sys.stderr,
        )

    def progress(name: str) -> None:
        if not options.quiet:
            print(f"semcomp export: {name}", file=sys.stderr)

    result = export_onnx(
        options.output,
        model=options.model,
        parts=parts,
        heads=options.heads,
        generators=options.generators,
        int8=options.int8,
        calibration=options.calibration,
        force=options.force,
        progress=progress,
    )
    if options.json:
        differences = [{**vars(d), "passed": d.passed} for d in result.differences]
        print(
            json.dumps(
                {
                    "command": "export",
                    "output": options.output,
                    "bytes": result.sizes,
                    "int8": list(result.int8),
                    "differences": differences,
                }
            )
        )
    elif not options.quiet:
        for file, size in result.sizes.items():
            print(f"{file:<28}{size:>12,} bytes{'  int8' if file in result.int8 else ''}")
        for d in result.differences:
            print(f"{d.name:<36}{d.value:>12.3g} {d.unit} (at most {d.limit:g})")
    return EXIT_OK
