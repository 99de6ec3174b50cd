"""Lanes made in the graph, beside the pre-activation: concat and tied. The layer that makes it is not touched.

Only the layers that read the activation get wider, so the pre-activation may be read elsewhere, be an output, and be
made by anything. In a chain, every inner matrix doubles once, where split doubles it twice.

    concat:   z ─► PRelu(a) ─► Gemm(V)    becomes    z ─┬────────► Concat ─► Gemm([V·a, V·(1−a)])
                                                        └─► Relu ──┘

    tied:     z ─► PRelu(a) ─► Gemm(V)    becomes    z ─┬───────► Concat ─► Relu ─► Gemm([V, V·(−a)])
                                                        └─► Neg ──┘

Before layers with groups the two lanes of a unit stand next to each other: the halves meet along the axis behind the
units, and a Reshape counts them as units.

In tied, V stays stored as it is: [V, V·(−a)] is made of it by a Mul and a Concat of constants, which a runtime folds
when it loads the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import numpy as np
import onnx

from ..algebra.floats import Array
from ..algebra.lanes import Lanes, concat, tied
from ..errors import Refused
from ..graph.build import supports
from ..graph.constants import is_float
from ..graph.draft import Draft
from ..graph.edit import rewired
from ..graph.linear import Change, Place
from ..graph.readers import Readers, Reading, readers
from ..graph.weights import Take, Weight
from .behind import Behind, Nodes
from .plan import Plan
from .sites import Site, working_type
from .slope_fit import check_shape
from .wide import refuse_overflow

Found = TypeVar("Found")


def plan_concat(draft: Draft, site: Site) -> Plan:
    """``[V·a, V·(1−a)]·[z; Relu(z)]``: one Relu a unit, exact up to the rounding of the longer sums.

    ``V·a + V·(1−a)`` is V up to the rounding of the two. At +inf, a slope below 0 or above 1 gives inf − inf, which
    is NaN, and so does 0·inf for a slope of 0 or 1; at −inf a slope of 0 does. NaN stays NaN.

    Raises:
        Refused: ``dtype``, ``opset``, ``type-unknown``, ``slope-enlarges``, ``runtime-slope``, ``slope-not-per-unit``,
            ``graph-output``, ``no-consumer``, ``group-layout``, ``unknown-shape``, ``overflow``, or what
            :func:`~onnx_prelu.graph.readers.readers` refuses.
        BadInput: The slope does not broadcast.
    """
    require_ops(draft, site, ("Relu", "Concat"))
    place, after, slopes = units_behind(draft, site, readers)
    behind = Behind(draft, "concat", site.node, site.x, site.y, place, after, _arranged(concat(slopes), after))
    relu = behind.names.new(site.y, "relu")
    activation = (behind.node("Relu", [site.x], relu), *behind.halves([site.x, relu], behind.result))
    return behind.plan(site.region, activation, behind.layer)


def plan_tied(draft: Draft, site: Site) -> Plan:
    """``[V, V·(−a)]·Relu([z; −z])``, V stored once: exact up to the rounding of the longer sums.

    What is added to the file is one slope for each input of a layer, and what a step on the way has for each lane.
    At ±inf the result is PReLU's, but for 0·inf where the slope is 0, which is NaN at −inf. NaN stays NaN.

    Raises:
        Refused: What :func:`plan_concat` refuses.
        BadInput: The slope does not broadcast.
    """
    require_ops(draft, site, ("Neg", "Concat", "Relu", "Mul"))
    if draft.opset < 7:
        raise Refused("opset", "a weight times a slope needs broadcasting, of opset 7", site.node.label)
    place, after, slopes = units_behind(draft, site, readers)
    behind = Behind(draft, "tied", site.node, site.x, site.y, place, after, _arranged(tied(slopes), after))
    negated, both = behind.names.new(site.y, "neg"), behind.names.new(site.y, "concat")
    activation = (
        behind.node("Neg", [site.x], negated),
        *behind.halves([site.x, negated], both),
        behind.node("Relu", [both], behind.result),
    )
    return behind.plan(site.region, activation, lambda reading: _tied_layer(behind, slopes, reading))


def _arranged(lanes: Lanes, after: Readers) -> Lanes:
    """The lanes in the order in which :meth:`~onnx_prelu.passes.behind.Behind.halves` puts them."""
    return lanes.by_unit() if after.grouped else lanes


def _tied_layer(behind: Behind, slopes: Array, reading: Reading) -> Nodes:
    """A layer whose matrix is made of the stored one: Concat(V, Mul(V, −a))."""
    change = reading.take_columns(behind.lanes)
    refuse_overflow(change)
    if behind.after.grouped or reading.repeats > 1:
        return _tied_in_a_view(behind, slopes, reading, change)
    matrix, node = reading.layer.weight, change.node
    stored, axis, rank = node.inputs[change.position], 1 - matrix.axis, len(matrix.weight.shape)
    factor = reading.spread(Take(np.arange(len(slopes)), -slopes)).factor
    value = factor.reshape(-1, *[1] * (rank - 1 - axis)).astype(matrix.weight.dtype)
    minus_a = behind.constant(Weight.of(value), behind.last.name, "minus_slope")
    half, whole = behind.names.new(stored, "times_slope"), behind.names.new(stored, behind.form)
    return (
        onnx.helper.make_node("Mul", [stored, minus_a], [half], behind.names.new(node.name, "mul")),
        onnx.helper.make_node("Concat", [stored, half], [whole], behind.names.new(node.name, "concat"), axis=axis),
        rewired(node, [change], {change: whole}, behind.rename),
    )


def _tied_in_a_view(behind: Behind, slopes: Array, reading: Reading, change: Change) -> Nodes:
    """The same where the halves of V are not two blocks: a view, (groups, before, units of a group, rest), is doubled.

    Lanes that stand unit by unit are doubled along the rest, others along the units, which can stand several times.
    """
    matrix, node = reading.layer.weight, change.node
    stored, axis = node.inputs[change.position], 1 - matrix.axis
    shape = matrix.weight.shape
    groups, before = (reading.layer.groups, shape[0]) if axis else (1, 1)
    sizes = (groups, before // groups * reading.repeats, reading.units // groups, -1)
    value = -slopes.reshape(groups, 1, -1, 1).astype(matrix.weight.dtype)
    name, meeting = behind.last.name, 3 if behind.after.grouped else 2
    view = behind.constant(Weight.of(np.array(sizes, np.int64)), name, "view")
    minus_a = behind.constant(Weight.of(value), name, "minus_slope")
    wide = behind.constant(Weight.of(np.array(change.weight.shape, np.int64)), name, "kernel")
    viewed, half = behind.names.new(stored, "view"), behind.names.new(stored, "times_slope")
    pair, whole = behind.names.new(stored, "pair"), behind.names.new(stored, behind.form)
    return (
        onnx.helper.make_node("Reshape", [stored, view], [viewed], behind.names.new(node.name, "reshape")),
        onnx.helper.make_node("Mul", [viewed, minus_a], [half], behind.names.new(node.name, "mul")),
        onnx.helper.make_node("Concat", [viewed, half], [pair], behind.names.new(node.name, "concat"), axis=meeting),
        onnx.helper.make_node("Reshape", [pair, wide], [whole], behind.names.new(node.name, "reshape")),
        rewired(node, [change], {change: whole}, behind.rename),
    )


def require_ops(draft: Draft, site: Site, ops: Iterable[str]) -> None:
    """Refuse a type in which there are no layers, ops that do not exist, and slopes of the wrong shape.

    Raises:
        Refused: ``dtype``, ``type-unknown``, ``opset``, ``slope-enlarges``, ``slope-misaligned``.
        BadInput: The slope does not broadcast.
    """
    label, dtype = site.node.label, working_type(draft, site)
    if not is_float(dtype):
        raise Refused("dtype", f"'{site.x}' is of type {dtype}, in which no wide layers are made", label)
    for op in ops:
        if not supports(op, draft.opset, dtype.name):
            raise Refused("opset", f"{op} does not exist for {dtype.name} in opset {draft.opset}", label)
    check_shape(draft, site)


def units_behind(draft: Draft, site: Site, find: Callable[[Draft, str, Place], Found]) -> tuple[Place, Found, Array]:
    """Where the units lie, all that reads them, and their slopes.

    One slope for all says nothing of the axis: then it is the one that the layers sum over.

    Args:
        draft: The working copy.
        site: The site.
        find: Finds all that reads units at a place, as :func:`~onnx_prelu.graph.readers.readers` does, or refuses.

    Raises:
        Refused: ``graph-output``, ``no-consumer``, ``runtime-slope``, ``slope-not-per-unit``, ``unknown-shape``, or
            what ``find`` refuses.
    """
    label = site.node.label
    if site.y in draft.index.outputs:
        raise Refused("graph-output", f"the activation '{site.y}' is an output of the graph", label)
    if not draft.index.uses(site.y):
        raise Refused("no-consumer", f"nothing reads '{site.y}'", label)
    refusals: list[Refused] = []
    for place in _places(draft, site):
        try:
            after = find(draft, site.y, place)
        except Refused as refused:
            refusals.append(refused)
            continue
        return place, after, site.slope.shrunk().per_unit(place.units, place.axis, label)
    raise refusals[0]


def _places(draft: Draft, site: Site) -> list[Place]:
    """Where the units can lie: where the slope varies; with one slope for all, the channels first."""
    label, slope, shape = site.node.label, site.slope.shrunk(), draft.shape(site.y)
    rank = None if shape is None else len(shape)
    if slope.value is None:
        raise Refused("runtime-slope", f"the slope '{slope.tensor}' is only known at run time", label)
    if slope.value.size != 1:
        if slope.unit_axis is None:
            text = f"the slope has shape {list(slope.value.shape)}, which is not one value for each unit"
            raise Refused("slope-not-per-unit", text, label)
        return [Place(slope.unit_axis, slope.value.size, rank=rank)]
    sizes = {axis: shape[axis] for axis in range(-len(shape), 0)} if shape else {}
    channel = 1 - len(sizes)
    ordered = sorted(sizes, key=lambda axis: (axis != channel, -axis))
    places = [Place(axis, size, rank=rank) for axis in ordered if isinstance(size := sizes[axis], int) and size > 0]
    if not places:
        raise Refused("unknown-shape", f"the shape of '{site.y}' is not known, so neither is where units lie", label)
    return places
