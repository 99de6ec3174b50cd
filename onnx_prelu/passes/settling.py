"""What is proven of units put to use, layer after layer: dead ones go, and what is linear is no activation any more.

Each commit leaves fewer units or fewer activations, so this ends. Units that go change no other bound: a sum of fewer
terms is a sum in some order of those that are 0. A merged layer is rounded anew, so then all is proven again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import onnx

from ..algebra.bounds import Box
from ..errors import Reason, Refused
from ..graph.build import Names
from ..graph.draft import Draft
from ..graph.edit import Edit, commit
from .choose import Policy
from .folding import Decided, left_alone, told
from .merge import plan_merge
from .placed import Placed
from .plan import Plan
from .prune import plan_prune
from .stable import Stable, stable_units
from .within import limited


def settle(
    draft: Draft, policies: Mapping[int, Policy], decided: Decided, refused: Mapping[str, Mapping[str, Reason]]
) -> bool:
    """Use what is proven of the layers of the activations in some slots, and take down what was decided.

    What follows without the ranges of inputs comes first; what follows from these is told apart.

    Args:
        draft: The body.
        policies: The slots, in order, and what is allowed of a layer there, within which ranges.
        decided: What was decided there so far.
        refused: Sites that stay, by name, and why.

    Returns:
        Whether a layer changed.
    """
    if not policies:
        return False
    before = {slot: plan for slot, (plan, _) in decided.items()}
    known = next(iter(policies.values())).within
    given = known.given if draft.whole else {}
    for boxes in ({}, given) if given else ({},):
        while _settled(draft, policies, decided, refused, boxes):
            pass
    return any(plan is not before.get(slot) for slot, (plan, _) in decided.items())


def _settled(
    draft: Draft,
    policies: Mapping[int, Policy],
    decided: Decided,
    refused: Mapping[str, Mapping[str, Reason]],
    given: Mapping[str, Box],
) -> bool:
    """Whether a layer was merged, an activation went, or another one can go now: then bounds have to be found again."""
    tier = next(iter(policies.values())).within.tier
    for found in stable_units(draft, given, tier):
        policy = policies.get(found.node.slot)
        if policy is None or not np.any(found.off | found.on):
            continue
        plan = next(_plans(draft, found, policy), None)
        if plan is None:
            continue
        slot = plan.node.slot
        name = decided[slot][1].node if slot in decided else plan.node.label
        if (reasons := refused.get(name)) is not None:
            decided.setdefault(slot, (None, left_alone(plan, reasons)))
            continue
        if given:
            plan = replace(limited(draft, plan, given), note=f"{plan.note}, for inputs within their ranges")
        commit(draft, plan.edit)
        decided[slot] = told(decided.get(slot), plan)
        if plan.form != "prune" or not np.any(np.isnan(found.factor)):
            return True
    return False


def _plans(draft: Draft, found: Stable, policy: Policy) -> Iterator[Plan]:
    """What can be made of a layer, best first."""
    for plan_with in (plan_prune, plan_merge, plan_identity):
        try:
            plan = plan_with(draft, found)
            policy.allows(Placed.after(draft, plan))
        except Refused:
            continue
        yield plan


def plan_identity(draft: Draft, found: Stable) -> Plan:
    """The plan that puts nothing in the place of an activation of which every unit is proven to be on.

    Raises:
        Refused: ``not-linear``.
    """
    node = found.node
    if not np.all(found.on):
        raise Refused("not-linear", "not every unit is proven to be always on", node.label)
    name = Names(draft.index).new(node.name, "identity")
    proto = onnx.helper.make_node("Identity", [node.inputs[0]], list(node.outputs), name)
    proto.doc_string = node.proto.doc_string
    proto.metadata_props.extend(node.proto.metadata_props)
    return Plan(
        form="identity",
        node=node,
        edit=Edit({node: (proto,)}),
        equal_bits=False,  # a runtime fuses other nodes where no activation stands between them
        region=(node,),
        activation=(node.inputs[0], node.outputs[0]),
        before=(node,),
        x=node.inputs[0],
        y=(node.outputs[0],),
        unit_axis=found.layer.output.axis,
        note=f"all {found.layer.units} units are proven to be always on",
        proven=True,
    )
