"""Channels filled up by zeros, where their number keeps a node out of the blocked layout.

    Conv (13 rows) ─► PRelu ─► depthwise Conv (13) ─► PRelu ─► Conv (13 columns)
    becomes    Conv (16 rows) ─► PRelu ─► depthwise Conv (16) ─► PRelu ─► Conv (16 columns)

ONNX Runtime takes a depthwise Conv into its blocked layout where its channels are a multiple of 4, and the Conv behind
it only where they are at least a block. It takes a MaxPool where they are a multiple of the block, or where what makes
them stands there. The results are the same up to the order of sums, on finite values. Where all layers are dense, to
fill them up costs more than it gains, so such chains stay.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...algebra.lanes import padded
from ...errors import Refused
from ...graph.build import Names
from ...graph.draft import Draft, NewConstant, Widened
from ...graph.edit import Edit, rewired
from ...graph.index import Node
from ..wide import constant_name
from .channels import Channels
from .plan import BLOCK, OLDEST_OPSET, LayoutPlan, is_float32, listed, standing

_ALIGNED = 4
_MOST = 1.6  # times as many channels before a MaxPool: beyond, the Convs around it cost more than it gains (measured)
_FEWEST = 5  # channels of a depthwise Conv: with fewer, those of a whole block cost more than they gain (measured)


def pad(draft: Draft) -> Iterator[LayoutPlan]:
    """The places where channels are to be filled up; each has all tensors that have these channels in common."""
    if draft.opset < OLDEST_OPSET:
        return
    for node in standing(draft):
        units = _channels(draft, node)
        size = _size(node, units)
        if size > units:
            try:
                channels = Channels.of(draft, node.inputs[0], units)
            except Refused:
                continue
            yield _plan(channels, node, units, size)


def _channels(draft: Draft, node: Node) -> int:
    """How many channels a depthwise Conv or a MaxPool reads; 0 where it is none, or that is not known."""
    shape = draft.shape(node.inputs[0]) if node.op in ("Conv", "MaxPool") else None
    if shape is None or len(shape) != 4 or not isinstance(shape[1], int) or not is_float32(draft, node.inputs[0]):
        return 0
    groups = next((a.i for a in node.proto.attribute if a.name == "group"), 1)
    return shape[1] if node.op == "MaxPool" or groups == shape[1] > 1 else 0


def _size(node: Node, units: int) -> int:
    """How many channels a node is to have."""
    if units <= BLOCK:
        return BLOCK if node.op == "Conv" and units >= _FEWEST else units
    if node.op == "Conv":
        return -(-units // _ALIGNED) * _ALIGNED
    size = -(-units // BLOCK) * BLOCK
    return size if size <= _MOST * units else units


def _plan(channels: Channels, node: Node, units: int, size: int) -> LayoutPlan:
    draft, names, lanes = channels.draft, Names(channels.draft.index), padded(units, size)
    changes = list(channels.changes(lanes))
    named = {change: constant_name(draft, names, change, "padded") for change in changes}
    rename = {name: names.new(name, "padded") for name in channels.places}
    protos = {}
    for each in channels.nodes():
        proto = rewired(each, changes, named, rename)
        proto.name = each.name
        for attribute in proto.attribute:
            if attribute.name == "group" and each in channels.depthwise:
                attribute.i = size
        protos[each] = (proto,)
    made = {named[change]: NewConstant(change.weight, change.node.inputs[change.position]) for change in changes}
    widened = tuple(Widened(old, rename[old], place.axis, units, size) for old, place in channels.places.items())
    around = list(channels.makers) + list(channels.readings)
    text = f"{units} channels filled up to {size} by zeros, between {listed(around)}"
    return LayoutPlan("pad", f"pad:{node.label}", text, Edit(protos, made, widened))
