"""`semcomp export onnx`: graphs for clients without torch."""

from __future__ import annotations

import json
import sys
from argparse import Namespace

from semcomp.cli import EXIT_OK, UsageError


def run(options: Namespace) -> int:
    """Write the folder and show how far onnxruntime is from torch; returns the exit code."""
    from semcomp.export.folder import ALL_PARTS, export_onnx

    parts = ALL_PARTS if options.parts == ("all",) else options.parts
    if unknown := [part for part in parts if part not in ALL_PARTS]:
        raise UsageError(f"there is no part {unknown[0]}; give all, or some of {','.join(ALL_PARTS)}")

    def progress(name: str) -> None:
        if not options.quiet:
            print(f"semcomp export: {name}", file=sys.stderr)

    result = export_onnx(
        options.output, model=options.model, parts=parts, heads=options.heads, force=options.force, progress=progress
    )
    if options.json:
        differences = [{**vars(d), "passed": d.passed} for d in result.differences]
        print(json.dumps({
            "command": "export", "output": options.output, "bytes": result.sizes, "differences": differences,
        }))  # fmt: skip
    elif not options.quiet:
        for file, size in result.sizes.items():
            print(f"{file:<28}{size:>12,} bytes")
        for d in result.differences:
            print(f"{d.name:<36}{d.value:>12.3g} {d.unit} (at most {d.limit:g})")
    return EXIT_OK
