"""The only place that turns exceptions of semcomp, Pillow, torch and the system into sentences and exit codes.

A sentence names the file that is at fault. That is the input of the job unless `concerning` says otherwise: a label map
that is missing and a folder that cannot be written to are not the input's fault.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from semcomp.cli.exit_codes import EXIT_FAILED, EXIT_USAGE, UsageError
from semcomp.cli.inputs import STREAM
from semcomp.errors import SemcompError
from semcomp.storage.files import exists
from semcomp.storage.urls import can_be_written, is_url, local_name, protocol_of
from semcomp.storage.writable import check_writable

FLAGS = (
    ("convert=True", "--convert"),
    ("convert_colour=True", "--convert-colour"),
    ("strip=True", "--strip"),
    ("lossless_weights=FILE", "--lossless-weights FILE"),
    ("with_latents=50", "--with-latents"),
    ("overwrite it with force", "overwrite it with --force"),
    ('the generator "faithful"', "--generator faithful"),
    ("void=", "--void "),
    ("choose the format ", "choose --format "),
    ("wrote as weights=", "wrote as --weights"),
    ("give weights=FILE", "give --weights FILE"),
    ("give a folder that semcomp export onnx wrote", "give --graphs DIR, a folder that semcomp export onnx wrote"),
    ("leave out model=", "leave out --model "),
    ("give head=NAME", "give --head NAME"),
    ("give graphs=DIR", "give --graphs DIR"),
    (
        "choose another head, or give a label map, a mask or a box",
        "choose another --head, or give --label-map, --keep-mask or --keep-box",
    ),
)
"""What the library calls an argument, and the option that sets it."""
_PACKAGES = {"PIL": "pillow", "yaml": "PyYAML", "constriction": "constriction"}
"""Maps a module to its package where their names differ."""
_NO_MEMORY = re.compile(r"can't allocate memory|out of memory|bad_alloc|failed to allocate memory", re.IGNORECASE)
_NO_DEVICE = re.compile(r"\b(CUDA|MPS|HIP) error\b|\bMPS backend\b|^CUDA (driver|kernel)", re.IGNORECASE)
_READING = {errno.EISDIR: "; give a file", errno.ENOTDIR: "; give a folder"}
_WRITING = {errno.ENOSPC: "; make room, or choose another -o"} | dict.fromkeys(
    (errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP),
    "; choose another -o",
)
"""What to do about an error of the system while a file is read, or one that -o names is written."""


class Failure(NamedTuple):
    """What the user is told about an error."""

    message: str
    """A sentence without the name of the input, but with the name of another file that is at fault"""
    exit_code: int
    kind: str
    """The name of the exception's type, for JSON"""
    elsewhere: bool = False
    """Whether another file than the input is at fault"""
    place: str = ""
    """The file that the system's error names"""


class Fault(Exception):
    """An error that concerns another file than the input. Its text names that file."""

    def __init__(self, message: str, cause: BaseException) -> None:
        super().__init__(message)
        self.kind = type(cause).__name__
        self.exit_code = explain(cause).exit_code


@contextmanager
def concerning(name: str, *, what: str = "", written: bool = False, flag: str = "-o") -> Iterator[None]:
    """Say of every error of the block that it concerns one file.

    Args:
        name: The name of the file.
        what: The kind of file, such as "the label map".
        written: Whether the block writes the file, rather than reads it.
        flag: The option that says where the file is written.

    Raises:
        Fault: The block raised a SemcompError, an OSError or a UnicodeDecodeError.
    """
    file = f"{what} {name}".lstrip()
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.errno is None:
            message = _reason(error)
            raise Fault(message if name in message else f"{file}: {message}", error) from error
        advice = (_WRITING if written else _READING).get(error.errno, "").replace("-o", flag)
        raise Fault(f"{file} cannot be {'written' if written else 'read'}: {_reason(error)}{advice}", error) from error
    except UnicodeDecodeError as error:
        raise Fault(f"{file} is not text in UTF-8: give a text file", error) from error
    except SemcompError as error:
        message = in_flags(str(error))
        raise Fault(message if name in message else f"{file}: {message}", error) from error


def check_readable(name: str | None, *, what: str = "", folder: bool = False) -> None:
    """Check before the first input that a file which an option names is there and can be read.

    Args:
        name: The value of the option; nothing is checked if it is None.
        what: The kind of file, such as "the label map".
        folder: Whether it has to be a folder.

    Raises:
        Fault: It cannot be read.
        UsageError: It is a URL, and a folder is wanted.
    """
    if name is None:
        return
    with concerning(name, what=what):
        if is_url(name):
            if folder:
                raise UsageError(f"{name} is a URL, and a folder on this machine is read: give a local one")
            if not exists(name):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
            return
        if stat.S_ISDIR(os.stat(name).st_mode) != folder:  # noqa: PTH116
            code = errno.ENOTDIR if folder else errno.EISDIR
            raise OSError(code, os.strerror(code), name)
        if not os.access(name, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)


def local_output(output: str, *, folder: bool = True) -> str:
    """Return the local path that -o means.

    Args:
        output: What the user gave.
        folder: Whether the command writes a folder of files, rather than one file.

    Raises:
        UsageError: It means stdout, or a place that is not on this machine.
        Fault: It is a folder that cannot be written.
    """
    path = local_name(output)
    if path == STREAM:
        raise UsageError("-o - is stdout, which this command does not write to: give a local path")
    if is_url(path):
        raise UsageError(f"-o {output} is a URL, and this command writes to this machine alone: give a local path")
    if folder:
        check_folder(path)
    return path


def check_folder(name: str, *, flag: str = "-o") -> None:
    """Check before the work that files can be written into a folder, which need not exist.

    Args:
        name: A local path or a URL, which is not asked.
        flag: The option that names it.

    Raises:
        UsageError: It means stdout, or a storage that is only read.
        Fault: Nothing can be written there.
    """
    path = local_name(name)
    if path == STREAM:
        raise UsageError(f"{flag} - is stdout, and a folder of files is written: give a folder")
    if is_url(path):
        check_url(path, flag)
        return
    with concerning(path, written=True, flag=flag):
        check_writable(path, folder=True)


def check_url(url: str, flag: str = "-o") -> None:
    """Raise UsageError for a URL that nothing can be written to; `flag` is the option that names it."""
    if not can_be_written(url):
        raise UsageError(f"{flag} {url}: {protocol_of(url)}:// cannot be written to; give a folder or an object store")


def explain(error: BaseException, *, source: str = "") -> Failure:
    """Explain an error to the user.

    Args:
        error: The error.
        source: The name of the input. The caller shows it before the message, which does not repeat it. Without one
            the message begins with the file that the system's error names.
    """
    failure = _explain(error)
    if not source and failure.place and failure.place not in failure.message:
        return failure._replace(message=f"{failure.place}: {failure.message}")
    if source and not failure.elsewhere and failure.message.startswith(f"{source} "):
        failure = failure._replace(message=failure.message.removeprefix(f"{source} "))
    return failure


def _explain(error: BaseException) -> Failure:
    kind = type(error).__name__
    if isinstance(error, Fault):
        return Failure(str(error), error.exit_code, error.kind, elsewhere=True)
    if isinstance(error, UsageError):
        return Failure(str(error), EXIT_USAGE, kind)
    if isinstance(error, SemcompError):
        return Failure(in_flags(str(error)), error.exit_code, kind)
    if isinstance(error, OSError):
        return Failure(in_flags(_reason(error)), EXIT_FAILED, kind, place=_place_of(error))
    if isinstance(error, ImportError):
        return Failure(_about_import(error), EXIT_FAILED, kind)
    text = str(error)
    if isinstance(error, UnicodeDecodeError):
        return Failure("a file is not text in UTF-8: give a text file", EXIT_FAILED, kind)
    if isinstance(error, MemoryError) or _NO_MEMORY.search(text):
        told = f"{text}: " if isinstance(error, MemoryError) and text else "there is not enough memory: "
        return Failure(f"{told}use a smaller -j, or make the picture smaller", EXIT_FAILED, "MemoryError")
    if _NO_DEVICE.search(text):
        return Failure(f"the device failed ({text.splitlines()[0]}): try --device cpu", EXIT_FAILED, kind)
    return Failure(f"internal error, please report it: {error!r}", EXIT_FAILED, kind)


def in_flags(text: str) -> str:
    """Replace what a message says to Python programmers by the options of the command line."""
    for python, flag in FLAGS:
        text = text.replace(python, flag)
    return text


def _reason(error: OSError) -> str:
    """The reason of the system, without numbers and without the file's name; the text of an error of our own."""
    return error.strerror or str(error) or type(error).__name__


def _place_of(error: OSError) -> str:
    name = error.filename
    return os.fsdecode(name) if isinstance(name, (str, bytes, os.PathLike)) else ""


def _about_import(error: ImportError) -> str:
    module = (error.name or "").partition(".")[0]
    if not module or not isinstance(error, ModuleNotFoundError):
        return f"a package is damaged ({error}): install it again in this Python, {sys.executable}"
    package = _PACKAGES.get(module, module)
    return f"the package {package} is not installed: pip install {package}"
