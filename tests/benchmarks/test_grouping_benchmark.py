"""What the benchmark of grouping draws and prints. No time is judged here."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from benchmarks.curves import curves
from benchmarks.grouping import KINDS, Run, matrix, page, run


@pytest.mark.parametrize("kind", KINDS)
def test_half_of_the_rows_are_multiples_of_the_others(kind):
    found = run(kind, 60)
    assert (found.leaders, found.given_up) == (30, 0)


def test_sparse_rows_and_near_duplicates_are_that():
    assert 0.02 < np.mean(matrix("sparse, 5 %", 100) != 0) < 0.08
    near = matrix("near duplicates, 1e-5", 2000)[:1000].astype(float)
    near = near[np.argsort(near[:, 0])][:4]  # of one direction
    assert np.all(np.abs(near / near[0] - 1) < 2e-4)


def test_the_page_has_a_row_for_each_matrix():
    text = page({("random", 1000): Run(0.5, 1.25, 500, 0)}, 3)
    assert "| random | 1,000 | 0.50 | 500.0 | 1.25 | 500 | 0 |" in text


def test_curves_stand_where_their_points_are():
    drawn = ElementTree.fromstring(curves({"a": [(10, 1), (1000, 10)], "b": [(100, 1)]}, "up", "right"))
    lines = [each.get("points").split() for each in drawn.iter("{http://www.w3.org/2000/svg}polyline")]
    (left, low), (right, high) = (map(float, point.split(",")) for point in lines[0])
    ((middle, base),) = (map(float, point.split(",")) for point in lines[1])
    assert left < right
    assert high < low == base
    assert middle == pytest.approx((left + right) / 2, abs=0.1)
