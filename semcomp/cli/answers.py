"""What commands tell of each input, in lines or in JSON with the same keys: an answer, or what became of its file."""

from __future__ import annotations

import sys
import traceback
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

from semcomp.cli.exit_codes import EXIT_OK, common_exit_code
from semcomp.cli.failures import Failure, explain
from semcomp.cli.paths import STREAM, JobPlan, is_data_on_stdout
from semcomp.cli.terminal import complain, json_line, printable, progress_bar, say, say_json

Answer = tuple[Mapping[str, Any], list[str]]
"""Values for JSON, and the lines that a person reads."""
Record = dict[str, Any]
"""What is told of one file: the keys of its JSON object, and "line", "exit_code" and the like for a person"""
_SHARED_KEYS = ("seconds", "warnings", "error", "message")
_NAMED = 3
"""Inputs that are named where one reason is behind the failure of several."""


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


class Report:
    """What the user sees: lines or JSON, a progress bar on a terminal, warnings, and the list of failures."""

    def __init__(self, options: Namespace, keys: Sequence[str], *, total: int, to_stdout: bool) -> None:
        self.options, self.keys = (options, ("input", "output", "ok", "kept", *keys, *_SHARED_KEYS))
        self.out: TextIO = sys.stdout if to_stdout else sys.stderr  # stdout may carry the data itself
        self.failures: list[Record] = []
        self.kept = 0
        self.total = total
        self.bar: Any = None
        if total > 1 and not options.quiet:
            self.bar = progress_bar(total)

    def note(self, text: str) -> None:
        """Say what was left out."""
        if not self.options.quiet:
            self._print(f"semcomp {self.options.command}: {text}", sys.stderr)

    def add(self, record: Record) -> None:
        """Take one finished record."""
        if not record["ok"]:
            self.failures.append(record)
        self.kept += record["kept"]
        if self.options.json:
            values = {"command": self.options.command, **{key: record.get(key) for key in self.keys}}
            self._write(json_line(values, self.out), self.out)
        elif record["ok"] and not self.options.quiet:
            line = record["line"].replace("{seconds}", f"{record['seconds']:.2f} s")
            where = f" -> {_shown(record['output'])}" if record["output"] else ""
            self._print(f"{_shown(record['input'])}{where}  {line}", self.out)
        for warning in record["warnings"]:
            self._print(f"semcomp {self.options.command}: {_shown(record['input'])}: warning: {warning}", sys.stderr)
        if self.options.verbose and record.get("traceback"):
            for line in record["traceback"].splitlines():
                self._print(line, sys.stderr)
        if self.bar is not None:
            self.bar.update(1)

    def _print(self, line: str, stream: TextIO) -> None:
        self._write(printable(line, stream), stream)

    def _write(self, line: str, stream: TextIO) -> None:
        if self.bar is not None:
            self.bar.write(line, file=stream)
        else:
            print(line, file=stream, flush=True)

    def close(self) -> None:
        """Take the bar off the terminal."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def finish(self) -> int:
        """Count what was kept, list the failures and return the exit code, their own if all are of one kind, else 1."""
        head = f"semcomp {self.options.command}: "
        if self.kept and not self.options.quiet:
            advice = "pass --force to overwrite what exists"
            self._print(f"{head}{self.kept:,} of {self.total:,} kept as they are: {advice}", sys.stderr)
        if not self.failures:
            return EXIT_OK
        if self.total > 1:
            self._print(f"{head}{len(self.failures)} of {self.total} failed:", sys.stderr)
            head = "  "
        for message, records in self._by_reason():
            where = "" if records[0]["elsewhere"] else f"{_shown(records[0]['input'])}: "
            behind = f" ({_named(records)})" if not where and self.total > 1 else ""
            self._print(f"{head}{where}{message}{behind}", sys.stderr)
        return common_exit_code(int(record["exit_code"]) for record in self.failures)

    def _by_reason(self) -> list[tuple[str, list[Record]]]:
        """Messages and their failures. A fault of another file than the inputs is one message for all of them."""
        found: dict[tuple[str, int], list[Record]] = {}
        for number, record in enumerate(self.failures):
            key = (record["message"], 0 if record["elsewhere"] else number + 1)
            found.setdefault(key, []).append(record)
        return [(message, records) for (message, _), records in found.items()]


def _named(records: Sequence[Record]) -> str:
    """The first inputs of several failures, and how many more there are."""
    names = [_shown(record["input"]) for record in records[:_NAMED]]
    more = len(records) - len(names)
    return ", ".join(names) + (f" and {more:,} more" if more else "")


def _shown(path: str) -> str:
    return {STREAM: "(stream)", "": "nothing"}.get(path, path)
