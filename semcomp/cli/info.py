"""`semcomp info`: what a file says about itself. It imports the standard library alone, so that it answers at once."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import TYPE_CHECKING

from semcomp.cli.exit_codes import EXIT_FAILED, EXIT_OK
from semcomp.cli.shared_options import NewParser, SharedOptions
from semcomp.cli.terminal import complain, say, say_json
from semcomp.errors import SemcompError

if TYPE_CHECKING:
    from semcomp.bitstream.inspect import Info


def add_parser(new_parser: NewParser, shared: SharedOptions) -> None:
    """Add the command and its options."""
    parser = new_parser(
        parents=[shared.output], description="Check .semc files and say what is in them. Nothing is decoded."
    )
    parser.add_argument("inputs", nargs="+", metavar="FILE", help=".semc files, or - for stdin")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Describe every file; returns the exit code."""
    from semcomp.bitstream.inspect import info

    codes = []
    for name in options.inputs:
        try:
            facts = info(sys.stdin.buffer if name == "-" else name)
        except (SemcompError, OSError) as error:
            message = (error.strerror if isinstance(error, OSError) else None) or str(error)
            codes.append(getattr(error, "exit_code", EXIT_FAILED))
            if options.json:
                failure = {"command": "info", "input": name, "ok": False, "error": type(error).__name__}
                say_json({**failure, "message": message})
            complain(f"semcomp info: {name}: {message}")
            continue
        if options.json:
            say_json({"command": "info", "input": name, "ok": True, **facts.to_dict()})
        elif not options.quiet:
            say(describe(name, facts, verbose=options.verbose))
    if not codes:
        return EXIT_OK
    return codes[0] if len(set(codes)) == 1 else EXIT_FAILED


def describe(name: str, facts: Info, *, verbose: bool) -> list[str]:
    """Describe a file in a few lines for a person."""
    from semcomp.bitstream.origin import in_words

    kept = [
        what for what, held in (("alpha", facts.has_alpha), ("ICC", facts.has_icc), ("EXIF", facts.has_exif)) if held
    ]
    lines = [
        f"{name}: {facts.width}x{facts.height} {facts.mode}, quality {facts.quality}, "
        f"{facts.bytes:,} B, {facts.bpp:.3f} bpp",
        f"  keeps     {', '.join(kept) or 'pixels only'}",
        f"  chunks    {', '.join(f'{chunk.kind} {chunk.bytes:,} B' for chunk in facts.chunks)}",
        f"  model     {facts.model_id}  entropy {facts.entropy_id}",
    ]
    if facts.labels_source is not None:
        labels = "  ".join(f"{label.name} {label.score:.2f}" for label in facts.labels) or "nothing known"
        lines.insert(1, f"  shows     {labels}  (by {facts.labels_source or 'hand'})")
    if facts.label_map is not None:
        names = ", ".join(facts.label_map.classes)
        lines.insert(-2, f"  map       {facts.label_map.cell}x{facts.label_map.cell} pixels a cell: {names}")
    if facts.synthesised is not None:
        real, made = in_words(facts.synthesised)
        lines[1:1] = [f"  real      {real}", f"  not real  {made}"]
    elif facts.flags & 1:
        lines.append("  note      part of the decoded picture may be synthesised")
    if facts.preview is not None:
        lines.append(f"  preview   {facts.preview}")
    if verbose:
        lines.append(f"  format    version {facts.format_version}, flags {facts.flags:#x}")
    return lines + [f"  lost      {lost}" for lost in facts.lost]
