"""Where a run begins: from nothing, from another run's averaged weights, or from released weights."""

from pathlib import Path

from semcomp.codec.release import load_release
from train.checkpoint import load_state
from train.objective import Objective


def start_from(objective: Objective, source: str) -> None:
    """Load the weights that a run starts from.

    `source` is another run's state.safetensors, a released .safetensors file, or a release's name. A release has no
    training priors of z (its tables took their place); they start anew and settle within some hundred steps.
    ValueError where the sizes differ.
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
