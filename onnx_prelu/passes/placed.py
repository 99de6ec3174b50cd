"""What stands at a site, or would stand there: one view of both, over which a target's rules are written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx

from ..graph.constants import NUMBER_TYPES
from ..graph.draft import Draft
from ..graph.index import Node
from ..graph.weights import Weight
from .plan import Plan
from .sites import Site


@dataclass(frozen=True)
class Placed:
    """The nodes that stand at a site, or would stand there after a plan.

    Attributes:
        draft: The model around them.
        label: The site's name.
        x: The tensor that the activation reads (read, by its name before the plan).
        shape: The shape of x there, as far as it is known.
        nodes: The nodes; with a wide form, the layers around the activation too.
        instead: The nodes of the draft in whose place they stand.
        new: Constants that a plan would make, by name.
    """

    draft: Draft
    label: str
    x: str
    shape: tuple[int | str | None, ...] | None
    nodes: tuple[onnx.NodeProto, ...]
    instead: frozenset[Node]
    new: Mapping[str, Weight] = field(default_factory=dict)

    @classmethod
    def now(cls, draft: Draft, site: Site) -> Placed:
        """A site as it stands."""
        nodes = tuple(node.proto for node in site.region)
        return cls(draft, site.node.label, site.x, draft.shape(site.x), nodes, frozenset(site.region))

    @classmethod
    def after(cls, draft: Draft, plan: Plan) -> Placed:
        """A site as a plan would leave it."""
        nodes = tuple(proto for protos in plan.edit.nodes.values() for proto in protos)
        new = {name: constant.weight for name, constant in plan.edit.constants.items()}
        x = plan.activation[0]
        return cls(draft, plan.node.label, x, _widened(draft, plan, x), nodes, frozenset(plan.edit.nodes), new)

    @property
    def rank(self) -> int | None:
        """The rank of x, or None."""
        return None if self.shape is None else len(self.shape)

    @property
    def dtype(self) -> np.dtype[np.generic] | None:
        """The type of x; None where it is unknown, or not one that rewrites work in."""
        return NUMBER_TYPES.get(self.draft.dtype(self.x))

    def uses(self, op: str) -> bool:
        """True if a node is of this op."""
        return any(op_of(node) == op for node in self.nodes)

    def constant(self, name: str) -> Weight | None:
        """The constant of this name, made by the plan or there already; None where the tensor is computed."""
        return self.new.get(name) or self.draft.constants.get(name)

    def shape_of(self, name: str) -> tuple[int | str | None, ...] | None:
        """The shape of an operand, a constant's or a tensor's."""
        weight = self.constant(name)
        return weight.shape if weight is not None else self.draft.shape(name)

    def computed(self, node: onnx.NodeProto) -> Iterator[str]:
        """The inputs of a node that are no constants."""
        return (name for name in node.input if name and self.constant(name) is None)


def _widened(draft: Draft, plan: Plan, tensor: str) -> tuple[int | str | None, ...] | None:
    """The shape of a tensor after a plan, which may put lanes in the place of its units."""
    shape = draft.shape(tensor)
    for widened in plan.edit.widened:
        if widened.old == tensor and shape is not None:
            return widened.shape(shape)
    return shape


def op_of(node: onnx.NodeProto) -> str:
    """The op type, with its domain in front unless it is the standard one."""
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
