"""Two arrays against each other: how far apart, where, and what is left out of that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from ..inputs.dtypes import is_float
from .spots import Spots, spots, together
from .tolerance import Tolerance

_STEPS = 8


@dataclass(frozen=True)
class Difference:
    """How an array differs from the one that is expected; also the sum of several such comparisons.

    Only where the expected value is finite are two compared.

    Attributes:
        compared: Elements that were compared.
        unequal: Of these, how many differ by more than the sign of a zero.
        max_abs: The largest ``|a − b|`` of finite values.
        max_rel: The same, relative to the largest magnitude that is expected; None where all are 0.
        max_ulp: The most floats of the array's type that a value is away.
        excess: The largest ``|a − b|`` relative to what is allowed: above 1 is a failure.
        where: The index of the element of this excess; of the largest difference where nothing is allowed.
        zero_signs: Zeros of which only the sign differs.
        lost: Elements that are NaN or infinite where a finite value is expected; or the other way, where the original
            makes that of ordinary numbers.
        nonfinite: Elements where NaN or infinity is expected. They are counted, not compared ...
        patterns: ... and this is how many of them are not the same NaN or infinity.
        spots: The largest excess in each cell of a coarse grid, infinite where elements are lost.
        allowed: The largest ``|a − b|`` that passes at the element of this excess; None where there is none.
    """

    compared: int = 0
    unequal: int = 0
    max_abs: float = 0.0
    max_rel: float | None = None
    max_ulp: float = 0.0
    excess: float = 0.0
    where: tuple[int, ...] | None = None
    zero_signs: int = 0
    lost: int = 0
    nonfinite: int = 0
    patterns: int = 0
    spots: Spots = ()
    allowed: float | None = None

    def passes(self, *, exact: bool, signed_zeros: bool) -> bool:
        """Whether this is no failure.

        Args:
            exact: Values have to be equal, rather than within what is allowed.
            signed_zeros: Signs of zeros have to be equal.
        """
        apart = self.unequal > 0 if exact else self.excess > 1
        return not (apart or self.lost or (signed_zeros and self.zero_signs))

    def __add__(self, other: Difference) -> Difference:
        worse = max(self, other, key=lambda each: (each.lost > 0, each.excess, each.max_abs))
        rels = [each.max_rel for each in (self, other) if each.max_rel is not None]
        return Difference(
            compared=self.compared + other.compared,
            unequal=self.unequal + other.unequal,
            max_abs=max(self.max_abs, other.max_abs),
            max_rel=max(rels) if rels else None,
            max_ulp=max(self.max_ulp, other.max_ulp),
            excess=max(self.excess, other.excess),
            where=worse.where,
            zero_signs=self.zero_signs + other.zero_signs,
            lost=self.lost + other.lost,
            nonfinite=self.nonfinite + other.nonfinite,
            patterns=self.patterns + other.patterns,
            spots=together(self.spots, other.spots),
            allowed=worse.allowed,
        )


def magnitude(arrays: Iterable[NDArray[Any]]) -> float:
    """The largest magnitude of the finite values of float arrays; 0 where there are none."""
    largest = 0.0
    for array in arrays:
        if is_float(array.dtype):
            values = np.abs(array.astype(np.float64))
            largest = max(largest, float(np.max(values, where=np.isfinite(values), initial=0.0)))
    return largest


def compare(
    a: NDArray[Any],
    b: NDArray[Any],
    tolerance: Tolerance,
    scale: float,
    rounding: NDArray[np.float64] | None = None,
) -> Difference:
    """Compare two arrays of one shape and type.

    Args:
        a: What is expected.
        b: What is there.
        tolerance: What is allowed.
        scale: The magnitude that ``tolerance.atol`` is a share of.
        rounding: What is allowed in its place where it is finite, in a shape that broadcasts to theirs.
    """
    if not is_float(a.dtype):
        return _compare_equal(a, b)
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    finite, kept = np.isfinite(wide_a), np.isfinite(wide_b)
    both = finite & kept
    # Below the normal range, rounding is absolute: a few of the smallest steps are allowed whatever the size.
    least = _STEPS * float(ml_dtypes.finfo(a.dtype).smallest_subnormal) if tolerance.atol or tolerance.rtol else 0.0
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        apart = np.abs(np.subtract(wide_a, wide_b, where=both, out=np.zeros(a.shape)))
        allowed = tolerance.bound + tolerance.atol * scale + tolerance.rtol * np.where(both, np.abs(wide_a), 0.0)
        if rounding is not None:
            allowed = np.where(np.isfinite(rounding), rounding, allowed)
        allowed = allowed + least
        excess = np.where(apart > 0, apart / allowed, 0.0)
    excess[np.isnan(excess)] = np.inf  # both too large for float64: nothing that passes looks like that
    max_abs = float(apart.max(initial=0.0))
    found = Difference(
        compared=int(finite.sum()),
        unequal=int(np.count_nonzero(apart)),
        max_abs=max_abs,
        max_rel=max_abs / scale if scale else None,
        max_ulp=float(_ulps(a, b)[both].max(initial=0)),
        excess=float(excess.max(initial=0.0)),
        zero_signs=int(np.sum((wide_a == 0) & (wide_b == 0) & (np.signbit(wide_a) != np.signbit(wide_b)))),
        lost=int(np.sum(finite & ~kept)),
        nonfinite=int(np.sum(~finite)),
        patterns=int(np.sum(~finite & ~_same_pattern(wide_a, wide_b))),
        spots=spots(np.where(finite & ~kept, np.inf, excess)),
    )
    if not (found.lost or found.unequal):
        return found
    worst = _where(finite & ~kept if found.lost else excess if np.isfinite(found.excess) and found.excess else apart)
    return replace(found, where=worst, allowed=float(allowed[worst]))


def otherwise(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    """Where NaN and the infinities of two arrays of one shape do not coincide."""
    if not is_float(a.dtype):
        return np.zeros(a.shape, bool)
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    outside = ~(np.isfinite(wide_a) & np.isfinite(wide_b))
    return np.asarray(outside & ~_same_pattern(wide_a, wide_b))


def _compare_equal(a: NDArray[Any], b: NDArray[Any]) -> Difference:
    differs = np.asarray(a != b)
    count = int(differs.sum())
    where = _where(differs) if count else None
    excess = np.where(differs, np.inf, 0.0)
    return Difference(compared=a.size, unequal=count, excess=np.inf if count else 0.0, where=where, spots=spots(excess))


def _same_pattern(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.bool_]:
    """True where both are NaN, or both the same infinity (or equal numbers)."""
    return np.asarray((a == b) | (np.isnan(a) & np.isnan(b)))


def _ulps(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.uint64]:
    """How many floats apart two arrays are, element by element; +0 and −0 are the same float."""
    size = 8 * a.dtype.itemsize
    bits_a, bits_b = (np.ascontiguousarray(x).view(f"u{x.dtype.itemsize}").astype(np.uint64) for x in (a, b))
    low = np.uint64((1 << (size - 1)) - 1)
    from_zero_a, from_zero_b = bits_a & low, bits_b & low
    one_side = np.maximum(from_zero_a, from_zero_b) - np.minimum(from_zero_a, from_zero_b)
    return np.where((bits_a ^ bits_b) > low, from_zero_a + from_zero_b, one_side).reshape(a.shape)


def _where(values: NDArray[Any]) -> tuple[int, ...]:
    return tuple(int(at) for at in np.unravel_index(int(np.argmax(values)), values.shape))
