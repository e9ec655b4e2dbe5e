"""The file of an index: an SQLite database with a row for each photo.

    about    key, value                      what the index was made with
    photos   path, size, mtime_ns, width, height, embedding, signature, error
    labels   photo, name, score

Paths are relative to the folder of photos, and this folder is relative to the file: both may move together. Embeddings
and signatures are int8. A photo that failed has its error and no embedding. Blocks of photos are written in one
transaction each, so an index that was killed is whole and goes on where it stopped.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from semcomp.errors import FileError, FormatError, MissingFileError, SemcompError, file_error
from semcomp.storage.writable import is_open_ended

if TYPE_CHECKING:
    from collections.abc import Iterator

APPLICATION_ID, VERSION = 0x534D4358, 1
_OF_THE_SYSTEM = ("unable to open", "disk is full", "readonly", "disk I/O")
"""What SQLite says where the file is not at fault"""
_TABLES = """
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE photos (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    width INTEGER, height INTEGER, embedding BLOB, signature BLOB, error TEXT);
CREATE TABLE labels (photo INTEGER NOT NULL, name TEXT NOT NULL COLLATE NOCASE, score REAL NOT NULL);
CREATE INDEX labels_by_name ON labels (name, score);
CREATE INDEX labels_by_photo ON labels (photo);
"""


class Photo(NamedTuple):
    """One row."""

    path: str
    """Path below the folder, with / between its parts"""
    size: int
    """Bytes of the file"""
    mtime_ns: int
    """When the file was last changed"""
    width: int | None = None
    height: int | None = None
    embedding: bytes | None = None
    signature: bytes | None = None
    labels: tuple[tuple[str, float], ...] = ()
    error: str | None = None
    error_kind: str = ""
    """Name of the type of the error, which is not stored"""


class Store:
    """An open index file. One thread uses it at a time."""

    def __init__(self, file: str | Path, *, create: bool):
        """Open the file.

        Args:
            file: The path.
            create: Whether a file that is missing is made.

        Raises:
            MissingFileError: The file is missing.
            FormatError: It is not an index, or one of another version.
            FileError: The file cannot be opened or written.
        """
        self.file = Path(file)
        if self.file.is_dir():
            made = f"semcomp index {file} -o {self.file.name}.index makes one of its photos"
            raise FileError(f"{file} is a folder, and an index is a file: {made}")
        if is_open_ended(self.file):
            raise FileError(f"{file} is not a file that can hold an index: name another file")
        is_new = not self.file.exists() or not self.file.stat().st_size  # empty: its making was interrupted
        if is_new and not create:
            raise MissingFileError(f"there is no index {file}: semcomp index FOLDER -o {file} makes one")
        if is_new:
            try:
                self.file.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise file_error(file, error, verb="written") from error
        with self._checked():
            self.connection = sqlite3.connect(self.file)
        try:
            self._begin(is_new)
        except BaseException:
            self.connection.close()
            if is_new:
                self.discard()
            raise

    def _begin(self, is_new: bool) -> None:
        """Make the tables of a new file at once; check the marks of an index."""
        with self._checked():
            self.connection.execute("PRAGMA trusted_schema = OFF")
            if is_new:
                marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};"
                self.connection.executescript(f"BEGIN; {marks} {_TABLES} COMMIT;")
            (mark,), (version,) = (
                self.connection.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")
            )
            if mark != APPLICATION_ID or version != VERSION:
                raise FormatError(f"{self.file} is not an index of this version: name another file, or make it again")

    @contextmanager
    def _checked(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if any(words in str(error) for words in _OF_THE_SYSTEM):
                raise FileError(f"{self.file} cannot be used ({error}): name another file") from error
            if "locked" not in str(error) and "busy" not in str(error):
                raise FormatError(f"{self.file} cannot be used as an index ({error}): name another file") from error
            raise SemcompError(f"another process writes {self.file}: wait until it has ended") from error
        except sqlite3.DatabaseError as error:
            raise FormatError(f"{self.file} is damaged or not an index ({error}): name another file") from error

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def discard(self) -> None:
        """Remove a file that nothing was ever put into. A link to it stays."""
        made = Path(os.path.realpath(self.file))
        if made.is_file():
            made.unlink()

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """Run a query. FormatError where the file is damaged."""
        with self._checked():
            return self.connection.execute(query, values).fetchall()

    def about(self) -> dict[str, str]:
        """Read what the index was made with; empty for a new one."""
        return dict(self.rows("SELECT key, value FROM about"))

    def set_about(self, values: Mapping[str, str]) -> None:
        """Write what the index is made with."""
        with self._checked(), self.connection:
            self.connection.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", values.items())

    def clear(self) -> None:
        """Forget everything."""
        with self._checked(), self.connection:
            for table in ("labels", "photos", "about"):
                self.connection.execute(f"DELETE FROM {table}")

    def states(self) -> dict[str, tuple[int, int, bool]]:
        """Size, time and success of every photo, by its path."""
        return {
            path: (size, time, error is None)
            for path, size, time, error in self.rows("SELECT path, size, mtime_ns, error FROM photos")
        }

    def put(self, photos: Iterable[Photo]) -> None:
        """Write rows in one transaction, in place of rows with equal paths."""
        with self._checked(), self.connection:
            for photo in photos:
                self._forget(photo.path)
                values = (*photo[:5], photo.embedding, photo.signature, photo.error)
                cursor = self.connection.execute(
                    "INSERT INTO photos (path, size, mtime_ns, width, height, embedding, signature, error) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    values,
                )
                rows = [(cursor.lastrowid, name, score) for name, score in photo.labels]
                self.connection.executemany("INSERT INTO labels VALUES (?, ?, ?)", rows)

    def remove(self, paths: Iterable[str]) -> None:
        """Remove rows."""
        with self._checked(), self.connection:
            for path in paths:
                self._forget(path)

    def _forget(self, path: str) -> None:
        self.connection.execute("DELETE FROM labels WHERE photo = (SELECT id FROM photos WHERE path = ?)", (path,))
        self.connection.execute("DELETE FROM photos WHERE path = ?", (path,))

    def paths_of(self, numbers: Iterable[int]) -> list[str]:
        """Read the paths of photos by their numbers."""
        return [self.rows("SELECT path FROM photos WHERE id = ?", (number,))[0][0] for number in numbers]

    def vectors(self, column: str) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
        """Read the embeddings or the signatures: numbers of photos (N,), and int8 (N, D)."""
        assert column in ("embedding", "signature")
        rows = self.rows(f"SELECT id, {column} FROM photos WHERE {column} IS NOT NULL ORDER BY id")
        lengths = {len(vector) for _, vector in rows}
        if len(lengths) > 1:
            raise FormatError(f"{self.file} holds vectors of different lengths: make it again")
        data = b"".join(vector for _, vector in rows)
        numbers = np.array([number for number, _ in rows], np.int64)
        return numbers, np.frombuffer(data, np.int8).reshape(len(rows), -1 if data else 0)
