"""Teach a head your own classes, from a folder with a subfolder of pictures for each, and use it.

python examples/train_head.py FOLDER [STEPS]
"""

import sys
from dataclasses import replace
from pathlib import Path

import semcomp
from heads.datasets import DataConfig
from heads.fit_config import FitConfig
from heads.fitting import fit
from heads.head_file import save_head
from heads.training import OptimConfig


def main(folder: str, steps: int = 400, *, file: str = "my_head.safetensors") -> None:
    """Train, save, and classify the first picture of every class."""
    config = FitConfig(
        name=Path(folder).name,
        task="classify",
        data=DataConfig(folder=folder),
        optim=OptimConfig(steps=steps),
        trunk="objects",  # its layers are the beginning: a few hundred pictures are too few for all of them
    )
    if steps < 50:  # a glimpse
        config = replace(config, data=replace(config.data, side=64, copies=2))
    head = fit(config, tell=print)
    save_head(head, Path(file))
    print(file, head.info.origin, sep="\n  ")

    codec, head = semcomp.load(), semcomp.load_head(file)
    for subfolder in sorted(path for path in Path(folder).iterdir() if path.is_dir()):
        picture = min(subfolder.iterdir())
        labels = head(codec.latents(codec.encode(picture)))
        print(f"{picture}: {labels.names[0]} {labels.scores[0]:.2f}")


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__)
    main(sys.argv[1], *map(int, sys.argv[2:]))
