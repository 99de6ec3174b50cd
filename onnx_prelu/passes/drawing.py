"""A rewritten site as two small drawings: its nodes before and after, with the layers and neighbours around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import onnx

from ..graph.draft import Draft
from ..graph.extract import reads
from ..graph.index import Node
from .choice import Choice
from .plan import Plan

_READERS = 4
"""So many readers of a tensor are drawn; the others are counted."""


@dataclass(frozen=True)
class Drawn:
    """A node of a drawing, or an end of its graph.

    Attributes:
        node: Its name.
        op: Its op; ``"input"`` or ``"output"`` for an end of the graph, ``"more"`` for readers that are counted only.
        inputs: The tensors that it reads, without constants.
        outputs: The tensors that it makes.
        constants: The shapes of the constants that it reads.
        role: ``"site"`` for the activation, ``"layer"`` for a layer that changes with it, ``"around"`` for what stays.
    """

    node: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: tuple[tuple[int, ...], ...] = ()
    role: Literal["site", "layer", "around"] = "around"


@dataclass(frozen=True)
class Drawing:
    """What stood at a site, and what stands there now, each in the file's order."""

    before: tuple[Drawn, ...]
    after: tuple[Drawn, ...]


def with_drawings(draft: Draft, decided: Sequence[tuple[Plan | None, Choice]]) -> tuple[Choice, ...]:
    """The choices, each with its drawing where its plan was committed in this draft, or in a body inside it."""
    drawings = {
        id(plan): drawing
        for scope in draft.scopes()
        for plan, drawing in _drawn(scope, [plan for plan, _ in decided if plan and plan.node in scope.replaced])
    }
    return tuple(replace(choice, drawing=drawings.get(id(plan))) for plan, choice in decided)


def _drawn(draft: Draft, plans: Sequence[Plan]) -> Iterator[tuple[Plan, Drawing]]:
    if not plans:
        return
    slots = {id(plan): sorted({node.slot for node in plan.before}) for plan in plans}
    proto = draft.place.body.node
    original = {slot: Node.of(proto[slot], slot, draft.place.path) for each in slots.values() for slot in each}
    before, after = _as_read(draft, list(original.values())), _as_it_is(draft)
    for plan in plans:
        region = {node.slot for node in plan.region}
        old = [original[slot] for slot in slots[id(plan)]]
        new = [node for slot in slots[id(plan)] for node in draft.index.slots[slot]]
        layers = {(node.slot, node.op) for node in old if node.slot not in region}
        yield plan, Drawing(before.drawn(old, layers), after.drawn(new, layers))


@dataclass(frozen=True)
class _Side:
    """A body before or after: who makes and who reads its tensors."""

    draft: Draft
    makers: Mapping[str, Node]
    readers: Callable[[str], Sequence[Node]]

    def drawn(self, nodes: Sequence[Node], layers: set[tuple[int, str]]) -> tuple[Drawn, ...]:
        """These nodes, then what makes what they read and what reads what they make, each once."""
        nodes = [node for node in nodes if node.op != "Constant"]
        own = [self._one(node, "layer" if (node.slot, node.op) in layers else "site") for node in nodes]
        made = dict.fromkeys(name for each in own for name in each.outputs)
        read = dict.fromkeys(name for each in own for name in each.inputs if name not in made)
        slots = {node.slot for node in nodes}
        around = [self._maker(name) for name in read]
        around += [reader for name in made for reader in self._readers(name, slots)]
        return (*own, *dict.fromkeys(around))

    def _maker(self, tensor: str) -> Drawn:
        maker = self.makers.get(tensor)
        return Drawn(tensor, "input", (), (tensor,)) if maker is None else self._one(maker, "around")

    def _readers(self, tensor: str, inside: set[int]) -> Iterator[Drawn]:
        readers = [node for node in self.readers(tensor) if node.slot not in inside]
        yield from (self._one(node, "around") for node in readers[:_READERS])
        if len(readers) > _READERS:
            yield Drawn(f"{len(readers) - _READERS:,} more readers", "more", (tensor,), ())
        if tensor in self.draft.index.outputs:
            yield Drawn(tensor, "output", (tensor,), ())

    def _one(self, node: Node, role: Literal["site", "layer", "around"]) -> Drawn:
        read = {name: self._dims(name) for name in reads(node.proto) if name}
        constants = tuple(dims for dims in read.values() if dims is not None)
        inputs = tuple(name for name, dims in read.items() if dims is None)
        return Drawn(node.label, node.op, inputs, tuple(filter(None, node.outputs)), constants, role)

    def _dims(self, tensor: str) -> tuple[int, ...] | None:
        """The shape of a constant; None for what is none."""
        scope: Draft | None = self.draft
        while scope is not None:
            if tensor in scope.new:
                return scope.new[tensor].weight.shape
            if tensor in scope.index.initializers:
                return tuple(scope.index.initializers[tensor].dims)
            scope = scope.place.outer
        maker = self.makers.get(tensor)
        return _value_dims(maker.proto) if maker is not None and maker.op == "Constant" else None


def _as_it_is(draft: Draft) -> _Side:
    index = draft.index
    return _Side(draft, index.maker, lambda tensor: list(dict.fromkeys(use.node for use in index.uses(tensor))))


def _as_read(draft: Draft, nodes: Sequence[Node]) -> _Side:
    """The body as it was read, for what stands around these nodes: looked up in one pass over it."""
    read = {name for node in nodes for name in reads(node.proto)}
    made = {name for node in nodes for name in node.outputs}
    makers: dict[str, Node] = {}
    readers: dict[str, list[Node]] = {}
    for slot, proto in enumerate(draft.place.body.node):
        inputs = reads(proto)
        if not (read.isdisjoint(proto.output) and made.isdisjoint(inputs)):
            node = Node.of(proto, slot, draft.place.path)
            makers |= dict.fromkeys(node.outputs, node)
            for name in dict.fromkeys(inputs):
                readers.setdefault(name, []).append(node)
    return _Side(draft, makers, lambda tensor: readers.get(tensor, []))


def _value_dims(constant: onnx.NodeProto) -> tuple[int, ...]:
    """The shape of what a Constant node holds; of lists their length, of single values none."""
    for attribute in constant.attribute:
        if attribute.type == onnx.AttributeProto.TENSOR:
            return tuple(attribute.t.dims)
        if attribute.type in (onnx.AttributeProto.FLOATS, onnx.AttributeProto.INTS):
            return (len(attribute.floats) + len(attribute.ints),)
    return ()
