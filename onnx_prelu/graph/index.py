"""Maker and readers of every tensor of one body: a graph, a nested graph, or a function.

The protos stay the truth; a :class:`Node` is a handle to one of them, with its inputs and outputs at hand. Bodies of
If, Loop and Scan can read tensors of the graph around them by name: the node that holds the body counts as a reader,
once for each of its bodies.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import onnx

from .walk import Body, within


@dataclass(eq=False, frozen=True, slots=True)
class Node:
    """A node of a body; two handles are the same only if they are one object.

    Attributes:
        proto: The node as it stands in the model.
        slot: Its place in the file's order; new nodes take the place of what they replace.
        inputs: Names of its inputs, "" for one that is left out.
        outputs: Names of its outputs.
        path: Where its body stands, ``"if0/then_branch/"``; empty for the model's own graph.
        op: The op type, with its domain in front unless it is the standard one. In a function, an attribute can be a
            parameter: such a node is another op at every call, and is called ``LeakyRelu<alpha>``, which no rule knows.
    """

    proto: onnx.NodeProto
    slot: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    path: str
    op: str

    @classmethod
    def of(cls, proto: onnx.NodeProto, slot: int, path: str = "") -> Node:
        """A handle for a proto."""
        op = proto.op_type if proto.domain in ("", "ai.onnx") else f"{proto.domain}.{proto.op_type}"
        parameters = [attribute.name for attribute in proto.attribute if attribute.ref_attr_name]
        if parameters:
            op += f"<{', '.join(parameters)}>"
        return cls(proto, slot, tuple(proto.input), tuple(proto.output), path, op)

    @property
    def name(self) -> str:
        """Its name, or the name of its first output where it has none."""
        return self.proto.name or next((name for name in self.outputs if name), self.op)

    @property
    def label(self) -> str:
        """What people call this node: its name, after the path of its body."""
        return f"{self.path}{self.name}"


class Use(NamedTuple):
    """One reading of a tensor: which node, and as which input (None: captured by a body of it, and by which)."""

    node: Node
    position: int | None
    body: int = 0


class Index:
    """Who makes and who reads each tensor of one body. Kept up to date by adding and removing nodes.

    Attributes:
        maker: The node that makes a tensor; inputs and initializers have none.
        readers: All uses of a tensor by nodes: a dict for its keys, of which one more or less takes no time.
        inputs: The body's inputs.
        outputs: The body's outputs.
        initializers: Its initializers by name; a function has none.
        captured: Tensors of the bodies around it that it reads.
        slots: The nodes in order: each slot of the file holds one node, or what replaced it.
        pinned: Tensors that something outside the graph reads by name, such as the training information.
        names: Every name of a node or tensor in the body, those inside it and those around it: what a new name must
            not be.

    Args:
        body: The body.
        path: Its nodes' path.
        names: The names of the body around it, which it shares; None for a body that stands in no other.
        pinned: Tensors that something outside of the graph reads by name.
    """

    def __init__(self, body: Body, path: str = "", names: set[str] | None = None, pinned: Iterable[str] = ()) -> None:
        self.maker: dict[str, Node] = {}
        self.readers: dict[str, dict[Use, None]] = defaultdict(dict)
        self.inputs, self.outputs = set(_called(body.input)), set(_called(body.output))
        self.initializers = {tensor.name: tensor for tensor in _initializers(body)}
        self.captured = captured(body)
        self.slots: list[list[Node]] = [[] for _ in body.node]
        self.pinned = frozenset(pinned)
        self.names = {*_names(body), *self.pinned} if names is None else names
        for slot, proto in enumerate(body.node):
            self.add(Node.of(proto, slot, path))

    def add(self, node: Node, position: int | None = None) -> None:
        """Take a node in, at a position of its slot; at the end of it by default."""
        slot = self.slots[node.slot]
        slot.insert(len(slot) if position is None else position, node)
        for name in node.outputs:
            if name:
                self.maker[name] = node
        for use, name in _uses(node):
            self.readers[name][use] = None

    def remove(self, node: Node) -> int:
        """Take a node out, and tell where in its slot it stood. Its outputs have no maker until another makes them."""
        position = self.slots[node.slot].index(node)
        del self.slots[node.slot][position]
        for name in node.outputs:
            if self.maker.get(name) is node:
                del self.maker[name]
        for use, name in _uses(node):
            self.readers[name].pop(use, None)  # a body may have released it
        return position

    def release(self, holder: Node, body: int, tensor: str) -> None:
        """A body of a node, by its number, does not read a tensor any more."""
        del self.readers[tensor][Use(holder, None, body)]

    def nodes(self) -> Iterator[Node]:
        """All nodes in order."""
        for slot in self.slots:
            yield from slot

    def uses(self, tensor: str) -> Collection[Use]:
        """All uses of a tensor by nodes, each once."""
        return self.readers.get(tensor, {}).keys()

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
    for _, graph in named_bodies(proto):
        yield graph


def named_bodies(proto: onnx.NodeProto) -> Iterator[tuple[str, onnx.GraphProto]]:
    """The graphs among a node's attributes, each with what to call it: ``"then_branch"``."""
    for attribute in proto.attribute:
        if attribute.HasField("g"):
            yield attribute.name, attribute.g
        for number, graph in enumerate(attribute.graphs):
            yield f"{attribute.name}/{number}", graph


def _uses(node: Node) -> Iterator[tuple[Use, str]]:
    for position, name in enumerate(node.inputs):
        if name:
            yield Use(node, position), name
    if node.proto.attribute:
        for number, body in enumerate(bodies(node.proto)):
            for name in captured(body):
                yield Use(node, None, number), name


def captured(body: Body) -> set[str]:
    """Names that a body reads and does not make: tensors of a graph around it."""
    own = {*_called(body.input), *(tensor.name for tensor in _initializers(body))}
    if isinstance(body, onnx.GraphProto):
        own |= {sparse.values.name for sparse in body.sparse_initializer}
    read: set[str] = set()
    for proto in body.node:
        read.update(name for name in proto.input if name and name not in own)
        for inner in bodies(proto):
            read.update(captured(inner) - own)
        own.update(proto.output)
    read.update(name for name in _called(body.output) if name not in own)
    return read


def _called(values: Iterable[onnx.ValueInfoProto | str]) -> Iterator[str]:
    """The names of inputs or outputs, which in a function are nothing else."""
    for value in values:
        yield value if isinstance(value, str) else value.name


def _initializers(body: Body) -> Iterable[onnx.TensorProto]:
    return body.initializer if isinstance(body, onnx.GraphProto) else ()


def _names(body: Body) -> Iterator[str]:
    for part in within(body):
        yield from _called((*part.input, *part.output, *part.value_info))
        if isinstance(part, onnx.GraphProto):
            yield from (tensor.name for tensor in part.initializer)
            for sparse in part.sparse_initializer:
                yield from (sparse.values.name, sparse.indices.name)
        for proto in part.node:
            yield proto.name
            yield from proto.output
