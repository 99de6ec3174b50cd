"""Fold the layers of one body, until nothing changes: what goes in one layer can free another.

The last one comes first: columns that are added up are rounded, and they are part of the rows of the next layer, which
have to be told parallel. Each commit leaves a layer with fewer units, so this ends.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace

from ..errors import Reason, Refused
from ..graph.draft import Draft
from ..graph.edit import commit
from ..graph.index import Node
from .again import both
from .choice import Choice, SlopeSummary
from .choose import Policy
from .fold import FOLDED, plan_fold
from .placed import Placed
from .plan import Plan
from .sites import Slope
from .unite import plan_unite

Decided = dict[int, tuple[Plan | None, Choice]]
"""What was decided at each site of a body, by the slot of its last node."""


def fold_layers(
    draft: Draft, policies: Mapping[int, Policy], decided: Decided, refused: Mapping[str, Mapping[str, Reason]]
) -> bool:
    """Fold the layers of the activations in some slots, and take down what was decided.

    Args:
        draft: The body.
        policies: The slots, and what is allowed of a layer there.
        decided: What was decided there so far; layers that fold are added.
        refused: Sites that stay, by name, and why. A layer that would fold is told of with it.

    Returns:
        Whether a layer folded.
    """
    names = {slot: draft.index.slots[slot][-1].label for slot in policies if slot not in decided}
    names |= {slot: choice.node for slot, (_, choice) in decided.items()}
    slots = dict(policies)
    folded_any, changed = False, True
    while changed:
        changed = False
        for slot, policy in sorted(slots.items(), reverse=True):
            plans = (foldable(draft, node, policy) for node in draft.index.slots[slot])
            plan = next(filter(None, plans), None)
            if plan is None:
                continue
            place = plan.node.slot
            if (reasons := refused.get(names[slot])) is not None:
                decided.setdefault(place, (None, left_alone(plan, reasons)))
                continue
            commit(draft, plan.edit)
            decided[place] = told(decided.get(place), plan)
            slots.setdefault(place, policy)
            names.setdefault(place, names[slot])
            folded_any = changed = True
    return folded_any


def foldable(draft: Draft, node: Node, policy: Policy) -> Plan | None:
    """How the layer of an activation, or the lanes that it is part of, can be folded; None where they cannot be."""
    if node.op not in FOLDED:
        return None
    ways = (plan_fold, plan_unite) if node.op == "Relu" else (plan_fold,)
    for plan_back, shape in itertools.product(ways, policy.slope_shapes):
        try:
            plan = plan_back(draft, node, slope_shape=shape)
            policy.allows(Placed.after(draft, plan))
        except Refused:
            continue
        return plan
    return None


def folded(plan: Plan) -> Choice:
    """What is told of a layer that is folded, or of which something is proven."""
    return Choice(
        node=plan.node.label,
        form=plan.form,
        refused=False,
        reason=plan.note,
        spelling="Relu(x)",
        slope=None if plan.lanes is None else SlopeSummary.of(Slope(plan.lanes.slope)),
        exactness="rounding",
        possible=(plan.form,),
        narrowing=plan.narrowing,
    )


def left_alone(plan: Plan, reasons: Mapping[str, Reason]) -> Choice:
    """What is told of a layer that stays because the caller refuses its site."""
    text = next(iter(reasons.values())).text
    choice = folded(plan)
    return replace(choice, form=None, refused=True, reason=text, refusals=reasons, exactness=None, narrowing=None)


def told(earlier: tuple[Plan | None, Choice] | None, plan: Plan) -> tuple[Plan, Choice]:
    """A plan together with what was done at its site before."""
    if earlier is None:
        return plan, folded(plan)
    before, choice = earlier
    whole = plan if before is None else both(before, plan)
    choice = replace(choice, form=whole.form, reason=whole.note, exactness="rounding", narrowing=whole.narrowing)
    return whole, choice
