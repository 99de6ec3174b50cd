import numpy as np
import pytest

from onnx_prelu.passes.choice import SlopeSummary
from onnx_prelu.passes.sites import Slope


def test_a_histogram_counts_every_slope_where_it_is():
    value = np.concatenate([np.random.default_rng(0).normal(size=200), [-4.0, 4.0]])
    counts, _ = np.histogram(value, bins=24, range=(-4.0, 4.0))
    assert list(SlopeSummary.of(Slope(value.reshape(-1, 2))).histogram) == counts.tolist()


@pytest.mark.parametrize("value", [0.25, [0.5, 0.5], [-1.7e308, 1.7e308], []])
def test_where_nothing_is_spread_there_is_no_histogram(value):
    assert SlopeSummary.of(Slope(np.asarray(value))).histogram == ()


def test_neighbouring_floats_are_spread():
    value = np.array([1.0, np.nextafter(1.0, 2.0)])
    assert sum(SlopeSummary.of(Slope(value)).histogram) == 2
