import ml_dtypes
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from onnx_prelu.algebra.grouping import ratio_intervals
from onnx_prelu.algebra.recovery import fold_pairs, pair_slope
from tests.counts import count, examples

DTYPES = [np.float32, np.float16, np.float64, ml_dtypes.bfloat16]


def stored(values, dtype=np.float32):
    return np.asarray(values).astype(dtype).astype(float)


@st.composite
def layers(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from(DTYPES))
    few = 3 if dtype in (np.float32, np.float64) else 4  # two short rows of 8 bits are parallel by accident
    n, k, q = draw(st.integers(1, 12)), draw(st.integers(few, 8)), draw(st.integers(few - 1, 8))
    slopes = rng.choice([-0.3, 0.0, 0.25, 1.0, 1.7, 0.01, -2.5], n) * rng.choice([1, rng.normal()], n)
    return dtype, stored(rng.normal(size=(n, k)), dtype), stored(rng.normal(size=(n, q)), dtype), stored(slopes, dtype)


def wide(rows, columns, slopes, dtype, in_producer):
    """The double-width layer, by hand: first the positive rows, then the negative ones."""
    second = slopes != 0
    if in_producer:
        lower, right = -np.abs(slopes[:, None]) * rows, -np.sign(slopes[:, None]) * columns
    else:
        lower, right = -rows, -slopes[:, None] * columns
    return (
        np.vstack([rows, stored(lower, dtype)[second]]),
        np.vstack([columns, stored(right, dtype)[second]]),
    )


@examples(500)
@given(layers(), st.booleans())
def test_a_split_layer_folds_to_itself(layer, in_producer):
    dtype, rows, columns, slopes = layer
    pairs = fold_pairs(*wide(rows, columns, slopes, dtype, in_producer), dtype)
    assert pairs.keep.tolist() == list(range(len(rows)))
    assert np.all(pairs.ulps == 0)
    np.testing.assert_array_equal(pairs.slope[pairs.determined], slopes[pairs.determined])
    again = wide(rows, columns, pairs.slope, dtype, in_producer)
    for one, two in zip(again, wide(rows, columns, slopes, dtype, in_producer), strict=True):
        np.testing.assert_array_equal(one.view(np.int64), two.view(np.int64))


@examples(500)
@given(layers(), st.booleans(), st.integers(0, 2**32 - 1))
def test_units_pair_in_any_order_at_any_positive_scale(layer, in_producer, seed):
    dtype, rows, columns, slopes = layer
    rng = np.random.default_rng(seed)
    wide_rows, wide_columns = wide(rows, columns, slopes, dtype, in_producer)
    scale = (
        2.0 ** rng.integers(-3, 4, len(wide_rows)) if dtype != np.float32 else np.exp(rng.normal(size=len(wide_rows)))
    )
    order = rng.permutation(len(wide_rows))
    shuffled = stored(wide_rows * scale[:, None], dtype)[order], stored(wide_columns / scale[:, None], dtype)[order]
    smallest = float(ml_dtypes.finfo(dtype).smallest_normal)
    assume(
        all(np.all((part == 0) | (np.abs(part) >= smallest)) for part in (wide_rows, wide_columns, *shuffled))
    )  # denormals lost their bits
    assert len(fold_pairs(*shuffled, dtype).keep) == len(rows)


def test_undetermined_slopes_are_counted():
    """With one outgoing weight, about a quarter of the slopes have a neighbour that rounds to the same product."""
    rng = np.random.default_rng(5)
    n = count(4000)
    rows, columns, slopes = stored(rng.normal(size=(n, 3))), stored(rng.normal(size=(n, 1))), stored(rng.normal(size=n))
    pairs = fold_pairs(*wide(rows, columns, slopes, np.float32, False), np.float32)
    assert 0.15 < 1 - pairs.determined.mean() < 0.35


NEAR_MISSES = {
    "one row entry off": (lambda r, c: (r * [1, 1, 1.0001], c)),
    "one column entry off": (lambda r, c: (r, c * [1, 1.0001])),
    "same side": (lambda r, c: (-r, c)),
    "a sign of the row": (lambda r, c: (r * [1, -1, 1], c)),
    "a sign of the column": (lambda r, c: (r, c * [1, -1])),
    "a zero in the row": (lambda r, c: (r * [1, 0, 1], c)),
}


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_near_misses_stay_two_units(name):
    row, column = stored([[1.1, -2.3, 0.7]]), stored([[0.9, 1.3]])
    good = (np.vstack([row, stored(-0.8 * row)]), np.vstack([column, stored(-0.5 * column)]))
    assert len(fold_pairs(*good, np.float32).keep) == 1
    other_row, other_column = NEAR_MISSES[name](good[0][1:], good[1][1:])
    bad = np.vstack([row, stored(other_row)]), np.vstack([column, stored(other_column)])
    assert len(fold_pairs(*bad, np.float32).keep) == 2


def test_dead_columns_pair_by_position():
    rows = np.array([[1.0, 2.0], [-1.0, -2.0]])
    columns = np.array([[0.0], [-0.0]])
    pairs = fold_pairs(rows, columns, np.float32)
    assert pairs.keep.tolist() == [0]
    assert pairs.slope.tolist() == [1.0]  # the signs of zero say a > 0, and nothing says more


def test_unpaired_units_keep_slope_zero():
    rows = np.array([[1.0, 2.0], [3.0, 1.0], [-1.0, -2.0]])
    columns = np.array([[1.0, 2.0], [1.0, 1.0], [-0.25, -0.5]])
    pairs = fold_pairs(rows, columns, np.float32)
    assert pairs.keep.tolist() == [0, 1]
    assert pairs.slope.tolist() == [0.25, 0.0]
    assert pairs.partner.tolist() == [2, -1]


def test_absolute_value_and_linear_units():
    row, column = np.array([1.0, 2.0]), np.array([3.0, 5.0])
    linear = pair_slope(row, -row, column, -column, np.float32)
    absolute = pair_slope(row, -row, column, column, np.float32)
    assert linear is not None
    assert absolute is not None
    assert (linear.value, absolute.value) == (1.0, -1.0)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_scaled_roundings_of_one_direction_are_parallel(dtype):
    """Two correct roundings of one real direction always are; a pair that is off by 1e-4 (float16: 3e-2) never is."""
    rng = np.random.default_rng(2)
    n, k, off = count(40_000), 4, 1e-4 if dtype == np.float32 else 3e-2
    direction = rng.normal(size=(n, k))
    scale = np.exp(rng.normal(size=(n, 1)))
    base, other = stored(direction, dtype), stored(direction * scale, dtype)
    wrong = other * np.where(np.arange(k) == 1, 1 + off, 1)
    for row, parallel, missed in zip(base, other, stored(wrong, dtype), strict=True):
        low, high = ratio_intervals(row, np.stack([parallel, missed]), dtype)
        assert low[0] <= high[0]
        assert low[1] > high[1]


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
def test_unrelated_units_do_not_pair_by_accident(dtype):
    """A few bits a weight make many rows look alike; without enough of them there is no pair up to rounding."""
    rng = np.random.default_rng(7)
    pairs = fold_pairs(stored(rng.normal(size=(512, 2)), dtype), stored(rng.normal(size=(512, 2)), dtype), dtype)
    assert np.all(pairs.ulps <= 0.5 + 1e-9)
    assert len(pairs.keep) > (505 if np.dtype(dtype).itemsize > 2 else 400)


def test_layers_without_inputs_or_with_infinite_weights_do_not_pair():
    assert len(fold_pairs(np.zeros((3, 0)), np.ones((3, 1)), np.float32).keep) == 3
    rows = np.array([[np.inf, 2.0], [-np.inf, -3.0]])
    with np.errstate(all="raise"):
        assert len(fold_pairs(rows, np.ones((2, 1)), np.float32).keep) == 2
