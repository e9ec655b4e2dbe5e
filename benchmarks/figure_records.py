"""The records of figures: which weights they show, and the captions that are written from them."""

import json
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks import common
from benchmarks.weights_ids import weights_id
from semcomp.errors import SemcompError

Record = dict[str, Any]


def outdated(record: Record, current: Callable[[str], str] = weights_id) -> list[str]:
    """The weights of a record that have been replaced since."""
    return [name for name, known in record["weights"].items() if current(name) != known]


def caption(record: Record) -> str:
    """The line below a figure."""
    weights = ", ".join(f"{name} `{value}`" for name, value in record["weights"].items())
    return f"*`{record['command']}`; {record['data']}; {record['date']}; {weights}*"


def pages() -> list[Path]:
    """Every page that may show figures."""
    return [common.ROOT / "README.md", *sorted((common.ROOT / "docs").rglob("*.md"))]


def with_caption(page: str, name: str, text: str) -> str:
    """A page with the caption below a figure. A page that does not show the figure stays as it is."""
    image = rf"(!\[[^\]]*\]\([^)\s]*figures/{re.escape(name)}\.\w+\)\n)(?:\n\*`[^\n]*\*\n)?"
    return re.sub(image, lambda match: f"{match[1]}\n{text}\n", page)


def write_captions(name: str, text: str) -> None:
    """Writes the caption below a figure on every page that shows it."""
    for path in pages():
        page = path.read_text(encoding="utf-8")
        if (changed := with_caption(page, name, text)) != page:
            path.write_text(changed, encoding="utf-8")


def measured(path: Path) -> Record:
    """Reads a result that a program has written.

    Raises:
        SemcompError: The file is not there.
    """
    if not path.is_file():
        raise SemcompError(f"{path.relative_to(common.ROOT)} is not there: run its measurement first")
    result: Record = json.loads(path.read_text(encoding="utf-8"))
    return {"date": measured_on(path), **result}


def measured_on(path: Path) -> str:
    """The day on which a file was written, in ISO form."""
    return date.fromtimestamp(path.stat().st_mtime).isoformat()
