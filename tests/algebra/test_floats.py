import ml_dtypes
import numpy as np
import pytest

from onnx_prelu.algebra.floats import half_ulp

BITS = {np.float16: np.uint16, ml_dtypes.bfloat16: np.uint16, np.float32: np.uint32, np.float64: np.uint64}


@pytest.mark.parametrize("dtype", BITS, ids=lambda dtype: np.dtype(dtype).name)
def test_half_ulp_is_half_the_way_to_the_next_number_away_from_zero(dtype):
    size, last = 8 * np.dtype(dtype).itemsize, ml_dtypes.finfo(dtype).nmant
    bits = np.random.default_rng(3).integers(0, 2 ** (size - 1), 20_000, np.uint64)
    edges = np.array([1, 2, 2**last - 1, 2**last, 2**last + 1], np.uint64)
    bits = np.concatenate([bits, edges]).astype(BITS[dtype])
    with np.errstate(invalid="ignore"):
        one, two = (each.view(dtype).astype(float) for each in (bits, bits + BITS[dtype](1)))
    known = np.isfinite(one) & np.isfinite(two) & (one != 0)
    one, two = one[known], two[known]
    np.testing.assert_array_equal(half_ulp(one, dtype), (two - one) / 2)
    np.testing.assert_array_equal(half_ulp(-one, dtype), (two - one) / 2)
    assert half_ulp(np.zeros(2), dtype).tolist() == [0, 0]
