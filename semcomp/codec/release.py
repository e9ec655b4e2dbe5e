"""A released codec on disk: one safetensors file with the networks, the integer path and the tables.

Float weights are stored in half precision, the gains in float32, the integer path and the tables as integers. The
metadata holds the configuration as JSON. The ids are hashes of what is stored, so a file cannot claim to be another
release. The entropy id covers everything that decides bits, the model id everything that decodes.
"""

import hashlib
import json
import math
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from semcomp.bitstream.frequency_tables import Tables
from semcomp.errors import ModelError
from semcomp.networks.blocks import for_loaded_weights
from semcomp.networks.model import CodecConfig, CodecModel
from semcomp.networks.refine import IntegerRefiner
from semcomp.networks.sigma import SCALES, IntegerSigma
from semcomp.pipeline.passes import FOUR
from semcomp.weights.files import CODEC as FORMAT
from semcomp.weights.files import codec_file, stored, write_weights

ID_BYTES = 8


@dataclass(frozen=True, kw_only=True)
class Release:
    """Everything that encodes and decodes. Tensors have the types of the file. `network` builds the float32 model."""

    name: str
    config: CodecConfig
    weights: dict[str, Tensor]
    """State of the networks, without the trainable sigma path."""
    sigma: IntegerSigma
    refiner: IntegerRefiner | None = None
    """Refines the table numbers of the later passes."""
    tables_y: Tables
    """One table for each table number of the sigma path."""
    tables_z: Tables
    """One table for each rate node and channel of z. Its number is node * Z + channel."""
    skip_below: int
    """Elements of y with a smaller table number are not coded."""
    origin: str = ""
    """How the release was trained, in words: command, data, time."""

    def __post_init__(self) -> None:
        wanted = (SCALES, self.config.nodes * self.config.hyper)
        if (len(self.tables_y), len(self.tables_z)) != wanted:
            raise ModelError(f"{self.name} holds {len(self.tables_y)} and {len(self.tables_z)} tables, not {wanted}")
        if only_trained := self.config.only_trained():
            raise ModelError(
                f"{self.name} needs {', '.join(only_trained)}, which can be trained but not encoded with yet: "
                "export a run without it"
            )
        if (self.refiner is None) != (self.config.refine_width == 0):
            raise ModelError(f"{self.name} has a refine_width of {self.config.refine_width}, and other weights for it")
        if (self.config.passes == FOUR) != (self.refiner is not None):
            raise ModelError(
                f"{self.name} has {self.config.passes} passes and a refine_width of {self.config.refine_width}: four "
                "passes refine their tables and two do not, so train it with passes=4 and refine_width, or with neither"
            )
        if self.refiner is not None and self.refiner.bound_of_sums(self.sigma.bound_of_sums()) >= 1 << 24:
            raise ModelError(f"{self.name}: sums of the refined scale may reach 2^24")
        if self.sigma.bound_of_sums() >= 1 << 24:
            raise ModelError(f"{self.name}: sums of the sigma path reach {self.sigma.bound_of_sums()}, not below 2^24")

    def network(self) -> CodecModel:
        """Build the networks in float32 for inference, without their trainable sigma path. `sigma` replaces it."""
        with for_loaded_weights():
            model = CodecModel(self.config)
        del model.sigma_path
        model.refiner = None
        try:
            state = {name: value.float() for name, value in self.weights.items()}
            model.load_state_dict(state, assign=True)
        except RuntimeError as error:
            raise ModelError(f"{self.name} does not fit its own configuration: {error}") from error
        return model.eval().requires_grad_(False)

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """All stored tensors by name."""
        sigma = {f"sigma.{name}": value for name, value in vars(self.sigma).items()}
        if self.refiner is not None:
            sigma |= {f"refine.{name}": value for name, value in vars(self.refiner).items()}
        tables = {
            f"tables_{kind}.{part}": torch.from_numpy(getattr(table, part).astype(np.int32))
            for kind, table in (("y", self.tables_y), ("z", self.tables_z))
            for part in ("bounds", "flat")
        }
        return {**{f"network.{name}": value for name, value in self.weights.items()}, **sigma, **tables}

    @cached_property
    def entropy_id(self) -> bytes:
        """8 bytes: hash of everything that reading symbols needs."""
        config = self.config
        head = f"{FORMAT} {config.latents} {config.hyper} {config.nodes} {self.skip_below}"
        head += f" {config.passes} passes" if config.passes != 2 else ""
        return _digest(head, {n: t for n, t in self.tensors.items() if not n.startswith("network.")})

    @cached_property
    def model_id(self) -> bytes:
        """8 bytes: hash of everything that decodes. Further training of the encoder's networks does not change it."""
        encoder = ("network.analysis.", "network.hyper_analysis.")
        decoding = {name: value for name, value in self.tensors.items() if not name.startswith(encoder)}
        return _digest(json.dumps(self.config.stored(), sort_keys=True), decoding)

    @cached_property
    def weights_id(self) -> bytes:
        """8 bytes: hash of every tensor. Two releases with equal weights ids write equal files."""
        return _digest(json.dumps(self.config.stored(), sort_keys=True), self.tensors)


def _digest(head: str, tensors: dict[str, Tensor]) -> bytes:
    digest = hashlib.sha256(head.encode())
    for name in sorted(tensors):
        array = tensors[name].contiguous().numpy()
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.digest()[:ID_BYTES]


def stored_precision(name: str, value: Tensor) -> Tensor:
    """Convert a float tensor to what a release stores: float32 for gains, half precision for the others."""
    return value.detach().cpu().to(torch.float32 if "gain" in name else torch.float16).contiguous()


def save_release(release: Release, path: Path) -> None:
    """Write the file of a release."""
    metadata = {
        "format": FORMAT,
        "name": release.name,
        "config": json.dumps(release.config.stored()),
        "skip_below": str(release.skip_below),
        "origin": release.origin,
    }
    write_weights(release.tensors, path, metadata=metadata)


def load_release(name_or_path: str | Path = "base") -> Release:
    """Read a release.

    Args:
        name_or_path: Name of weights inside the package, path or URL of a .safetensors file, or "org/name@revision" on
            the hub.

    Raises:
        ModelError: There is no such file, or it is damaged.
    """
    path = codec_file(name_or_path)
    with stored(path, kind="semcomp codec", form=FORMAT, again="install the weights") as (metadata, tensors):
        return Release(
            name=metadata["name"],
            config=CodecConfig(**json.loads(metadata["config"])),
            weights={n.removeprefix("network."): t for n, t in tensors.items() if n.startswith("network.")},
            sigma=IntegerSigma(**{n: tensors[f"sigma.{n}"] for n in ("weight1", "bias1", "weight2", "bias2")}),
            refiner=_refiner(tensors),
            tables_y=_tables(tensors, "y"),
            tables_z=_tables(tensors, "z"),
            skip_below=int(metadata["skip_below"]),
            origin=metadata.get("origin", ""),
        )


def _refiner(tensors: dict[str, Tensor]) -> IntegerRefiner | None:
    names = [field.name for field in fields(IntegerRefiner)]
    if f"refine.{names[0]}" not in tensors:
        return None
    return IntegerRefiner(**{name: tensors[f"refine.{name}"] for name in names})


def _tables(tensors: dict[str, Tensor], kind: str) -> Tables:
    return Tables.from_arrays(tensors[f"tables_{kind}.bounds"].numpy(), tensors[f"tables_{kind}.flat"].numpy())


def parameters(release: Release) -> int:
    """Number of parameters of the networks and of the integer path, without the tables."""
    sigma = sum(math.prod(t.shape) for t in (release.sigma.weight1, release.sigma.weight2))
    return sum(t.numel() for t in release.weights.values()) + sigma
