"""What there is to tell of a target besides the sites: the rest of the model, and how many sites fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..graph.draft import Draft
from .choice import Choice
from .sites import find_sites
from .targets import Target


def outside(draft: Draft, target: Target) -> list[str]:
    """What a target is not known to take of the model outside its sites, as sentences; the model is left as it is."""
    unknown = target.unknown(_ops(draft))
    return [f"{target.name} is not known to take: {', '.join(unknown)} (outside the sites)"] if unknown else []


def _ops(draft: Draft) -> Iterator[str]:
    """The ops outside sites, in bodies and functions too; of what computes constants, none."""
    for scope in draft.scopes():
        inside = {node for site in find_sites(scope) for node in site.region}
        for node in scope.index.nodes():
            if node not in inside and any(scope.constants.get(name) is None for name in node.outputs if name):
                yield node.op


def counted(choices: Sequence[Choice], target: Target) -> list[str]:
    """How many sites fit a target as they are, and how many can be made to."""
    sites = [choice for choice in choices if choice.fits is not None]
    if not sites:
        return []
    fit = sum(bool(choice.fits) for choice in sites)
    can = sum(not choice.fits and bool(choice.possible) for choice in sites)
    line = f"{target.name}: {fit} of {len(sites)} sites fit as they are"
    if can:
        line += f", {can} more can be made to"
    if fit + can < len(sites):
        line += f", {len(sites) - fit - can} cannot"
    return [line]
