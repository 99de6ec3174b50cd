"""Weights as they are stored, seen through lanes: lazy, and rounded once.

In a chain one matrix is edited from both sides: its rows by the activation after it, its columns by the one before.
A :class:`Weight` keeps the stored array and, for each axis, which slices are taken and by what they are multiplied.
The factors compose in float64, and the result is rounded to the stored type once, when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..algebra.floats import Array


@dataclass(frozen=True)
class Take:
    """Which slices along one axis, each times a factor.

    Both have shape (m,), or (g, m): then the axis is not 0, and each of g equal blocks along axis 0 takes its own.
    """

    index: NDArray[np.intp]
    factor: Array

    def within(self, blocks: int, size: int) -> Take:
        """The same with indices counted within each block, for a constant that holds the blocks one behind the other.

        Args:
            blocks: How many blocks there are; the lanes stand in order of blocks, equally many of each.
            size: How many slices each has.
        """
        if blocks == 1:
            return self
        index = self.index.reshape(blocks, -1) - size * np.arange(blocks)[:, None]
        return Take(index, self.factor.reshape(blocks, -1))

    def blocks(self, array: NDArray[Any]) -> NDArray[Any]:
        """The array as seen by :meth:`along`: with an axis of blocks in front where there are some."""
        if self.index.ndim == 1:
            return array
        return array.reshape(len(self.index), len(array) // len(self.index), *array.shape[1:])

    def along(self, values: NDArray[Any], axis: int, rank: int) -> NDArray[Any]:
        """Indices or factors, shaped to broadcast against :meth:`blocks` of an array of this rank."""
        ones = [1] * rank
        ones[axis] = values.shape[-1]
        return values.reshape(*values.shape[:-1], *ones)


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

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The shape with the takes applied."""
        return tuple(
            self.takes[axis].index.shape[-1] if axis in self.takes else size
            for axis, size in enumerate(self.base_shape)
        )

    def take(self, axis: int, index: NDArray[np.intp], factor: Array) -> Weight:
        """This weight with slices taken along an axis, each times a factor, after whatever was taken before."""
        if axis in self.takes:
            before = self.takes[axis]
            index, factor = (
                np.take_along_axis(before.index, index, axis=-1),
                np.take_along_axis(before.factor, index, axis=-1) * factor,
            )
        return Weight(self.load, self.base_shape, self.dtype, {**self.takes, axis: Take(index, factor)})

    def broadcast(self, shape: tuple[int, ...]) -> Weight:
        """This weight broadcast to a shape, as an array of its own; itself where it has that shape."""
        if shape == self.shape:
            return self
        return Weight(lambda: np.ascontiguousarray(np.broadcast_to(self.stored(), shape)), shape, self.dtype)

    def viewed(self, axes: tuple[int, ...], shape: tuple[int, ...]) -> Weight:
        """This weight with its axes in another order and then in another shape, as an array of its own."""
        return Weight(lambda: self.stored().transpose(axes).reshape(shape), shape, self.dtype)

    def reshaped(self, shape: tuple[int, ...]) -> Weight:
        """This weight in another shape, as an array of its own; itself where it has that shape."""
        return self if shape == self.shape else self.viewed(tuple(range(len(self.shape))), shape)

    def stored(self) -> NDArray[Any]:
        """The array to store: factors multiplied in float64, rounded once to the dtype. ±1 keeps every bit."""
        array = self.load()
        for axis, take in self.takes.items():
            array = _taken(array, take, axis)
        if all(np.all(take.factor == 1) for take in self.takes.values()):
            return array
        signs = all(np.all(np.abs(take.factor) == 1) for take in self.takes.values())
        values = array if signs else array.astype(np.float64)
        for axis, take in self.takes.items():
            factor = take.along(take.factor.astype(values.dtype), axis, array.ndim)
            values = (take.blocks(values) * factor).reshape(array.shape)
        with np.errstate(over="ignore", under="ignore"):
            result: NDArray[Any] = values.astype(self.dtype)
        return result

    def values(self) -> Array:
        """The stored values as float64."""
        return self.stored().astype(np.float64)


def _taken(array: NDArray[Any], take: Take, axis: int) -> NDArray[Any]:
    if take.index.ndim == 1:
        return np.take(array, take.index, axis=axis)
    index = take.along(take.index, axis, array.ndim)
    blocks = np.take_along_axis(take.blocks(array), index, axis=axis + 1)
    return blocks.reshape(len(array), *blocks.shape[2:])
