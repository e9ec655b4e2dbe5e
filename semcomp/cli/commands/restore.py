"""`semcomp restore`: JPEG and JPEG 2000 files -> images without the marks of compression."""

from __future__ import annotations

import io
import time
from argparse import Namespace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semcomp.cli.argument_types import job_count, probability
from semcomp.cli.batch import on_graphs, run_batch
from semcomp.cli.exit_codes import UsageError
from semcomp.cli.failures import concerning
from semcomp.cli.first_look import at_compressed
from semcomp.cli.output_formats import format_name, image_bytes
from semcomp.cli.paths import STREAM, Job, check_target, plan_jobs, read_source, write_target
from semcomp.cli.shared_options import NewParser, SharedOptions, add_graphs

if TYPE_CHECKING:
    from semcomp.edge.restorer import EdgeRestorer
    from semcomp.imaging.picture import Picture
    from semcomp.jpeg.reader import JpegFile
    from semcomp.restoration.restorer_file import TrainedRestorer

KEYS = ("width", "height", "input_bytes", "bytes", "format", "progressive", "damage", "made_for")
JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo")
JPEG2000_SUFFIXES = (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx")
READ_SUFFIXES = (*JPEG_SUFFIXES, *JPEG2000_SUFFIXES)

_EPILOG = """\
examples:
  semcomp restore photo.jpg                      photo.png
  semcomp restore photos/ -o clean/ -j 4         a folder, mirrored
  semcomp restore photo.jpg --strength 0.5       half of the way
  semcomp restore scan.jp2                       JPEG 2000, by a network of its own
  cat photo.jpg | semcomp restore - > photo.png

The result of a JPEG file is one of the pictures that the file could have been made of: no coefficient leaves the cell
that it was quantised in.
"""


def add_parser(new_parser: NewParser, shared: SharedOptions) -> None:
    """Add the command and its options."""
    parser = new_parser(
        parents=[shared.batch, shared.output],
        epilog=_EPILOG,
        description="Remove the marks of compression from JPEG and JPEG 2000 files (PNG unless told otherwise).",
    )
    parser.add_argument(
        "--strength", type=probability, default=1.0, metavar="0..1", help="how far to go, 0 shows what is stored (1)"
    )
    parser.add_argument("--format", metavar="FMT", help="png, webp, tiff, bmp, ppm (lossless), jpg or avif")
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="weights of the restorer, or its graph restorer.onnx (what comes with this version)",
    )
    add_graphs(parser)
    parser.add_argument("--device", default="cpu", metavar="DEVICE", help="cpu, cuda, cuda:1, mps (cpu)")
    parser.add_argument("--threads", type=job_count, metavar="N", help="CPU threads in total (every core)")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Restore every input; returns the exit code."""
    name = format_name(options.format) if options.format else "png"
    plan = plan_jobs(
        options.inputs,
        output=options.output,
        read_suffixes=READ_SUFFIXES,
        write_suffix=f".{name}",
        suffix_decides=not options.format,
    )
    if not plan.jobs and not plan.unusable:
        raise UsageError("give at least one JPEG or JPEG 2000 file")
    sources = [job.source for job in plan.jobs]
    return run_batch(
        restore_one, plan, options, keys=KEYS, check=partial(_check_weights, options, sources), look=at_compressed
    )


def _check_weights(options: Namespace, sources: list[str]) -> None:
    """Load the restorer, so that what is missing is one error for all files. A JPEG 2000 file may need no weights."""
    if not any(Path(source).suffix.lower() in JPEG2000_SUFFIXES for source in sources):
        _load(options, "jpeg")


def get_restorer(weights: str | None, threads: int | None, codec: str = "jpeg") -> TrainedRestorer:
    """Return a restorer. A process reads the weights once."""
    if weights is not None:
        from semcomp.weights.files import restorer_file

        restorer_file(weights)  # what is missing is told before torch is loaded
    import torch

    from semcomp.restoration.restorer_file import load_restorer

    if threads is not None:
        torch.set_num_threads(threads)
    return load_restorer(weights, codec=codec)


def _load(options: Namespace, codec: str) -> TrainedRestorer | EdgeRestorer:
    """Return the restorer that the options name: the library's, or a graph on onnxruntime."""
    with concerning(options.weights or options.graphs or "of this version", what="the restorer"):
        if not on_graphs(options) and not (options.weights or "").endswith(".onnx"):
            return get_restorer(options.weights, options.threads, codec)
        from semcomp.edge.stand_ins import check_codec, check_device, restorer_graph

        check_device(options.device)
        check_codec(codec)
        return _get_graph(str(restorer_graph(options.weights, graphs=options.graphs)), options.threads)


def _restored(data: bytes, options: Namespace) -> tuple[Picture, JpegFile | None]:
    """Restore a file; returns the picture, and what a JPEG file holds."""
    from semcomp.edge.restorer import EdgeRestorer
    from semcomp.imaging.jpeg2000 import is_jpeg2000, is_lossless
    from semcomp.jpeg.reader import read_jpeg

    in_jpeg2000 = is_jpeg2000(data)
    if in_jpeg2000 and is_lossless(data):
        from semcomp.imaging.picture import open_picture

        return open_picture(io.BytesIO(data), convert=True), None
    file = None if in_jpeg2000 else read_jpeg(data)
    restorer = _load(options, "jpeg" if file else "jpeg2000")
    if isinstance(restorer, EdgeRestorer):
        assert file is not None
        return restorer.restored_picture(file, strength=options.strength), file
    from semcomp.device import checked_device

    device = checked_device(options.device)
    if file is None:
        from semcomp.restoration.jpeg2000 import restored_jpeg2000

        return restored_jpeg2000(data, restorer, strength=options.strength, device=device), None
    from semcomp.restoration.restore import restored_picture

    return restored_picture(file, restorer, strength=options.strength, device=device), file


@lru_cache(maxsize=1)
def _get_graph(graph: str, threads: int | None) -> EdgeRestorer:
    from semcomp.edge.restorer import EdgeRestorer

    return EdgeRestorer(graph, threads=threads)


def restore_one(job: Job, options: Namespace) -> dict[str, Any]:
    """Restore one file and write it; returns the values of `KEYS` and the line to show."""
    check_target(job.target, options)
    from semcomp.imaging.picture import to_pil
    from semcomp.jpeg.records import restorer_mark

    start = time.perf_counter()
    data = read_source(job.source)
    picture, file = _restored(data, options)
    suffix = "png" if job.target == STREAM else Path(job.target).suffix
    name = format_name(options.format or suffix)
    output = image_bytes(to_pil(picture), name=name)
    write_target(job.target, output, force=options.force)
    mark = restorer_mark(file) if file else None
    return {
        "width": picture.width,
        "height": picture.height,
        "input_bytes": len(data),
        "bytes": len(output),
        "format": name,
        "progressive": file.progressive if file else None,
        "damage": (file.damage if file else None) or None,
        "made_for": mark.hex() if mark else None,
        "seconds": time.perf_counter() - start,
        "line": f"{picture.width}x{picture.height}  {len(output):,} B  {{seconds}}",
    }
