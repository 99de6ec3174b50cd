"""What is proven of units, and what data say of them, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .tables import Column, Table

if TYPE_CHECKING:
    from ..passes.stable import Proven, Units


def units_table(layers: Sequence[Units]) -> Table:
    """A row for each activation, a column for each way to find bounds, and one for the data where there are some."""
    tiers = [each.tier for each in layers[0].proven]
    told = any(each.silent is not None for each in layers)
    columns = [Column("layer", "name"), Column("op", "name"), Column("units", "number"), *map(Column, tiers)]
    rows = tuple(
        (
            each.node,
            each.op,
            f"{each.units:,}",
            *(_counts([one]) for one in each.proven),
            *([_silent(each.silent)] if told else []),
        )
        for each in layers
    )
    counts = [f"{tier} proves {_counts([each.proven[number] for each in layers])}" for number, tier in enumerate(tiers)]
    foot = f"of {sum(each.units for each in layers):,} units, {'; '.join(counts)}"
    return Table("Units", (*columns, *([Column("on the data")] if told else [])), rows, foot)


def _counts(proven: Sequence[Proven]) -> str:
    """How many units are decided, as ``3 dead, 1 always on``."""
    counts = {
        "dead": sum(each.dead for each in proven),
        "always on": sum(each.on for each in proven),
        "always below 0": sum(each.negative for each in proven),
    }
    return ", ".join(f"{count:,} {what}" for what, count in counts.items() if count) or "none"


def _silent(count: int | None) -> str:
    if count is None:
        return "not seen"
    return f"{count:,} silent" if count else "none silent"
