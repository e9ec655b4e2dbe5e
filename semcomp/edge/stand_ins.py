"""What stands for functions of the library where torch is not installed. `semcomp` resolves its public names here then.

codec = semcomp.load()                   # an EdgeCodec on the graphs that are installed
semcomp.load_head("street")              # a head among them
semcomp.restore("photo.jpg")             # by the graph of a restorer, where there is one
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from semcomp.edge.bundle import INSTALLED, has_one_pool
from semcomp.edge.client import EdgeCodec
from semcomp.edge.head import EdgeClassifier, EdgeSegmenter
from semcomp.errors import LIBRARY, MissingExtraError, TargetError
from semcomp.workers import runs_one_command

if TYPE_CHECKING:
    from PIL import Image

    from semcomp.jpeg.source import JpegSource

Codec = EdgeCodec
"""The class of what `load` returns."""
RELEASED = "base"
"""The name of the weights that a client stands for."""
RESTORER = "restorer.onnx"
"""Graph of the restorer in a folder of graphs."""


def load(
    name_or_path: str | Path = RELEASED,
    *,
    device: str | None = None,
    lossless_weights: str | Path | None = None,
    threads: int | None = None,
    graphs: str | Path | None = None,
) -> EdgeCodec:
    """Load the codec on exported graphs. It has the methods of the library's codec.

    All its graphs share one pool of threads in a process that runs one command. Elsewhere each graph has its own
    threads, because other code of the process may run onnxruntime too.

    Args:
        name_or_path: "base". Other weights need the library.
        device: None or "cpu". Other devices need the library.
        lossless_weights: File of the lossless networks. None takes those among the graphs.
        threads: CPU threads. None takes every core.
        graphs: Folder that `semcomp export onnx` wrote. None takes the graphs that are installed.

    Raises:
        ModelError: There are no graphs, or they are damaged.
        TargetError: A folder of graphs is given beside other weights.
        MissingExtraError: The arguments need the library, or onnxruntime is not installed.
    """
    if str(name_or_path) != RELEASED:
        if graphs is not None:
            raise TargetError(f"the graphs of {graphs} hold their weights: leave out model={name_or_path}")
        raise MissingExtraError(f"Loading the weights {name_or_path}", LIBRARY)
    check_device(device)
    codec = EdgeCodec(graphs, threads=threads, one_pool=runs_one_command() and has_one_pool())
    codec.lossless_weights = lossless_weights
    return codec


def load_head(name_or_file: str | Path) -> EdgeClassifier | EdgeSegmenter:
    """Load a head of the graphs that are installed.

    Raises:
        ModelError: There is no such head. A file of a head has to be exported first.
    """
    return EdgeCodec().head(str(name_or_file))


def restore(
    image: JpegSource, *, strength: float = 1.0, weights: str | Path | None = None, device: str | None = "cpu"
) -> Image.Image:
    """Restore a JPEG file by a graph. It takes and raises what `semcomp.restore` of the library does.

    Args:
        image: The file: its path, its bytes, a binary stream, or a PIL image that was opened from one, still open.
        strength: 0 shows what is stored, 1 the network's answer.
        weights: A graph that `semcomp export onnx --restorer` wrote. None takes the one that is installed.
        device: "cpu". Other devices need the library.

    Returns:
        An image of mode L or RGB.
    """
    from semcomp.edge.restorer import EdgeRestorer
    from semcomp.imaging.jpeg2000 import is_jpeg2000
    from semcomp.jpeg.source import jpeg_bytes

    check_device(device)
    data = jpeg_bytes(image)
    check_codec("jpeg2000" if is_jpeg2000(data) else "jpeg")
    return EdgeRestorer(restorer_graph(weights)).restore(data, strength=strength)


def restorer_graph(weights: str | Path | None = None, *, graphs: str | Path | None = None) -> Path:
    """Return the path of a restorer's graph: the file itself, or the one that belongs to a folder of graphs.

    Args:
        weights: A file, or None.
        graphs: The folder of graphs. None takes those that are installed.

    Raises:
        MissingExtraError: The file holds weights rather than a graph, and only the library reads those.
    """
    if weights is None:
        return Path(graphs or INSTALLED) / RESTORER
    if Path(weights).suffix != ".onnx":
        raise MissingExtraError(f"Loading the weights {weights}", LIBRARY)
    return Path(weights)


def check_codec(codec: str) -> None:
    """Raise MissingExtraError for files of another format than JPEG, which no graph restores."""
    if codec != "jpeg":
        raise MissingExtraError("Restoring JPEG 2000", LIBRARY)


def check_device(device: str | None) -> None:
    """Raise MissingExtraError for a device other than the CPU."""
    if device not in (None, "cpu"):
        raise MissingExtraError(f"The device {device}", LIBRARY)
