"""Parallel rows without a free tolerance, and the pairs of a fold.

Two stored rows are parallel if some real row r and some real λ exist such that the one is a correct rounding of r and
the other of λ·r. That is so if their zeros stand in the same places, their signs agree up to one global flip, and the
intervals ``[(|r'|−h')/(|r|+h), (|r'|+h')/(|r|−h)]`` (h half an ulp) of all nonzero components share a point. Comparing
for equality after normalising finds almost nothing, and a bare tolerance accepts rows that are not parallel.

Weights that were split, then scaled, were rounded more than once; with h up to :data:`ROUNDING_ULPS` ulps they are
still taken, as a pair of the class *rounding*.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .cells import Indices, Sketch, blocks, meetings, near, shared, sketch, vague
from .floats import Array, half_ulp, is_integer

CORRECT_ULPS, ROUNDING_ULPS = 0.5, 4.0  # how far a stored value may be off, in the classes exact and rounding
_BLUR = 3 * 2.0**-53  # what computing an end of an interval in float64 can be off: it must not cut a stored float64
_AT_ONCE = 1 << 21  # pairs of rows that are held together
_FEW = 32  # columns that are compared first
_ENOUGH, _ALWAYS = 4, 1 << 28  # elements that are compared before rows are given up: times those there are, and more


def ratio_intervals(base: Array, others: Array, dtype: DTypeLike, ulps: float = CORRECT_ULPS) -> tuple[Array, Array]:
    """For each row of ``others``, the interval of positive ratios |other|/|base| that roundings allow.

    Args:
        base: One stored row, (k,); or one for each row of ``others``, (m, k).
        others: Stored rows, (m, k), with the zeros of ``base``.
        dtype: The type they are stored in.
        ulps: How far a stored value may be off its real one; 0.5 is a correct rounding.

    Returns:
        low and high, (m,) each; low > high where there is no such ratio. A row of zeros allows all ratios. Of a row
        that is not finite nothing is known, and it allows none.
    """
    b, o = np.abs(base), np.abs(others)
    blur = 0.0 if is_integer(dtype) else _BLUR
    hb, ho = 2 * ulps * half_ulp(b, dtype), 2 * ulps * half_ulp(o, dtype)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # 0/0, where both are zero, says nothing: fmax and fmin pass it over
        low = np.fmax.reduce((o - ho) / (b + hb), axis=-1, initial=0.0) * (1 - blur)
        high = np.fmin.reduce((o + ho) / np.maximum(b - hb, 0.0), axis=-1, initial=np.inf) * (1 + blur)
    finite = np.all(np.isfinite(b), axis=-1) & np.all(np.isfinite(o), axis=-1)
    return np.where(finite, low, 1.0), np.where(finite, high, 0.0)


def opposite_pairs(rows: Array, columns: Array, kin: Indices, dtype: DTypeLike) -> Iterator[tuple[int, Indices]]:
    """Candidates for the negative side of each unit: ``(later unit, earlier units whose row points the other way)``.

    First come the exact pairs, in which one row is the other negated bit for bit, then those with any positive
    scale, of which stored values may be off by :data:`ROUNDING_ULPS`; each time by ascending index. None is left out:
    rows meet in the cells of :mod:`~onnx_prelu.algebra.cells`, and one without cells is compared with all of its kind.

    Args:
        rows: (m, k) stored weights with the bias appended.
        columns: (m, q) stored outgoing columns; their zero pattern has to match.
        kin: (m,) only units of the same number can pair.
        dtype: The type they are stored in.
    """
    if not rows.size:
        return
    columns_zero = np.packbits(columns == 0, axis=1)
    exact: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for j, row in enumerate(rows):
        key = int(kin[j]), (-row).tobytes()
        if exact.get(key):
            yield j, np.asarray(exact[key])
        exact[int(kin[j]), row.tobytes()].append(j)

    alike = np.unique(columns_zero, axis=0, return_inverse=True)[1].reshape(-1)
    kin = np.unique(np.stack([kin, alike]), axis=1, return_inverse=True)[1].reshape(-1)
    whole = sketch(rows, dtype, kin, ROUNDING_ULPS)
    seen, unclear = vague(whole)
    found = [np.empty((2, 0), np.intp)]
    for one, other in (*_earlier(*meetings(seen)), *_alike(whole, unclear)):
        facing = whole.flipped[one] != whole.flipped[other]
        one, other = one[facing], other[facing]
        low, high = _ratios(rows, one, other, dtype, ROUNDING_ULPS)
        found.append(np.stack([other, one])[:, low <= high])
    later, earlier = np.unique(np.concatenate(found, axis=1), axis=1)
    starts = np.flatnonzero(np.diff(later, prepend=-1))
    for start, candidates in zip(starts, np.split(earlier, starts[1:]), strict=False):
        yield int(later[start]), candidates


def _earlier(cell: Indices, row: Indices) -> Iterator[tuple[Indices, Indices]]:
    """Each entry with all before it in its cell, as two arrays of rows, some millions at a time."""
    starts = np.flatnonzero(np.diff(cell, prepend=-1))
    first = np.repeat(starts, np.diff(starts, append=row.size))
    before = np.arange(row.size) - first
    turn = np.cumsum(before) // _AT_ONCE
    for part in np.split(np.arange(row.size), np.flatnonzero(np.diff(turn)) + 1):
        count = before[part]
        place = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
        yield row[np.repeat(first[part], count) + place], np.repeat(row[part], count)


def _alike(seen: Sketch, rows: Indices) -> Iterator[tuple[Indices, Indices]]:
    """Each of some rows with all others of its kind, the earlier one first."""
    for row in rows:
        others = np.flatnonzero(seen.kind == seen.kind[row])
        others = others[others != row]
        yield np.minimum(others, row), np.maximum(others, row)


@dataclass(frozen=True)
class Groups:
    """Rows by direction, of either sign.

    A leader is no multiple of any leader before it, and leads itself. Every other row is ``scale`` times its leader,
    up to the roundings of both, and stands behind it. Rows of zeros, and rows that are not finite, lead themselves.

    Attributes:
        leader: (m,) for each row, the index of its leader.
        scale: (m,) each row over its leader; negative where it points the other way. Of the numbers that roundings
            allow it has the fewest bits, so copies are at 1, −1 or a power of two. 1 for a leader.
        given_up: Rows, ascending, of which it would take too long to know whether they have a leader: they lead
            themselves.
    """

    leader: Indices
    scale: Array
    given_up: Indices


def groups(rows: NDArray[Any], dtype: DTypeLike, kin: Indices | None = None, ulps: float = CORRECT_ULPS) -> Groups:
    """Group parallel rows, by what :func:`ratio_intervals` calls parallel, as if all were compared in order of index.

    Args:
        rows: (m, k) stored weights, one row a unit, the bias appended; as float64, or as numbers of ``dtype`` itself.
        dtype: The type they are stored in.
        kin: (m,) only rows of the same number are grouped; all by default.
        ulps: How far a stored value may be off its real one.

    Returns:
        The groups. Time and memory grow with the size of ``rows``: a row is compared with others only where their
        zeros, signs and keys are equal (see :mod:`~onnx_prelu.algebra.cells`), and what still meets too many others
        is given up.

    >>> groups(np.array([[1.0, 2.0], [3.0, 1.0], [-2.0, -4.0], [0.0, 0.0]]), np.float32).scale
    array([ 1.,  1., -2.,  1.])
    """
    m, k = rows.shape
    leader, scale = np.arange(m), np.ones(m)
    if not m or not k:
        return Groups(leader, scale, np.empty(0, np.intp))
    kin = np.zeros(m, np.intp) if kin is None else np.unique(kin, return_inverse=True)[1]
    seen, unclear = vague(sketch(rows, dtype, kin, ulps))
    cell, row = meetings(seen)
    left = _ENOUGH * m * k + _ALWAYS  # elements that may be compared
    while row.size:
        starts = np.flatnonzero(np.diff(cell, prepend=-1))
        first = np.repeat(row[starts], np.diff(starts, append=row.size))
        leads = np.bincount(row[first == row], minlength=m) == np.bincount(row, minlength=m)  # the first wherever it is
        asked = leads[first] & (first != row)
        one, other = np.divmod(np.unique(first[asked] * m + row[asked]), m)
        met = near(seen, one, other)
        one, other = one[met], other[met]
        left -= one.size * k
        if left < 0:
            unclear = np.union1d(unclear, row)
            break
        low, high = _ratios(rows, one, other, dtype, ulps)
        parallel = low <= high
        follower, at = np.unique(other[parallel], return_index=True)  # the lowest leader's, if there are several
        leader[follower] = one[parallel][at]
        scale[follower] = simplest(low[parallel][at], high[parallel][at])
        open_ = ~(leads | (leader < np.arange(m)))[row]
        cell, row = shared(cell[open_], row[open_])
    scale[seen.flipped != seen.flipped[leader]] *= -1
    return Groups(leader, scale, unclear)


def _ratios(rows: NDArray[Any], one: Indices, other: Indices, dtype: DTypeLike, ulps: float) -> tuple[Array, Array]:
    """The intervals of :func:`ratio_intervals` for pairs of rows, a few columns of all first."""
    k = rows.shape[1]
    low, high = np.zeros(len(one)), np.full(len(one), np.inf)
    for columns in (np.arange(0, k, max(1, k // _FEW)), slice(None)):
        open_ = np.flatnonzero(low <= high)
        for part in blocks(len(open_), k):
            pairs = open_[part]
            base = np.asarray(rows[one[pairs]][:, columns], np.float64)
            others = np.asarray(rows[other[pairs]][:, columns], np.float64)
            low[pairs], high[pairs] = ratio_intervals(base, others, dtype, ulps)
    return low, high


def simplest(low: Array, high: Array) -> Array:
    """A number of few bits in each interval of positive numbers: the middle, rounded as far as the interval allows.

    >>> simplest(np.array([0.9, 0.3]), np.array([1.1, 0.34]))
    array([1.    , 0.3125])
    """
    middle = np.where(np.isfinite(high), low + (high - low) / 2, np.maximum(2 * low, 1.0))
    fraction, exponent = np.frexp(middle)
    found = middle
    for bits in range(52, 0, -1):
        rounded = np.ldexp(np.rint(np.ldexp(fraction, bits)), exponent - bits)
        found = np.where((low <= rounded) & (rounded <= high), rounded, found)
    return found
