"""Multiply-accumulates of the layers that have a weight matrix or kernel."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping

from onnx import ModelProto, NodeProto

from ...graph.index import bodies
from ...graph.types import TensorType
from ...graph.walk import Body, within

Shape = tuple[int, ...]


def macs(proto: ModelProto, types: Mapping[str, TensorType]) -> int | None:
    """Sum up the multiply-accumulates of Gemm, MatMul, Conv and ConvTranspose in the top-level graph.

    Args:
        proto: The model.
        types: Types of its tensors.

    Returns:
        The number, or None where a shape is unknown, or where a nested graph or a function that is called
        holds such a layer: how often that runs is not known here.
    """
    hiding = _functions_with_layers(proto)
    for node in proto.graph.node:
        if (node.domain, node.op_type) in hiding or any(_has_layer(body, hiding) for body in bodies(node)):
            return None
    return layer_macs(proto.graph.node, types)


def layer_macs(nodes: Iterable[NodeProto], types: Mapping[str, TensorType]) -> int | None:
    """The multiply-accumulates of the layers among some nodes; None where a shape is unknown.

    Args:
        nodes: The nodes; what stands in their bodies does not count.
        types: Types of the tensors that they read and make.
    """
    total = 0
    for node in nodes:
        if _is_layer(node):
            shapes = [_fixed(types.get(name)) for name in (node.input[0], node.input[1], node.output[0])]
            known = [shape for shape in shapes if shape is not None]
            if len(known) < len(shapes):
                return None
            total += _LAYERS[node.op_type](node, *known)
    return total


def _gemm(node: NodeProto, a: Shape, _: Shape, y: Shape) -> int:
    transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    return math.prod(y) * a[0 if transposed else 1]


def _matmul(_: NodeProto, a: Shape, __: Shape, y: Shape) -> int:
    return math.prod(y) * a[-1]


def _conv(_: NodeProto, __: Shape, kernel: Shape, y: Shape) -> int:
    return math.prod(y) * math.prod(kernel[1:])  # kernel (Cout, Cin/groups, …): one sum for each output


def _conv_transpose(_: NodeProto, x: Shape, kernel: Shape, __: Shape) -> int:
    return math.prod(x) * math.prod(kernel[1:])  # kernel (Cin, Cout/groups, …): each input is spread over it


_LAYERS: dict[str, Callable[[NodeProto, Shape, Shape, Shape], int]] = {
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
}


def _is_layer(node: NodeProto) -> bool:
    return node.op_type in _LAYERS and node.domain in ("", "ai.onnx")


def _fixed(known: TensorType | None) -> Shape | None:
    return None if known is None else known.fixed


def _functions_with_layers(proto: ModelProto) -> set[tuple[str, str]]:
    """Domain and name of the functions that hold a layer, or call one that does."""
    found: set[tuple[str, str]] = set()
    while True:
        more = {(f.domain, f.name) for f in proto.functions if _has_layer(f, found)}
        if more <= found:
            return found
        found |= more


def _has_layer(body: Body, hiding: set[tuple[str, str]]) -> bool:
    return any(_is_layer(node) or (node.domain, node.op_type) in hiding for node in _nodes(body))


def _nodes(body: Body) -> Iterator[NodeProto]:
    for inner in within(body):
        yield from inner.node
