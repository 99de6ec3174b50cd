"""The nearest partner of each unit of a Relu layer: with which other one it is most nearly a PReLU unit.

Two units with rows r, s and columns v, w are one PReLU unit where s = −λ·r and w = c·v for some λ > 0 and some c. The
residual of a pair is the larger of two sines, of the angle between s and −r and of that between the lines of w and v:
the share of the one that no λ, or no c, makes of the other. It is the same both ways.

All rows are compared in a few hundred dimensions, which keeps rows parallel that are, and others apart; those that
nearly face each other there are compared as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .cells import Indices, blocks
from .floats import Array, half_ulp

FAR = 0.5
"""A residual from which on two units have nothing to do with each other."""

_SHORT = 512  # dimensions in which all rows are compared
_FACING = -0.6  # a cosine there; that of a residual of FAR is −0.87
_ROWS = 256  # that are compared with all others at once
_FEW = 8  # partners of a unit that are looked at in float64
_BLUR = 2e-3  # what a sine near 0 can be off in float32

_Narrow = NDArray[np.float32]


@dataclass(frozen=True)
class Partners:
    """Pairs of units that are nearly PReLU units, nearest first: of every unit that has a partner, the nearest one.

    Of more than 512 columns, a partner that is nearly :data:`FAR` may be missed; one that is near is not.

    Attributes:
        one: (p,) the earlier unit of each pair.
        other: (p,) the later one.
        residual: (p,) the share that is off, below :data:`FAR`.
        ulps: (p,) by how many ulps stored values of both would have to be off for it to be none; for the λ and c of
            least squares, so it may be somewhat less.
    """

    one: Indices
    other: Indices
    residual: Array
    ulps: Array

    def nearest(self, units: int) -> Indices:
        """(units,) the pair in which each unit is nearest to its partner; −1 for a unit that has none."""
        found = np.full(units, -1, np.intp)
        for side in (self.one, self.other):
            unit, pair = np.unique(side, return_index=True)
            before = found[unit]
            found[unit] = np.where(before < 0, pair, np.minimum(before, pair))
        return found

    def matched(self) -> Indices:
        """The pairs that are left when each unit has one partner: nearest first, whoever is still free."""
        taken: set[int] = set()
        left: list[int] = []
        for pair, both in enumerate(zip(self.one.tolist(), self.other.tolist(), strict=True)):
            if taken.isdisjoint(both):
                taken.update(both)
                left.append(pair)
        return np.asarray(left, np.intp)


def partners(rows: Array, columns: Callable[[], Array], kin: Indices, dtype: DTypeLike) -> Partners:
    """Find the nearest partners of the units of a Relu layer.

    Args:
        rows: (m, k) stored weights of the producer, with the bias appended, one row a unit.
        columns: Gives the (m, q) stored weights of all consumers; they can be many, and are often not needed.
        kin: (m,) only units of the same number can pair.
        dtype: The type they are stored in.

    >>> A, V = np.array([[1.0, 2.0], [3.0, 1.0]]), np.array([[1.0], [2.0]])
    >>> found = partners(np.vstack([A, -2 * A]), lambda: np.vstack([V, V]), np.zeros(4, np.intp), np.float32)
    >>> found.one[:2], found.other[:2], found.residual[:2]
    (array([0, 1]), array([2, 3]), array([0., 0.]))
    """
    pairs = np.concatenate([np.empty((0, 2), np.intp), *_candidates(rows, columns, kin)])
    one, other = np.unique(np.sort(pairs, axis=1), axis=0).T
    (residual, ulps), (sideways, more) = _off(rows, one, other, dtype), (np.zeros(0), np.zeros(0))
    if one.size:
        sideways, more = _off(columns(), one, other, dtype)
    residual, ulps = np.maximum(residual, sideways), np.maximum(ulps, more)
    order = np.lexsort((other, one, residual))
    order = order[residual[order] < FAR]
    return Partners(one[order], other[order], residual[order], ulps[order])


def _candidates(rows: Array, columns: Callable[[], Array], kin: Indices) -> Iterator[Indices]:
    """Pairs (p, 2) among which each unit finds its nearest partner, if it has one."""
    unit = _normalised(rows)
    short = _normalised(_shortened(unit))
    lines: _Narrow | None = None
    for start in range(0, len(rows), _ROWS):
        facing = (short[start : start + _ROWS] @ short.T < _FACING) & (kin[start : start + _ROWS, None] == kin)
        here, there = np.flatnonzero(facing.any(axis=1)), np.flatnonzero(facing.any(axis=0))
        if not here.size:
            continue
        lines = _normalised(columns()) if lines is None else lines
        cosine = unit[start + here] @ unit[there].T
        residual = np.maximum(_sine(cosine), _sine(lines[start + here] @ lines[there].T))
        residual[~facing[np.ix_(here, there)] | (cosine > 0)] = np.inf
        few = np.argpartition(residual, min(_FEW, len(there)) - 1, axis=1)[:, :_FEW]
        least = np.take_along_axis(residual, few, axis=1)
        stays = (least <= np.min(least, axis=1, keepdims=True) + _BLUR) & (least <= FAR + _BLUR)
        yield np.stack([np.broadcast_to(start + here[:, None], few.shape)[stays], there[few[stays]]], axis=1)


def _normalised(rows: NDArray[np.floating]) -> _Narrow:
    """Rows of length 1; of length 0 where that is not possible."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        size = np.linalg.norm(rows, axis=1, keepdims=True)
        known = (size > 0) & np.isfinite(size)
        return np.asarray(np.where(known, rows / np.where(known, size, 1), 0), np.float32)


def _shortened(rows: _Narrow) -> _Narrow:
    """Rows in fewer dimensions: sums of columns with random signs, each column in one of them."""
    m, k = rows.shape
    if k <= _SHORT:
        return rows
    rng = np.random.default_rng(k)
    bounds = np.linspace(0, k, _SHORT, endpoint=False).astype(np.intp)
    order, signs = rng.permutation(k), rng.choice(np.array([-1, 1], np.float32), k)
    found = np.empty((m, _SHORT), np.float32)
    for part in blocks(m, k):
        found[part] = np.add.reduceat((rows[part] * signs)[:, order], bounds, axis=1)
    return found


def _sine(cosine: _Narrow) -> _Narrow:
    return np.asarray(np.sqrt(np.maximum(1 - cosine * cosine, 0)), np.float32)


def _off(vectors: Array, one: Indices, other: Indices, dtype: DTypeLike) -> tuple[Array, Array]:
    """The sine between the lines of each pair of vectors, and its largest entry in ulps."""
    sine, ulps = np.empty(len(one)), np.empty(len(one))
    for part in blocks(len(one), vectors.shape[1]):
        a, b = vectors[one[part]], vectors[other[part]]
        factor = np.sum(a * b, axis=1, keepdims=True) / np.sum(a * a, axis=1, keepdims=True)
        off = np.abs(b - factor * a)
        sine[part] = np.linalg.norm(off, axis=1) / np.linalg.norm(b, axis=1)
        allowed = 2 * (half_ulp(b, dtype) + np.abs(factor) * half_ulp(a, dtype))
        with np.errstate(divide="ignore", invalid="ignore"):
            ulps[part] = np.fmax.reduce(off / allowed, axis=1, initial=0.0)  # 0/0, where both are zero, is none
    return sine, ulps
