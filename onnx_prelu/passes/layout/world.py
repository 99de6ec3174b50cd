"""How tensors of fewer dimensions stand among those of four, and what single nodes become there.

There are two such worlds. In that of 1-D Convs, (N, C, L) stands as (N, C, 1, L); in that of matrices, (B, K) stands as
(1, K, B, 1): inputs are channels, and each row of the batch is a place. In both, axis 1 is that of the channels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx

from ...errors import Refused
from ...graph.draft import Draft
from ...graph.index import Node
from ...graph.kinds import gemm, matmul
from ...graph.weights import Weight

Shape = tuple[int | str | None, ...]


@dataclass(frozen=True)
class Member:
    """What a node becomes among tensors of four dimensions.

    Attributes:
        node: The node.
        tensors: Which of its inputs are lifted tensors.
        constants: Which become another constant.
        attributes: Attributes that change.
        op: Its new op, in place of its own and of all its attributes; "" if it stays.
        channels: Of a linear layer, how many channels it reads and makes.
    """

    node: Node
    tensors: tuple[int, ...]
    constants: Mapping[int, Weight] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    op: str = ""
    channels: tuple[int, int] | None = None


@dataclass(frozen=True)
class World:
    """How tensors stand among those of four dimensions.

    Attributes:
        rank: How many dimensions they have.
        axes: The dimensions of size 1 that they get.
        channels_last: Whether the last axis becomes that of the channels, axis 1.
        kinds: What nodes of an op become that do not simply work on each element; raises Refused where one stays.
    """

    rank: int
    axes: tuple[int, ...]
    channels_last: bool
    kinds: Mapping[str, Callable[[Draft, Node], Member]]

    def member(self, draft: Draft, node: Node) -> Member:
        """What a node becomes.

        Raises:
            Refused: Nothing; whatever its inputs are, it stays as it is.
        """
        if node.op in self.kinds:
            return self.kinds[node.op](draft, node)
        if node.op in _UNARY or (node.op in _BY_CHANNEL and _one_value_a_channel(node)):
            return Member(node, (0,))
        if node.op in _ELEMENTWISE:
            known = {place: draft.constants.get(name) for place, name in enumerate(node.inputs)}
            constants = {place: self.constant(weight, node) for place, weight in known.items() if weight is not None}
            tensors = tuple(place for place, weight in known.items() if weight is None)
            if node.op != "PRelu" or tensors == (0,):
                return Member(node, tensors, constants)
        raise Refused("unsupported-layout", f"{node.op} is not lifted", node.label)

    def constant(self, weight: Weight, node: Node) -> Weight:
        """A constant operand as it broadcasts against tensors of four dimensions.

        Raises:
            Refused: ``unsupported-layout``: it is not the same for all places.
        """
        shape = weight.shape
        if not self.channels_last:  # (…, C, L) becomes (…, C, 1, L)
            return weight.reshaped((*shape[:-1], 1, shape[-1])) if len(shape) > 1 else weight
        if np.prod(shape, dtype=int) == 1:
            return weight.reshaped(())
        if len(shape) > 2 or shape[:-1] not in ((), (1,)):
            raise Refused("unsupported-layout", f"a constant of shape {list(shape)} is not lifted", node.label)
        return weight.reshaped((shape[-1], 1, 1))

    def shape(self, shape: Shape) -> Shape:
        """The lifted shape."""
        if not self.channels_last:
            return (*shape[:-1], 1, shape[-1])
        return (1, shape[-1], *shape[:-1], 1)


_UNARY = frozenset({
    "Abs", "Clip", "Elu", "Exp", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Mish", "Neg", "Relu", "Selu",
    "Sigmoid", "Softplus", "Softsign", "Sqrt", "Tanh", "ThresholdedRelu",
})  # fmt: skip
_ELEMENTWISE = frozenset({"Add", "Div", "Max", "Min", "Mul", "PRelu", "Sub", "Sum"})
_BY_CHANNEL = frozenset({"BatchNormalization", "InstanceNormalization"})


def _one_value_a_channel(node: Node) -> bool:
    """False for a BatchNormalization with a value for each place of a channel, which opsets 7 and 8 still have."""
    return all(attribute.i for attribute in node.proto.attribute if attribute.name == "spatial")


def _conv(draft: Draft, node: Node) -> Member:
    """A 1-D Conv as a 2-D one with the kernel [1, k]."""
    kernel = draft.constants.need(node.inputs[1], "the kernel", node)
    if len(kernel.shape) != 3:
        raise Refused("unsupported-layout", "the Conv is not of one dimension", node.label)
    units, inputs, size = kernel.shape
    groups = next((a.i for a in node.proto.attribute if a.name == "group"), 1)
    channels = (inputs * groups, units)
    return Member(node, (0,), {1: kernel.reshaped((units, inputs, 1, size))}, _widened(node), channels=channels)


def _pool(_: Draft, node: Node) -> Member:
    """A pool over the one dimension, or over all that there are."""
    return Member(node, (0,), attributes=_widened(node))


def _concat(_: Draft, node: Node) -> Member:
    """A Concat along the channels."""
    axis = next((a.i for a in node.proto.attribute if a.name == "axis"), 1)
    if axis not in (1, -2):
        raise Refused("unsupported-layout", "the Concat is not along the channels", node.label)
    return Member(node, tuple(range(len(node.inputs))), attributes={"axis": 1})


def _widened(node: Node) -> dict[str, list[int]]:
    """The attributes of a sliding window in two dimensions, of which the first has the size 1."""
    given = {a.name: list(a.ints) for a in node.proto.attribute}
    windows = ("kernel_shape", "strides", "dilations")
    attributes: dict[str, list[int]] = {name: [1, *given[name]] for name in windows if name in given}
    if "pads" in given:
        first, last = given["pads"]
        attributes["pads"] = [0, first, 0, last]
    return attributes


def _matrix(draft: Draft, node: Node) -> Member:
    """A Gemm, or a MatMul by a constant, as a Conv with the kernel [1, 1]; a bias comes after it in the same order."""
    layer = gemm(draft, node) if node.op == "Gemm" else matmul(draft, node)
    given = {a.name: a.f for a in node.proto.attribute if a.type == onnx.AttributeProto.FLOAT}
    weight, axis = layer.weight.weight, layer.weight.axis
    constants = {1: _scaled(weight, axis, given.get("alpha", 1.0)).viewed(
        (axis, 1 - axis), (layer.units, layer.inputs, 1, 1)
    )}  # fmt: skip
    for bias in layer.added:
        if bias.weight.shape[:-1] not in ((), (1,)):
            raise Refused("unsupported-layout", "the bias is not the same for all rows", node.label)
        constants[2] = _scaled(bias.weight, bias.axis, given.get("beta", 1.0)).reshaped((layer.units,))
    return Member(node, (0,), constants, op="Conv", channels=(layer.inputs, layer.units))


def _scaled(weight: Weight, axis: int, factor: float) -> Weight:
    size = weight.shape[axis]
    return weight if factor == 1 else weight.take(axis, np.arange(size), np.full(size, factor))


_POOLS = ("AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool")

CONVS = World(3, (2,), False, {"Conv": _conv, "Concat": _concat, **dict.fromkeys(_POOLS, _pool)})
"""(N, C, L) as (N, C, 1, L)."""

MATRICES = World(2, (0, 2), True, {"Gemm": _matrix, "MatMul": _matrix})
"""(B, K) as (1, B, 1, K), and by a Transpose as (1, K, B, 1)."""
