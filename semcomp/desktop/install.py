"""Puts the files of the desktop in their places, and takes them away again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from semcomp.desktop.entries import DELEGATES, WRITTEN_BY, mime_package, thumbnailer, with_delegate, without_delegate
from semcomp.errors import FileError, file_error
from semcomp.storage.files import write_whole

COMPLETIONS = {
    "bash": "bash-completion/completions/semcomp",
    "zsh": "zsh/site-functions/_semcomp",
    "fish": "fish/vendor_completions.d/semcomp.fish",
}
"""Place of each shell's completion below the folder of data."""
SYSTEM_DATA = "/usr/local/share"


@dataclass(frozen=True, kw_only=True)
class Places:
    """The folders that files are installed into."""

    data: Path
    """Folder of data, such as ~/.local/share."""
    delegates: Path | None
    """ImageMagick's list of programs; None leaves ImageMagick out."""

    @classmethod
    def of_user(cls, environment: Mapping[str, str]) -> Places:
        """Return the folders of one user, as XDG_DATA_HOME and XDG_CONFIG_HOME say."""
        home = Path(environment.get("HOME") or Path.home())
        data = Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share")
        config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
        return cls(data=data, delegates=config / "ImageMagick" / "delegates.xml")

    @classmethod
    def of_system(cls) -> Places:
        """Return the folders of every user. ImageMagick's list is a file of the system's packages, and is left out."""
        return cls(data=Path(SYSTEM_DATA), delegates=None)

    @property
    def mime(self) -> Path:
        """The folder of MIME types."""
        return self.data / "mime"


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What was done."""

    files: tuple[Path, ...]
    """Files that were written or removed."""
    notes: tuple[str, ...]
    """Sentences on what was not done."""


def program_words() -> list[str]:
    """Return the words that start `semcomp`: the script of this installation, or else this Python with -m."""
    script = Path(sysconfig.get_path("scripts"), "semcomp")
    return [str(script)] if script.is_file() else [sys.executable, "-m", "semcomp"]


def install(places: Places, *, program: list[str], completions: Mapping[str, str]) -> Changes:
    """Write every file. Files of an earlier installation are replaced.

    Args:
        places: Where to.
        program: The words that start `semcomp`.
        completions: Shell -> text of its completion.

    Returns:
        The files, and what was not done.

    Raises:
        FileError: A file of somebody else has the place, or a file cannot be written. Nothing is changed in the first
            case.
    """
    texts = {place: completions[shell] for shell, place in COMPLETIONS.items()}
    texts["mime/packages/semcomp.xml"] = mime_package()
    texts["thumbnailers/semcomp.thumbnailer"] = thumbnailer(program)
    files = {places.data / place: text for place, text in texts.items()}
    for path in files:
        if path.exists() and not _is_ours(path):
            raise FileError(f"{path} exists, and semcomp did not write it: move it away first")
    if places.delegates is not None:
        try:
            files[places.delegates] = with_delegate(_text_of(places.delegates), program)
        except ValueError as error:
            raise FileError(f"{places.delegates} is not a list of delegates ({error}): repair or move it") from error
    for path, text in files.items():
        _write(path, text)
    notes = [] if places.delegates else ["ImageMagick is left out: its list of programs is installed for one user"]
    return Changes(files=tuple(files), notes=(*notes, *_update_mime(places)))


def uninstall(places: Places) -> Changes:
    """Remove what `install` wrote. Files of somebody else stay.

    Args:
        places: Where from.

    Returns:
        The files that were removed or shortened, and what was not done.

    Raises:
        FileError: A file cannot be removed.
    """
    gone: list[Path] = []
    for place in (*COMPLETIONS.values(), "mime/packages/semcomp.xml", "thumbnailers/semcomp.thumbnailer"):
        path = places.data / place
        if path.exists() and _is_ours(path):
            _remove(path)
            gone.append(path)
    if places.delegates is not None and WRITTEN_BY in (text := _text_of(places.delegates)):
        rest = without_delegate(text)
        if "".join(rest.split()) == "".join(DELEGATES):
            _remove(places.delegates)
        else:
            _write(places.delegates, rest)
        gone.append(places.delegates)
    return Changes(files=tuple(gone), notes=_update_mime(places) if gone else ())


def _update_mime(places: Places) -> tuple[str, ...]:
    """Let the desktop read the MIME types again. Returns a sentence where it cannot."""
    if not (updater := shutil.which("update-mime-database")):
        return ("update-mime-database is not installed (shared-mime-info): the MIME type counts once it has run",)
    (places.mime / "packages").mkdir(parents=True, exist_ok=True)
    done = subprocess.run([updater, os.fspath(places.mime)], capture_output=True, text=True, check=False)
    return () if done.returncode == 0 else (f"update-mime-database failed: {done.stderr.strip()}",)


def _is_ours(path: Path) -> bool:
    return WRITTEN_BY in _text_of(path)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise file_error(path, error) from error


def _write(path: Path, text: str) -> None:
    try:
        write_whole(str(path.resolve()), text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise file_error(path, error, verb="written") from error


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError as error:
        raise file_error(path, error, verb="removed") from error
