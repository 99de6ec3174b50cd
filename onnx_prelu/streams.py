"""Where the command line reads models and writes one: files, or ``-`` for standard input and output."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .errors import BadInput, BadUsage
from .graph.model import Model, load, parsed, target
from .rewritten import Rewrite

PIPE = Path("-")
"""What stands for standard input, or output. A file of this name is reached by its absolute path."""


class Ended(Exception):
    """The command has done what it could; the line says why the exit code is not 0."""

    def __init__(self, exit_code: int, line: str) -> None:
        super().__init__(line)
        self.exit_code = exit_code


def read_models(*files: Path) -> list[Model]:
    """The models, one of which may come from standard input.

    Raises:
        BadUsage: More than one of them would.
        BadInput: One cannot be read.
    """
    if files.count(PIPE) > 1:
        raise BadUsage("standard input can be one model only", where="-", todo="name a file for the others")
    return [_read(file) for file in files]


def _read(file: Path) -> Model:
    if file != PIPE:
        return load(file)
    try:
        raw = sys.stdin.buffer.read()
    except (OSError, AttributeError) as error:  # it was closed, say
        raise BadInput(f"cannot be read ({error})", where="standard input", todo="send a model there") from None
    return parsed(raw, "standard input")


@contextmanager
def printing(what: str) -> Iterator[None]:
    """Within the block, ``what`` goes to standard output, and if it cannot, that is the end of the command.

    Raises:
        Ended: A full disk, or nobody reads standard output any more, or it was closed.
    """
    try:
        yield
    except BrokenPipeError:
        # Python flushes standard output once more at its end, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise Ended(141, f"standard output was closed before {what} was printed") from None
    except (OSError, AttributeError) as error:  # a full disk, or a standard output that was closed
        raise Ended(2, f"{what} cannot be printed on standard output: {error}") from None


@dataclass(frozen=True)
class ToFile:
    """A file that a model goes to.

    Attributes:
        path: As the user wrote it.
        real: The file behind links.
        model: The model that was read.
    """

    path: Path
    real: Path
    model: Model

    @property
    def files(self) -> tuple[Path, ...]:
        """What is written there: the model, and the data files beside it."""
        return (self.real, *self.model.copies(self.real.parent))

    @property
    def untouched(self) -> str:
        """What is said of it where nothing is written."""
        return f"{self.path} {'stays as it was' if self.real.exists() else 'was not written'}"

    def take(self, result: Rewrite) -> tuple[str, ...]:
        """Write the model; what the user should know of that.

        Raises:
            BadUsage: It cannot be written there.
        """
        return result.save(self.real)


@dataclass(frozen=True)
class ToStandardOutput:
    """Standard output, which a model goes to, alone."""

    path: str = "standard output"
    files: tuple[Path, ...] = ()
    untouched: str = "nothing was written to standard output"

    def take(self, result: Rewrite) -> tuple[str, ...]:
        """Write the model.

        Raises:
            Ended: Standard output does not take it.
        """
        data = result.to_bytes()
        with printing("the model"):
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        return ()


def destination(path: Path, model: Model, protect: Iterable[Path]) -> ToFile | ToStandardOutput:
    """Where the rewritten model goes, made sure of before any work.

    Args:
        path: What the user wrote.
        model: The model that is rewritten.
        protect: Files that it must not be.

    Raises:
        BadUsage: It cannot be written there.
    """
    if path != PIPE:
        return ToFile(path, target(path, protect=protect), model)
    if model.data:
        todo = "name a file to write, so that they go beside it"
        raise BadUsage("a model with data files of its own does not go through a pipe", where="-", todo=todo)
    if sys.stdout is not None and sys.stdout.isatty():
        raise BadUsage("standard output is a terminal, not a place for a model", where="-", todo="name a file")
    return ToStandardOutput()
