"""Samples cut out of the arrays that a user gives."""

import numpy as np
import pytest
from onnx import TensorProto

from onnx_prelu.errors import BadInput
from onnx_prelu.measure.inputs.samples import samples
from onnx_prelu.measure.inputs.spec import InputSpec

OPEN = InputSpec("x", TensorProto.FLOAT, ("N", 3))
FIXED = InputSpec("x", TensorProto.FLOAT, (2, 3))
OTHER = InputSpec("z", TensorProto.FLOAT, ("N", 2))
VALUES = np.arange(30, dtype=np.float32).reshape(10, 3)


@pytest.mark.parametrize(
    ("spec", "array", "batch", "cuts"),
    [
        (OPEN, VALUES, 1, [(0, 1), (1, 2), (9, 10)]),
        (OPEN, VALUES, 4, [(0, 4), (4, 8)]),
        (FIXED, VALUES, 1, [(0, 2), (2, 4), (8, 10)]),
        (FIXED, VALUES[:9], 1, [(0, 2), (6, 8)]),
    ],
)
def test_arrays_are_cut_along_their_first_axis(spec, array, batch, cuts):
    found = [feed["x"] for feed in samples({"x": array}, (spec,), batch)]
    wanted = [VALUES[start:end] for start, end in cuts]
    assert any(np.array_equal(found[0], w) for w in wanted[:1])
    assert np.array_equal(found[-1], wanted[-1])
    assert sum(len(part) for part in found) == len(array) - len(array) % len(found[0])


def test_an_axis_in_front_counts_batches():
    found = samples({"x": VALUES.reshape(5, 2, 3)}, (FIXED,))
    assert len(found) == 5
    assert np.array_equal(found[3]["x"], VALUES[6:8])


def test_inputs_go_together():
    found = samples({"x": VALUES, "z": np.zeros((10, 2), np.float32)}, (OPEN, OTHER), 5)
    assert [{name: value.shape for name, value in feed.items()} for feed in found] == [{"x": (5, 3), "z": (5, 2)}] * 2


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": VALUES}, "holds nothing for 'z'"),
        ({"x": VALUES, "z": np.zeros((9, 2), np.float32)}, "unequal numbers of batches: 10 for 'x', 9 for 'z'"),
        ({"x": VALUES[:0], "z": np.zeros((0, 2), np.float32)}, "unequal numbers of batches: 0 for 'x'"),
        ({"x": VALUES[:, :2], "z": np.zeros((9, 2), np.float32)}, "'x' is [10, 2], but the model takes [N, 3]"),
        ({"x": VALUES.astype(np.float64)}, "'x' is float64"),
        ({"y": VALUES}, "'y' is no input"),
    ],
)
def test_what_does_not_fit_is_said(arrays, said):
    with pytest.raises(BadInput) as error:
        samples(arrays, (OPEN, OTHER))
    assert said in str(error.value)
