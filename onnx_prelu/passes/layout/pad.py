"""Channels filled up by zeros, where their number keeps a node out of the blocked layout.

    Conv (13 rows) ─► PRelu ─► depthwise Conv (13) ─► PRelu ─► Conv (13 columns)
    becomes    Conv (16 rows) ─► PRelu ─► depthwise Conv (16) ─► PRelu ─► Conv (16 columns)

ONNX Runtime takes a depthwise Conv, and a Conv of at least 16 inputs, into its blocked layout only where the channels
are a multiple of 4; a MaxPool, where they are a multiple of the block, or what makes them stands there. The results are
the same up to the order of sums, on finite values.
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
from .plan import OLDEST_OPSET, LayoutPlan, is_float32, listed, standing

BLOCK = 16
"""Channels of a block where the CPU has AVX-512; with AVX2 it is half of it, which these are a multiple of."""

_ALIGNED = 4


def pad(draft: Draft) -> Iterator[LayoutPlan]:
    """The places where channels are to be filled up; each has all tensors that have these channels in common."""
    if draft.opset < OLDEST_OPSET:
        return
    for node in standing(draft):
        units = _out_of_step(draft, node)
        if units:
            try:
                channels = Channels.of(draft, node.inputs[0], units)
            except Refused:
                continue
            yield _plan(channels, node, units, -(-units // BLOCK) * BLOCK)


def _out_of_step(draft: Draft, node: Node) -> int:
    """How many channels a node reads, if their number keeps it out of the blocked layout; else 0."""
    if node.op not in ("Conv", "MaxPool") or not is_float32(draft, node.inputs[0]):
        return 0
    shape = draft.shape(node.inputs[0])
    units = shape[1] if shape is not None and len(shape) == 4 else None
    if not isinstance(units, int):
        return 0
    if node.op == "MaxPool":
        return units if units > BLOCK and units % BLOCK else 0
    groups = next((a.i for a in node.proto.attribute if a.name == "group"), 1)
    apart = units > 1 if groups == units else groups == 1 and units > BLOCK
    return units if apart and units % _ALIGNED else 0


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
