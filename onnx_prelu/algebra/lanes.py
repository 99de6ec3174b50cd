"""Wide forms as tables of lanes, which prove themselves.

A lane ``(unit, row, slope, out)`` takes ``row·z`` of its unit, applies PReLU with its slope, and is summed with weight
``out``: ``h_u = Σ out·PReLU_slope(row·z_u)``. The producer takes the rows, the consumers take the outs as columns.

    Gemm(A, b) ─► PRelu(a) ─► Gemm(V)    becomes    Gemm([A; −A], [b; −b]) ─► Relu ─► Gemm([V, −V·a])

The popular formula ``ReLU(x) + ReLU(a·x)`` is right for a <= 0 only; here the sign stands in ``out``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .floats import Array
from .rays import Rays


@dataclass(frozen=True)
class Lanes:
    """A table of m lanes. All arrays have shape (m,).

    Attributes:
        unit: The unit that each lane reads.
        row: The factor on the unit's pre-activation.
        slope: The slope of the lane's own PReLU; 0 is a plain Relu.
        out: The factor on the lane's output.
    """

    unit: NDArray[np.intp]
    row: Array
    slope: Array
    out: Array

    def __len__(self) -> int:
        return len(self.unit)

    def rays(self, units: int) -> Rays:
        """What the lanes of each of ``units`` units add up to.

        >>> split(np.array([0.25, -3.0])).rays(2).neg
        array([ 0.25, -3.  ])
        """
        pos, neg = np.zeros(units), np.zeros(units)
        np.add.at(pos, self.unit, self.out * np.where(self.row >= 0, self.row, self.slope * self.row))
        np.add.at(neg, self.unit, self.out * np.where(self.row >= 0, self.slope * self.row, self.row))
        return Rays(pos, neg)

    def first(self) -> NDArray[np.intp]:
        """The first lane of each unit, (n,).

        >>> split(np.array([0.25, -3.0]), groups=2).first()
        array([0, 2])
        """
        return np.unique(self.unit, return_index=True)[1]

    def by_unit(self) -> Lanes:
        """The same lanes with those of each unit next to each other: however units are grouped, so are their lanes.

        >>> tied(np.array([0.25, -3.0])).by_unit().out
        array([ 1.  , -0.25,  1.  ,  3.  ])
        """
        order = np.argsort(self.unit, kind="stable")
        return Lanes(self.unit[order], self.row[order], self.slope[order], self.out[order])

    def bearing(self) -> Array:
        """By what something that is added behind the activation is multiplied on each lane, to be summed to itself.

        That is 1 on a unit's first lane and 0 on the others, where the first lane's out is 1; where the outs of a unit
        add up to 1, as those of concat do, it is 1 on every lane. A unit's only lane bears it divided by its out.
        """
        first = self.first()
        if len(first) == len(self):
            return 1 / self.out
        if np.all(self.out[first] == 1):
            result = np.zeros(len(self))
            result[first] = 1
            return result
        assert np.allclose(np.bincount(self.unit, self.out) - 1, 0, atol=1e-12 * max(1, np.max(np.abs(self.out))))
        return np.ones(len(self))


def split(a: Array, in_producer: NDArray[np.bool_] | None = None, groups: int = 1) -> Lanes:
    """Two Relu lanes a unit, one for a unit of slope 0: first all positive lanes, then the negative ones.

    With the slope in the consumer a unit has the lanes (1, 0, 1) and (−1, 0, −a); with the slope in the producer
    (1, 0, 1) and (−|a|, 0, −sgn a).

    Where the layers around are grouped, the lanes of each group stay together, first its positive ones, and each group
    has equally many: where units of slope 0 would break that, they get a second lane too, (−1, 0, −0).

    Args:
        a: The slopes, (n,).
        in_producer: Where the slope goes into the producer's rows; nowhere by default.
        groups: In how many equal groups of neighbours the units stand.

    >>> split(np.array([0.25, 0.0, -3.0])).row
    array([ 1.,  1.,  1., -1., -1.])
    >>> split(np.array([0.25, 0.0, -3.0, 1.0]), groups=2).unit
    array([0, 1, 0, 1, 2, 3, 2, 3])
    """
    n = len(a)
    twice = a != 0
    in_group = twice.reshape(groups, -1).sum(axis=1)
    if np.any(in_group != in_group[0]):
        twice = np.ones(n, bool)
    second = np.flatnonzero(twice)
    slopes = a[second]
    inside = (np.zeros(n, bool) if in_producer is None else in_producer & (a != 0))[second]
    unit = np.concatenate([np.arange(n), second])
    order = np.argsort(unit // (n // groups), kind="stable")
    return Lanes(
        unit=unit[order],
        row=np.concatenate([np.ones(n), np.where(inside, -np.abs(slopes), -1.0)])[order],
        slope=np.zeros(n + len(second)),
        out=np.concatenate([np.ones(n), np.where(inside, -np.sign(slopes), -slopes)])[order],
    )


def concat(a: Array) -> Lanes:
    """Two lanes a unit: z itself, (1, 1, a), then its Relu, (1, 0, 1−a); first all of the one kind, then of the other.

    ``1−a`` is a float64, rounded with the column that it multiplies.

    >>> concat(np.array([0.25, -3.0])).out
    array([ 0.25, -3.  ,  0.75,  4.  ])
    """
    n = len(a)
    return Lanes(np.tile(np.arange(n), 2), np.ones(2 * n), np.repeat([1.0, 0.0], n), np.concatenate([a, 1 - a]))


def tied(a: Array) -> Lanes:
    """Two Relu lanes a unit whatever its slope, (1, 0, 1) and (−1, 0, −a); first all positive ones, then the negative.

    >>> tied(np.array([0.25, 0.0])).row
    array([ 1.,  1., -1., -1.])
    """
    n = len(a)
    ones = np.ones(n)
    return Lanes(np.tile(np.arange(n), 2), np.concatenate([ones, -ones]), np.zeros(2 * n), np.concatenate([ones, -a]))


def kept(units: NDArray[np.intp], a: Array) -> Lanes:
    """One PReLU lane for each unit that a fold keeps: (1, a, 1)."""
    ones = np.ones(len(units))
    return Lanes(np.asarray(units), ones, np.asarray(a, np.float64), ones)


def padded(units: int, lanes: int) -> Lanes:
    """One linear lane for each unit, (1, 1, 1), and behind them lanes of nothing, (0, 1, 0), up to so many.

    >>> padded(2, 4).rays(2).neg
    array([1., 1.])
    """
    unit = np.zeros(lanes, np.intp)
    unit[:units] = np.arange(units)
    there = (np.arange(lanes) < units).astype(np.float64)
    return Lanes(unit, there, np.ones(lanes), there)


def scaled(row: Array, out: Array) -> Lanes:
    """One lane a unit whose activation is a form's own: ``row·z`` goes in, what comes out times ``out`` is PReLU of z.

    The form keeps both factors out of the slopes, which are not told here.

    >>> scaled(np.array([0.5, 2.0]), np.ones(2)).bearing()
    array([1., 1.])
    """
    return Lanes(np.arange(len(row)), row, np.zeros(len(row)), out)
