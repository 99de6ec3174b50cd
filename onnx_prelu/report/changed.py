"""What changed from one model to another, in tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from . import words
from .tables import Column, Table

if TYPE_CHECKING:
    from ..measure.changes.change import Change, Diff

_SHOWN = 40
"""So many changes are listed; all of them are in the JSON."""


def changes_in_words(diff: Diff) -> str:
    """What came of the comparison, for the headline."""
    if diff.same:
        return "no difference"
    counts = diff.counts().values()
    told = {what: sum(count[what] for count in counts) for what in ("added", "removed", "changed")}
    return ", ".join(f"{words.amount(count)} {what}" for what, count in told.items() if count)


def changes(diff: Diff) -> Iterator[Table]:
    """How many things of each kind are others, and which."""
    heads = ("added", "removed", "changed", "unchanged")
    rows = tuple((kind, *(words.amount(count[head]) for head in heads)) for kind, count in diff.counts().items())
    yield Table("What changed", (Column("kind"), *(Column(head, "number") for head in heads)), rows)
    if diff.changes:
        listed = tuple((change.kind, change.name, _told(change)) for change in diff.changes[:_SHOWN])
        more = len(diff.changes) - len(listed)
        foot = f"and {words.counted(more, 'change')} more, in the JSON" if more else ""
        yield Table("Changes", (Column("kind"), Column("name", "name"), Column("change")), listed, foot)


def _told(change: Change) -> str:
    details = [*change.details, *([] if change.moved is None else [change.moved.sentence()])]
    if change.what == "changed":
        return "\n".join(details)
    return ": ".join([change.what, *details])
