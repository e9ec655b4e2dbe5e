"""The networks of a generator's training, each in the state in which a run begins."""

import torch

from semcomp.codec.release import Release
from semcomp.generative.generator_file import read_generator_file
from semcomp.generative.network import Generator, GeneratorConfig
from semcomp.networks.model import CodecModel
from train.discriminator import Discriminator
from train.generator_config import RunConfig
from train.objective import Objective
from train.trainer import channels_last
from train.warm_start import start_from


def frozen_objective(config: RunConfig, release: Release, device: torch.device) -> Objective:
    """The released codec with its likelihoods. Nothing of it learns."""
    objective = Objective(CodecModel(release.config), skip_below=config.skip_below)
    start_from(objective, config.start_from)
    return channels_last(objective.requires_grad_(False), device)


def new_generator(config: RunConfig, objective: Objective, classes: tuple[str, ...]) -> Generator:
    """A generator that starts as the released synthesis, or as the file in `start_generator`.

    Raises:
        ValueError: The file in `start_generator` has other classes or sizes.
    """
    generator = Generator(_sizes(config, objective, len(classes)))
    generator.synthesis.load_state_dict(objective.codec.synthesis.state_dict())
    if config.start_generator:
        before = read_generator_file(config.start_generator)
        if before.info.classes != classes or before.network.config != generator.config:
            raise ValueError(f"{config.start_generator} has other classes or sizes than this run")
        generator.load_state_dict(before.network.state_dict())
    return generator


def _sizes(config: RunConfig, objective: Objective, classes: int) -> GeneratorConfig:
    c, n = objective.codec.config, config.network
    return GeneratorConfig(
        classes=classes,
        latents=c.latents,
        c16=c.synthesis_c16,
        c8=c.synthesis_c8,
        c4=c.synthesis_c4,
        blocks16=c.synthesis_blocks16,
        blocks8=c.synthesis_blocks8,
        nodes=c.nodes,
        more16=n.more16,
        more8=n.more8,
        more4=n.more4,
        guide=n.guide,
        fill=n.fill,
        blocks_fill=n.blocks_fill,
    )


def new_discriminator(config: RunConfig, objective: Objective, classes: tuple[str, ...]) -> Discriminator:
    """An untrained discriminator."""
    latents = objective.codec.config.latents
    return Discriminator(latents=latents, classes=len(classes), width=config.network.discriminator)
