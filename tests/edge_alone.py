"""The client without torch, as a program: `python -m tests.edge_alone DIR [--without torch,constriction]`.

Reads the golden files, encodes and decodes a picture, classifies and segments it, and prints what came out as JSON. It
needs numpy, onnxruntime and Pillow alone; names given to `--without` cannot be imported even where they are installed.
"""

import argparse
import json
import sys
import zlib
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]


class Blocker(MetaPathFinder):
    """Some packages cannot be imported."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names

    def find_spec(self, name: str, path: object, target: ModuleType | None = None) -> ModuleSpec | None:
        if name.partition(".")[0] in self.names:
            raise ImportError(f"{name} is blocked")
        return None


def main() -> int:
    """Run every check; 0 where all hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.edge_alone", description=__doc__)
    parser.add_argument("directory")
    parser.add_argument("--without", default="", metavar="A,B", help="packages that cannot be imported")
    parser.add_argument("--size", type=int, nargs=2, default=(131, 90), metavar=("W", "H"), help="of the picture")
    options = parser.parse_args()
    blocked = [name for name in options.without.split(",") if name]
    sys.meta_path.insert(0, Blocker(blocked))

    import numpy as np
    from PIL import Image

    from semcomp.bitstream import symbol_stream
    from semcomp.edge import EdgeCodec
    from semcomp.imaging.metrics import psnr_db

    assert ("constriction" in blocked) <= (not symbol_stream.HAS_CONSTRICTION)
    codec = EdgeCodec(options.directory, threads=2)
    golden = sorted((ROOT / "tests" / "golden").glob("*.semc"))
    for file in golden:
        symbols = codec.read_symbols(file.read_bytes())
        with np.load(file.with_suffix(".npz")) as expected:
            assert np.array_equal(symbols.z, expected["z"]) and np.array_equal(symbols.y, expected["y"]), file.name
    with Image.open(ROOT / "examples" / "photo.png") as image:
        picture = np.asarray(image.convert("RGB").resize(options.size))
    data = codec.encode(picture, quality=75)
    decoded = np.asarray(codec.decode(data))
    latents = codec.latents(data)
    heads = {head.task: name for name, head in codec.heads.items()}
    labels = codec.classify(latents, head=heads["classify"])
    segmentation = codec.segment(latents, head=heads["segment"])
    assert decoded.shape == picture.shape and segmentation.label_map.shape == picture.shape[:2]
    psnr = psnr_db(picture, decoded)
    assert psnr > 25, psnr
    loaded = [name for name in (*blocked, "torch", "safetensors", "tqdm") if name in sys.modules]
    assert not loaded, loaded
    print(
        json.dumps(
            {
                "golden": len(golden),
                "constriction": symbol_stream.HAS_CONSTRICTION,
                "bytes": len(data),
                "crc": zlib.crc32(data),
                "psnr_db": round(psnr, 2),
                "label": labels.names[:1],
                "classes": segmentation.present,
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
