"""Linear layers behind one view: Gemm and MatMul(+Add).

A layer computes ``y = A·x + b`` per unit; its units are the last axis of its output. :meth:`Linear.take_rows` and
:meth:`Linear.take_columns` say how its constants change when its units, or those of the layer before it, are replaced
by lanes; nothing is edited here. A new kind of layer is one more class with the same methods.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx

from ..algebra.floats import Array
from ..algebra.lanes import Lanes
from ..errors import Refused
from .constants import Constants, is_float
from .index import Index, Node, Use
from .weights import Weight


@dataclass(frozen=True, eq=False)
class Change:
    """A constant of a node that is to be replaced.

    Attributes:
        node: The node that reads it.
        position: As which input.
        weight: What it becomes.
    """

    node: Node
    position: int
    weight: Weight


@dataclass(frozen=True)
class Constant:
    """A constant operand: where it is read, its values, and the axes along which units and inputs lie.

    Attributes:
        node: The node that reads it.
        position: As which input.
        weight: Its values.
        unit_axis: The axis of the layer's units.
        input_axis: The axis of the layer's inputs; None for a bias.
    """

    node: Node
    position: int
    weight: Weight
    unit_axis: int
    input_axis: int | None = None


@dataclass(frozen=True)
class Linear:
    """A linear layer.

    Attributes:
        nodes: Its nodes in order.
        x: Its input tensor.
        y: Its output tensor.
        weight: Its matrix.
        bias: Its bias, whose last axis is that of the units, or None.
    """

    nodes: tuple[Node, ...]
    x: str
    y: str
    weight: Constant
    bias: Constant | None = None

    @property
    def units(self) -> int:
        """How many output features there are."""
        return self.weight.weight.shape[self.weight.unit_axis]

    @property
    def inputs(self) -> int:
        """How many input features there are."""
        assert self.weight.input_axis is not None
        return self.weight.weight.shape[self.weight.input_axis]

    def rows(self) -> Array:
        """(units, k) stored weights with the stored bias appended, one row a unit."""
        matrix = self.weight.weight.values()
        parts = [matrix if self.weight.unit_axis == 0 else matrix.T]
        if self.bias is not None:
            bias = self._vector_bias(self.bias).values()
            parts.append(bias.reshape(-1, self.units).T)
        return np.concatenate(parts, axis=1)

    def columns(self) -> Array:
        """(inputs, q) stored weights, one row an input feature."""
        matrix = self.weight.weight.values()
        return matrix if self.weight.input_axis == 0 else matrix.T

    def take_rows(self, lanes: Lanes) -> Iterator[Change]:
        """The constants that this layer has after its units were replaced by lanes."""
        for part in (self.weight, self.bias):
            if part is not None:
                weight = part.weight if part is self.weight else self._vector_bias(part)
                axis = part.unit_axis % len(weight.shape)
                yield Change(part.node, part.position, weight.take(axis, lanes.unit, lanes.row))

    def take_columns(self, lanes: Lanes) -> Iterator[Change]:
        """The constants that this layer has after the units of the layer before it were replaced by lanes."""
        part = self.weight
        assert part.input_axis is not None
        yield Change(part.node, part.position, part.weight.take(part.input_axis, lanes.unit, lanes.out))

    def _vector_bias(self, bias: Constant) -> Weight:
        """The bias with a value for every unit, where one value stood for all."""
        shape = bias.weight.shape
        return bias.weight.broadcast((*shape[:-1], self.units) if shape else (self.units,))


def producer(index: Index, constants: Constants, tensor: str) -> Linear:
    """The linear layer that makes a tensor.

    Raises:
        Refused: ``no-linear-producer``, ``overridable-weight``, ``runtime-weight``, ``unsupported-layout``,
            ``shared-producer``.
    """
    node = index.maker.get(tensor)
    if node is None:
        raise Refused("no-linear-producer", f"'{tensor}' is an input of the graph, not made by a linear layer")
    if node.op == "Gemm":
        return _gemm(node, constants)
    if node.op == "MatMul":
        return _matmul(node, constants)
    if node.op == "Add":
        return _biased_matmul(index, constants, node)
    raise Refused("no-linear-producer", f"'{tensor}' is made by {node.op}, not by a Gemm or MatMul", node.label)


def consumer(constants: Constants, use: Use) -> Linear:
    """The linear layer that reads a tensor as its input.

    Raises:
        Refused: ``consumer-not-linear``, ``overridable-weight``, ``runtime-weight``, ``unsupported-layout``.
    """
    node = use.node
    if node.op in ("Gemm", "MatMul") and use.position == 0:
        return _gemm(node, constants) if node.op == "Gemm" else _matmul(node, constants)
    if use.position is None:
        how = f"captured by a body of {node.op}"
    elif node.op in ("Gemm", "MatMul"):
        how = f"input {use.position} of a {node.op}"
    else:
        how = f"read by {node.op}"
    raise Refused("consumer-not-linear", f"the activation is {how}, which is no linear layer over it", node.label)


def _gemm(node: Node, constants: Constants) -> Linear:
    attributes = {a.name: a for a in node.proto.attribute}
    if "transA" in attributes and attributes["transA"].i:
        raise Refused("unsupported-layout", "the Gemm transposes its input (transA = 1)", node.label)
    weight = constants.need(node.inputs[1], "the weight", node)
    _matrix(weight, node)
    transposed = "transB" in attributes and bool(attributes["transB"].i)
    matrix = Constant(node, 1, weight, *((0, 1) if transposed else (1, 0)))
    bias = None
    if len(node.inputs) > 2 and node.inputs[2]:
        bias = _bias(constants.need(node.inputs[2], "the bias", node), node, 2, matrix)
    return Linear((node,), node.inputs[0], node.outputs[0], matrix, bias)


def _matmul(node: Node, constants: Constants) -> Linear:
    weight = constants.need(node.inputs[1], "the weight", node)
    _matrix(weight, node)
    return Linear((node,), node.inputs[0], node.outputs[0], Constant(node, 1, weight, 1, 0))


def _biased_matmul(index: Index, constants: Constants, add: Node) -> Linear:
    for position in (0, 1):
        product = index.maker.get(add.inputs[position])
        if product is None or product.op != "MatMul":
            continue
        if len(index.uses(product.outputs[0])) != 1 or product.outputs[0] in index.outputs:
            text = f"'{product.outputs[0]}' is read by more than the bias that follows it"
            raise Refused("shared-producer", text, product.label)
        if _legacy_broadcast(add.proto):
            raise Refused("unsupported-layout", "the Add broadcasts by an axis attribute (opset 6)", add.label)
        layer = _matmul(product, constants)
        weight = constants.need(add.inputs[1 - position], "the bias", add)
        if any(size != 1 for size in weight.shape[:-1]) or len(weight.shape) > 2:
            raise Refused(
                "unsupported-layout",
                f"the bias has shape {list(weight.shape)}, not one value a unit",
                add.label,
            )
        bias = _bias(weight, add, 1 - position, layer.weight)
        return Linear((product, add), layer.x, add.outputs[0], layer.weight, bias)
    raise Refused("no-linear-producer", f"'{add.outputs[0]}' is a sum, and no MatMul is a part of it", add.label)


def _matrix(weight: Weight, node: Node) -> None:
    if len(weight.shape) != 2 or not is_float(weight.dtype):
        text = f"the weight has shape {list(weight.shape)} and type {weight.dtype}, not that of a float matrix"
        raise Refused("unsupported-layout", text, node.label)


def _bias(weight: Weight, node: Node, position: int, matrix: Constant) -> Constant:
    units = matrix.weight.shape[matrix.unit_axis]
    if weight.shape and weight.shape[-1] not in (1, units):
        text = f"the bias has shape {list(weight.shape)}, and there are {units} units"
        raise Refused("unsupported-layout", text, node.label)
    return Constant(node, position, weight, -1)


def _legacy_broadcast(proto: onnx.NodeProto) -> bool:
    return any(a.name == "broadcast" and a.i for a in proto.attribute)
