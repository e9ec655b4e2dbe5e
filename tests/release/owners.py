"""The owner of each file: a release has two wheels in one folder `semcomp/`, and each file is in one of them.

    owners_of("semcomp/edge/client.py")     ["semcomp-edge"]
    owners_of("semcomp/codec/codec.py")     ["semcomp"]
    files_of("semcomp")                     every file of the checkout that the wheel holds

docs/project/edge-distribution.md says why. `tools.dist` builds the wheels from these lists, `tests.release.contents`
checks them, and tests/test_layers.py holds the rooms of the first wheel free of torch.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).parents[2]
EDGE, FULL = "semcomp-edge", "semcomp"
GRAPHS = "semcomp/graphs"
"""Folder of the exported graphs. A release makes it; a checkout has none."""

EDGE_ROOMS = (
    "types",
    "errors",
    "workers",
    "backend",
    "storage",
    "bitstream",
    "imaging",
    "semantics",
    "lossless",
    "thumbs",
    "jpeg",
    "pipeline",
    "scale",
    "search",
    "desktop",
    "edge",
    "cli",
    "pillow",
)
"""Rooms and modules of semcomp that work without torch as a whole."""
WITHOUT_TORCH = ("config", *(room for room in EDGE_ROOMS if room != "pillow"))
"""Rooms that never import torch at the top of a file. `config` needs PyYAML, and no client reads configurations."""

OWNED = {
    EDGE: (
        "semcomp/__init__.py",
        "semcomp/__main__.py",
        "semcomp/py.typed",
        *(f"semcomp/{room}[./]*" for room in EDGE_ROOMS),
        "semcomp/generative/__init__.py",
        "semcomp/generative/guide.py",
        "semcomp/generative/noise.py",
        "semcomp/generative/overlay.py",
        "semcomp/generative/priority.py",
        "semcomp/generative/request.py",
        "semcomp/generative/selection.py",
        "semcomp/weights/__init__.py",
        "semcomp/weights/card.py",
        "semcomp/weights/hub.py",
        "semcomp/weights/safetensors_reader.py",
        "semcomp/weights/signature.*",
        "semcomp/weights/embed.*",
        "semcomp/weights/thumbs.*",
        f"{GRAPHS}/*",
    ),
    FULL: (
        "semcomp/config.py",
        "semcomp/torchvision_compat.py",
        "semcomp/device.py",
        *(f"semcomp/{room}/*" for room in ("networks", "codec", "restoration", "data", "eval", "export")),
        "semcomp/generative/generator_file.py",
        "semcomp/generative/network.py",
        "semcomp/generative/render.py",
        "semcomp/weights/files.py",
        *(f"semcomp/weights/{name}.*" for name in ("base", "lossless", "restorer", "restorer_jpeg2000")),
        *(f"semcomp/weights/{name}.*" for name in ("street", "objects", "things", "imagenette", "halving")),
        "semcomp/weights/generator_*",
        "heads/*",
    ),
}
"""Patterns of the files of each wheel. `*` matches slashes too, and `[./]` a module or a folder."""
LATER = {f"{GRAPHS}/*"}
"""Patterns of files that a build makes, or that come with weights which are not released yet."""


def owners_of(path: str) -> list[str]:
    """The wheels that hold a file, given as "semcomp/edge/client.py". Every file of the packages has one."""
    return [wheel for wheel, patterns in OWNED.items() if any(fnmatchcase(path, pattern) for pattern in patterns)]


def packaged_files(root: Path = ROOT) -> list[str]:
    """Every file of the packages in a checkout, without what Python and tools leave beside them."""
    return [
        path.relative_to(root).as_posix()
        for package in ("semcomp", "heads")
        for path in sorted((root / package).rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    ]


def files_of(wheel: str, root: Path = ROOT) -> list[str]:
    """The files of a checkout that a wheel holds."""
    return [path for path in packaged_files(root) if wheel in owners_of(path)]
