"""Lossless coding beside PNG, WebP, JPEG-LS, JPEG XL and FLIF: bits per sub-pixel of real files, and speed.

Every file is decoded again and compared with its photo. A rate is all bytes of all photos over all their sub-pixels
(samples: three a pixel in colour). Speed is megapixels per second. On one thread a second is one of processor time, so
that other work on the machine does not count. With --threads it is one of the clock, and the machine must be idle. The
rivals run on one thread.
"""

import argparse
import importlib.util
import io
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import common
from benchmarks.common import Check, at_most
from benchmarks.weights_ids import weights_id
from semcomp.errors import MissingExtraError
from semcomp.imaging.deep import deep_png
from semcomp.imaging.exact import exact_picture
from semcomp.lossless.level import Networks
from semcomp.lossless.model import LosslessModel, load_model
from semcomp.lossless.stream import decode_lossless, encode_lossless
from semcomp.lossless.weights import EMBEDDED

E3_BPSP, E7_BPSP = 2.615, 2.458
"""What JPEG XL at efforts 3 and 7 writes for the 65 photos of data/val/gb82 and data/val/cid22."""


@dataclass(frozen=True)
class Codec:
    """One way to write and read an image."""

    name: str
    encode: Callable[[NDArray[Any]], bytes | bytearray]
    decode: Callable[[bytes], NDArray[Any]]


def rivals() -> list[Codec]:
    """The codecs of imagecodecs."""
    try:
        import imagecodecs
    except ImportError as error:
        raise MissingExtraError("The lossless benchmark", "eval") from error

    def jpeg_xl(effort: int) -> Codec:
        return Codec(
            f"JPEG XL -e {effort}",
            lambda pixels: imagecodecs.jpegxl_encode(pixels, lossless=True, effort=effort, numthreads=1),
            lambda data: imagecodecs.jpegxl_decode(data, numthreads=1),
        )

    return [
        Codec("PNG level 9", lambda pixels: imagecodecs.png_encode(pixels, level=9), imagecodecs.png_decode),
        Codec("JPEG-LS", imagecodecs.jpegls_encode, imagecodecs.jpegls_decode),
        Codec(
            "WebP -m 4",
            lambda pixels: imagecodecs.webp_encode(pixels, lossless=True, method=4, numthreads=1),
            imagecodecs.webp_decode,
        ),
        *(jpeg_xl(effort) for effort in (3, 7, 9)),
        *([Codec("FLIF", _flif, _unflif)] if shutil.which("flif") else []),
    ]


def _flif(pixels: NDArray[Any]) -> bytes:
    """The command flif, which Debian has. Its time is not measured: it runs in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "a.png"), Path(folder, "a.flif")
        source.write_bytes(deep_png(pixels) if pixels.dtype == np.uint16 else _png(pixels))
        subprocess.run(["flif", "-e", "-Q100", source, target], check=True, capture_output=True)
        return target.read_bytes()


def _unflif(data: bytes) -> NDArray[Any]:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "a.flif"), Path(folder, "a.png")
        source.write_bytes(data)
        subprocess.run(["flif", "-d", source, target], check=True, capture_output=True)
        return exact_picture(target).pixels


def _png(pixels: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def ours(model: LosslessModel, name: str) -> Codec:
    """semcomp as it codes large images ("semcomp"), on torch alone ("semcomp (torch)"), or on numpy alone."""
    networks: Networks | None = None
    if name != "semcomp (numpy)":
        from semcomp.networks.lossless_fast import WORTH, TorchNetworks

        networks = TorchNetworks(model, compiled=name == "semcomp").suited(pixels=WORTH, bits=8)
        data = encode_lossless(np.zeros((64, 64, 3), np.uint8), model=model, networks=networks, general=False)
        decode_lossless(data, model=model, networks=networks)  # what is compiled is now loaded
    return Codec(
        name,
        lambda pixels: encode_lossless(pixels, model=model, networks=networks),
        lambda data: decode_lossless(data, model=model, networks=networks),
    )


def measure(codec: Codec, pixels: NDArray[Any], *, threads: int = 1) -> dict[str, float]:
    """Bytes, seconds of both directions, and how many samples came back wrong."""
    clock = time.process_time if threads == 1 else time.perf_counter
    start = clock()
    data = bytes(codec.encode(pixels))
    written = clock()
    back = codec.decode(data)
    return {
        "bytes": len(data),
        "encode_s": written - start,
        "decode_s": clock() - written,
        "wrong": int((np.asarray(back) != pixels).sum()),
    }


def summary(rows: list[dict[str, float]], photos: list[NDArray[Any]]) -> dict[str, float]:
    """Rate and speed of one codec over all photos."""
    samples = sum(pixels.size for pixels in photos)
    megapixels = sum(pixels.shape[0] * pixels.shape[1] for pixels in photos) / 1e6
    return {
        "bpsp": round(8 * sum(row["bytes"] for row in rows) / samples, 4),
        "encode_mpx_s": round(megapixels / max(sum(row["encode_s"] for row in rows), 1e-9), 3),
        "decode_mpx_s": round(megapixels / max(sum(row["decode_s"] for row in rows), 1e-9), 3),
        "wrong": int(sum(row["wrong"] for row in rows)),
    }


def table_of(results: dict[str, dict[str, float]], count: int) -> str:
    """The result as text."""
    lines = [f"{count} photos", f"{'':<18}{'bits per sub-pixel':>20}{'encode Mpx/s':>14}{'decode Mpx/s':>14}"]
    for name, row in results.items():
        lines.append(f"{name:<18}{row['bpsp']:>20.4f}{row['encode_mpx_s']:>14.2f}{row['decode_mpx_s']:>14.2f}")
    return "\n".join(lines)


def checks_of(results: dict[str, dict[str, float]], *, limit: float | None) -> list[Check]:
    """Nothing is wrong, and the rate is below a limit where one is given."""
    checks = [at_most(f"wrong samples, {name}", row["wrong"], 0, "") for name, row in results.items()]
    if limit is not None:
        checks.append(at_most("bits per sub-pixel", results["semcomp"]["bpsp"], limit, ""))
    return checks


def read_photos(options: argparse.Namespace) -> tuple[list[str], list[NDArray[Any]]]:
    """Names and pixels of the photos, evenly spaced where there are more than asked for."""
    paths = common.find_photos(options.photos)
    paths = common.spread(paths, options.limit) if options.limit else paths
    if options.deep:
        pixels: list[NDArray[Any]] = [exact_picture(path).pixels for path in paths]
    else:
        pixels = [np.asarray(Image.open(path).convert("L" if options.grey else "RGB")) for path in paths]
    return [path.name for path in paths], pixels


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; the exit status."""
    example = "python -m benchmarks.lossless data/val/gb82 data/val/cid22 --model runs/lossless/model.safetensors"
    parser = common.make_parser("lossless", __doc__, example)
    parser.add_argument("photos", nargs="+", type=Path, help="lossless photos, or folders of them")
    parser.add_argument("--limit", type=int, metavar="N", help="measure at most N photos, evenly spaced")
    parser.add_argument("--grey", action="store_true", help="measure the photos in grey")
    parser.add_argument("--deep", action="store_true", help="read every sample of 16-bit files; WebP is left out")
    parser.add_argument(
        "--threads", type=int, default=1, help="threads of semcomp (default: 1); with more, speed is by the clock"
    )
    parser.add_argument("--torch", action="store_true", help="measure semcomp without compiled code too")
    parser.add_argument("--numpy", action="store_true", help="measure semcomp without torch too")
    parser.add_argument("--alone", action="store_true", help="leave the rivals out")
    parser.add_argument(
        "--at-most",
        type=float,
        metavar="BPSP",
        help=f"fail above this rate (JPEG XL on val: -e 3 {E3_BPSP}, -e 7 {E7_BPSP})",
    )
    parser.set_defaults(model=str(EMBEDDED))
    options = parser.parse_args(arguments)
    import torch

    torch.set_num_threads(options.threads)
    model = load_model(options.model)
    ways = ["semcomp", *(["semcomp (torch)"] if options.torch else []), *(["semcomp (numpy)"] if options.numpy else [])]
    codecs = [ours(model, way) for way in ways]
    codecs += [] if options.alone else [rival for rival in rivals() if not (options.deep and "WebP" in rival.name)]
    names, photos = read_photos(options)
    rows: dict[str, list[dict[str, float]]] = {codec.name: [] for codec in codecs}
    for pixels in common.progress(photos, total=len(photos), label="photos", options=options):
        for codec in codecs:
            rows[codec.name].append(measure(codec, pixels, threads=options.threads))
    results = {name: summary(of_codec, photos) for name, of_codec in rows.items()}
    result: dict[str, Any] = {
        "photos": len(photos),
        "threads": options.threads,
        "numba": importlib.util.find_spec("numba") is not None,
        "model": model.id.hex(),
        "origin": model.origin,
        "codecs": results,
    }
    return common.finish(
        "lossless",
        options,
        result=result,
        checks=checks_of(results, limit=options.at_most),
        table=table_of(results, len(photos)),
        weights={"lossless": weights_id(str(options.model))},
        unseen={"rows": {name: dict(zip(names, of_codec, strict=True)) for name, of_codec in rows.items()}},
    )


if __name__ == "__main__":
    sys.exit(common.guarded(main))
