"""The types inside of model-local functions, where all calls of a function agree on what they feed it.

A function declares few types, or none. What its calls feed it tells the rest: a type, or a dimension, on which they all
agree is that of its input, and inference goes on from there.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, Sequence

from onnx import FunctionProto, GraphProto, NodeProto, TensorProto, ValueInfoProto

from .index import bodies
from .model import Model
from .types import TensorType, lean_model, settled, typed, types_in
from .walk import attributes, roots, within

_UNKNOWN = TensorType(TensorProto.UNDEFINED, None)

Key = tuple[str, str, str]
"""What a function goes by: its domain, its name, its overload."""

Fed = Sequence[TensorType]
"""The types of a function's inputs; those at the end may be missing."""


def typed_functions(model: Model) -> list[GraphProto]:
    """The bodies of a model's functions as graphs, with the types declared in them that hold in every call.

    Raises:
        BadInput: An external tensor that holds a shape cannot be read.
    """
    lean = lean_model(model)
    functions = {_key(function): function for function in lean.functions}
    waiting = {key: {inner for inner, _ in _calls(as_graph(each), _open(each))} for key, each in functions.items()}
    fed: dict[Key, Fed] = {}
    for key, feeds in [*_calls(typed(model)), *_elsewhere(model)]:
        fed[key] = _agreed(fed[key], feeds) if key in fed else feeds
    graphs: dict[Key, GraphProto] = {}
    while waiting:
        # One that nothing calls that is still to come. Functions do not call themselves; one that did would wait on.
        ready = next((key for key in waiting if not any(key in inner for inner in waiting.values())), None)
        key = ready if ready is not None else next(iter(waiting))
        del waiting[key]
        feeds = fed.get(key, ()) if ready is not None else ()
        lean.graph.CopyFrom(as_graph(functions[key], feeds))
        del lean.opset_import[:]
        lean.opset_import.extend(functions[key].opset_import)
        graphs[key] = settled(lean)
        for inner, feeds in _calls(graphs[key], _open(functions[key])):
            fed[inner] = _agreed(fed[inner], feeds) if inner in fed else feeds
    return [graphs[_key(function)] for function in lean.functions]


def _elsewhere(model: Model) -> Iterator[tuple[Key, Fed]]:
    """Calls in graphs of which no types are known: those of the training information."""
    for root in roots(model.proto):
        if isinstance(root, GraphProto) and root is not model.proto.graph:
            yield from ((key, ()) for key, _ in _calls(root))


def _calls(
    graph: GraphProto, more: Iterable[NodeProto] = (), outer: Mapping[str, TensorType] | None = None
) -> Iterator[tuple[Key, Fed]]:
    """What is called in a graph, by more nodes of it, and in the bodies inside, and what it is fed.

    Ops of other domains count, too: nobody asks for what no function goes by.
    """
    known = ChainMap(types_in(graph), dict(outer or {}))
    for node in (*graph.node, *more):
        if node.domain not in ("", "ai.onnx"):
            yield _key(node), [known.get(name, _UNKNOWN) for name in node.input]
        for body in bodies(node):
            yield from _calls(body, outer=known)


def _key(of: NodeProto | FunctionProto) -> Key:
    return of.domain, of.op_type if isinstance(of, NodeProto) else of.name, of.overload


def _agreed(one: Fed, two: Fed) -> Fed:
    return [_common(*pair) for pair in zip(one, two, strict=False)]


def _common(one: TensorType, two: TensorType) -> TensorType:
    """What is the same of two types."""
    shape = None
    if one.shape is not None and two.shape is not None and len(one.shape) == len(two.shape):
        shape = tuple(a if a == b else None for a, b in zip(one.shape, two.shape, strict=True))
    return TensorType(one.dtype if one.dtype == two.dtype else TensorProto.UNDEFINED, shape)


def as_graph(function: FunctionProto, fed: Fed = ()) -> GraphProto:
    """A function's body as a graph whose inputs have types: those that it declares, else those that it is fed.

    Nodes with an attribute that is a parameter are left out: each call decides what they make.
    """
    graph = GraphProto(name=function.name)
    graph.node.extend(node for node in function.node if not _has_parameter(node))
    declared = {value.name: value for value in function.value_info}
    known = dict(zip(function.input, fed, strict=False))
    graph.input.extend(declared.get(name) or _value(name, known.get(name, _UNKNOWN)) for name in function.input)
    graph.output.extend(declared.get(name) or ValueInfoProto(name=name) for name in function.output)
    ends = {*function.input, *function.output}
    graph.value_info.extend(value for value in function.value_info if value.name not in ends)
    return graph


def _open(function: FunctionProto) -> list[NodeProto]:
    """The nodes with an attribute, or one inside of them, that is a parameter of the function."""
    return [node for node in function.node if _has_parameter(node)]


def _has_parameter(node: NodeProto) -> bool:
    inside = (attribute for body in bodies(node) for part in within(body) for attribute in attributes(part))
    return any(attribute.ref_attr_name for attribute in (*node.attribute, *inside))


def _value(name: str, known: TensorType) -> ValueInfoProto:
    value = ValueInfoProto(name=name)
    if known != _UNKNOWN:
        value.type.tensor_type.elem_type = known.dtype
    if known.shape is not None:
        shape = value.type.tensor_type.shape
        shape.SetInParent()  # a scalar has a shape, too
        for size in known.shape:
            dim = shape.dim.add()
            if isinstance(size, int):
                dim.dim_value = size
            elif size is not None:
                dim.dim_param = size
    return value
