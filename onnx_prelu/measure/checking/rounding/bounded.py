"""Values with how far rounding may have carried them, and the arithmetic on both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from ...inputs.dtypes import is_float

Array: TypeAlias = NDArray[Any]

_COMPUTED = 2.0**-24  # runtimes sum up float16 and bfloat16 in float32


@dataclass(frozen=True)
class Bounded:
    """A tensor, and how far a runtime's values may be from it.

    Attributes:
        value: In float64 where the runtime has floats; integers and booleans as they are.
        error: Of the same shape, never below 0. Of booleans, 1 where rounding may turn them round.
        dtype: What the runtime stores it in.
    """

    value: Array
    error: Array
    dtype: np.dtype[Any]

    @property
    def certain(self) -> bool:
        """Whether rounding leaves it as it is."""
        return not self.error.any()

    @property
    def floats(self) -> bool:
        """Whether it holds floats."""
        return is_float(self.dtype)

    def stored(self) -> Bounded:
        """The same, after one more rounding to its type."""
        if not self.floats:
            return self
        least = float(ml_dtypes.finfo(self.dtype).smallest_subnormal) / 2
        rounding = unit(self.dtype) * np.abs(self.value)
        return replace(self, error=self.error + np.where(self.value == 0, 0.0, rounding + least))


def exact(value: Array) -> Bounded:
    """What is given: an input or a constant."""
    wide = value.astype(np.float64) if is_float(value.dtype) else value
    return Bounded(wide, np.zeros(value.shape), value.dtype)


def unit(dtype: np.dtype[Any]) -> float:
    """Half the distance from 1 to the next float of a type.

    >>> unit(np.dtype(np.float32)) == 2.0**-24
    True
    """
    return float(ml_dtypes.finfo(dtype).eps) / 2


def summed(terms: int, dtype: np.dtype[Any]) -> float:
    """What a sum of so many products is off by, as a share of the sum of their magnitudes: √k·u."""
    return float(np.sqrt(max(terms, 1))) * min(unit(dtype), _COMPUTED)


def add(x: Bounded, y: Bounded) -> Bounded:
    """Sum: x + y."""
    return Bounded(x.value + y.value, x.error + y.error, x.dtype).stored()


def subtract(x: Bounded, y: Bounded) -> Bounded:
    """Difference: x − y."""
    return Bounded(x.value - y.value, x.error + y.error, x.dtype).stored()


def multiply(x: Bounded, y: Bounded) -> Bounded:
    """Product: x·y."""
    error = np.abs(x.value) * y.error + x.error * np.abs(y.value) + x.error * y.error
    return Bounded(x.value * y.value, error, x.dtype).stored()


def divide(x: Bounded, y: Bounded) -> Bounded:
    """Quotient: x/y, without a bound where y may be 0."""
    value = x.value / y.value
    least = np.abs(y.value) - y.error
    error = np.where(least > 0, (x.error + np.abs(value) * y.error) / np.where(least > 0, least, 1.0), np.inf)
    return Bounded(value, error, x.dtype).stored()


def mean(x: Bounded, axes: Sequence[int] | None, *, keepdims: bool) -> Bounded:
    """The mean over some axes, or over all."""
    over = None if axes is None else tuple(axes)
    value, error, size = (np.mean(part, axis=over, keepdims=keepdims) for part in (x.value, x.error, np.abs(x.value)))
    terms = x.value.size // max(np.size(value), 1)
    return Bounded(np.asarray(value), np.asarray(error + summed(terms, x.dtype) * size), x.dtype).stored()
