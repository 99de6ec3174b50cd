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
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .floats import Array, half_ulp

Indices = NDArray[np.intp]
CORRECT_ULPS, ROUNDING_ULPS = 0.5, 4.0  # how far a stored value may be off, in the classes exact and rounding


def ratio_intervals(base: Array, others: Array, dtype: DTypeLike, ulps: float = CORRECT_ULPS) -> tuple[Array, Array]:
    """For each row of ``others``, the interval of positive ratios |other|/|base| that roundings allow.

    Args:
        base: One stored row, (k,).
        others: Stored rows, (m, k), with the zeros of ``base``.
        dtype: The type they are stored in.
        ulps: How far a stored value may be off its real one; 0.5 is a correct rounding.

    Returns:
        low and high, (m,) each; low > high where there is no such ratio. A row of zeros allows all ratios.
    """
    nonzero = base != 0
    b, o = np.abs(base[nonzero]), np.abs(others[:, nonzero])
    if not b.size:
        return np.zeros(len(others)), np.full(len(others), np.inf)
    if not (np.all(np.isfinite(b)) and np.all(np.isfinite(o))):
        return np.ones(len(others)), np.zeros(len(others))  # nothing is known of what an infinite weight was
    hb, ho = 2 * ulps * half_ulp(b, dtype), 2 * ulps * half_ulp(o, dtype)
    low = np.max((o - ho) / (b + hb), axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        high = np.min(np.where(b > hb, (o + ho) / (b - hb), np.inf), axis=1)
    return low, high


def opposite_pairs(rows: Array, columns: Array, kin: Indices, dtype: DTypeLike) -> Iterator[tuple[int, Indices]]:
    """Candidates for the negative side of each unit: ``(later unit, earlier units whose row points the other way)``.

    First come the exact pairs, in which one row is the other negated bit for bit, then those with any positive
    scale; each time by ascending index. The reader of the iterator tells by consuming it which pairs it took: see
    :func:`onnx_prelu.algebra.recovery.fold_pairs`, which is that reader.

    Args:
        rows: (m, k) stored weights with the bias appended.
        columns: (m, q) stored outgoing columns; their zero pattern has to match.
        kin: (m,) only units of the same number can pair.
        dtype: The type they are stored in.
    """
    if not rows.shape[1]:
        return
    columns_zero = np.packbits(columns == 0, axis=1)
    exact: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for j, row in enumerate(rows):
        key = int(kin[j]), (-row).tobytes()
        if exact.get(key):
            yield j, np.asarray(exact[key])
        exact[int(kin[j]), row.tobytes()].append(j)

    zero, negative = rows == 0, rows < 0
    first = np.argmax(~zero, axis=1)
    flipped = negative[np.arange(len(rows)), first]
    signs = np.packbits((negative ^ flipped[:, None]) & ~zero, axis=1)
    zeros = np.packbits(zero, axis=1)
    buckets: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for j in range(len(rows)):
        if not np.all(zero[j]):
            buckets[int(kin[j]), signs[j].tobytes() + zeros[j].tobytes() + columns_zero[j].tobytes()].append(j)
    for j, earlier in sorted(_earlier(buckets.values()), key=lambda pair: pair[0]):
        facing = earlier[flipped[earlier] != flipped[j]]
        if facing.size:
            low, high = ratio_intervals(rows[j], rows[facing], dtype, ROUNDING_ULPS)
            parallel = facing[low <= high]
            if parallel.size:
                yield j, parallel


def _earlier(buckets: Iterable[list[int]]) -> Iterator[tuple[int, Indices]]:
    for bucket in buckets:
        members = np.asarray(bucket)
        for position in range(1, len(members)):
            yield int(members[position]), members[:position]
