"""New nodes and constants of a layout plan: names after what they replace, its doc string and metadata."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from ...graph.build import Names
from ...graph.draft import Draft, NewConstant
from ...graph.index import Node
from ...graph.weights import Weight


class Writing:
    """What an edit is made of, in the making.

    Attributes:
        constants: New initializers by name.

    Args:
        draft: The working copy.
        suffix: What new names of tensors end in.
    """

    def __init__(self, draft: Draft, suffix: str) -> None:
        self.constants: dict[str, NewConstant] = {}
        self._draft, self._suffix, self._names = draft, suffix, Names(draft.index)

    def tensor(self, base: str) -> str:
        """A new name for a tensor that comes from another."""
        return self._names.new(base, self._suffix)

    def constant(self, weight: Weight, like: str) -> str:
        """A new initializer in the place of a constant; ``like`` begins its name, and may be no constant."""
        name = self._names.new(like, self._suffix)
        self.constants[name] = NewConstant(weight, like)
        return name

    def integers(self, base: str, values: list[int]) -> str:
        """A new initializer of int64: a shape, axes or sizes."""
        return self.constant(Weight.of(np.array(values, np.int64)), base)

    def node(self, op: str, beside: Node, inputs: list[str], outputs: list[str], **attributes: Any) -> onnx.NodeProto:
        """A new node that comes beside another, or in its place."""
        name = self._names.new(beside.name, op.lower())
        made = onnx.helper.make_node(op, inputs, outputs, name, doc_string=beside.proto.doc_string, **attributes)
        made.metadata_props.extend(beside.proto.metadata_props)
        return made

    def squeezing(self, op: str, beside: Node, x: str, axes: list[int], y: str) -> onnx.NodeProto:
        """An Unsqueeze or a Squeeze, as the opset writes it."""
        if self._draft.opset < 13:
            return self.node(op, beside, [x], [y], axes=axes)
        return self.node(op, beside, [x, self.integers(f"{y}/axes", axes)], [y])


def changed(
    node: Node, inputs: list[str], outputs: list[str], op: str | None = None, **attributes: Any
) -> onnx.NodeProto:
    """A copy of a node with other inputs and outputs, and some attributes changed; a new op has no others.

    A node without a name gets that of its output before, by which people call it.
    """
    proto = onnx.NodeProto()
    proto.CopyFrom(node.proto)
    proto.name = node.name
    proto.input[:] = inputs
    proto.output[:] = outputs
    kept = [] if op else [a for a in node.proto.attribute if a.name not in attributes]
    del proto.attribute[:]
    proto.attribute.extend(kept)
    proto.attribute.extend(onnx.helper.make_attribute(name, value) for name, value in attributes.items())
    proto.op_type = op or proto.op_type
    return proto
