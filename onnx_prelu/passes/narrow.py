"""Narrow a layer to the units that stay: rows left out, columns added up, constants moved to the bias behind.

    Gemm([A; −A; 0], [b; −b; d]) ─► Relu ─► Gemm([U, −U·a, W], e)
    becomes    Gemm(A, b) ─► PRelu(a) ─► Gemm(U, e + W·Relu(d))

What becomes of the units is said by a :class:`~onnx_prelu.algebra.reduction.Reduced`. What steps add to a unit that
goes is moved too; a layer that has no bias gets one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import onnx
from numpy.typing import NDArray

from ..algebra.floats import Array, round_to
from ..algebra.reduction import Reduced
from ..errors import Refused
from ..graph.affine import computed_operand
from ..graph.build import Names, supports
from ..graph.draft import Draft, NewConstant, per_unit
from ..graph.edit import Edit
from ..graph.index import Node
from ..graph.linear import Change, Linear
from ..graph.producer import followed
from ..graph.readers import Reading
from ..graph.rest import added_up, at_rest, carried, takes_constants
from ..graph.weights import Take, Weight
from .plan import Plan, Seam
from .sites import Slope
from .slope_shapes import Shape, reshaped
from .wide import Layers, put_lanes, wide_plan


@dataclass(frozen=True)
class Still:
    """What of a layer does not depend on its input.

    Attributes:
        flat: (m,) units that do not: their rows are zero.
        offset: (m,) what they are before the activation.
        movable: Whether everything behind can do without what does not depend on the input, with another bias.
    """

    flat: NDArray[np.bool_]
    offset: Array
    movable: bool


def still(draft: Draft, layers: Layers) -> Still:
    """What of the layer before an activation does not depend on its input."""
    before = layers.before
    rest, none = at_rest(draft, before), np.zeros(before.units)
    movable = rest is not None and all(
        takes_constants(draft, reading.layer) and carried(draft, layers.after.path(reading), none) is not None
        for reading in layers.after.layers
    )
    if rest is None:
        return Still(none.astype(bool), none, movable=False)
    gain, offset = rest
    return Still(~np.any(before.matrix(), axis=1) | (gain == 0), offset, movable)


def plan_narrow(
    draft: Draft, node: Node, layers: Layers, reduced: Reduced, *, form: str, note: str, slope_shape: str = ""
) -> Plan:
    """The plan that makes of the units of an activation what they are reduced to.

    Args:
        draft: The working copy.
        node: The activation: a Relu, PRelu or LeakyRelu.
        layers: The layers around it; see :func:`~onnx_prelu.passes.wide.layers_around`.
        reduced: What becomes of its units. Units of ``constant``, and such as have something added behind the
            activation and do not stay as they are, only where :func:`still` says that they can be moved.
        form: What the plan is called.
        note: What the user should know.
        slope_shape: The shape to write the slope of a PRelu in, one of
            :data:`~onnx_prelu.passes.slope_shapes.SLOPE_SHAPES`; "" for one value a unit, (C,) or (C, 1, 1).

    Raises:
        Refused: ``opset``, ``slope-shape``, ``overflow``.
    """
    layers = replace(layers, after=replace(layers.after, layers=tuple(_with_bias(draft, layers))))
    rest = still(draft, layers)
    activation, constants = _activation(draft, node, layers, reduced, slope_shape)
    moved = [_moved(draft, layers, reading, reduced, rest) for reading in layers.after.layers]
    changes = [_columns(reading, reduced) for reading in layers.after.layers]
    for reading, more in zip(layers.after.layers, moved, strict=True):
        if reading.layer.added and np.any(more):
            part = reading.layer.added[0]
            total = part.weight.values() + per_unit(more, part.axis - len(part.weight.shape))
            changes.append(Change(part.node, part.position, Weight.of(total.astype(part.weight.dtype))))
    tensors = node.inputs[0], node.outputs[0]
    edit = put_lanes(draft, layers, reduced.lanes, (node,), node, tensors, activation, form, constants, behind=changes)
    for reading, more in zip(layers.after.layers, moved, strict=True):
        if not reading.layer.added and np.any(more):
            edit = _given_bias(draft, edit, reading.layer, more)
    plan = wide_plan(form, node, edit, layers, (node,), reduced.lanes, _seam(reduced, rest), note)
    return replace(plan, reduced=reduced)


def _with_bias(draft: Draft, layers: Layers) -> Iterator[Reading]:
    """The layers behind, a MatMul together with the Add that alone reads it, which is its bias."""
    for reading in layers.after.layers:
        layer, uses = reading.layer, tuple(draft.index.uses(reading.layer.y))
        added = layer.weight.node.op == "MatMul" and len(uses) == 1 and uses[0].node.op == "Add"
        if added and computed_operand(draft, uses[0].node) == uses[0].position:
            with contextlib.suppress(Refused):  # it is read elsewhere, or that is no bias
                layer = followed(draft, layer, uses[0])
        yield replace(reading, layer=layer)


def _activation(
    draft: Draft, node: Node, layers: Layers, reduced: Reduced, slope_shape: str
) -> tuple[onnx.NodeProto, dict[str, NewConstant]]:
    """The activation of the units that stay, without its first input, and the slope that it reads."""
    slopes, dtype = reduced.lanes.slope, layers.before.weight.weight.dtype
    if not np.any(slopes):
        return onnx.helper.make_node("Relu", [], []), {}
    if _of_one_slope(draft, node) and np.all(slopes == slopes_of(draft, node, layers)[0]):
        same = onnx.helper.make_node(node.op, node.inputs[1:], [])
        same.attribute.extend(node.proto.attribute)
        return same, {}
    if not supports("PRelu", draft.opset, dtype.name):
        raise Refused("opset", f"PRelu does not exist for {dtype.name} in opset {draft.opset}", node.label)
    axis, known = layers.before.output.axis, draft.shape(node.inputs[0])
    if draft.opset < 7 and axis + len(known or ()) != 1:
        text = "before opset 7 a slope belongs to axis 1, and the units here lie along another"
        raise Refused("opset", text, node.label)
    value = per_unit(slopes, axis)
    if slope_shape:
        value = reshaped(value, slope_shape, known and _with_size(known, axis, len(slopes)), node.label)
    name = Names(draft.index).new(node.name, "slope")
    constant = NewConstant(Weight.of(value.astype(dtype)), node.inputs[1] if node.op == "PRelu" else "")
    return onnx.helper.make_node("PRelu", [name], []), {name: constant}


def slopes_of(draft: Draft, node: Node, layers: Layers) -> Array:
    """(units,) the slopes of a Relu, PRelu or LeakyRelu between layers.

    Raises:
        Refused: ``overridable-weight``, ``runtime-weight``, ``quantized-weight``, ``slope-not-per-unit``.
    """
    units = layers.before.units
    if node.op == "Relu":
        return np.zeros(units)
    if node.op == "LeakyRelu":
        alpha = next((a.f for a in node.proto.attribute if a.name == "alpha"), 0.01)
        return round_to(np.full(units, alpha), layers.before.weight.weight.dtype)
    slope = Slope(draft.constants.need(node.inputs[1], "the slope", node).values())
    return slope.shrunk().per_unit(units, layers.before.output.axis, node.label)


def _of_one_slope(draft: Draft, node: Node) -> bool:
    """Whether an activation is written with one slope for all units."""
    if node.op != "PRelu":
        return node.op == "LeakyRelu"
    weight = draft.constants.get(node.inputs[1])
    return weight is not None and all(size == 1 for size in weight.shape)


def _with_size(shape: Shape, axis: int, size: int) -> Shape:
    """A shape with another size along one axis."""
    sizes = list(shape)
    sizes[axis] = size
    return sizes


def _columns(reading: Reading, reduced: Reduced) -> Change:
    """The matrix of a layer behind, of which columns are taken, or added up and rounded once."""
    if reduced.sums.only_takes(reduced.lanes):
        return reading.take_columns(reduced.lanes)
    return reading.with_columns(reduced.sums.of(reading.columns(), len(reduced.lanes)))


def _moved(draft: Draft, layers: Layers, reading: Reading, reduced: Reduced, rest: Still) -> Array:
    """(units of the layer,) by how much the bias of a layer behind grows: what no unit brings any more.

    Of a unit that goes that is what it is at rest, with what steps add to it. A unit that stays with another column
    brings what steps add to it times that.
    """
    path, lanes, sums = layers.after.path(reading), reduced.lanes, reduced.sums
    none = np.zeros(layers.before.units)
    added = carried(draft, path, none)
    if added is None or not takes_constants(draft, reading.layer):
        return np.zeros(reading.layer.units)
    slope, offset = reduced.constant_slope, rest.offset[reduced.constant]
    values = none.copy()
    values[reduced.constant] = np.where(offset >= 0, offset, slope * offset)
    before = carried(draft, path, values)
    assert before is not None
    still_there = np.zeros_like(before)
    bearing = lanes.bearing()
    brings = (sums.factor * bearing[sums.lane])[:, None] * np.broadcast_to(added, before.shape)[lanes.unit[sums.lane]]
    np.add.at(still_there, sums.unit, brings)
    goes = before - still_there
    return added_up(reading, goes) if np.any(goes) else np.zeros(reading.layer.units)


def _given_bias(draft: Draft, edit: Edit, layer: Linear, bias: Array) -> Edit:
    """The edit in which a layer that has no bias has this one: as an input of its own, or by an Add behind it."""
    node, names = layer.weight.node, Names(draft.index)
    (proto,) = edit.nodes[node]
    name = names.new(node.name, "bias")
    stored = bias.astype(layer.weight.weight.dtype)
    if node.op != "MatMul":
        del proto.input[2:]
        proto.input.append(name)
        constants = {**edit.constants, name: NewConstant(Weight.of(stored))}
        return replace(edit, constants=constants)
    constants = {**edit.constants, name: NewConstant(Weight.of(per_unit(stored, layer.output.axis)))}
    y = proto.output[0]
    proto.output[0] = names.new(y, "product")
    add = onnx.helper.make_node("Add", [proto.output[0], name], [y], names.new(node.name, "add"))
    add.doc_string = proto.doc_string
    add.metadata_props.extend(proto.metadata_props)
    types = {proto.output[0]: draft.types[layer.y]} if layer.y in draft.types else {}
    return replace(edit, nodes={**edit.nodes, node: (proto, add)}, constants=constants, types={**edit.types, **types})


def _seam(reduced: Reduced, rest: Still) -> Seam:
    """Every unit before is a multiple of a direction that stays, or nothing, or constant; and so is every lane."""
    lanes, gone = reduced.lanes, reduced.direction < 0
    own = np.flatnonzero(lanes.row == 1)
    shift = np.where(gone & rest.flat, rest.offset, 0.0)
    index, factor = np.where(gone, 0, reduced.direction), np.where(gone, 0.0, reduced.scale)
    return Seam(
        units=max(1, int(reduced.direction.max(initial=-1)) + 1),
        into_before=Take(index, factor),
        into_after=Take(index[lanes.unit], lanes.row * factor[lanes.unit]),
        from_before=lanes.unit[own],
        from_after=own,
        shift=shift if np.any(shift) else None,
    )
