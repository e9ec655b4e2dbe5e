"""The models of CompressAI, with weights from torch's folder of downloads. Nothing is downloaded.

A model without weights gets random ones. Its files and pictures then have no meaning, but its run time is realistic.
"""

from __future__ import annotations

import hashlib
import re
import struct
import warnings
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.errors import FormatError, MissingExtraError

ARCHITECTURES = ("bmshj2018-factorized", "bmshj2018-hyperprior", "mbt2018-mean", "cheng2020-anchor")
MULTIPLE = 64
HEAD = struct.Struct("<HHBHH")
"""Head of a file: width, height, number of strings, height and width of the smallest latents."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One architecture, trained for MSE. The setting is its quality, 1 to 8 (6 for cheng2020-anchor)."""

    name: str
    unit: str = "model"

    @property
    def label(self) -> str:
        return self.name

    @cached_property
    def weights(self) -> dict[int, Path]:
        """Files of pretrained weights by quality. Only whole files on this machine count."""
        import torch

        folder = Path(torch.hub.get_dir()) / "checkpoints"
        urls: dict[int, str] = _zoo().model_urls[self.name]["mse"]
        paths = {quality: folder / url.rsplit("/", 1)[1] for quality, url in urls.items()}
        return {quality: path for quality, path in paths.items() if path.is_file() and is_whole(path)}

    @property
    def settings(self) -> tuple[int, ...]:
        return tuple(sorted(self.weights or _zoo().cfgs[self.name]))

    @property
    def lowest(self) -> int:
        return self.settings[0]

    @property
    def highest(self) -> int:
        return self.settings[-1]

    @property
    def speed_only(self) -> bool:
        return not self.weights

    @property
    def version(self) -> str:
        from importlib.metadata import version

        weights = "random weights: none are on this machine, only its speed means anything"
        return f"CompressAI {version('compressai')}, {'pretrained for MSE' if self.weights else weights}"

    def encode(self, pixels: NDArray[Any], setting: int) -> bytes:
        """Encode pixels, uint8 (H, W, 3), to a file: a short head, then each string with its length."""
        import torch
        import torch.nn.functional as F

        height, width = pixels.shape[:2]
        x = torch.tensor(pixels).permute(2, 0, 1)[None].float() / 255
        x = F.pad(x, (0, -width % MULTIPLE, 0, -height % MULTIPLE), mode="replicate")
        with torch.inference_mode():
            coded = _model(self.name, setting, self.weights.get(setting)).compress(x)
        strings = [string[0] for string in coded["strings"]]
        head = HEAD.pack(width, height, len(strings), *coded["shape"]) + bytes([setting])
        return head + b"".join(len(string).to_bytes(4, "little") + string for string in strings)

    def decode(self, data: bytes) -> NDArray[Any]:
        """Decode a file to uint8 (H, W, 3)."""
        import torch

        width, height, count, rows, columns = HEAD.unpack_from(data)
        setting, position, strings = data[HEAD.size], HEAD.size + 1, []
        for _ in range(count):
            end = position + 4 + int.from_bytes(data[position : position + 4], "little")
            if end > len(data):
                raise FormatError("a string of the file is cut off")
            strings.append([data[position + 4 : end]])
            position = end
        with torch.inference_mode():
            model = _model(self.name, setting, self.weights.get(setting))
            x = model.decompress(strings, (rows, columns))["x_hat"][0, :, :height, :width]
        pixels: NDArray[np.uint8] = x.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).contiguous().numpy()
        return pixels


def is_whole(path: Path) -> bool:
    """Whether the SHA-256 of a file begins with the digits in its name, as in torch's hub."""
    digits = re.search(r"-([0-9a-f]{8,})\.", path.name)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256") if hasattr(hashlib, "file_digest") else None
        found = digest.hexdigest() if digest else hashlib.sha256(file.read()).hexdigest()
    return digits is not None and found.startswith(digits[1])


@lru_cache(maxsize=1)
def _zoo() -> Any:
    from semcomp.torchvision_compat import declare_missing_operators

    declare_missing_operators()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from compressai.zoo import image
    except ImportError as error:
        raise MissingExtraError("CompressAI", "train") from error
    return image


@lru_cache(maxsize=2)
def _model(name: str, quality: int, weights: Path | None) -> Any:
    """A model that can encode and decode, with its weights or with random ones of seed 0."""
    import torch

    zoo = _zoo()
    if weights is None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = zoo.model_architectures[name](*zoo.cfgs[name][quality])
    else:
        state = zoo.load_pretrained(torch.load(weights, map_location="cpu", weights_only=True))
        model = zoo.model_architectures[name].from_state_dict(state)
    model.eval().update()
    return model
