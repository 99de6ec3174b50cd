"""Which rows may be parallel: those that meet in a cell.

Parallel rows have their zeros in the same places, and their signs up to one flip of all: that is compared exactly. Of
the magnitudes, scale-free keys are taken: the logarithm of a weighted sum over the sum of all. Of two parallel rows
both are roundings of one direction, so its key lies in the interval that roundings leave to the key of either. A row
stands in every cell that its intervals touch, mostly one. So parallel rows always meet: no width is guessed, and what
is in doubt, as the error of the sums themselves, makes intervals wider.

The weights of a key fall off steeply along columns in random order. So it leans on a few columns, where near
duplicates differ most, and on the next ones where those are zero. Two keys see all columns, for rows that differ in
few.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import ml_dtypes
import numpy as np
from numpy.typing import DTypeLike, NDArray

from .floats import Array, is_integer

Indices = NDArray[np.intp]
_STEEP = (2.0, 2.0, 2.0, 2.0, 0.25, 0.25)  # bits from the weight of one column to that of the next, by key
_FLAT = 2  # keys more, of which each sees every column
_LIGHTEST = -400.0  # the least weight, in bits: any row's products stay in the range of float64
_CELL = 8  # how many intervals of a usual row a cell is wide: the more, the fewer rows touch two, and the more meet
_VAGUE = 256  # rows of which each is compared with all of its kind, because roundings leave the keys of one open
_AT_ONCE = 1 << 16  # elements: they fit into a cache near the processor, and a product of them into one thread


@dataclass(frozen=True)
class Sketch:
    """What is known of each row before any two are compared.

    Attributes:
        kind: (m,) a number, equal where kin, zeros and signs are, up to a flip; −1 for a row that can have no partner:
            of zeros, or with an entry that is not finite.
        flipped: (m,) whether the first entry that is not zero is negative.
        low: (m, keys) where the keys of the row's real direction begin.
        high: (m, keys) where they end.
        width: How wide a cell is along each key; intervals that are wider are vague.
    """

    kind: Indices
    flipped: NDArray[np.bool_]
    low: Array
    high: Array
    width: float


def blocks(rows: int, columns: int) -> Iterator[slice]:
    """Slices of rows that are small enough to be worked on within a cache."""
    step = max(1, _AT_ONCE // max(1, columns))
    return (slice(start, start + step) for start in range(0, rows, step))


def sketch(rows: NDArray[np.generic], dtype: DTypeLike, kin: Indices, ulps: float) -> Sketch:
    """Look at each row once.

    Args:
        rows: (m, k) stored values, as float64 or as ``dtype`` itself.
        dtype: The type they are stored in.
        kin: (m,) only rows of the same number are of one kind.
        ulps: How far a stored value may be off its real one.
    """
    m, k = rows.shape
    weights = _weights(k)
    packed = np.empty((m, 2 * ((k + 7) // 8)), np.uint8)
    flipped, alone = np.zeros(m, bool), np.zeros(m, bool)
    low, high = np.empty((2, m, len(_STEEP) + _FLAT))
    for part in blocks(m, k):
        block = np.asarray(rows[part], np.float64)
        there, negative = block != 0, block < 0
        flipped[part] = negative[np.arange(len(block)), np.argmax(there, axis=1)]
        zeros, signs = np.packbits(there, axis=1), np.packbits(negative, axis=1)
        packed[part] = np.concatenate([zeros, signs ^ np.where(flipped[part, None], zeros, 0)], axis=1)
        with np.errstate(invalid="ignore"):  # a row with inf or NaN stands alone
            sums = np.abs(block) @ weights
        low[part], high[part] = _intervals(sums, k, dtype, ulps)
        alone[part] = ~np.any(there, axis=1) | ~np.all(np.isfinite(block), axis=1)
    kind = _numbered(_numbered(packed.view(f"S{packed.shape[1]}")[:, 0]) * (np.max(kin) + 1) + kin)
    kind[alone] = -1
    return Sketch(kind, flipped, low, high, 2 * _CELL * _off(k, dtype, ulps))


def vague(of: Sketch) -> tuple[Sketch, Indices]:
    """The sketch without intervals that are wider than a cell, and the rows that were given up for it.

    A row has such intervals where it lies among the denormal numbers. All of its kind stand in one cell then; but where
    they are many, and mostly not vague, it is left out.
    """
    wide = np.flatnonzero(~np.all(of.high - of.low <= of.width, axis=1) & (of.kind >= 0))
    if not wide.size:
        return of, wide
    low, high, kind = of.low.copy(), of.high.copy(), of.kind.copy()
    members, doubtful = np.bincount(kind[kind >= 0]), np.bincount(kind[wide], minlength=np.max(kind) + 1)
    given_up = wide[((members > _VAGUE) & (2 * doubtful < members))[kind[wide]]]
    kind[given_up] = -1
    together = np.isin(kind, kind[np.setdiff1d(wide, given_up)])
    low[together] = high[together] = 0
    return Sketch(kind, of.flipped, low, high, of.width), given_up


def meetings(of: Sketch) -> tuple[Indices, Indices]:
    """The cells in which several rows meet: the number of a cell and a row in it, by cell, then by row."""
    row = np.flatnonzero(of.kind >= 0)
    cell, row = shared(of.kind[row], row)
    for key in range(of.low.shape[1]):
        first = np.floor(of.low[row, key] / of.width)
        last = np.floor(of.high[row, key] / of.width)
        two = last > first
        along = _numbered(np.concatenate([first, last[two]]))
        cell, row = np.concatenate([cell, cell[two]]), np.concatenate([row, row[two]])
        cell, row = shared(cell * (np.max(along, initial=0) + 1) + along, row)
    order = np.lexsort((row, cell))
    return cell[order], row[order]


def shared(cell: Indices, row: Indices) -> tuple[Indices, Indices]:
    """The entries whose cell holds another entry too; cells are numbered anew, in the same order."""
    number = _numbered(cell)
    stays = np.bincount(number, minlength=1)[number] > 1
    return number[stays], row[stays]


def near(of: Sketch, one: Indices, other: Indices) -> NDArray[np.bool_]:
    """Whether the rows of each pair can have the same keys."""
    meet = (of.low[one] <= of.high[other]) & (of.low[other] <= of.high[one])
    return np.asarray(np.all(meet, axis=1))


def _numbered(values: NDArray[np.generic]) -> Indices:
    return np.asarray(np.unique(values, return_inverse=True)[1], np.intp)


def _weights(k: int) -> Array:
    """(k, keys + 1) positive weights: those of each key, and equal ones; each column sums to 1, so no sum overflows."""
    rng = np.random.default_rng(k)
    falls = [*_STEEP, *[4 / k] * _FLAT]
    keys = [np.exp2(np.maximum(-fall * rng.permutation(k), _LIGHTEST)) for fall in falls]
    weights = np.stack([*keys, np.ones(k)], axis=1)
    return np.asarray(weights / np.sum(weights, axis=0))


def _off(k: int, dtype: DTypeLike, ulps: float) -> float:
    """How far a key of normal numbers can be off: by two relative errors of stored values, and of sums of them."""
    stored = 0.0 if is_integer(dtype) else ulps * float(ml_dtypes.finfo(dtype).eps)
    return 2 * (stored + _summed(k))


def _summed(k: int) -> float:
    """The relative error of a sum of k products in float64, and of the few operations behind it."""
    return (k + 64) * 2.0**-53


def _intervals(sums: Array, k: int, dtype: DTypeLike, ulps: float) -> tuple[Array, Array]:
    """The ends of each key, low and high, from its weighted sum and, in the last column, the sum of all."""
    relative, absolute = _summed(k), k * 2.0**-1022
    if not is_integer(dtype):
        info = ml_dtypes.finfo(dtype)
        relative += ulps * float(info.eps)
        absolute += ulps * 2.0 ** int(info.minexp) * float(info.eps)
    off = sums * relative + absolute
    with np.errstate(all="ignore"):
        lowest, highest = np.log(np.maximum(sums - off, 0)), np.log(sums + off)
    low, high = lowest[:, :-1] - highest[:, -1:], highest[:, :-1] - lowest[:, -1:]
    blurred = 2.0**-50 * (np.abs(lowest[:, :-1]) + np.abs(lowest[:, -1:]))  # of the logarithms
    return low - blurred, high + blurred
