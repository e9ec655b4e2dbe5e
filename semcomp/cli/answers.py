"""Commands that print an answer for each input and write no file: lines, or one JSON object with the same keys."""

from __future__ import annotations

import sys
import traceback
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from semcomp.cli.exit_codes import common_exit_code
from semcomp.cli.failures import Failure, explain
from semcomp.cli.paths import JobPlan, is_data_on_stdout
from semcomp.cli.terminal import complain, say, say_json

Answer = tuple[Mapping[str, Any], list[str]]
"""Values for JSON, and the lines that a person reads."""


def say_failure(source: str, failure: Failure, options: Namespace) -> None:
    """Say that an input failed: one line on stderr, and with --json the keys that every failure has on stdout."""
    if options.json:
        told = {"error": failure.kind, "message": failure.message}
        say_json({"command": options.command, "input": source, "ok": False, **told})
    complain(f"semcomp {options.command}: {source}: {failure.message}")


def say_json_failure(failure: Failure, options: Namespace, *, command: str | None) -> None:
    """Print the object that --json gives where a whole command failed. Its input is null, and it has the exit code."""
    told = {"error": failure.kind, "message": failure.message, "exit_code": failure.exit_code}
    stream = sys.stderr if is_data_on_stdout(options) else sys.stdout
    say_json({"command": command, "input": None, "ok": False, **told}, stream=stream)


def answer_each(work: Callable[[str], Answer], plan: JobPlan, options: Namespace, *, keys: Sequence[str]) -> int:
    """Run a function on every input and print what it answers.

    Args:
        work: Answers for one input. What it raises becomes a failure of that input.
        plan: The inputs.
        options: The options of the command.
        keys: The keys of the JSON objects beyond those that every command has. A key without a value is null.

    Returns:
        The exit code: the failures' own if all are of one kind, else 1.
    """
    if not options.quiet:
        for note in plan.notes:
            complain(f"semcomp {options.command}: {note}")
    failures: list[Failure] = []

    def answer(name: str, failure: Failure | None, values: Mapping[str, Any], lines: list[str]) -> None:
        if options.json:
            head = {"command": options.command, "input": name, "ok": failure is None}
            tail = {"error": failure and failure.kind, "message": failure and failure.message}
            say_json({**head, **{key: values.get(key) for key in keys}, **tail})
        elif not options.quiet:
            say(lines)
        if failure:
            failures.append(failure)
            complain(f"semcomp {options.command}: {name}: {failure.message}")

    for entry in plan.unusable:
        answer(entry.source, explain(entry.error, source=entry.source), {}, [])
    for job in plan.jobs:
        try:
            values, lines = work(job.source)
        except Exception as error:
            if options.verbose:
                say(traceback.format_exc().splitlines(), stream=sys.stderr)
            answer(job.source, explain(error, source=job.source), {}, [])
        else:
            answer(job.source, None, values, lines)
    return common_exit_code(failure.exit_code for failure in failures)
