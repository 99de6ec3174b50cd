"""fold2: two passes over the data, and one factor a unit that a neighbour takes for nothing.

    Conv(A, b) ─► PRelu(a) ─► y          becomes      Conv((1−a)·A, (1−a)·b) ─┬─► Mul(k) ─► Add ─► y
                                                                              └─► Relu ─────┘
    z ─► PRelu(a) ─► Conv(V)             becomes      z ─┬─► Mul(k) ─► Add ─► Conv(V·(1−a))
                                                         └─► Relu ─────┘

with k = a/(1−a). Between Convs, ONNX Runtime keeps all of it in its blocked layout: the Mul is a depthwise Conv, and
the Add is its sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...algebra.floats import Array, is_normal
from ...algebra.forms import Expression
from ...algebra.lanes import scaled
from ...algebra.two_pass import fold
from ...errors import Refused
from ...graph.build import Fragment, Names
from ...graph.draft import Draft, NewConstant, Widened, per_unit
from ...graph.edit import Edit, rewired
from ...graph.linear import Linear
from ...graph.readers import readers
from ..behind import Behind, Nodes
from ..beside import require_ops, units_behind
from ..plan import Plan
from ..sites import Site, working_type
from ..wide import constant_name, layer_before, refuse_overflow

FORM = "fold2"


def plan_fold2(draft: Draft, site: Site) -> Plan:
    """``k·z + Relu(z)`` with k = a/(1−a), and the factor 1−a in the rows before or in the columns behind.

    The rows take it where all slopes are at most 1 and the layer before is read by nothing else: then what comes out
    is the activation itself, which may be read by anything. Else the columns of all readers take it. Exact up to a few
    ulps of the larger of a·z and z. At ±inf it gives inf − inf, which is NaN, where k < 0; 0·inf where a = 0.

    Raises:
        Refused: ``dtype``, ``opset``, ``type-unknown``, ``slope-enlarges``, ``runtime-slope``,
            ``slope-not-per-unit``, ``overflow``; or neither side can take the factor: the code is what stands behind
            the activation, the text says both.
        BadInput: The slope does not broadcast.
    """
    require_ops(draft, site, ("Mul", "Relu", "Add"))
    if draft.opset < 7:
        raise Refused("opset", "one factor a unit needs broadcasting, of opset 7", site.node.label)
    try:
        return _in_rows(draft, site)
    except Refused as refused:
        before = refused.reason
    try:
        return _in_columns(draft, site)
    except Refused as refused:
        behind = refused.at(site.node.label).reason
        text = f"the factor 1−a has no place: before, {before.text}; behind, {behind.text}"
        text = behind.text if behind.text == before.text else text
        raise Refused(behind.code, text, behind.node) from None


def _in_rows(draft: Draft, site: Site) -> Plan:
    label, dtype = site.node.label, working_type(draft, site)
    layer = layer_before(draft, site.x, site.region, site.node)
    slopes = site.slope.shrunk().per_unit(layer.units, layer.output.axis, label)
    if np.any(slopes > 1):
        raise Refused("positive-side", "a slope above 1 would turn its unit round", label)
    factor, k = fold(slopes, dtype)
    _require_normal(layer.rows(), factor, dtype, layer)
    lanes = scaled(factor, np.ones(len(factor)))
    names = Names(draft.index)
    changes = list(layer.take_rows(lanes))
    named = {change: constant_name(draft, names, change, FORM) for change in changes}
    for change in changes:
        refuse_overflow(change)
    axis = layer.output.axis
    rename = {name: names.new(name, FORM) for name in (node.outputs[0] for node in layer.nodes)}
    fragment = Fragment(names, site.node, site.y, draft.opset, dtype)
    activation = fragment.write(_two_pass(k, axis), rename[site.x], slopes)
    nodes: dict[Any, Nodes] = {node: (rewired(node, changes, named, rename),) for node in layer.nodes}
    nodes |= {node: activation if node is site.node else () for node in site.region}
    made = {named[change]: NewConstant(change.weight, change.node.inputs[change.position]) for change in changes}
    made |= {name: NewConstant(weight) for name, weight in fragment.constants.items()}
    widened = tuple(Widened(old, new, axis, layer.units, layer.units, factor) for old, new in rename.items())
    return Plan(
        form=FORM,
        node=site.node,
        edit=Edit(nodes, made, widened),
        equal_bits=False,
        region=site.region,
        activation=(site.x, site.y),
        before=(*layer.nodes, *site.region),
        x=layer.x,
        y=(site.y,),
        unit_axis=axis,
        lanes=lanes,
    )


def _in_columns(draft: Draft, site: Site) -> Plan:
    place, after, slopes = units_behind(draft, site, readers)
    dtype = working_type(draft, site)
    factor, k = fold(slopes, dtype)
    for reading in after.layers:
        _require_normal(reading.columns(), factor, dtype, reading.layer)
    behind = Behind(draft, FORM, site.node, site.x, site.y, place, after, scaled(np.ones(len(factor)), factor))
    fragment = Fragment(behind.names, site.node, behind.result, draft.opset, dtype)
    activation = fragment.write(_two_pass(k, place.axis), site.x, slopes)
    behind.constants |= {name: NewConstant(weight) for name, weight in fragment.constants.items()}
    return behind.plan(site.region, activation, behind.layer)


def _require_normal(values: Array, factor: Array, dtype: np.dtype[Any], layer: Linear) -> None:
    """Refuse where a weight would leave the normal range of its type that it is in."""
    if np.any(is_normal(values, dtype) & ~is_normal(values * factor[:, None], dtype)):
        raise Refused("overflow", "a weight times 1−a would be denormal, or too large", layer.nodes[0].label)


def _two_pass(k: Array, axis: int) -> Expression:
    factor = per_unit(k, axis)
    return lambda o, x, _, constant: o.Add(o.Mul(constant(factor), x), o.Relu(x))
