"""The fold: a Relu or PRelu layer becomes one of fewer units that computes the same.

    Gemm([A; −A], [b; −b]) ─► Relu ─► Gemm([V, −V·a])    becomes    Gemm(A, b) ─► PRelu(a) ─► Gemm(V)

Units pair in any order and at any positive scale; the earlier one is the positive side; a unit that finds no partner
keeps its slope. What is left is reduced: parallel units are merged, what counts for nothing is dropped, and what does
not depend on the input goes into the bias behind. Weights of units that stay as they are keep their bits.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..algebra.floats import Array
from ..algebra.reduction import Reduced, Units, reduced
from ..errors import Refused
from ..graph.between import UNITWISE
from ..graph.draft import Draft
from ..graph.edit import Edit
from ..graph.index import Node
from ..graph.linear import Linear
from .narrow import plan_narrow, slopes_of, still
from .narrowing import Narrowing
from .plan import Plan
from .step import is_step
from .wide import Layers, layers_around

FOLDED = frozenset({"Relu", "PRelu", "LeakyRelu"})
"""The ops whose layers are folded."""


def plan_fold(draft: Draft, node: Node, *, slope_shape: str = "") -> Plan:
    """A plan that folds the layer of a Relu, PRelu or LeakyRelu node.

    Args:
        draft: The working copy.
        node: The activation.
        slope_shape: The shape to write the slope in, one of :data:`~onnx_prelu.passes.slope_shapes.SLOPE_SHAPES`;
            "" for one value a unit, (C,) or (C, 1, 1).

    Raises:
        Refused: ``no-pairs``: no unit is parallel to another one, or counts for nothing; ``group-layout``: a group
            needs all of its units; ``slope-not-per-unit``, or what
            :func:`~onnx_prelu.passes.wide.layers_around` and :func:`~onnx_prelu.passes.narrow.plan_narrow` refuse.
    """
    x, y = node.inputs[0], node.outputs[0]
    layers = layers_around(draft, x, y, (node,), node, UNITWISE)
    require_one_dtype(layers, node)
    slopes = slopes_of(draft, node, layers)
    found = _reduced(draft, layers, slopes)
    units = layers.before.units
    if len(found.lanes) == units:
        if layers.groups == 1 or not found.changed:
            raise Refused("no-pairs", f"no two of the {units} units are parallel, and all of them count", node.label)
        text = f"some group would keep all of its {units // layers.groups} units, and all have to keep equally many"
        raise Refused("group-layout", text, node.label)
    form = "fold" if np.any(found.lanes.slope != slopes[found.lanes.unit]) else "reduce"
    plan = plan_narrow(
        draft, node, layers, found, form=form, note=Narrowing.of(found).sentence(), slope_shape=slope_shape
    )
    lanes, behind = found.lanes, layers.after.layers
    steps = [] if layers.after.steps else [each.layer for each in behind if is_step(each, lanes)]
    whole = len(behind) == len(steps) == 1 and found.sums.only_takes(lanes) and not found.constant.size
    return _without_step(plan, steps[0]) if whole else plan


def _reduced(draft: Draft, layers: Layers, slopes: Array) -> Reduced:
    """What becomes of the units."""
    before, after, units = layers.before, layers.after, layers.before.units
    rest, nowhere = still(draft, layers), np.zeros(units, bool)
    fixed = nowhere if rest.movable else after.adds(units)
    return reduced(
        Units(
            rows=before.rows(),
            columns=after.columns,
            slopes=slopes,
            dtype=before.weight.weight.dtype,
            kin=kin_of(layers),
            group=layers.group_of_units(),
            idle=rest.flat & (rest.offset <= 0) & ~fixed,
            unread=~np.any([reading.reads() for reading in after.layers], axis=0),
            fixed=fixed,
            constant=rest.flat if rest.movable else nowhere,
            maxima=after.maxima,
        )
    )


def _without_step(plan: Plan, step: Linear) -> Plan:
    """The plan with the activation in the place of the layer behind too, which would only give back what it reads."""
    (made,) = plan.edit.nodes[plan.node]
    inner = made.output[0]
    made.output[0] = step.y
    (gone,) = plan.edit.nodes[step.weight.node]
    edit = Edit(
        {**plan.edit.nodes, plan.node: (made,), step.weight.node: ()},
        {name: constant for name, constant in plan.edit.constants.items() if name not in gone.input},
        tuple(widened for widened in plan.edit.widened if widened.new != inner),
    )
    return replace(plan, edit=edit)


def require_one_dtype(layers: Layers, node: Node) -> None:
    """How far stored values can be off is asked of one type."""
    after = layers.after
    parts = [layers.before.weight, *layers.before.added, *(reading.layer.weight for reading in after.layers)]
    found = sorted({part.weight.dtype.name for part in parts})
    if len(found) > 1:
        raise Refused("dtype", f"the layers around it are stored in several types: {', '.join(found)}", node.label)


def kin_of(layers: Layers) -> NDArray[np.intp]:
    """A number for each unit; only units of one group, which nothing but their rows and columns tells apart, pair."""
    own = layers.before.kin(), layers.after.kin(layers.before.units)
    values = np.concatenate([layers.group_of_units()[:, None], *own], axis=1)
    return np.asarray(np.unique(values, axis=0, return_inverse=True)[1], np.intp).reshape(-1)
