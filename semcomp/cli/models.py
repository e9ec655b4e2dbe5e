"""`semcomp models`: the codecs, heads and generators at hand."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from typing import Any

from semcomp.cli import EXIT_OK
from semcomp.errors import ModelError, SemcompError


def run(options: Namespace) -> int:
    """List the codecs, heads and generators; returns the exit code."""
    from semcomp.codec import load
    from semcomp.generator import kmac_per_pixel
    from semcomp.generators import generator_names, load_generator
    from semcomp.semantics import head_names, load_head
    from semcomp.store import WEIGHTS, released_names

    names = options.names or released_names()
    if not names:
        raise ModelError(f"no weights in {WEIGHTS}: install semcomp again")

    code = EXIT_OK
    for name in names:
        try:
            facts = load(name).describe()
        except SemcompError as error:
            code = error.exit_code
            print(f"semcomp models: {name}: {error}", file=sys.stderr)
            continue
        _show({"kind": "codec", **facts}, options)
    for name in [] if options.names else head_names():
        try:
            head = load_head(name)
        except SemcompError as error:
            code = error.exit_code
            print(f"semcomp models: {name}: {error}", file=sys.stderr)
            continue
        _show(
            {
                "kind": "head", "name": head.name, "task": head.task, "entropy_id": head.entropy_id.hex(),
                "classes": list(head.classes), "origin": head.origin,
            },
            options,
        )  # fmt: skip
    for name in [] if options.names else generator_names():
        try:
            made = load_generator(name)
        except SemcompError as error:
            code = error.exit_code
            print(f"semcomp models: {name}: {error}", file=sys.stderr)
            continue
        _show(
            {
                "kind": "generator", "name": made.name, "generator_id": made.generator_id.hex(),
                "entropy_id": made.info.entropy_id, "kmac_per_px": round(kmac_per_pixel(made.network.config), 2),
                "classes": list(made.info.classes), "origin": made.info.origin,
            },
            options,
        )  # fmt: skip
    return code


def _show(facts: dict[str, Any], options: Namespace) -> None:
    if options.json:
        print(json.dumps({"command": "models", **facts}, ensure_ascii=False, default=_plain))
    elif not options.quiet:
        print(describe(facts))


def describe(facts: dict[str, Any]) -> str:
    """A few lines for a person, from `Codec.describe()`."""
    lines = [str(facts["name"])]
    for key, value in facts.items():
        if isinstance(value, list):
            value = ", ".join(value)
        if isinstance(value, dict):
            value = ", ".join(f"{part} {_number(entry)}" for part, entry in value.items())
        if key != "name":
            lines.append(f"  {key.replace('_', ' '):<20}{_number(value)}")
    return "\n".join(lines)


def _number(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.2f}" if isinstance(value, float) else str(_plain(value))


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value
