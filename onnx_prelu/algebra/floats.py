"""The types that weights are stored in: rounding once, half an ulp, the next float.

All values travel as float64 arrays that hold numbers of the stored type; float32, float16 and bfloat16 fit
exactly, and so does the product of any two of them. So do integers below 2^53.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[np.float64]


_WHOLE = 2.0**53  # below it, every integer is a float64
_EXPONENT = 0x7FF << 52  # its bits in a float64


def is_integer(dtype: DTypeLike) -> bool:
    """True for a type whose numbers are integers: nothing is rounded in it."""
    return np.dtype(dtype).kind in "iu"


def round_to(values: Array, dtype: DTypeLike) -> Array:
    """Round to the nearest number of ``dtype``, ties to even; what is too large becomes inf.

    For integers, too large is also what float64 does not count one by one: 2^53 and more.

    >>> float(round_to(np.array(0.1), np.float32))
    0.10000000149011612
    """
    if is_integer(dtype):
        info = np.iinfo(np.dtype(dtype))
        fits = (np.abs(values) < _WHOLE) & (values >= info.min) & (values <= info.max)
        return np.where(fits, np.rint(values), np.inf)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(values, np.float64).astype(dtype).astype(np.float64)


def half_ulp(values: Array, dtype: DTypeLike) -> Array:
    """Half the distance from each stored value to the next one away from zero; 0 at zero itself, and for integers.

    A zero is taken to be meant: it is the one constant that is not a rounding of something else.

    >>> float(half_ulp(np.array(1.0), np.float32)) == 2.0**-24
    True
    """
    magnitude = np.abs(np.asarray(values, np.float64))
    if is_integer(dtype):
        return np.zeros_like(magnitude)
    info = ml_dtypes.finfo(dtype)
    power = (magnitude.view(np.int64) & _EXPONENT).view(np.float64)  # of two, the next one below; 0 for a denormal
    half = np.maximum(power, 2.0 ** int(info.minexp)) * 2.0 ** -(int(info.nmant) + 1)
    return np.where(magnitude == 0, 0.0, half)


def is_normal(values: Array, dtype: DTypeLike) -> NDArray[np.bool_]:
    """True where a value is zero or within the normal range of ``dtype``: neither denormal nor infinite."""
    if is_integer(dtype):
        return np.ones(np.shape(values), bool)
    info = ml_dtypes.finfo(dtype)
    magnitude = np.abs(values)
    result: NDArray[np.bool_] = (magnitude == 0) | (
        (magnitude >= float(info.smallest_normal)) & (magnitude <= float(info.max))
    )
    return result


def next_up(value: float, dtype: DTypeLike) -> float:
    """The smallest number of ``dtype`` above ``value`` (which is one itself)."""
    stored = np.asarray(value).astype(dtype)
    return float(np.nextafter(stored, np.asarray(np.inf).astype(dtype)))


def denormal(values: Array, dtype: DTypeLike) -> NDArray[np.bool_]:
    """True where a value is a denormal number of ``dtype``: not zero, and below its normal range."""
    return ~is_normal(values, dtype) & np.isfinite(values)
