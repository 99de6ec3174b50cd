"""What stands around inspected sites, and what each form would cost there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from . import words
from .tables import Column, Table

if TYPE_CHECKING:
    from ..passes.choice import Choice
    from ..passes.neighbours import Neighbour

_COSTS = (
    ("nodes", "nodes", words.amount),
    ("parameters", "parameters", words.amount),
    ("weight bytes", "weight_bytes", words.size),
    ("MACs", "macs", words.amount),
)
_NUMBERS = tuple(Column(title, "number") for title, _, _ in _COSTS)


def sites_around(sites: Sequence[Choice]) -> Iterator[Table]:
    """The neighbours of each site, then what each form that it can take would change of the model."""
    rows = tuple(
        (site.node, _named([site.producer] if site.producer else ()), _named(site.consumers)) for site in sites
    )
    if any(any(row[1:]) for row in rows):
        yield Table("Neighbours", (Column("site", "name"), Column("made by", "name"), Column("read by", "name")), rows)
    costs = tuple(("" if number else site.node, *row) for site in sites for number, row in enumerate(_predicted(site)))
    if costs:
        foot = "of the whole model, if one site alone took the form"
        yield Table("Predicted changes", (Column("site", "name"), Column("form"), *_NUMBERS), costs, foot)


def _named(neighbours: Sequence[Neighbour]) -> str:
    return ", ".join(f"{each.op} {each.node}" for each in neighbours)


def _predicted(site: Choice) -> Iterator[tuple[str, ...]]:
    """One row for the forms of equal changes."""
    forms: dict[tuple[str, ...], list[str]] = {}
    for form, change in site.predicted.items():
        told = tuple(words.growth(change[key], say=say) for _, key, say in _COSTS)
        forms.setdefault(told, []).append(form)
    for told, names in forms.items():
        yield ", ".join(names), *told
