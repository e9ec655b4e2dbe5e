"""Trains a head: encodes its pictures once (latent_cache.py), and lets a small network learn to read the latents.

It also trains the networks that heads are compared with, of equal size on decoded pictures or on originals.
"""

import json
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch

from heads.byte_weights import round_weights
from heads.card import beginning, info_of
from heads.command_line import default_folder
from heads.confidence import NOT_NEEDED, calibrate, divide_scores, held_scores
from heads.datasets import Dataset
from heads.find_dataset import find_dataset
from heads.fit_config import FitConfig
from heads.head_file import Network, TrainedHead, build_head
from heads.latent_cache import Cache, open_cache, whole_pictures
from heads.probe import probe
from heads.start import Start, begin
from heads.stem_unfolding import unfolding
from heads.teachers.asked import teachers_of
from heads.training import learn
from heads.training_state import StateFile
from heads.validation import Held, HeldOut, validate
from semcomp import config as configuration
from semcomp.codec.codec import Codec, load
from semcomp.errors import SemcompWarning
from semcomp.storage.files import write_whole


def fit(
    config: FitConfig,
    *,
    cache: Path | None = None,
    log: Path | None = None,
    state: Path | None = None,
    resume: bool = False,
    quiet: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> TrainedHead:
    """Train a head. Ctrl-C ends the training early and keeps what was learned.

    Args:
        config: The settings.
        cache: Folder of the encoded crops.
        log: File that gets a JSON line for every step, and one for the figures.
        state: File that gets the state of the training every few minutes, until it ends.
        resume: Whether to go on from `state`.
        quiet: Whether progress bars are left out.
        tell: Hears a line before the pictures are encoded, and how well the head does on held-out pictures a few times.

    Returns:
        The head. Its origin tells how it was made and how well it does on held-out pictures.

    Raises:
        DataError: The data does not fit together (exit code 2).
        ModelError: A codec, teacher, trunk or state is not there, the trunk is for another codec, or the state of
            another training.

    Warns:
        SemcompWarning: The head is hardly better than chance, or gives nearly always one class.
    """
    torch.manual_seed(config.seed)
    codec = load(config.model)
    dataset = find_dataset(config.task, config.data)
    network, start = begin(config, codec, dataset)
    tell(beginning(config, dataset))
    crops = _crops(config, codec, dataset, folder=cache or default_folder(), quiet=quiet)
    # A segmenter's scores are compared with masks of the whole picture.
    least = config.halved_from if config.task != "segment" else None
    held = whole_pictures(codec, dataset, config.data, source=config.source, halved_from=least, quiet=quiet)
    of = f"{configuration.dump(config)}codec {codec.release.weights_id.hex()}, {len(crops)} crops"
    kept = None if state is None else StateFile(state, of, resume=resume)
    rows = _learned(network, start, crops, held, config, codec, dataset, state=kept, quiet=quiet, tell=tell)
    info = info_of(config, codec, dataset, network, start.told)
    calibration = calibrate(held_scores(build_head(info, network), held)) if dataset.classes else NOT_NEEDED
    divide_scores(network, calibration.temperature)
    round_weights(network)
    info = replace(info, temperature=calibration.temperature)
    score = validate(build_head(info, network), held, dataset)
    for doubt in score.doubts:
        warnings.warn(doubt, SemcompWarning, stacklevel=2)
    seconds, train_loss = (round(rows[-1]["seconds"], 1), rows[-1]["loss"]) if rows else (0.0, None)
    if log:
        figures = score.figures | {"steps": len(rows), "seconds": seconds, "train_loss": train_loss}
        figures |= {"temperature": calibration.temperature, "calibration_error": calibration.error}
        write_whole(str(log), "".join(json.dumps(row) + "\n" for row in [*rows, figures]).encode())
    told = f"{seconds / 60:.1f} minutes; {score.figure} {score.percent} % on {len(held)} held-out pictures"
    origin = "; ".join([info.origin, told, *([str(calibration)] if dataset.classes else []), *score.doubts])
    return build_head(replace(info, origin=origin), network)


def _learned(
    network: Network,
    start: Start,
    crops: Cache,
    held: Held,
    config: FitConfig,
    codec: Codec,
    dataset: Dataset,
    *,
    state: StateFile | None,
    quiet: bool,
    tell: Callable[[str], None],
) -> list[dict[str, float]]:
    """Train the network; returns what is logged of each step."""
    # The stem of a trunk has learned already, and learns on as the one matrix that it is.
    with nullcontext() if start.is_trunk else unfolding(network.stem, codec, crops, start=start.stem):
        return learn(
            network,
            crops,
            config.optim,
            classes=len(dataset.classes),
            seed=config.seed,
            quiet=quiet,
            has_trunk=start.is_trunk,
            on_mark=HeldOut(network, held, dataset, tell).mark,
            state=state,
        )


def _crops(config: FitConfig, codec: Codec, dataset: Dataset, *, folder: Path, quiet: bool) -> Cache:
    """Open the training crops, with the scores of a probe where one is asked for."""
    alone = config.optim.steps == 0  # a stem that learns alone reads neither scores nor the features of a guide
    crops = open_cache(
        codec,
        dataset,
        config.data,
        source=config.source,
        folder=folder,
        seed=config.seed,
        teachers=teachers_of(
            dataset,
            teacher=None if alone else config.teacher,
            features=None if alone else config.features,
            side=config.data.side,
            fine=config.sizes.backbone is not None,
        ),
        quiet=quiet,
    )
    if not config.probe:
        return crops
    assert crops.features is not None
    scores = probe(crops.features, crops.target, config.data.copies, len(dataset.classes))
    return replace(crops, teacher=scores)
