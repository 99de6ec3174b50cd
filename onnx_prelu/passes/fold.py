"""The fold: a Relu layer whose units come in pairs becomes a PRelu layer of fewer units.

    Gemm([A; −A], [b; −b]) ─► Relu ─► Gemm([V, −V·a])    becomes    Gemm(A, b) ─► PRelu(a) ─► Gemm(V)

Units pair in any order and at any positive scale; the earlier one is the positive side; a unit that finds no partner
keeps slope 0. Weights of units that stay are not touched: their bits are the stored ones.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
from numpy.typing import NDArray

from ..algebra.floats import Array
from ..algebra.grouping import opposite_pairs
from ..algebra.lanes import kept
from ..algebra.recovery import Pairs, fold_pairs
from ..errors import Refused
from ..graph.build import Names, supports
from ..graph.draft import Draft, NewConstant
from ..graph.edit import Edit
from ..graph.index import Node
from ..graph.linear import Linear
from ..graph.weights import Take, Weight
from .plan import Plan, Seam
from .slope_shapes import Shape, reshaped
from .step import is_step
from .wide import Layers, layers_around, put_lanes, wide_plan


def plan_fold(draft: Draft, node: Node, *, slope_shape: str = "") -> Plan:
    """A plan that folds the layer of a Relu node.

    Args:
        draft: The working copy.
        node: The Relu.
        slope_shape: The shape to write the slope in, one of :data:`~onnx_prelu.passes.slope_shapes.SLOPE_SHAPES`;
            "" for one value a unit, (C,) or (C, 1, 1).

    Raises:
        Refused: ``no-pairs``: no two units are one PReLU unit; ``group-layout``: pairs leave unequal groups;
            ``slope-shape``, ``dtype``, ``opset``, or what :func:`~onnx_prelu.passes.wide.layers_around` refuses.
    """
    x, y = node.inputs[0], node.outputs[0]
    layers = layers_around(draft, x, y, (node,), node)
    dtype = layers.before.weight.weight.dtype
    if not supports("PRelu", draft.opset, dtype.name):
        raise Refused("opset", f"PRelu does not exist for {dtype.name} in opset {draft.opset}", node.label)
    rank = len(known) if (known := draft.shape(x)) is not None else 0
    if draft.opset < 7 and layers.before.output.axis + rank != 1:
        raise Refused(
            "opset", "before opset 7 a slope belongs to axis 1, and the units here lie along another", node.label
        )
    units = layers.before.units
    _one_dtype(layers, node)
    rows, kin = layers.before.rows(), _kin(layers)
    none = Refused("no-pairs", f"no two of the {units} units are one PReLU unit", node.label)
    if next(opposite_pairs(rows, np.empty((units, 0)), kin, dtype), None) is None:
        raise none  # most layers: their columns, which can be large behind a Flatten, are not even read
    columns = np.concatenate([reading.columns() for reading in layers.after.layers], axis=1)
    pairs = fold_pairs(rows, columns, dtype, kin, layers.after.adds(units))
    folded = int(np.sum(pairs.partner >= 0))
    if not folded:
        raise none
    _require_equal_groups(pairs, layers, node)
    slope = Names(draft.index).new(node.name, "slope")
    prelu = onnx.helper.make_node("PRelu", [slope], [])
    axis = layers.before.output.axis
    value = pairs.slope.reshape(-1, *[1] * (-1 - axis))
    if slope_shape:
        known = draft.shape(x)
        value = reshaped(value, slope_shape, known and _with_size(known, axis, len(value)), node.label)
    constants = {slope: NewConstant(Weight.of(value.astype(dtype)))}
    lanes = kept(pairs.keep, pairs.slope)
    edit = put_lanes(draft, layers, lanes, (node,), node, (x, y), prelu, "fold", constants)
    note = f"{units} units became {len(pairs.keep)}, {folded} of them pairs"
    rounded = int(np.sum(~pairs.exact))
    if rounded:
        note += f"; {rounded} pairs are PReLUs up to rounding of the stored weights"
    loose = int(np.sum(~pairs.determined))
    if loose:
        note += f"; {loose} slopes are one of several floats that give the stored weights"
    plan = wide_plan("fold", node, edit, layers, (node,), lanes, _seam(rows, pairs), note)
    steps = [] if layers.after.steps else [reading.layer for reading in layers.after.layers if is_step(reading, lanes)]
    return _without_step(plan, steps[0]) if len(layers.after.layers) == len(steps) == 1 else plan


def _without_step(plan: Plan, step: Linear) -> Plan:
    """The plan with the PRelu in the place of the layer behind it too, which would only give back what it reads."""
    (prelu,) = plan.edit.nodes[plan.node]
    made = prelu.output[0]
    prelu.output[0] = step.y
    (gone,) = plan.edit.nodes[step.weight.node]
    edit = Edit(
        {**plan.edit.nodes, plan.node: (prelu,), step.weight.node: ()},
        {name: constant for name, constant in plan.edit.constants.items() if name not in gone.input},
        tuple(widened for widened in plan.edit.widened if widened.new != made),
    )
    return replace(plan, edit=edit)


def _with_size(shape: Shape, axis: int, size: int) -> Shape:
    """A shape with another size along one axis."""
    sizes = list(shape)
    sizes[axis] = size
    return sizes


def _one_dtype(layers: Layers, node: Node) -> None:
    """How far stored values can be off is asked of one type."""
    after = layers.after
    parts = [layers.before.weight, *layers.before.added, *(reading.layer.weight for reading in after.layers)]
    found = sorted({part.weight.dtype.name for part in parts})
    if len(found) > 1:
        raise Refused("dtype", f"the layers around it are stored in several types: {', '.join(found)}", node.label)


def _kin(layers: Layers) -> NDArray[np.intp]:
    """A number for each unit; only units of one group, which nothing but their rows and columns tells apart, pair."""
    units = layers.before.units
    group = np.arange(units) // (units // layers.groups)
    values = np.concatenate([group[:, None], layers.before.kin(), layers.after.kin(units)], axis=1)
    return np.asarray(np.unique(values, axis=0, return_inverse=True)[1], np.intp).reshape(-1)


def _require_equal_groups(pairs: Pairs, layers: Layers, node: Node) -> None:
    """Every group has to keep equally many units."""
    size = layers.before.units // layers.groups
    kept_units = np.bincount(pairs.keep // size, minlength=layers.groups)
    if np.any(kept_units != kept_units[0]):
        text = f"groups would keep {kept_units.min()} to {kept_units.max()} units, and have to keep equally many"
        raise Refused("group-layout", text, node.label)


def _seam(rows: Array, pairs: Pairs) -> Seam:
    """Every unit before is a multiple of one that stays: itself, or −λ times its partner."""
    kept_units = np.arange(len(pairs.keep))
    index, factor = np.zeros(len(rows), np.intp), np.ones(len(rows))
    index[pairs.keep] = kept_units
    paired = pairs.partner >= 0
    partner, stays = pairs.partner[paired], pairs.keep[paired]
    index[partner] = kept_units[paired]
    size = np.linalg.norm(rows, axis=1)
    factor[partner] = -np.divide(size[partner], size[stays], out=np.ones(len(stays)), where=size[stays] > 0)
    whole = Take(kept_units, np.ones(len(kept_units)))
    return Seam(len(kept_units), Take(index, factor), whole, pairs.keep, kept_units)
