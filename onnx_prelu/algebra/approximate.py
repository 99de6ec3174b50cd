"""Pairs of Relu units that are nearly one PReLU unit: the λ and the slope of least squares, and how far off they are.

With z_j = −λ·z_i + r, a pair v_i·ReLU(z_i) + v_j·ReLU(z_j) differs from v_i·PReLU_a(z_i) by

    v_j·(ReLU(z_j) − ReLU(−λ·z_i)) + (λ·v_j + a·v_i)·ReLU(−z_i)

as PReLU_a(z) = ReLU(z) − a·ReLU(−z). ReLU brings no two values further apart, so the first term is at most |v_j|·|r|.
All of this is of real numbers; what rounding adds is not part of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .bounds import Box, Rows
from .cells import Indices
from .floats import Array, round_to
from .partners import partners

SAFE = 1 + 2.0**-20
"""What a sum of float64 numbers from 0 on is multiplied by, to be no less than the real sum."""

_LOST = 2.0**-45  # of the sizes of what cancels: more than the roundings of a few float64 operations


@dataclass(frozen=True)
class Near:
    """Pairs of units that are nearly PReLU units, (p,) each.

    Attributes:
        stays: The earlier unit of each pair.
        goes: The later one: nearly −λ times the other one before the activation.
        factor: The λ of least squares.
        slope: The slope of least squares, rounded once.
    """

    stays: Indices
    goes: Indices
    factor: Array
    slope: Array

    def residual(self, rows: Rows, x: Box) -> Array:
        """(p,) the most that z_j + λ·z_i can be from 0 in real numbers.

        Args:
            rows: The rows of the layer before, as they are computed.
            x: The box of its inputs, (inputs,), where 0 may be read in place of any.
        """
        weights = rows.weights * rows.scale[:, None, None]
        factor = self.factor[:, None, None]
        one, other = factor * weights[self.stays], weights[self.goes]
        off = np.abs(other + one) + _LOST * (np.abs(other) + np.abs(one))
        shift = rows.shift[self.goes] + self.factor * rows.shift[self.stays]
        sizes = rows.shifted[self.goes] + self.factor * rows.shifted[self.stays]
        return np.asarray((off.sum(axis=2) @ x.magnitude + np.abs(shift) + _LOST * sizes) * SAFE)

    def error(self, weights: Array, residual: Array, z: Box) -> Array:
        """(units,) the most that each unit of a layer behind can be off in real numbers.

        Args:
            weights: (units, inputs, taps) of the layer behind.
            residual: (p,) as :meth:`residual` gives it.
            z: The box of what the activation reads, (inputs,).
        """
        size = np.maximum(-z.low[self.stays], 0)
        one, other = self.slope[:, None] * weights[:, self.stays], self.factor[:, None] * weights[:, self.goes]
        bent = np.abs(other + one) + _LOST * (np.abs(other) + np.abs(one))
        straight = np.abs(weights[:, self.goes]).sum(axis=2) @ residual
        return np.asarray((straight + bent.sum(axis=2) @ size) * SAFE)


def near(
    rows: Array, columns: Callable[[], Array], kin: Indices, bent: NDArray[np.bool_], dtype: DTypeLike, tolerance: float
) -> Near:
    """The pairs of a layer that are off by no more than a tolerance: nearest first, each unit in one of them.

    Args:
        rows: (m, k) stored weights of the producer, with the bias appended, one row a unit.
        columns: Gives the (m, q) stored weights of all consumers.
        kin: (m,) only units of the same number can pair.
        bent: (m,) units that have a slope already, and pair with none.
        dtype: The type they are stored in.
        tolerance: The largest residual; see :mod:`onnx_prelu.algebra.partners`.

    >>> A, V = np.array([[1.0, 2.0]]), np.array([[4.0]])
    >>> rows, columns = np.vstack([A, [[-2.0, -4.001]]]), np.vstack([V, [[-0.5]]])
    >>> found = near(rows, lambda: columns, np.zeros(2, np.intp), np.zeros(2, bool), np.float32, 1e-3)
    >>> found.stays, found.goes, found.factor.round(3), found.slope.round(3)
    (array([0]), array([1]), array([2.]), array([0.25]))
    """
    free = np.flatnonzero(~bent)
    found = partners(rows[free], lambda: columns()[free], kin[free], dtype)
    left = found.matched()
    left = left[found.residual[left] <= tolerance]
    stays, goes = free[found.one[left]], free[found.other[left]]
    if not left.size:
        return Near(stays, goes, np.empty(0), np.empty(0))
    one, other, v, w = rows[stays], rows[goes], columns()[stays], columns()[goes]
    factor = -np.sum(one * other, axis=1) / np.sum(one * one, axis=1)
    slope = -factor * np.sum(v * w, axis=1) / np.sum(v * v, axis=1)
    return Near(stays, goes, factor, np.asarray(round_to(slope, dtype)))
