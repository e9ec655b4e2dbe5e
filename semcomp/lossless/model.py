"""The released lossless model: nine integer networks and three banks of tables, in one safetensors file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.bitstream.frequency_tables import Tables
from semcomp.errors import ModelError
from semcomp.lossless.banks import CHANNELS, TABLES
from semcomp.lossless.features import WindowConfig, Windows, windows_of
from semcomp.lossless.geometry import KINDS, PASSES
from semcomp.lossless.head import ID_BYTES
from semcomp.lossless.level import ArrayNetworks
from semcomp.lossless.network import Block, IntegerNetwork
from semcomp.weights.safetensors_reader import parse_metadata, parse_tensors

FORMAT = "semcomp-lossless-1"
OUTPUTS = 2
"""Mean and scale."""
NAMES = tuple(kind + target for target in PASSES for kind in KINDS)
"""The networks: one for each plane and lattice."""


def inputs_of(name: str, windows: Mapping[str, Windows]) -> int:
    """Number of features of a network."""
    return windows[name[-2:]].features(KINDS.index(name[:-2]))


@dataclass(frozen=True, kw_only=True)
class LosslessModel(ArrayNetworks):
    """Everything that decides bits. It runs on numpy by itself; other backends read its integers."""

    config: WindowConfig
    networks: Mapping[str, IntegerNetwork]
    """The networks by name: "luma11", "first11", ..."""
    banks: tuple[Tables, ...]
    """The tables that a file starts from: one bank of 512 for luma and one for each colour difference."""
    origin: str = ""
    """Command, data and time of the training, in words."""
    xp: ModuleType = field(default=np, repr=False, compare=False)

    def __post_init__(self) -> None:
        if set(self.networks) != set(NAMES):
            raise ModelError(f"the lossless model has the networks {sorted(self.networks)}, expected {sorted(NAMES)}")
        for name, network in self.networks.items():
            wanted = (OUTPUTS, inputs_of(name, self.windows))
            if network.from_features.shape != wanted:
                raise ModelError(f"network {name} maps {network.from_features.shape[::-1]}, expected {wanted[::-1]}")
        if [len(bank) for bank in self.banks] != [TABLES] * CHANNELS:
            raise ModelError(f"the lossless model has banks of {[len(bank) for bank in self.banks]} tables")

    @cached_property
    def windows(self) -> dict[str, Windows]:  # type: ignore[override]
        """The windows of every pass."""
        return windows_of(self.config)

    def run(self, name: str, features: NDArray[np.int32]) -> NDArray[np.int32]:
        """Outputs (O, N) of one network for features (F, N)."""
        return self.networks[name].run(features)

    @cached_property
    def id(self) -> bytes:
        """Hash of everything that decides bits: a file names the model that can read it."""
        digest = hashlib.sha256(json.dumps(asdict(self.config), sort_keys=True).encode())
        for name, tensor in sorted(self.arrays().items()):
            digest.update(f"{name} {tensor.dtype} {tensor.shape}".encode())
            digest.update(np.ascontiguousarray(tensor).astype(tensor.dtype.newbyteorder("<")).tobytes())
        return digest.digest()[:ID_BYTES]

    @property
    def parameters(self) -> int:
        """Weights and biases of all networks."""
        return sum(array.size for name, array in self.arrays().items() if not name.startswith("banks."))

    @property
    def kmac_per_pixel(self) -> float:
        """Thousands of products for a pixel in colour. A level computes a quarter of its pixels with each network."""
        products = sum(a.size for name, a in self.arrays().items() if a.ndim == 2 and not name.startswith("banks."))
        return products / 4 / (1 - 1 / 4) / 1000

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What the file stores, by name."""
        arrays: dict[str, NDArray[Any]] = {}
        for name, network in self.networks.items():
            for part in fields(network):
                if part.name != "blocks":
                    arrays[f"{name}.{part.name}"] = getattr(network, part.name)
            for number, block in enumerate(network.blocks):
                for part in fields(block):
                    arrays[f"{name}.blocks.{number}.{part.name}"] = getattr(block, part.name)
        for number, bank in enumerate(self.banks):
            arrays[f"banks.{number}.bounds"], arrays[f"banks.{number}.flat"] = bank.bounds, bank.flat
        return arrays


def model_bytes(model: LosslessModel) -> bytes:
    """The bytes of a model file."""
    from safetensors.numpy import save  # not at the top: a client of exported graphs does without

    metadata = {"format": FORMAT, "windows": json.dumps(asdict(model.config)), "origin": model.origin}
    arrays = {name: np.ascontiguousarray(array) for name, array in model.arrays().items()}
    data: bytes = save(arrays, metadata=metadata)
    return data


def save_model(path: str | Path, model: LosslessModel) -> None:
    """Write a model file."""
    Path(path).write_bytes(model_bytes(model))


def load_model(path: str | Path) -> LosslessModel:
    """Read a model file. ModelError where it is damaged or of another kind."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}); install the weights again") from error
    arrays = {name: array.copy() for name, array in parse_tensors(data, name=path).items()}  # torch wants to own them
    return model_of(arrays, parse_metadata(data, name=path), name=path)


def model_of(arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str], *, name: object) -> LosslessModel:
    """The model of what a file holds. ModelError where something is missing; ``name`` names the file."""
    try:
        if metadata.get("format") != FORMAT:
            raise ModelError(f"{name} has the format {metadata.get('format')}, expected {FORMAT}")
        return LosslessModel(
            config=WindowConfig(**json.loads(metadata["windows"])),
            networks={network: _network(arrays, network) for network in NAMES},
            banks=tuple(
                Tables.from_arrays(arrays[f"banks.{number}.bounds"], arrays[f"banks.{number}.flat"])
                for number in range(CHANNELS)
            ),
            origin=metadata.get("origin", ""),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{name} is damaged or of another version ({error}); install the weights again") from error


def _network(arrays: Mapping[str, NDArray[Any]], name: str) -> IntegerNetwork:
    blocks: list[Block] = []
    while f"{name}.blocks.{len(blocks)}.direct" in arrays:
        prefix = f"{name}.blocks.{len(blocks)}."
        blocks.append(Block(**{part.name: arrays[prefix + part.name] for part in fields(Block)}))
    rest = {part.name: arrays[f"{name}.{part.name}"] for part in fields(IntegerNetwork) if part.name != "blocks"}
    return IntegerNetwork(blocks=tuple(blocks), **rest)
