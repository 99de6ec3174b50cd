"""What a model costs without running it: nodes, parameters, bytes, multiply-accumulates, memory."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from google.protobuf.message import EncodeError
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto

from ...graph.external import files, is_external, place
from ...graph.model import Model, tensors
from ...graph.types import byte_count, infer
from ...graph.walk import Body, within
from .macs import macs
from .memory import peak


@dataclass(frozen=True)
class Cost:
    """The static costs of a model.

    Attributes:
        nodes: How many nodes, each counted once as written, those of nested graphs and functions included.
        ops: The same by op type, the domain in front unless it is the standard one; most frequent first.
        parameters: Elements of all floating-point initializers and Constant nodes, nested graphs and
            functions included. Of a sparse tensor only the stored values count.
        weight_bytes: Bytes of the same tensors in their own types.
        file_bytes: Bytes of the model's file and of the external data that it refers to.
        macs: Multiply-accumulates of Gemm, MatMul, Conv and ConvTranspose; quantized and fused relatives do
            not count. None where a shape that matters is unknown, or such a layer stands in a nested graph
            or in a function.
        activation_bytes: Most bytes of inputs, outputs and intermediate tensors alive at once when the nodes
            run in the file's order; None where a shape or the size of a type is unknown.
        sizes: The input shapes that dynamic dimensions were taken from.
    """

    nodes: int
    ops: dict[str, int]
    parameters: int
    weight_bytes: int
    file_bytes: int
    macs: int | None
    activation_bytes: int | None
    sizes: dict[str, tuple[int, ...]]

    def to_dict(self) -> dict[str, Any]:
        """The attributes as a dict that JSON can hold."""
        return {**asdict(self), "sizes": {name: list(shape) for name, shape in self.sizes.items()}}


def cost(model: Model, sizes: Mapping[str, Sequence[int]] | None = None) -> Cost:
    """Count what a model costs, in time linear in its nodes.

    Args:
        model: The model; it is not changed.
        sizes: Shapes of graph inputs, by name, for those that have dynamic dimensions.

    Raises:
        BadInput: `sizes` names something that is not an input, or external data are missing.
    """
    types = infer(model, sizes)
    ops = Counter(_op(node) for body in _bodies(model.proto) for node in body.node)
    counted = [weight for body in _bodies(model.proto) for weight in weights(body)]
    return Cost(
        nodes=ops.total(),
        ops=dict(sorted(ops.items(), key=lambda item: (-item[1], item[0]))),
        parameters=sum(elements for _, elements in counted),
        weight_bytes=sum(byte_count(dtype, elements) or 0 for dtype, elements in counted),
        file_bytes=file_bytes(model),
        macs=macs(model.proto, types),
        activation_bytes=peak(model.proto.graph, types),
        sizes={name: tuple(shape) for name, shape in (sizes or {}).items()},
    )


def _bodies(proto: ModelProto) -> Iterator[Body]:
    roots: tuple[Body, ...] = (proto.graph, *proto.functions)
    for root in roots:
        yield from within(root)


def _op(node: NodeProto) -> str:
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"


def weights(body: Body) -> Iterator[tuple[int, int]]:
    """Type and number of elements of every floating-point weight that stands in a body itself."""
    for dtype, elements in _constants(body):
        if _is_floating(dtype):
            yield dtype, elements


def _constants(body: Body) -> Iterator[tuple[int, int]]:
    if isinstance(body, GraphProto):
        for tensor in (*body.initializer, *(sparse.values for sparse in body.sparse_initializer)):
            yield tensor.data_type, math.prod(tensor.dims)
    for node in body.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                yield from _value(attribute)


def _value(attribute: AttributeProto) -> Iterator[tuple[int, int]]:
    if attribute.type == AttributeProto.TENSOR:
        yield attribute.t.data_type, math.prod(attribute.t.dims)
    elif attribute.type == AttributeProto.SPARSE_TENSOR:
        values = attribute.sparse_tensor.values
        yield values.data_type, math.prod(values.dims)
    elif attribute.type == AttributeProto.FLOAT:
        yield TensorProto.FLOAT, 1
    elif attribute.type == AttributeProto.FLOATS:
        yield TensorProto.FLOAT, len(attribute.floats)


def _is_floating(dtype: int) -> bool:
    name = TensorProto.DataType.Name(dtype)
    return name.startswith(("FLOAT", "BFLOAT")) or name == "DOUBLE"


def file_bytes(model: Model) -> int:
    """Bytes of a model's file and of the external data that it refers to."""
    own = len(model.raw) if model.raw is not None else _encoded(model.proto)
    if model.path is not None and model.raw is not None:
        return own + sum(path.stat().st_size for path in set(files(model.proto, model.folder).values()))
    return own + sum(data.length for data in {place(t) for t in tensors(model.proto) if is_external(t)})


def _encoded(proto: ModelProto) -> int:
    try:
        return proto.ByteSize()
    except EncodeError:  # above 2 GiB: not a file that protobuf can write, but its tensors have a size
        return sum(tensor.ByteSize() for tensor in tensors(proto))
