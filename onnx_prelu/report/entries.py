"""One of many pairs in a report, and what they come to together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .tables import Column, Table

if TYPE_CHECKING:
    from ..errors import OnnxPreluError
    from .report import Report

WORST_FIRST = (2, 1, 3)
"""Each exit code speaks for all pairs: 0, all are fine; 3, none differs, as far as they could run; 1, some differ, and
every pair could be read; 2, of some pairs nothing is known, for they cannot be read."""

_VERDICTS = {0: "passed", 1: "failed", 2: "not read", 3: "not run"}


@dataclass(frozen=True)
class Entry:
    """What came of one pair.

    Attributes:
        name: Its name.
        report: Its report; None where it could not be read.
        error: Why not.
    """

    name: str
    report: Report | None
    error: OnnxPreluError | None = None

    @property
    def exit_code(self) -> int:
        """The exit code of the pair alone."""
        return self.report.exit_code if self.report else 2

    @property
    def failure(self) -> str | None:
        """The one line that says why it is not 0."""
        return self.report.failure if self.report else str(self.error)

    def to_dict(self) -> dict[str, Any]:
        """Its name and its report, or at least the verdict."""
        verdict = {"exit_code": self.exit_code, "failure": self.failure}
        return {"name": self.name, **(self.report.to_dict() if self.report else verdict)}


def worst(entries: Iterable[Entry]) -> int:
    """The exit code of all together."""
    codes = {entry.exit_code for entry in entries}
    return next((code for code in WORST_FIRST if code in codes), 0)


def failure(entries: Sequence[Entry]) -> str | None:
    """The line that says why the exit code is not 0: the first pair that has it, and how many are not fine."""
    code = worst(entries)
    if not code:
        return None
    first = next(entry for entry in entries if entry.exit_code == code)
    bad = sum(entry.exit_code != 0 for entry in entries)
    more = f" ({bad:,} of {len(entries):,} pairs did not pass)" if len(entries) > 1 else ""
    return f"[{first.name}] {first.failure}{more}"


def verdicts(entries: Sequence[Entry]) -> Table:
    """The verdicts, a row a pair."""
    columns = (Column("pair", "name"), Column("verdict"), Column("passed on"), Column("why"))
    rows = tuple(
        (entry.name, _VERDICTS[entry.exit_code], ", ".join(_passed(entry)), entry.failure or _doubt(entry))
        for entry in entries
    )
    return Table("Pairs", columns, rows, "each pair's own report with --json")


def _doubt(entry: Entry) -> str:
    """What a pair that passes does not give, though a data set expects it: both models give something else alike."""
    checks = (entry.report.check if entry.report else None) or ()
    told = (each.sentence() for check in checks for each in check.expected)
    return next((sentence for sentence in told if sentence is not None), "")


def _passed(entry: Entry) -> list[str]:
    checks = (entry.report.check if entry.report else None) or ()
    return [check.provider for check in checks if check.status == "passed"]
