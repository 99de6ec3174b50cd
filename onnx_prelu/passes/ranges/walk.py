"""Ranges of all tensors of a body, node by node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ...algebra.bisection import MOST_INPUTS, bisected
from ...algebra.bounds import Box
from ...algebra.floats import Array
from ...algebra.symbolic import Chain, Layer
from ...errors import Refused
from ...graph.affine import AFFINE
from ...graph.draft import Draft
from ...graph.index import Node
from ...graph.kinds import OPS
from ...graph.linear import Linear
from ...graph.producer import producer
from .layers import rounded
from .rules import RULES, Read, read_node, sloped_by
from .shaped import along, placed

TIERS: tuple[str, ...] = ("interval", "symbolic", "bisect")
"""How bounds are found, each never worse than the one before, and slower."""


@dataclass(frozen=True)
class Known:
    """What is known of a tensor.

    Attributes:
        box: Its box, whose ends broadcast to it.
        chain: The layers that make it, of which it is the last one's z, or that with its activation; or None.
        axis: The axis of the units of that layer, counted from the end.
        active: Whether the activation of the last layer has been applied.
    """

    box: Box
    chain: Chain | None = None
    axis: int = -1
    active: bool = False


def ranges(draft: Draft, given: Mapping[str, Box], tier: str = TIERS[0]) -> dict[str, Known]:
    """What is known of the tensors of a body, bounds of what any runtime computes for them.

    Args:
        draft: The body.
        given: Ranges of its inputs, and of tensors around it; arrays that broadcast to them.
        tier: One of :data:`TIERS`: of ``"bisect"``, chains of up to
            :data:`~onnx_prelu.algebra.bisection.MOST_INPUTS` inputs take part.
    """
    walk = _Walk(draft, tier, {name: Known(_whole(box)) for name, box in given.items()})
    for node in draft.index.nodes():
        known = walk.made_by(node)
        if known is not None:
            walk.known[node.outputs[0]] = replace(known, box=_whole(known.box))
    return walk.known


def _whole(box: Box) -> Box:
    """The box with both ends in one shape."""
    return Box(*np.broadcast_arrays(box.low, box.high))


@dataclass
class _Walk:
    """A body, and what is known of its tensors so far."""

    draft: Draft
    tier: str
    known: dict[str, Known]

    def made_by(self, node: Node) -> Known | None:
        """What is known of the first output of a node."""
        if not node.outputs or not node.outputs[0]:
            return None
        if node.op in OPS or node.op in AFFINE:
            try:
                return self._linear(producer(self.draft, node.outputs[0]))
            except Refused:
                if node.op in OPS:
                    return None
        rule = RULES.get(node.op)
        if rule is None:
            return None
        read = read_node(self.draft, node, self._box)
        box = rule(read)
        return None if box is None else self._carried(read, box)

    def _box(self, tensor: str) -> Box | None:
        known = self.known.get(tensor)
        return None if known is None else known.box

    def _linear(self, layer: Linear) -> Known | None:
        known = self.known.get(layer.x)
        if known is None:
            return None
        rows, axis = rounded(self.draft, layer), layer.output.axis
        x = along(known.box, layer.input_axis, layer.inputs)
        last = Layer(rows.rows, np.ones(layer.units)) if rows.rows is not None else None
        if self.tier == TIERS[0] or last is None or self._goes_on(layer):
            return Known(placed(rows.z(x), axis))
        chain = known.chain if known.chain is not None and known.axis == layer.input_axis else None
        if chain is None or chain.rounding != rows.rounding:
            chain = Chain(x, rows.rounding)
        chain = chain.then(last)
        z = chain.links[-1].z
        if self.tier == TIERS[2] and len(chain.x.low) <= MOST_INPUTS and chain.x.finite:
            z = z.within(bisected([link.layer for link in chain.links], chain.x, chain.rounding))
            chain = replace(chain, links=(*chain.links[:-1], replace(chain.links[-1], z=z)))
        return Known(placed(z, axis), chain, axis)

    def _goes_on(self, layer: Linear) -> bool:
        """Whether a node behind a layer belongs to it too: with it, the layer is bounded as one."""
        behind = [use.node.op in AFFINE for use in self.draft.index.uses(layer.y)]
        return len(behind) == 1 and behind[0] and layer.y not in self.draft.index.outputs

    def _carried(self, read: Read, box: Box) -> Known:
        """What an op makes, with the layers behind it where it is an activation of theirs, or nothing at all."""
        before = self.known.get(read.node.inputs[0]) if read.node.inputs else None
        if before is None or before.chain is None:
            return Known(box)
        if read.node.op in ("Identity", "Dropout"):
            return replace(before, box=box)
        slope = _slope(read, before)
        if slope is None or before.active:
            return Known(box)
        *links, last = before.chain.links
        last = replace(last, layer=replace(last.layer, slope=slope))
        return Known(box, replace(before.chain, links=(*links, last)), before.axis, active=True)


def _slope(read: Read, before: Known) -> Array | None:
    """The slope of each unit, where a node is an activation of such."""
    assert before.chain is not None
    units = len(before.chain.links[-1].layer.slope)
    if read.node.op == "Relu":
        return np.zeros(units)
    value = sloped_by(read)
    if value is None:
        return None
    if value.size == 1:
        return np.full(units, float(value.reshape(())))
    there = value.ndim >= -before.axis and value.shape[before.axis] == value.size == units
    return value.reshape(-1) if there else None
