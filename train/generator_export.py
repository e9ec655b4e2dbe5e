"""The results of a generator's training: the generator as it is released, and its card."""

from functools import lru_cache
from pathlib import Path

from heads.datasets import Dataset
from semcomp import config as configuration
from semcomp.codec.release import Release
from semcomp.generative.generator_file import GeneratorInfo, TrainedGenerator
from semcomp.generative.network import Generator, GeneratorConfig, kmac_per_pixel
from train.export import machine
from train.generator_config import RunConfig

_cost = lru_cache(maxsize=4)(kmac_per_pixel)


def released(
    network: Generator,
    config: RunConfig,
    dataset: Dataset,
    release: Release,
    *,
    steps: int,
    seconds: float,
    perceptual: str,
) -> TrainedGenerator:
    """A copy of a network, with a description of how it was made."""
    sizes: GeneratorConfig = network.config
    parameters = sum(p.numel() for p in network.parameters()) / 1e6
    origin = (
        f"{len(dataset.train)} pictures of {config.data.folder or config.data.images}; codec {release.name} "
        f"{release.model_id.hex()}; {steps} steps of {config.batch} crops in {seconds / 60:.1f} minutes; perceptual "
        f"loss: {perceptual}; {parameters:.2f} M parameters, {_cost(sizes):.2f} kMAC/px"
    )
    if config.semantic:
        names = " and ".join(Path(path).stem for path in config.semantic)
        origin += f"; semantic loss: {names} ({config.loss.semantic:g})"
    if config.licence:
        origin += f"; {config.licence}"
    info = GeneratorInfo(
        name=config.generator,
        classes=dataset.classes,
        palette=dataset.palette,
        entropy_id=release.entropy_id.hex(),
        origin=origin,
    )
    copy = Generator(sizes)
    copy.load_state_dict({name: value.cpu() for name, value in network.state_dict().items()})
    return TrainedGenerator(info, copy)


def card(made: TrainedGenerator, config: RunConfig, file: Path) -> str:
    """The model card: what the generator is, and how it was made."""
    origin = "\n".join(f"- {part}" for part in made.info.origin.split("; "))
    return (
        f"# Generator {made.name}\n\nSynthesises what a file does not hold, {file.stat().st_size / 1e6:.1f} MB, id "
        f"`{made.generator_id.hex()}`, for the codec with entropy id `{made.info.entropy_id}`. What it shows is not "
        f"what was there.\n\n{origin}\n- trained on {machine()}\n\n"
        f"Classes of its label maps: {', '.join(made.info.classes)}.\n\n"
        f"## Configuration\n\n```yaml\n{configuration.dump(config)}```\n"
    )
