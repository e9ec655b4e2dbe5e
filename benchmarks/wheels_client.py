"""What benchmarks.wheels runs in the environment of semcomp-edge alone: python wheels_client.py FOLDER [GRAPHS]

FOLDER/work.json names photos, qualities and the library's files. Each photo is encoded by the installed client, whose
file goes into FOLDER, and the integers of both files go into FOLDER/NUMBER.npz.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from semcomp.edge import EdgeCodec


def main(folder: Path, graphs: str | None = None) -> None:
    """Write and read every file. Without `graphs`, the installed ones compute."""
    codec = EdgeCodec(graphs, threads=1)
    work = json.loads((folder / "work.json").read_text(encoding="utf-8"))
    for number, entry in enumerate(work):
        ours = codec.encode(entry["photo"], quality=entry["quality"])
        (folder / f"{number}.client.semc").write_bytes(ours)
        theirs = Path(entry["file"]).read_bytes()
        found: dict[str, Any] = {}
        for writer, data in (("library", theirs), ("client", ours)):
            symbols = codec.read_symbols(data)
            found |= {f"{writer}_{part}": getattr(symbols, part) for part in ("z", "y", "index")}
        np.savez_compressed(folder / f"{number}.npz", **found)
    if "torch" in sys.modules:
        sys.exit("torch was imported")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
