"""Weights seen through lanes, against the same done by hand."""

import ml_dtypes
import numpy as np
import pytest

from onnx_prelu.graph.linear import spread
from onnx_prelu.graph.weights import Take, Weight

RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(6, 2, 3)).astype(np.float32)  # three groups of two rows
INDEX, FACTOR = np.array([[0, 1, 1], [1, 0, 0], [1, 1, 0]]), np.array([[1, -1, 2], [3, -1, 1], [0.5, 1, 1]])


def by_hand(kernel, index, factor):
    rows = len(kernel) // len(index)
    blocks = [kernel[g * rows : (g + 1) * rows][:, index[g]] * factor[g][:, None] for g in range(len(index))]
    return np.concatenate(blocks)


def test_each_block_takes_its_own():
    weight = Weight.of(KERNEL).take(1, INDEX, FACTOR)
    assert weight.shape == (6, 3, 3)
    assert weight.stored().dtype == np.float32
    np.testing.assert_array_equal(weight.stored(), by_hand(KERNEL.astype(float), INDEX, FACTOR).astype(np.float32))


@pytest.mark.parametrize("rows_first", [True, False])
def test_rows_and_columns_are_taken_in_either_order(rows_first):
    rows, scale = np.array([1, 0, 1, 3, 2, 2, 4, 5, 5]), np.linspace(-2, 2, 9)
    weight = Weight.of(KERNEL)
    for axis in (0, 1) if rows_first else (1, 0):
        weight = weight.take(axis, *((rows, scale) if axis == 0 else (INDEX, FACTOR)))
    expected = by_hand(KERNEL.astype(float)[rows] * scale[:, None, None], INDEX, FACTOR)
    np.testing.assert_array_equal(weight.stored(), expected.astype(np.float32))


def test_takes_by_block_compose():
    again, scale = np.array([[2, 0], [0, 0], [1, 2]]), np.array([[2.0, 1], [1, 4], [1, -1]])
    weight = Weight.of(KERNEL).take(1, INDEX, FACTOR).take(1, again, scale)
    expected = by_hand(by_hand(KERNEL.astype(float), INDEX, FACTOR), again, scale)
    np.testing.assert_array_equal(weight.stored(), expected.astype(np.float32))


def test_signs_keep_every_bit_of_every_type():
    for dtype in (np.float16, np.float32, np.float64, ml_dtypes.bfloat16):
        kernel = KERNEL.astype(dtype)
        signs = np.where(FACTOR > 0, 1.0, -1.0)
        stored = Weight.of(kernel).take(1, INDEX, signs).stored()
        assert stored.tobytes() == by_hand(kernel, INDEX, signs.astype(dtype)).tobytes()


def test_indices_within_blocks():
    take = Take(np.array([0, 1, 3, 2, 5, 5]), np.arange(6.0)).within(3, 2)
    assert take.index.tolist() == [[0, 1], [1, 0], [1, 1]]
    assert take.factor.tolist() == [[0, 1], [2, 3], [4, 5]]


def test_a_unit_spread_over_a_block_of_neighbours():
    take = spread(Take(np.array([1, 0, 1]), np.array([1.0, 2.0, -1.0])), units=2, size=6)
    assert take.index.tolist() == [3, 4, 5, 0, 1, 2, 3, 4, 5]
    assert take.factor.tolist() == [1, 1, 1, 2, 2, 2, -1, -1, -1]
