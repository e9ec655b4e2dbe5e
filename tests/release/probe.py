"""What an installed semcomp is and reads: python probe.py PHOTO DECODED FIRST AGAIN FILE...

It runs inside the environments of tests.release.environments, and prints one object of JSON: where the package is,
which codec `semcomp.load` gives, how close DECODED is to PHOTO and AGAIN to FIRST, and a SHA-256 sum of the integers of
each FILE.
"""

from __future__ import annotations

import hashlib
import json
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import semcomp


def pixels(path: str) -> NDArray[np.int64]:
    """The picture of a file in RGB."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(np.int64)


def main(photo: str, decoded: str, first: str, again: str, *files: str) -> None:
    """Print what is here."""
    codec = semcomp.load()
    symbols = {}
    for file in files:
        found = codec.read_symbols(Path(file).read_bytes())
        data = b"".join(np.ascontiguousarray(part, dtype="<i2").tobytes() for part in (found.z, found.y, found.index))
        symbols[Path(file).name] = hashlib.sha256(data).hexdigest()
    error = float(np.mean((pixels(decoded) - pixels(photo)) ** 2))
    values = {
        "package": semcomp.__file__,
        "codec": f"{type(codec).__module__}.{type(codec).__qualname__}",
        "library": find_spec("semcomp.codec") is not None,
        "psnr_db": round(10 * np.log10(255**2 / error), 2),
        "difference": int(np.abs(pixels(again) - pixels(first)).max()),
        "symbols": symbols,
    }
    print(json.dumps(values))


if __name__ == "__main__":
    main(*sys.argv[1:])
