"""Boxes of tensors: their ends are arrays that broadcast to the tensor, aligned from the right as ONNX does it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ...algebra.bounds import Box
from ...algebra.floats import Array

Shape = Sequence[int | str | None]
"""The shape of a tensor as far as it is known."""


def everywhere(low: float, high: float) -> Box:
    """The same interval for every element of a tensor."""
    return Box(np.array(low), np.array(high))


def each(box: Box, change: Callable[[Array], Array]) -> Box:
    """The box with a change of layout made to both ends."""
    return Box(change(box.low), change(box.high))


def along(box: Box, axis: int, size: int) -> Box:
    """(size,): the interval of each index along an axis, counted from the end, whatever the others."""

    def reduced(end: Array, take: Callable[..., Array]) -> Array:
        there = end.ndim >= -axis
        others = tuple(number for number in range(end.ndim) if number - end.ndim != axis or not there)
        return np.broadcast_to(np.asarray(take(end, axis=others)).reshape(-1), (size,))

    return Box(reduced(box.low, np.min), reduced(box.high, np.max))


def placed(box: Box, axis: int) -> Box:
    """A box (units,) along an axis of a tensor, counted from the end."""
    return each(box, lambda end: end.reshape(-1, *[1] * (-1 - axis)))


def collapsed(box: Box, axes: int) -> Box:
    """The box with the last axes made one: what holds wherever along them."""

    def reduced(end: Array, take: Callable[..., Array]) -> Array:
        last = tuple(range(max(0, end.ndim - axes), end.ndim))
        return np.asarray(take(end, axis=last, keepdims=True))

    return Box(reduced(box.low, np.min), reduced(box.high, np.max))


def ranked(box: Box, rank: int) -> Box:
    """The box with axes of size 1 in front, up to a rank."""
    return each(box, lambda end: end.reshape(*[1] * (rank - end.ndim), *end.shape))


def reshaped(box: Box, before: Shape | None, after: Shape | None) -> Box | None:
    """The box of a tensor that was read row by row into another shape; None where the shapes do not tell.

    The first axis may be of any size, where each index along it stays one.
    """
    if box.low.size == box.high.size == 1:
        return each(box, lambda end: end.reshape(()))
    if before is None or after is None or not before or not after:
        return None
    rows, target = _sizes(before[1:]), _sizes(after[1:])
    if rows is not None and target is not None and math.prod(rows) == math.prod(target):
        whole = ranked(box, len(before))
        if whole.low.shape[0] == whole.high.shape[0] == 1:
            return each(whole, lambda end: np.broadcast_to(end[0], rows).reshape(target))
    first, second = _sizes(before), _sizes(after)
    if first is None or second is None or math.prod(first) != math.prod(second):
        return None
    return each(box, lambda end: np.broadcast_to(end, first).reshape(second))


def _sizes(shape: Shape) -> tuple[int, ...] | None:
    sizes = tuple(size for size in shape if isinstance(size, int))
    return sizes if len(sizes) == len(shape) else None
