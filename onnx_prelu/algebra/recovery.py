"""Which pairs of Relu units are one PReLU unit, and the slope that reproduces every stored value.

A pair reads ``p·ReLU(z) + n·ReLU(−z)``, with z the earlier unit's pre-activation; it is ``p·PReLU_a(z)`` where
``n = −a·p``. The stored values are roundings, so a is known to lie in an interval; where one of the ratios is exactly
±1, as a split leaves it, the floats in the interval that reproduce every stored value are found by trying them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

import ml_dtypes
import numpy as np
from numpy.typing import DTypeLike, NDArray

from .floats import Array, half_ulp, next_up, round_to
from .grouping import CORRECT_ULPS, ROUNDING_ULPS, opposite_pairs, ratio_intervals

_ACCIDENT = 1e-9  # that two units that have nothing to do with each other look like a pair
_TRIED = 4096  # floats in an interval that are tried one by one; wider intervals hold short decimals


@dataclass(frozen=True)
class Pairs:
    """The units of a Relu layer that pair up.

    Attributes:
        keep: Indices of the units that stay, ascending, (k,).
        slope: Their slopes, (k,); 0 where a unit found no partner.
        partner: The index of each unit's partner, −1 where there is none, (k,).
        determined: True where one float only reproduces the stored values (or there is nothing to determine).
        ulps: By how many ulps a stored value may be off what makes the pair a PReLU; 0 where the slope reproduces every
            stored value, (k,).
    """

    keep: NDArray[np.intp]
    slope: Array
    partner: NDArray[np.intp]
    determined: NDArray[np.bool_]
    ulps: Array


def slope_class(ulps: float, approximate: int = 0) -> str:
    """What slopes are called by how far stored values are off, and how many of them are right up to a tolerance only.

    >>> slope_class(0.0), slope_class(0.31), slope_class(0.31, 2)
    ('exact', 'rounding', 'approximate')
    """
    return "approximate" if approximate else "rounding" if ulps else "exact"


def fold_pairs(
    rows: Array,
    columns: Array,
    dtype: DTypeLike,
    kin: NDArray[np.intp] | None = None,
    stays: NDArray[np.bool_] | None = None,
) -> Pairs:
    """Pair the units of a Relu layer: units in any order, at any positive scale.

    Args:
        rows: (m, k) stored weights of the producer, with the bias appended, one row a unit.
        columns: (m, q) stored weights of all consumers, one row a unit.
        dtype: The type they are stored in.
        kin: (m,) only units of the same number can pair; all by default.
        stays: (m,) units that cannot be the negative side of another one; none by default.

    >>> A, V = np.array([[1.0, 2.0], [3.0, 1.0]]), np.array([[1.0], [2.0]])
    >>> pairs = fold_pairs(np.vstack([A, -A]), np.vstack([V, V * [[-0.25], [-3.0]]]), np.float32)
    >>> pairs.keep, pairs.slope
    (array([0, 1]), array([0.25, 3.  ]))
    """
    m = len(rows)
    partner = np.full(m, -1, np.intp)
    slope, determined, ulps = np.zeros(m), np.ones(m, bool), np.zeros(m)
    kin = np.zeros(m, np.intp) if kin is None else kin
    taken = np.zeros(m, bool)
    facing = list(opposite_pairs(rows, columns, kin, dtype))
    for grade in Grade:  # the surest pairs first: two layers of few inputs can be read in several ways
        for j, candidates in facing:
            if taken[j] or (stays is not None and stays[j]):
                continue
            for i in candidates[~taken[candidates]]:
                found = pair_slope(rows[i], rows[j], columns[i], columns[j], dtype)
                if found is not None and found.grade <= grade:
                    slope[i], determined[i], ulps[i] = found.value, found.determined, found.ulps
                    partner[i], taken[i], taken[j] = j, True, True
                    break
    keep = np.setdiff1d(np.arange(m), partner[partner >= 0])
    return Pairs(keep, slope[keep], partner[keep], determined[keep], ulps[keep])


class Grade(IntEnum):
    """How sure it is that a pair is a PReLU unit.

    REPRODUCED: a float was found that reproduces every stored value from the earlier unit's.
    REAL: real numbers exist of which all stored values are correct roundings.
    ROUNDING: the same, with stored values that are up to 4 ulps off, where so many agree that it is no accident.
    """

    REPRODUCED = 0
    REAL = 1
    ROUNDING = 2


@dataclass(frozen=True)
class Recovered:
    """A recovered slope.

    Attributes:
        value: The slope.
        determined: Whether it is the only float that would do.
        grade: How sure it is that the pair is a PReLU unit.
        ulps: By how many ulps a stored value may be off what makes the pair one; 0 where the slope reproduces them all.
    """

    value: float
    determined: bool
    grade: Grade
    ulps: float = 0.0


def pair_slope(row: Array, other_row: Array, column: Array, other_column: Array, dtype: DTypeLike) -> Recovered | None:
    """The slope a with which ``column·PReLU_a(row·x)`` is ``column·ReLU(row·x) + other_column·ReLU(other_row·x)``.

    Returns:
        None where the two units are no PReLU unit: the rows do not face each other, or the columns are not parallel.
    """
    sign = _flip(column, other_column)
    if sign is None or np.any((row == 0) != (other_row == 0)):
        return None
    found = None
    if np.array_equal(other_row, -row):
        found = _reproducing(column, other_column, -sign, dtype)
    elif np.array_equal(np.abs(other_column), np.abs(column)):
        found = _reproducing(row, other_row, -sign, dtype)
    if found is not None:
        return found
    evidence = np.count_nonzero(row) + np.count_nonzero(column) - 2
    for ulps, grade in ((CORRECT_ULPS, Grade.REAL), (ROUNDING_ULPS, Grade.ROUNDING)):
        if grade is Grade.ROUNDING and evidence < _evidence_needed(dtype):
            break
        scale = _interval(row, other_row, dtype, ulps)
        ratio = _interval(column, other_column, dtype, ulps)
        if scale and ratio:
            low, high = scale[0] * ratio[0], scale[1] * ratio[1]
            value = shortest(low, high, dtype)
            if value is not None:
                most = max(scale[0], value / ratio[1] if ratio[1] else 0.0)
                least = min(scale[1], value / ratio[0] if ratio[0] else np.inf)
                factor = (most + least) / 2 if np.isfinite(least) else most or 1.0
                ulps = max(_off(other_row, row, factor, dtype), _off(other_column, column, value / factor, dtype))
                return Recovered(-sign * value, False, grade, ulps)
    return None


def _off(target: Array, base: Array, factor: float, dtype: DTypeLike) -> float:
    """By how many ulps both have to be off, where they are, for |target| to be factor·|base| everywhere."""
    allowed = 2 * (half_ulp(target, dtype) + factor * half_ulp(base, dtype))
    off = np.abs(np.abs(target) - factor * np.abs(base))
    return float(np.max(off[allowed > 0] / allowed[allowed > 0], initial=0.0))


def _evidence_needed(dtype: DTypeLike) -> int:
    """How many ratios have to agree within the wide tolerance before that is no accident among a million pairs."""
    chance = 4 * ROUNDING_ULPS * float(ml_dtypes.finfo(dtype).eps)
    return math.ceil(math.log(_ACCIDENT) / math.log(chance))


def _flip(column: Array, other: Array) -> float | None:
    """+1 if all signs agree, −1 if all are opposite, None if neither; signs of zero count only where all are zero."""
    nonzero = column != 0
    if np.any(nonzero != (other != 0)):
        if np.any(other != 0) and np.any((other != 0) & ~nonzero):
            return None
        nonzero = nonzero & (other != 0)  # the product fell to zero
    one, two = np.signbit(column), np.signbit(other)
    same = (one == two)[nonzero] if np.any(nonzero) else one == two
    if np.all(same):
        return 1.0
    return None if np.any(same) else -1.0


def _interval(base: Array, other: Array, dtype: DTypeLike, ulps: float) -> tuple[float, float] | None:
    if np.any((base == 0) != (other == 0)):
        return None
    low, high = (float(bound[0]) for bound in ratio_intervals(base, other[None], dtype, ulps))
    return (low, high) if low <= high else None


def _reproducing(base: Array, target: Array, sign: float, dtype: DTypeLike) -> Recovered | None:
    """The floats a of the given sign with fl(|a|·|base|) = |target| everywhere: the shortest of them."""
    b, t = np.abs(base), np.abs(target)
    low, high = _product_interval(b, t, dtype)
    if low > high:
        return None
    floats = _floats_between(low, high, dtype)
    if floats is None:  # too many to try: any short decimal inside reproduces the values, as all of them do
        value = shortest(low, high, dtype)
        reproduces = value is not None and np.array_equal(round_to(value * b, dtype), t)
        return Recovered(sign * value, False, Grade.REPRODUCED) if value is not None and reproduces else None
    good = [a for a in floats if np.array_equal(round_to(a * b, dtype), t)]
    if not good:
        return None
    found = min(good, key=lambda a: len(_decimal(a, dtype)))
    return Recovered(sign * found, len(good) == 1, Grade.REPRODUCED)


def _product_interval(base: Array, target: Array, dtype: DTypeLike) -> tuple[float, float]:
    """The real numbers a with a·base within one float of target, a little wide: the ends are tried, not trusted."""
    nonzero = base != 0
    if not np.any(nonzero):
        return 1.0, 1.0  # nothing is known of the size; the sign stands in the zeros
    b, t = base[nonzero], target[nonzero]
    up = np.nextafter(t.astype(dtype), np.asarray(np.inf).astype(dtype)).astype(np.float64)
    down = np.nextafter(t.astype(dtype), np.asarray(0).astype(dtype)).astype(np.float64)
    return float(np.max((t + down) / 2 / b * (1 - 2**-51))), float(np.min((t + up) / 2 / b * (1 + 2**-51)))


def _floats_between(low: float, high: float, dtype: DTypeLike) -> list[float] | None:
    found: list[float] = []
    value = float(round_to(np.asarray(low), dtype))
    while value < low:
        value = next_up(value, dtype)
    while value <= high:
        found.append(value)
        if len(found) > _TRIED:
            return None
        value = next_up(value, dtype)
    return found


def _decimal(value: float, dtype: DTypeLike) -> str:
    """The shortest digits that read back as this number of ``dtype``."""
    return str(np.asarray(value).astype(dtype)).split("e")[0].strip("0.")


def shortest(low: float, high: float, dtype: DTypeLike) -> float | None:
    """The number of ``dtype`` in [low, high] with the fewest digits."""
    if not np.isfinite(high):
        high = max(2 * low, 1.0)
    for digits in range(17):
        value = float(round_to(np.asarray(float(f"{(low + high) / 2:.{digits}e}")), dtype))
        if low <= value <= high:
            return value
    middle = float(round_to(np.asarray((low + high) / 2), dtype))
    # an interval without a number of this type: the nearest one is a rounding of what it holds
    return middle if np.isfinite(middle) else None
