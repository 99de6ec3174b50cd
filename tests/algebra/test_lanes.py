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


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
@pytest.mark.parametrize("inside", [None, np.ones(6, bool), np.array([True, False] * 3)])
def test_lanes_of_a_group_stand_together_and_are_equally_many(groups, inside):
    z = np.random.default_rng(0).normal(size=(50, 6))
    lanes = split(SLOPES, inside, groups)
    np.testing.assert_allclose(run(lanes, z), independent.prelu(z, SLOPES), rtol=1e-15)
    of = lanes.unit.reshape(groups, -1) // (6 // groups)
    np.testing.assert_array_equal(of, np.broadcast_to(np.arange(groups)[:, None], of.shape))
    assert len(lanes) == (11 if groups == 1 else 12)
    assert lanes.unit[lanes.first()].tolist() == list(range(6))
    assert lanes.row[lanes.first()].tolist() == [1.0] * 6


def test_slopes_of_zero_have_one_lane_where_groups_stay_equal():
    assert split(np.array([0.0, 1.0, 2.0, 0.0]), groups=2).unit.tolist() == [0, 1, 1, 2, 3, 2]


def test_what_is_added_to_a_unit_is_borne_once():
    lanes = split(SLOPES, groups=3)
    total = np.zeros(6)
    np.add.at(total, lanes.unit, lanes.out * lanes.bearing())
    assert total.tolist() == [1.0] * 6
