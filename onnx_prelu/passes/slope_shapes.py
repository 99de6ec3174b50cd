"""The shapes in which a PRelu's slope can be written, and a slope rewritten from one into another without loss.

For x of shape (N, C, H, W), by name:

    scalar   one value, []  or  [1]
    1d       [W]: one value along the last axis, as ONNX broadcasts; over x of rank 2 that is the channel
    c11      [C, 1, 1]: one value a channel; over x of rank 2, [C]
    full     [C, H, W]: one value an element
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..algebra.floats import Array
from ..errors import Refused

SLOPE_SHAPES: tuple[str, ...] = ("scalar", "1d", "c11", "full")
"""What ``--slope-shape`` takes."""

Shape = Sequence[int | str | None]


def kinds(shape: Shape, x: Shape | None) -> frozenset[str]:
    """The names of :data:`SLOPE_SHAPES` that fit a shape, over x of a shape that may be unknown.

    >>> sorted(kinds([3, 1, 1], [1, 3, 8, 8])), sorted(kinds([3], [1, 3])), sorted(kinds([1], None))
    (['c11'], ['1d', 'c11', 'full'], ['1d', 'scalar'])
    """
    rank = None if x is None else len(x)
    found = set()
    if list(shape) in ([], [1]):
        found.add("scalar")
    if len(shape) == 1:
        found.add("1d")
    a_channel = len(shape) >= 2 if rank is None else len(shape) == rank - 1 >= 1
    if a_channel and all(size == 1 for size in shape[1:]):
        found.add("c11")
    if x is not None and list(shape) == list(x)[1:] and shape:
        found.add("full")
    return frozenset(found)


def reshaped(slope: Array, kind: str, x: Shape | None, node: str) -> Array:
    """A slope in another shape that broadcasts to the same values over x.

    Args:
        slope: The slope, in a shape that broadcasts to x.
        kind: One of :data:`SLOPE_SHAPES`.
        x: The shape of x, as far as it is known.
        node: The site's name, for the refusal.

    Raises:
        Refused: ``slope-shape``: it has more values than that shape can hold, or x's shape is not known.

    >>> reshaped(np.full((3, 8, 8), 0.25), "scalar", [1, 3, 8, 8], "act")
    array([0.25])
    """
    if kind in kinds(slope.shape, x):
        return slope
    aligned = slope if x is None else slope.reshape([1] * (len(x) - slope.ndim) + list(slope.shape))
    sizes = _sizes(aligned.shape, kind, x)
    if sizes is None:
        text = f"a slope cannot be written as {kind} over x of shape {_shown(x)}: a size is not known"
        raise Refused("slope-shape", text, node)
    for axis, size in enumerate(sizes):
        first = aligned.take([0], axis)
        if size == 1 and aligned.shape[axis] != 1:
            if np.any(aligned != first):
                text = f"the slope of shape {list(slope.shape)} varies along an axis that {kind} does not have"
                raise Refused("slope-shape", f"{text}; another --slope-shape can hold it", node)
            aligned = first
    keep = {"scalar": 1, "1d": 1}.get(kind, len(sizes) - 1)
    return np.broadcast_to(aligned, sizes).reshape(sizes[len(sizes) - keep :])


def _sizes(slope: tuple[int, ...], kind: str, x: Shape | None) -> list[int] | None:
    """The size along each axis of x that a slope of this kind has; None where it cannot be known.

    Where x does not say how large an axis is, a slope of one value along it stays one value, but for ``full``.
    """
    if kind == "scalar":
        return [1] * max(len(slope), 1)
    if x is None:
        return None
    axes = {"1d": range(len(x) - 1, len(x)), "c11": range(1, 2), "full": range(1, len(x))}[kind]
    if len(x) < 2 and kind != "1d":
        return None
    sizes = [1] * len(x)
    for axis in axes:
        size = x[axis]
        if not isinstance(size, int) and kind == "full" and slope[axis] == 1:
            return None
        sizes[axis] = size if isinstance(size, int) else slope[axis]
    return sizes


def _shown(shape: Shape | None) -> str:
    return "unknown" if shape is None else "[" + ", ".join("?" if s is None else str(s) for s in shape) + "]"
