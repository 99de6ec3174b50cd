"""What stands before a site, and what behind it."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import Refused
from ..graph.draft import Draft
from ..graph.producer import producer


@dataclass(frozen=True)
class Neighbour:
    """A node beside a site, or an end of its graph.

    Attributes:
        node: The node's name; the tensor's where no node is there.
        op: The node's op; ``"input"``, ``"output"``, ``"constant"`` or ``"outside"`` (a tensor of the graph around a
            body) where no node is there.
    """

    node: str
    op: str


def maker_of(draft: Draft, tensor: str) -> Neighbour:
    """The linear layer that makes a tensor, the nodes that scale it passed over; else what makes it instead."""
    maker = draft.index.maker.get(tensor)
    if maker is None:
        if tensor in draft.index.inputs:
            return Neighbour(tensor, "input")
        return Neighbour(tensor, "constant" if tensor in draft.index.initializers else "outside")
    try:
        layer = producer(draft, tensor).nodes[0]
    except Refused:
        layer = maker
    return Neighbour(layer.label, layer.op)


def readers_of(draft: Draft, tensor: str) -> tuple[Neighbour, ...]:
    """The nodes that read a tensor, each once, and the graph where it is an output of it."""
    nodes = dict.fromkeys(use.node for use in draft.index.uses(tensor))
    ends = (Neighbour(tensor, "output"),) if tensor in draft.index.outputs else ()
    return (*(Neighbour(node.label, node.op) for node in nodes), *ends)
