"""The constants of a model, to be compared bit for bit."""

from __future__ import annotations

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
