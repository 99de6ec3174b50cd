"""Sound bounds of z = A·x + b, for every x in a box and every way in which a runtime may add up the terms.

A bound that is true of real numbers is not enough: float32 rounds each product and each sum, in an order that nobody
knows. What is computed differs from the real value by at most γ_k·Σ|a||x|, γ_k = k·u/(1 − k·u), for k roundings on the
way of a term (Higham, Accuracy and Stability of Numerical Algorithms, 3.1), and by what underflows. Bounds here are
pushed outward by that, in the model's type, and by the same of the float64 in which they are computed. So z < 0 means
that no runtime gets anything above 0.

Values are taken to be finite: what overflows on the way has no bounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import ml_dtypes
import numpy as np
from numpy.typing import DTypeLike, NDArray

from .floats import Array

OWN = 2.0**-53
"""The unit roundoff of the arithmetic here, float64."""

_BLOCK = 1 << 22  # weights that are looked at together
_MORE = 1 + 2.0**-20  # for the roundings of an allowance itself


@dataclass(frozen=True)
class Box:
    """An interval for each value: ``low <= x <= high``, both of one shape; ends may be infinite."""

    low: Array
    high: Array

    @property
    def magnitude(self) -> Array:
        """The largest absolute value of each."""
        return np.maximum(np.abs(self.low), np.abs(self.high))

    @property
    def finite(self) -> bool:
        """Whether every end is finite."""
        return bool(np.all(np.isfinite(self.low)) and np.all(np.isfinite(self.high)))

    def within(self, other: Box) -> Box:
        """What both say: the intersection."""
        return Box(np.maximum(self.low, other.low), np.minimum(self.high, other.high))

    def hull(self, value: float) -> Box:
        """The smallest box that holds this one, and a value."""
        return Box(np.minimum(self.low, value), np.maximum(self.high, value))

    def outward(self, by: Array) -> Box:
        """Wider on both sides."""
        return Box(self.low - by, self.high + by)


@dataclass(frozen=True)
class Rounding:
    """How a type rounds.

    Attributes:
        unit: The unit roundoff u: a result is off by at most u times itself.
        tiny: The smallest normal number: what is below may be flushed to 0.
        largest: The largest finite number.
    """

    unit: float
    tiny: float
    largest: float

    @classmethod
    def of(cls, dtype: DTypeLike) -> Rounding:
        """That of a floating-point type."""
        info = ml_dtypes.finfo(dtype)
        return cls(float(info.eps) / 2, float(info.smallest_normal), float(info.max))

    def gamma(self, steps: Array) -> Array:
        """γ_k for so many roundings of this type, and as many of float64; infinite where they could lose everything."""
        return np.asarray(gamma(steps, self.unit) + gamma(steps + 4.0, OWN))

    def once(self, box: Box) -> Box:
        """The results of one operation, of which these are the exact ones; an end of 0 is exact."""
        share = (self.unit + 2 * OWN) * _MORE
        by = [np.where(end == 0, 0.0, share * np.abs(end) + self.tiny) for end in (box.low, box.high)]
        low, high = box.low - by[0], box.high + by[1]
        return Box(np.where(low > -self.largest, low, -np.inf), np.where(high < self.largest, high, np.inf))


def gamma(steps: Array, unit: float) -> Array:
    """γ_k = k·u/(1 − k·u), infinite from k·u = 1/2 on.

    >>> float(gamma(np.array(2.0**22), 2.0**-24))
    0.3333333333333333
    """
    lost = steps * unit
    with np.errstate(divide="ignore"):
        return np.where(lost < 0.5, lost / (1 - lost), np.inf)


@dataclass(frozen=True)
class Rows:
    """The rows of a linear layer: z = scale·(Σ weights·x) + shift, for each unit.

    Attributes:
        weights: (units, inputs, taps): a weight for each input, or several, as a kernel has; at each tap the input has
            another value of the same interval.
        scale: (units,) what multiplies the sum.
        shift: (units,) what is added.
        shifted: (units,) the sum of the absolute values of all that makes up the shift.
        roundings: How often a term may be rounded besides its product and the sums over the inputs.
    """

    weights: Array
    scale: Array
    shift: Array
    shifted: Array
    roundings: int = 2

    @cached_property
    def matrix(self) -> Array:
        """(units, inputs) what each input is multiplied by in all, where it has one weight."""
        return np.asarray(self.weights[..., 0] * self.scale[:, None])

    @property
    def inputs(self) -> int:
        """How many inputs there are."""
        return int(self.weights.shape[1])

    def blocks(self) -> Iterator[Rows]:
        """The same rows in blocks of a size that takes little memory."""
        units, inputs, taps = self.weights.shape
        size = max(1, _BLOCK // max(1, inputs * taps))
        for first in range(0, units, size):
            part = slice(first, first + size)
            yield Rows(self.weights[part], self.scale[part], self.shift[part], self.shifted[part], self.roundings)


def bounded(rows: Rows, x: Box, rounding: Rounding) -> tuple[Box, Array]:
    """Bounds of what is computed for z, and by how much that may differ from the real z of the same x.

    Args:
        rows: The layer's rows.
        x: The inputs, (inputs,) or (batch, inputs).
        rounding: How the type rounds that the layer computes in.

    Returns:
        The bounds, (units,) or (batch, units), and the allowance that is part of them, of the same shape. Where no
        term can be above 0 the upper bound is 0 at most, whatever the allowance; likewise below.
    """
    found = [_block(part, x, rounding) for part in rows.blocks()]
    low, high, allowed = (np.concatenate(parts, axis=-1) for parts in zip(*found, strict=True))
    return Box(low, high), allowed


def _block(rows: Rows, x: Box, rounding: Rounding) -> tuple[Array, Array, Array]:
    weights = rows.weights * rows.scale[:, None, None]
    positive, negative = (part(weights, 0.0).sum(axis=-1) for part in (np.maximum, np.minimum))
    high = _times(positive, x.high) + _times(negative, x.low) + rows.shift
    low = _times(positive, x.low) + _times(negative, x.high) + rows.shift
    size = _times(positive - negative, x.magnitude) + rows.shifted
    count = np.count_nonzero(rows.weights, axis=(1, 2))
    steps = count + float(rows.roundings)
    factor = np.abs(rows.scale)
    read = _times(np.any(rows.weights != 0, axis=2).astype(np.float64), x.magnitude)
    flushed = rounding.tiny * (steps + (positive - negative).sum(axis=-1) + read)
    with np.errstate(invalid="ignore", over="ignore"):
        allowed = (rounding.gamma(steps) * size + 4 * flushed * np.maximum(factor, 1)) * _MORE
        allowed = np.where((count == 0) & (rows.shifted == 0), 0.0, allowed)
        over = ~(size + allowed < rounding.largest * np.minimum(factor, 1))
        low, high = np.where(over, -np.inf, low - allowed), np.where(over, np.inf, high + allowed)
    above = (_times(positive, np.maximum(x.high, 0)) - _times(negative, np.maximum(-x.low, 0)) > 0) | (rows.shift > 0)
    below = (_times(positive, np.maximum(-x.low, 0)) - _times(negative, np.maximum(x.high, 0)) > 0) | (rows.shift < 0)
    summed = rows.shifted == np.abs(rows.shift)  # a shift made of parts may come out with another sign
    return (
        np.where(summed & ~below, np.maximum(low, 0), low),
        np.where(summed & ~above, np.minimum(high, 0), high),
        allowed,
    )


def _times(matrix: Array, values: Array) -> Array:
    """Σ matrix·values over the inputs, (units,) or (batch, units); 0 times an infinite end is 0.

    No two entries of the matrix have different signs, and infinite values have one sign.
    """
    finite = np.isfinite(values)
    if np.all(finite):
        return np.asarray(values @ matrix.T)
    result = np.where(finite, values, 0.0) @ matrix.T
    reached = (~finite).astype(np.float64) @ (matrix != 0).T.astype(np.float64) > 0
    end = np.inf if bool(np.any(values == np.inf)) == bool(np.any(matrix > 0)) else -np.inf
    return np.where(reached, end, result)


def activated(z: Box, slope: Array, rounding: Rounding) -> Box:
    """What PReLU of these slopes makes of a box: z where z >= 0, below it slope·z, both of them rounded.

    >>> box = activated(Box(np.array([-2.0, 1.0]), np.array([4.0, 3.0])), np.zeros(2), Rounding.of(np.float32))
    >>> box.low, box.high
    (array([0., 1.]), array([4., 3.]))
    """
    off = Box(np.minimum(z.low, 0), np.minimum(z.high, 0))
    on = Box(np.maximum(z.low, 0), np.maximum(z.high, 0))
    with np.errstate(invalid="ignore"):
        ends = [np.where(slope == 0, 0.0, slope * end) for end in (off.low, off.high)]
    scaled = Box(np.minimum(*ends), np.maximum(*ends))
    exact: NDArray[np.bool_] = np.isin(slope, (-1.0, 0.0, 1.0))
    rounded = rounding.once(rounding.once(scaled))
    below = Box(np.where(exact, scaled.low, rounded.low), np.where(exact, scaled.high, rounded.high))
    low = np.where(z.low >= 0, on.low, np.where(z.high > 0, np.minimum(below.low, 0), below.low))
    high = np.where(z.high <= 0, below.high, np.where(z.low < 0, np.maximum(below.high, on.high), on.high))
    return Box(low, high)
