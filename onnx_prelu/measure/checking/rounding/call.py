"""A node at work, as a rule sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from onnx import NodeProto
from onnx.helper import get_attribute_value

from .bounded import Array, Bounded

Rule: TypeAlias = "Callable[[Call], Bounded | list[Bounded]]"


class Uncovered(Exception):
    """There is no bound for what a node does.

    Attributes:
        what: The op, or what of it.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


@dataclass(frozen=True)
class Call:
    """A node at work.

    Attributes:
        node: The node.
        inputs: What it reads; None where an input is left out.
        reference: Runs the node on plain arrays, by onnx's reference evaluator.
        opset: The version of its op set.
    """

    node: NodeProto
    inputs: Sequence[Bounded | None]
    reference: Callable[[Sequence[Array | None]], list[Array]]
    opset: int

    @property
    def attributes(self) -> dict[str, Any]:
        """The node's attributes by name."""
        return {attribute.name: get_attribute_value(attribute) for attribute in self.node.attribute}

    def __getitem__(self, at: int) -> Bounded:
        given = self.get(at)
        if given is None:
            raise Uncovered(f"{self.node.op_type} without input {at}")
        return given

    def get(self, at: int) -> Bounded | None:
        """An input that may be left out."""
        return self.inputs[at] if at < len(self.inputs) else None

    def numbers(self, at: int, attribute: str, default: Any = None) -> Any:
        """What newer opsets read from an input and older ones from an attribute, as a list."""
        given = self.get(at)
        return self.attributes.get(attribute, default) if given is None else given.value.tolist()


def along(channels: Bounded, x: Bounded) -> Bounded:
    """One value a channel, in a shape that broadcasts to x (N, C, …)."""
    shape = (1, -1, *(1 for _ in x.value.shape[2:]))
    return replace(channels, value=channels.value.reshape(shape), error=channels.error.reshape(shape))
