"""The kinds of linear layers: one function each, which reads a node as a :class:`~onnx_prelu.graph.linear.Linear`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import onnx

from ..errors import Refused
from .constants import is_float
from .draft import Draft
from .index import Node
from .linear import Constant, Linear, Place
from .weights import Weight

Reader = Callable[[Draft, Node], Linear]
"""Reads a node as a layer, or raises Refused: ``overridable-weight``, ``runtime-weight``, ``unsupported-layout``."""


def gemm(draft: Draft, node: Node) -> Linear:
    """``x·W + b``: units are the last axis."""
    attributes = _attributes(node)
    if attributes.get("transA"):
        raise Refused("unsupported-layout", "the Gemm transposes its input (transA = 1)", node.label)
    weight = _matrix(draft, node, 1)
    axis = 0 if attributes.get("transB") else 1
    return Linear(
        nodes=(node,),
        x=node.inputs[0],
        y=node.outputs[0],
        input_axis=-1,
        output=Place(-1, weight.shape[axis], rank=2),
        weight=Constant(node, 1, weight, axis),
        added=_bias(draft, node, weight.shape[axis]),
    )


def matmul(draft: Draft, node: Node) -> Linear:
    """``x·W``: units are the last axis, of any number of axes."""
    weight = _matrix(draft, node, 1)
    output = Place(-1, weight.shape[1], rank=_rank(draft, node.outputs[0]))
    return Linear((node,), node.inputs[0], node.outputs[0], -1, output, Constant(node, 1, weight, 1))


def matmul_left(draft: Draft, node: Node) -> Linear:
    """``W·x``: units are the last axis but one, or the only one where x is a vector."""
    weight, rank = _matrix(draft, node, 0), _rank(draft, node.inputs[1])
    if rank is None:
        raise Refused("unknown-shape", f"whether '{node.inputs[1]}' is a vector or a matrix is not known", node.label)
    axis = -1 if rank == 1 else -2
    output = Place(axis, weight.shape[0], rank=rank)
    return Linear((node,), node.inputs[1], node.outputs[0], axis, output, Constant(node, 0, weight, 0))


def conv(draft: Draft, node: Node) -> Linear:
    """A Conv of any number of dimensions: kernel (out, in/groups, …), units are axis 1."""
    return _convolution(draft, node, unit_axis=0)


def conv_transpose(draft: Draft, node: Node) -> Linear:
    """A ConvTranspose of any number of dimensions: kernel (in, out/groups, …), units are axis 1."""
    return _convolution(draft, node, unit_axis=1)


KINDS: Mapping[tuple[str, int], Reader] = {
    ("Gemm", 0): gemm,
    ("MatMul", 0): matmul,
    ("MatMul", 1): matmul_left,
    ("Conv", 0): conv,
    ("ConvTranspose", 0): conv_transpose,
}
"""The kinds: by op, and by the input that is the layer's x."""

OPS = frozenset(op for op, _ in KINDS)


def _convolution(draft: Draft, node: Node, unit_axis: int) -> Linear:
    weight = draft.constants.need(node.inputs[1], "the kernel", node)
    if len(weight.shape) < 3 or not is_float(weight.dtype):
        raise Refused("unsupported-layout", f"the kernel has {_shown(weight)}, not that of a float kernel", node.label)
    groups = _attributes(node).get("group", 1)
    units = weight.shape[unit_axis] * (groups if unit_axis == 1 else 1)
    channel = 1 - len(weight.shape)
    return Linear(
        nodes=(node,),
        x=node.inputs[0],
        y=node.outputs[0],
        input_axis=channel,
        output=Place(channel, units, rank=len(weight.shape)),
        weight=Constant(node, 1, weight, unit_axis),
        groups=groups,
        added=_bias(draft, node, units),
    )


def _attributes(node: Node) -> dict[str, int]:
    return {a.name: a.i for a in node.proto.attribute if a.type == onnx.AttributeProto.INT}


def _rank(draft: Draft, tensor: str) -> int | None:
    shape = draft.shape(tensor)
    return None if shape is None else len(shape)


def _matrix(draft: Draft, node: Node, position: int) -> Weight:
    weight = draft.constants.need(node.inputs[position], "the weight", node)
    if len(weight.shape) != 2 or not is_float(weight.dtype):
        raise Refused("unsupported-layout", f"the weight has {_shown(weight)}, not that of a float matrix", node.label)
    return weight


def _bias(draft: Draft, node: Node, units: int) -> tuple[Constant, ...]:
    """The third input, if there is one, with a value for every unit where one value stood for all."""
    if len(node.inputs) < 3 or not node.inputs[2]:
        return ()
    weight = draft.constants.need(node.inputs[2], "the bias", node)
    if weight.shape and weight.shape[-1] not in (1, units):
        text = f"the bias has shape {list(weight.shape)}, and there are {units} units"
        raise Refused("unsupported-layout", text, node.label)
    weight = weight.broadcast((*weight.shape[:-1], units))
    return (Constant(node, 2, weight, len(weight.shape) - 1),)


def _shown(weight: Weight) -> str:
    return f"shape {list(weight.shape)} and type {weight.dtype}"
