"""Pages hold no measured figure in prose: it would be of old weights after the next codec.

What is measured stands between the lines of a record, in a caption, or on a dated page of the notebook. Limits, options
and figures of others' papers may be said in prose, and are listed here.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.figure_records import pages

ROOT = Path(__file__).parents[2]
OUTSIDE = ("notebook", "models", "reference")
"""Folders of docs that are dated, written by trainings, or generated."""
DATED = ("docs/installation.md", "docs/project/architecture.md")
"""Pages whose tables say what they were measured on; no weights are in them."""
GENERATED = re.compile(
    r"^<!-- results: .*?^<!-- end -->$|^```.*?^```$|^ {4}[^\n]*$|^\*`[^\n]*$", re.MULTILINE | re.DOTALL
)
FIGURE = re.compile(
    r"\b\d[\d,]*(?:\.\d+)? ?(?:ms|dB|%|[KMGT]i?B|s|seconds?|minutes?|hours?|points?)(?![\w`])"
    r"|\b\d[\d,.]* (?:thousand|million) multiply-adds"
    r"|\b(?:\d[\d.]*|two|three|four|five|ten|half|several) times as"
)
ALLOWED = {
    "README.md": {"30 MB"},  # the limit of the wheel
    "docs/gallery.md": {"150 KB"},  # 0.1 bits times 12 million pixels
    "docs/guides/container.md": {"300 MB"},  # a limit
    "docs/guides/export-onnx-edge.md": {"30 MB"},
    "docs/guides/many-files.md": {"30 seconds"},  # how often a line of progress comes
    "docs/guides/restore.md": {"15 %"},  # when 4:4:4 is tried
    "docs/guides/search.md": {"80 %"},  # the crops of a signature
    "docs/guides/thumbnails.md": {"2 KB"},  # the length of a code
    "docs/guides/train-a-head.md": {"30 %", "5 %"},  # options of the training
    "docs/project/edge-distribution.md": {"30 MB"},
    "docs/results/rate.md": {"38 dB"},  # the range of BD-rate
    "docs/results/restoration.md": {"1.77 dB", "2.06 dB", "1.28 dB"},  # papers
    "docs/tutorials/ship-a-client.md": {"300 MB"},
    "docs/tutorials/train-a-head.md": {"5 %"},
    "docs/tutorials/web-page.md": {"6 MB"},  # a limit
}
"""Figures in prose that nothing measures, by page."""


def figures_in_prose(text: str) -> set[str]:
    """Figures of a page outside records, code and captions."""
    return {match[0] for match in FIGURE.finditer(GENERATED.sub("", text))}


def checked() -> list[str]:
    """The pages whose figures come from records."""
    paths = [path.relative_to(ROOT) for path in pages()]
    return [path.as_posix() for path in paths if not {*path.parts} & {*OUTSIDE} and path.as_posix() not in DATED]


@pytest.mark.parametrize("page", checked())
def test_what_is_measured_comes_from_a_record(page: str) -> None:
    found = figures_in_prose((ROOT / page).read_text(encoding="utf-8"))
    assert found == ALLOWED.get(page, set()), "let a benchmark write it to a record, or say it without a figure"


def test_the_list_names_pages_that_exist() -> None:
    assert {*ALLOWED} <= {*checked()}


@pytest.mark.parametrize(
    "prose", ["It takes 2.4 ms.", "29 % fewer", "three times as fast", "11.9 thousand multiply-adds", "24 GiB, or 5 s"]
)
def test_a_figure_in_prose_is_noticed(prose: str) -> None:
    assert figures_in_prose(f"# Page\n\n{prose}\n")


def test_records_code_and_captions_are_no_prose() -> None:
    record = "<!-- results: rate.bd -->\n\n-31.4 %, 5 ms\n\n<!-- end -->"
    assert not figures_in_prose(
        f"{record}\n\n    semcomp encode a.png   # 5 s\n\n*`a command`; 3 dB*\n\n```\n5 ms\n```\n"
    )
    assert figures_in_prose(f"{record}\n\n5 ms\n\n{record}") == {"5 ms"}
