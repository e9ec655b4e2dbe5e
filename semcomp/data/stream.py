"""An iterable dataset of `.semc` files in WebDataset shards."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import IterableDataset, get_worker_info

from semcomp.data.files import Sources, found_files
from semcomp.data.sample import Sample, Transform, checked_fields, read_sample
from semcomp.errors import SemcompError, SemcompWarning
from semcomp.storage.files import read_bytes
from semcomp.storage.shards import read_shard, split_member
from semcomp.storage.urls import archive_protocol, is_url
from semcomp.workers import survive_forks


class SemcStream(IterableDataset[Any]):
    """Files one after the other, out of shards. Each rank and each worker reads shards of its own.

    A sample has the other members of its shard's sample too, as bytes by their extension ("cls", "json", "seg.png").
    Give at least as many shards as there are ranks times workers: a worker without a shard is idle.

    Args:
        sources: WebDataset shards (.tar) and .semc files: paths, folders, globs and URLs.
        fields: What a sample holds besides its key, size and quality: words of FIELDS.
        shuffle: Samples of the buffer that a sample is drawn from; 0 keeps the order. Shards are shuffled too.
        seed: Seed of the shuffling. With the epoch it decides the order.
        target: Called with the whole sample; the sample has its result as "target".
        transform: Called with every sample; the stream gives its result.
        skip_damaged: Warn of a damaged file and go on, rather than raise.
        model: Weights of the codec.

    Raises:
        TargetError: Nothing is there, or a field is unknown.
    """

    def __init__(
        self,
        sources: Sources,
        *,
        fields: Sequence[str] = ("latents",),
        shuffle: int = 0,
        seed: int = 0,
        target: Callable[[Sample], Any] | None = None,
        transform: Transform | None = None,
        skip_damaged: bool = False,
        model: str = "base",
    ) -> None:
        survive_forks()
        self.fields, self.shuffle, self.seed, self.epoch = checked_fields(fields), shuffle, seed, 0
        self.target, self.transform, self.model, self.skip_damaged = target, transform, model, skip_damaged
        self.units = found_files(sources, (".tar", ".semc"))

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch. Call it before each one, while no worker of the last one runs."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Any]:
        order = random.Random(f"{self.seed} {self.epoch}")
        units = list(self.units)
        if self.shuffle:
            order.shuffle(units)
        place, places = _place()
        samples = self._samples(units[place::places])
        if self.shuffle:
            samples = shuffled(samples, self.shuffle, random.Random(f"{self.seed} {self.epoch} {place}"))
        for sample in samples:
            if self.target is not None:
                sample["target"] = self.target(sample)
            yield sample if self.transform is None else self.transform(sample)

    def _samples(self, units: Sequence[str]) -> Iterator[Sample]:
        for key, members in self._members(units):
            data = members.pop("semc", None)
            if data is None:
                continue
            try:
                sample = read_sample(data, key=key, fields=self.fields, model=self.model)
            except SemcompError as error:
                if not self.skip_damaged:
                    raise
                warnings.warn(f"{key} is left out: {error}", SemcompWarning, stacklevel=2)
                continue
            yield {**members, **sample}

    def _members(self, units: Sequence[str]) -> Iterator[tuple[str, dict[str, bytes]]]:
        for unit in units:
            if archive_protocol(unit) == "tar":
                yield from ((sample.key, sample.members) for sample in read_shard(unit))
            else:
                name = unit if is_url(unit) else split_member(unit)[0]
                yield name, {"semc": read_bytes(unit)}


def _place() -> tuple[int, int]:
    """Number of this worker, counted over all ranks, and how many workers there are."""
    rank, ranks = 0, 1
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        rank, ranks = torch.distributed.get_rank(), torch.distributed.get_world_size()
    info = get_worker_info()
    worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
    return rank * workers + worker, ranks * workers


def shuffled(samples: Iterator[Sample], size: int, draws: random.Random) -> Iterator[Sample]:
    """Draw each sample at random from a buffer of `size` samples.

    Example:
        >>> numbers = shuffled(iter([{"n": n} for n in range(5)]), 3, random.Random(0))
        >>> sorted(sample["n"] for sample in numbers)
        [0, 1, 2, 3, 4]
    """
    buffer: list[Sample] = []
    for sample in samples:
        buffer.append(sample)
        if len(buffer) > size:
            place = draws.randrange(len(buffer))
            buffer[place], buffer[-1] = buffer[-1], buffer[place]
            yield buffer.pop()
    draws.shuffle(buffer)
    yield from buffer
