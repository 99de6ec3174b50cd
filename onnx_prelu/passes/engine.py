"""The engine: every site once, planned against the draft as it is then, and committed.

Each commit removes one site for good (see the policies in choose.py), so this is a fixpoint in one round; a form that
moves an activation leaves a site that is offered again, one MaxPool further on. Folds come after the sites; see
folding.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from ..errors import Reason
from ..graph.draft import Draft
from ..graph.edit import commit
from ..graph.index import Node
from .approximate import approximate_layers
from .choice import Choice, SlopeSummary
from .choose import Policy, attempt, choose, misfit, nothing_asked, refusal
from .folding import Decided, fold_layers, foldable, folded
from .neighbours import maker_of, readers_of
from .patterns import Scope
from .plan import Plan
from .repair import denormals_made, odd_slope, repeated_slope
from .settling import settle
from .sites import Site, find_sites, left_site, named, names_of
from .slope_fit import require_broadcast

Refusals = Mapping[str, Mapping[str, Reason]]
"""For sites that the caller refuses, by name: the forms that they may not take, and why."""

NONE_REFUSED: Refusals = MappingProxyType({})
"""No site is refused but by its forms."""


def rewrite_sites(
    draft: Draft, policy: Policy, scope: Scope, refused: Refusals = NONE_REFUSED
) -> list[tuple[Plan | None, Choice]]:
    """Rewrite a draft by a policy, and tell what was decided at each site.

    Args:
        draft: The draft.
        policy: What may stand at a site.
        scope: Which sites are meant.
        refused: Sites that stay, for reasons of the caller's.

    Raises:
        BadInput: A slope is NaN, infinite or does not broadcast.
        BadUsage: A pattern of the scope matches nothing.
    """
    found = [_found(body, scope.also, folds=policy.folds) for body in draft.scopes()]
    meant = scope.among([name for body in found for name in body.names()])
    asked = policy.among([name for body in found for site in body.sites for name in named(site)])
    whole: list[tuple[Plan | None, Choice]] = []
    for body in found:
        decided: Decided = {}
        layers: dict[int, Policy] = {}
        for site in body.sites:
            names = list(named(site))
            if meant(names):
                require_broadcast(body.draft, site)
                notes = tuple(odd_slope(body.draft, site))
                plan, choice = _decided(body.draft, site, asked(names), refused)
                decided[site.node.slot] = plan, replace(choice, notes=notes)
                layers[site.node.slot] = asked(names)
        layers |= {node.slot: policy for node in body.relus if meant(names_of(node))}
        folds = {slot: each for slot, each in layers.items() if each.folds}
        fold_layers(body.draft, folds, decided, refused)
        while settle(body.draft, folds, decided, refused) and fold_layers(body.draft, folds, decided, refused):
            pass  # rows that differed in a column that went may be parallel now
        approximate_layers(body.draft, folds, decided, refused)
        whole.extend(decided[slot] for slot in sorted(decided))
    return whole


def _decided(draft: Draft, site: Site, policy: Policy, refused: Refusals) -> tuple[Plan | None, Choice]:
    reasons = refused.get(site.node.label)
    if reasons is None:
        return _settled(draft, site, policy)
    return None, refusal(draft, site, policy, reasons)


def _settled(draft: Draft, site: Site, policy: Policy) -> tuple[Plan | None, Choice]:
    """Choose a form for a site and commit it; what it leaves elsewhere is a site again, which nobody asked for by name.

    That ends: an activation only ever moves past a MaxPool, and no form takes one back.
    """
    plan, choice = choose(draft, site, policy)
    if plan is None:
        return None, choice
    commit(draft, plan.edit)
    forms: list[str] = []
    for left in plan.left:
        inner, made = _settled(draft, left_site(draft, left.y, left.slope), replace(policy, asked=None))
        forms.append(made.form or "it is")
        plan = plan if inner is None else plan.followed(inner)
    if plan.left:
        reason = f"its activation is then written as {' and '.join(dict.fromkeys(forms))}"
        exactness = "equal bits" if plan.equal_bits else "rounding"
        choice = replace(choice, reason="; ".join(filter(None, (choice.reason, reason))), exactness=exactness)
    return plan, choice


@dataclass(frozen=True)
class _Found:
    """What stands in one body: the sites, and the Relu layers that are no part of one."""

    draft: Draft
    sites: Sequence[Site]
    relus: Sequence[Node]

    def names(self) -> Iterator[str]:
        for site in self.sites:
            yield from named(site)
        for node in self.relus:
            yield from names_of(node)


def _found(draft: Draft, also: Sequence[str], *, folds: bool) -> _Found:
    sites = find_sites(draft, also)
    return _Found(draft, sites, relu_layers(draft, sites) if folds else ())


def relu_layers(draft: Draft, sites: Sequence[Site]) -> list[Node]:
    """The Relu nodes that are no part of a site."""
    taken = {node for site in sites for node in site.region}
    return [node for node in draft.index.nodes() if node.op == "Relu" and node not in taken]


def relus_meant(draft: Draft, scope: Scope) -> Iterator[tuple[Draft, Node]]:
    """The Relu nodes of a scope that are no part of a site, with the body that each stands in."""
    found = [_found(body, scope.also, folds=True) for body in draft.scopes()]
    meant = scope.among([name for body in found for name in body.names()])
    return ((body.draft, node) for body in found for node in body.relus if meant(names_of(node)))


@dataclass(frozen=True)
class Inspected:
    """What could be done at a site.

    Attributes:
        draft: The scope that it stands in.
        choice: What is told of it.
        plans: The forms that apply, planned and not committed.
    """

    draft: Draft
    choice: Choice
    plans: Sequence[Plan]


def inspect_sites(draft: Draft, scope: Scope, policy: Policy | None = None) -> list[Inspected]:
    """What could be done at each site: every form planned, none committed.

    Args:
        draft: The working copy.
        scope: Which sites.
        policy: The forms to plan, and what is allowed of them; every form, and everything, by default.
    """
    policy = policy or nothing_asked()
    found = [_found(body, scope.also, folds=True) for body in draft.scopes()]
    meant = scope.among([name for body in found for name in body.names()])
    inspected: list[Inspected] = []
    for body in found:
        inspected.extend(_inspected(body.draft, site, policy) for site in body.sites if meant(list(named(site))))
        for node in body.relus:
            plan = foldable(body.draft, node, policy) if meant(names_of(node)) else None
            if plan is not None:
                choice = replace(folded(plan), form=None, exactness=None)
                inspected.append(_placed(body.draft, choice, plan.activation, [plan]))
    return inspected


def _inspected(draft: Draft, site: Site, policy: Policy) -> Inspected:
    refusals: dict[str, Reason] = {}
    plans = [plan for form in policy.forms if (plan := attempt(form, draft, site, policy, refusals)) is not None]
    if len(site.region) == 1 and (plan := foldable(draft, site.node, policy)) is not None:
        plans.append(plan)
    choice = Choice(
        node=site.node.label,
        form=None,
        refused=False,
        reason=None,
        refusals=refusals,
        spelling=site.spelling,
        slope=SlopeSummary.of(site.slope),
        possible=tuple(plan.form for plan in plans),
        notes=(*odd_slope(draft, site), *repeated_slope(site), *_denormals(draft, plans)),
    )
    if policy.taker is not None:
        unfit = misfit(draft, site, policy)
        fits, taker = unfit is None, policy.taker
        told = f"fits {taker} as it is" if unfit is None else f"does not fit {taker} as it is: {unfit.text}"
        choice = replace(choice, fits=fits, reason=told)
    return _placed(draft, choice, (site.x, site.y), plans)


def _placed(draft: Draft, choice: Choice, activation: tuple[str, str], plans: Sequence[Plan]) -> Inspected:
    x, y = activation
    return Inspected(draft, replace(choice, producer=maker_of(draft, x), consumers=readers_of(draft, y)), plans)


def _denormals(draft: Draft, plans: Sequence[Plan]) -> Iterator[str]:
    for plan in plans:
        if count := denormals_made(draft, plan.edit.constants.values()):
            yield f"'{plan.node.label}': {plan.form} would write {count:,} denormal values that are not there now"
