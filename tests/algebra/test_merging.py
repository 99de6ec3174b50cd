"""What units become, evaluated by hand: the same function, of real numbers."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnx_prelu.algebra.lanes import Lanes
from onnx_prelu.algebra.merging import common_slope
from onnx_prelu.algebra.reduction import Reduced, Sums, Units, reduced
from tests.counts import examples
from tests.independent import prelu


@st.composite
def layers(draw):
    """Rows that are small multiples of a few directions, exactly; some zero but for the last entry, some unread."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    m, k, q = draw(st.integers(1, 10)), draw(st.integers(2, 4)), draw(st.integers(1, 3))
    few = rng.integers(-3, 4, (draw(st.integers(1, 4)), k)).astype(float)
    rows = few[rng.integers(0, len(few), m)] * rng.choice([1.0, 2.0, -1.0, -0.5], (m, 1))
    columns = rng.choice([-2.0, -1.0, 0.5, 1.0, 0.0], (m, q))
    slopes = rng.choice([0.0, 0.0, 0.5, -1.0, 1.0], m) * draw(st.sampled_from([0, 1]))
    return rows, columns, slopes


def units(rows, columns, slopes, kin=None, movable=True):
    m, flat = len(rows), ~np.any(rows[:, :-1], axis=1)
    nowhere = np.zeros(m, bool)
    return Units(
        rows=rows,
        columns=lambda: columns,
        slopes=slopes,
        dtype=np.float32,
        kin=np.zeros(m, np.intp) if kin is None else kin,
        group=np.zeros(m, np.intp),
        idle=flat & (rows[:, -1] <= 0),
        unread=~np.any(columns, axis=1),
        fixed=nowhere,
        constant=flat if movable else nowhere,
    )


def outputs(rows, columns, slopes, x):
    return prelu(x @ rows.T, slopes) @ columns


def narrow(found, rows, columns):
    """The layer that is left, and what goes into the bias."""
    lanes = found.lanes
    bias = prelu(rows[found.constant, -1], found.constant_slope) @ columns[found.constant]
    return rows[lanes.unit] * lanes.row[:, None], found.sums.of(columns, len(lanes)), lanes.slope, bias


POINTS = np.append(np.random.default_rng(0).normal(size=(50, 3)), np.ones((50, 1)), axis=1)


@examples(1000)
@given(layers(), st.booleans())
def test_what_units_become_computes_the_same(layer, movable):
    rows, columns, slopes = layer
    x = POINTS[:, -rows.shape[1] :]
    found = reduced(units(*layer, movable=movable))
    *left, bias = narrow(found, rows, columns)
    np.testing.assert_allclose(outputs(*left, x) + bias, outputs(rows, columns, slopes, x), 1e-6, 1e-5)


@examples(1000)
@given(layers())
def test_every_unit_is_a_multiple_of_its_direction(layer):
    rows = layer[0]
    found = reduced(units(*layer))
    lanes, there = found.lanes, found.direction >= 0
    size = lanes.row * found.scale[lanes.unit]
    assert len(np.unique(found.direction[there])) == found.direction.max(initial=-1) + 1
    for unit in np.flatnonzero(there):
        lane = np.flatnonzero(found.direction[lanes.unit] == found.direction[unit])[0]
        z = rows[lanes.unit[lane]] * lanes.row[lane] / size[lane]
        np.testing.assert_allclose(rows[unit], found.scale[unit] * z, rtol=1e-6)


@examples(1000)
@given(layers(), st.integers(0, 2**32 - 1))
def test_two_reductions_are_one(layer, seed):
    """First with units of some kinds kept apart, then with all that is left."""
    rows, columns, _ = layer
    kin = np.random.default_rng(seed).integers(0, 2, len(rows))
    first = reduced(units(*layer, kin=kin, movable=False))
    *left, _ = narrow(first, rows, columns)
    later = reduced(units(*left))
    whole = first.then(later)
    inner, outer = narrow(later, left[0], left[1]), narrow(whole, rows, columns)
    for one, two in zip(inner[:3], outer[:3], strict=True):
        np.testing.assert_allclose(two, one, atol=1e-12)
    lanes, there = whole.lanes, np.flatnonzero(whole.direction >= 0)
    for unit in there:
        lane = np.flatnonzero(whole.direction[lanes.unit] == whole.direction[unit])[0]
        base = outer[0][lane] / (lanes.row[lane] * whole.scale[lanes.unit[lane]])
        np.testing.assert_allclose(rows[unit], whole.scale[unit] * base, rtol=1e-6)
    assert whole.merged + whole.paired + whole.dropped >= len(rows) - len(lanes) - len(whole.constant)


@pytest.mark.parametrize("gone", [0, 1, 2, 3])
def test_a_direction_of_two_lanes_outlives_one_that_is_pruned(gone):
    """Two lanes face each other; pruning, that tells no directions together, takes one unit, then a second one."""
    rows = np.array([[1.0, 2.0], [-2.0, -4.0], [3.0, 1.0], [1.0, -1.0]])
    kept = np.arange(4) != gone

    def pruned(keep):
        direction = np.where(keep, np.cumsum(keep) - 1, -1)
        unit, one = np.flatnonzero(keep), np.ones(keep.sum())
        sums = Sums(np.arange(len(unit)), unit, one)
        return Reduced(Lanes(unit, one, 0 * one, one), sums, direction, np.ones(len(keep)))

    first = replace(pruned(np.ones(4, bool)), direction=np.array([0, 0, 1, 2]), scale=np.array([1.0, -2.0, 1.0, 1.0]))
    for whole in (first.then(pruned(kept)), first.then(pruned(kept)).then(pruned(np.array([False, True, True])))):
        there = whole.direction >= 0
        assert np.all(there[whole.lanes.unit])
        assert len(np.unique(whole.direction[there])) == whole.direction.max() + 1
        for unit in np.flatnonzero(there):
            lane = whole.lanes.unit[np.flatnonzero(whole.direction[whole.lanes.unit] == whole.direction[unit])[0]]
            np.testing.assert_allclose(rows[unit] / whole.scale[unit], rows[lane] / whole.scale[lane])


@pytest.mark.parametrize("copies", [2, 3, 30])
def test_sums_are_rounded_once(copies):
    """Columns that nearly cancel: the float32 nearest to the sum, by fractions."""
    rng = np.random.default_rng(copies)
    columns = rng.normal(size=(copies, 200)).astype(np.float32).astype(float) * 10.0 ** rng.integers(-6, 6, (copies, 1))
    factors = rng.normal(size=copies).astype(np.float32).astype(float)
    columns[-1] -= np.tensordot(factors[:-1], columns[:-1], 1) / factors[-1]
    columns = columns.astype(np.float32).astype(float)
    exact = [
        sum(Fraction(float(f)) * Fraction(float(v)) for f, v in zip(factors, column, strict=True))
        for column in columns.T
    ]
    sums = Sums(np.zeros(copies, np.intp), np.arange(copies), factors)
    found = sums.of(columns, 1)[0].astype(np.float32)
    nearest = np.array([float(value) for value in exact]).astype(np.float32)
    np.testing.assert_array_equal(found, nearest)


def test_a_column_that_is_only_taken_keeps_the_sign_of_zero():
    found = Sums(np.array([0]), np.array([0]), np.ones(1)).of(np.array([[-0.0, 1.0]]), 1)
    assert np.signbit(found).tolist() == [[True, False]]


#: p, n, by how much each may be off, and the slope
SLOPES = {
    "exactly": ([1.0, 2.0], [0.25, 0.5], 0, 0, 0.25),
    "below zero": ([1.0, -2.0], [-0.25, 0.5], 0, 0, -0.25),
    "not parallel": ([1.0, 2.0], [0.25, 0.51], 0, 0, None),
    "within bounds": ([1.0, 2.0], [0.25, 0.51], 0.001, 0.01, 0.254),
    "one entry that says nothing": ([1.0, 1e-9], [0.5, -1e-9], 1e-8, 1e-8, 0.5),
    "one entry that says no": ([1.0, 1e-9], [0.5, -1e-3], 1e-8, 1e-8, None),
    "the other side is nothing": ([1.0, 2.0], [0.0, 0.0], 0, 0, 0.0),
}


@pytest.mark.parametrize("name", SLOPES)
def test_slopes_of_two_sides(name):
    p, n, p_off, n_off, expected = SLOPES[name]
    off = np.full(2, p_off), np.full(2, n_off)
    found = common_slope(np.array(p), off[0], np.array(n), off[1], np.float32, np.empty(0))
    assert (found is None) == (expected is None)
    if expected is not None:
        np.testing.assert_allclose(found, expected, atol=2e-3)
