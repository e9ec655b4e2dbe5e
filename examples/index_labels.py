"""Find pictures by what they show: an index of the labels that .semc files carry inside. No network runs.

semcomp encode photos/ -o small/ --semantics labels -j 0
python examples/index_labels.py small/ dog cat
"""

import sys
import time
from collections import defaultdict
from pathlib import Path

import semcomp


def build_index(folder: str) -> dict[str, list[tuple[float, str]]]:
    """Label -> (score, file), the best first."""
    index = defaultdict(list)
    for path in Path(folder).rglob("*.semc"):
        for label in semcomp.info(path).labels:
            index[label.name].append((label.score, str(path)))
    return {name: sorted(entries, reverse=True) for name, entries in index.items()}


def main(folder: str, *wanted: str) -> None:
    """Print the files of each wanted label, or all labels with their counts."""
    began = time.perf_counter()
    index = build_index(folder)
    files = {file for entries in index.values() for _, file in entries}
    print(f"{len(files)} files, {len(index)} labels, {time.perf_counter() - began:.2f} s")
    for name in wanted or sorted(index, key=lambda name: -len(index[name])):
        entries = index.get(name, [])
        shown = "  ".join(f"{Path(file).name} {score:.2f}" for score, file in entries[:5])
        print(f"{len(entries):6}  {name:<14} {shown}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:])
