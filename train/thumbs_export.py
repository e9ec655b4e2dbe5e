"""Writes the weights file of thumbnails.

    python -m train.thumbs_export out/thumbs_code out/thumbs_pixels -o semcomp/weights/thumbs.safetensors

The result holds int16 and int32 arrays alone. Without a folder for pixels the network is left out.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from semcomp.thumbs.tables import FORMAT, LIFT_UNIT, WEIGHT_UNIT

LIFT = np.interp(np.arange(26), [11, 17], [1.12, 1.0])
"""Gain of the higher frequencies at each level, chosen on dev.npy for structural similarity."""


def narrowed(values: NDArray[Any]) -> NDArray[Any]:
    """int16 where every value fits, int32 otherwise."""
    whole = np.rint(values).astype(np.int64)
    fits = int(whole.min()) >= -32768 and int(whole.max()) <= 32767
    return np.ascontiguousarray(whole.astype(np.int16 if fits else np.int32))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("code", type=Path, help="folder that train.thumbs_context wrote")
    parser.add_argument("pixels", type=Path, nargs="?", help="folder that train.thumbs_pixels wrote")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    with np.load(options.code / "code.npz") as file:
        arrays = dict(file)
    arrays["weights"] = arrays["weights"] * WEIGHT_UNIT
    arrays["lift"] = LIFT * LIFT_UNIT
    if options.pixels:
        with np.load(options.pixels / "pixels.npz") as file:
            arrays |= dict(file)
    save_file({k: narrowed(v) for k, v in sorted(arrays.items())}, options.output, metadata={"format": FORMAT})
    options.output.chmod(0o644)
    print(f"{options.output}: {options.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
