"""A part of a model as a small model of its own, or the whole of it with more to see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import onnx

from .index import bodies, captured
from .model import Model
from .types import TensorType
from .walk import Body


class Source:
    """A model from which parts are cut out; looks up makers and initializers once.

    Args:
        model: The model.
        bodies: The body in which the parts stand, after those around it.

    Attributes:
        makers: The node that makes a tensor, by the tensor's name.
    """

    def __init__(self, model: Model, bodies: Sequence[Body]) -> None:
        self.model = model
        graphs = [body for body in bodies if isinstance(body, onnx.GraphProto)]
        self._initializers = {tensor.name: tensor for graph in graphs for tensor in graph.initializer}
        self.makers = {name: node for body in bodies for node in body.node for name in node.output if name}
        functions = [body for body in bodies if isinstance(body, onnx.FunctionProto)]
        self._imports = functions[0].opset_import if functions else model.proto.opset_import

    def part(
        self,
        nodes: Iterable[onnx.NodeProto],
        inputs: Mapping[str, TensorType],
        outputs: Sequence[str],
        constants: Iterable[onnx.TensorProto] = (),
    ) -> Model:
        """The small model of some nodes, with the constants that they read, computed ones included.

        Args:
            nodes: The nodes, in order. They need not stand in the model themselves.
            inputs: Its inputs and their types.
            outputs: Its outputs; their types are left to inference.
            constants: Further initializers that the nodes read.
        """
        nodes = list(nodes)
        own = {tensor.name: tensor for tensor in constants}
        known = {*inputs, *own, *(name for node in nodes for name in node.output)}
        computed: list[onnx.NodeProto] = []
        wanted = [name for node in nodes for name in reads(node)]
        while wanted:
            name = wanted.pop()
            if not name or name in known:
                continue
            known.add(name)
            if name in self._initializers:
                own[name] = self._initializers[name]
            elif name in self.makers:
                computed.append(self.makers[name])
                wanted.extend(reads(self.makers[name]))
        proto = onnx.ModelProto()
        original = self.model.proto
        proto.ir_version = original.ir_version
        proto.opset_import.extend(self._imports)
        proto.functions.extend(original.functions)
        proto.graph.name = "part"
        proto.graph.node.extend([*computed[::-1], *nodes])
        proto.graph.initializer.extend(own.values())
        proto.graph.input.extend(_value(name, type_) for name, type_ in inputs.items())
        if proto.ir_version < 4:
            proto.graph.input.extend(
                onnx.helper.make_tensor_value_info(t.name, t.data_type, list(t.dims)) for t in own.values()
            )
        dtype = next(iter(inputs.values())).dtype
        proto.graph.output.extend(_value(name, TensorType(dtype, None)) for name in outputs)
        return replace(self.model, proto=proto, raw=None, path=None, fresh=frozenset())


def exposing(model: Model, names: Iterable[str]) -> Model:
    """The model with further tensors as outputs, of types that the runtime finds out; inputs stay inputs."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    present = {value.name for value in (*proto.graph.input, *proto.graph.output)}
    for name in dict.fromkeys(names):
        if name not in present:
            proto.graph.output.add(name=name)
    return replace(model, proto=proto, raw=None)


def reads(node: onnx.NodeProto) -> list[str]:
    """The tensors that a node reads, by its bodies too."""
    return [*node.input, *(name for body in bodies(node) for name in captured(body))]


def _value(name: str, type_: TensorType) -> onnx.ValueInfoProto:
    return onnx.helper.make_tensor_value_info(name, type_.dtype, type_.shape)
