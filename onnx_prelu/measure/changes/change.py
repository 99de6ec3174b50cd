"""A change of a model, as data, and the list of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from .moved import Moved

Kind = Literal["model", "opset", "metadata", "input", "output", "function", "node", "initializer", "type"]
What = Literal["added", "removed", "changed"]


@dataclass(frozen=True)
class Change:
    """One thing that is not the same in both models.

    Attributes:
        kind: What it is: a field of the ``"model"``, an imported ``"opset"``, an entry of the ``"metadata"``, an
            ``"input"`` or ``"output"``, a ``"function"``, a ``"node"``, an ``"initializer"``, or the ``"type"`` that is
            declared of a tensor inside.
        name: Its name, after the path of the body in which it stands: ``"if0/then_branch/act"``.
        what: Whether the second model has it besides, lacks it, or has it otherwise.
        details: What it is, or what changed of it, in words.
        moved: How far the values moved, where values of one shape did.
    """

    kind: Kind
    name: str
    what: What
    details: tuple[str, ...] = ()
    moved: Moved | None = None


@dataclass(frozen=True)
class Diff:
    """What changed from one model to another.

    Attributes:
        changes: Each change, in the order of the first model, what was added behind it.
        unchanged: How many things of each kind are the same in both.
    """

    changes: tuple[Change, ...] = ()
    unchanged: dict[Kind, int] = field(default_factory=dict)

    @property
    def same(self) -> bool:
        """Whether nothing changed."""
        return not self.changes

    def counts(self) -> dict[Kind, dict[str, int]]:
        """For each kind, how many were added, removed and changed, and how many are the same."""
        found = Counter((change.kind, change.what) for change in self.changes)
        kinds: dict[Kind, None] = dict.fromkeys([*(change.kind for change in self.changes), *self.unchanged])
        told: tuple[What, ...] = ("added", "removed", "changed")
        return {
            kind: {**{what: found[kind, what] for what in told}, "unchanged": self.unchanged.get(kind, 0)}
            for kind in kinds
        }

    def to_dict(self) -> dict[str, Any]:
        """The attributes as a dict of plain values, with the counts; numbers may be infinite."""
        return {"same": self.same, "counts": self.counts(), "changes": [asdict(change) for change in self.changes]}


class Ledger:
    """Changes as they are found."""

    def __init__(self) -> None:
        self._changes: list[Change] = []
        self._unchanged: Counter[Kind] = Counter()

    def both(self, kind: Kind, name: str, details: Sequence[str], moved: Moved | None = None) -> None:
        """Note something that both models have: changed, if anything is said of it."""
        if details or moved is not None:
            self._changes.append(Change(kind, name, "changed", tuple(details), moved))
        else:
            self._unchanged[kind] += 1

    def one(self, kind: Kind, name: str, what: What, *details: str) -> None:
        """Note something that one of them has."""
        self._changes.append(Change(kind, name, what, details))

    def diff(self) -> Diff:
        """All of it."""
        return Diff(tuple(self._changes), dict(self._unchanged))
