"""Inputs that take turns."""

import numpy as np

from onnx_prelu.measure.inputs.draw import Feeds
from onnx_prelu.measure.latency.rotation import rotation


def test_inputs_in_rotation_have_both_signs_and_differ():
    given = np.arange(3.0)
    batch = {"x": np.zeros((4, 50), np.float32), "k": given}
    taken = rotation(Feeds({"x": (4, 50), "k": (3,)}, (batch,), (1.0,), frozenset("x")), seed=0)
    assert len({feed["x"].tobytes() for feed in taken}) == len(taken) == 8
    for feed in taken:
        assert feed["k"] is given
        assert 0.2 < np.mean(feed["x"] > 0) < 0.8
        assert 0.2 < np.mean(feed["x"] < 0) < 0.8
        assert feed["x"].dtype == np.float32


def test_inputs_that_are_given_are_all_there_is():
    batch = {"x": np.ones(3)}
    assert rotation(Feeds({"x": (3,)}, (batch,), (1.0,), frozenset()), seed=0) == [batch]
