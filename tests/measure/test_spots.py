"""Where differences lie: every cell of the grid is the largest excess of its elements."""

import numpy as np
import pytest

from onnx_prelu.measure.checking.compare import Difference, compare
from onnx_prelu.measure.checking.spots import COLUMNS, ROWS, spots, together
from onnx_prelu.measure.checking.tolerance import Tolerance

INF = float("inf")


@pytest.mark.parametrize(
    ("excess", "grid"),
    [
        (np.zeros((2, 3)), ()),
        (np.zeros((0, 3)), ()),
        (np.array(0.5), ((0.5,),)),
        (np.array([0.0, 0.12345]), ((0.0, 0.123),)),
        (np.array([[0.0, 1.0], [2.0, 0.0]]), ((0.0, 1.0), (2.0, 0.0))),
        (np.array([[[0.0, 1.0]], [[3.0, 0.0]]]), ((3.0, 1.0),)),
        (np.arange(8.0).reshape(1, 2, 2, 2), ((0.0, 1.0, 2.0, 3.0), (4.0, 5.0, 6.0, 7.0))),
    ],
)
def test_the_grid_of_a_shape(excess, grid):
    assert spots(excess) == grid


@pytest.mark.parametrize("shape", [(ROWS, COLUMNS), (17, 33), (100, 1000), (1, 33), (500, 2)])
def test_an_element_is_seen_in_one_cell_wherever_it_lies(shape):
    rng = np.random.default_rng(0)
    for _ in range(20):
        row, column = rng.integers(shape[0]), rng.integers(shape[1])
        excess = np.zeros(shape)
        excess[row, column] = 2.0
        grid = np.array(spots(excess))
        assert grid.shape == (min(shape[0], ROWS), min(shape[1], COLUMNS))
        ((down, across),) = np.argwhere(grid)
        assert grid[down, across] == 2.0
        assert abs(down / grid.shape[0] - row / shape[0]) < 1 / grid.shape[0]
        assert abs(across / grid.shape[1] - column / shape[1]) < 1 / grid.shape[1]


def test_grids_of_unlike_sizes_are_put_together():
    assert together((), ((1.0,),)) == ((1.0,),)
    assert together(((1.0, 5.0), (2.0, 0.0)), ((3.0, 4.0, INF),)) == ((3.0, 5.0, INF), (2.0, 0.0, 0.0))


def test_what_is_lost_is_infinite_and_what_differs_is_its_excess():
    a = np.float32([[1.0, 1.0, 1.0, np.nan]])
    b = np.float32([[1.0, 1.5, np.nan, 0.0]])
    found = compare(a, b, Tolerance(0.5, 0.5), 1.0)
    assert found.spots == ((0.0, 0.5, INF, 0.0),)
    assert (found + Difference()).spots == found.spots


def test_integers_that_differ_are_seen():
    assert compare(np.array([1, 2]), np.array([1, 3]), Tolerance(0, 0), 0.0).spots == ((0.0, INF),)
