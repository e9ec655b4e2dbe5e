"""Weights on a hub: files of a repository at one commit, checked by their hashes, and kept in the hub's cache.

    fetch("org/name")              the newest commit of the repository
    fetch("org/name@4f0c...")      one commit, which nobody can change: pin it where results matter

A repository holds NAME.safetensors, what belongs beside it, a card, and `semcomp.json` with the SHA-256 of every file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from semcomp.errors import MissingExtraError, ModelError
from semcomp.storage.files import exists, local_copy
from semcomp.storage.urls import is_url, local_name, with_suffix

FORMAT = "semcomp-weights-1"
MANIFEST = "semcomp.json"
CARD = "README.md"
LIMITS = ".limits.json"
"""Suffix of what is kept beside the weights of a head."""
_NAME = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([\w./-]+))?")


class HubName(NamedTuple):
    """A repository, and the revision that the user asked for."""

    repository: str
    revision: str | None


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """Weights that came from a hub."""

    path: Path
    """The .safetensors file in the cache"""
    repository: str
    commit: str
    """The commit that the files are of, 40 hexadecimal digits"""

    @property
    def pinned(self) -> str:
        """The name that means these weights for ever."""
        return f"{self.repository}@{self.commit}"


def hub_name(name: str | Path) -> HubName | None:
    """Return the repository that a name means; None for a local file, a URL and the name of weights in the package.

    Example:
        >>> hub_name("org/street-head@v2")
        HubName(repository='org/street-head', revision='v2')
        >>> hub_name("base"), hub_name("weights/mine.safetensors")
        (None, None)
    """
    match = _NAME.fullmatch(str(name))
    if match is None or str(name).endswith(".safetensors") or Path(name).exists():
        return None
    return HubName(match[1], match[2])


def located(name: str | Path) -> str | Path:
    """Return a local path for weights that a URL or a name on the hub means; every other name is returned as it is.

    Raises:
        ModelError: The hub does not have them, or they are not what their maker uploaded.
        MissingExtraError: The package that asks the hub is not installed.
    """
    if is_url(name):
        url = local_name(str(name))
        path = Path(local_copy(url))
        limits = with_suffix(url, LIMITS)
        if url != str(path) and exists(limits) and not path.with_suffix(LIMITS).exists():
            path.with_suffix(LIMITS).write_bytes(Path(local_copy(limits)).read_bytes())
        return path
    return fetch(name).path if hub_name(name) is not None else name


def fetch(name: str | Path) -> Fetched:
    """Fetch weights from the hub, or from its cache on this machine if the hub cannot be reached.

    The environment decides as for every program that uses the hub: HF_ENDPOINT, HF_HUB_CACHE, HF_HUB_OFFLINE, HF_TOKEN.

    Args:
        name: "org/name" or "org/name@revision", where a revision is a branch, a tag or a commit.

    Returns:
        The file and its commit. All files are of one commit, also if somebody uploads meanwhile.

    Raises:
        ModelError: There are no such weights, or a file differs from what the manifest says.
        MissingExtraError: huggingface_hub is not installed.
    """
    wanted = hub_name(name)
    if wanted is None:
        raise ModelError(f"{name} is not a name on the hub: write org/name or org/name@revision")
    manifest_path = _download(wanted, MANIFEST)
    commit = manifest_path.parent.name
    files = _files_of(manifest_path, wanted)
    found: Path | None = None
    for file, digest in files.items():
        path = _download(wanted._replace(revision=commit), file)
        if (seen := sha256_of(path)) != digest:
            raise ModelError(
                f"{file} of {wanted.repository} at {commit[:12]} has the SHA-256 {seen[:16]}..., and its manifest says "
                f"{digest[:16]}...: remove {path} and try again; if it comes back, do not use these weights"
            )
        if path.suffix == ".safetensors":
            found = path
    if found is None:
        raise ModelError(f"{wanted.repository} holds no .safetensors file: upload one with semcomp push")
    return Fetched(path=found, repository=wanted.repository, commit=commit)


def push(
    weights: Path,
    repository: str,
    *,
    card: str,
    kind: str,
    ids: Mapping[str, str],
    private: bool = False,
    message: str | None = None,
) -> Fetched:
    """Upload weights with their limits, a card and a manifest in one commit.

    Args:
        weights: The .safetensors file.
        repository: "org/name". It is created if it does not exist.
        card: The card in Markdown.
        kind: "codec", "head" or "generator".
        ids: Hashes of the contents, which the manifest names.
        private: Whether a repository that is created is private.
        message: Subject of the commit.

    Returns:
        The weights and their commit, whose `pinned` name others should load.

    Raises:
        ModelError: The hub refuses.
        MissingExtraError: huggingface_hub is not installed.
    """
    hub = _hub()
    files = {weights.name: weights.read_bytes()}
    if (limits := weights.with_suffix(LIMITS)).is_file():
        files[limits.name] = limits.read_bytes()
    manifest = {
        "format": FORMAT,
        "kind": kind,
        "ids": dict(ids),
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }
    files |= {MANIFEST: json.dumps(manifest, indent=1).encode(), CARD: card.encode()}
    api = hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"))

    def upload() -> Any:
        api.create_repo(repository, private=private, exist_ok=True)
        additions = [hub.CommitOperationAdd(path_in_repo=name, path_or_fileobj=data) for name, data in files.items()]
        return api.create_commit(repository, additions, commit_message=message or f"Upload {weights.stem}")

    commit = _asked(upload, HubName(repository, None), weights.name)
    return Fetched(path=weights, repository=repository, commit=str(commit.oid))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _files_of(manifest: Path, wanted: HubName) -> dict[str, str]:
    """The files that a manifest names, with their hashes."""
    try:
        values = json.loads(manifest.read_bytes())
        if values["format"] != FORMAT:
            raise ValueError(f"its format is {values['format']!r}")
        files = {str(name): str(digest) for name, digest in values["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{MANIFEST} of {wanted.repository} cannot be read ({error}): upgrade semcomp") from error
    if any(Path(name).name != name for name in files):
        raise ModelError(f"{MANIFEST} of {wanted.repository} names files outside of its folder: do not use it")
    return files


def _download(wanted: HubName, file: str) -> Path:
    hub = _hub()
    offline = os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")

    def ask() -> Any:
        return hub.hf_hub_download(
            wanted.repository,
            file,
            revision=wanted.revision,
            library_name="semcomp",
            cache_dir=os.environ.get("HF_HUB_CACHE"),
            endpoint=os.environ.get("HF_ENDPOINT"),
            local_files_only=offline,
        )

    return Path(_asked(ask, wanted, file))


def _asked(ask: Callable[[], Any], wanted: HubName, file: str) -> Any:
    """Ask the hub. Whatever it answers in anger becomes a ModelError."""
    from huggingface_hub import errors

    where = wanted.repository + ("" if wanted.revision is None else f" at {wanted.revision}")
    try:
        return ask()
    except errors.RepositoryNotFoundError as error:
        known = "there is no file of that name here, and the hub has no repository"
        raise ModelError(f"{known} {wanted.repository}, or you may not see it (HF_TOKEN)") from error
    except errors.RevisionNotFoundError as error:
        raise ModelError(
            f"{wanted.repository} has no revision {wanted.revision}: give a branch, tag or commit"
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise ModelError(f"{file} of {where} is not in the cache, and the hub cannot be reached: go online") from error
    except errors.EntryNotFoundError as error:
        raise ModelError(f"{where} has no {file}: these are not weights that semcomp push uploaded") from error
    except (errors.HfHubHTTPError, errors.HFValidationError, OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(f"{file} of {where} cannot be exchanged with the hub: {reason}") from error


def _hub() -> Any:
    try:
        import huggingface_hub
    except ModuleNotFoundError as error:
        raise MissingExtraError("The hub", "scale") from error
    return huggingface_hub
