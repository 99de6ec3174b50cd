"""The nearest partner of each unit against all pairs, compared one by one through least squares in float64."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnx_prelu.algebra.partners import FAR, partners
from tests.counts import examples


def stored(values, dtype=np.float32):
    return np.asarray(values).astype(dtype).astype(float)


def share_off(of, by):
    (factor,), *_ = np.linalg.lstsq(by[:, None], of, rcond=None)
    return np.linalg.norm(of - factor * by) / np.linalg.norm(of), factor


def brute(rows, columns, kin):
    """(m,) the residual of each unit with its nearest partner, 1 where there is none."""
    least = np.ones(len(rows))
    for i in range(len(rows)):
        for j in range(len(rows)):
            if i == j or kin[i] != kin[j] or not (rows[i].any() and rows[j].any() and columns[i].any()):
                continue
            off, factor = share_off(rows[i], rows[j])
            if factor < 0 and columns[j].any():
                least[i] = min(least[i], max(off, share_off(columns[i], columns[j])[0]))
    return least


@st.composite
def layers(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, k, q = draw(st.integers(1, 12)), draw(st.sampled_from([1, 2, 3, 8, 700])), draw(st.integers(1, 6))
    dtype = draw(st.sampled_from([np.float32, np.float16, np.float64, ml_dtypes.bfloat16]))
    rows, columns = rng.normal(size=(n, k)), rng.normal(size=(n, q))
    noise = 10.0 ** rng.uniform(-9, 0, (n, 1))
    scale = np.exp(rng.normal(size=(n, 1)))
    rows = np.vstack([rows, -scale * (rows + noise * rng.normal(size=(n, k)))])
    columns = np.vstack([columns, rng.normal(size=(n, 1)) * (columns + noise * rng.normal(size=(n, q)))])
    dead = rng.random(2 * n) < 0.1
    kin = rng.integers(0, 2, 2 * n) if draw(st.booleans()) else np.zeros(2 * n, np.intp)
    order = rng.permutation(2 * n)
    return dtype, stored(np.where(dead[:, None], 0, rows), dtype)[order], stored(columns, dtype)[order], kin


@examples(500)
@given(layers())
def test_every_unit_finds_its_nearest_partner(layer):
    dtype, rows, columns, kin = layer
    found = partners(rows, lambda: columns, kin, dtype)
    nearest = found.nearest(len(rows))
    residual = np.where(nearest >= 0, found.residual[nearest] if found.one.size else 1.0, 1.0)
    expected = brute(rows, columns, kin)
    surely = 0.9 * FAR if rows.shape[1] > 512 else FAR * (1 - 1e-9)
    near = expected < surely
    np.testing.assert_allclose(residual[near], expected[near], rtol=1e-6, atol=1e-12)
    assert np.all(residual[expected > FAR * (1 + 1e-9)] == 1)


@examples(200)
@given(layers())
def test_a_matching_gives_each_unit_one_partner_and_takes_the_nearest_first(layer):
    dtype, rows, columns, kin = layer
    found = partners(rows, lambda: columns, kin, dtype)
    left = found.matched()
    both = np.concatenate([found.one[left], found.other[left]])
    assert len(np.unique(both)) == len(both)
    assert np.all(np.diff(found.residual) >= 0)
    free = np.setdiff1d(np.arange(len(found.one)), left)
    for pair in free:  # a pair is only left out for a nearer one that shares a unit with it
        nearer = left[left < pair]
        assert {found.one[pair], found.other[pair]} & {*found.one[nearer], *found.other[nearer]}


def test_ulps_count_the_gaps_between_stored_numbers():
    """1.5 and 1.25 stand 2**-23 apart from their neighbours; one of three entries is moved by so many gaps."""
    row, column = np.array([1.5, 1.25, -1.5]), np.array([1.0, 0.5])
    for gaps in (0, 100, 10_000):
        other = -row - [0, 0, gaps * 2.0**-23]
        found = partners(
            np.stack([row, other]), lambda: np.stack([column, 2 * column]), np.zeros(2, np.intp), np.float32
        )
        # half of the gaps for each of the two rows, of which least squares takes a part away
        assert found.ulps[0] == pytest.approx(gaps / 2, rel=0.5)
        assert found.ulps[0] <= gaps


def test_columns_are_not_read_where_no_two_rows_face_each_other():
    def columns():
        raise AssertionError

    rows = np.random.default_rng(0).normal(size=(300, 600))
    assert not partners(rows, columns, np.zeros(300, np.intp), np.float32).one.size


def test_units_that_are_nothing_have_no_partner():
    rows = np.array([[0.0, 0.0], [1.0, 1.0], [-1.0, -1.0], [np.inf, 1.0], [-np.inf, -1.0]])
    columns = np.array([[1.0], [1.0], [0.0], [1.0], [1.0]])
    assert not partners(rows, lambda: columns, np.zeros(5, np.intp), np.float32).one.size
