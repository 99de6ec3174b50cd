"""The engine: every site once, planned against the draft as it is then, and committed.

Each commit removes one site for good (see the policies in choose.py), so this is a fixpoint in one round; folds come
after the spelled sites, from the first layer to the last.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ..errors import BadUsage, Reason, Refused
from ..graph.draft import Draft
from ..graph.edit import commit
from ..graph.index import Node
from .catalogue import FORM_NAMES
from .choose import Choice, Policy, SlopeSummary, attempt, choose
from .fold import plan_fold
from .plan import Plan
from .sites import Site, Slope, find_sites, named


@dataclass(frozen=True)
class Scope:
    """Which sites the user means: exact names first, then globs.

    Attributes:
        only: Patterns of which a site has to match one; empty for all sites.
        skip: Patterns that exclude a site.
    """

    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()

    def among(self, names: Sequence[str]) -> Callable[[Sequence[str]], bool]:
        """A predicate that tells of a site, by its names, whether it is meant.

        Args:
            names: All names that sites have.

        Raises:
            BadUsage: A pattern matches none of them.
        """
        known = frozenset(names)
        for option, patterns in (("--only", self.only), ("--skip", self.skip)):
            for pattern in patterns:
                if not _matches((pattern,), names, known):
                    sites = ", ".join(dict.fromkeys(names)) or "none"
                    raise BadUsage(f"{option} {pattern} matches no site", todo=f"the sites are: {sites}"[:300])
        only, skip = self.only or ("*",), self.skip
        return lambda site: _matches(only, site, known) and not _matches(skip, site, known)


def _matches(patterns: Sequence[str], names: Sequence[str], known: frozenset[str]) -> bool:
    """A pattern that is a name itself means that name alone; otherwise it is a glob."""
    return any(
        pattern in names if pattern in known else any(fnmatch.fnmatchcase(name, pattern) for name in names)
        for pattern in patterns
    )


def rewrite_sites(draft: Draft, policy: Policy, scope: Scope) -> list[tuple[Plan | None, Choice]]:
    """Rewrite a draft by a policy, and tell what was decided at each site.

    Raises:
        BadInput: A slope is NaN, infinite or does not broadcast.
        BadUsage: A pattern of the scope matches nothing.
    """
    sites = find_sites(draft)
    relus = relu_layers(draft, sites) if policy.folds else []
    meant = scope.among([name for site in sites for name in named(site)] + [node.label for node in relus])
    decided: list[tuple[Plan | None, Choice]] = []
    for site in sites:
        if meant(list(named(site))):
            plan, choice = choose(draft, site, policy)
            if plan is not None:
                commit(draft, plan.edit)
            decided.append((plan, choice))
    for node in relus:
        if meant([node.label]):
            decided.extend(_fold(draft, node))
    return decided


def relu_layers(draft: Draft, sites: Sequence[Site]) -> list[Node]:
    """The Relu nodes that are no part of a site."""
    taken = {node for site in sites for node in site.region}
    return [node for node in draft.index.nodes() if node.op == "Relu" and node not in taken]


def _fold(draft: Draft, node: Node) -> Iterator[tuple[Plan | None, Choice]]:
    """Fold one Relu layer where it has pairs. A layer that has none is no site: there is nothing to tell of it."""
    try:
        plan = plan_fold(draft, node)
    except Refused:
        return
    commit(draft, plan.edit)
    yield plan, _folded(plan)


def _folded(plan: Plan) -> Choice:
    assert plan.lanes is not None
    summary = SlopeSummary.of(Slope(plan.lanes.slope))
    return Choice(plan.node.label, "fold", False, plan.note, {}, "Relu(x)", summary, "rounding", ("fold",))


def inspect_sites(draft: Draft, scope: Scope) -> list[Choice]:
    """What could be done at each site: every form planned, none committed."""
    sites = find_sites(draft)
    relus = relu_layers(draft, sites)
    meant = scope.among([name for site in sites for name in named(site)] + [node.label for node in relus])
    choices = [_inspected(draft, site) for site in sites if meant(list(named(site)))]
    for node in relus:
        if meant([node.label]):
            choices.extend(_foldable(draft, node))
    return choices


def _inspected(draft: Draft, site: Site) -> Choice:
    refusals: dict[str, Reason] = {}
    possible = tuple(form for form in FORM_NAMES if attempt(form, draft, site, "consumer", refusals) is not None)
    summary = SlopeSummary.of(site.slope)
    return Choice(site.node.label, None, False, None, refusals, site.spelling, summary, None, possible)


def _foldable(draft: Draft, node: Node) -> Iterator[Choice]:
    try:
        plan = plan_fold(draft, node)
    except Refused:
        return
    choice = _folded(plan)
    yield Choice(choice.node, None, False, choice.reason, {}, choice.spelling, choice.slope, None, ("fold",))
