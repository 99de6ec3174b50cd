"""The way back of the lanes that stand beside the pre-activation: concat and tied become a PRelu.

    z ─┬────────► Concat ─► Gemm([L, R])              becomes      z ─► PRelu(a) ─► Gemm(L + R),  a = L/(L+R)
       └─► Relu ──┘

    z ─┬───────► Concat ─► Relu ─► Gemm([P, N])       becomes      z ─► PRelu(a) ─► Gemm(P),  a = −N/P
       └─► Neg ──┘

Every unit has to be a PReLU unit, within the roundings of the stored type. L + R is rounded once more, so what concat
was made of comes back up to rounding; P is taken as it is stored, bit for bit. halves.py finds the lanes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..algebra.floats import Array
from ..algebra.lanes import kept
from ..errors import Refused
from ..graph.build import supports
from ..graph.constants import is_float
from ..graph.draft import Draft
from ..graph.index import Node
from ..graph.linear import Change
from ..graph.readers import Readers, Reading, readers
from ..graph.weights import Weight
from .behind import Behind, Nodes
from .halves import Halves, halves_at
from .plan import Plan
from .slope_shapes import reshaped


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
    found = halves_at(draft, relu)
    place, last = found.place, found.region[-1]
    if found.y in draft.index.outputs:
        raise Refused("graph-output", f"the activation '{found.y}' is an output of the graph", last.label)
    if not draft.index.uses(found.y):
        raise Refused("no-consumer", f"nothing reads '{found.y}'", last.label)
    after = readers(draft, found.y, place)
    dtype = after.layers[0].layer.weight.weight.dtype
    if not is_float(dtype) or not supports("PRelu", draft.opset, dtype.name):
        raise Refused("opset", f"PRelu does not exist for {dtype.name} in opset {draft.opset}", last.label)
    if draft.opset < 7 and place.number != 1:
        raise Refused("opset", "before opset 7 a slope belongs to axis 1, and the units lie along another", last.label)
    units = place.units // 2
    _require_whole_units(after, found.order)
    _require_same_steps(after, found)
    slopes, loose = _slopes(after, found, dtype)
    behind = Behind(draft, "fold", last, found.z, found.y, place, after, kept(found.order[0], slopes))
    value = slopes.reshape(-1, *[1] * (-1 - place.axis))
    if slope_shape:
        value = reshaped(value, slope_shape, draft.shape(found.z), last.label)
    slope = behind.constant(Weight.of(value.astype(dtype)), last.name, "slope")
    activation = (behind.node("PRelu", [found.z, slope], behind.result),)

    def layer(reading: Reading) -> Nodes:
        change = _summed(reading, found.order) if found.sums else reading.take_columns(behind.lanes)
        return (behind.rewired(change.node, [change]),)

    note = f"{place.units} lanes became {units} units"
    if loose:
        note += f"; {loose} slopes are one of several floats that give the stored weights"
    return behind.plan(found.region, activation, layer, note)


def _require_whole_units(after: Readers, order: NDArray[np.intp]) -> None:
    """A layer with groups has to have both lanes of a unit in one of them."""
    for reading in after.layers:
        group = order // (order.size // reading.layer.groups)
        if np.any(group[0] != group[1]):
            raise Refused("group-layout", "its groups would not keep whole units", reading.layer.nodes[0].label)


def _require_same_steps(after: Readers, found: Halves) -> None:
    """Steps have to do the same to both lanes of a unit; what is added comes with the first, or in equal parts."""
    for step in after.steps:
        kin = step.kin()[found.order]
        same = np.array_equal(kin[0], kin[1])
        for part in step.added:
            first, second = part.by_unit(found.order.size)[found.order]
            same &= np.array_equal(first if found.sums else np.zeros_like(first), second)
        if not same:
            raise Refused("no-pairs", f"the {step.node.op} does not do the same to both lanes", step.node.label)


def _slopes(after: Readers, found: Halves, dtype: DTypeLike) -> tuple[Array, int]:
    """(units,) slopes, and how many of them are one of several floats that would do."""
    columns = after.columns()
    slopes, loose = np.zeros(len(found.order[0])), 0
    for unit, (first, second) in enumerate(found.order.T):
        recovered = found.slope(columns[first], columns[second], dtype)
        if recovered is None:
            raise Refused("no-pairs", f"the lanes of unit {unit} are no PReLU unit", found.region[-1].label)
        slopes[unit] = recovered.value
        loose += not recovered.determined
    return slopes, loose


def _summed(reading: Reading, order: NDArray[np.intp]) -> Change:
    """The matrix of which the columns of both lanes of a unit are added."""
    first, second = (reading.take_columns(kept(lanes, np.zeros(len(lanes)))) for lanes in order)
    total = first.weight.values() + second.weight.values()
    return Change(first.node, first.position, Weight.of(total.astype(first.weight.dtype)))
