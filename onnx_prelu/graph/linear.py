"""Linear layers behind one view: y = A·x + b for each unit, where units lie along one axis of y, inputs along one of x.

:meth:`Linear.take_rows` and :meth:`Linear.take_columns` say how the constants of a layer change when its units, or
those of the layer before it, are replaced by lanes; nothing is edited here. A kind of layer is a function in kinds.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..algebra.floats import Array
from ..algebra.lanes import Lanes
from .index import Node
from .weights import Take, Weight


@dataclass(frozen=True, eq=False)
class Change:
    """A constant of a node that is to be replaced.

    Attributes:
        node: The node that reads it.
        position: As which input.
        weight: What it becomes.
    """

    node: Node
    position: int
    weight: Weight


@dataclass(frozen=True)
class Place:
    """Where the units of an activation lie in a tensor.

    Attributes:
        axis: The axis, counted from the end.
        units: How many units there are.
        block: How many neighbours along the axis belong to one unit; None where that is not known.
        rank: The tensor's rank, where it is known.
        repeats: How many times all units stand along the axis, one run behind the other.
    """

    axis: int
    units: int
    block: int | None = 1
    rank: int | None = None
    repeats: int = 1

    @property
    def size(self) -> int | None:
        """The length of the axis, where it is known."""
        return None if self.block is None else self.repeats * self.units * self.block

    @property
    def number(self) -> int | None:
        """The axis counted from the front, where the rank is known."""
        return None if self.rank is None else self.axis + self.rank


@dataclass(frozen=True)
class Constant:
    """A constant with a value, or a slice, for each unit.

    Attributes:
        node: The node that reads it.
        position: As which input.
        weight: Its values.
        axis: The axis of the units, or of blocks of neighbours that belong to one unit.
        repeats: How many times all units stand along it.
    """

    node: Node
    position: int
    weight: Weight
    axis: int
    repeats: int = 1

    def by_unit(self, units: int) -> Array:
        """The values as (units, k)."""
        return gathered(np.moveaxis(self.weight.values(), self.axis, 0), units, self.repeats)

    def take(self, units: int, lanes: Take) -> Change:
        """This constant with one slice, or block of slices, for each lane."""
        wide = spread(lanes, units, self.weight.shape[self.axis], self.repeats)
        return Change(self.node, self.position, self.weight.take(self.axis, wide.index, wide.factor))


def spread(take: Take, units: int, size: int, repeats: int = 1) -> Take:
    """What is taken along an axis of this size, where each unit is a block of neighbours, in each of some runs.

    >>> spread(Take(np.array([1]), np.array([3.0])), units=2, size=8, repeats=2).index
    array([2, 3, 6, 7])
    """
    block = size // (units * repeats)
    if size == units:
        return take
    run = (take.index[:, None] * block + np.arange(block)).reshape(-1)
    index = (np.arange(repeats)[:, None] * (units * block) + run).reshape(-1)
    return Take(index, np.tile(np.repeat(take.factor, block), repeats))


def gathered(slices: NDArray[Any], units: int, repeats: int = 1) -> NDArray[Any]:
    """(units, k): all that belongs to each unit, of slices along axis 0, laid out as in :func:`spread`."""
    runs = slices.reshape(repeats, units, -1)
    return np.moveaxis(runs, 1, 0).reshape(units, -1)


@dataclass(frozen=True)
class Linear:
    """A linear layer.

    A matrix of a grouped layer, or a kernel, has one of the two sides along axis 0; the other along axis 1, counted
    within each of ``groups`` equal blocks of axis 0.

    Attributes:
        nodes: Its nodes in order: the layer itself, then what adds to or scales each unit.
        x: Its input tensor.
        y: Its output tensor.
        input_axis: The axis of the inputs in x, counted from the end.
        output: Where the units lie in y.
        weight: Its matrix or kernel; its axis is that of the units.
        groups: In how many equal groups of neighbours its units stand, and its inputs with them.
        added: What is added to each unit: biases, means. They scale with the rows.
        repeated: What each unit is multiplied or divided by further on. They do not scale with the rows.
    """

    nodes: tuple[Node, ...]
    x: str
    y: str
    input_axis: int
    output: Place
    weight: Constant
    groups: int = 1
    added: tuple[Constant, ...] = ()
    repeated: tuple[Constant, ...] = ()

    @property
    def units(self) -> int:
        """How many output features there are."""
        return self._size(self.weight.axis)

    @property
    def inputs(self) -> int:
        """How many input features there are."""
        return self._size(1 - self.weight.axis)

    def rows(self) -> Array:
        """(units, k) stored values that scale with a unit: weights, then what is added; one row a unit."""
        return np.concatenate([self.matrix(), *(part.by_unit(self.units) for part in self.added)], axis=1)

    def matrix(self) -> Array:
        """(units, k) stored weights alone, one row a unit: its inputs within its group, each with its places."""
        return self._slices(self.weight.weight.values(), self.weight.axis)

    def columns(self) -> Array:
        """(inputs, q) stored weights, one row an input feature."""
        return self._slices(self.weight.weight.values(), 1 - self.weight.axis)

    def reads(self) -> NDArray[np.bool_]:
        """(inputs,) whether a weight other than 0 reads an input."""
        nonzero = self._slices(self.weight.weight.stored() != 0, 1 - self.weight.axis)
        return np.asarray(nonzero.any(axis=1))

    def kin(self) -> Array:
        """(units, k) stored values that have to be equal where two units are one unit in two directions."""
        parts = [part.by_unit(self.units) for part in self.repeated]
        return np.concatenate([np.empty((self.units, 0)), *parts], axis=1)

    def take_rows(self, lanes: Lanes) -> Iterator[Change]:
        """The constants that this layer has after its units were replaced by lanes."""
        yield self._taken(self.weight.axis, Take(lanes.unit, lanes.row))
        for part in self.added:
            yield part.take(self.units, Take(lanes.unit, lanes.row))
        for part in self.repeated:
            yield part.take(self.units, Take(lanes.unit, np.ones(len(lanes))))

    def take_columns(self, take: Take) -> Change:
        """The matrix that this layer has after its inputs were replaced."""
        return self._taken(1 - self.weight.axis, take)

    def with_columns(self, columns: Array) -> Change:
        """The matrix that this layer has with other columns, laid out as :meth:`columns` gives them; rounded now."""
        weight, axis = self.weight.weight, 1 - self.weight.axis
        if axis == 1:
            blocks = columns.reshape(self.groups, -1, weight.shape[0] // self.groups, *weight.shape[2:])
            columns = np.moveaxis(blocks, 1, 2).reshape(weight.shape[0], -1, *weight.shape[2:])
        else:
            columns = columns.reshape(-1, *weight.shape[1:])
        return Change(self.weight.node, self.weight.position, Weight.of(columns.astype(weight.dtype)))

    def _size(self, axis: int) -> int:
        return self.weight.weight.shape[axis] * (self.groups if axis == 1 else 1)

    def _slices(self, matrix: NDArray[Any], axis: int) -> NDArray[Any]:
        """An array like the matrix as (size, k): everything that belongs to each unit, or to each input."""
        if axis == 0:
            return matrix.reshape(len(matrix), -1)
        blocks = matrix.reshape(self.groups, len(matrix) // self.groups, *matrix.shape[1:])
        return np.moveaxis(blocks, 2, 1).reshape(self._size(1), -1)

    def _taken(self, axis: int, take: Take) -> Change:
        weight = self.weight.weight
        if axis == 1:
            take = take.within(self.groups, weight.shape[1])
        return Change(self.weight.node, self.weight.position, weight.take(axis, take.index, take.factor))
