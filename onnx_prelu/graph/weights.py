"""Weights as they are stored, seen through lanes: lazy, and rounded once.

In a chain one matrix is edited from both sides: its rows by the activation after it, its columns by the one before.
A :class:`Weight` keeps the stored array and, for each axis, which slices are taken and by what they are multiplied.
The factors compose in float64, and the result is rounded to the stored type once, when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..algebra.floats import Array


@dataclass(frozen=True)
class Take:
    """Which slices along one axis, each times a factor; both (m,)."""

    index: NDArray[np.intp]
    factor: Array


@dataclass(frozen=True)
class Weight:
    """A constant: a stored array, with slices taken along its axes.

    Attributes:
        load: Gives the stored array, in its own dtype. Called when the values are needed.
        base_shape: The shape of the stored array.
        dtype: The type it is stored in.
        takes: For an axis, what is taken along it.
    """

    load: Callable[[], NDArray[Any]]
    base_shape: tuple[int, ...]
    dtype: np.dtype[Any]
    takes: dict[int, Take] = field(default_factory=dict)

    @classmethod
    def of(cls, array: NDArray[Any]) -> Weight:
        """A weight of values that are at hand."""
        return cls(lambda: array, array.shape, array.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape with the takes applied."""
        return tuple(
            len(self.takes[axis].index) if axis in self.takes else size for axis, size in enumerate(self.base_shape)
        )

    def take(self, axis: int, index: NDArray[np.intp], factor: Array) -> Weight:
        """This weight with slices taken along an axis, each times a factor, after whatever was taken before."""
        if axis in self.takes:
            before = self.takes[axis]
            index, factor = before.index[index], before.factor[index] * factor
        return Weight(self.load, self.base_shape, self.dtype, {**self.takes, axis: Take(index, factor)})

    def broadcast(self, shape: tuple[int, ...]) -> Weight:
        """This weight broadcast to a shape, as an array of its own; itself where it has that shape."""
        if shape == self.shape:
            return self
        return Weight(lambda: np.ascontiguousarray(np.broadcast_to(self.stored(), shape)), shape, self.dtype)

    def stored(self) -> NDArray[Any]:
        """The array to store: factors multiplied in float64, rounded once to the dtype. ±1 keeps every bit."""
        array = self.load()
        for axis, take in self.takes.items():
            array = np.take(array, take.index, axis=axis)
        if all(np.all(take.factor == 1) for take in self.takes.values()):
            return array
        signs = all(np.all(np.abs(take.factor) == 1) for take in self.takes.values())
        values = array if signs else array.astype(np.float64)
        for axis, take in self.takes.items():
            factor = take.factor.astype(values.dtype)
            values = values * factor.reshape([-1 if axis == a else 1 for a in range(array.ndim)])
        with np.errstate(over="ignore", under="ignore"):
            result: NDArray[Any] = values.astype(self.dtype)
        return result

    def values(self) -> Array:
        """The stored values as float64."""
        return self.stored().astype(np.float64)
