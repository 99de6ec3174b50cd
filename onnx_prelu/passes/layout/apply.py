"""The layout rules by name, and their way into a draft."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from ...errors import BadUsage
from ...graph.draft import Draft
from ...graph.edit import commit
from .heads import heads
from .lift import lift_conv, lift_matmul
from .pad import pad
from .pad_concat import pad_concat
from .plan import LayoutPlan, Rule

LAYOUT_RULES: Mapping[str, Rule] = {
    "lift-conv": lift_conv,
    "lift-matmul": lift_matmul,
    "pad": pad,
    "pad-concat": pad_concat,
    "heads": heads,
}
"""The layout rules by name, in the order in which they are to be applied."""


def apply_layout(draft: Draft, rules: Sequence[str], keys: Collection[str] | None = None) -> list[LayoutPlan]:
    """Plan and commit each rule in turn, in all bodies, until none finds another place.

    Args:
        draft: The working copy.
        rules: Names of rules, of :data:`LAYOUT_RULES`; they are taken in that order.
        keys: The places to take, by the keys of their plans; all of them by default.

    Returns:
        What was committed, in order.

    Raises:
        BadUsage: A rule is not known.
    """
    for name in rules:
        if name not in LAYOUT_RULES:
            raise BadUsage(f"the layout rule {name} is not known", todo=f"take some of {', '.join(LAYOUT_RULES)}")
    done: list[LayoutPlan] = []
    for scope in draft.scopes():
        before = -1
        while before < len(done):
            before = len(done)
            for name in LAYOUT_RULES:
                if name in rules:
                    done.extend(_applied(scope, LAYOUT_RULES[name], keys))
    return done


def _applied(draft: Draft, rule: Rule, keys: Collection[str] | None) -> list[LayoutPlan]:
    done = []
    for plan in rule(draft):
        if keys is None or plan.key in keys:
            commit(draft, plan.edit)
            done.append(plan)
    return done
