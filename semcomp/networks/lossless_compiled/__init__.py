"""Lossless coding of 8-bit images compiled by numba: the same integers as the numpy code beside it, sooner.

The package is imported where numba is installed and an image is large enough, see `jit.py`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Int16 = NDArray[np.int16]
Int32 = NDArray[np.int32]
Sums = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]
"""Sums over hidden values and over features, and the bias of the outputs."""
