"""The ids of weights that figures are measured with, as cards and `semcomp models` show them."""

import hashlib
from collections.abc import Iterable
from pathlib import Path


def weights_id(name: str) -> str:
    """The id of weights inside the package, or of a file: a codec and a generator have one, others the file's hash."""
    from semcomp.codec.release import load_release
    from semcomp.generative.generator_file import load_generator
    from semcomp.weights.files import GENERATOR

    path = weights_file(name)
    if name == "base" or _is_codec(path):
        return load_release(name).model_id.hex()
    if name.startswith(GENERATOR):
        return load_generator(name.removeprefix(GENERATOR)).generator_id.hex()
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def weights_file(name: str) -> Path:
    """The file of weights inside the package, or the path that is given instead of a name."""
    from semcomp.weights.files import WEIGHTS

    embedded = WEIGHTS / f"{name}.safetensors"
    return embedded if embedded.is_file() else Path(name)


def _is_codec(path: Path) -> bool:
    from semcomp.weights.files import CODEC, format_of

    return path.is_file() and path.suffix == ".safetensors" and format_of(path) == CODEC


def is_released(name: str) -> bool:
    """Whether the package comes with weights of this name."""
    from semcomp.weights.files import WEIGHTS

    return (WEIGHTS / f"{name}.safetensors").is_file()


def weights_ids(names: Iterable[str | Path]) -> dict[str, str]:
    """Ids by name. A path counts under the name of its file."""
    return {Path(name).stem: weights_id(str(name)) for name in names}
