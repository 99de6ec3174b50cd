"""Where the nodes of a small graph stand in its drawing: in rows from top to bottom, each below what it reads.

An edge that passes rows gets a place in each of them, so that it runs beside the nodes there and not through them.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass

Edge = tuple[int, int]
_Slot = Hashable  # the number of a node, or (edge, row) of an edge that passes a row

_PASS = 24.0  # the width of a place for an edge
_SWEEPS = 4


@dataclass(frozen=True)
class Layout:
    """Places in a drawing.

    Attributes:
        rows: Row of each node, from 0.
        centres: Middle of each node, from the left edge.
        paths: The points that each edge passes between its ends, as row and middle.
        width: Width of all.
    """

    rows: Sequence[int]
    centres: Sequence[float]
    paths: Mapping[Edge, Sequence[tuple[int, float]]]
    width: float


def laid_out(count: int, edges: Sequence[Edge], *, width: float, gap: float) -> Layout:
    """Lay nodes out.

    Args:
        count: How many nodes; they are called by their numbers.
        edges: From which to which; without a cycle.
        width: Of a node.
        gap: Between two places in a row.
    """
    rows = _rows(count, edges)
    order: list[list[_Slot]] = [[] for _ in range(max(rows, default=0) + 1)]
    for node, row in enumerate(rows):
        order[row].append(node)
    chains: dict[Edge, list[_Slot]] = {}
    for edge in edges:
        passed = range(rows[edge[0]] + 1, rows[edge[1]])
        for row in passed:
            order[row].append((edge, row))
        chains[edge] = [edge[0], *((edge, row) for row in passed), edge[1]]
    _untangle(order, chains.values())
    widths = {place: width if isinstance(place, int) else _PASS for row in order for place in row}
    whole = max((sum(widths[place] for place in row) + gap * (len(row) - 1) for row in order), default=width)
    centres: dict[_Slot, float] = {}
    for places in order:
        left = (whole - sum(widths[place] for place in places) - gap * (len(places) - 1)) / 2
        for place in places:
            centres[place] = left + widths[place] / 2
            left += widths[place] + gap
    paths = {
        edge: [(rows[edge[0]] + step, centres[place]) for step, place in enumerate(chain[1:-1], 1)]
        for edge, chain in chains.items()
    }
    return Layout(rows, [centres[node] for node in range(count)], paths, whole)


def _rows(count: int, edges: Sequence[Edge]) -> list[int]:
    """The row of each node: below all that it reads; where it reads none, just above its first reader."""
    rows = [0] * count
    for _ in range(count):
        for start, end in edges:
            rows[end] = max(rows[end], rows[start] + 1)
    reading = {end for _, end in edges}
    for node in range(count):
        below = [rows[end] for start, end in edges if start == node]
        if node not in reading and below:
            rows[node] = min(below) - 1
    return rows


def _untangle(order: list[list[_Slot]], chains: Collection[Sequence[_Slot]]) -> None:
    """Sort each row by where its neighbours in the row above, then below, stand."""
    above: dict[_Slot, list[_Slot]] = {}
    below: dict[_Slot, list[_Slot]] = {}
    for chain in chains:
        for upper, lower in itertools.pairwise(chain):
            above.setdefault(lower, []).append(upper)
            below.setdefault(upper, []).append(lower)
    for sweep in range(_SWEEPS):
        beside, rows = (below, order[::-1]) if sweep % 2 else (above, order)
        for previous, row in itertools.pairwise(rows):
            at = {place: number / len(previous) for number, place in enumerate(previous)}
            own = {place: number / len(row) for number, place in enumerate(row)}
            row.sort(key=lambda place: _middle([at[n] for n in beside.get(place, ()) if n in at], own[place]))


def _middle(places: Sequence[float], otherwise: float) -> float:
    return sum(places) / len(places) if places else otherwise
