"""A released codec on disk: one safetensors file that holds networks, integer path and tables.

Floating-point weights are stored in half precision (the gains in float32), the integer path and the tables as
integers. The metadata holds the configuration as JSON. Two ids are hashed from what is stored, so a file cannot claim
to be another release: the entropy id over everything that decides bits, the model id over everything that decodes.
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from semcomp.bitstream.frequency_tables import Tables
from semcomp.errors import ModelError
from semcomp.networks.model import CodecConfig, CodecModel
from semcomp.networks.sigma import SCALES, IntegerSigma
from semcomp.weights.files import WEIGHTS, _format_of, stored

FORMAT = "semcomp-codec-1"
ID_BYTES = 8


@dataclass(frozen=True, kw_only=True)
class Release:
    """Everything that encodes and decodes. Tensors are as stored; `network` builds the float32 model."""

    name: str
    config: CodecConfig
    weights: dict[str, Tensor]
    """The networks' state, without the trainable sigma path."""
    sigma: IntegerSigma
    tables_y: Tables
    """One a table number of the sigma path."""
    tables_z: Tables
    """One a rate node and channel of z: number node * Z + channel."""
    skip_below: int
    """Elements of y whose table number is smaller are not coded."""
    origin: str = ""
    """Command, data and minutes, in words."""

    def __post_init__(self) -> None:
        wanted = (SCALES, self.config.nodes * self.config.hyper)
        if (len(self.tables_y), len(self.tables_z)) != wanted:
            raise ModelError(f"{self.name} holds {len(self.tables_y)} and {len(self.tables_z)} tables, not {wanted}")
        if self.sigma.bound_of_sums() >= 1 << 24:
            raise ModelError(f"{self.name}: sums of the sigma path reach {self.sigma.bound_of_sums()}, not below 2^24")

    def network(self) -> CodecModel:
        """The networks in float32, for inference. Their trainable sigma path is dropped: `sigma` decides."""
        # Not on the meta device, which would import torch._dynamo for 1.5 s to save 0.09 s of initial values.
        with torch.random.fork_rng(devices=[]):
            model = CodecModel(self.config)
        del model.sigma_path
        try:
            state = {name: value.float() for name, value in self.weights.items()}
            model.load_state_dict(state, assign=True)
        except RuntimeError as error:
            raise ModelError(f"{self.name} does not fit its own configuration: {error}") from error
        return model.eval().requires_grad_(False)

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """All that is stored, by name."""
        sigma = {f"sigma.{name}": value for name, value in vars(self.sigma).items()}
        tables = {
            f"tables_{kind}.{part}": torch.from_numpy(getattr(table, part).astype(np.int32))
            for kind, table in (("y", self.tables_y), ("z", self.tables_z))
            for part in ("bounds", "flat")
        }
        return {**{f"network.{name}": value for name, value in self.weights.items()}, **sigma, **tables}

    @cached_property
    def entropy_id(self) -> bytes:
        """Names what is needed to read symbols."""
        config = self.config
        head = f"{FORMAT} {config.latents} {config.hyper} {config.nodes} {self.skip_below}"
        return _digest(head, {n: t for n, t in self.tensors.items() if not n.startswith("network.")})

    @cached_property
    def model_id(self) -> bytes:
        """Names all that decodes. The encoder's own networks may be trained further without making files older."""
        encoder = ("network.analysis.", "network.hyper_analysis.")
        decoding = {name: value for name, value in self.tensors.items() if not name.startswith(encoder)}
        return _digest(json.dumps(asdict(self.config), sort_keys=True), decoding)

    @cached_property
    def weights_id(self) -> bytes:
        """Names every tensor, the encoder's own too: two releases of one weights_id write the same files."""
        return _digest(json.dumps(asdict(self.config), sort_keys=True), self.tensors)


def _digest(head: str, tensors: dict[str, Tensor]) -> bytes:
    digest = hashlib.sha256(head.encode())
    for name in sorted(tensors):
        array = tensors[name].contiguous().numpy()
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.digest()[:ID_BYTES]


def stored_precision(name: str, value: Tensor) -> Tensor:
    """A float tensor as a release stores it: half precision, but float32 for the gains."""
    return value.detach().cpu().to(torch.float32 if "gain" in name else torch.float16).contiguous()


def save_release(release: Release, path: Path) -> None:
    """Write the file."""
    metadata = {
        "format": FORMAT,
        "name": release.name,
        "config": json.dumps(asdict(release.config)),
        "skip_below": str(release.skip_below),
        "origin": release.origin,
    }
    save_file(release.tensors, path, metadata=metadata)


def released_names() -> list[str]:
    """Names of the codecs inside the package."""
    return sorted(path.stem for path in WEIGHTS.glob("*.safetensors") if _format_of(path) == FORMAT)


def load_release(name_or_path: str | Path = "base") -> Release:
    """A codec by name (inside the package) or by path. ModelError where there is none, or it is damaged."""
    path = WEIGHTS / f"{name_or_path}.safetensors"
    if not path.exists():
        path = Path(name_or_path)
    if not path.is_file():
        known = ", ".join(released_names()) or "none"
        raise ModelError(f"no codec called {name_or_path}; give a path to a .safetensors file, or one of: {known}")
    with stored(path, kind="semcomp codec", form=FORMAT, again="install the weights") as (metadata, tensors):
        return Release(
            name=metadata["name"],
            config=CodecConfig(**json.loads(metadata["config"])),
            weights={n.removeprefix("network."): t for n, t in tensors.items() if n.startswith("network.")},
            sigma=IntegerSigma(**{n: tensors[f"sigma.{n}"] for n in ("weight1", "bias1", "weight2", "bias2")}),
            tables_y=_tables(tensors, "y"),
            tables_z=_tables(tensors, "z"),
            skip_below=int(metadata["skip_below"]),
            origin=metadata.get("origin", ""),
        )


def _tables(tensors: dict[str, Tensor], kind: str) -> Tables:
    return Tables.from_arrays(tensors[f"tables_{kind}.bounds"].numpy(), tensors[f"tables_{kind}.flat"].numpy())


def parameters(release: Release) -> int:
    """Number of parameters, those of the integer path counted, tables not."""
    sigma = sum(math.prod(t.shape) for t in (release.sigma.weight1, release.sigma.weight2))
    return sum(t.numel() for t in release.weights.values()) + sigma
