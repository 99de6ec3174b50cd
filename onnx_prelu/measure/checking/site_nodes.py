"""Where the nodes of rewritten sites ran, as far as the runtime tells."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..providers.placement import Placed


@dataclass(frozen=True)
class PutIn:
    """What a rewrite put in at a site.

    Attributes:
        site: The site's name.
        nodes: The names of the nodes, in the rewritten model; "" for one without a name.
    """

    site: str
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class SiteNodes:
    """Where the nodes that a rewrite put in at a site ran.

    Attributes:
        node: The site's name.
        nodes: How many there are.
        ran_on: How many of them each of ONNX Runtime's providers took.
        untold: The rest: folded or fused before nodes were handed out, inside of a function, or without a name of
            their own.
    """

    node: str
    nodes: int
    ran_on: dict[str, int]
    untold: int


def site_nodes(put_in: Iterable[PutIn], placed: Sequence[Placed] | None) -> tuple[SiteNodes, ...]:
    """For each site, who took its nodes; nothing where the runtime cannot tell.

    >>> site_nodes([PutIn("act", ("relu", "add"))], [Placed("relu", "Relu", "CPUExecutionProvider")])
    (SiteNodes(node='act', nodes=2, ran_on={'CPUExecutionProvider': 1}, untold=1),)
    """
    if placed is None:
        return ()
    takers: dict[str, set[str]] = defaultdict(set)
    for node in placed:
        takers[node.node].add(node.provider)
    return tuple(_one(each, takers) for each in put_in)


def _one(site: PutIn, takers: dict[str, set[str]]) -> SiteNodes:
    """Two nodes of one name, in different bodies, tell something only where one provider took both."""
    told = [takers.get(name, set()) if name else set() for name in site.nodes]
    ran_on = Counter(provider for found in told if len(found) == 1 for provider in found)
    return SiteNodes(site.site, len(site.nodes), dict(ran_on), len(site.nodes) - ran_on.total())
