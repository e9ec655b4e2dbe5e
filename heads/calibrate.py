"""Measures when a head should keep quiet: python -m heads.calibrate HEAD --data labelled/ --others photos/

For a segmenter, each class gets the least confidence at which its answers are right often enough. An answer is right
where at least half of the pixels that it gives to the class show the class. For a classifier, whose classes have few
images each, one confidence is set for all. Half of the images set the thresholds, the other half tell what they
achieve. With --others, images that are not of the head's kind set a limit on the energy, for classifiers too. The
limits are written beside the head's file, whose id they do not change.
"""

import argparse
import sys
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from heads.command_line import run
from heads.datasets import DataConfig, DataError, Sample, pictures_in, read_rgb
from heads.find_dataset import find_dataset
from heads.head_file import NetworkClassifier, NetworkHead, NetworkSegmenter, read_head
from semcomp.codec.codec import Codec, load
from semcomp.semantics.limits import NEVER, Limits, evidence, write_limits
from semcomp.semantics.results import VOID
from semcomp.semantics.upsample import FINE, full_resolution

QUALITIES = (25, 50, 75)
"""Qualities of the files that are measured; an image's name decides which one it gets."""
FEWEST = 12
"""Fewest answers of a class that set its threshold. A class with fewer right answers is never said."""
DOUBT = 1.645
"""Standard errors that are taken off a share of right answers: one of twenty true shares is lower still."""
HIGHEST = 0.999
"""Highest threshold. A class that needs a higher one is never said."""


@dataclass(frozen=True)
class Answer:
    """One class that a head gave to one image."""

    number: int
    confidence: float
    right: bool


def threshold(answers: Iterable[Answer], *, precision: float) -> float:
    """Find the least confidence at which answers are right often enough; NEVER where there is none.

    The share of right answers, less DOUBT standard errors, has to reach `precision`: a threshold that few answers
    decide would not hold for other images.

    Example:
        >>> sure = [Answer(1, 0.9, True)] * 60
        >>> threshold(sure + [Answer(1, 0.5, False)] * 60, precision=0.8)
        0.9
    """
    ordered = sorted(answers, key=lambda answer: -answer.confidence)
    right = np.cumsum([answer.right for answer in ordered])
    count = np.arange(1, len(ordered) + 1)
    share = (right + 1) / (count + 2)  # never 0 or 1, so that its standard error is not 0
    enough = (share - DOUBT * np.sqrt(share * (1 - share) / count) >= precision) & (count >= FEWEST)
    confidence = np.array([answer.confidence for answer in ordered])
    enough[:-1] &= confidence[:-1] != confidence[1:]  # a threshold takes all answers of equal confidence, or none
    if not enough.any():
        return NEVER
    least = ordered[int(np.flatnonzero(enough)[-1])].confidence
    rounded = float(np.ceil(1000 * least) / 1000)
    return rounded if rounded <= HIGHEST else NEVER


def energy_limit(others: NDArray[np.float64], *, wrong: float) -> float:
    """Find the energy that at most the share `wrong` of images of another kind reaches."""
    return float(np.ceil(10 * np.quantile(others, 1 - wrong)) / 10)


def energy_of(scores: NDArray[np.float32]) -> float:
    """log(sum(exp(scores))) of the scores of classes, (K,)."""
    return float(np.logaddexp.reduce(scores.astype(np.float64)))


class Measurement:
    """Runs a head on images at the qualities of files."""

    def __init__(self, codec: Codec, head: NetworkHead):
        self.codec, self.head = codec, head

    @torch.inference_mode()
    def logits(self, path: Path) -> tuple[NDArray[np.float32], int, int]:
        """Give the head's logits for an image, and its height and width."""
        pixels = read_rgb(path)
        quality = QUALITIES[zlib.crc32(path.name.encode()) % len(QUALITIES)]
        latents = self.codec.latents_of_image(pixels, quality=quality)
        values: NDArray[np.float32] = self.head.logits(latents.y_hat, quality).cpu().numpy()
        return values, pixels.shape[0], pixels.shape[1]

    def energy(self, path: Path) -> float:
        """Give the energy of an image, by which the head's kind of images is told from others."""
        logits, height, width = self.logits(path)
        if isinstance(self.head, NetworkClassifier):
            return energy_of(logits[0])
        return evidence(logits, area=0.0, height=height, width=width)[0]

    def label(self, path: Path, number: int) -> Answer:
        """Give a classifier's first answer to an image that shows the class of that number."""
        logits = self.logits(path)[0][0]
        best = int(logits.argmax())
        return Answer(best, float(np.exp(logits[best] - energy_of(logits))), best == number)

    def answers(self, path: Path, truth: NDArray[np.uint8], *, area: float) -> list[Answer]:
        """List the classes that a segmenter gives to an image, and whether each is right."""
        logits, height, width = self.logits(path)
        _, confidence = evidence(logits, area=area, height=height, width=width)
        label_map = full_resolution(logits, height=height, width=width)[FINE // 2 :: FINE, FINE // 2 :: FINE]
        true = truth[FINE // 2 :: FINE, FINE // 2 :: FINE]
        found = []
        for number in np.flatnonzero(confidence).tolist():
            given = true[(label_map == number) & (true != VOID)]
            found.append(Answer(number, float(confidence[number]), given.size > 0 and (given == number).mean() >= 0.5))
        return found


def sets_thresholds(sample: Sample) -> bool:
    """Whether an image sets thresholds; the others tell what the thresholds achieve. Its name decides."""
    return zlib.crc32(sample.image.stem.encode()) % 2 == 0


@dataclass(frozen=True)
class Outcome:
    """What a threshold does for a class on images that did not set it."""

    name: str
    confidence: float
    before: int
    """Images of which the class was said without a limit."""
    said: int
    right: int
    shown: int
    """Images that show the class on at least `area` of their pixels."""

    def __str__(self) -> str:
        limit = "never said" if self.confidence == NEVER else f"from {self.confidence:.3f}"
        return (
            f"{self.name:<16}{limit:<12}said of {self.before} -> {self.said}, right {self.right}, shown by {self.shown}"
        )


def of_classes(
    measurement: Measurement,
    folders: Sequence[str],
    *,
    area: float,
    precision: float,
    limit: int | None,
    held: bool,
    quiet: bool,
) -> tuple[tuple[float, ...], list[Outcome]]:
    """Set a threshold for each class of a segmenter; returns them and what each achieves. `held` for only the images
    that a folder holds out."""
    head = measurement.head
    setting, telling = list[Answer](), list[Answer]()
    shown = np.zeros(len(head.classes), np.int64)
    for folder in folders:
        dataset = find_dataset("segment", DataConfig(folder=folder, limit=limit))
        if tuple(map(str.lower, dataset.classes)) != tuple(map(str.lower, head.classes)):
            raise DataError(f"{folder} has other classes than the head {head.name}")
        samples = dataset.val if held else (*dataset.train, *dataset.val)
        for sample in tqdm(samples, desc=folder, unit="image", disable=quiet, leave=False):
            truth = dataset.truth(sample)
            found = measurement.answers(sample.image, truth, area=area)
            if sets_thresholds(sample):
                setting += found
            else:
                telling += found
                counts = np.bincount(truth.ravel(), minlength=VOID + 1)[: len(shown)]
                shown += counts >= max(1, area * truth.size)
    confidence, outcomes = [], []
    for number, name in enumerate(head.classes):
        if name.lower() == "background":
            confidence.append(0.0)
            continue
        least = threshold((each for each in setting if each.number == number), precision=precision)
        before = [each for each in telling if each.number == number]
        said = [each for each in before if each.confidence >= least]
        confidence.append(least)
        right = sum(each.right for each in said)
        outcomes.append(Outcome(name, least, len(before), len(said), right, int(shown[number])))
    return tuple(confidence), outcomes


def summary(outcomes: Sequence[Outcome]) -> str:
    """Say in words which classes are said, and how often that is right."""
    known = [outcome for outcome in outcomes if outcome.confidence != NEVER]
    said, right = (sum(getattr(outcome, name) for outcome in known) for name in ("said", "right"))
    names = ", ".join(outcome.name for outcome in known) or "nothing"
    return f"says {names}: {right} of {said} answers right on images that set no threshold"


def of_labels(
    measurement: Measurement,
    folders: Sequence[str],
    *,
    precision: float,
    limit: int | None,
    held: bool,
    held_part: float,
    quiet: bool,
) -> tuple[float, str]:
    """Set one threshold for all classes of a classifier; returns it and what it achieves, in words."""
    setting, telling = list[Answer](), list[Answer]()
    for folder in folders:
        dataset = find_dataset("classify", DataConfig(folder=folder, limit=limit, held_part=held_part))
        if dataset.classes != measurement.head.classes:
            raise DataError(f"{folder} has other classes than the head {measurement.head.name}")
        samples = dataset.val if held else (*dataset.train, *dataset.val)
        for sample in tqdm(samples, desc=folder, unit="image", disable=quiet, leave=False):
            answer = measurement.label(sample.image, dataset.truth(sample))
            (setting if sets_thresholds(sample) else telling).append(answer)
    least = threshold(setting, precision=precision)
    said = [each for each in telling if each.confidence >= least]
    right = sum(each.right for each in said)
    limit_said = "no label is ever said" if least == NEVER else f"labels from a probability of {least:.3f}"
    return least, f"{limit_said}: {right} of {len(said)} first labels right, on {len(telling)} other images"


def calibrate(options: argparse.Namespace) -> None:
    """Measure and write the limits of a head."""
    head = read_head(options.head)
    measurement = Measurement(load(options.model), head)
    limits = replace(head.limits, experimental=options.experimental)
    told, outcomes = list[str](), list[Outcome]()
    more = {name: getattr(options, name) for name in ("precision", "limit", "held", "quiet")}
    if isinstance(head, NetworkSegmenter) and options.data:
        confidence, outcomes = of_classes(measurement, options.data, area=options.area, **more)
        limits = replace(limits, area=options.area, confidence=confidence)
        told.append(summary(outcomes))
    if isinstance(head, NetworkClassifier) and options.data:
        least, text = of_labels(measurement, options.data, held_part=options.held_part, **more)
        limits = replace(limits, confidence=(least,) * len(head.classes))
        told.append(text)
    if options.others:
        limits = _with_energy(limits, measurement, options, told)
    limits = replace(limits, measured="; ".join(told))
    path = write_limits(limits, options.head, head.classes)
    print("\n".join([*map(str, outcomes), *told, str(path)]))


def _with_energy(limits: Limits, measurement: Measurement, options: argparse.Namespace, told: list[str]) -> Limits:
    others = _energies(measurement, options.others, options)
    inside = _energies(measurement, options.kind or [], options)
    least = energy_limit(others, wrong=options.wrong)
    share = 100 * float((others >= least).mean())
    text = f"energy from {least:.1f}: answers {share:.1f} % of {len(others)} images of another kind"
    if inside.size:
        text += f", {100 * float((inside >= least).mean()):.1f} % of {len(inside)} of its own"
    told.append(text)
    return replace(limits, energy=least)


def _energies(measurement: Measurement, folders: Sequence[str], options: argparse.Namespace) -> NDArray[np.float64]:
    paths = [path for folder in folders for path in pictures_in(Path(folder), below=True)]
    if folders and not paths:
        raise DataError(f"no image below {', '.join(folders)}")
    order = np.random.default_rng(0).permutation(len(paths))[: options.limit]
    bar = tqdm([paths[k] for k in order], desc="energy", unit="image", disable=options.quiet, leave=False)
    return np.array([measurement.energy(path) for path in bar], np.float64)


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m heads.calibrate", description="Measure the limits below which a head says nothing."
    )
    parser.add_argument("head", type=Path, metavar="HEAD", help="file of the head")
    parser.add_argument("--data", nargs="*", metavar="FOLDER", help="images with masks or classes, never trained on")
    parser.add_argument("--held", action="store_true", help="of --data only what val.txt or val/ holds out")
    parser.add_argument("--held-part", type=float, default=0.1, metavar="P", help="or this part of the images (0.1)")
    parser.add_argument("--others", nargs="*", metavar="FOLDER", help="images that are not of the head's kind")
    parser.add_argument("--kind", nargs="*", metavar="FOLDER", help="images of the head's kind, never trained on")
    parser.add_argument("--precision", type=float, default=0.8, metavar="P", help="share of right answers (0.8)")
    parser.add_argument("--area", type=float, default=0.02, metavar="A", help="least share of an image (0.02)")
    parser.add_argument("--wrong", type=float, default=0.03, metavar="W", help="share of --others answered (0.03)")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N images from each folder or list")
    parser.add_argument("--model", default="base", metavar="NAME", help="codec: a name or a .safetensors path (base)")
    parser.add_argument("--experimental", action="store_true", help="mark the head as too often wrong to be relied on")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; returns the exit code."""
    options = build_parser().parse_args(argv)
    return run("heads.calibrate", lambda: calibrate(options), interrupted="")


if __name__ == "__main__":
    sys.exit(main())
