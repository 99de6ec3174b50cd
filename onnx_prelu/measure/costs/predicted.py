"""What an edit would change of a model's costs: counted from what goes and what comes, with nothing committed."""

from __future__ import annotations

import math
from collections import ChainMap
from dataclasses import dataclass, replace

from onnx import GraphProto

from ...graph.draft import Draft, Widened
from ...graph.edit import Edit
from ...graph.exchange import Exchange, exchange
from ...graph.types import TensorType, byte_count, types_in
from ...graph.walk import within
from .cost import weights
from .macs import layer_macs


@dataclass(frozen=True)
class Change:
    """By how much the costs of a model would grow; negative where they would shrink.

    Attributes:
        nodes: Nodes.
        parameters: Elements of floating-point weights.
        weight_bytes: Bytes of these.
        file_bytes: Bytes of the file and its external data, estimated: nodes and constants without what frames them.
        macs: Multiply-accumulates; None where a shape that matters is unknown, or where a layer that changes stands
            in a nested graph or in a function.
    """

    nodes: int
    parameters: int
    weight_bytes: int
    file_bytes: int
    macs: int | None


def predicted(draft: Draft, edit: Edit, types: dict[str, TensorType]) -> Change:
    """What committing an edit would change.

    Args:
        draft: The scope in which the edit was planned.
        edit: The edit.
        types: Types of the tensors of the model's graph, at the sizes for which MACs are told.
    """
    change = exchange(draft, edit)
    wider = {each.new: _wider(types[each.old], each) for each in edit.widened if each.old in types}
    known = ChainMap(wider, _alike(draft, edit, change, types), types_in(change.put), types)
    before, after = layer_macs(change.gone.node, types), layer_macs(change.put.node, known)
    top = draft.place.body is draft.model.proto.graph
    macs = None
    if before is not None and after is not None and (top or before == after == 0):
        macs = after - before
    counts = (put - gone for gone, put in zip(_static(change.gone), _static(change.put), strict=True))
    nodes, parameters, weight_bytes, file_bytes = counts
    return Change(nodes, parameters, weight_bytes, file_bytes, macs)


def _alike(draft: Draft, edit: Edit, change: Exchange, types: dict[str, TensorType]) -> dict[str, TensorType]:
    """The types, at these sizes, of new tensors that are declared just as what their node reads."""
    return {
        output: types[name]
        for node in change.put.node
        for output in node.output
        for name in node.input
        if output in edit.types and name in types and draft.types.get(name) == edit.types[output]
    }


def _wider(known: TensorType, widened: Widened) -> TensorType:
    return known if known.shape is None else replace(known, shape=widened.shape(known.shape))


def _static(graph: GraphProto) -> tuple[int, int, int, int]:
    """Nodes, parameters, their bytes, and about all bytes, of a graph whose initializers hold no values."""
    bodies = list(within(graph))
    counted = [weight for body in bodies for weight in weights(body)]
    data = sum(byte_count(each.data_type, math.prod(each.dims)) or 0 for each in graph.initializer)
    return (
        sum(len(body.node) for body in bodies),
        sum(elements for _, elements in counted),
        sum(byte_count(dtype, elements) or 0 for dtype, elements in counted),
        graph.ByteSize() + data,
    )
