"""split where what reads the activation cannot take the columns: a layer of its own takes them.

    Gemm(A, b) ─► PRelu(a) ─► h    becomes    Gemm([A; −A], [b; −b]) ─► Relu ─► Gemm([I, −I·a]) ─► h

h stays what it is, so anything may read it: a residual Add, a Concat, a MaxPool, the caller. The new layer is an
identity that split has made wide, of the kind of the layer before (behind a convolution, a 1x1 Conv): an op that is
there already. So it is taken where Neg, Sub, or Mul by one value a unit is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx

from ..algebra.lanes import Lanes
from ..graph.build import Names
from ..graph.draft import Draft, NewConstant
from ..graph.linear import Linear
from ..graph.readers import Readers, Reading
from ..graph.weights import Take, Weight
from .plan import Plan
from .sites import Site
from .wide import Layers, layer_before, planned_split, require_layer_type, split_lanes


def plan_split_step(draft: Draft, site: Site, *, slope_in_producer: bool) -> Plan:
    """Two Relu lanes a unit, and a layer that adds them up: of each sum, one term at most is not 0.

    With the slope in the producer, the new layer holds 0, 1 and −1 only. An infinite pre-activation of one unit makes
    NaN of all units at its place, by 0·inf in their sums; so does NaN.

    Raises:
        Refused: ``dtype``, ``type-unknown``, ``slope-enlarges``, ``slope-misaligned``, ``runtime-slope``,
            ``slope-not-per-unit``, or what :func:`~onnx_prelu.passes.wide.layer_before` refuses.
        BadInput: The slope does not broadcast.
    """
    dtype = require_layer_type(draft, site)
    layers = Layers(layer_before(draft, site.x, site.region, site.node), Readers())
    lanes, note = split_lanes(layers, site, dtype, slope_in_producer=slope_in_producer)
    plan = planned_split(draft, site, layers, lanes, "split-step", note)
    (relu,) = plan.edit.nodes[site.node]
    step, constants = _step(draft, site, layers.before, lanes, relu.output[0], dtype)
    nodes = {**plan.edit.nodes, site.node: (relu, step)}
    edit = replace(plan.edit, nodes=nodes, constants={**plan.edit.constants, **constants})
    return replace(plan, edit=edit, y=(site.y,))


def _step(
    draft: Draft, site: Site, before: Linear, lanes: Lanes, x: str, dtype: np.dtype[Any]
) -> tuple[onnx.NodeProto, dict[str, NewConstant]]:
    """The layer from the lanes x to the units y, and its constants."""
    names, node, producer = Names(draft.index), site.node, before.weight.node
    op = "Conv" if producer.op == "ConvTranspose" else producer.op
    matrix = names.new(node.name, "step_weight")
    operands, axis, size = [x, matrix], 0, before.units // before.groups
    attributes: dict[str, Any] = {}
    constants: dict[str, NewConstant] = {}
    space: list[int] = []
    if op == "Conv":
        space, axis, attributes = [1] * (-1 - before.output.axis), 1, {"group": before.groups}
    elif op == "Gemm":  # its bias is an option from opset 11 on, and not in every parser
        operands.append(names.new(node.name, "step_bias"))
        constants[operands[2]] = NewConstant(Weight.of(np.zeros(size, dtype)))
        attributes = {"broadcast": 1} if draft.opset < 7 else {}
    elif before.weight.position == 0:  # W·x
        operands.reverse()
        axis = 1
    identity = _identity(size, before.groups, space, dtype)
    take = Take(lanes.unit, lanes.out).within(before.groups, size)
    constants[matrix] = NewConstant(identity.take(axis, take.index, take.factor))
    made = onnx.helper.make_node(op, operands, [site.y], names.new(node.name, "step"), **attributes)
    made.doc_string = node.proto.doc_string
    made.metadata_props.extend(node.proto.metadata_props)
    return made, constants


def is_step(reading: Reading, lanes: Lanes) -> bool:
    """True if a layer gives back what it reads once its inputs are these lanes: there is no need for it any more."""
    layer = reading.layer
    size, weight = layer.units // layer.groups, reading.take_columns(lanes).weight
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in layer.weight.node.proto.attribute}
    scales = attributes.get("alpha", 1.0) != 1 or any(np.any(part.weight.values()) for part in layer.added)
    moves = set(attributes.get("strides", [1])) != {1} or any(attributes.get("pads", []))
    moves |= layer.weight.node.op == "ConvTranspose"  # it has more ways to do so, and is never put in
    if scales or moves or weight.shape != (layer.units, size, *[1] * (len(weight.shape) - 2)):
        return False
    return np.array_equal(weight.stored(), _identity(size, layer.groups, weight.shape[2:], weight.dtype).stored())


def _identity(size: int, groups: int, space: Sequence[int], dtype: np.dtype[Any]) -> Weight:
    """(size·groups, size, 1, …): an identity for each group, one behind the other; made when it is needed."""
    shape = (size * groups, size, *space)
    return Weight(lambda: np.tile(np.eye(size, dtype=dtype), (groups, 1)).reshape(shape), shape, dtype)
