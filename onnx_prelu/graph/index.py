"""Maker and readers of every tensor of a graph, nested bodies included.

The protos stay the truth; a :class:`Node` is a handle to one of them, with its inputs and outputs at hand. Bodies of
If, Loop and Scan can read tensors of the graph around them by name: the node that holds the body counts as a reader.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import onnx


@dataclass(eq=False, frozen=True, slots=True)
class Node:
    """A node of the graph; two handles are the same only if they are one object.

    Attributes:
        proto: The node as it stands in the model.
        slot: Its place in the file's order; new nodes take the place of what they replace.
        inputs: Names of its inputs, "" for one that is left out.
        outputs: Names of its outputs.
    """

    proto: onnx.NodeProto
    slot: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @classmethod
    def of(cls, proto: onnx.NodeProto, slot: int) -> Node:
        """A handle for a proto."""
        return cls(proto, slot, tuple(proto.input), tuple(proto.output))

    @property
    def op(self) -> str:
        """The op type, with its domain in front unless it is the standard one."""
        domain = self.proto.domain
        return self.proto.op_type if domain in ("", "ai.onnx") else f"{domain}.{self.proto.op_type}"

    @property
    def label(self) -> str:
        """What people call this node: its name, or the name of its first output where it has none."""
        return self.proto.name or next((name for name in self.outputs if name), self.op)


class Use(NamedTuple):
    """One reading of a tensor: which node, and as which input (None: captured by one of its bodies)."""

    node: Node
    position: int | None


class Index:
    """Who makes and who reads each tensor of one graph. Kept up to date by adding and removing nodes.

    Attributes:
        maker: The node that makes a tensor; inputs and initializers have none.
        readers: All uses of a tensor by nodes.
        inputs: The graph's inputs.
        outputs: The graph's outputs.
        initializers: The graph's initializers by name.
        slots: The nodes in order: each slot of the file holds one node, or what replaced it.
        pinned: Tensors that something outside the graph reads by name, such as the training information.
        names: Every name of a node or tensor in the graph and its bodies: what a new name must not be.
    """

    def __init__(self, graph: onnx.GraphProto, pinned: Iterable[str] = ()) -> None:
        self.maker: dict[str, Node] = {}
        self.readers: dict[str, list[Use]] = defaultdict(list)
        self.inputs = {value.name for value in graph.input}
        self.outputs = {value.name for value in graph.output}
        self.initializers = {tensor.name: tensor for tensor in graph.initializer}
        self.slots: list[list[Node]] = [[] for _ in graph.node]
        self.pinned = frozenset(pinned)
        self.names = {*_names(graph), *self.pinned}
        for slot, proto in enumerate(graph.node):
            self.add(Node.of(proto, slot))

    def add(self, node: Node) -> None:
        """Take a node in, at the end of its slot."""
        self.slots[node.slot].append(node)
        for name in node.outputs:
            if name:
                self.maker[name] = node
        for use, name in _uses(node):
            self.readers[name].append(use)

    def remove(self, node: Node) -> None:
        """Take a node out. Its outputs have no maker until another node makes them."""
        self.slots[node.slot].remove(node)
        for name in node.outputs:
            if self.maker.get(name) is node:
                del self.maker[name]
        for name in {name for _, name in _uses(node)}:
            self.readers[name] = [use for use in self.readers[name] if use.node is not node]

    def nodes(self) -> Iterator[Node]:
        """All nodes in order."""
        for slot in self.slots:
            yield from slot

    def uses(self, tensor: str) -> list[Use]:
        """All uses of a tensor by nodes."""
        return self.readers.get(tensor, [])

    def is_read(self, tensor: str) -> bool:
        """True if a node or the caller of the graph reads this tensor."""
        return tensor in self.outputs or tensor in self.pinned or bool(self.readers.get(tensor))


def trained(proto: onnx.ModelProto) -> set[str]:
    """Names of the main graph's tensors that the training information reads or updates."""
    names: set[str] = set()
    for training in proto.training_info:
        for body in (training.initialization, training.algorithm):
            names |= captured(body)
        for binding in (*training.initialization_binding, *training.update_binding):
            names |= {binding.key, binding.value}
    return names


def bodies(proto: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs among a node's attributes."""
    for attribute in proto.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        elif attribute.type == onnx.AttributeProto.GRAPHS:
            yield from attribute.graphs


def _uses(node: Node) -> Iterator[tuple[Use, str]]:
    for position, name in enumerate(node.inputs):
        if name:
            yield Use(node, position), name
    if node.proto.attribute:
        for body in bodies(node.proto):
            for name in captured(body):
                yield Use(node, None), name


def captured(body: onnx.GraphProto) -> set[str]:
    """Names that a body reads and does not make: tensors of a graph around it."""
    own = {value.name for value in body.input} | {tensor.name for tensor in body.initializer}
    own |= {sparse.values.name for sparse in body.sparse_initializer}
    read: set[str] = set()
    for proto in body.node:
        read.update(name for name in proto.input if name and name not in own)
        for inner in bodies(proto):
            read.update(captured(inner) - own)
        own.update(proto.output)
    read.update(value.name for value in body.output if value.name not in own)
    return read


def _names(graph: onnx.GraphProto) -> Iterator[str]:
    for value in (*graph.input, *graph.output, *graph.value_info):
        yield value.name
    for tensor in graph.initializer:
        yield tensor.name
    for sparse in graph.sparse_initializer:
        yield sparse.values.name
        yield sparse.indices.name
    for proto in graph.node:
        yield proto.name
        yield from proto.output
        for body in bodies(proto):
            yield from _names(body)
