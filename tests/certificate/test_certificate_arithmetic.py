"""The verifier's float64 arithmetic agrees with fractions."""

import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnx_prelu.certificate.verify import fractions, ulps
from tests.counts import examples


def reference(stored, weight, row, out):
    """How many ulp a stored value is off weight·row·out, rounded up."""
    info = ml_dtypes.finfo(stored.dtype)
    size = abs(float(stored))
    exponent = math.frexp(size)[1] - 1 if size else -(2**20)
    lowest = math.frexp(float(info.smallest_normal))[1] - 1
    ulp = Fraction(2) ** (max(exponent, lowest) - info.nmant)
    return math.ceil(abs(Fraction(float(stored)) - Fraction(float(weight)) * row * out) / ulp)


def factors(draw, count):
    """±1, slopes of float32, short factors and 1 − slope, as a certificate has them."""
    slope = st.floats(-4, 4, width=32).filter(lambda v: abs(v) > 2**-20)
    kinds = (
        st.sampled_from([Fraction(1), Fraction(-1), Fraction(0), Fraction(1, 3)]),
        slope.map(Fraction),
        slope.filter(lambda v: v != 1).map(lambda v: 1 - Fraction(v)),
        slope.filter(lambda v: abs(v - 1) > 0.01).map(lambda v: Fraction(v) / (1 - Fraction(v))),
        st.integers(1, 2**29 - 1).map(lambda n: Fraction(n, 2**28)),
    )
    kind = draw(st.sampled_from(kinds))
    return [draw(kind) for _ in range(count)]


@st.composite
def cases(draw):
    dtype = draw(st.sampled_from([np.float32, np.float64, np.float16, ml_dtypes.bfloat16]))
    values = st.floats(-8, 8, width=32).filter(lambda v: v == 0 or abs(v) > 2**-9)
    weight = np.array([[[draw(values)] for _ in range(3)] for _ in range(2)]).astype(dtype)
    rows, outs = factors(draw, 2), factors(draw, 3)
    exact = [[[Fraction(float(weight[i, j, 0])) * rows[i] * outs[j]] for j in range(3)] for i in range(2)]
    stored = np.array(exact, np.float64).astype(dtype)
    bits = stored.view({2: np.int16, 4: np.int32, 8: np.int64}[stored.itemsize])
    bits[draw(st.integers(0, 1)), draw(st.integers(0, 2)), 0] += draw(st.integers(0, 3))
    return stored, weight, rows, outs


@given(cases())
@examples(2000)
def test_distances_agree_with_fractions(case):
    stored, weight, rows, outs = case
    expected = {
        (i, j): reference(stored[i, j, 0], weight[i, j, 0], rows[i], outs[j]) for i in range(2) for j in range(3)
    }
    found, row, column = ulps(stored, weight, *(np.array(each, object) for each in (rows, outs)))
    assert min(found, 2048) == min(max(expected.values()), 2048)
    if found:
        assert min(expected[row, column], 2048) == found


def test_factors_beyond_float64_are_no_zeros():
    stored, weight = np.zeros((1, 1, 1), np.float32), np.ones((1, 1, 1), np.float32)
    assert ulps(stored, weight, np.array([Fraction(1, 2**1200)]))[0] == 1


@pytest.mark.parametrize("value", ["1/3", "-7/1048577", 0.1, 3, "5/2"])
def test_numbers_are_read_as_they_stand(value):
    (found,) = fractions(np.array([value], object))
    assert found == Fraction(value)
