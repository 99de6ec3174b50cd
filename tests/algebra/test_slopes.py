"""Shapes of slopes: the smallest, the right one, and the one that only looks right."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnx_prelu.algebra.slopes import ambiguous, fits, repaired, shrink
from tests.counts import examples


@examples(500)
@given(st.lists(st.integers(1, 4), max_size=4), st.integers(0, 2**32 - 1))
def test_shrinking_loses_nothing_and_leaves_nothing_to_shrink(shape, seed):
    rng = np.random.default_rng(seed)
    core = rng.integers(0, 3, size=[size if rng.random() < 0.5 else 1 for size in shape]).astype(float)
    values = np.broadcast_to(core, shape)
    small = shrink(values)
    assert np.array_equal(np.broadcast_to(small, shape), values)
    assert small.size <= core.size
    for axis, size in enumerate(small.shape):
        assert size == 1 or not np.array_equal(np.broadcast_to(small.take([0], axis), small.shape), small)


def test_nan_is_not_shrunk():
    assert shrink(np.array([np.nan, np.nan])).shape == (2,)


FITS = [
    ((3,), (2, 3), True),
    ((3,), (2, None), True),
    ((3,), (2, "N"), True),
    ((3,), (2, 1), False),
    ((3,), (2, 4), False),
    ((), (), True),
    ((1, 1), (3,), False),
]


@pytest.mark.parametrize(("slope", "x", "expected"), FITS)
def test_a_slope_fits_where_it_leaves_x_alone(slope, x, expected):
    assert fits(slope, x) is expected


REPAIRED = [
    ((64,), (1, 64, 56, 56), (64, 1, 1)),
    ((64,), ("N", 64, 56), (64, 1)),
    ((64, 1, 1), ("N", 64), (64,)),
    ((1, 64, 1, 1), ("N", 64), (64,)),
    ((64,), (1, 64, 64, 64), None),  # it fits
    ((64,), (1, 64, None, None), None),  # it may fit
    ((32,), (1, 64, 56, 56), None),  # as long as nothing
    ((64,), (1, None, 56, 56), None),  # who knows
    ((64, 2), (1, 64, 56, 56), None),
    ((64, 1, 1), (1, 56, 64), None),
    ((1, 64, 1, 1), (3, 5, 64, 7), None),
    ((64, 1), (3, 64), None),  # of a batch of 64
    ((64,), (64,), None),
]


@pytest.mark.parametrize(("slope", "x", "expected"), REPAIRED)
def test_a_slope_is_repaired_where_it_fits_nowhere_and_was_meant_for_the_channels(slope, x, expected):
    assert repaired(slope, x) == expected


AMBIGUOUS = [
    ((64,), (1, 64, 64, 64), True),
    ((64,), (1, 64, 9, None), True),
    ((64,), (1, 64, 9, 9), False),
    ((64,), (1, 32, 9, 64), False),
    ((1,), (1, 1, 1, 1), False),
    ((64,), (9, 64), False),
    ((64, 1, 1), (1, 64, 64, 64), False),
]


@pytest.mark.parametrize(("slope", "x", "expected"), AMBIGUOUS)
def test_a_slope_that_fits_the_last_axis_by_chance_is_told(slope, x, expected):
    assert ambiguous(slope, x) is expected
