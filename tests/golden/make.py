"""Writes the golden files with the embedded weights: python -m tests.golden.make [exact]

They are some of the vectors of tools.vectors, and files of exact pixels. Until version 1.0 new weights replace them, in
the commit that brings these. From 1.0 on they are only added to: every later version must still decode every one of
them. `exact` writes the files of exact pixels alone.
"""

import sys
from pathlib import Path

import semcomp
from tests.golden.exact import EXACT, write_exact
from tools.vectors import write_golden

HERE = Path(__file__).parent

if __name__ == "__main__":
    codec = semcomp.load()
    if "exact" not in sys.argv[1:]:
        write_golden(HERE, codec)
    write_exact(EXACT, codec)
