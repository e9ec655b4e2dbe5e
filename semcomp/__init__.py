"""semcomp: a learned image codec whose latents are the product.

    codec = semcomp.load()                    # the weights "base", inside the package
    data = codec.encode(image, quality=50)    # PIL image, uint8 HWC array, float BCHW tensor, path -> bytes
    image = codec.decode(data)                # -> PIL.Image
    latents = codec.latents(data)             # entropy decoding only: what recognition heads read
    semcomp.load_head("street")(latents)      # what the picture shows; no pixel is decoded
    semcomp.info(data)                        # what the file says about itself; torch is not imported
    code = semcomp.thumb(image, 32)           # a thumbnail in 32 bytes, any prefix of which decodes
    semcomp.thumb_image(code, 96)             # -> PIL.Image, at most 96 pixels a side
    semcomp.restore("photo.jpg")              # -> PIL.Image, a JPEG file without the marks of compression

`import semcomp` imports nothing heavy: every name is resolved when it is first used. Where torch is not installed,
`load` and `load_head` open exported graphs, on onnxruntime, and a codec has the same methods.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "load": "semcomp.codec.codec",
    "Codec": "semcomp.codec.codec",
    "Encoded": "semcomp.pipeline.rate_control",
    "Latents": "semcomp.types",
    "load_head": "semcomp.semantics.head",
    "info": "semcomp.bitstream.inspect",
    "Info": "semcomp.bitstream.inspect",
    "thumb": "semcomp.thumbs.thumb",
    "thumb_image": "semcomp.thumbs.thumb",
    "restore": "semcomp.restoration.restore",
    "SemcompError": "semcomp.errors",
    "FormatError": "semcomp.errors",
    "ModelError": "semcomp.errors",
    "ImageError": "semcomp.errors",
    "TargetError": "semcomp.errors",
    "MissingExtraError": "semcomp.errors",
    "SemcompWarning": "semcomp.errors",
}
_STAND_INS = ("load", "Codec", "load_head", "restore")
"""Names that semcomp.edge.stand_ins has too, for a client without torch."""

__all__ = [  # at most 15; tests/test_public.py guards it
    "load",
    "Codec",
    "Encoded",
    "Latents",
    "load_head",
    "info",
    "Info",
    "SemcompError",
    "FormatError",
    "ModelError",
    "ImageError",
    "TargetError",
    "MissingExtraError",
    "SemcompWarning",
    "__version__",
]

if TYPE_CHECKING:
    from semcomp.bitstream.inspect import Info as Info
    from semcomp.bitstream.inspect import info as info
    from semcomp.codec.codec import Codec as Codec
    from semcomp.codec.codec import load as load
    from semcomp.errors import FormatError as FormatError
    from semcomp.errors import ImageError as ImageError
    from semcomp.errors import MissingExtraError as MissingExtraError
    from semcomp.errors import ModelError as ModelError
    from semcomp.errors import SemcompError as SemcompError
    from semcomp.errors import SemcompWarning as SemcompWarning
    from semcomp.errors import TargetError as TargetError
    from semcomp.pipeline.rate_control import Encoded as Encoded
    from semcomp.restoration.restore import restore as restore
    from semcomp.semantics.head import load_head as load_head
    from semcomp.thumbs.thumb import thumb as thumb
    from semcomp.thumbs.thumb import thumb_image as thumb_image
    from semcomp.types import Latents as Latents


def __getattr__(name: str) -> Any:
    """Import the module that holds a public name when the name is first asked for (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'semcomp' has no attribute {name!r}; public names: {', '.join(__all__)}")
    home = _HOME[name]
    if name in _STAND_INS:
        from semcomp.backend import has_library

        home = home if has_library() else "semcomp.edge.stand_ins"
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
