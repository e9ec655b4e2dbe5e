"""The file of a trained restorer, and the restorer that it becomes.

Half-precision weights in safetensors. The metadata holds the sizes of the network and where the weights come from. The
id is hashed from what is stored: a JPEG file that was optimised through a restorer names it by that id.
"""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import asdict
from functools import cached_property, lru_cache
from pathlib import Path
from threading import Lock

import torch

from semcomp.errors import ModelError
from semcomp.networks.blocks import for_loaded_weights
from semcomp.networks.precision import multiplies_bfloat16, stored_fast
from semcomp.restoration.network import Restorer, RestorerConfig
from semcomp.weights.files import WEIGHTS, restorer_file, stored, write_weights

FORMAT = "semcomp-restorer-1"
DEFAULTS = {"jpeg": "restorer", "jpeg2000": "restorer_jpeg2000"}
"""Maps a codec to the name of its weights inside the package."""
LABELS = {"jpeg": "JPEG", "jpeg2000": "JPEG 2000"}
ID_BYTES = 8


class TrainedRestorer:
    """A restorer, ready to be run. Safe to use from several threads."""

    def __init__(self, network: Restorer, *, origin: str = "", codec: str = "jpeg"):
        self.origin = origin
        self.codec = codec
        """"jpeg" or "jpeg2000": whose files the weights restore"""
        self.state = {name: value.cpu().half().contiguous() for name, value in network.state_dict().items()}
        self.network = copy.deepcopy(network).float().eval().requires_grad_(False)
        self.network.load_state_dict({name: value.float() for name, value in self.state.items()})
        self.network.narrow = multiplies_bfloat16(torch.device("cpu"))
        self._lock = Lock()
        self._fast: dict[torch.device, Restorer] = {}

    @cached_property
    def restorer_id(self) -> bytes:
        """8 bytes: names the network and its weights."""
        digest = hashlib.sha256(f"{self.codec} {json.dumps(asdict(self.network.config))}".encode())
        for name in sorted(self.state):
            digest.update(f"\n{name} {tuple(self.state[name].shape)}\n".encode())
            digest.update(self.state[name].numpy().astype("<f2").tobytes())
        return digest.digest()[:ID_BYTES]

    def float_network(self) -> Restorer:
        """A copy of the network that computes in float32, for export."""
        network = copy.deepcopy(self.network)
        network.narrow = False
        return network

    def fast_on(self, device: torch.device) -> Restorer:
        """The network on a device, prepared for inference."""
        with self._lock:
            if device not in self._fast:
                network = copy.deepcopy(self.network).to(device)
                network.trunk = stored_fast(self.network.trunk, device)
                network.narrow = False  # what is stored fast has its types already
                self._fast[device] = network
            return self._fast[device]


def save_restorer(restorer: TrainedRestorer, path: Path) -> None:
    """Write the file."""
    metadata = {"format": FORMAT, "network": json.dumps(asdict(restorer.network.config)), "origin": restorer.origin}
    write_weights(restorer.state, path, metadata={**metadata, "codec": restorer.codec})


def read_restorer_file(path: str | Path) -> TrainedRestorer:
    """The restorer of a file. ModelError where it is damaged or of another version."""
    with stored(path, kind="restorer", form=FORMAT, again="train the restorer") as (metadata, state):
        with for_loaded_weights():
            network = Restorer(RestorerConfig(**json.loads(metadata["network"])))
        network.load_state_dict(state)
        return TrainedRestorer(network, origin=metadata.get("origin", ""), codec=metadata.get("codec", "jpeg"))


def load_restorer(name_or_file: str | Path | None = None, *, codec: str = "jpeg") -> TrainedRestorer:
    """Load a restorer by name, or from a .safetensors file.

    Args:
        name_or_file: None means what comes with the package.
        codec: "jpeg" or "jpeg2000", whose files are to be restored.

    Raises:
        ModelError: There is none, the file is damaged, or it restores files of another codec.
    """
    restorer = _found(DEFAULTS[codec] if name_or_file is None else name_or_file, codec)
    if restorer.codec != codec:
        raise ModelError(
            f"the weights {name_or_file} restore {LABELS[restorer.codec]} files, not {LABELS[codec]} files: pass others"
        )
    return restorer


def _found(name_or_file: str | Path, codec: str) -> TrainedRestorer:
    if str(name_or_file) == DEFAULTS[codec] and not (WEIGHTS / f"{name_or_file}.safetensors").is_file():
        raise ModelError(
            f"this version comes without a trained restorer of {LABELS[codec]} files: pass the file of weights "
            "that python -m train.restore wrote as weights="
        )
    path = restorer_file(name_or_file)
    return _load(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _load(path: Path, changed: int) -> TrainedRestorer:
    return read_restorer_file(path)
