"""An index of a folder of photos, and the search in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from semcomp.bitstream.container import MAGIC, read
from semcomp.bitstream.source import read_source
from semcomp.errors import FormatError, ImageError, ModelError, TargetError
from semcomp.search.describe import Describer, IndexTask, at_noted_places
from semcomp.search.store import Store
from semcomp.search.update import Progress, Summary, found_in, update
from semcomp.semantics.signature import WINDOWS, best_cosines, unit_rows
from semcomp.semantics.stored import read_embedding

ROWS = 1 << 15
"""Rows of a block of vectors that is compared at once."""
_LEFT_OUT = -2.0
"""In the place of a cosine: the photo has not the label."""


class Hit(NamedTuple):
    """One result."""

    path: str
    """Path of the photo"""
    score: float
    """Cosine of the embeddings, or the score of the label where no photo was given"""


@dataclass(frozen=True)
class _Vectors:
    numbers: NDArray[np.int64]
    """Numbers of the photos, (N,)"""
    values: NDArray[np.int8]
    lengths: NDArray[np.float32]

    def cosines(self, vector: NDArray[np.int8]) -> NDArray[np.float32]:
        """Compare all vectors with one: float32 (N,)."""
        query = vector.astype(np.float32)
        blocks = [self.values[k : k + ROWS].astype(np.float32) @ query for k in range(0, len(self.values), ROWS)]
        dots = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
        cosines: NDArray[np.float32] = dots / np.maximum(self.lengths * np.linalg.norm(query), 1e-9)
        return cosines


class PhotoIndex:
    """An index file. One thread uses it at a time.

    Example:
        >>> index = PhotoIndex("photos.index")  # doctest: +SKIP
        >>> index.update("photos/")  # doctest: +SKIP
        >>> index.search(like="dog.jpg", top=3)  # doctest: +SKIP
    """

    def __init__(self, file: str | Path):
        """Name the file. It is opened when it is used, and made by `update`."""
        self.file = Path(file)

    @cached_property
    def _store(self) -> Store:
        store = Store(self.file, create=False)
        if not store.about():
            store.close()
            raise FormatError(f"{self.file} holds nothing yet: semcomp index FOLDER -o {self.file} fills it")
        return store

    def update(
        self,
        folder: str | Path,
        *,
        files: Iterable[str] | None = None,
        task: IndexTask | None = None,
        workers: int = 1,
        force: bool = False,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> Summary:
        """Bring the index up to date with a folder: describe what is new or has changed, and forget what is gone.

        Args:
            folder: The folder of photos.
            files: The files below the folder, as paths relative to it. None takes all `.semc` files and pictures.
            task: What the index is made with. None takes what it was made with, or the default.
            workers: Number of processes.
            force: Make the index again where it was made with something else, or of another folder.
            on_progress: Called after every block of photos.

        Returns:
            What was done. Photos that failed are in it with the reason, and are tried again by the next update.

        Raises:
            TargetError: The index belongs to another folder, or was made with something else, without `force`.
            ModelError: Weights are missing.
            FormatError: The file is not an index.
        """
        self.close()
        store = Store(self.file, create=True)
        try:
            names = found_in(Path(folder)) if files is None else sorted(files)
            return update(store, Path(folder), names, task=task, workers=workers, force=force, on_progress=on_progress)
        finally:
            try:
                empty = not store.about()
            finally:
                store.close()
            if empty:
                store.discard()

    def search(
        self,
        *,
        like: str | Path | bytes | None = None,
        label: str | None = None,
        top: int = 10,
        graphs: str | None = None,
        lossless_weights: str | None = None,
    ) -> list[Hit]:
        """Find photos.

        Args:
            like: A photo to which the results are similar: the path or the bytes of a `.semc` file or a picture.
            label: A label that the results have, in any case.
            top: Largest number of results.
            graphs: Folder of exported graphs to compute with. None takes the one that the index was made with.
            lossless_weights: File of the lossless networks, for a photo of exact pixels. None takes the one that the
                index was made with.

        Returns:
            The best results first. The photo that was given is not among them.

        Raises:
            TargetError: Neither a photo nor a label is given, or `top` is below 1.
            ModelError: The codec here is not the one that made the index.
            SemcompError: The photo or the index cannot be read.
        """
        if top < 1:
            raise TargetError(f"top is the largest number of results, from 1, not {top}")
        if like is None:
            if label is None:
                raise TargetError("give a photo that the results are like, or a label that they have")
            query = (
                "SELECT path, MAX(score) AS best FROM labels JOIN photos ON photo = id WHERE name = ? "
                "GROUP BY photo ORDER BY best DESC, path LIMIT ?"
            )
            return [Hit(self._shown(path), score) for path, score in self._store.rows(query, (label, top))]
        vectors = self._embeddings
        cosines = vectors.cosines(self._embedding_of(like, graphs, lossless_weights))
        if label is not None:
            rows = self._store.rows("SELECT DISTINCT photo FROM labels WHERE name = ?", (label,))
            cosines[~np.isin(vectors.numbers, [number for (number,) in rows])] = _LEFT_OUT
        own = None if isinstance(like, bytes) else os.path.realpath(like)
        order = np.argpartition(-cosines, min(top, len(cosines) - 1))[: top + 1] if len(cosines) else np.zeros(0, int)
        order = order[np.lexsort((order, -cosines[order]))]
        order = order[cosines[order] > _LEFT_OUT]
        paths = [self._shown(path) for path in self._store.paths_of(vectors.numbers[order].tolist())]
        hits = [Hit(path, float(cosines[k])) for path, k in zip(paths, order.tolist(), strict=True)]
        return [hit for hit in hits if os.path.realpath(hit.path) != own][:top]

    def duplicates(self, *, threshold: float | None = None) -> list[tuple[str, ...]]:
        """Find groups of near-duplicates by the signatures of z: recompressed, resized and cropped copies.

        Every photo is compared with every other one. The time grows with the square of their number.

        Args:
            threshold: Least cosine of two near-duplicates. None takes the one that was measured.

        Returns:
            The groups, each in the order of the index.

        Raises:
            ModelError: The index has no signatures, because there were none for its codec.
        """
        numbers, values = self._store.vectors("signature")
        about = self._store.about()
        if "threshold" not in about:
            raise ModelError("this index has no signatures: there were none for its codec (python -m heads.signature)")
        least = float(about["threshold"]) if threshold is None else threshold
        if not len(values):
            return []
        if values.shape[1] % len(WINDOWS):
            raise FormatError(f"{self.file} holds signatures of an earlier version: make it again")
        rows = unit_rows(values.reshape(len(values), len(WINDOWS), -1))
        group = np.arange(len(rows))
        for start in range(0, len(rows), 1024):
            found, others = np.nonzero(best_cosines(rows[start : start + 1024], rows[start:]) >= least)
            for one, other in zip((found + start).tolist(), (others + start).tolist(), strict=True):
                if one < other:
                    _join(group, one, other)
        members: dict[int, list[int]] = {}
        for place, number in enumerate(numbers.tolist()):
            members.setdefault(_root(group, place), []).append(number)
        groups = (self._store.paths_of(found) for found in members.values() if len(found) > 1)
        return [tuple(map(self._shown, paths)) for paths in groups]

    def labels(self) -> list[tuple[str, int]]:
        """List the labels with the number of photos that have them, the most frequent first."""
        query = "SELECT name, COUNT(DISTINCT photo) AS photos FROM labels GROUP BY name ORDER BY photos DESC, name"
        return [(name, photos) for name, photos in self._store.rows(query)]

    def close(self) -> None:
        """Close the file, which is opened again when it is used."""
        for name in ("_store", "_embeddings", "_root"):
            if (found := self.__dict__.pop(name, None)) is not None and isinstance(found, Store):
                found.close()

    @cached_property
    def _embeddings(self) -> _Vectors:
        numbers, values = self._store.vectors("embedding")
        squares = [np.square(values[k : k + ROWS].astype(np.float32)).sum(1) for k in range(0, len(values), ROWS)]
        lengths = np.sqrt(np.concatenate(squares)) if squares else np.zeros(0, np.float32)
        return _Vectors(numbers, values, lengths)

    def _embedding_of(
        self, like: str | Path | bytes, graphs: str | None, lossless_weights: str | None
    ) -> NDArray[np.int8]:
        """Embed a photo as the index did. No network runs where its file holds the embedding."""
        data, about = read_source(like), self._store.about()
        if data.startswith(MAGIC):
            container = read(data)
            try:
                stored = read_embedding(container)
            except FormatError:
                stored = None
            if (
                stored
                and stored.head == about["embedding"]
                and container.header.entropy_id.hex() == about["entropy_id"]
            ):
                return stored.vector
        try:
            described = self._describer(about, graphs, lossless_weights).describe(data)
        except (FormatError, ImageError) as error:
            raise type(error)(str(error) if isinstance(like, bytes) else f"{like}: {error}") from error
        return np.frombuffer(described.embedding, np.int8)

    def _describer(self, about: dict[str, str], graphs: str | None, lossless_weights: str | None) -> Describer:
        """What describes photos as the index did. ModelError where another codec is here."""
        model, embedder = about["model"], about["embedder"]
        task = IndexTask(model=model, embedder=embedder, graphs=graphs, lossless_weights=lossless_weights)
        describer = Describer(at_noted_places(task, about))
        found = describer.codec.entropy_id.hex()
        if found != about.get("entropy_id", found):
            where = f", from {about['graphs']}" if about.get("graphs") else ""
            raise ModelError(
                f"{self.file} was made with a codec with entropy id {about['entropy_id']}{where}, and this one has "
                f"{found}: give graphs=DIR, a folder of its graphs, or make the index again"
            )
        return describer

    def _shown(self, path: str) -> str:
        return os.path.normpath(self.file.parent / self._root / path)

    @cached_property
    def _root(self) -> str:
        return self._store.about()["root"]


def _root(group: NDArray[np.int_], number: int) -> int:
    """Find the first member of a photo's group, and shorten the way to it."""
    while group[number] != number:
        group[number] = group[group[number]]
        number = int(group[number])
    return number


def _join(group: NDArray[np.int_], one: int, other: int) -> None:
    first, second = sorted((_root(group, one), _root(group, other)))
    group[second] = first
