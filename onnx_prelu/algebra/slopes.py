"""Slopes as arrays: which shape they need, and which they can have."""

from __future__ import annotations

import numpy as np

from .floats import Array

Shape = tuple[int | str | None, ...]
"""A tensor's shape as far as it is known: numbers, names, None."""


def shrink(values: Array) -> Array:
    """The smallest array that broadcasts to the same values: axes that they repeat along become 1, equal ones a scalar.

    >>> shrink(np.broadcast_to([[[1.0]], [[2.0]]], (2, 5, 5))).shape, shrink(np.full((4, 1, 1), 0.25)).shape
    ((2, 1, 1), ())
    """
    if values.size == 1:
        return values  # small enough, in whatever shape
    for axis, size in enumerate(values.shape):
        if size > 1:
            first = values.take([0], axis=axis)
            values = first if np.all(values == first) else values
    return values.reshape(()) if values.size == 1 else values


def fits(slope: tuple[int, ...], x: Shape) -> bool:
    """True if a slope of this shape broadcasts to x without changing its shape, as far as that is known."""
    pairs = zip(slope[::-1], x[::-1], strict=False)
    return len(slope) <= len(x) and all(s == 1 or d == s or not isinstance(d, int) for s, d in pairs)


def repaired(slope: tuple[int, ...], x: Shape) -> tuple[int, ...] | None:
    """The shape that a slope of one value a channel should have; None where nothing shows that it was meant so.

    A slope (C,) that cannot broadcast to x of rank 3 or more becomes (C, 1, …), as MXNet meant it; a slope (C, 1, 1) or
    (1, C, 1, 1) of an x that has two dimensions only becomes (C,).

    >>> repaired((64,), (1, 64, 56, 56)), repaired((64, 1, 1), ("N", 64)), repaired((56,), (1, 64, 56, 56))
    ((64, 1, 1), (64,), None)
    """
    if len(x) < 2 or fits(slope, x):
        return None
    channels = [size for size in slope if size != 1]
    if len(channels) != 1 or x[1] != channels[0]:
        return None
    if len(slope) == 1 and len(x) > 2:
        return (channels[0], *[1] * (len(x) - 2))
    by_channel = len(slope) > 2 and slope.index(channels[0]) in (len(slope) - 3, 0)
    return (channels[0],) if len(x) == 2 and by_channel else None


def ambiguous(slope: tuple[int, ...], x: Shape) -> bool:
    """True for a slope (C,) that belongs to the last axis, by ONNX's rule, of an x with as many channels.

    >>> ambiguous((64,), (1, 64, 64, 64)), ambiguous((64,), ("N", 64))
    (True, False)
    """
    return len(slope) == 1 and slope[0] > 1 and len(x) > 2 and x[1] == slope[0] and fits(slope, x)
