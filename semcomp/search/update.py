"""Brings an index up to date with its folder, in this process or in several."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path

from semcomp.errors import TargetError, reason_of
from semcomp.search.describe import PLACES, Describer, IndexTask, at_noted_places
from semcomp.search.store import Photo, Store
from semcomp.semantics.signature import WINDOWS
from semcomp.storage.listing import IMAGE_SUFFIXES
from semcomp.storage.urls import is_text
from semcomp.workers import over_pool, worker_pool

_WORDS = {"classify": "head"}
"""Maps what an index notes to the word for it"""
BLOCK = 32
"""Photos that a process describes at once, and that are written in one transaction."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far an update is."""

    done: int
    """Photos that this update has described."""
    total: int
    """All photos that it describes."""
    failed: int


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What an update did."""

    photos: int
    """Photos in the index, without those that failed."""
    added: int
    """Photos that were described: new ones, changed ones, and those that failed before."""
    unchanged: int
    removed: int
    failures: dict[str, str] = field(default_factory=dict)
    """Reason for each photo that failed, by its path below the folder."""
    kinds: dict[str, str] = field(default_factory=dict)
    """Name of the error's type for each photo that failed, such as "FormatError"."""
    seconds: float


def found_in(folder: Path) -> list[str]:
    """List the photos below a folder, as relative paths. A picture beside its `.semc` file is left out."""
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        encoded = {Path(name).stem for name in names if name.lower().endswith(".semc")}
        for name in sorted(names):
            suffix = Path(name).suffix.lower()
            if suffix == ".semc" or (suffix in IMAGE_SUFFIXES and Path(name).stem not in encoded):
                found.append((Path(place) / name).relative_to(folder).as_posix())
    return found


def update(
    store: Store,
    folder: Path,
    names: Sequence[str],
    *,
    task: IndexTask | None,
    workers: int,
    force: bool,
    on_progress: Callable[[Progress], None],
) -> Summary:
    """See `PhotoIndex.update`."""
    began = time.perf_counter()
    if not folder.is_dir():
        raise TargetError(f"{folder} is not a folder: give the folder of the photos")
    unnamed = {
        name: "its name is not text (UTF-8), as an index needs: rename it" for name in names if not is_text(name)
    }
    now = {name: _state(folder / name) for name in names if name not in unnamed}
    if _open(store, now) or not _is_as_before(store, folder, task):  # else no network is loaded
        task = _agreed(store, folder, task, force=force)
    before, open_names = store.states(), _open(store, now)
    store.remove(before.keys() - now.keys())
    done, failures, kinds = 0, dict[str, str](), dict.fromkeys(unnamed, UnicodeEncodeError.__name__)
    blocks = [open_names[k : k + BLOCK] for k in range(0, len(open_names), BLOCK)]
    with closing(_described(task or IndexTask(), folder, blocks, workers=min(workers, len(blocks)))) as results:
        for photos in results:
            store.put(photos)
            done += len(photos)
            failures |= {photo.path: photo.error for photo in photos if photo.error is not None}
            kinds |= {photo.path: photo.error_kind for photo in photos if photo.error is not None}
            on_progress(Progress(done=done, total=len(open_names), failed=len(failures)))
    return Summary(
        photos=len(now) - len(failures),
        added=done - len(failures),
        unchanged=len(now) - len(open_names),
        removed=len(before.keys() - now.keys()),
        failures=failures | unnamed,
        kinds=kinds,
        seconds=time.perf_counter() - began,
    )


def _open(store: Store, now: dict[str, tuple[int, int]]) -> list[str]:
    """List the photos that are new, have changed, or failed before."""
    before = store.states()
    return [name for name, state in now.items() if before.get(name) != (*state, True)]


def _is_as_before(store: Store, folder: Path, task: IndexTask | None) -> bool:
    """Whether an index is of this folder and was made with this task."""
    about = _about(store)
    if not about or about["root"] != _relative(folder, store.file.parent):
        return False
    if task is None:
        return True
    if any(place and place != about.get(name) for name, place in _places(task).items()):
        return False
    given = (task.model, task.embedder or about["embedder"], task.classify or "", str(float(task.min_confidence)))
    return given == tuple(about[key] for key in ("model", "embedder", "classify", "min_confidence"))


def _places(task: IndexTask) -> dict[str, str]:
    """Where the networks of a task are, as whole paths; "" for those that are installed."""
    given = {name: getattr(task, name) for name in PLACES}
    return {name: "" if place is None else str(Path(place).absolute()) for name, place in given.items()}


def _about(store: Store) -> dict[str, str]:
    """What the index was made with; empty for a new one."""
    about = store.about()
    return {"min_confidence": "0.0"} | about if about else {}


def _state(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return -1, -1
    return found.st_size, found.st_mtime_ns


def _agreed(store: Store, folder: Path, task: IndexTask | None, *, force: bool) -> IndexTask:
    """Decide what the index is made with, and write that. TargetError where it was made with something else."""
    before = _about(store)
    if task is None:
        task = IndexTask(model=before.get("model", "base"), embedder=before.get("embedder"))
        confidence = float(before.get("min_confidence", 0))
        task = replace(task, classify=before.get("classify") or None, min_confidence=confidence)
    if task.embedder is None and before and not force:
        task = replace(task, embedder=before["embedder"])
    task = task if force else at_noted_places(task, before)
    describer = Describer(task)
    describer.load()
    signature = describer.signature
    about = {
        "root": _relative(folder, store.file.parent),
        "model": task.model,
        "embedder": task.embedder or describer.embedder.name,
        "embedding": describer.embedder.name,
        "classify": task.classify or "",
        "min_confidence": str(float(task.min_confidence)),
        "entropy_id": describer.codec.entropy_id.hex(),
        "signature": "" if signature is None else f"{signature.projection.sum():.4f} of {len(WINDOWS)} windows",
    } | ({} if signature is None else {"threshold": str(signature.threshold)})
    different = [key for key in about if before and before.get(key) != about[key]]
    if different and not force:
        words = ((_WORDS.get(key, key), before.get(key) or "none", about[key] or "none") for key in different)
        shown = ", ".join(f"{word} was {earlier} and is {now}" for word, earlier, now in words)
        raise TargetError(f"{store.file} was made otherwise ({shown}): name another file, or overwrite it with force")
    if different:
        store.clear()
    store.set_about(about | _places(task))
    return replace(task, embedder=about["embedder"])


def _relative(folder: Path, base: Path) -> str:
    """The folder as seen from the index, so that both can move; the whole path where they are on different drives."""
    try:
        return Path(os.path.relpath(folder.absolute(), base.absolute())).as_posix()
    except ValueError:
        return folder.absolute().as_posix()


@lru_cache(maxsize=1)
def _describer(task: IndexTask) -> Describer:
    return Describer(task)


def _block(task: IndexTask, folder: Path, names: Iterable[str]) -> list[Photo]:
    """Describe photos in one process, which keeps its networks for the next block."""
    describer, photos = _describer(task), []
    for name in names:
        state = _state(folder / name)
        try:
            photos.append(_photo(name, state, describer.describe((folder / name).read_bytes())))
        except Exception as error:  # whatever goes wrong with a photo is its own affair
            photos.append(Photo(name, *state, error=reason_of(error), error_kind=type(error).__name__))
    return photos


def _photo(name: str, state: tuple[int, int], found: tuple[object, ...]) -> Photo:
    width, height, embedding, signature, labels = found
    return Photo(name, *state, width, height, embedding, signature, labels)  # type: ignore[arg-type]


def _described(
    task: IndexTask, folder: Path, blocks: Sequence[Sequence[str]], *, workers: int
) -> Generator[list[Photo]]:
    """Describe blocks of photos. If a process dies, its blocks are described photo by photo, and one of them fails."""
    if workers <= 1:
        yield from (_block(task, folder, names) for names in blocks)
        return
    block, one_by_one = partial(_block, task, folder), partial(_one_by_one, task, folder)
    yield from over_pool(block, blocks, workers=workers, carefully=one_by_one)


def _one_by_one(task: IndexTask, folder: Path, names: Sequence[str]) -> list[Photo]:
    return [_alone(task, folder, name) for name in names]


def _alone(task: IndexTask, folder: Path, name: str) -> Photo:
    """Describe one photo in a process of its own, which may die."""
    from concurrent.futures.process import BrokenProcessPool

    try:
        with worker_pool(1) as pool:
            return pool.submit(_block, task, folder, [name]).result()[0]
    except BrokenProcessPool:
        reason = "a worker process died at this photo, perhaps because memory ran out"
        return Photo(name, *_state(folder / name), error=reason, error_kind=MemoryError.__name__)
