"""The exported client beside the library: symbols, bytes, and time as a ratio in one run.

Every photo is written at every quality by the library and by the client. Every file is then read by the library, by
the library's integers in numpy, and by the client on 1 and 2 threads at every graph optimisation level of onnxruntime,
with constriction and with the plain coder. Every differing symbol is counted; there must be none. Symbols that the two
encoders chose differently are shown as well: the mean path is float, and any choice decodes.

The graphs must be there: semcomp export onnx -o out/edge
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks import common
from benchmarks.common import at_least, at_most
from semcomp.container import read
from semcomp.edge import EdgeCodec
from semcomp.edge.bundle import LEVELS
from semcomp.errors import SemcompError
from semcomp.exactness import QUALITIES
from semcomp.image import from_array
from semcomp.metrics import psnr_db
from semcomp.semantics import load_head
from semcomp.symbols import STRIDE_Y, Symbols, grid

CLIENT_LIMIT, SYNTHESIS_LIMIT = 12e6, 6e6
ENTROPY = ("hyper", "sigma", "mean_first", "mean_second")


def clients_of(directory: Path) -> dict[str, EdgeCodec]:
    """Every arrangement of threads and optimisation."""
    return {
        f"onnxruntime, {threads} threads, {level}": EdgeCodec(directory, threads=threads, optimisation=level)
        for threads in (1, 2)
        for level in LEVELS
    }


def differing(a: Symbols, b: Symbols) -> int:
    """Elements of z, y and the table numbers."""
    pairs = ((a.z, b.z), (a.y, b.y), (a.index, b.index))
    return sum(int(np.count_nonzero(x != y)) if x.shape == y.shape else max(x.size, y.size) for x, y in pairs)


def exactness(
    codec: Any, clients: dict[str, EdgeCodec], pixels: np.ndarray, quality: int, tally: dict[str, int]
) -> dict[str, Any]:
    """Count the differences of one photo at one quality; bytes and PSNR of both writers, symbols chosen differently."""
    picture, client = from_array(pixels), next(iter(clients.values()))
    rows, written = {}, {}
    for name, writer in (("library", codec), ("client", client)):
        symbols = writer.quantize(writer.analyse(picture), picture, quality=quality)
        data = writer.pack(picture, symbols, quality=quality)
        written[name] = symbols
        decoded = np.asarray(client.decode(data))
        rows[name] = {"bytes": len(data), "psnr_db": psnr_db(pixels, decoded)}
        height, width = pixels.shape[:2]
        numbers = codec.release.sigma.index_numpy(symbols.z, quality)
        inside = numbers[:, : grid(height, width, STRIDE_Y)[0], : grid(height, width, STRIDE_Y)[1]]
        index = np.where(inside >= codec.release.skip_below, inside, -1)
        tally["numpy, int64"] += int(np.count_nonzero(index != symbols.index))
        readers: dict[str, Any] = {"torch": codec, **clients}
        for reader, one in readers.items():
            for plain in (False, True) if reader == "torch" or one is client else (False,):
                label = f"{reader}{', plain coder' if plain else ''}"
                try:
                    tally[label] += differing(one.read_symbols(data, plain=plain), symbols)
                except SemcompError:
                    tally[label] += symbols.z.size + symbols.y.size
        assert read(data).header.quality == quality
    chosen = int(np.count_nonzero(written["library"].y != written["client"].y))
    return {**rows, "chosen": chosen, "elements": written["client"].y.size}


def timed(ours: Callable[[], Any], theirs: Callable[[], Any], repeats: int) -> dict[str, float]:
    """Medians in ms of both, in turn, and how many times as fast ours is."""
    times: list[tuple[float, float]] = []
    for turn in range(repeats + 2):
        row = []
        for run in (ours, theirs):
            start = time.perf_counter()
            run()
            row.append(1000 * (time.perf_counter() - start))
        if turn >= 2:
            times.append((row[0], row[1]))
    client, library = (float(np.median([row[k] for row in times])) for k in (0, 1))
    return {"client_ms": client, "library_ms": library, "times_as_fast": library / client}


def speed(
    codec: Any, directory: Path, threads: int, size: tuple[int, int], repeats: int
) -> dict[str, dict[str, float]]:
    """Encode, decode, latents and heads of one photo beside the library."""
    torch.set_num_threads(threads)
    client = EdgeCodec(directory, threads=threads)
    pixels = common.picture_of_size(common.PHOTO, *size)
    data = codec.encode(pixels, quality=55)
    rows = {
        "encode": timed(lambda: client.encode(pixels, quality=55), lambda: codec.encode(pixels, quality=55), repeats),
        "decode": timed(lambda: client.decode(data), lambda: codec.decode(data), repeats),
        "latents": timed(lambda: client.latents(data), lambda: codec.latents(data), repeats),
    }
    ours, theirs = client.latents(data), codec.latents(data)
    for name, head in client.heads.items():
        rows[f"head {name}"] = timed(partial(head, ours), partial(load_head(name), theirs), repeats)
    return rows


def sizes_of(client: EdgeCodec) -> dict[str, int]:
    """Bytes of each graph and of the tables."""
    graphs = {name: entry["bytes"] for name, entry in client.bundle.manifest["graphs"].items()}
    return {**graphs, "tables": client.bundle.manifest["tables"]["bytes"]}


def table_of(tally: dict[str, int], rows: dict[str, Any], sizes: dict[str, int], what: str) -> str:
    """The result as text."""
    lines = [what, "", f"{'differing symbols':<48}"]
    lines += [f"  {name:<46}{count:>10,}" for name, count in tally.items()]
    lines += ["", f"{'ms, medians':<28}{'client':>10}{'library':>10}{'times as fast':>16}"]
    for threads, parts in rows.items():
        for name, row in parts.items():
            shown = f"{row['client_ms']:>10.1f}{row['library_ms']:>10.1f}{row['times_as_fast']:>16.2f}"
            lines.append(f"  {threads} threads, {name:<14}{shown}")
    lines += ["", *(f"  {name:<26}{size:>12,} bytes" for name, size in sizes.items())]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; the exit status."""
    parser = common.make_parser("edge", __doc__, "python -m benchmarks.edge data/val -o out/edge.json")
    parser.add_argument("photos", nargs="*", type=Path, default=[Path("data/val")], help="default: data/val")
    parser.add_argument("--graphs", type=Path, default=Path("out/edge"), metavar="DIR", help="default: out/edge")
    parser.add_argument("--count", type=int, default=20, help="photos, evenly spaced over all (default: 20)")
    parser.add_argument("--qualities", type=int, nargs="+", default=QUALITIES, help="default: 1 13 50 87 100")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="of the timing (default: 1 2)")
    parser.add_argument("--size", type=int, nargs=2, default=(768, 512), metavar=("W", "H"), help="default: 768 512")
    parser.add_argument("--repeats", type=int, default=15, help="of every timing (default: 15)")
    options = parser.parse_args(arguments)

    codec, clients = common.load_codec(options), clients_of(options.graphs)
    client = next(iter(clients.values()))
    paths = common.spread(common.find_photos(options.photos), options.count)
    names = ["numpy, int64", "torch", "torch, plain coder", *clients]
    names.insert(4, f"{next(iter(clients))}, plain coder")
    tally, written = dict.fromkeys(names, 0), []
    for path in common.progress(paths, total=len(paths), label="edge", options=options):
        with Image.open(path) as image:
            pixels = np.array(image.convert("RGB"))
        written += [exactness(codec, clients, pixels, quality, tally) for quality in options.qualities]
    sizes, before = sizes_of(client), torch.get_num_threads()
    rows = {n: speed(codec, options.graphs, n, tuple(options.size), options.repeats) for n in options.threads}
    torch.set_num_threads(before)

    heads = [sizes[head["graph"]] for head in client.bundle.heads.values()]
    small = sum(sizes[name] for name in ("analysis", *ENTROPY, "tables")) + min(heads, default=0)
    total = {name: sum(row[name]["bytes"] for row in written) for name in ("library", "client")}
    lost = max(row["library"]["psnr_db"] - row["client"]["psnr_db"] for row in written)
    chosen, elements = (sum(row[key] for row in written) for key in ("chosen", "elements"))
    most = max(options.threads)
    checks = [
        at_most(f"differing symbols over {len(tally)} readers, {2 * len(written)} files", sum(tally.values()), 0, ""),
        at_most("analysis, entropy and the smallest head", small, CLIENT_LIMIT, " bytes"),
        at_most("synthesis", sizes["synthesis"], SYNTHESIS_LIMIT, " bytes"),
        at_most("bytes of the client's files against the library's, percent more",
                100 * (total["client"] / total["library"] - 1), 0.5, ""),
        at_most("PSNR that the client's encoder loses at worst", lost, 0.05, " dB"),
        *(at_least(f"{name} on {most} threads, times as fast as the library", rows[most][name]["times_as_fast"], 1, "")
          for name in ("encode", "decode", "latents")),
    ]  # fmt: skip
    what = (
        f"{len(paths)} photos x {len(options.qualities)} qualities; the two encoders chose {chosen:,} of {elements:,} "
        "symbols differently"
    )
    result = {
        "model": codec.name, "model_id": codec.model_id.hex(), "photos": len(paths), "differing": tally,
        "qualities": list(options.qualities), "speed": {str(n): row for n, row in rows.items()}, "sizes": sizes,
        "chosen_differently": chosen, "elements": elements, "bytes": total, "size": list(options.size),
    }  # fmt: skip
    return common.finish("edge", options, result=result, checks=checks, table=table_of(tally, rows, sizes, what))


if __name__ == "__main__":
    sys.exit(common.guarded(main))
