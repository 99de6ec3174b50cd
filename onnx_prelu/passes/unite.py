"""The way back of the lanes that stand beside the pre-activation: concat and tied become a PRelu.

    z ─┬────────► Concat ─► Gemm([L, R])              becomes      z ─► PRelu(a) ─► Gemm(L + R),  a = L/(L+R)
       └─► Relu ──┘

    z ─┬───────► Concat ─► Relu ─► Gemm([P, N])       becomes      z ─► PRelu(a) ─► Gemm(P),  a = −N/P
       └─► Neg ──┘

Every unit has to be a PReLU unit, within the roundings of the stored type. L + R is rounded once more, so what concat
was made of comes back up to rounding; P is taken as it is stored, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from ..algebra.floats import Array
from ..algebra.lanes import kept
from ..algebra.recovery import Recovered
from ..algebra.united import halves_slope, sum_slope
from ..errors import Refused
from ..graph.build import supports
from ..graph.constants import is_float
from ..graph.draft import Draft
from ..graph.index import Node
from ..graph.linear import Change, Place
from ..graph.readers import Readers, Reading, readers
from ..graph.weights import Weight
from .behind import Behind, Nodes
from .plan import Plan
from .slope_shapes import reshaped


@dataclass(frozen=True)
class _Lanes:
    """Lanes beside a pre-activation, as they are found.

    Attributes:
        z: The pre-activation.
        y: The lanes.
        region: What makes them of it, in order.
        axis: The axis of the Concat.
        slope: The slope of a unit, by its two columns.
        sums: True if both columns add up to the unit's own; False if the first one is it.
    """

    z: str
    y: str
    region: tuple[Node, ...]
    axis: int
    slope: Callable[[Array, Array, DTypeLike], Recovered | None]
    sums: bool


def plan_unite(draft: Draft, relu: Node, *, slope_shape: str = "") -> Plan:
    """A plan that makes a PRelu of the lanes that a Relu is part of.

    Args:
        draft: The working copy.
        relu: The Relu.
        slope_shape: The shape to write the slope in, one of :data:`~onnx_prelu.passes.slope_shapes.SLOPE_SHAPES`;
            "" for one value a unit, (C,) or (C, 1, 1).

    Raises:
        Refused: ``no-pairs``: it stands in no such lanes, or a unit is no PReLU unit; ``unknown-shape``,
            ``graph-output``, ``no-consumer``, ``group-layout``, ``slope-shape``, ``dtype``, ``opset``, or what
            :func:`~onnx_prelu.graph.readers.readers` refuses.
    """
    found = _found(draft, relu)
    if found is None:
        raise Refused("no-pairs", f"no Concat of '{relu.inputs[0]}' and its Relu, or of it and its Neg", relu.label)
    last = found.region[-1]
    if found.y in draft.index.outputs:
        raise Refused("graph-output", f"the activation '{found.y}' is an output of the graph", last.label)
    if not draft.index.uses(found.y):
        raise Refused("no-consumer", f"nothing reads '{found.y}'", last.label)
    place = _place(draft, found)
    after = readers(draft, found.y, place)
    dtype = after.layers[0].layer.weight.weight.dtype
    if not is_float(dtype) or not supports("PRelu", draft.opset, dtype.name):
        raise Refused("opset", f"PRelu does not exist for {dtype.name} in opset {draft.opset}", last.label)
    if draft.opset < 7 and place.number != 1:
        raise Refused("opset", "before opset 7 a slope belongs to axis 1, and the units lie along another", last.label)
    units = place.units // 2
    _require_same_steps(after, found, units)
    slopes, loose = _slopes(after, found, dtype, units)
    behind = Behind(draft, "fold", last, found.z, found.y, place, after, kept(np.arange(units), slopes))
    value = slopes.reshape(-1, *[1] * (-1 - place.axis))
    if slope_shape:
        value = reshaped(value, slope_shape, draft.shape(found.z), last.label)
    slope = behind.constant(Weight.of(value.astype(dtype)), last.name, "slope")
    activation = (behind.node("PRelu", [found.z, slope], behind.result),)

    def layer(reading: Reading) -> Nodes:
        change = _summed(reading) if found.sums else reading.take_columns(behind.lanes)
        return (behind.rewired(change.node, [change]),)

    note = f"{place.units} lanes became {units} units"
    if loose:
        note += f"; {loose} slopes are one of several floats that give the stored weights"
    return behind.plan(found.region, activation, layer, note)


def _found(draft: Draft, relu: Node) -> _Lanes | None:
    """The lanes that a Relu is part of: beside its own input, or over a pair of halves."""
    index, x, y = draft.index, relu.inputs[0], relu.outputs[0]
    uses = index.uses(y)
    if len(uses) == 1 and uses[0].node.op == "Concat" and uses[0].node.inputs == (x, y) and y not in index.outputs:
        pair = uses[0].node
        return _Lanes(x, pair.outputs[0], (relu, pair), _axis(pair), sum_slope, sums=True)
    pair_node = index.maker.get(x)
    if pair_node is None or pair_node.op != "Concat" or len(pair_node.inputs) != 2 or not _only(draft, x):
        return None
    z, minus = pair_node.inputs
    neg = index.maker.get(minus)
    if neg is None or neg.op != "Neg" or neg.inputs != (z,) or not _only(draft, minus):
        return None
    return _Lanes(z, y, (neg, pair_node, relu), _axis(pair_node), halves_slope, sums=False)


def _only(draft: Draft, tensor: str) -> bool:
    """True if a tensor is read once, and is no output."""
    return len(draft.index.uses(tensor)) == 1 and tensor not in draft.index.outputs


def _axis(node: Node) -> int:
    return next((a.i for a in node.proto.attribute if a.name == "axis"), 1)


def _place(draft: Draft, found: _Lanes) -> Place:
    shape = draft.shape(found.z)
    units = None if shape is None else shape[found.axis]
    if shape is None or not isinstance(units, int) or not units:
        text = f"the shape of '{found.z}' is not known, so neither is how many units it has"
        raise Refused("unknown-shape", text, found.region[-1].label)
    return Place(found.axis % len(shape) - len(shape), 2 * units, rank=len(shape))


def _require_same_steps(after: Readers, found: _Lanes, units: int) -> None:
    """Steps have to do the same to both lanes of a unit; what is added comes with the first, or in equal parts."""
    for step in after.steps:
        kin = step.kin()
        same = np.array_equal(kin[:units], kin[units:])
        for part in step.added:
            values = part.by_unit(2 * units)
            first = values[:units] if found.sums else np.zeros_like(values[:units])
            same &= np.array_equal(first, values[units:])
        if not same:
            raise Refused("no-pairs", f"the {step.node.op} does not do the same to both lanes", step.node.label)
    for reading in after.layers:
        if reading.layer.groups > 1:
            raise Refused("group-layout", "its groups would not keep whole units", reading.layer.nodes[0].label)


def _slopes(after: Readers, found: _Lanes, dtype: DTypeLike, units: int) -> tuple[Array, int]:
    """(units,) slopes, and how many of them are one of several floats that would do."""
    columns = np.concatenate([reading.columns() for reading in after.layers], axis=1)
    slopes, loose = np.zeros(units), 0
    for unit in range(units):
        recovered = found.slope(columns[unit], columns[units + unit], dtype)
        if recovered is None:
            raise Refused("no-pairs", f"the lanes of unit {unit} are no PReLU unit", found.region[-1].label)
        slopes[unit] = recovered.value
        loose += not recovered.determined
    return slopes, loose


def _summed(reading: Reading) -> Change:
    """The matrix of which both halves of the columns are added."""
    constant = reading.layer.weight
    halves = np.split(constant.weight.values(), 2, axis=1 - constant.axis)
    return Change(constant.node, constant.position, Weight.of((halves[0] + halves[1]).astype(constant.weight.dtype)))
