"""The weights that a run starts with: another run's averaged weights, or released weights."""

from pathlib import Path

from semcomp.codec.release import load_release
from train.checkpoint import load_state
from train.objective import Objective


def start_from(objective: Objective, source: str) -> None:
    """Loads the weights that a run starts with.

    A release has no training priors of z, because its tables replace them. They start untrained and settle within a
    few hundred steps.

    Args:
        objective: Receives the weights.
        source: Another run's state.safetensors, a released .safetensors file, or the name of a release.

    Raises:
        ValueError: The sizes differ.
    """
    path = Path(source)
    if path.name == "state.safetensors":
        objective.load_state_dict(load_state(path)["average"])
        return
    release = load_release(source)
    codec = objective.codec
    if release.config != codec.config:
        raise ValueError(f"{source} has another configuration than this run: {release.config}, not {codec.config}")
    weights = {name: value.float() for name, value in release.weights.items()}
    missing, unexpected = codec.load_state_dict(weights, strict=False)
    assert not unexpected and all(name.startswith("sigma_path.") for name in missing)
    codec.sigma_path.load_released(release.sigma)
