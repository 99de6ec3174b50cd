"""Pairs that are nearly PReLU units, folded where a slope tolerance allows it, with a bound of what that changes.

    Gemm([A; −A + δ]) ─► Relu ─► Gemm([V, −V·a + ε])    becomes    Gemm(A) ─► PRelu(a) ─► Gemm(V)

This comes last, of the layers that exact folds have left. The bound is of real numbers, for inputs in their ranges, and
carried on to the outputs of the model; where there is none, the layer stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..algebra.approximate import Near, near
from ..algebra.floats import Array
from ..algebra.lanes import kept
from ..algebra.reduction import Reduced, Sums
from ..errors import Reason, Refused
from ..graph.draft import Draft
from ..graph.edit import commit
from ..graph.index import Node
from .choice import Choice
from .choose import Policy
from .fold import kin_of, require_one_dtype
from .folding import Decided, left_alone, told
from .narrow import plan_narrow, slopes_of
from .narrowing import Narrowing
from .placed import Placed
from .plan import Plan
from .ranges.carried import carried
from .ranges.layers import rounded
from .ranges.shaped import along
from .ranges.walk import ranges
from .wide import Layers, layers_around
from .within import Within, limited


def approximate_layers(
    draft: Draft, policies: Mapping[int, Policy], decided: Decided, refused: Mapping[str, Mapping[str, Reason]]
) -> None:
    """Fold what is nearly a PReLU layer, once each, and take down what was decided.

    The bound of each step is between the model before it and after it, so what they come to together is their sum.

    Args:
        draft: The body.
        policies: The slots, and what is allowed of a layer there, with the slope tolerance.
        decided: What was decided there so far.
        refused: Sites that stay, by name, and why.
    """
    for slot, policy in sorted(policies.items()):
        if policy.slope_tolerance is None:
            continue
        for node in list(draft.index.slots[slot]):
            if node.op not in ("Relu", "PRelu"):
                continue
            try:
                plan = _plan(draft, node, policy)
            except Refused as why:
                _stays(decided, node, why.at(node.label).reason)
                continue
            if plan is None:
                continue
            name = decided[slot][1].node if slot in decided else node.label
            if (reasons := refused.get(name)) is not None:
                decided.setdefault(slot, (None, left_alone(plan, reasons)))
                continue
            commit(draft, plan.edit)
            whole, choice = told(decided.get(slot), plan)
            decided[slot] = whole, replace(choice, exactness="approximate")


def _stays(decided: Decided, node: Node, why: Reason) -> None:
    earlier = decided.get(node.slot)
    if earlier is None:
        decided[node.slot] = None, Choice(node.label, None, True, why.text, {"fold": why}, f"{node.op}(x)")
        return
    plan, choice = earlier
    decided[node.slot] = (
        plan,
        replace(choice, notes=(*choice.notes, f"'{node.label}': no approximate fold: {why.text}")),
    )


def _plan(draft: Draft, node: Node, policy: Policy) -> Plan | None:
    """The plan of an approximate fold as a policy allows it; None where there are no pairs, or no layers for them."""
    assert policy.slope_tolerance is not None
    try:
        layers = layers_around(draft, node.inputs[0], node.outputs[0], (node,), node)
        require_one_dtype(layers, node)
        slopes = slopes_of(draft, node, layers)
    except Refused:
        return None  # nothing could be folded here, however near
    pairs = _pairs(layers, slopes, policy.slope_tolerance)
    if not pairs.stays.size:
        return None
    given = policy.within.given
    plan = plan_approximate(draft, node, layers, slopes, pairs, policy.within, slope_shape=policy.slope_shapes[0])
    if given:
        plan = limited(draft, plan, given)
    policy.allows(Placed.after(draft, plan))
    return plan


def _pairs(layers: Layers, slopes: Array, tolerance: float) -> Near:
    before, columns = layers.before, layers.after.columns
    return near(before.rows(), columns, kin_of(layers), slopes != 0, before.weight.weight.dtype, tolerance)


def plan_approximate(
    draft: Draft, node: Node, layers: Layers, slopes: Array, pairs: Near, within: Within, *, slope_shape: str = ""
) -> Plan:
    """The plan that makes one PReLU unit of each pair, and says how far the outputs are off at most.

    Args:
        draft: The working copy.
        node: The activation: a Relu or PRelu.
        layers: The layers around it.
        slopes: (units,) its slopes.
        pairs: The pairs, of units of slope 0.
        within: The ranges of the inputs.
        slope_shape: The shape to write the slope in; see :func:`~onnx_prelu.passes.narrow.plan_narrow`.

    Raises:
        Refused: ``no-range``: nothing bounds what the layer reads; ``unbounded-error``: the error cannot be bounded
            at the outputs; ``group-layout``; or what :func:`~onnx_prelu.passes.narrow.plan_narrow` refuses.
    """
    if layers.groups > 1:
        raise Refused("group-layout", "units of a grouped layer are not folded where they are off", node.label)
    bound = carried(draft, _errors(draft, node, layers, pairs, within))
    reduced = _reduced(layers.before.units, slopes, pairs)
    note = Narrowing.of(reduced).sentence()
    plan = plan_narrow(draft, node, layers, reduced, form="fold", note=note, slope_shape=slope_shape)
    return replace(plan, seam=None, bound=bound)


def _errors(draft: Draft, node: Node, layers: Layers, pairs: Near, within: Within) -> dict[str, Array]:
    """How far the tensors that the layers behind make are off at most, by name."""
    if not draft.whole:
        raise Refused("unbounded-error", "in a body, no range of the model's inputs bounds an error", node.label)
    known = ranges(draft, within.given, within.tier).get(layers.before.x)
    if known is None or not known.box.finite:
        text = f"nothing bounds '{layers.before.x}', nor how far pairs are off: give the inputs' ranges, --input-range"
        raise Refused("no-range", text, node.label)
    before = rounded(draft, layers.before)
    (rows,) = before.groups
    x = along(known.box, layers.before.input_axis, layers.before.inputs)
    residual, z = pairs.residual(rows, x), before.z(x)
    errors: dict[str, Array] = {}
    for reading in layers.after.layers:
        layer = reading.layer
        if layers.after.steps or reading.repeats > 1 or layer.inputs != layers.before.units:
            text = f"how far '{layer.y}' is off is only known of layers that read the activation as it is"
            raise Refused("unbounded-error", text, node.label)
        (behind,) = rounded(draft, layer).groups
        off = pairs.error(behind.weights * behind.scale[:, None, None], residual, z)
        errors[layer.y] = off.reshape(-1, *[1] * (-1 - layer.output.axis))
    return errors


def _reduced(units: int, slopes: Array, pairs: Near) -> Reduced:
    slope, direction, scale = slopes.copy(), np.full(units, -1, np.intp), np.ones(units)
    slope[pairs.stays] = pairs.slope
    keep = np.setdiff1d(np.arange(units), pairs.goes)
    direction[keep] = np.arange(len(keep))
    direction[pairs.goes], scale[pairs.goes] = direction[pairs.stays], -pairs.factor
    count = len(pairs.goes)
    sums = Sums(np.arange(len(keep)), keep, np.ones(len(keep)))
    return Reduced(kept(keep, slope[keep]), sums, direction, scale, paired=count, approximate=count)


def bounds_of(plans: Sequence[Plan]) -> dict[str, float]:
    """The most that each output is off after all plans, by name."""
    total: dict[str, float] = {}
    for plan in plans:
        for name, bound in plan.bound.items():
            total[name] = total.get(name, 0.0) + bound
    return total
