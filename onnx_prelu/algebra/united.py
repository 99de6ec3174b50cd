"""Which slope a unit has of which the columns for z and for Relu(z), or for Relu(z) and Relu(−z), are stored apart.

z·l + Relu(z)·r = p·PReLU_a(z)            where  l = a·p  and  r = (1−a)·p,  so that  p = l + r
Relu(z)·p + Relu(−z)·n = p·PReLU_a(z)     where  n = −a·p
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from .floats import Array, half_ulp
from .grouping import CORRECT_ULPS
from .recovery import Grade, Recovered, pair_slope, shortest

_WIDER = 1 + 1e-6  # the corners of an interval are computed, and rounded themselves


def halves_slope(positive: Array, negative: Array, dtype: DTypeLike) -> Recovered | None:
    """The slope of a unit with the columns of Relu(z) and of Relu(−z), (q,) each; None if it is no PReLU unit."""
    return pair_slope(np.array([1.0]), np.array([-1.0]), positive, negative, dtype)


def sum_slope(linear: Array, bent: Array, dtype: DTypeLike) -> Recovered | None:
    """The slope of a unit with the columns of z and of Relu(z), (q,) each; None if it is no PReLU unit.

    Both are roundings, so each entry leaves an interval for a = l/(l+r), and the slope lies in all of them: the one of
    the fewest digits is taken. Where l is −r up to rounding, an entry says nothing of a.

    >>> sum_slope(np.array([0.5, -0.25]), np.array([1.5, -0.75]), np.float32).value
    0.25
    >>> sum_slope(np.array([0.5, 0.25]), np.array([1.5, -0.75]), np.float32) is None
    True
    """
    if not (np.all(np.isfinite(linear)) and np.all(np.isfinite(bent))):
        return None
    off = [half_ulp(column, dtype) * _WIDER for column in (linear, bent)]
    said = np.abs(linear + bent) > off[0] + off[1]
    if not np.any(said):
        return None if np.any(linear != 0) else Recovered(0.0, False, Grade.REAL, CORRECT_ULPS)
    corners = []
    for one in (-1, 1):
        for other in (-1, 1):
            part, rest = (linear + one * off[0])[said], (bent + other * off[1])[said]
            corners.append(part / (part + rest))
    low, high = float(np.max(np.min(corners, axis=0))), float(np.min(np.max(corners, axis=0)))
    value = shortest(low, high, dtype) if low <= high else None
    if value is None:
        return None
    beyond = np.abs(linear - value * (linear + bent)) > 2 * (off[0] + abs(value) * (off[0] + off[1]))
    return None if np.any(beyond) else Recovered(value, low == high, Grade.REAL, CORRECT_ULPS)
