"""Channels that a Pad adds to a shortcut, so that it fits what is added to it: a Concat in their place.

    p (C) ─► Pad(0, to D) ─► Add ─► y      becomes      p ─────────────► Add ─► Concat ─► y
    x ─────► Conv (D rows) ──┘                          x ─┬─► Conv (C) ─┘      │
                                                           └─► Conv (D − C) ────┘

A Pad leaves the blocked layout, and so does a Concat with constant zeros; this stays there. No value changes, as z + 0
is z.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from numpy.typing import NDArray

from ...errors import Refused
from ...graph.between import pad_mode, padded_with, paddings
from ...graph.draft import Draft
from ...graph.edit import Edit
from ...graph.index import Node
from ...graph.kinds import conv
from ...graph.linear import Linear
from ...graph.types import TensorType
from .plan import BLOCK, OLDEST_OPSET, LayoutPlan, is_float32, standing
from .writing import Writing, changed


def pad_concat(draft: Draft) -> Iterator[LayoutPlan]:
    """The places where a Pad by whole blocks of channels is added to a Conv, and nothing else reads either."""
    if draft.opset < OLDEST_OPSET:
        return
    for node in standing(draft):
        if node.op == "Add" and is_float32(draft, node.outputs[0]):
            for padded, made in (node.inputs, node.inputs[::-1]):
                pad, layer = draft.index.maker.get(padded), draft.index.maker.get(made)
                if pad and layer and (pad.op, layer.op) == ("Pad", "Conv"):
                    try:
                        yield _plan(draft, node, pad, conv(draft, layer), _narrow(draft, pad, node))
                    except Refused:
                        continue


def _narrow(draft: Draft, pad: Node, add: Node) -> int:
    """How many channels there are before the Pad.

    Raises:
        Refused: It adds something else than channels of zeros, behind those that are there, in whole blocks.
    """
    before, after = draft.shape(pad.inputs[0]), draft.shape(add.outputs[0])
    if before is None or after is None or len(before) != 4 or not isinstance(before[1], int):
        raise Refused("unknown-shape", f"the shape of '{pad.inputs[0]}' is not known", pad.label)
    pads, channels = paddings(draft, pad, 4), before[1]
    first, last = pads.get(-3, (0, 0))
    if set(pads) != {-3} or first or last <= 0 or pad_mode(pad) != "constant" or padded_with(draft, pad) != 0:
        raise Refused("between-not-linear", "the Pad adds something else than channels of 0 at the end", pad.label)
    if channels % BLOCK or last % BLOCK or after != (before[0], channels + last, *before[2:]):
        raise Refused("unsupported-layout", "the channels are not whole blocks", pad.label)
    return channels


def _plan(draft: Draft, add: Node, pad: Node, layer: Linear, channels: int) -> LayoutPlan:
    index, writing, node = draft.index, Writing(draft, "part"), layer.nodes[0]
    for tensor in (pad.outputs[0], layer.y):
        if len(index.uses(tensor)) != 1 or tensor in index.outputs or tensor in index.pinned:
            raise Refused("shared-producer", f"'{tensor}' is also read elsewhere", add.label)
    if layer.groups != 1:
        raise Refused("group-layout", "the Conv has groups", node.label)
    whole = draft.shape(add.outputs[0]) or ()
    if None in whole or draft.shape(layer.y) != whole:
        raise Refused(
            "unsupported-layout", f"'{layer.y}' may be broadcast to the sum, which a Concat does not", add.label
        )
    short, behind, total = (writing.tensor(name) for name in (layer.y, layer.y, add.outputs[0]))
    rows = np.arange(layer.units)
    convs = [_rows(writing, node, layer, part, y) for part, y in ((rows[:channels], short), (rows[channels:], behind))]
    convs[1].name = writing.node("Conv", node, [], []).name
    operands = [pad.inputs[0] if name == pad.outputs[0] else short for name in add.inputs]
    joined = writing.node("Concat", add, [total, behind], [add.outputs[0]], axis=1)
    nodes = {pad: (), node: tuple(convs), add: (changed(add, operands, [total]), joined)}
    batch, _, *space = whole
    types = {
        name: TensorType(onnx.TensorProto.FLOAT, (batch, size, *space))
        for name, size in ((short, channels), (total, channels), (behind, layer.units - channels))
    }
    text = f"'{pad.label}' goes: '{node.label}' in two parts, of which the first is added and the second concatenated"
    return LayoutPlan("pad-concat", f"pad-concat:{add.label}", text, Edit(nodes, writing.constants, types=types))


def _rows(writing: Writing, node: Node, layer: Linear, rows: NDArray[np.intp], y: str) -> onnx.NodeProto:
    """The Conv with some of its rows."""
    inputs = list(node.inputs)
    for part in (layer.weight, *layer.added):
        weight = part.weight.take(part.axis, rows, np.ones(len(rows)))
        inputs[part.position] = writing.constant(weight, inputs[part.position])
    return changed(node, inputs, [y])
