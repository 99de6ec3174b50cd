"""How far the values of a tensor moved from one model to another: each is read when its turn comes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from ...graph.external import is_external, place
from ...graph.model import array
from ..checking.compare import Difference, compare, magnitude
from ..checking.tolerance import Tolerance
from ..inputs.dtypes import is_float

_CHUNK = 1 << 20  # elements that are widened at once
_EQUAL = Tolerance(0.0, 0.0)


@dataclass(frozen=True)
class Moved:
    """How far values moved.

    Attributes:
        elements: How many there are.
        unequal: How many of them are another number, the sign of a zero not counted.
        max_abs: The largest difference of two finite numbers; None for what are no numbers.
        max_rel: The same, relative to the largest magnitude in the first model; None where that is 0.
        max_ulp: The most floats of the first model's type that a value moved by; None for integers.
        nonfinite: How many are NaN or infinite in one of the models, and not the same in the other.
        zero_signs: Zeros of which only the sign differs.
    """

    elements: int
    unequal: int
    max_abs: float | None = None
    max_rel: float | None = None
    max_ulp: float | None = None
    nonfinite: int = 0
    zero_signs: int = 0

    def sentence(self) -> str:
        """It in words."""
        parts = [f"{self.unequal:,} of {self.elements:,} values moved"] if self.unequal else []
        if self.unequal and self.max_abs is not None:
            parts[0] += f" by up to {self.max_abs:.3g}"
            parts[0] += f", {self.max_rel:.2g} of the largest" if self.max_rel is not None else ""
            parts[0] += f", {self.max_ulp:,.0f} ulp" if self.max_ulp is not None else ""
        if self.nonfinite:
            parts.append(f"other NaN or infinite values: {self.nonfinite:,}")
        if self.zero_signs:
            parts.append(f"zeros of the other sign: {self.zero_signs:,}")
        return "; ".join(parts) or "stored in other bits, of the same values"


def moved(a: onnx.TensorProto, folder_a: Path | None, b: onnx.TensorProto, folder_b: Path | None) -> Moved | None:
    """How far the values moved from one tensor to another of the same shape; None if all have the same bits.

    Where the types differ as well, the second's values are taken in the first's type.

    Raises:
        BadInput: External data cannot be read, or the data do not fit the tensor's type and shape.
    """
    if a.data_type == b.data_type and _same_bytes(a, folder_a, b, folder_b):
        return None
    one, two = array(a, folder_a).reshape(-1), array(b, folder_b).reshape(-1)
    if one.dtype == two.dtype and _same_bits(one, two):
        return None
    if one.dtype.kind == "O" or two.dtype.kind == "O":
        return Moved(one.size, int(np.sum(one != two)))
    return _of_floats(one, two) if is_float(one.dtype) else _of_integers(one, two)


def _same_bytes(a: onnx.TensorProto, folder_a: Path | None, b: onnx.TensorProto, folder_b: Path | None) -> bool:
    """Whether that is so without a look at values: the same part of the same file, or the same bytes at hand."""
    if is_external(a) and is_external(b) and folder_a is not None and folder_b is not None:
        return place(a) == place(b) and folder_a.resolve() == folder_b.resolve()
    at_hand = a.HasField("raw_data") and b.HasField("raw_data")
    return at_hand and bool(a.raw_data == b.raw_data)


def _same_bits(one: NDArray[Any], two: NDArray[Any]) -> bool:
    if one.dtype.kind == "O":
        return bool(np.array_equal(one, two))
    return bool(np.array_equal(np.ascontiguousarray(one).view(np.uint8), np.ascontiguousarray(two).view(np.uint8)))


def _of_floats(one: NDArray[Any], two: NDArray[Any]) -> Moved:
    chunks = [slice(start, start + _CHUNK) for start in range(0, one.size, _CHUNK)]
    scale = max((magnitude([one[chunk]]) for chunk in chunks), default=0.0)
    found = Difference()
    with np.errstate(over="ignore"):
        for chunk in chunks:
            found += compare(one[chunk], two[chunk].astype(one.dtype), _EQUAL, scale)
    return Moved(
        elements=one.size,
        unequal=found.unequal,
        max_abs=found.max_abs,
        max_rel=found.max_rel,
        max_ulp=found.max_ulp,
        nonfinite=found.lost + found.patterns,
        zero_signs=found.zero_signs,
    )


def _of_integers(one: NDArray[Any], two: NDArray[Any]) -> Moved:
    wide_one, wide_two = one.astype(np.float64), two.astype(np.float64)
    largest = float(np.max(np.abs(wide_one), initial=0.0))
    apart = float(np.max(np.abs(wide_one - wide_two), initial=0.0))
    return Moved(one.size, int(np.sum(one != two)), apart, apart / largest if largest else None)
