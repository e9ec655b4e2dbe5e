"""The weights that a run starts with: another run's averaged weights, or released weights."""

import math
from pathlib import Path

import torch
from torch import Tensor

from semcomp.codec.release import Release, load_release
from semcomp.networks.blocks import Block
from semcomp.networks.model import CodecConfig, CodecModel
from semcomp.networks.rate_table import RateTable
from train.checkpoint import load_state
from train.objective import Objective


def start_from(objective: Objective, source: str) -> None:
    """Loads the weights that a run starts with.

    A release has no training priors of z, because its tables replace them. They start untrained and settle within a
    few hundred steps. A release of another configuration gives what fits: its transforms and its entropy model stay,
    rate nodes move to the run's range of lmbda, further blocks begin as the identity, and further passes with the
    weights of the second.

    Args:
        objective: Receives the weights.
        source: Another run's state.safetensors, a released .safetensors file, or the name of a release.

    Raises:
        ValueError: The networks of the release have other widths than the run's.
    """
    path = Path(source)
    if path.name == "state.safetensors":
        objective.load_state_dict(load_state(path)["average"])
        return
    adopt(objective.codec, load_release(source))


@torch.no_grad()
def adopt(codec: CodecModel, release: Release) -> None:
    """Gives a codec the weights of a release whose configuration may be another one.

    Raises:
        ValueError: A weight that both have differs in shape, or the release has one that the codec lacks.
    """
    mine, theirs = codec.state_dict(), {name: value.float() for name, value in release.weights.items()}
    wrong = sorted(name for name, value in theirs.items() if name not in mine or mine[name].shape != value.shape)
    if wrong:
        raise ValueError(f"{release.name} has other sizes than this run: {wrong[0]}, and {len(wrong) - 1} more")
    codec.load_state_dict(theirs, strict=False)
    codec.sigma_path.load_released(release.sigma)
    if release.refiner is not None:
        assert codec.refiner is not None, "four passes of the mean path come with it"
        codec.refiner.load_released(release.refiner)
    for name, module in codec.named_modules():
        if isinstance(module, RateTable) and (
            f"{name}.weight" in theirs or name.startswith(("sigma_path.", "refiner."))
        ):
            module.weight.copy_(_moved(module.weight, release.config, codec.config))
        if isinstance(module, Block) and f"{name}.merge.weight" not in theirs:
            for last in (module.merge, module.project):
                last.weight.zero_()
                last.bias.zero_()
    if release.config.passes < codec.config.passes:
        for head in codec.mean_path.later:
            head.load_state_dict(codec.mean_path.head2.state_dict())


def _moved(rows: Tensor, old: CodecConfig, new: CodecConfig) -> Tensor:
    """The rows (nodes, C) of a rate table at the lmbdas of another configuration's nodes, on the lines through them."""
    count = len(rows)
    wanted = torch.linspace(math.log(new.lmbda_min), math.log(new.lmbda_max), count, dtype=torch.float64)
    position = (wanted - math.log(old.lmbda_min)) * ((count - 1) / math.log(old.lmbda_max / old.lmbda_min))
    left = position.floor().clamp(0, count - 2).long()
    weight = (position - left)[:, None].to(rows)
    return torch.lerp(rows[left], rows[left + 1], weight)
