"""What `semcomp map` does to every file: the verb with its options, and the columns of its rows."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from semcomp.errors import MissingExtraError, TargetError

if TYPE_CHECKING:
    import pyarrow

VERBS = ("info", "classify", "segment", "embed", "encode", "decode")
"""What can be done to every file."""
WRITING = ("encode", "decode")
"""Verbs that write a file for each input."""
BLOCK = 1000
"""Files of a block, which becomes one Parquet file. A run that is killed repeats the blocks that were running."""


@dataclass(frozen=True, kw_only=True)
class MapTask:
    """One verb over many files. Two runs with equal tasks write equal rows, except for the seconds."""

    verb: str
    """A word of VERBS."""
    model: str = "base"
    """Weights of the codec: a name or a path."""
    graphs: str | None = None
    """Folder of exported graphs to compute with. None takes the library, or else the graphs that are installed."""
    lossless_weights: str | None = None
    """File of the lossless networks. None takes those that are installed."""
    device: str = "cpu"
    """Device of the networks."""
    head: str | None = None
    """Head that classifies or segments, whose labels and map `encode` stores, or whose features `embed` gives."""
    quality: int | None = None
    """Quality at which pictures are encoded. None is 50 for `encode` and 75 for latents."""
    bpp: float | None = None
    """Largest size of an encoded file in bits per pixel."""
    max_bytes: int | None = None
    """Largest size of an encoded file in bytes."""
    psnr: float | None = None
    """Least PSNR of an encoded file in dB."""
    strip: bool = False
    """Leave out the ICC profile, EXIF and XMP of encoded files."""
    convert: bool = False
    """Convert 16-bit, CMYK and animated pictures."""
    convert_colour: bool = False
    """Convert the colours to sRGB."""
    keep_hidden_colour: bool = False
    """Keep the colours under alpha 0."""
    preview: int | None = None
    """Bytes of the thumbnail that `encode` stores."""
    top: int = 5
    """Labels of a row."""
    min_confidence: float | None = None
    """Least probability of what the head says. None leaves that to the head's own limits."""
    maps: bool = False
    """Whether `segment` puts the label map into the row, as a PNG."""
    format: str = "png"
    """Image format that `decode` writes."""
    files: str | None = None
    """Folder or URL for the files of `encode` and `decode`."""
    shards: bool = False
    """Write those files as one WebDataset shard a block, rather than one by one."""
    threads: int = 1
    """CPU threads of a worker."""

    def __post_init__(self) -> None:
        if self.verb not in VERBS:
            raise TargetError(f"{self.verb!r} is not a verb of map: choose one of {', '.join(VERBS)}")
        if self.verb in WRITING and self.files is None:
            raise TargetError(f"{self.verb} writes files: say where, with files=, a folder or a URL")
        if self.verb not in WRITING and (self.files is not None or self.shards):
            raise TargetError(f"{self.verb} writes rows alone: leave out files= and shards=True")
        if self.verb == "classify" and self.head is None:
            raise TargetError("classify runs a head: give head=, a name or a file")

    @property
    def suffix(self) -> str:
        """The suffix of the files that the verb writes."""
        return "semc" if self.verb == "encode" else self.format

    def to_json(self) -> str:
        """What decides the rows, as JSON with sorted keys. The device and the threads are left out."""
        values = {key: value for key, value in asdict(self).items() if key not in ("device", "threads")}
        for name in ("graphs", "lossless_weights"):
            if values[name] is None:
                del values[name]
        return json.dumps(values, sort_keys=True)


def arrow() -> Any:
    """Import pyarrow. MissingExtraError where it is not installed; its own ImportError where it needs another numpy."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise MissingExtraError("Writing rows to Parquet", "scale") from error
    return pyarrow


def schema_of(task: MapTask, *, embedding: int = 0) -> pyarrow.Schema:
    """Return the columns of a verb.

    Args:
        task: The verb with its options.
        embedding: Length of the vectors of `embed`.
    """
    pa = arrow()
    words, numbers = pa.list_(pa.string()), pa.list_(pa.float32())
    labels = [("head", pa.string()), ("labels", words), ("scores", numbers)]
    written = [("output", pa.string()), ("output_bytes", pa.int64()), ("bpp", pa.float32())]
    own: dict[str, list[tuple[str, Any]]] = {
        "info": [
            *[("mode", pa.string()), ("quality", pa.int16()), ("bpp", pa.float32()), ("flags", pa.int32())],
            *[("entropy_id", pa.string()), ("model_id", pa.string()), ("color_space", pa.string())],
            *[("has_alpha", pa.bool_()), ("has_exif", pa.bool_()), *labels, ("map_classes", words)],
            *[("preview", pa.string()), ("lost", words)],
        ],
        "classify": [*labels, ("scores_are", pa.string())],
        "segment": [
            *[("head", pa.string()), ("stored", pa.bool_()), ("classes", words), ("shares", numbers)],
            *[("unknown", pa.float32()), ("label_map", pa.binary())],
        ],
        "embed": [("quality", pa.int16()), ("embedding", pa.list_(pa.float32(), embedding))],
        "encode": [*written, ("quality", pa.int16()), ("psnr_db", pa.float32()), *labels],
        "decode": [*written, ("synthesised", pa.string())],
    }
    first = [("path", pa.string()), ("width", pa.int32()), ("height", pa.int32()), ("bytes", pa.int64())]
    last = [
        ("warnings", words),
        ("seconds", pa.float32()),
        ("cpu_seconds", pa.float32()),
        ("error_kind", pa.string()),
        ("error", pa.string()),
    ]
    metadata = {"semcomp": task.to_json()}
    return pa.schema([pa.field(name, kind) for name, kind in [*first, *own[task.verb], *last]], metadata=metadata)
