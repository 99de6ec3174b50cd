"""Fewer units that compute the same: pairs undone, parallel rows merged, what counts for nothing left out.

    Gemm([A; 2A; −A; B; 0], [b; 2b; −b; c; d]) ─► Relu ─► Gemm([U, V, −0.5·(U + 2V), 0, W], e)
    becomes    Gemm(A, b) ─► PRelu(0.5) ─► Gemm(U + 2V, e + W·Relu(d))

Pairs of which one float reproduces every stored value are undone first, in order: so what a split made comes back as it
was, and is then reduced as it would have been. The order of the units that stay is the order before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .cells import Indices
from .floats import Array, is_normal
from .grouping import Groups, groups, opposite_pairs
from .lanes import Lanes
from .merging import Lane, alone, merged, same
from .recovery import fold_pairs

Mask = NDArray[np.bool_]

_COUNTS = ("paired", "merged", "dropped", "rounded", "loose", "given_up", "approximate")
_FACTOR_BITS = 29  # times a float32 it is exact in float64; times a float64, nothing is


@dataclass(frozen=True)
class Units:
    """The units of an activation between linear layers.

    Attributes:
        rows: (m, k) stored weights that scale with each unit, its bias among them.
        columns: Gives the (m, q) stored weights of all that reads it; they can be many, and are not always needed.
        slopes: (m,) 0 for a Relu unit.
        dtype: The type that all of these are stored in.
        kin: (m,) only units of the same number can become one.
        group: (m,) in which group of its layers each unit stands, ascending; every group keeps equally many.
        unread: (m,) units whose columns are zero.
        idle: (m,) units that are never above 0, whatever the input: with slope 0 they count for nothing.
        fixed: (m,) other units that stay as they are.
        constant: (m,) units that do not depend on the input, and that their readers can do without.
        maxima: Whether something behind takes maxima of each unit: only multiples of one function can be merged then.
    """

    rows: Array
    columns: Callable[[], Array]
    slopes: Array
    dtype: DTypeLike
    kin: Indices
    group: Indices
    unread: Mask
    idle: Mask
    fixed: Mask
    constant: Mask
    maxima: bool = False


@dataclass(frozen=True)
class Sums:
    """Columns that are added up, as e entries: column[lane] = Σ factor·column[unit]. All arrays have shape (e,).

    Attributes:
        lane: The new column, ascending.
        unit: An old column that is part of it.
        factor: By what it is multiplied: so few bits that the product with a float32 is exact in float64.
    """

    lane: Indices
    unit: Indices
    factor: Array

    def of(self, columns: Array, lanes: int) -> Array:
        """(lanes, q): the new columns, each sum as if in twice the precision; what is only taken keeps every bit.

        >>> Sums(np.array([0, 1, 1]), np.array([2, 0, 1]), np.array([1.0, 1.0, 0.5])).of(np.array([[2.0], [4], [7]]), 2)
        array([[7.],
               [4.]])
        """
        total = np.zeros((lanes, columns.shape[1]))
        lost = np.zeros_like(total)
        starts = np.searchsorted(self.lane, self.lane)
        turns = np.arange(len(self.lane)) - starts
        for turn in range(int(turns.max(initial=-1)) + 1):
            lane, unit, factor = (part[turns == turn] for part in (self.lane, self.unit, self.factor))
            term = columns[unit] * factor[:, None]
            if turn:
                before = total[lane]
                total[lane] = before + term
                grown = total[lane] - before
                lost[lane] += (before - (total[lane] - grown)) + (term - grown)
            else:
                total[lane] = term
        return np.where(lost == 0, total, total + lost)

    def only_takes(self, lanes: Lanes) -> bool:
        """True if the column of every lane is that of the unit whose row it takes, as it is."""
        return np.array_equal(self.lane, np.arange(len(lanes))) and bool(
            np.all(self.unit == lanes.unit) and np.all(self.factor == 1)
        )


@dataclass(frozen=True)
class Reduced:
    """What a layer's m units become.

    Attributes:
        lanes: (k,) the unit whose row each new unit takes, as it is or negated, and its slope.
        sums: Of which columns each new unit's is made.
        direction: (m,) of which direction each unit is a multiple, of those that stay; −1 where it is of none.
        scale: (m,) of which multiple: unit i computes scale[i]·z of its direction, lane l row[l]·scale[unit[l]]·z.
        constant: (c,) units that went for what they are whatever the input.
        constant_slope: (c,) their slopes.
        paired: How many units went as the negative side of another one.
        merged: How many went into parallel ones.
        dropped: How many counted for nothing.
        rounded: How many slopes of pairs are right up to rounding of the stored weights only.
        ulps: By how many ulps stored weights of pairs are off at most, for them to be PReLUs.
        loose: How many slopes of pairs are one of several floats that would do.
        given_up: How many units nobody compared with all others: that would have taken too long.
        approximate: How many pairs are PReLUs up to a tolerance only.
    """

    lanes: Lanes
    sums: Sums
    direction: Indices
    scale: Array
    constant: Indices = field(default_factory=lambda: np.empty(0, np.intp))
    constant_slope: Array = field(default_factory=lambda: np.empty(0))
    paired: int = 0
    merged: int = 0
    dropped: int = 0
    rounded: int = 0
    ulps: float = 0.0
    loose: int = 0
    given_up: int = 0
    approximate: int = 0

    @property
    def changed(self) -> bool:
        """Whether there was a unit that could go, though another may have to count for nothing in its place."""
        return bool(self.paired or self.merged or self.dropped or len(self.constant))

    def then(self, later: Reduced) -> Reduced:
        """What the units become if this is what they become, and then their lanes what the other one says.

        Counts are those of both. Columns of sums were rounded in between.
        """
        own = np.flatnonzero(self.direction[self.lanes.unit] >= 0)
        own = own[np.argsort(later.direction[own] >= 0, kind="stable")]
        lane = np.full(self.direction.max(initial=-1) + 1, -1)
        lane[self.direction[self.lanes.unit[own]]] = own  # one of each direction, that stays if any does
        through = np.where(self.direction < 0, -1, np.append(lane, -1)[self.direction])
        size = self.lanes.row * self.scale[self.lanes.unit]
        direction = np.where(through < 0, -1, later.direction[through])
        direction = np.where(direction < 0, -1, np.searchsorted(np.setdiff1d(direction, [-1]), direction))
        unit = self.lanes.unit
        parts = [np.flatnonzero(self.sums.lane == each) for each in later.sums.unit]
        inner = np.concatenate([np.empty(0, np.intp), *parts])
        counts = [len(part) for part in parts]
        return Reduced(
            Lanes(
                unit[later.lanes.unit],
                self.lanes.row[later.lanes.unit] * later.lanes.row,
                later.lanes.slope,
                later.lanes.out,
            ),
            Sums(
                np.repeat(later.sums.lane, counts),
                self.sums.unit[inner],
                np.repeat(later.sums.factor, counts) * self.sums.factor[inner],
            ),
            direction,
            np.where(direction < 0, self.scale, self.scale / size[through] * later.scale[through]),
            np.concatenate([self.constant, unit[later.constant]]),
            np.concatenate([self.constant_slope, later.constant_slope]),
            **{name: getattr(self, name) + getattr(later, name) for name in _COUNTS},
            ulps=max(self.ulps, later.ulps),
        )


def reduced(units: Units) -> Reduced:
    """What the units of a layer become: no more than before; where as many, nothing could be done.

    >>> rows = np.array([[1.0, 2.0], [2.0, 4.0], [3.0, -1.0], [-3.0, 1.0]])
    >>> columns = np.array([[1.0, 2.0], [1.0, -1.0], [4.0, 2.0], [-1.0, -0.5]])
    >>> free, alike = np.zeros(4, bool), np.zeros(4, np.intp)
    >>> found = reduced(Units(rows, lambda: columns, np.zeros(4), np.float32, alike, alike, free, free, free, free))
    >>> found.lanes.unit, found.lanes.slope
    (array([0, 2]), array([0.  , 0.25]))
    >>> found.sums.of(columns, 2)
    array([[3., 0.],
           [4., 2.]])
    """
    m, columns = len(units.rows), cache(units.columns)
    pairs, first, second = _pairs(units, columns)
    there, slopes = np.ones(m, bool), np.array(units.slopes, np.float64)
    there[second], slopes[first] = False, pairs.slope
    dead = there & (units.unread | (units.idle & (slopes == 0)))
    constant = there & units.constant & ~dead
    direction, given_up = _directions(units, first, second)
    lanes: list[Lane] = []
    whole = np.ones(len(first), bool)  # pairs that are told as such
    for members in _together(np.flatnonzero(there & ~dead & ~constant), direction.leader):
        if len(members) == 1 or units.maxima:
            lanes += same(members, direction.scale[members], slopes[members])
            continue
        apart = ~pairs.determined & np.isin(first, members) & (direction.leader[second] == direction.leader[first])
        raw, bent = np.union1d(members, second[apart]), slopes.copy()
        bent[first[apart]] = 0  # what is stored says more than any one of the slopes that would do
        found = merged(raw, direction.scale[raw], bent[raw], columns()[raw], units.dtype)
        if len(found) < len(members):
            whole &= ~apart
            lanes += found
        else:
            lanes += [alone(int(unit), float(slopes[unit])) for unit in members]
    nothing = dead | constant
    nothing[second] = nothing[first]
    gone = int(np.sum(whole)) + int(np.sum(dead)) + int(np.sum(constant))
    return _collected(
        lanes,
        units.group,
        np.where(nothing, -1, direction.leader),
        direction.scale,
        units.dtype,
        constant=np.flatnonzero(constant),
        constant_slope=slopes[constant],
        paired=int(np.sum(whole)),
        merged=m - gone - len(lanes),
        dropped=int(np.sum(dead)),
        rounded=int(np.sum(whole & (pairs.ulps > 0))),
        ulps=float(np.max(pairs.ulps[whole], initial=0.0)),
        loose=int(np.sum(~pairs.determined)),
        given_up=given_up,
    )


@dataclass(frozen=True)
class _Found:
    """Pairs, an entry each: their slopes, whether these are the only floats that do, and how many ulps are left."""

    slope: Array
    determined: Mask
    ulps: Array


def _pairs(units: Units, columns: Callable[[], Array]) -> tuple[_Found, Indices, Indices]:
    """The pairs among plain Relu units, and which units are the first and the second of each."""
    bent = np.flatnonzero(units.slopes == 0) if not units.maxima else np.empty(0, np.intp)
    if next(opposite_pairs(units.rows[bent], np.empty((len(bent), 0)), units.kin[bent], units.dtype), None) is None:
        bent = bent[:0]  # most layers
    read = columns()[bent] if bent.size else np.empty((0, 1))
    pairs = fold_pairs(units.rows[bent], read, units.dtype, units.kin[bent], units.fixed[bent])
    found = pairs.partner >= 0
    told = _Found(pairs.slope[found] + 0.0, pairs.determined[found], pairs.ulps[found])
    return told, bent[pairs.keep[found]], bent[pairs.partner[found]]


def _directions(units: Units, first: Indices, second: Indices) -> tuple[Groups, int]:
    """Of which unit each is a multiple: of the first one parallel to it, or to the unit that it is a pair with.

    Returns:
        That, and how many units were not compared with all others.
    """
    found = groups(units.rows, units.dtype, _kin(units))
    leader, scale = found.leader.copy(), found.scale.copy()
    apart = leader[second] != leader[first]
    one, two = first[apart], second[apart]
    size = [np.linalg.norm(units.rows[each], axis=1) for each in (one, two)]
    leader[two] = leader[one]
    scale[two] = -np.divide(size[1], size[0], out=np.ones(len(one)), where=size[0] > 0) * scale[one]
    return replace(found, leader=leader, scale=scale), len(found.given_up)


def _kin(units: Units) -> Indices:
    """The same numbers, but that a unit has one of its own if it is fixed, or if its row has lost bits as denormals."""
    kin, own = units.kin.copy(), units.fixed | ~np.all(is_normal(units.rows, units.dtype), axis=1)
    kin[own] = kin.max(initial=0) + 1 + np.flatnonzero(own)
    return kin


def _together(going: Indices, leader: Indices) -> list[Indices]:
    """The units of each group of parallel ones, ascending."""
    order = np.argsort(leader[going], kind="stable")
    starts = np.flatnonzero(np.diff(leader[going][order])) + 1
    return [members for members in np.split(going[order], starts) if members.size]


def _fillers(lanes: Sequence[Lane], group: Indices) -> Iterator[Lane]:
    """Units that count for nothing, so that every group keeps equally many, and at least one."""
    held = np.bincount(group[[lane.unit for lane in lanes]], minlength=int(group.max(initial=-1)) + 1)
    for number, missing in enumerate(max(1, held.max(initial=0)) - held):
        unit = int(np.searchsorted(group, number))
        yield from [Lane(unit, 1.0, 0.0, np.empty(0, np.intp), np.empty(0))] * int(missing)


def _in_bits(values: Array, bits: int) -> Array:
    """The numbers of so many bits that are nearest."""
    fraction, exponent = np.frexp(values)
    near: Array = np.ldexp(np.rint(np.ldexp(fraction, bits)), exponent - bits)
    return near


def _collected(
    lanes: Sequence[Lane], group: Indices, root: Indices, scale: Array, dtype: DTypeLike, **told: Any
) -> Reduced:
    """What units become, as tables; root says by a unit's index of which direction each is a multiple, −1 of none."""
    lanes = sorted([*lanes, *_fillers(lanes, group)], key=lambda lane: lane.unit)
    factors = np.concatenate([np.empty(0), *(lane.factors for lane in lanes)])
    if np.dtype(dtype).itemsize < np.dtype(np.float64).itemsize:
        factors = _in_bits(factors, _FACTOR_BITS)
    table = Lanes(
        unit=np.array([lane.unit for lane in lanes], np.intp),
        row=np.array([lane.row for lane in lanes]),
        slope=np.array([lane.slope for lane in lanes]),
        out=np.ones(len(lanes)),
    )
    members = np.concatenate([np.empty(0, np.intp), *(lane.members for lane in lanes)])
    sums = Sums(np.repeat(np.arange(len(lanes)), [len(lane.members) for lane in lanes]), members, factors)
    kept = np.setdiff1d(root[table.unit], [-1])
    direction = np.where(np.isin(root, kept), np.searchsorted(kept, root), -1)
    return Reduced(table, sums, direction, scale, **told)
