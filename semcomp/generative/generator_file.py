"""The file of a trained generator, and the generator that it becomes.

Half-precision weights in safetensors; the metadata holds the sizes of the network, the classes of the label maps that
guide it with their colours, and the entropy id of the codec whose latents it reads. Its id is hashed from what is
stored: a `.semc` file names the generator that it was made for by it.
"""

import copy
import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from threading import Lock

import torch
from torch import Tensor

from semcomp.bitstream.regions import ID_BYTES
from semcomp.errors import ModelError
from semcomp.generative.guide import guide_of
from semcomp.generative.network import Generator, GeneratorConfig
from semcomp.networks.blocks import for_loaded_weights
from semcomp.pipeline.completion import DEFAULT_GENERATOR
from semcomp.semantics.head import Palette, Segmentation
from semcomp.weights.files import generator_file, stored, write_weights

FORMAT = "semcomp-generator-1"
DEFAULT = DEFAULT_GENERATOR


@dataclass(frozen=True, kw_only=True)
class GeneratorInfo:
    """Everything about a generator but its weights."""

    name: str
    classes: tuple[str, ...]
    palette: Palette
    """One RGB colour a class."""
    entropy_id: str
    """Hex, of the codec."""
    origin: str = ""
    """Data, command and minutes, in words."""


class TrainedGenerator:
    """A generator, ready to be run. Safe to use from several threads."""

    def __init__(self, info: GeneratorInfo, network: Generator):
        if len(info.classes) != network.config.classes:
            raise ModelError(
                f"the generator {info.name} names {len(info.classes)} classes, its network takes "
                f"{network.config.classes}"
            )
        self.info, self.network = info, network.float().eval().requires_grad_(False)
        self._lock = Lock()
        self._elsewhere = {torch.device("cpu"): network}
        self.state = {name: value.cpu().half().contiguous() for name, value in network.state_dict().items()}
        network.load_state_dict({name: value.float() for name, value in self.state.items()})  # what a file gives
        for parameter in network.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def classes(self) -> tuple[str, ...]:
        return self.info.classes

    @property
    def entropy_id(self) -> bytes:
        """8 bytes: the codec whose latents the network reads."""
        return bytes.fromhex(self.info.entropy_id)

    @cached_property
    def generator_id(self) -> bytes:
        """8 bytes: names the network, its weights and its classes."""
        digest = hashlib.sha256(json.dumps([asdict(self.network.config), self.info.classes]).encode())
        for name in sorted(self.state):
            digest.update(f"\n{name} {tuple(self.state[name].shape)}\n".encode())
            digest.update(self.state[name].numpy().astype("<f2").tobytes())
        return digest.digest()[:ID_BYTES]

    def network_on(self, device: torch.device) -> Generator:
        """The network on `device`. Other devices get copies: threads share this object, so its network never moves."""
        with self._lock:
            if device not in self._elsewhere:
                self._elsewhere[device] = copy.deepcopy(self.network).to(device)
            return self._elsewhere[device]

    def guide(self, segmentation: Segmentation | None, *, rows: int, columns: int) -> Tensor:
        """What the network reads of a label map, by the names of its classes: (1, K+1, 2 rows, 2 columns).

        ImageError where it knows none of them.
        """
        planes = guide_of(segmentation, name=self.name, classes=self.info.classes, rows=rows, columns=columns)
        return torch.from_numpy(planes)


def save_generator(generator: TrainedGenerator, path: Path) -> None:
    """Write the file."""
    metadata = {
        "format": FORMAT,
        "info": json.dumps(asdict(generator.info), ensure_ascii=False),
        "network": json.dumps(asdict(generator.network.config)),
    }
    write_weights(generator.state, path, metadata=metadata)


def read_generator_file(path: str | Path) -> TrainedGenerator:
    """The generator of a file. ModelError where it is damaged or of another version."""
    with stored(path, kind="generator", form=FORMAT, again="train the generator") as (metadata, state):
        values = json.loads(metadata["info"])
        palette = tuple((int(red), int(green), int(blue)) for red, green, blue in values.pop("palette"))
        info = GeneratorInfo(**{**values, "classes": tuple(values["classes"]), "palette": palette})
        with for_loaded_weights():
            network = Generator(GeneratorConfig(**json.loads(metadata["network"])))
        network.load_state_dict(state)
        return TrainedGenerator(info, network)


def load_generator(name_or_file: str | Path = DEFAULT) -> TrainedGenerator:
    """Load a generator by name, from a .safetensors file by path or URL, or as "org/name@revision" from the hub.

    Raises:
        ModelError: There is no such generator, or it is damaged.
    """
    path = generator_file(name_or_file)
    return _load(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _load(path: Path, changed: int) -> TrainedGenerator:
    return read_generator_file(path)
