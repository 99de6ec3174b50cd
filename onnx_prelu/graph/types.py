"""The element type and shape of every tensor of a model's graphs, as far as they can be known."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

from onnx import (
    AttributeProto,
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    ValueInfoProto,
    checker,
    numpy_helper,
    shape_inference,
)
from onnx.helper import tensor_dtype_to_np_dtype

from ..errors import BadInput
from .model import Model, array
from .shapes import constants, settle
from .walk import endless

_FEW = 128  # elements. Shape inference reads the values of shapes, axes and the like: at most one a dimension
_PACKED = {
    "INT2": 2,
    "UINT2": 2,
    "INT4": 4,
    "UINT4": 4,
    "FLOAT4E2M1": 4,
    "FLOAT6E2M3": 6,
    "FLOAT6E3M2": 6,
}  # bits
_Sizes = tuple[tuple[str, tuple[int, ...]], ...]
_TYPED: WeakKeyDictionary[Model, dict[_Sizes, GraphProto]] = WeakKeyDictionary()
_HOLDERS = (AttributeProto.TENSOR, AttributeProto.GRAPH, AttributeProto.GRAPHS)


@dataclass(frozen=True)
class TensorType:
    """What is known of a tensor.

    Attributes:
        dtype: A ``TensorProto.DataType``; ``TensorProto.UNDEFINED`` if unknown.
        shape: A number for a known dimension, a name for a symbolic one, None for an unknown one; None
            altogether if not even the rank is known.
    """

    dtype: int
    shape: tuple[int | str | None, ...] | None

    @property
    def fixed(self) -> tuple[int, ...] | None:
        """The shape if every dimension is a number, else None."""
        if self.shape is None:
            return None
        numbers = tuple(dim for dim in self.shape if isinstance(dim, int))
        return numbers if len(numbers) == len(self.shape) else None


def byte_count(dtype: int, elements: int) -> int | None:
    """How many bytes so many elements take, packed where the type is packed.

    Args:
        dtype: A ``TensorProto.DataType``.
        elements: How many.

    Returns:
        The number of bytes; None for strings and for an unknown type.

    >>> byte_count(TensorProto.FLOAT16, 3), byte_count(TensorProto.INT4, 3)
    (6, 2)
    """
    if dtype in (TensorProto.UNDEFINED, TensorProto.STRING):
        return None
    bits = _PACKED.get(TensorProto.DataType.Name(dtype)) or 8 * tensor_dtype_to_np_dtype(dtype).itemsize
    return (elements * bits + 7) // 8


def infer(model: Model, inputs: Mapping[str, Sequence[int]] | None = None) -> dict[str, TensorType]:
    """Find the types of the top-level tensors by ONNX's shape inference, shapes that the model computes included.

    The model is not changed, and no weight of more than 128 elements is read or copied, so models of any size
    will do. Where inference fails, what the model declares is the answer.

    Args:
        model: The model.
        inputs: Shapes to take for graph inputs, by name, in place of the declared ones: those of a run, in which
            other inputs that have an initializer keep its value. Symbolic dimensions that the model declares for
            other tensors than inputs do not count then, unless all of this is as it is declared.

    Returns:
        The inputs, the initializers (sparse ones too) and the outputs of nodes of which something is known.

    Raises:
        BadInput: `inputs` names something that is not an input of the graph, or an external tensor that holds
            a shape cannot be read.
    """
    return types_in(typed(model, inputs))


def typed(model: Model, inputs: Mapping[str, Sequence[int]] | None = None) -> GraphProto:
    """The model's graph with the type of every tensor that :func:`infer` knows declared in it, and no large values.

    Nested graphs have theirs declared as well; :func:`types_in` reads them. Nodes that only compute a shape may be
    gone from the top level. A model is never mutated, so each is inferred once for the same sizes; the graph that is
    returned is not to be changed.
    """
    known, sizes = _TYPED.setdefault(model, {}), _beyond_declared(model.proto, inputs or {})
    if sizes not in known:
        lean = lean_model(model)
        if sizes:
            _fix(lean.graph, dict(sizes))
            _take_values(lean, dict(sizes))
        known[sizes] = settled(lean)
    return known[sizes]


def _beyond_declared(proto: ModelProto, inputs: Mapping[str, Sequence[int]]) -> _Sizes:
    """The sizes of a run; nothing where they are those that the model declares, and no input has a value to take."""
    graph = proto.graph
    sizes = tuple((name, tuple(shape)) for name, shape in sorted(inputs.items()))
    declared = {info.name: known.fixed for info in graph.input if (known := _declared(info))}
    overridable = any(tensor.name in declared for tensor in graph.initializer)
    if overridable or any(declared.get(name) != shape for name, shape in sizes):
        return sizes
    return ()


def settled(lean: ModelProto) -> GraphProto:
    """The graph of a model without large values, with all types declared in it; the model is changed on the way."""
    graph, known = _inferred(lean), constants(lean)
    while len(shapes := _fixed(found := types_in(graph))) < len(found) and settle(lean, shapes, known):
        graph = _inferred(lean)
    return graph


def _inferred(model: ModelProto) -> GraphProto:
    if unread := endless(model):  # inference would follow their calls until the stack is full
        ending = [function for function in model.functions if function not in unread]
        model = ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, graph=model.graph)
        model.functions.extend(ending)
    try:
        return shape_inference.infer_shapes(model, data_prop=True).graph
    except (checker.ValidationError, shape_inference.InferenceError, RuntimeError, ValueError, IndexError):
        # All that C++ throws at a model that it cannot make sense of. Such a model may still run.
        return model.graph


def types_in(graph: GraphProto) -> dict[str, TensorType]:
    """What a graph declares of its own tensors: inputs, initializers (sparse ones too) and outputs of nodes."""
    return dict(_found(graph))


def _fixed(found: Mapping[str, TensorType]) -> dict[str, tuple[int, ...]]:
    return {name: shape for name, known in found.items() if (shape := known.fixed) is not None}


def _found(graph: GraphProto) -> Iterator[tuple[str, TensorType]]:
    made = {name for node in graph.node for name in node.output}
    for info in (*graph.value_info, *graph.output):
        if info.name in made and (known := _declared(info)):
            yield info.name, known
    for tensor in graph.initializer:
        yield tensor.name, TensorType(tensor.data_type, tuple(tensor.dims))
    for sparse in graph.sparse_initializer:
        yield sparse.values.name, TensorType(sparse.values.data_type, tuple(sparse.dims))
    for info in graph.input:
        if known := _declared(info):
            yield info.name, known


def _declared(info: ValueInfoProto) -> TensorType | None:
    if not info.type.HasField("tensor_type"):
        return None
    tensor = info.type.tensor_type
    shape = None
    if tensor.HasField("shape"):
        shape = tuple(dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None for dim in tensor.shape.dim)
    known = TensorType(tensor.elem_type, shape)
    return None if known == TensorType(TensorProto.UNDEFINED, None) else known


def _fix(graph: GraphProto, inputs: Mapping[str, Sequence[int]]) -> None:
    declared = {info.name: info for info in graph.input}
    for name, shape in inputs.items():
        if name not in declared:
            raise BadInput(f"the model has no input '{name}'", todo=f"its inputs are {', '.join(declared)}")
        fixed = declared[name].type.tensor_type.shape
        fixed.ClearField("dim")
        for size in shape:
            fixed.dim.add(dim_value=size)
    for info in (*graph.value_info, *graph.output):
        for dim in info.type.tensor_type.shape.dim:
            dim.ClearField("dim_param")


def _take_values(model: ModelProto, fed: Collection[str]) -> None:
    """Make constants of the initializers that a caller could override and does not; in IR version 3 they are."""
    if model.ir_version >= 4:
        valued = {tensor.name for tensor in model.graph.initializer} - set(fed)
        left = [info for info in model.graph.input if info.name not in valued]
        del model.graph.input[:]
        model.graph.input.extend(left)


def lean_model(model: Model) -> ModelProto:
    """A copy of what inference reads of a model, in which large tensors have a type and a shape and no values.

    Raises:
        BadInput: A small external tensor cannot be read.
    """
    proto = model.proto
    lean = ModelProto(ir_version=proto.ir_version)
    lean.opset_import.extend(proto.opset_import)
    for function in proto.functions:
        copy = lean.functions.add(name=function.name, domain=function.domain, overload=function.overload)
        copy.input.extend(function.input)
        copy.output.extend(function.output)
        copy.attribute.extend(function.attribute)
        copy.attribute_proto.extend(_lean_attributes(function.attribute_proto, model.folder))
        copy.opset_import.extend(function.opset_import)
        copy.value_info.extend(function.value_info)
        copy.node.extend(_lean_node(node, model.folder) for node in function.node)
    lean.graph.MergeFrom(_lean_graph(proto.graph, model.folder))
    return lean


def _lean_graph(graph: GraphProto, folder: Path | None) -> GraphProto:
    lean = GraphProto(name=graph.name)
    lean.node.extend(_lean_node(node, folder) for node in graph.node)
    lean.initializer.extend(_lean_tensor(tensor, folder) for tensor in graph.initializer)
    for sparse in graph.sparse_initializer:
        copy = lean.sparse_initializer.add(dims=sparse.dims)
        copy.values.CopyFrom(_hollow(sparse.values))
        copy.indices.CopyFrom(_hollow(sparse.indices))
    lean.input.extend(graph.input)
    lean.output.extend(graph.output)
    lean.value_info.extend(graph.value_info)
    return lean


def _lean_node(node: NodeProto, folder: Path | None) -> NodeProto:
    if not any(attribute.type in _HOLDERS for attribute in node.attribute):
        return node
    lean = NodeProto(name=node.name, op_type=node.op_type, domain=node.domain, overload=node.overload)
    lean.input.extend(node.input)
    lean.output.extend(node.output)
    lean.attribute.extend(_lean_attributes(node.attribute, folder))
    return lean


def _lean_attributes(attributes: Iterable[AttributeProto], folder: Path | None) -> Iterator[AttributeProto]:
    for attribute in attributes:
        lean = AttributeProto(name=attribute.name, type=attribute.type)
        if attribute.type == AttributeProto.TENSOR:
            lean.t.CopyFrom(_lean_tensor(attribute.t, folder))
        elif attribute.type == AttributeProto.GRAPH:
            lean.g.CopyFrom(_lean_graph(attribute.g, folder))
        elif attribute.type == AttributeProto.GRAPHS:
            lean.graphs.extend(_lean_graph(graph, folder) for graph in attribute.graphs)
        else:
            lean = attribute
        yield lean


def _lean_tensor(tensor: TensorProto, folder: Path | None) -> TensorProto:
    if math.prod(tensor.dims) > _FEW:
        return _hollow(tensor)
    if tensor.data_location != TensorProto.EXTERNAL:
        return tensor
    return numpy_helper.from_array(array(tensor, folder), tensor.name)


def _hollow(tensor: TensorProto) -> TensorProto:
    hollow = TensorProto(
        name=tensor.name, dims=tensor.dims, data_type=tensor.data_type, data_location=TensorProto.EXTERNAL
    )
    hollow.external_data.add(key="location", value="-")
    return hollow
