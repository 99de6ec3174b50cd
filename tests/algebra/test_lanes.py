import numpy as np
import pytest

from onnx_prelu.algebra.lanes import Lanes, kept, split
from tests import independent

SLOPES = np.array([-0.3, 0.0, 0.25, 1.0, 1.7, 1e-30])


def run(lanes, z):
    """h_u = Σ out·PReLU_slope(row·z_u), written out."""
    h = np.zeros_like(z)
    for unit, row, slope, out in zip(lanes.unit, lanes.row, lanes.slope, lanes.out, strict=True):
        h[:, unit] += out * independent.prelu(row * z[:, unit], slope)
    return h


@pytest.mark.parametrize("inside", [None, np.ones(6, bool), np.array([True, False] * 3)])
def test_split_is_prelu(inside):
    z = np.random.default_rng(0).normal(size=(50, 6))
    lanes = split(SLOPES, inside)
    np.testing.assert_allclose(run(lanes, z), independent.prelu(z, SLOPES), rtol=1e-15)
    assert len(lanes) == 11  # a unit of slope 0 has one lane
    np.testing.assert_allclose(lanes.rays(6).neg, SLOPES, rtol=1e-15)
    assert lanes.rays(6).pos.tolist() == [1.0] * 6


def test_the_popular_formula_is_wrong_for_positive_slopes():
    """ReLU(x) + ReLU(a·x), without the sign: right for a <= 0, and 0 where a·x should be for a > 0."""
    popular = Lanes(np.array([0, 0, 1, 1]), np.array([1, -0.3, 1, 0.25]), np.zeros(4), np.ones(4))
    z = np.array([[-2.0, -2.0]])
    np.testing.assert_allclose(run(popular, z)[0, 0], independent.prelu(-2.0, -0.3))
    assert run(popular, z)[0, 1] == 0.0
    assert independent.prelu(-2.0, 0.25) == -0.5


def test_kept_units_are_prelu_lanes():
    z = np.random.default_rng(0).normal(size=(50, 3))
    lanes = kept(np.array([0, 2]), np.array([0.5, -1.5]))
    np.testing.assert_array_equal(run(lanes, z)[:, 2], independent.prelu(z[:, 2], -1.5))
