"""What a rewrite leaves of the tensors inside: which of them compare, and which the nodes of each site made.

Where a site made units into lanes, its pre-activation has another name and other units; that some of them compare is
known from the plan's seam. Where units only got a factor, all of them do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import onnx

from ..graph.calls import Key
from ..graph.draft import Draft
from ..graph.index import Node, bodies
from ..graph.twins import Suspect, Twin
from .plan import Plan


def twins(draft: Draft, plans: Sequence[Plan]) -> Iterator[Twin]:
    """Tensors of the model's graph that compare under two names.

    Args:
        draft: The draft in which the plans were committed.
        plans: The plans.
    """
    for plan in plans:
        widened = draft.widened.get(plan.activation[0])
        if plan.node in draft.replaced and plan.seam is not None and widened is not None:
            before, after = plan.seam.from_before, plan.seam.from_after
            yield Twin(widened.old, widened.new, plan.unit_axis, before, after)
    for widened in draft.widened.values():
        if widened.factor is not None:
            yield Twin(widened.old, widened.new, widened.axis, factor=widened.factor)


def suspects(draft: Draft, plans: Sequence[Plan]) -> Iterator[Suspect]:
    """The site of each plan, by the tensors of the model's graph that its nodes made; see :func:`twins`."""
    for scope in draft.scopes():
        mine = [plan for plan in plans if plan.node in scope.replaced]
        runs = frozenset(_made(_running(draft, scope))) if mine and scope is not draft else frozenset()
        for plan in mine:
            own = frozenset(_made(plan.region)) if scope is draft else runs
            around = frozenset(_made(plan.edit.nodes)) if scope is draft else runs
            yield Suspect(plan.node.label, own, around - own)


def _made(nodes: Iterable[Node]) -> Iterator[str]:
    for node in nodes:
        yield from node.outputs


def _running(draft: Draft, scope: Draft) -> Iterator[Node]:
    """The nodes of the model's graph that run a body: the one that holds it, or those that call it."""
    while scope.place.outer is not None and scope.place.outer is not draft:
        scope = scope.place.outer
    if scope.place.holder is not None:
        yield scope.place.holder
    elif isinstance(scope.place.body, onnx.FunctionProto):
        callers = _callers(draft, scope.place.body)
        yield from (node for node in draft.index.nodes() if _calls(node.proto, callers))


def _callers(draft: Draft, function: onnx.FunctionProto) -> set[Key]:
    """A function and those that call it, or call one that does."""
    found = {(function.domain, function.name, function.overload)}
    size = 0
    while size < len(found):
        size = len(found)
        for each in draft.model.proto.functions:
            if any(_calls(node, found) for node in each.node):
                found.add((each.domain, each.name, each.overload))
    return found


def _calls(node: onnx.NodeProto, functions: set[Key]) -> bool:
    """Whether a node calls one of these functions, by itself or within a body of its own."""
    if (node.domain, node.op_type, node.overload) in functions:
        return True
    return any(_calls(inner, functions) for body in bodies(node) for inner in body.node)
