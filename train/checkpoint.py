"""Training state on disk: one safetensors file, no pickle.

The file holds tensors by path. Everything else is JSON in its header.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

_TENSOR = "\0tensor"


def _strip(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        tensors[path] = value.detach().cpu().contiguous()
        return {_TENSOR: path}
    if isinstance(value, dict):
        keys = [[key, _strip(item, f"{path}/{key}", tensors)] for key, item in value.items()]
        return {"\0dict": keys}
    if isinstance(value, list | tuple):
        return [_strip(item, f"{path}/{number}", tensors) for number, item in enumerate(value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{path} holds a {type(value).__name__}, which has no place in a checkpoint")


def _fill(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_fill(item, tensors) for item in value]
    if isinstance(value, dict):
        if _TENSOR in value:
            return tensors[value[_TENSOR]]
        return {key: _fill(item, tensors) for key, item in value["\0dict"]}
    return value


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Writes nested dictionaries, lists, tensors and scalars. The file is replaced in one step."""
    tensors: dict[str, Tensor] = {}
    tree = _strip(state, "", tensors)
    temporary = path.with_suffix(".tmp")
    save_file(tensors, temporary, metadata={"tree": json.dumps(tree)})
    temporary.replace(path)


def load_state(path: Path) -> dict[str, Any]:
    """Reads what `save_state` wrote. Tensors are on the CPU.

    Raises:
        ValueError: The file cannot be read, is damaged, or is not a state.
    """
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            state: dict[str, Any] = _fill(json.loads((file.metadata() or {})["tree"]), tensors)
            return state
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is not a state of a training, or it is damaged ({error})") from error


def random_state() -> dict[str, Any]:
    """The state of torch's global generators."""
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []}


def restore_random_state(state: dict[str, Any]) -> None:
    """Takes over what `random_state` returned."""
    torch.set_rng_state(state["cpu"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
