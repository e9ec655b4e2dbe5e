"""Which backend computes: the library on torch, or where it is not installed the client on exported graphs.

    open_codec()                     the library's codec, or an EdgeCodec on the graphs that are installed
    open_codec(graphs="edge/")       an EdgeCodec on a folder of graphs, whatever is installed

`semcomp.load`, the command, `semcomp map` and the plugin for Pillow ask here. Nothing heavy is imported before a codec
is opened.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semcomp.errors import LIBRARY, MissingExtraError

if TYPE_CHECKING:
    from semcomp.edge.client import EdgeCodec
    from semcomp.pipeline.base_codec import BaseCodec
    from semcomp.semantics.head import Classifier, Embedder, Segmenter
    from semcomp.semantics.projection import ProjectedHead


@lru_cache(maxsize=1)
def has_library() -> bool:
    """Return whether the library can compute here: torch is installed, and so are the rooms that need it."""
    try:
        return all(find_spec(name) is not None for name in ("torch", "semcomp.codec"))
    except ImportError:  # something keeps torch from being found
        return False


def require_library(feature: str) -> None:
    """Raise MissingExtraError where the library is not installed; ``feature`` opens its sentence."""
    if not has_library():
        raise MissingExtraError(feature, LIBRARY)


def open_codec(
    model: str | Path = "base",
    *,
    device: str | None = None,
    threads: int | None = None,
    lossless_weights: str | Path | None = None,
    graphs: str | Path | None = None,
) -> BaseCodec[Any]:
    """Open the codec of a process.

    Args:
        model: Weights, as for `semcomp.load`. Only the library loads others than "base".
        device: Device by torch's name. Only the library knows others than the CPU.
        threads: CPU threads. The library sets them for the whole process. None takes every core.
        lossless_weights: File of the lossless networks. None takes those that are installed, or in the folder.
        graphs: Folder that `semcomp export onnx` wrote. None takes the library, or else the graphs that are installed.

    Raises:
        ModelError: The weights or graphs are missing or damaged.
        TargetError: A folder of graphs is given beside other weights.
        MissingExtraError: The arguments need the library, or onnxruntime is not installed.
    """
    if graphs is None and has_library():
        from semcomp.weights.files import codec_file

        codec_file(model)  # what is missing is told before torch is loaded
        import torch

        from semcomp.codec.codec import load

        if threads is not None:
            torch.set_num_threads(threads)
        return load(model, device=device, lossless_weights=lossless_weights)
    from semcomp.edge.stand_ins import load as load_graphs

    return load_graphs(model, device=device, threads=threads, lossless_weights=lossless_weights, graphs=graphs)


def open_head(name: str, codec: BaseCodec[Any], *, min_confidence: float = 0.0) -> Classifier | Segmenter:
    """Open a head for the latents of a codec.

    Args:
        name: Name of a head. For the library, it may also be the file of one.
        codec: The codec. An EdgeCodec has the heads that were exported with it.
        min_confidence: Least probability of what the head says; see `sure_head`.

    Raises:
        ModelError: There is no such head, or it is damaged.
    """
    from semcomp.edge.client import EdgeCodec
    from semcomp.semantics.head import load_head, sure_head

    return sure_head(codec.head(name) if isinstance(codec, EdgeCodec) else load_head(name), min_confidence)


def open_embedder(name: str | None, codec: BaseCodec[Any] | None) -> Embedder:
    """Open what embeds images.

    Args:
        name: Head as for `load_embedder`, or "latents". None takes what comes with the library. On graphs it takes
            "embed" where the folder has the head that this reads, else the features of "objects", else the latents.
        codec: An EdgeCodec, which has the heads that were exported with it; another codec or None for the library.

    Raises:
        ModelError: There is no such head, or it is damaged.
    """
    from semcomp.edge.client import EdgeCodec
    from semcomp.semantics.embedding import POOLED
    from semcomp.semantics.head import EMBED, Embedder, load_embedder

    if not isinstance(codec, EdgeCodec):
        return load_embedder(name)
    if name in (None, EMBED.stem) and (projected := _projected(codec)) is not None:
        return Embedder(projected)
    if name is None:
        usual = codec.heads.get("objects")
        return Embedder(usual if usual is not None and usual.gives_features else None)
    return Embedder(None if name == POOLED else codec.head(name))


def _projected(codec: EdgeCodec) -> ProjectedHead | None:
    """The embedding that comes with semcomp, of features that graphs give. None where they do not."""
    from semcomp.semantics.projection import ProjectedHead, released

    projection = released()
    if projection is None or projection.entropy_id != codec.entropy_id:
        return None
    head = codec.heads.get(projection.head)
    return ProjectedHead(projection, head) if head is not None and head.gives_features else None
