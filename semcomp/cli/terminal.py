"""The only place that prints. It escapes whatever a terminal would interpret or cannot show.

A file name, a class name inside a file and an error message may contain line breaks, escape sequences, and characters
that the terminal's encoding lacks. A printed line shows those as \\n, \\x1b and \\u5199. JSON keeps every name exact.
"""

from __future__ import annotations

import os
import re
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import isfinite
from typing import Any, TextIO

from semcomp.cli.exit_codes import UsageError

_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks and overrides of the writing direction
    "\u2028\u2029"  # separators of lines and paragraphs
    "\ud800-\udfff]"  # bytes of a file name that are not UTF-8
)


_stand_ins: list[TextIO] = []
"""What a process prints to that was started with stdout or stderr closed."""


def stand_in_for_closed_streams() -> None:
    """Let a process that was started with stdout or stderr closed (`>&-`) print to nowhere instead of failing."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            _stand_ins.append(open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - open while it runs
            setattr(sys, name, _stand_ins[-1])


def is_stdout_closed() -> bool:
    """Return whether what is written to stdout is lost, because the process was started without it."""
    return sys.stdout in _stand_ins


def check_stdout_takes_data() -> None:
    """Check before the work that binary data on stdout goes somewhere.

    Raises:
        UsageError: Stdout is a terminal, or the process was started without it.
    """
    if is_stdout_closed():
        raise UsageError("stdout is closed, and the result would be lost: redirect stdout, or give -o")
    if sys.stdout.isatty():
        raise UsageError("binary data does not belong on a terminal: redirect stdout, or give -o")


def printable(text: str, stream: TextIO) -> str:
    """Escape a line of text for a stream.

    Args:
        text: One line, without the line break at its end.
        stream: The stream that will show it. Its encoding decides which characters can be shown.

    Returns:
        The text with backslash escapes, which the stream can encode.
    """
    safe = _UNSAFE.sub(lambda match: match.group().encode("unicode_escape").decode("ascii"), text)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return safe.encode(encoding, "backslashreplace").decode(encoding)


def say(lines: str | Iterable[str], *, stream: TextIO | None = None) -> None:
    """Print one line or several.

    Args:
        lines: A line, or lines. A line break inside a line is escaped.
        stream: Where to print; None is stdout.
    """
    stream = stream or sys.stdout
    for line in [lines] if isinstance(lines, str) else lines:
        print(printable(line, stream), file=stream, flush=True)


def complain(text: str) -> None:
    """Print one line on stderr."""
    say(text, stream=sys.stderr)


class PlainBar:
    """What a client of few packages shows in the place of tqdm's bar: how many files are done, and how fast."""

    def __init__(self, total: int, done: int) -> None:
        self.total, self.n, self._before, self._start = total, done, done, time.monotonic()
        self._draw()

    def update(self, count: int) -> None:
        """Count finished files."""
        self.n += count
        self._draw()

    def write(self, line: str, *, file: TextIO) -> None:
        """Print a line above the bar."""
        self.close()
        print(line, file=file, flush=True)
        self._draw()

    def close(self) -> None:
        """Take the bar off the terminal."""
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _draw(self) -> None:
        rate = (self.n - self._before) / max(time.monotonic() - self._start, 1e-9)
        text = f"{self.n:,} of {self.total:,} files, {rate:.1f} files/s"
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def progress_bar(total: int, *, done: int = 0) -> Any:
    """Draw a bar of files on stderr: tqdm's, or a PlainBar. Returns None where stderr is redirected."""
    if not sys.stderr.isatty():
        return None
    try:
        from tqdm import tqdm
    except ImportError:
        return PlainBar(total, done)
    return tqdm(total=total, initial=done, unit="file", file=sys.stderr, leave=False, dynamic_ncols=True)


@contextmanager
def steps_bar(options: Namespace, name: str) -> Iterator[Any]:
    """Draw a bar of the steps within one file on stderr while the body runs: tqdm's, without a total at first.

    Yields None with --quiet, with several processes, and where stderr is redirected.
    """
    if options.quiet or options.jobs != 1 or not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    with tqdm(desc=name, unit="step", file=sys.stderr, leave=False, dynamic_ncols=True) as bar:
        yield bar


@contextmanager
def messages_shown(options: Namespace) -> Iterator[None]:
    """Print on stderr what the library says of waits while the body runs, on a terminal and without --quiet."""
    if options.quiet or not sys.stderr.isatty():
        yield
        return
    import logging

    logger, handler = logging.getLogger("semcomp"), logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(f"semcomp {options.command}: %(message)s"))
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


class LongRun:
    """Progress of a long run on stderr: a bar on a terminal, else a line now and then."""

    seconds_between_lines = 30.0

    def __init__(self) -> None:
        self.began = self._before = time.monotonic()
        self._bar: Any = None

    def show(self, done: int, total: int, *, start: int = 0, line: Callable[[float], str]) -> None:
        """Show how far the run is.

        Args:
            done: Inputs that are done, with those that were done before this run.
            total: All inputs.
            start: Inputs that were done before this run.
            line: Makes the line of the seconds since the beginning, where there is no bar and a line is due.
        """
        if self._bar is None:
            self._bar = progress_bar(total, done=start)
        if self._bar is not None:
            self._bar.update(done - self._bar.n)
        elif time.monotonic() - self._before >= self.seconds_between_lines:
            self._before = time.monotonic()
            complain(line(self._before - self.began))

    def close(self) -> None:
        """Take the bar off the terminal."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def json_line(values: Mapping[str, Any], stream: TextIO | None = None) -> str:
    """Write an object as one line of JSON that the stream can encode; names come back exact."""
    encoding = getattr(stream or sys.stdout, "encoding", None) or "utf-8"
    line = json_text(values, ascii_alone=False)
    try:
        line.encode(encoding)
    except UnicodeEncodeError:
        line = json_text(values)
    return line


def json_text(values: Mapping[str, Any], *, indent: int | None = None, ascii_alone: bool = True) -> str:
    """Write JSON that every reader takes. Numbers that are infinite or not defined become null.

    Args:
        values: The object.
        indent: Spaces of a level. None writes one line.
        ascii_alone: Whether other characters are escaped.

    Example:
        >>> json_text({"psnr_db": float("inf"), "sizes": (1, 2)})
        '{"psnr_db": null, "sizes": [1, 2]}'
    """
    import json

    return json.dumps(_finite(values), ensure_ascii=ascii_alone, indent=indent, default=_plain, allow_nan=False)


def _finite(value: Any) -> Any:
    """Copy nested values with None for every number that JSON lacks."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


def _plain(value: object) -> str:
    """Ids are bytes in Python and hexadecimal in JSON."""
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def say_json(values: Mapping[str, Any], *, stream: TextIO | None = None) -> None:
    """Print an object as one line of JSON on the stream; None is stdout."""
    print(json_line(values, stream), file=stream or sys.stdout, flush=True)


def say_document(text: str) -> None:
    """Write a page or a table for programs to stdout. It is UTF-8 whatever the encoding of the terminal is."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()
