"""`semcomp info`: what a file says about itself. It imports the standard library alone, so that it answers at once."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import TYPE_CHECKING

from semcomp.cli.answers import Answer, answer_each
from semcomp.cli.paths import STREAM, list_jobs
from semcomp.cli.shared_options import NewParser, SharedOptions

if TYPE_CHECKING:
    from semcomp.bitstream.inspect import Info
    from semcomp.bitstream.lossless_note import LosslessNote


def add_parser(new_parser: NewParser, shared: SharedOptions) -> None:
    """Add the command and its options."""
    parser = new_parser(
        parents=[shared.output], description="Check .semc files and say what is in them. Nothing is decoded."
    )
    parser.add_argument("inputs", nargs="+", metavar="FILE", help=".semc files, folders, globs, or - for stdin")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Describe every file; returns the exit code."""
    from semcomp.bitstream.inspect import Info, info

    def answer(name: str) -> Answer:
        facts = info(sys.stdin.buffer if name == STREAM else name)
        return facts.to_dict(), describe(name, facts, verbose=options.verbose)

    plan = list_jobs(options.inputs, read_suffixes=(".semc",))
    return answer_each(answer, plan, options, keys=tuple(Info.__dataclass_fields__))


def describe(name: str, facts: Info, *, verbose: bool) -> list[str]:
    """Describe a file in a few lines for a person."""
    held = {"alpha": facts.has_alpha, "ICC": facts.has_icc, "EXIF": facts.has_exif, "XMP": facts.has_xmp}
    kept = [what for what, is_held in held.items() if is_held]
    has_latents = any(chunk.kind == "SYMBOLS" for chunk in facts.chunks)
    kind = f"{exact_in_words(facts.lossless)}, " if facts.lossless else ""
    kind += f"quality {facts.quality}, " if has_latents else ""
    lines = [
        f"{name}: {facts.width}x{facts.height} {facts.mode}, {kind}{facts.bytes:,} B, {facts.bpp:.3f} bpp",
        f"  keeps     {', '.join(kept) or 'pixels only'}",
        f"  colours   {facts.color_space}",
        f"  chunks    {', '.join(f'{chunk.kind} {chunk.bytes:,} B' for chunk in facts.chunks)}",
    ]
    if has_latents:
        lines.append(f"  model     {facts.model_id}  entropy {facts.entropy_id}")
    if facts.lossless is not None:
        lines.append(f"  lossless  {facts.lossless.model_id}")
    if facts.labels_source is not None:
        from semcomp.cli.latents_input import in_words as labels_in_words

        shown, scores = [label.name for label in facts.labels], [label.score for label in facts.labels]
        labels = labels_in_words(shown, scores, areas=facts.labels_are_areas)
        lines.insert(1, f"  shows     {labels}  (by {_source(facts.labels_source)})")
    if facts.label_map is not None:
        names = ", ".join(facts.label_map.classes) + (", and void" if facts.label_map.has_void else "")
        lines.insert(2, f"  map       {facts.label_map.cell}x{facts.label_map.cell} pixels a cell: {names}")
    if facts.synthesised is not None:
        from semcomp.bitstream.origin import in_words

        real, made = in_words(facts.synthesised)
        lines[1:1] = [f"  real      {real}", f"  not real  {made}"]
    elif facts.flags & 1:
        lines.append("  note      part of the decoded picture may be synthesised")
    if facts.embedding is not None:
        lines.append(f"  embedding by {facts.embedding}")
    if facts.preview is not None:
        lines.append(f"  preview   {facts.preview}")
    if verbose:
        lines.append(f"  format    version {facts.format_version}, flags {facts.flags:#x}")
    return lines + [f"  lost      {lost}" for lost in facts.lost]


def exact_in_words(note: LosslessNote) -> str:
    """Say how the exact pixels of a file are coded.

    Example:
        >>> from semcomp.bitstream.lossless_note import LosslessNote
        >>> exact_in_words(LosslessNote(bits=16, near=0, drawn=False, model_id=""))
        'lossless, 16 bits'
    """
    exact = f"at most {note.near} off" if note.near else "lossless"
    return exact + (f", {note.bits} bits" if note.bits > 8 else "") + (", as a drawing" if note.drawn else "")


def _source(name: str) -> str:
    from semcomp.cli.latents_input import is_experimental

    return (f"{name}, experimental" if is_experimental(name) else name) or "hand"
