"""Units with parallel rows, and what they are together: one unit, two, or nothing.

Units with the pre-activations λ_i·z, the slopes a_i and the columns v_i add up to

    P·z for z >= 0 and N·z for z < 0,   P = Σ λ_i·v_i over λ_i > 0 + Σ λ_i·a_i·v_i over λ_i < 0, N the other way round

one unit of slope a where N = a·P, one Relu unit where a side is nothing, nothing where both are, else two Relu units.
The stored values are roundings, so P and N are known within bounds; what they can be is what they are taken for: there
are real weights, of which the stored ones are correct roundings, for which it is exactly so.
"""

from __future__ import annotations

from dataclasses import dataclass

import ml_dtypes
import numpy as np
from numpy.typing import DTypeLike

from .cells import Indices
from .floats import Array, half_ulp, round_to
from .recovery import shortest

_NEAR = 2  # ulps, in which the slope of the fewest digits is looked for
_WIDER = 1 + 1e-9  # bounds are computed, and rounded themselves


@dataclass(frozen=True)
class Lane:
    """A unit that some become.

    Attributes:
        unit: The unit whose row it takes.
        row: By what the row is multiplied: 1 or −1.
        slope: Its slope.
        members: Units whose columns are added up to its own.
        factors: By what each of these is multiplied.
    """

    unit: int
    row: float
    slope: float
    members: Indices
    factors: Array


def alone(unit: int, slope: float) -> Lane:
    """A unit as it is."""
    return Lane(unit, 1.0, slope, np.array([unit]), np.ones(1))


def merged(members: Indices, scale: Array, slopes: Array, columns: Array, dtype: DTypeLike) -> list[Lane]:
    """The fewest units that parallel ones become.

    Args:
        members: (n,) the units, ascending.
        scale: (n,) of which multiple of one pre-activation z each computes.
        slopes: (n,) their slopes.
        columns: (n, q) their stored columns.
        dtype: The type that columns and slopes are stored in.

    >>> found = merged(np.array([3, 5]), np.array([1.0, 2.0]), np.zeros(2), np.array([[1.0], [0.5]]), np.float32)
    >>> [(lane.unit, lane.slope, lane.factors.tolist()) for lane in found]
    [(3, 0.0, [1.0, 2.0])]
    """
    as_they_are = [alone(int(unit), float(slope)) for unit, slope in zip(members, slopes, strict=True)]
    scale = scale / np.sign(scale[0])  # the earlier unit is the positive side
    facing = scale < 0
    if len(members) == 2 and facing[1] and not np.any(slopes):
        return as_they_are  # they are no pair, or they would have been taken for one
    positive = np.where(facing, scale * slopes, scale)
    negative = np.where(facing, scale, scale * slopes)
    off = half_ulp(columns, dtype) + np.abs(columns) * float(ml_dtypes.finfo(dtype).eps)
    bent = np.abs(scale * half_ulp(slopes, dtype))
    sides = [
        (part @ columns, (np.abs(part) @ off + (bent * mine) @ np.abs(columns)) * _WIDER)
        for part, mine in ((positive, facing), (negative, ~facing))
    ]
    if not all(np.all(np.isfinite(round_to(side, dtype))) for side, _ in sides):
        return as_they_are
    (p, p_off), (n, n_off) = sides
    nothing = np.all(np.abs(p) <= p_off), np.all(np.abs(n) <= n_off)
    if all(nothing):
        return []
    if nothing[1]:
        return [_facing(members, scale, positive, 0.0, 1.0)]
    if nothing[0]:
        return [_facing(members, scale, -negative, 0.0, -1.0)]
    slope = common_slope(p, p_off, n, n_off, dtype, slopes[~facing])
    if slope is not None:
        return [_facing(members, scale, positive, slope, 1.0)]
    if len(members) == 2:
        return as_they_are
    return [_facing(members, scale, positive, 0.0, 1.0), _facing(members, scale, -negative, 0.0, -1.0)]


def same(members: Indices, scale: Array, slopes: Array) -> list[Lane]:
    """What units that compute multiples of one function become where something takes the maximum of each."""
    kinds = np.unique(np.stack([scale < 0, slopes]), axis=1, return_inverse=True)[1].reshape(-1)
    lanes = []
    for kind in np.unique(kinds):
        mine = kinds == kind
        first = scale[mine][0]
        lanes.append(Lane(int(members[mine][0]), 1.0, float(slopes[mine][0]), members[mine], scale[mine] / first))
    return lanes


def _facing(members: Indices, scale: Array, factors: Array, slope: float, side: float) -> Lane:
    """A unit that computes a positive multiple of z, or (side −1) of −z, with the row of the first that does so."""
    alike = np.flatnonzero(scale * side > 0)
    first = alike[0] if alike.size else 0
    counted = factors != 0
    size = abs(scale[first])
    row = 1.0 if alike.size else -1.0
    return Lane(int(members[first]), row, slope, members[counted], factors[counted] / size)


def common_slope(p: Array, p_off: Array, n: Array, n_off: Array, dtype: DTypeLike, first: Array) -> float | None:
    """A slope a with n = a·p for some real numbers within the bounds of both, (q,) each; None where there is none.

    Args:
        p: What is known of the one side.
        p_off: By how much it may be off.
        n: What is known of the other side.
        n_off: By how much that may be off.
        dtype: The type in which the slope is stored.
        first: Slopes to take if they will do; else it is the one with the fewest digits, near the middle of all.
    """
    for slope in first:
        if np.all(np.abs(n - slope * p) <= n_off + abs(slope) * p_off):
            return float(slope)
    middle = float(n @ p / (p @ p))
    sign = 1.0 if middle >= 0 else -1.0
    c = np.concatenate([p + p_off, p_off - p])  # with b = |a|, each bound is c·b >= d
    d = np.concatenate([sign * n - n_off, -sign * n - n_off])
    low = float(np.max(d[c > 0] / c[c > 0], initial=0.0))
    high = float(np.min(d[c < 0] / c[c < 0], initial=np.inf))
    if low > high or np.any(d[c == 0] > 0):
        return None
    near = abs(middle) * _NEAR * float(ml_dtypes.finfo(dtype).eps)
    inside = max(low, abs(middle) - near), min(high, abs(middle) + near)
    found = shortest(*(inside if inside[0] <= inside[1] else (low, high)), dtype)
    return None if found is None else sign * found + 0.0  # no zero below zero
