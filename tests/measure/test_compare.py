import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnx_prelu.measure.checking.compare import Difference, compare, magnitude, otherwise
from onnx_prelu.measure.checking.tolerance import Tolerance, tolerance
from tests.counts import examples

F16, BF16, F32, F64 = np.float16, ml_dtypes.bfloat16, np.float32, np.float64
FREE = Tolerance(1.0, 1.0)
NONE = Tolerance(0.0, 0.0)


def compared(a, b, dtype=F32, allowed=FREE, scale=None):
    a, b = np.array(a, dtype), np.array(b, dtype)
    return compare(a, b, allowed, magnitude([a]) if scale is None else scale)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (F32, (1e-5, 1e-4)),
        (F16, (2.5e-3, 1e-3)),
        (BF16, (2e-2, 1e-2)),
        (F64, (1e-12, 1e-11)),
        (np.int64, (0, 0)),
        (np.bool_, (0, 0)),
        (np.object_, (0, 0)),
    ],
)
def test_tolerances(dtype, expected):
    assert tolerance(np.dtype(dtype), None, None) == Tolerance(*expected)


def test_tolerances_of_the_user():
    assert tolerance(np.dtype(F32), 0.5, None) == Tolerance(0.5, 1e-4)
    assert tolerance(np.dtype(F32), None, 0.0) == Tolerance(1e-5, 0.0)
    assert tolerance(np.dtype(np.int32), 0.5, 0.5) == NONE


def test_the_numbers():
    found = compared([[1.0, -8.0], [2.0, 0.0]], [[1.5, -8.0], [2.0, 0.25]])
    assert (found.compared, found.unequal) == (4, 2)
    assert (found.max_abs, found.max_rel, found.where) == (0.5, 0.5 / 8, (0, 0))
    assert found.excess == pytest.approx(0.5 / (8 + 1))


@pytest.mark.parametrize(
    ("dtype", "a", "b", "ulp"),
    [
        (F32, 1.0, 1.0 + 2**-23, 1),
        (F32, 1.0, 1.0 - 2**-24, 1),  # below a power of two floats stand closer
        (F32, 0.0, -0.0, 0),
        (F32, 2**-149, -(2**-149), 2),
        (F32, -1.0, -1.0, 0),
        (F16, 1.0, 1.0 + 3 * 2**-10, 3),
        (F16, -(2**-24), 0.0, 1),
        (BF16, 2.0, 2.0 + 2 * 2**-6, 2),
        (F64, 1.0, 1.0 + 5 * 2**-52, 5),
        (F64, 1.7976931348623157e308, -1.7976931348623157e308, 2 * (2**63 - 2**52 - 1)),
    ],
)
def test_ulps(dtype, a, b, ulp):
    assert compared([a, 7.0], [b, 7.0], dtype).max_ulp == float(ulp)
    assert compared([b, 7.0], [a, 7.0], dtype).max_ulp == float(ulp)


@examples(2000)
@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.integers(-50, 50))
def test_ulps_count_steps(x, steps):
    x = np.float32(x)
    y = x
    with np.errstate(over="ignore"):
        for _ in range(abs(steps)):
            y = np.nextafter(y, np.float32(math.copysign(np.inf, steps)))
    if np.isfinite(y):
        # nextafter goes from 0 to the smallest float without a stop at the other zero
        assert compared(x, y).max_ulp == abs(steps)


@pytest.mark.parametrize(
    ("a", "b", "zero_signs"),
    [([0.0, 1.0], [-0.0, 1.0], 1), ([0.0, -0.0], [0.0, -0.0], 0), ([0.0, -0.0], [-0.0, 0.0], 2), ([0.0], [1e-45], 0)],
)
def test_signs_of_zeros(a, b, zero_signs):
    found = compared(a, b)
    assert found.zero_signs == zero_signs
    if zero_signs:
        assert (found.unequal, found.where) == (0, None)
        assert found.passes(exact=True, signed_zeros=False)
        assert not found.passes(exact=True, signed_zeros=True)
        assert not found.passes(exact=False, signed_zeros=True)


@pytest.mark.parametrize(
    ("a", "b", "counts"),
    [  # compared, lost, nonfinite, patterns
        ([np.nan, 1.0], [np.nan, 1.0], (1, 0, 1, 0)),
        ([np.nan, 1.0], [2.0, 1.0], (1, 0, 1, 1)),
        ([np.inf, 1.0], [-np.inf, 1.0], (1, 0, 1, 1)),
        ([np.inf, -np.inf], [np.inf, np.nan], (0, 0, 2, 1)),
        ([1.0, 2.0], [1.0, np.nan], (2, 1, 0, 0)),
        ([1.0, 2.0], [np.inf, -np.inf], (2, 2, 0, 0)),
    ],
)
@pytest.mark.parametrize("dtype", [F32, BF16])
def test_what_is_not_finite(a, b, counts, dtype):
    found = compared(a, b, dtype)
    assert (found.compared, found.lost, found.nonfinite, found.patterns) == counts
    assert found.max_abs == 0
    assert found.passes(exact=False, signed_zeros=False) == (counts[1] == 0)
    assert found.where == ((counts[0] - counts[1],) if counts[1] else None)


def test_patterns_of_either_side_count_outside_of_what_is_promised():
    a, b = np.array([np.nan, np.inf, 1.0, 5.0]), np.array([np.nan, 3.0, np.inf, 6.0])
    assert otherwise(a, b).tolist() == [False, True, True, False]
    assert not otherwise(a.astype(str), b.astype(str)).any()


def test_the_tolerance_follows_the_size_of_the_output():
    """|a − b| <= atol·max|a| + rtol·|a|, whatever the unit."""
    allowed = Tolerance(1e-3, 1e-2)
    for unit in (1e-30, 1e-5, 1.0, 1e20):
        a = np.array([100.0, 1.0]) * unit
        least = np.array([0.0, 0.1 + 0.01]) * unit
        assert compared(a, a + 0.99 * least, F64, allowed).passes(exact=False, signed_zeros=False)
        assert not compared(a, a + 1.01 * least, F64, allowed).passes(exact=False, signed_zeros=False)


def test_where_nothing_is_allowed():
    found = compared([0.0, 0.0], [0.0, 1e-3], allowed=NONE)
    assert (found.excess, found.where) == (math.inf, (1,))
    assert not found.passes(exact=False, signed_zeros=False)


def test_differences_too_large_for_a_float_do_not_pass():
    huge = np.finfo(F64).max
    assert not compared([huge], [-huge], F64).passes(exact=False, signed_zeros=False)
    assert not compared([huge], [-huge], F64, tolerance(np.dtype(F64), None, None)).passes(
        exact=False, signed_zeros=False
    )


@pytest.mark.parametrize(("steps", "passes"), [(8, True), (9, False)])
def test_the_smallest_steps_are_rounding(steps, passes):
    found = compared([0.0], [steps * 2**-24], F16, tolerance(np.dtype(F16), None, None))
    assert found.passes(exact=False, signed_zeros=False) == passes


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.array([1, 2]), np.array([1, 3])),
        (np.array([True, False]), np.array([True, True])),
        (np.array(["a", "b"], object), np.array(["a", "c"], object)),
    ],
)
def test_what_is_no_float_has_to_be_equal(a, b):
    assert compare(a, a, FREE, 1.0).passes(exact=False, signed_zeros=False)
    found = compare(a, b, FREE, 1.0)
    assert (found.unequal, found.where) == (1, (1,))
    assert not found.passes(exact=False, signed_zeros=False)


@pytest.mark.parametrize("shape", [(0,), (), (2, 0, 3)])
def test_small_and_empty(shape):
    a = np.ones(shape, F32)
    assert compare(a, a, FREE, magnitude([a])).compared == a.size


def test_magnitude_is_of_finite_floats():
    assert magnitude([np.array([1.0, -3.0, np.inf, np.nan]), np.array([2.0])]) == 3.0
    assert magnitude([np.array([np.nan]), np.array([7])]) == 0.0


def test_sums():
    small = Difference(compared=3, unequal=1, max_abs=0.5, max_rel=0.1, max_ulp=9, excess=0.2, where=(0,), zero_signs=1)
    large = Difference(compared=2, unequal=2, max_abs=0.4, max_rel=None, max_ulp=2, excess=3.0, where=(5,), lost=0)
    lost = Difference(compared=1, lost=1, where=(7,), nonfinite=2, patterns=1)
    both = small + large
    assert both == Difference(5, 3, 0.5, 0.1, 9, 3.0, (5,), 1)
    assert (both + lost).where == (lost + both).where == (7,)
    assert (both + lost).compared == 6
    assert (both + lost).patterns == 1
    assert Difference() + small == small
