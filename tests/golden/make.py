"""Writes the golden files with the embedded weights: python -m tests.golden.make

They are some of the vectors of tools.vectors. Until version 1.0 a new codec replaces them, in the commit that brings
its weights. From 1.0 on they are only added to: every later version must still decode every one of them.
"""

from pathlib import Path

import semcomp
from tools.vectors import write_golden

HERE = Path(__file__).parent

if __name__ == "__main__":
    write_golden(HERE, semcomp.load())
