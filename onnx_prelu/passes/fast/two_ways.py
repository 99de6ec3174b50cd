"""A Conv behind an activation as the sum of two: one for what is linear in z, one for its Relu. comp and dwcat.

ψ·PReLU_a(z) = ψ·diag(a)·z + ψ·diag(1−a)·Relu(z)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from ...algebra.floats import Array
from ...algebra.lanes import scaled
from ...errors import Refused
from ...graph.draft import Draft
from ...graph.edit import rewired
from ...graph.index import Node
from ...graph.linear import Linear
from ...graph.readers import Reading, readers
from ...graph.weights import Take
from ..behind import Behind, Nodes
from ..beside import require_ops, units_behind
from ..sites import Site
from ..wide import refuse_overflow


@dataclass(frozen=True)
class TwoWays:
    """An activation of which one Relu stays, and the Convs that read it, each to become a sum.

    Attributes:
        behind: The edit in the making: in the place of the units come their Relus, times 1−a.
        slopes: The slope of each unit.
    """

    behind: Behind
    slopes: Array

    @classmethod
    def at(cls, draft: Draft, site: Site, form: str) -> TwoWays:
        """The two ways at a site.

        Raises:
            Refused: ``layer-kind``: a reader is no Conv, or something stands between; ``opset``, ``dtype``,
                ``type-unknown``, ``slope-enlarges``, or what :func:`~onnx_prelu.passes.beside.units_behind` refuses.
            BadInput: The slope does not broadcast.
        """
        require_ops(draft, site, ("Relu", "Add", "Conv"))
        if draft.opset < 7:
            raise Refused("opset", "the sum of two layers is an Add of opset 7", site.node.label)
        place, after, slopes = units_behind(draft, site, readers)
        for node in (*(step.node for step in after.steps), *(reading.layer.nodes[0] for reading in after.layers)):
            if node.op != "Conv":
                text = f"{form} takes Convs that read the activation, and this is {node.op}"
                raise Refused("layer-kind", text, node.label)
        lanes = scaled(np.ones(len(slopes)), 1 - slopes)
        return cls(Behind(draft, form, site.node, site.x, site.y, place, after, lanes), slopes)

    def relu(self) -> Nodes:
        """What comes in the place of the activation."""
        return (self.behind.node("Relu", [self.behind.x], self.behind.result),)

    def linear(self, reading: Reading) -> onnx.NodeProto:
        """``ψ·diag(a)·z + γ``."""
        return self._way(reading, self.slopes, self.behind.x, "linear")

    def bent(self, reading: Reading) -> onnx.NodeProto:
        """``ψ·diag(1−a)·Relu(z)``."""
        proto = self._way(reading, 1 - self.slopes, self.behind.result, "bent")
        del proto.input[2:]  # what the layer adds is added once
        return proto

    def summed(self, layer: Linear, linear: onnx.NodeProto, bent: onnx.NodeProto) -> Nodes:
        """A layer as the sum of the two."""
        name = self.behind.names.new(layer.weight.node.name, "add")
        return linear, bent, onnx.helper.make_node("Add", [linear.output[0], bent.output[0]], [layer.y], name)

    def named(self, proto: onnx.NodeProto, layer: Linear, suffix: str) -> onnx.NodeProto:
        """A node that goes by the layer's name, and makes a tensor that does so too."""
        proto.name = self.behind.names.new(layer.weight.node.name, suffix)
        proto.output[0] = self.behind.names.new(layer.y, suffix)
        return proto

    def _way(self, reading: Reading, factor: Array, x: str, suffix: str) -> onnx.NodeProto:
        change = reading.layer.take_columns(Take(np.arange(len(factor)), factor))
        refuse_overflow(change)
        kernel = self.behind.constant(change.weight, change.node.inputs[change.position], suffix)
        proto = rewired(change.node, [change], {change: kernel}, {self.behind.y: x})
        return self.named(proto, reading.layer, suffix)


def kernel(layer: Linear) -> tuple[int, ...]:
    """The size of a Conv's kernel in each direction."""
    return layer.weight.weight.shape[2:]


def numbers(node: Node, attribute: str) -> tuple[int, ...]:
    """A list of numbers among a node's attributes, strides say; empty where it is left out."""
    return next((tuple(each.ints) for each in node.proto.attribute if each.name == attribute), ())
