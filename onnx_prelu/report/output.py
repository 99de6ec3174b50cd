"""Where a command's results go: standard output, standard error, and report files."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from ..errors import BadUsage
from .terminal import text
from .write import claim, json_text, write

if TYPE_CHECKING:
    from .report import Report


@dataclass(frozen=True)
class Output:
    """What the user wants to see, and where.

    Attributes:
        as_json: JSON on standard output, as the only thing there. The page for people then goes to standard
            error, if that is a terminal.
        quiet: No page for people and no progress.
        files: Report files to write.
        taken: Standard output holds a model. The page for people then goes where it goes with JSON.
    """

    as_json: bool
    quiet: bool
    files: tuple[Path, ...]
    taken: bool = False

    def claim(self, *models: Path) -> Output:
        """Make sure, before any work, that the report files can be written and are none of ``models``.

        Raises:
            BadUsage: One of them cannot, or is.
        """
        return replace(self, files=tuple(claim(file, protect=models) for file in self.files))

    def beside_a_model(self) -> Output:
        """The same, where standard output holds a model.

        Raises:
            BadUsage: JSON was to go there too.
        """
        if self.as_json:
            raise BadUsage(
                "the model and the report cannot both go to standard output",
                where="--json",
                todo="use --report FILE.json",
            )
        return replace(self, taken=True)

    @contextmanager
    def progress(self) -> Iterator[Callable[[str], None] | None]:
        """Show on standard error what is being done, where that is a terminal that somebody looks at.

        Drawn only when there is news: a thread that spins beside a measurement would be measured too.
        """
        if self.quiet or not sys.stderr.isatty():
            yield None
            return
        columns = (TextColumn("{task.description}", markup=False), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True) as progress:
            task = progress.add_task("")
            yield lambda doing: progress.update(task, description=doing, refresh=True)

    def show(self, report: Report) -> None:
        """Write the report wherever it is wanted; files first, for standard output may be a closed pipe.

        Raises:
            BadUsage: A report file cannot be written.
            BrokenPipeError: Nobody reads standard output any more.
        """
        for file in self.files:
            write(report, file)
        if self.as_json:
            _print(json_text(report), sys.stdout)
        taken = self.as_json or self.taken
        if not self.quiet and (sys.stderr.isatty() or not taken):
            stream = sys.stderr if taken else sys.stdout
            _print(text(report, Console(file=stream)), stream)


def _print(page: str, stream: TextIO) -> None:
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")  # a node's name must not end the run on a terminal that lacks a letter
    stream.write(page)
    stream.flush()
