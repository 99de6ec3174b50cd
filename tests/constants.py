"""The constants of a model, to be compared bit for bit."""

from __future__ import annotations

import ml_dtypes
import numpy as np
from onnx import numpy_helper


def constants(model, op):
    """The constants that nodes of (or not of) an op read, in order."""
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    return [
        arrays[name]
        for node in model.graph.node
        for name in node.input
        if name in arrays and (node.op_type == "PRelu") is op
    ]


def assert_bits(one, two):
    assert [value.shape for value in one] == [value.shape for value in two]
    for a, b in zip(one, two, strict=True):
        assert a.tobytes() == b.tobytes()


def assert_up_to_sums(one, two, slope):
    """Equal up to the roundings of a·V, of (1 − a)·V and of their sum, for slopes up to this magnitude.

    One value is as good as many equal ones.
    """
    for a, b in zip(one, two, strict=True):
        if a.dtype.kind in "iu":  # a shape
            assert a.tolist() == b.tolist()
            continue
        dtype = ml_dtypes.finfo(a.dtype)
        before, after = np.broadcast_arrays(a.reshape(-1).astype(float), b.reshape(-1).astype(float))
        off = float(dtype.eps) * (2 + 2 * slope)
        np.testing.assert_allclose(after, before, rtol=off, atol=2 * float(dtype.smallest_subnormal))
