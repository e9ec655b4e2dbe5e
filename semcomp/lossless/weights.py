"""Where the lossless weights are: inside the package once they are released, else in a file that the user names."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import semcomp.weights
from semcomp.errors import ModelError
from semcomp.lossless.model import LosslessModel, load_model

NAME = "lossless"
EMBEDDED = Path(semcomp.weights.__file__).parent / f"{NAME}.safetensors"


def load_weights(file: str | Path | None = None) -> LosslessModel:
    """The lossless model of a file, or the one inside the package.

    Args:
        file: A file that `python -m train.lossless` wrote. None takes the one inside the package.

    Returns:
        The model. It is read once.

    Raises:
        ModelError: There is no such file, or it is damaged.
    """
    path = EMBEDDED if file is None else Path(file)
    if not path.exists():
        if file is None:
            raise ModelError(f"{EMBEDDED} is missing: install semcomp again, or pass lossless_weights=FILE")
        raise ModelError(f"there is no file {path} with lossless weights; check the path")
    return _loaded(path.resolve(), path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _loaded(path: Path, changed: int) -> LosslessModel:
    """``changed`` is the time of the last change, so that a file that was written again is read again."""
    return load_model(path)
