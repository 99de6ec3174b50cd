"""Bounds by cutting the box of the inputs in two, and again, where a half says more than the whole.

For few inputs only: each cut halves one of them. A unit is decided where it is decided in every piece. One that fires
at the middle of a piece is not dead, one that is below 0 at another is not always on: for those, nothing is cut.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .bounds import Box, Rounding
from .floats import Array
from .symbolic import Layer, symbolic

MOST_INPUTS = 8
"""How many inputs may be cut."""

PIECES = 1024
"""Into how many pieces the box is cut at most."""

_TOGETHER = 64  # pieces that are bounded at once


def bisected(layers: Sequence[Layer], x: Box, rounding: Rounding, pieces: int = PIECES) -> Box:
    """Bounds of what is computed for z of the last of some layers.

    Args:
        layers: The layers, first to last.
        x: The inputs of the first, (inputs,), with finite ends.
        rounding: How the type rounds that they compute in.
        pieces: Into how many pieces the box may be cut.

    Returns:
        (units,): the hull of the bounds in all pieces.
    """
    boxes = Box(x.low[None], x.high[None])
    z = symbolic(layers, boxes, rounding)
    seen = _middle(layers, boxes)
    above, below = np.any(seen > 0, axis=0), np.any(seen < 0, axis=0)
    while True:
        dead, on = ~above & (z.high.max(axis=0) > 0), ~below & (z.low.min(axis=0) < 0)
        cut = np.any((z.high > 0) & dead, axis=1) | np.any((z.low < 0) & on, axis=1)
        if not np.any(cut) or len(cut) + np.sum(cut) > pieces:
            return Box(z.low.min(axis=0), z.high.max(axis=0))
        halves = _halves(Box(boxes.low[cut], boxes.high[cut]), layers[0])
        seen = _middle(layers, halves)
        above, below = above | np.any(seen > 0, axis=0), below | np.any(seen < 0, axis=0)
        parts = np.array_split(np.arange(len(halves.low)), -(-len(halves.low) // _TOGETHER))
        inner = [symbolic(layers, Box(halves.low[part], halves.high[part]), rounding) for part in parts]
        found = Box(np.concatenate([part.low for part in inner]), np.concatenate([part.high for part in inner]))
        found = found.within(
            Box(np.tile(z.low[cut], (2, 1)), np.tile(z.high[cut], (2, 1)))
        )  # lines can be worse chosen
        boxes = Box(_joined(boxes.low, cut, halves.low), _joined(boxes.high, cut, halves.high))
        z = Box(_joined(z.low, cut, found.low), _joined(z.high, cut, found.high))


def _joined(values: Array, cut: NDArray[np.bool_], halves: Array) -> Array:
    return np.concatenate([values[~cut], halves])


def _halves(boxes: Box, first: Layer) -> Box:
    """Both halves of each box, cut across the input that moves the first layer most."""
    width = boxes.high - boxes.low
    axis = np.argmax(width * np.abs(first.rows.matrix).sum(axis=0), axis=1)
    number = np.arange(len(axis))
    middle = (boxes.low + boxes.high)[number, axis] / 2
    lower, upper = boxes.high.copy(), boxes.low.copy()
    lower[number, axis] = upper[number, axis] = middle
    return Box(np.concatenate([boxes.low, upper]), np.concatenate([lower, boxes.high]))


def _middle(layers: Sequence[Layer], boxes: Box) -> Array:
    """What the last layer makes at the middle of each box, roughly: what is seen there only ends the search."""
    value = (boxes.low + boxes.high) / 2
    for number, layer in enumerate(layers):
        if number:
            value = np.where(value >= 0, value, layers[number - 1].slope * value)
        value = value @ layer.rows.matrix.T + layer.rows.shift
    return value
