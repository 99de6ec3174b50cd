"""PReLU in two passes, with factors taken out: against the definition, in the type that it runs in."""

import numpy as np
import pytest

from onnx_prelu.algebra.two_pass import fold, turn
from onnx_prelu.errors import Refused
from tests.independent import prelu

SLOPES = np.float32(
    [-25.0, -0.3, 0.0, 1e-30, 0.25, 0.99999, np.nextafter(np.float32(1), np.float32(0)), 1.0, 1.7, 21.0]
)
Z = np.float32(np.random.default_rng(0).normal(size=(200, 1)) * np.float32([1e-3, 1.0, 1e3])[:, None, None])


def relu(z):
    return np.maximum(z, np.float32(0))


def assert_within_ulps(found, a):
    """A few ulps of the larger of a·z and z."""
    expected = prelu(Z.astype(float), a.astype(float))
    larger = np.abs(Z.astype(float)) * np.maximum(np.abs(a.astype(float)), 1)
    assert found.dtype == np.float32
    assert np.max(np.abs(found - expected) / larger) < 4 * 2.0**-24


def test_fold_is_prelu_for_every_slope():
    factor, k = fold(SLOPES.astype(float), np.float32)
    k = k.astype(np.float32)
    assert_within_ulps(((k * Z + relu(Z)).astype(float) * factor).astype(np.float32), SLOPES)


def test_fold_with_the_factor_before():
    a = SLOPES[SLOPES <= 1]
    factor, k = fold(a.astype(float), np.float32)
    inside = (Z.astype(float) * factor).astype(np.float32)
    assert_within_ulps(k.astype(np.float32) * inside + relu(inside), a)


def test_turn_is_prelu_for_every_slope():
    sign, linear, bent = turn(SLOPES.astype(float))
    inner = linear.astype(np.float32) * Z + relu(bent.astype(np.float32) * Z)
    assert_within_ulps(sign.astype(np.float32) * inner, SLOPES)
    assert sign.tolist() == [1.0] * 8 + [-1.0] * 2


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_a_slope_of_one_is_a_power_of_two_below_half_an_ulp(dtype):
    import ml_dtypes

    factor, k = fold(np.array([1.0]), np.dtype(dtype))
    assert (factor * k).tolist() == [1.0]
    assert factor[0] < float(ml_dtypes.finfo(dtype).eps) / 4


@pytest.mark.parametrize(
    ("slope", "dtype"), [(1.0, np.float16), (0.999, np.float16), (-3e38, np.float32), (65000.0, np.float16)]
)
def test_no_room_in_the_type(slope, dtype):
    with pytest.raises(Refused) as caught:
        fold(np.array([0.25, slope]), dtype)
    assert caught.value.reason.code == "overflow"
