"""The linear layer that makes a tensor, with what adds to its units or scales them on the way."""

from __future__ import annotations

from dataclasses import replace

from ..errors import Refused
from .affine import AFFINE, computed_operand
from .draft import Draft
from .index import Node, Use
from .kinds import KINDS, OPS, Reader, matmul_left
from .linear import Linear


def producer(draft: Draft, tensor: str) -> Linear:
    """The linear layer that makes a tensor: Conv ─► BatchNormalization ─► tensor, MatMul ─► Add ─► tensor.

    Raises:
        Refused: ``no-linear-producer``, ``shared-producer``, or what the layer's kind or its affine nodes refuse.
    """
    index = draft.index
    behind: list[Use] = []
    node = index.maker.get(tensor)
    while node is not None and node.op in AFFINE:
        position = computed_operand(draft, node)
        if position is None:
            text = f"'{node.outputs[0]}' is made by {node.op} of two computed tensors, not by a linear layer"
            raise Refused("no-linear-producer", text, node.label)
        behind.append(Use(node, position))
        node = index.maker.get(node.inputs[position])
    if node is None:
        if behind:
            text = f"what {behind[-1].node.op} reads comes into this graph from outside, not from a linear layer"
            raise Refused("no-linear-producer", text, behind[-1].node.label)
        raise Refused("no-linear-producer", f"'{tensor}' comes into this graph from outside, not from a linear layer")
    if node.op not in OPS:
        text = f"'{node.outputs[0]}' is made by {node.op}, which is no linear layer"
        raise Refused("no-linear-producer", text, node.label)
    layer = _reader(draft, node)(draft, node)
    for use in reversed(behind):
        layer = followed(draft, layer, use)
    return layer


def _reader(draft: Draft, node: Node) -> Reader:
    if node.op == "MatMul" and draft.constants.get(node.inputs[1]) is None:
        left = node.inputs[0]
        if draft.constants.get(left) is not None or left in draft.constants.overridable:
            return matmul_left
    return KINDS[node.op, 0]


def followed(draft: Draft, layer: Linear, use: Use) -> Linear:
    """A layer together with a node that adds to its units or scales them.

    Raises:
        Refused: ``shared-producer``, or what the node refuses.
    """
    if len(draft.index.uses(layer.y)) != 1 or layer.y in draft.index.outputs:
        text = f"'{layer.y}' is read by more than the {use.node.op} that follows it"
        raise Refused("shared-producer", text, layer.nodes[-1].label)
    more = AFFINE[use.node.op](draft, use, layer.output)
    return replace(
        layer,
        nodes=(*layer.nodes, use.node),
        y=use.node.outputs[0],
        added=(*layer.added, *more.added),
        repeated=(*layer.repeated, *more.repeated),
    )
