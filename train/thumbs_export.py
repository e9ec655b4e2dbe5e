"""Writes the weights file of thumbnails.

    python -m train.thumbs_export out/thumbs_code out/thumbs_short out/thumbs_pixels -o thumbs.safetensors

The result holds int16 and int32 arrays alone.
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
"""Gain of the higher frequencies of long codes at each level, chosen on dev.npy for structural similarity."""

GRADES = ((17, 9), (60, 11), (82, 12), (122, 13), (160, 14))
"""Bytes and levels: codes up to this length are short ones and shaped for this level. dev.npy chose the lengths."""


def narrowed(values: NDArray[Any]) -> NDArray[Any]:
    """int16 where every value fits, int32 otherwise."""
    whole = np.rint(values).astype(np.int64)
    fits = int(whole.min()) >= -32768 and int(whole.max()) <= 32767
    return np.ascontiguousarray(whole.astype(np.int16 if fits else np.int32))


def code_arrays(folder: Path) -> dict[str, NDArray[Any]]:
    """Arrays of a folder that train.thumbs_context wrote."""
    with np.load(folder / "code.npz") as file:
        return dict(file)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("long", type=Path, help="folder that train.thumbs_context wrote for long codes")
    parser.add_argument("short", type=Path, help="folder that it wrote for short codes")
    parser.add_argument("pixels", type=Path, help="folder that train.thumbs_pixels wrote")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    arrays, short = code_arrays(options.long), code_arrays(options.short)
    shared = ("weights", "bound", "inverse", "compand", "thresholds")
    for name in shared:
        if not np.array_equal(arrays[name], short[name]):
            parser.error(f"{options.short} and {options.long} differ in {name}, which both kinds of codes share")
    arrays |= {f"short.{name}": values for name, values in short.items() if name not in shared}
    arrays["weights"] = arrays["weights"] * WEIGHT_UNIT
    arrays["grades"] = np.array(GRADES)
    arrays["lift"] = LIFT * LIFT_UNIT
    with np.load(options.pixels / "pixels.npz") as file:
        arrays |= dict(file)
    save_file({k: narrowed(v) for k, v in sorted(arrays.items())}, options.output, metadata={"format": FORMAT})
    options.output.chmod(0o644)
    print(f"{options.output}: {options.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
