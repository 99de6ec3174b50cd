"""By how many ulps a pair is stated to be off, against gaps between stored numbers read from their bits."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnx_prelu.algebra.recovery import fold_pairs, pair_slope
from tests.counts import examples

BITS = {np.float16: np.int16, ml_dtypes.bfloat16: np.int16, np.float32: np.int32, np.float64: np.int64}


def moved(values, gaps, dtype):
    """Each value some stored numbers further away from zero, or nearer to it."""
    bits = values.astype(dtype).view(BITS[dtype]) + np.asarray(gaps).astype(BITS[dtype])
    return bits.view(dtype).astype(float)


def ratios(base, other, ulps, dtype):
    """The ratios |other|/|base| that are possible if both are off by so many ulps."""
    b, o = np.abs(base), np.abs(other)
    bases, others = (ulps * (moved(each, 1, dtype) - each) for each in (b, o))
    bottom = b - bases
    high = np.where(bottom > 0, (o + others) / np.where(bottom > 0, bottom, 1), np.inf)
    return np.max((o - others) / (b + bases)), np.min(high)


def is_prelu(row, other_row, column, other_column, slope, ulps, dtype):
    """Whether the pair is one PReLU unit of this slope if every stored value is off by so many ulps at most."""
    scale, ratio = ratios(row, other_row, ulps, dtype), ratios(column, other_column, ulps, dtype)
    fits = scale[0] <= scale[1] and ratio[0] <= ratio[1]
    return fits and scale[0] * ratio[0] <= abs(slope) <= scale[1] * ratio[1]


@st.composite
def pairs(draw):
    """A PReLU unit as two Relu units at two scales, every value rounded and then moved by a few stored numbers."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from([np.float32, np.float16, np.float64]))
    most = draw(st.sampled_from([0, 1, 3, 6]))
    row, column = rng.uniform(0.2, 3, 9) * rng.choice([-1, 1], 9), rng.uniform(0.2, 3, 8)
    scale, slope = float(np.exp(0.5 * rng.normal())), float(rng.uniform(0.1, 3))
    parts = (row, -scale * row, column, -slope / scale * column)
    return dtype, most, [moved(part, rng.integers(-most, most + 1, part.shape), dtype) for part in parts]


@examples(1000)
@given(pairs())
def test_the_stated_ulps_make_it_a_prelu(pair):
    dtype, most, parts = pair
    found = pair_slope(*parts, dtype)
    own = 3.0 if dtype is np.float64 else 1e-5  # the arithmetic in which intervals and slopes are computed
    if most == 0:
        assert found is not None
    if found is not None:
        # half an ulp more: the slope is a number of the type, of which the interval need not hold one
        assert 0 <= found.ulps <= (0.5 if most == 0 else 4.0) + max(own, 0.5)
        assert is_prelu(*parts, found.value, found.ulps + own + 0.5 * (found.ulps == 0), dtype)


def test_what_a_split_leaves_is_reproduced():
    rng = np.random.default_rng(1)
    rows, columns = (rng.normal(size=(5, k)).astype(np.float32).astype(float) for k in (4, 3))
    lower = (np.float32(-0.3) * columns.astype(np.float32)).astype(float)
    found = fold_pairs(np.vstack([rows, -rows]), np.vstack([columns, lower]), np.float32)
    assert found.ulps.tolist() == [0.0] * 5


@pytest.mark.parametrize("gaps", [1, 2, 6, 7])
def test_a_rounding_that_went_wrong_is_counted(gaps):
    """Of entries that are equal but for one, each of four has to be off by a quarter of the gap between two ratios."""
    row, column = np.full(9, 1.25), np.full(8, 1.25)
    other = moved(row, [gaps, *[0] * 8], np.float32)
    found = pair_slope(row, -other, column, -0.5 * moved(column, [0, 1, *[0] * 6], np.float32), np.float32)
    assert gaps / 4 - 0.01 <= found.ulps <= gaps / 4 + 0.4  # the slope is taken short, which costs a little
