"""Writing a file: where it may go, and all of it or nothing."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ..errors import BadUsage


def kind(mode: int) -> str:
    """What a file's mode says it is, in words: ``"a folder"``.

    >>> kind(stat.S_IFIFO | 0o644)
    'a pipe'
    """
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISFIFO(mode):
        return "a pipe"
    if stat.S_ISSOCK(mode):
        return "a socket"
    return "a file" if stat.S_ISREG(mode) else "a device"


def target(path: str | os.PathLike[str], *, protect: Iterable[str | os.PathLike[str]]) -> Path:
    """The file that writing to `path` means, behind all links; nothing is changed.

    Args:
        path: Where the caller wants to write.
        protect: Files that must not be written, whether they exist or not.

    Returns:
        The absolute path of the real file, which may exist or not.

    Raises:
        BadUsage: It exists and is no regular file, its folder is missing, it is one of `protect` (also by a
            link or a hard link), or it cannot be written.
    """
    where = os.fspath(path) or os.curdir
    mode = _mode(where)
    real = Path(os.path.realpath(where))
    if mode is not None and not stat.S_ISREG(mode):
        raise BadUsage(f"is {kind(mode)}, not a file that can be replaced", where=where, todo="name a file")
    if mode is None and where.endswith(os.sep):
        raise BadUsage("is the name of a folder", where=where, todo="name a file")
    if not real.parent.is_dir():
        raise BadUsage(f"the folder '{real.parent}' does not exist", where=where, todo="create it first")
    for other in protect:
        if _same(real, other):
            raise BadUsage(
                f"is the same file as '{os.fspath(other)}', which is in use",
                where=where,
                todo="choose another name",
            )
    if mode is not None and not os.access(real, os.W_OK):
        raise BadUsage("is write-protected", where=where, todo="choose another name, or make it writable")
    trial = _beside(real)
    try:
        os.close(_create(trial))
        trial.unlink()
    except OSError as error:
        raise BadUsage(
            f"the folder '{real.parent}' cannot be written ({error.strerror})",
            where=where,
            todo="choose another",
        ) from None
    return real


def _mode(where: str) -> int | None:
    try:
        return os.stat(where).st_mode  # noqa: PTH116 - Path would drop a trailing slash
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        raise BadUsage("lies below a file, not in a folder", where=where, todo="choose another folder") from None
    except OSError as error:
        raise BadUsage(f"cannot be written ({error.strerror})", where=where, todo="choose another name") from None
    except ValueError:
        raise BadUsage("is not a file name", where=repr(where), todo="choose another name") from None


def _same(real: Path, other: str | os.PathLike[str]) -> bool:
    if Path(os.path.realpath(other)) == real:
        return True
    try:
        return real.samefile(other)
    except OSError:  # one of them does not exist, or cannot be looked at: then no name of it is ours
        return False


@contextmanager
def replacing(real: Path) -> Iterator[IO[bytes]]:
    """A file to write that becomes `real` when the block ends well, and vanishes when it does not.

    It is written beside `real`, forced to disk, and renamed. The mode of an existing file is kept; a new one
    gets the mode that the umask gives.

    Args:
        real: A path that is no link.

    Raises:
        OSError: Whatever the system says; `real` is then as it was.
    """
    temporary = _beside(real)
    try:
        with os.fdopen(_create(temporary), "wb") as file:
            if real.exists():
                temporary.chmod(stat.S_IMODE(real.stat().st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(real)
    finally:
        temporary.unlink(missing_ok=True)


def _beside(real: Path) -> Path:
    # Not derived from the name, which may be as long as the system allows.
    return real.with_name(f".onnx-prelu-{secrets.token_hex(8)}.tmp")


def _create(path: Path) -> int:
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o666)


@contextmanager
def writing(where: str | os.PathLike[str]) -> Iterator[None]:
    """What the system says while a file is written, said to people.

    Raises:
        BadUsage: In place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise BadUsage(
            f"could not be written ({error.strerror or error}), what was there is as it was",
            where=os.fspath(where),
            todo="make room, or choose another place",
        ) from error


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text as UTF-8, all of it or nothing; links are followed, never replaced.

    Raises:
        BadUsage: It cannot be written there, see :func:`target`.
    """
    real = target(path, protect=())
    with writing(path), replacing(real) as file:
        file.write(text.encode("utf-8", "backslashreplace"))
