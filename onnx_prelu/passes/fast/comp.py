"""comp: a Conv, the activation and a 1x1 Conv, of which all that is linear becomes one Conv.

    x ─► Conv(A, b) ─► PRelu(a) ─► Conv1x1(ψ, γ)

    becomes      x ─┬────────────► Conv(ψ·diag(a)·A, ψ·diag(a)·b + γ) ─► Add
                    └─► Conv(A, b) ─► Relu ─► Conv1x1(ψ·diag(1−a)) ──────┘

The Relu goes into the Conv before it and the Add into the one behind, so nothing is left of the activation. What it
costs is the new Conv, which is small where x has few channels.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import onnx

from ...algebra.floats import Array
from ...errors import Refused
from ...graph.draft import Draft
from ...graph.linear import Linear
from ...graph.producer import producer
from ...graph.readers import Reading
from ...graph.weights import Weight
from ..behind import Nodes
from ..plan import Plan
from ..sites import Site
from .two_ways import TwoWays, kernel, numbers

LARGEST = 4
"""The new kernels may hold this many times as many weights as the layers around the activation."""


def plan_comp(draft: Draft, site: Site) -> Plan:
    """``ψ·diag(1−a)·Relu(A·x + b) + (ψ·diag(a)·A)·x + const``: exact up to the rounding of other sums.

    The merged kernel is computed in float64 and rounded once. :func:`products` tells whether it pays. At ±inf in x
    other terms meet inf − inf than before.

    Raises:
        Refused: ``layer-kind``: before the activation is no Conv of one group, or behind it something else than 1x1
            Convs of stride 1, without padding and groups; ``too-large``: the new kernels would hold more than
            :data:`LARGEST` times the weights; ``overflow``, or what
            :meth:`~onnx_prelu.passes.fast.two_ways.TwoWays.at` and :func:`~onnx_prelu.graph.producer.producer` refuse.
        BadInput: The slope does not broadcast.
    """
    ways = TwoWays.at(draft, site, "comp")
    before = producer(draft, site.x)
    node = before.nodes[-1]
    if len(before.nodes) > 1 or node.op != "Conv" or before.groups != 1:
        text = f"comp takes a Conv of one group before the activation, and this is {node.op}"
        raise Refused("layer-kind", text, node.label)
    layers = [reading.layer for reading in ways.behind.after.layers]
    for layer in layers:
        _require_pointwise(layer)
    _require_small(before, layers)

    def summed(reading: Reading) -> Nodes:
        return ways.summed(reading.layer, _merged(ways, before, reading.layer), ways.bent(reading))

    plan = ways.behind.plan(site.region, ways.relu(), summed)
    return replace(plan, before=(*before.nodes, *plan.before), x=before.x)


def products(before: Linear, after: list[Linear]) -> float:
    """How many products the new Convs make of one value of z that they save: comp pays up to about 16 of them.

    Output channels come in blocks of 16. A first layer of 3 channels and a 1x1 one behind make about 8; 64 channels
    make 144, which loses badly.
    """
    size = math.prod(kernel(before)) * before.inputs / before.units
    return sum(size * 16 * math.ceil(layer.units / 16) for layer in after)


def _require_pointwise(layer: Linear) -> None:
    node = layer.nodes[0]
    apart = layer.groups != 1 or math.prod(kernel(layer)) != 1
    if apart or any(stride != 1 for stride in numbers(node, "strides")) or any(numbers(node, "pads")):
        text = "comp takes 1x1 Convs of one group and stride 1, without padding, behind the activation"
        raise Refused("layer-kind", text, node.label)


def _require_small(before: Linear, after: list[Linear]) -> None:
    row = before.inputs * math.prod(kernel(before))
    there = before.units * row + sum(layer.units * layer.inputs for layer in after)
    new = sum(layer.units for layer in after) * row
    if new > LARGEST * there:
        text = (
            f"comp would add {new:,} weights to the {there:,} of the layers around it, more than {LARGEST} times these"
        )
        raise Refused("too-large", text, before.nodes[0].label)


def _merged(ways: TwoWays, before: Linear, layer: Linear) -> onnx.NodeProto:
    """The Conv from x to a layer behind the activation, where every unit is a·z."""
    node, target = before.nodes[0], layer.weight.node
    psi = layer.columns().T * ways.slopes
    weight = before.weight.weight
    proto = onnx.NodeProto()
    proto.CopyFrom(node.proto)
    merged = (psi @ before.weight.by_unit(before.units)).reshape(layer.units, *weight.shape[1:])
    del proto.input[1:]
    proto.input.append(_constant(ways, merged, weight.dtype, layer, target.inputs[1]))
    if before.added or layer.added:
        bias = sum((psi @ part.by_unit(before.units)[:, 0] for part in before.added), np.zeros(layer.units))
        bias = sum((part.by_unit(layer.units)[:, 0] for part in layer.added), bias)
        proto.input.append(_constant(ways, bias, weight.dtype, layer, target.name))
    return ways.named(proto, layer, "linear")


def _constant(ways: TwoWays, values: Array, dtype: np.dtype[np.generic], layer: Linear, base: str) -> str:
    """A constant of values that are computed here.

    Raises:
        Refused: ``overflow``.
    """
    with np.errstate(over="ignore"):
        stored = values.astype(dtype)
    if not np.all(np.isfinite(stored)):
        raise Refused("overflow", f"a merged weight does not fit into {dtype}", layer.nodes[0].label)
    return ways.behind.constant(Weight.of(stored), base, "linear")
