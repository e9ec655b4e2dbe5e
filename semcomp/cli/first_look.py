"""What is looked at before torch is loaded, which takes seconds: the networks that options name, and the first files.

A file that turns out to be text, empty or cut short needs no network. Neither does a result that cannot be written.
`run_batch` looks at the jobs in their order, up to the first that needs a network.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from semcomp.backend import has_library
from semcomp.cli.exit_codes import UsageError
from semcomp.cli.inputs import STREAM, is_pipe
from semcomp.cli.paths import Job, check_target
from semcomp.storage.urls import is_url

Look = Callable[[Path, Namespace], object]
"""Raises what the head of a file is refused for. What it returns is not used."""


def look_at(job: Job, options: Namespace, look: Look) -> None:
    """Check the target of a job, and look at its file unless it can be read once or is far away.

    Raises:
        Exception: Whatever the command itself would raise.
    """
    if job.target:
        check_target(job.target, options)
    if look is at_nothing or job.source == STREAM or is_url(job.source):
        return
    if not is_pipe(Path(job.source)):
        look(Path(job.source), options)


def at_nothing(path: Path, options: Namespace) -> None:
    """Look at no file: the command reads any."""


def at_picture(path: Path, options: Namespace) -> None:
    """Look at the head of an image file. ImageError where it cannot be encoded as the options say."""
    from semcomp.imaging.opening import check_image

    is_exact = any(getattr(options, name, None) for name in ("lossless", "near"))
    check_image(path, convert=getattr(options, "convert", True) and not is_exact, deep=is_exact)


def at_semc(path: Path, options: Namespace) -> None:
    """Look at the container of a .semc file. FormatError where it is damaged or something else.

    With --scale the header alone counts: a part of a file that is cut short may be enough.
    """
    from semcomp.bitstream.container import read, read_header

    if getattr(options, "scale", 1) == 1:
        read(path.read_bytes())
        return
    with path.open("rb") as file:
        read_header(file)


def at_either(path: Path, options: Namespace) -> None:
    """Look at a .semc file or a picture."""
    from semcomp.bitstream.container import MAGIC

    with path.open("rb") as file:
        is_semc = file.read(len(MAGIC)) == MAGIC
    (at_semc if is_semc else at_picture)(path, options)


def at_compressed(path: Path, options: Namespace) -> None:
    """Look at the segments of a JPEG file. ImageError where it is neither one that can be restored nor JPEG 2000."""
    from semcomp.imaging.jpeg2000 import is_jpeg2000
    from semcomp.jpeg.segments import read_segments

    data = path.read_bytes()
    if not is_jpeg2000(data):
        read_segments(data)


def check_networks(options: Namespace) -> None:
    """Find the networks that options name without loading one, and the device that should compute them.

    Raises:
        ModelError: One is missing, or there is no such device.
        UsageError: Graphs should be computed on another device than the CPU.
    """
    graphs, device = getattr(options, "graphs", None), getattr(options, "device", None)
    if graphs is not None and device not in (None, "cpu") and has_library():
        raise UsageError(f"--graphs computes on the CPU, not on {device}: leave out one of --graphs and --device")
    if graphs is not None and hasattr(options, "model"):  # a folder with a restorer alone has no manifest
        from semcomp.edge.bundle import read_manifest

        read_manifest(Path(graphs))
    if graphs is not None or not has_library():
        return
    from semcomp.weights.files import codec_file

    if (model := getattr(options, "model", "base")) != "base":
        codec_file(model)
    heads = getattr(options, "head", None) or []
    named = [heads] if isinstance(heads, str) else [*heads]
    if (embedder := getattr(options, "embedder", None)) is not None:
        named.append(embedder)
    if named:
        from semcomp.semantics.embedding import POOLED
        from semcomp.semantics.head import find_head

        for name in named:
            if name != POOLED:
                find_head(name)
    if (weights := getattr(options, "lossless_weights", None)) is not None:
        from semcomp.lossless.weights import load_weights

        load_weights(weights)
    if device not in (None, "cpu"):
        from semcomp.device import checked_device  # with torch, which says what there is

        checked_device(device)
