"""Small 1x1 Convs on one input as one Conv: each fills a block of the layout by itself, all together maybe one.

    x ─┬─► Conv (2 rows) ─► y₁      becomes      x ─► Conv (6 rows) ─► Split ─┬─► y₁
       └─► Conv (4 rows) ─► y₂                                                └─► y₂

The rows stand one behind the other; no value changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import onnx

from ...errors import Refused
from ...graph.draft import Draft
from ...graph.edit import Edit
from ...graph.index import Node
from ...graph.kinds import conv
from ...graph.linear import Linear
from ...graph.types import TensorType
from ...graph.weights import Weight
from .plan import BLOCK, OLDEST_OPSET, LayoutPlan, is_float32, listed, standing
from .writing import Writing, changed


def heads(draft: Draft) -> Iterator[LayoutPlan]:
    """The tensors that are read by several 1x1 Convs which take fewer blocks together than each by itself."""
    if draft.opset < OLDEST_OPSET:
        return
    told: set[str] = set()
    for node in standing(draft):
        if node.op == "Conv" and node.inputs[0] not in told:
            told.add(node.inputs[0])
            for group in _alike(draft, node.inputs[0]):
                if len(group) > 1 and _blocks([sum(head.units for head in group)]) < _blocks(
                    [head.units for head in group]
                ):
                    yield _plan(draft, group)


def _blocks(units: list[int]) -> int:
    return sum(-(-size // BLOCK) for size in units)


def _alike(draft: Draft, tensor: str) -> list[list[Linear]]:
    """The 1x1 Convs that read a tensor, those together that differ in their weights only."""
    groups: dict[object, list[Linear]] = defaultdict(list)
    for use in draft.index.uses(tensor):
        if use.node.op == "Conv" and use.position == 0 and is_float32(draft, tensor):
            try:
                layer = conv(draft, use.node)
            except Refused:
                continue
            if set(layer.weight.weight.shape[2:]) == {1} and len(layer.weight.weight.shape) == 4 and layer.groups == 1:
                given = sorted((a.name, a.SerializeToString()) for a in use.node.proto.attribute)
                groups[str(given), len(layer.added)].append(layer)
    return list(groups.values())


def _plan(draft: Draft, group: list[Linear]) -> LayoutPlan:
    writing = Writing(draft, "heads")
    slots = draft.index.slots
    group = sorted(group, key=lambda head: (head.nodes[0].slot, slots[head.nodes[0].slot].index(head.nodes[0])))
    nodes = [head.nodes[0] for head in group]
    first, sizes = group[0], [head.units for head in group]
    inputs = list(nodes[0].inputs)
    for number, part in enumerate((first.weight, *first.added)):
        parts = [(head.weight, *head.added)[number].weight for head in group]
        inputs[part.position] = writing.constant(_stacked(parts), inputs[part.position])
    y = writing.tensor(first.y)
    protos: dict[Node, tuple[onnx.NodeProto, ...]] = dict.fromkeys(nodes, ())
    protos[nodes[0]] = (changed(nodes[0], inputs, [y]), _split(draft, writing, nodes, y, sizes))
    shape = draft.shape(first.y)
    known = None if shape is None else (shape[0], sum(sizes), *shape[2:])
    types = {y: TensorType(onnx.TensorProto.FLOAT, known)}
    text = f"{listed(nodes)} as one Conv of {sum(sizes)} rows, and a Split"
    return LayoutPlan("heads", f"heads:{nodes[0].label}", text, Edit(protos, writing.constants, types=types))


def _split(draft: Draft, writing: Writing, nodes: list[Node], x: str, sizes: list[int]) -> onnx.NodeProto:
    outputs = [node.outputs[0] for node in nodes]
    if draft.opset < 13:
        return writing.node("Split", nodes[0], [x], outputs, axis=1, split=sizes)
    return writing.node("Split", nodes[0], [x, writing.integers(f"{x}/sizes", sizes)], outputs, axis=1)


def _stacked(parts: list[Weight]) -> Weight:
    """Weights one behind the other along their first axis."""
    shape = (sum(part.shape[0] for part in parts), *parts[0].shape[1:])
    return Weight(lambda: np.concatenate([part.stored() for part in parts]), shape, parts[0].dtype)
