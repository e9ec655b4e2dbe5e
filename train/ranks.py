"""Several processes that train one model: what they must agree on, and what each keeps for itself.

Lightning Fabric starts the processes, one for each GPU, and averages the gradients. Clocks differ between processes,
and a signal may reach one of them: rank 0's clock counts, and a signal to any of them stops all. Each draws crops and
noise of its own, whose state is in a file beside the run's.
"""

from pathlib import Path
from typing import Any, cast

import torch
from lightning.fabric import Fabric

from train.checkpoint import load_state, random_state, restore_random_state, save_state


def start(*, devices: int | None, machines: int, precision: str) -> Fabric:
    """Start the processes of a run. Each of them returns from here.

    Args:
        devices: GPUs a machine, or processes on the CPU. None is every GPU, or one process on the CPU.
        machines: Machines that train together; torchrun or SLURM starts the program on each.
        precision: Lightning Fabric's name of a precision.
    """
    several = machines > 1 or (devices or 1) > 1
    fabric = Fabric(
        precision=cast("Any", precision),
        devices="auto" if devices is None else devices,
        num_nodes=machines,
        strategy="ddp" if several else "auto",
    )
    fabric.launch()
    return fabric


def agreed(fabric: Fabric, *, seconds: float, stop: bool) -> tuple[float, bool]:
    """Agree on the time and on stopping: the seconds of rank 0, and whether any process was asked to stop."""
    if fabric.world_size == 1:
        return seconds, stop
    told = torch.tensor([seconds if fabric.is_global_zero else 0.0, float(stop)], dtype=torch.float64)
    if fabric.device.type == "cuda":
        told = told.to(fabric.device)
    torch.distributed.all_reduce(told)
    return float(told[0]), bool(told[1] > 0)


def seed_of_rank(seed: int, rank: int, step: int = 0) -> int:
    """Seed of the draws of one process. Rank 0 has the seed that a single process has."""
    return seed * 1000 + 1 + rank + 100_003 * step


def save_rank(folder: Path, rank: int, *, sampler: torch.Generator, step: int) -> None:
    """Write what a process other than rank 0 keeps for itself."""
    save_state(_file(folder, rank), {"sampler": sampler.get_state(), "random": random_state(), "step": step})


def restore_rank(folder: Path, rank: int, *, sampler: torch.Generator, step: int, seed: int) -> None:
    """Take over what `save_rank` wrote at this step. If it is missing or older, the process draws from a new seed."""
    path = _file(folder, rank)
    state: dict[str, Any] = load_state(path) if path.exists() else {"step": -1}
    if state["step"] == step:
        sampler.set_state(state["sampler"])
        restore_random_state(state["random"])
        return
    sampler.manual_seed(seed_of_rank(seed, rank, step))
    torch.manual_seed(seed_of_rank(seed, rank, step))


def _file(folder: Path, rank: int) -> Path:
    return folder / f"rank{rank}.safetensors"
