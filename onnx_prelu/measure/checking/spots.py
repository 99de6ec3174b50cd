"""Where in an output the differences lie, on a grid coarse enough to be told."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Spots = tuple[tuple[float, ...], ...]
"""The largest excess in each cell of a grid, row by row; empty where nothing differs."""

ROWS, COLUMNS = 16, 32


def spots(excess: NDArray[np.float64]) -> Spots:
    """The grid of an output: at most 16 rows of 32 columns, to three significant digits.

    Of a matrix, rows are rows. Of more axes, the largest along the first is taken, rows are the second, and columns all
    behind it; fewer axes are one row. An axis that is longer than the grid is cut into pieces of like length.

    >>> spots(np.array([0.0, 0.25, np.inf]))
    ((0.0, 0.25, inf),)
    """
    if not excess.any():
        return ()
    if excess.ndim > 2:
        excess = excess.max(axis=0).reshape(excess.shape[1], -1)
    grid = np.atleast_2d(excess)
    for axis, most in enumerate((ROWS, COLUMNS)):
        length = grid.shape[axis]
        if length > most:
            grid = np.maximum.reduceat(grid, np.arange(most) * length // most, axis)
    return tuple(tuple(float(f"{value:.3g}") for value in row) for row in grid)


def together(one: Spots, other: Spots) -> Spots:
    """The larger of two grids, cell by cell; where one is smaller, it says nothing of what it lacks."""
    if not (one and other):
        return one or other
    grid = np.zeros((max(len(one), len(other)), max(len(one[0]), len(other[0]))))
    for each in (one, other):
        part = grid[: len(each), : len(each[0])]
        np.maximum(part, each, out=part)
    return tuple(tuple(row) for row in grid.tolist())
