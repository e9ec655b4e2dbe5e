"""Writes the figures of README and docs from the records of benchmarks.

A page holds blocks between two lines, `<!-- results: RECORD.BLOCK -->` and `<!-- end -->`. What is between them is
written from docs/results/records/RECORD.json by benchmarks.tables, and never by hand. RECORD.about says which command
gave the figures, when, where and with which weights; `summary` is the table of the README.

    python -m tools.results            takes new results from out/ into the records, and writes the pages
    python -m tools.results --check    writes nothing; 1 if a page differs from its records
    python -m tools.results --stale    prints the targets of make whose figures are missing or older than the weights
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import ROOT
from benchmarks.figure_records import pages
from benchmarks.records import BLOCKS, SOURCES, about, is_stale, read_record, take
from benchmarks.tables.readme import SUMMARY, summary
from benchmarks.weights_ids import is_released
from semcomp.errors import SemcompError

OUT = ROOT / "out"
BLOCK = re.compile(r"^<!-- results: (\w+)(?:\.(\w+))? -->\n(.*?)^<!-- end -->$", re.MULTILINE | re.DOTALL)


def block(name: str, part: str | None) -> str:
    """What a block says.

    Raises:
        SemcompError: No such block is known.
    """
    if name == "summary":
        return summary({record: found for record in SUMMARY if (found := read_record(record)) is not None})
    if name not in SOURCES or (part != "about" and f"{name}.{part}" not in BLOCKS):
        raise SemcompError(f"no block {name}.{part} is known; known: {', '.join(sorted(BLOCKS))} and RECORD.about")
    record, source = read_record(name), SOURCES[name]
    if record is not None:
        return about(record) if part == "about" else BLOCKS[f"{name}.{part}"](record)
    if part == "about":
        return f"*`make {source.target}`*"
    if is_released(source.needs):
        return "Not measured yet."
    return f"This version comes without the weights `{source.needs}`, so there are no figures yet."


def filled(page: str) -> str:
    """A page whose blocks say what the records say."""

    def fill(match: re.Match[str]) -> str:
        name = f"{match[1]}.{match[2]}" if match[2] else match[1]
        return f"<!-- results: {name} -->\n\n{block(match[1], match[2])}\n\n<!-- end -->"

    return BLOCK.sub(fill, page)


def unwritten() -> list[Path]:
    """The pages that differ from their records."""
    found = ((path, path.read_text(encoding="utf-8")) for path in pages())
    return [path for path, text in found if filled(text) != text]


def stale_targets() -> list[str]:
    """The targets of make whose records are missing, transcribed, or older than their weights."""
    return sorted({SOURCES[name].target for name in SOURCES if is_stale(name)})


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes or checks the pages. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.results", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 if a page is not current")
    parser.add_argument("--stale", action="store_true", help="print what has to be measured again, and write nothing")
    parser.add_argument("--from", dest="out", type=Path, default=OUT, metavar="DIR", help="folder of results (out)")
    options = parser.parse_args(arguments)
    if options.stale:
        print(" ".join(stale_targets()))
        return 0
    if options.check:
        for path in unwritten():
            print(f"{path.relative_to(ROOT)} is not current: run python -m tools.results", file=sys.stderr)
        return 1 if unwritten() else 0
    for name in SOURCES:
        if take(name, options.out):
            print(f"docs/results/records/{name}.json: taken from {SOURCES[name].file}.json")
    for path in unwritten():
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
        print(f"{path.relative_to(ROOT)}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
