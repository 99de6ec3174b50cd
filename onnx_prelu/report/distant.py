"""How far Relu layers are from PReLU layers, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import words
from .tables import Column, Table

if TYPE_CHECKING:
    from ..passes.distance import Distance, Extent, Saving

_LISTED = 20


def distance_table(distances: Sequence[Distance]) -> Table:
    """One row a layer; of many layers, those that a fold would save most of."""
    columns = (
        Column("layer", "name"),
        *(Column(title, "number") for title in ("units", "pairs", "near")),
        *(Column(title, "number") for title in ("off", "ulps")),
        Column("pairs would save"),
    )
    listed = sorted(distances, key=lambda each: -saved_at_most(each).parameters)[:_LISTED]
    rows = tuple(_row(each) for each in distances if each in listed)
    foot = (
        "off, ulps: between a unit and the nearest one that faces it, the median of the units that have one; what "
        "pairs save is of the parameters around the layer, slopes counted, and what else a fold finds comes on top"
    )
    if len(distances) > _LISTED:
        foot += f"; {len(distances) - _LISTED:,} more layers with --json"
    return Table("Relu layers: the distance from PReLU", columns, rows, foot)


def saved_at_most(distance: Distance) -> Saving:
    """What a fold would save at the largest tolerance that was asked about."""
    return distance.curve[-1]


def savings(distance: Distance) -> str:
    """What a fold would save by tolerance, in words; tolerances that save the same are told once."""
    parts: list[str] = []
    before = 0
    for saving in distance.curve:
        if saving.pairs != before:
            share = words.percent(saving.parameters / distance.parameters)
            where = f"at {saving.tolerance:g}" if saving.tolerance else "as it is"
            parts.append(f"{share} {where}")
            before = saving.pairs
    return ", ".join(parts) or f"nothing at {saved_at_most(distance).tolerance:g}"


def _row(distance: Distance) -> tuple[str, ...]:
    counts = (f"{count:,}" for count in (distance.units, distance.pairs, distance.near))
    return distance.node, *counts, _median(distance.residual), _median(distance.ulps), savings(distance)


def _median(extent: Extent | None) -> str:
    return "" if extent is None else words.number(extent.median)
