"""16-bit samples for `python -m benchmarks.lossless --deep`: medical pictures as PNG files of 16 bits.

Folders are checkouts of github.com/pydicom/pydicom-data and github.com/imageio/test_images. Of every DICOM file that
holds CT, MR or X-rays of more than 8 bits, without loss, the first frame is taken. Signed values are raised by 32768.
"""

import argparse
import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import common
from semcomp.errors import MissingExtraError, SemcompError
from semcomp.imaging.deep import deep_png

MODALITIES = ("CT", "MR", "CR", "DX", "MG")
LOSSY = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.91")
"""Transfer syntaxes of JPEG, JPEG-LS and JPEG 2000 with loss."""
SMALLEST = 256


def samples_of(path: Path) -> NDArray[np.uint16] | None:
    """uint16 (H, W) of a DICOM file, or None where it does not qualify."""
    try:
        import pydicom
        from pydicom.errors import InvalidDicomError
    except ImportError as error:
        raise MissingExtraError("Reading DICOM files", "eval") from error

    try:
        file = pydicom.dcmread(path)
        lossy = file.get("LossyImageCompression") == "01" or file.file_meta.TransferSyntaxUID in LOSSY
        if file.get("Modality") not in MODALITIES or lossy or file.get("BitsStored", 8) <= 8:
            return None
        values: NDArray[Any] = file.pixel_array
    except (InvalidDicomError, AttributeError, ValueError, RuntimeError, NotImplementedError):
        return None  # such collections hold damaged files on purpose
    frame = values[0] if file.get("NumberOfFrames", 1) > 1 else values
    if frame.ndim != 2 or min(frame.shape) < SMALLEST or frame.dtype.itemsize != 2:
        return None
    samples: NDArray[np.uint16] = frame.astype(np.uint16)
    return samples ^ np.uint16(1 << 15) if frame.dtype.kind == "i" else samples


def main(arguments: list[str] | None = None) -> int:
    """Write the samples; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.deep_samples",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folders", nargs="+", type=Path, help="folders of DICOM files")
    parser.add_argument("-o", "--output", type=Path, default=Path("data/deep"), metavar="DIR", help="data/deep")
    options = parser.parse_args(arguments)
    seen = set()
    options.output.mkdir(parents=True, exist_ok=True)
    for path in sorted(path for folder in options.folders for path in folder.rglob("*.dcm")):
        pixels = samples_of(path)
        digest = None if pixels is None else hashlib.sha256(pixels.tobytes()).digest()
        if pixels is None or digest in seen:
            continue
        seen.add(digest)
        (options.output / f"{path.stem}.png").write_bytes(deep_png(np.ascontiguousarray(pixels)))
        common.say(f"{path.stem}.png: {pixels.shape[1]}x{pixels.shape[0]}, {pixels.min()}..{pixels.max()}")
    if not seen:
        raise SemcompError(f"no medical picture of more than 8 bits in {', '.join(map(str, options.folders))}")
    return 0


if __name__ == "__main__":
    sys.exit(common.guarded(main))
