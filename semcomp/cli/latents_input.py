"""Input of `classify` and `segment`: latents of a .semc file, or of a picture that is encoded in memory."""

from __future__ import annotations

import argparse
import json
from argparse import Namespace
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from semcomp.backend import open_embedder
from semcomp.cli.argument_types import probability
from semcomp.cli.batch import codec_of, edge_codec_of, on_graphs
from semcomp.cli.paths import Job, read_source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from semcomp.edge.client import EdgeCodec
    from semcomp.semantics.head import Embedder, Head
    from semcomp.types import Latents


class Input(NamedTuple):
    """One input after it was read."""

    data: bytes
    """The bytes of the file"""
    latents: Latents | None
    """Its latents; None if the command does not need them"""
    pixels: NDArray[np.uint8] | None
    """uint8 (H, W, 3) of a picture; None for a .semc file"""


HEAD_HELP = "a head's name or file: things, objects, street or imagenette"
"""How --head is explained."""
USUAL = {"classify": "things", "segment": "objects"}
"""For each task, the head that runs where none is named."""


def add_confidence(parser: argparse._ActionsContainer) -> None:
    """Add --min-confidence."""
    parser.add_argument(
        "--min-confidence",
        type=probability,
        metavar="P",
        help="say nothing of what the head gives a lower probability than this, 0 to 1 (the head's own limits)",
    )


def usual_head(options: Namespace, task: str) -> str | None:
    """Name the head that runs where none is named. None where it is not at hand, or too often wrong."""
    name = USUAL[task]
    if on_graphs(options):
        head = edge_codec_of(options).heads.get(name)
        return None if head is None or head.limits.experimental else name
    from semcomp.semantics.head import head_names

    return name if name in head_names() and not is_experimental(name) else None


def heads_in_words(options: Namespace, *, maps: bool = False) -> str:
    """Ask for a head, and list those that are at hand; with `maps` those alone that draw label maps."""
    if on_graphs(options):
        heads = [head for head in edge_codec_of(options).heads.values() if not maps or head.task == "segment"]
        names = [f"{head.name} (experimental)" if head.limits.experimental else head.name for head in heads]
        return f"give --head NAME, one of {', '.join(names) or 'none that was exported'}"
    from semcomp.semantics.head import head_names

    known = [name for name in head_names() if not maps or _task_of(name) == "segment"]
    names = [f"{name} (experimental)" if is_experimental(name) else name for name in known]
    return f"give --head NAME, one of {', '.join(names) or 'none that is installed'}, or the file of a head"


def _task_of(name: str) -> str:
    """Say what a head gives. The file of one that comes with semcomp says it without torch."""
    from safetensors import safe_open

    from semcomp.weights.files import WEIGHTS

    path = WEIGHTS / f"{name}.safetensors"
    if path.is_file():
        with safe_open(path, "numpy") as file:
            about = file.metadata() or {}
        return str(json.loads(about["info"])["task"])
    return _library_head(name).task


def is_experimental(name: str) -> bool:
    """Return whether a head that comes with semcomp is marked as too often wrong. Only the standard library is used."""
    folder = Path(__file__).parents[1]
    path = folder / "weights" / f"{name}.limits.json"
    graphs = folder / "graphs" / "manifest.json"  # of a client without torch
    if not name.isidentifier():
        return False
    if path.is_file():
        return bool(json.loads(path.read_text(encoding="utf-8")).get("experimental"))
    if graphs.is_file():
        head = json.loads(graphs.read_text(encoding="utf-8"))["heads"].get(name) or {}
        return bool((head.get("limits") or {}).get("experimental"))
    return False


def in_words(names: Iterable[str], scores: Iterable[float], *, areas: bool) -> str:
    """Say labels in a line: "person covers 23 %" for areas, "church 0.71" for probabilities."""
    pairs = zip(names, scores, strict=True)
    shown = [f"{name} covers {100 * score:.0f} %" if areas else f"{name} {score:.2f}" for name, score in pairs]
    return "  ".join(shown) or "nothing known"


def get_head(name: str, options: Namespace) -> Head:
    """Return a head of this process, as sure as --min-confidence asks. It is loaded when the first file needs it."""
    from semcomp.semantics.head import sure_head

    head = edge_codec_of(options).head(name) if on_graphs(options) else _library_head(name)
    return sure_head(head, getattr(options, "min_confidence", None) or 0.0)


@lru_cache(maxsize=4)
def _library_head(name: str) -> Head:
    from semcomp.semantics.head import load_head

    return load_head(name)


def get_embedder(options: Namespace) -> Embedder:
    """Return what embeds images in this process."""
    return _embedder(options.embedder, edge_codec_of(options) if on_graphs(options) else None)


@lru_cache(maxsize=2)
def _embedder(name: str | None, codec: EdgeCodec | None) -> Embedder:
    return open_embedder(name, codec)


def read_latents(job: Job, options: Namespace) -> Input:
    """Entropy-decode a .semc file, or encode a picture as far as its latents."""
    return with_latents(read_source(job.source), options)


def with_latents(data: bytes, options: Namespace) -> Input:
    """Entropy-decode the bytes of a .semc file, or encode a picture as far as its latents."""
    from semcomp.bitstream.container import MAGIC

    codec = codec_of(options)
    if data[: len(MAGIC)] == MAGIC:
        return Input(data, codec.latents(data), None)
    from semcomp.imaging.picture import open_picture

    picture = open_picture(data, convert=options.convert)
    return Input(data, codec.latents_of_image(picture, quality=options.quality or 75), picture.pixels)
