"""What each group of layers costs in 8 bits: the measurement behind FLOAT_LAYERS of semcomp/export/int8.py.

Some photos calibrate, others are written and read by the client, whole files, once with float graphs and once for each
group with that group alone in 8 bits. BD-rate compares mean curves over QUALITIES, where they overlap.
"""

import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import common
from benchmarks.edge_int8 import QUALITIES
from semcomp.edge import EdgeCodec
from semcomp.edge.bundle import MANIFEST
from semcomp.eval.curves import Curve, mean_curve, saving
from semcomp.export.codec_parts import PARTS
from semcomp.export.graph import finished, traced
from semcomp.export.int8 import FLOAT_LAYERS, Calibration, quantised
from semcomp.imaging.metrics import psnr_db
from semcomp.imaging.picture import from_array, open_picture

LAYERS = {
    "analysis": ("linear", "patches", "blocks8", "down", "blocks16", "head"),
    "synthesis": ("linear", "entry", "blocks16", "up8", "blocks8", "up4", "expand", "render"),
}
CROP = 256


def crops_of(paths: Sequence[Path]) -> list[NDArray[np.uint8]]:
    """The middle of every photo, at most 256x256."""
    crops = []
    for path in paths:
        pixels = open_picture(path, convert=True).pixels
        top, left = (max(0, side - CROP) // 2 for side in pixels.shape[:2])
        crops.append(np.ascontiguousarray(pixels[top : top + CROP, left : left + CROP]))
    return crops


def curve_of(client: EdgeCodec, crops: Sequence[NDArray[np.uint8]]) -> Curve:
    """Mean bpp and PSNR of files that the client writes and reads."""
    rows = []
    for pixels in crops:
        picture = from_array(pixels)
        y, row = client.analyse(picture), []
        for quality in QUALITIES:
            data = client.pack(picture, client.quantize(y, picture, quality=quality), quality=quality)
            bpp = 8 * len(data) / (picture.width * picture.height)
            row.append({"setting": quality, "bpp": bpp, "psnr_db": psnr_db(pixels, np.asarray(client.decode(data)))})
        rows.append(row)
    return mean_curve(rows)


def with_graph(directory: Path, target: Path, name: str, data: bytes) -> EdgeCodec:
    """A client on a copy of the export, with another graph."""
    shutil.copytree(directory, target, dirs_exist_ok=True)
    manifest = json.loads((target / MANIFEST).read_text(encoding="utf-8"))
    manifest["graphs"][name]["sha256"] = hashlib.sha256(data).hexdigest()
    (target / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    (target / manifest["graphs"][name]["file"]).write_bytes(data)
    return EdgeCodec(target)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; the exit status."""
    parser = common.make_parser("int8_layers", __doc__, "python -m benchmarks.int8_layers data/photos")
    parser.add_argument("photos", type=Path, help="a folder of photos, none of which figures come from")
    parser.add_argument("--graphs", type=Path, default=Path("out/edge"), metavar="DIR", help="default: out/edge")
    parser.add_argument("--limit", type=int, default=6, metavar="N", help="photos to measure (default: 6)")
    options = parser.parse_args(arguments)

    codec = common.load_codec(options)
    calibration = Calibration(codec, options.photos)
    paths = sorted(path for path in options.photos.rglob("*") if path.is_file())
    crops = crops_of(common.spread(paths, options.limit))
    anchor = curve_of(EdgeCodec(options.graphs), crops)
    result: dict[str, Any] = {}
    lines = [f"{len(crops)} photos; BD-rate against float in %, dB lost at qualities {QUALITIES}", ""]
    for name, layers in LAYERS.items():
        (part,) = PARTS[name](codec)
        model = traced(part)
        groups = {layer: [f"{name}.{other}" for other in layers if other != layer] for layer in layers}
        for group, kept in {**groups, "all but FLOAT_LAYERS": list(FLOAT_LAYERS)}.items():
            graph = finished(quantised(model, calibration.inputs(part), float_layers=kept), part, properties={})
            with tempfile.TemporaryDirectory() as folder:
                curve = curve_of(with_graph(options.graphs, Path(folder), name, graph), crops)
            lost = [round(a - b, 3) for a, b in zip(anchor["psnr_db"], curve["psnr_db"], strict=True)]
            bd = saving(anchor, curve, limits=None)
            result[f"{name}: {group}"] = {"bd_rate": bd, "lost_db": lost, "bytes": len(graph)}
            lines.append(f"  {name + ': ' + group:<26}{bd:>+8.2f}   {lost}")
    return common.finish("int8_layers", options, result={"groups": result}, checks=[], table="\n".join(lines))


if __name__ == "__main__":
    sys.exit(common.guarded(main))
