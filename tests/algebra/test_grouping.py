"""Groups against brute force, with a predicate of its own: gaps between stored numbers come from their bits."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnx_prelu.algebra import grouping
from onnx_prelu.algebra.grouping import groups, opposite_pairs, simplest
from tests.counts import FULL, examples

BITS = {np.float16: np.int16, ml_dtypes.bfloat16: np.int16, np.float32: np.int32, np.float64: np.int64}
HAIR = 1e-14  # relative: the ends of intervals of float64 arithmetic


def half_gaps(values, dtype, ulps):
    magnitude = np.abs(values).astype(dtype)
    up = (magnitude.view(BITS[dtype]) + 1).view(dtype)
    return np.where(values == 0, 0, ulps * (up.astype(float) - magnitude.astype(float)))


def room(row, others, dtype, ulps):
    """By which factor the interval of ratios to each other row is open; below 1 there is no such ratio."""
    zeros, signs = (others == 0) == (row == 0), np.sign(others) * np.sign(row)
    one_sign = np.all(signs >= 0, axis=1) | np.all(signs <= 0, axis=1)
    b, o, there = np.abs(row), np.abs(others), row != 0
    hb, ho = half_gaps(row, dtype, ulps), half_gaps(others, dtype, ulps)
    low = np.max(((o - ho) / np.where(there, b + hb, 1))[:, there], axis=1, initial=0)
    bottom = np.maximum(b - hb, 0)
    high = np.min((o + ho)[:, there & (bottom > 0)] / bottom[there & (bottom > 0)], axis=1, initial=np.inf)
    ratio = np.divide(high, low, out=np.full(len(others), np.inf), where=low > 0)
    return np.where(np.all(zeros, axis=1) & one_sign, ratio, 0)


def within(row, leader, scale, dtype, ulps):
    """Whether one real row is stored as the leader, and that row times the scale as the row."""
    off, leaders = half_gaps(row, dtype, ulps), half_gaps(leader, dtype, ulps)
    far = np.abs(row - scale[:, None] * leader) - off - np.abs(scale[:, None]) * leaders
    return np.all(far <= HAIR * np.abs(row), axis=1)


def assert_grouped(rows, dtype, ulps, found):
    m = len(rows)
    plain = np.isfinite(rows).all(axis=1) & (rows != 0).any(axis=1)
    leads = found.leader == np.arange(m)
    assert np.all(leads[~plain])
    assert np.all(leads[found.leader])
    assert np.all(found.leader <= np.arange(m))
    assert np.all(found.scale[leads] == 1)
    members = np.flatnonzero(~leads)
    assert np.all(within(rows[members], rows[found.leader[members]], found.scale[members], dtype, ulps))
    sure = np.flatnonzero(leads & plain)
    for place, row in enumerate(sure):
        assert np.all(room(rows[row], rows[sure[place + 1 :]], dtype, ulps) < 1 + HAIR), row


DIRECTIONS = {
    "random": lambda rng, n, k: rng.normal(size=(n, k)),
    "positive": lambda rng, n, k: rng.random((n, k)) + 0.01,
    "sparse": lambda rng, n, k: rng.normal(size=(n, k)) * (rng.random((n, k)) < 0.2),
    "one mask": lambda rng, n, k: rng.normal(size=(n, k)) * (rng.random(k) < 0.5),
    "near": lambda rng, n, k: rng.normal(size=(1, k)) * (1 + 1e-5 * rng.normal(size=(n, k))),
    "one entry off": lambda rng, n, k: np.where(np.arange(k) == rng.integers(0, k, (n, 1)), 1.001, 1.0),
    "denormal": lambda rng, n, k: 2.0 ** rng.integers(-30, 30) * 1e-38 * rng.normal(size=(n, k)),
    "integers": lambda rng, n, k: rng.integers(-2, 3, (n, k)).astype(float),
}


def drawn(kind, rng, m, n, k, dtype):
    directions = DIRECTIONS[kind](rng, n, k)
    scale = rng.choice([1.0, 2.0, 0.5, np.nan], m)
    scale = np.where(np.isnan(scale), np.exp(rng.normal(size=m)), scale) * rng.choice([-1, 1], m)
    with np.errstate(over="ignore"):
        return (directions[rng.integers(0, n, m)] * scale[:, None]).astype(dtype)


@pytest.mark.parametrize("kind", DIRECTIONS)
def test_two_thousand_rows_against_brute_force(kind):
    stored = drawn(kind, np.random.default_rng(11), 2000, 2000 if FULL else 1000, 24, np.float32)
    found = groups(stored, np.float32)
    assert found.given_up.size == 0
    assert_grouped(stored.astype(float), np.float32, 0.5, found)


@examples(1000)
@given(
    st.sampled_from(list(DIRECTIONS)),
    st.sampled_from(list(BITS)),
    st.sampled_from([0.5, 4.0]),
    st.integers(1, 120),
    st.integers(1, 20),
    st.integers(0, 2**32 - 1),
)
def test_groups_against_brute_force(kind, dtype, ulps, m, k, seed):
    rng = np.random.default_rng(seed)
    stored = drawn(kind, rng, m, max(1, m // 3), k, dtype)
    found = groups(stored, dtype, ulps=ulps)
    assert found.given_up.size == 0
    assert_grouped(stored.astype(float), dtype, ulps, found)
    again = groups(stored.astype(float), dtype, ulps=ulps)
    np.testing.assert_array_equal(again.leader, found.leader)
    np.testing.assert_array_equal(again.scale, found.scale)


@examples(500)
@given(
    st.sampled_from(list(DIRECTIONS)),
    st.sampled_from(list(BITS)),
    st.integers(1, 60),
    st.integers(1, 12),
    st.integers(0, 2**32 - 1),
)
def test_every_unit_is_shown_all_that_face_it(kind, dtype, m, k, seed):
    rng = np.random.default_rng(seed)
    rows = drawn(kind, rng, m, max(1, m // 3), k, dtype).astype(float)
    columns, kin = rng.integers(0, 2, (m, 2)).astype(float), rng.integers(0, 2, m)
    shown = {}
    for later, earlier in opposite_pairs(rows, columns, kin, dtype):
        shown.setdefault(later, set()).update(earlier.tolist())
    for later, row in enumerate(rows):
        if not row.any() or not np.isfinite(row).all():
            continue
        before = rows[:later]
        there = np.isfinite(before).all(axis=1) & before.any(axis=1) & np.any(before * row < 0, axis=1)
        alike = (kin[:later] == kin[later]) & np.all((columns[:later] == 0) == (columns[later] == 0), axis=1)
        with np.errstate(invalid="ignore", over="ignore"):
            ratio = np.where(there & alike, room(row, before, dtype, 4.0), 0)
        assert set(np.flatnonzero(ratio > 1 + 1e-9)) <= shown.get(later, set())
        negated = (kin[:later] == kin[later]) & np.all(before == -row, axis=1)  # shown whatever their columns are
        assert shown.get(later, set()) <= set(np.flatnonzero((ratio > 1 - 1e-9) | negated))


def test_a_denormal_row_faces_others_too():
    rng = np.random.default_rng(2)
    rows = (rng.random((400, 6)) + 0.1).astype(np.float32)
    rows[350] = -rows[150] * np.float32(1e-38)
    shown = dict(opposite_pairs(rows.astype(float), np.ones((400, 1)), np.zeros(400, np.intp), np.float32))
    assert {later: earlier.tolist() for later, earlier in shown.items()} == {350: [150]}


def test_every_rounding_of_one_direction_joins_its_leader():
    rng = np.random.default_rng(4)
    direction = rng.normal(size=(200, 1, 8))
    rows = (direction * np.exp(rng.normal(size=(200, 5, 1))) * rng.choice([-1, 1], (200, 5, 1))).astype(np.float32)
    found = groups(rows.reshape(1000, 8), np.float32)
    # two roundings are parallel to each other always, so the first is the leader of all five
    np.testing.assert_array_equal(found.leader.reshape(200, 5) // 5, np.repeat(np.arange(200)[:, None], 5, axis=1))
    np.testing.assert_array_equal(found.leader.reshape(200, 5)[:, 0] % 5, 0)


def test_copies_and_powers_of_two_have_their_scale():
    row = np.array([0.3, -1.7, 0.0, 2.2], np.float32).astype(float)
    found = groups(np.stack([row, -row, 4 * row, -0.125 * row, row]), np.float32)
    assert found.leader.tolist() == [0] * 5
    assert found.scale.tolist() == [1, -1, 4, -0.125, 1]


def test_rows_of_zeros_and_rows_that_are_not_finite_stand_alone():
    rows = np.array([[0.0, 0.0], [-0.0, 0.0], [np.inf, 1.0], [np.inf, 1.0], [np.nan, 1.0], [1.0, 1.0], [2.0, 2.0]])
    assert groups(rows, np.float32).leader.tolist() == [0, 1, 2, 3, 4, 5, 5]


def test_only_kin_are_grouped():
    rows = np.ones((6, 3))
    assert groups(rows, np.float32, np.array([7, -1, 7, -1, 7, 0])).leader.tolist() == [0, 1, 0, 1, 0, 5]


def test_layers_without_units_or_inputs():
    assert groups(np.ones((0, 3)), np.float32).leader.tolist() == []
    assert groups(np.ones((2, 0)), np.float32).leader.tolist() == [0, 1]


def test_rows_of_integers_are_parallel_exactly():
    rows = np.array([[3, 5, -7], [-6, -10, 14], [6, 10, -13], [9, 15, -21]])
    found = groups(rows, np.int8)
    assert found.leader.tolist() == [0, 0, 2, 0]
    assert found.scale.tolist() == [1, -2, 1, 3]


def test_the_relation_is_not_transitive_and_leaders_decide():
    """The middle one of three rows is within the tolerance of both others, which are not of each other."""
    first, middle, last = ([1.0, 1.9375 + steps * 2.0**-23] for steps in (0, 2, 4))
    assert groups(np.array([first, middle, last]), np.float32).leader.tolist() == [0, 0, 2]
    assert groups(np.array([middle, first, last]), np.float32).leader.tolist() == [0, 0, 0]
    assert groups(np.array([first, last, middle]), np.float32).leader.tolist() == [0, 1, 0]


def test_what_would_take_too_long_is_given_up_and_said(monkeypatch):
    monkeypatch.setattr(grouping, "_ALWAYS", 0)
    rows = np.repeat(np.random.default_rng(0).normal(size=(1, 256)), 402, axis=0).astype(np.float32)
    rows[np.arange(200), np.arange(200)] *= np.float32(1 + 1e-5)  # no key sees that
    rows[400:] = np.random.default_rng(1).normal(size=256).astype(np.float32) * np.array([[1], [-2]], np.float32)
    found = groups(rows, np.float32)
    assert found.given_up.size
    assert np.all(found.leader[found.given_up] == found.given_up)
    assert found.leader[400:].tolist() == [400, 400]  # what was clear by then is not lost
    sure = np.setdiff1d(np.arange(len(rows)), found.given_up)
    assert np.all(np.isin(found.leader[sure], sure))


def test_a_denormal_row_among_many_is_given_up_alone():
    rng = np.random.default_rng(2)
    rows = (rng.random((400, 6)) + 0.1).astype(np.float32)
    rows[300:] = rows[:100] * np.float32(2)
    rows[150] *= np.float32(1e-42)
    found = groups(rows, np.float32)
    assert found.given_up.tolist() == [150]
    assert found.leader[300:].tolist() == list(range(100))


def test_the_simplest_number_lies_in_its_interval():
    rng = np.random.default_rng(6)
    low = np.exp(20 * rng.normal(size=1000))
    high = low * (1 + 10.0 ** rng.uniform(-16, 1, 1000))
    found = simplest(low, high)
    assert np.all((low <= found) & (found <= high))
    assert simplest(np.array([0.999, 3.9]), np.array([np.inf, 4.2])).tolist() == [2.0, 4.0]
