"""Everything inside a model, wherever it stands: nested bodies, functions and training graphs included."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

Body = onnx.GraphProto | onnx.FunctionProto


def roots(proto: onnx.ModelProto) -> Iterator[Body]:
    """The bodies that stand in no other: the graph, the functions, the graphs of the training information."""
    yield proto.graph
    yield from proto.functions
    for training in proto.training_info:
        yield training.initialization
        yield training.algorithm


def within(body: Body) -> Iterator[Body]:
    """A body, and every graph that stands in an attribute inside it, outer before inner."""
    yield body
    for attribute in attributes(body):
        if attribute.HasField("g"):
            yield from within(attribute.g)
        for graph in attribute.graphs:
            yield from within(graph)


def attributes(body: Body) -> Iterator[onnx.AttributeProto]:
    """The attributes of a body's own nodes, then a function's default values."""
    for node in body.node:
        yield from node.attribute
    if isinstance(body, onnx.FunctionProto):
        yield from body.attribute_proto


def initializers(proto: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every dense initializer of a model, nested graphs included."""
    for root in roots(proto):
        for body in within(root):
            if isinstance(body, onnx.GraphProto):
                yield from body.initializer


def uses(proto: onnx.ModelProto, op: str) -> bool:
    """True if a node of this op of the standard domain stands anywhere in a model."""
    return any(
        node.op_type == op and node.domain in ("", "ai.onnx")
        for root in roots(proto)
        for body in within(root)
        for node in body.node
    )


def tensors(proto: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every TensorProto of a model, always in the same order.

    Initializers, both halves of sparse tensors, and the tensors of attributes: in the graph, in nested
    graphs, in functions and their default values, in the training information.
    """
    for root in roots(proto):
        for body in within(root):
            yield from _own(body)


def _own(body: Body) -> Iterator[onnx.TensorProto]:
    if isinstance(body, onnx.GraphProto):
        yield from body.initializer
        for sparse in body.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    for attribute in attributes(body):
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        if attribute.HasField("sparse_tensor"):
            yield from (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)
        for sparse in attribute.sparse_tensors:
            yield from (sparse.values, sparse.indices)


def endless(proto: onnx.ModelProto) -> list[onnx.FunctionProto]:
    """The functions that call themselves, or one that does: ONNX forbids it, and a runtime would never return."""
    functions = {(each.domain, each.name, each.overload): each for each in proto.functions}
    calls = {
        key: {(node.domain, node.op_type, node.overload) for body in within(each) for node in body.node}
        for key, each in functions.items()
    }
    while ending := [key for key, called in calls.items() if called.isdisjoint(calls)]:
        for key in ending:
            del calls[key]
    return [functions[key] for key in calls]
