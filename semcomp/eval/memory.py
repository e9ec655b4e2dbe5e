"""Peak memory of a process."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from semcomp.eval.codecs import Coder


def peak_bytes() -> int | None:
    """Largest resident set of this process so far in bytes. None where the system does not say.

    On Linux it is VmHWM, because ru_maxrss includes what the parent process had.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def peak_of_one(coder: Coder, pixels: NDArray[np.uint8], setting: int) -> dict[str, int | None]:
    """Peaks of this process in bytes: after loading the codec, and after encoding and decoding one picture."""
    _ = coder.version
    before = peak_bytes()
    coder.decode(coder.encode(pixels, setting))
    return {"before": before, "peak": peak_bytes()}
