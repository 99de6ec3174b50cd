"""The floor of any model: the same network with plain Relu."""

from __future__ import annotations

import onnx

from onnx_prelu.graph.walk import roots, within


def floor(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which every PRelu is a Relu of the same name; nothing else is changed.

    It computes something else, in the least time that the network could be expected to take. Slopes stay in the
    file without a reader; a runtime drops them as it loads.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for root in roots(copy):
        for body in within(root):
            for node in body.node:
                if node.op_type == "PRelu" and node.domain in ("", "ai.onnx"):
                    node.op_type = "Relu"
                    del node.input[1:]
    return copy
