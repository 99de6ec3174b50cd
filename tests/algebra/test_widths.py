"""Types within types, against every number of the small ones."""

import itertools

import ml_dtypes
import numpy as np
import pytest

from onnx_prelu.algebra.floats import denormal
from onnx_prelu.algebra.rays import IDENTITY, RULES, constant, correctly_rounded
from onnx_prelu.algebra.widths import converted, holds
from onnx_prelu.errors import Refused

TYPES = [np.float16, ml_dtypes.bfloat16, np.float32, np.float64]
EVERY = np.arange(2**16, dtype=np.uint16)


def numbers(dtype):
    """Every finite number of a type of 16 bits; many of a wider one."""
    if np.dtype(dtype).itemsize == 2:
        values = EVERY.view(dtype)
    else:
        rng = np.random.default_rng(0)
        values = rng.integers(0, 256, size=(4096, np.dtype(dtype).itemsize), dtype=np.uint8).view(dtype).reshape(-1)
    with np.errstate(invalid="ignore"):
        return values[np.isfinite(values.astype(np.float64))]


@pytest.mark.parametrize(("wide", "narrow"), list(itertools.product(TYPES, TYPES)))
def test_a_type_holds_another_where_no_number_of_it_changes(wide, narrow):
    values = numbers(narrow)
    with np.errstate(over="ignore"):
        there_and_back = values.astype(np.float64).astype(wide).astype(np.float64)
    assert holds(wide, narrow) is bool(np.all(there_and_back == values.astype(np.float64)))


@pytest.mark.parametrize("slope", [0.25, 0.1, 0.3333])
def test_a_product_in_a_wide_enough_type_is_rounded_once(slope):
    """Held against every float16: the rounding that is counted is the one that numpy makes."""
    x = numbers(np.float16)
    a = np.float32(slope)
    prelu = RULES["PRelu"](IDENTITY, constant(a, np.float32))
    there = converted(prelu, np.float16, np.float32, np.float16)
    promised = correctly_rounded(there) and float(np.float16(a)) == float(a)
    negative = x[x < 0].astype(np.float32)
    through = (a * negative).astype(np.float16)
    exactly = (np.float64(np.float16(a)) * negative.astype(np.float64)).astype(np.float16)
    assert promised == (slope == 0.25)
    assert not promised or np.array_equal(through, exactly)


def test_two_products_are_not_promised():
    once = RULES["PRelu"](IDENTITY, constant(0.75, np.float64))
    twice = RULES["PRelu"](once, constant(0.5, np.float64))
    assert correctly_rounded(converted(once, np.float32, np.float64, np.float32))
    assert not correctly_rounded(converted(twice, np.float32, np.float64, np.float32))


def test_what_rounds_x_is_refused():
    with pytest.raises(Refused) as caught:
        converted(IDENTITY, np.float32, np.float32, np.float16)
    assert caught.value.reason.code == "not-rays"


def test_denormals_of_each_type():
    values = np.array([0.0, 1.0, 1e-40, -1e-40, 1e-5, 1e-310])
    assert [int(np.sum(denormal(values, dtype))) for dtype in (np.float16, np.float32, np.float64)] == [4, 3, 1]
