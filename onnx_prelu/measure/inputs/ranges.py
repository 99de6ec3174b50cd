"""Ranges that the user gives for inputs: what they have to be, and values within them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from ...errors import BadUsage
from .dtypes import is_float, numpy_dtype, type_name
from .sizes import Shape
from .spec import InputSpec


@dataclass(frozen=True)
class Range:
    """The values that an input may have, both ends included.

    Attributes:
        low: The lowest.
        high: The highest.
    """

    low: float
    high: float

    def middle(self, dtype: np.dtype[Any], shape: Shape, rng: np.random.Generator) -> NDArray[Any]:
        """Evenly spread over the whole range; whole numbers for integers."""
        if is_float(dtype):
            return self.kept(rng.uniform(self.low, self.high, shape), dtype)
        return np.asarray(rng.integers(math.ceil(self.low), math.floor(self.high), shape, endpoint=True), dtype)

    def corners(self, dtype: np.dtype[Any], shape: Shape, rng: np.random.Generator) -> NDArray[Any]:
        """Each element at one end or the other."""
        return self.kept(np.where(rng.random(shape) < 0.5, self.low, self.high), dtype)

    def kept(self, value: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Values brought into the range, in the type; no value of the type beyond an end is rounded to."""
        low, high = _within(self, dtype)
        inside = np.clip(np.asarray(value, np.float64), float(low), float(high))
        return np.asarray(np.clip(inside.astype(dtype), low, high), dtype)


def require_ranges(ranges: Mapping[str, Range], wanted: Collection[InputSpec], given: Collection[str]) -> None:
    """Find out whether ranges make sense.

    Args:
        ranges: The ranges, by input.
        wanted: The model's inputs.
        given: The inputs that the user gives values for.

    Raises:
        BadUsage: An input is not known, given already, or no number, or no value of its type lies in its range.
    """
    by_name = {spec.name: spec for spec in wanted}
    for name, each in ranges.items():
        where = f"--input-range {name}"
        if name not in by_name:
            raise BadUsage(f"{where}: the model has no such input to feed", todo=f"it takes {', '.join(by_name)}")
        if name in given:
            raise BadUsage(f"{where}: --inputs gives its values", todo="drop one of them")
        dtype = numpy_dtype(by_name[name].dtype)
        if dtype.kind in "OUb":
            raise BadUsage(
                f"{where}: the input is {type_name(by_name[name].dtype)}, which has no range", todo="drop it"
            )
        if not (math.isfinite(each.low) and math.isfinite(each.high) and each.low <= each.high):
            raise BadUsage(f"{where}: {each.low:g},{each.high:g} is no range", todo="give the lower end first")
        if not _holds(each, dtype):
            kind = type_name(by_name[name].dtype)
            raise BadUsage(f"{where}: {each.low:g},{each.high:g} is not within {kind}", todo="give ends that it holds")


def _holds(asked: Range, dtype: np.dtype[Any]) -> bool:
    limits = ml_dtypes.finfo(dtype) if is_float(dtype) else np.iinfo(dtype)
    if asked.low < float(limits.min) or asked.high > float(limits.max):
        return False
    low, high = _within(asked, dtype)
    return bool(low <= high)


def _within(asked: Range, dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """The lowest and the highest value of the type in the range."""
    if not is_float(dtype):
        limits = np.iinfo(dtype)
        return max(math.ceil(asked.low), int(limits.min)), min(math.floor(asked.high), int(limits.max))
    low, high = np.asarray(asked.low, dtype), np.asarray(asked.high, dtype)
    limits = ml_dtypes.finfo(dtype)
    low = np.nextafter(low, limits.max) if float(low) < asked.low else low
    high = np.nextafter(high, limits.min) if float(high) > asked.high else high
    return low, high
