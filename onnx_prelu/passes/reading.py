"""A node read as an op over rays: the rule that applies, and its operands.

Most nodes are what their op's rule says. The table :data:`READERS` holds the ones that are so under conditions only, or
that say the same in another layout; a node that meets none of them is not read, and ends every region.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import onnx

from ..algebra.floats import Array, is_integer
from ..algebra.rays import RULES, Rays, constant
from ..algebra.widths import converted
from ..errors import Refused
from ..graph.constants import FLOAT_TYPES, NUMBER_TYPES, is_float
from ..graph.draft import Draft
from ..graph.filled import Filled, filled
from ..graph.index import Node
from ..graph.weights import Weight

_NUMBERS = frozenset(NUMBER_TYPES.values())

Operand = str | Rays | Filled | None
"""A tensor by its name, a constant in the tensor's own layout or in the shape of another, or an input left out."""


@dataclass(frozen=True)
class Reading:
    """A node as one op over rays.

    Attributes:
        rule: Called with the name of the tensor that everything is a function of, and the operands as rays.
        operands: What it reads.
        perm: How the axes of the result stand in those of the operand; () where they stay.
    """

    rule: Callable[..., Rays]
    operands: tuple[Operand, ...]
    perm: tuple[int, ...] = ()


def read(draft: Draft, node: Node) -> Reading | None:
    """A node as an op over rays; None where it is none."""
    if len(node.outputs) != 1 or (node.op not in RULES and node.op not in READERS):
        return None
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.proto.attribute}
    if draft.opset < 7 and attributes.get("broadcast"):
        return None  # the second operand's axes are an attribute's affair
    return READERS.get(node.op, _plain)(draft, node, attributes)


def _plain(draft: Draft, node: Node, attributes: dict[str, Any]) -> Reading | None:
    """What the op's rule says, with its numbers as keywords."""
    operands = _operands(draft, node)
    if operands is None:
        return None
    numbers = {name: value for name, value in attributes.items() if isinstance(value, float)}
    return Reading(_of_rays(node.op, **numbers), operands)


def _of_rays(op: str, **numbers: float) -> Callable[..., Rays]:
    return lambda _source, *inputs: RULES[op](*inputs, **numbers)


def _operands(draft: Draft, node: Node) -> tuple[Operand, ...] | None:
    """The inputs of a node; None where a constant among them is no number, or integers are divided: fractions drop."""
    operands: list[Operand] = []
    for name in node.inputs:
        weight = draft.constants.get(name) if name else None
        if weight is not None and (weight.dtype not in _NUMBERS or (node.op == "Div" and is_integer(weight.dtype))):
            return None
        operands.append(constant(weight.values(), weight.dtype) if weight is not None else _of(draft, name))
    return tuple(operands)


def _of(draft: Draft, name: str) -> Operand:
    return filled(draft, name) or name or None


def _clip(draft: Draft, node: Node, attributes: dict[str, Any]) -> Reading | None:
    """The largest number of a type is no bound: nothing finite lies beyond it."""
    reading = _plain(draft, node, attributes)
    if reading is None:
        return None
    operands = tuple(
        _bound(draft.constants.get(name), own) for name, own in zip(node.inputs, reading.operands, strict=True)
    )
    return Reading(reading.rule, operands)


def _bound(weight: Weight | None, operand: Operand) -> Operand:
    if weight is None or not isinstance(operand, Rays) or not is_float(weight.dtype):
        return operand
    values, largest = operand.pos, float(ml_dtypes.finfo(weight.dtype).max)
    return constant(np.where(np.abs(values) >= largest, np.copysign(np.inf, values), values), weight.dtype)


def _prelu(draft: Draft, node: Node, attributes: dict[str, Any]) -> Reading | None:
    """Before opset 7 a slope (C,) belongs to the channel axis, the second one."""
    reading = _plain(draft, node, attributes)
    if reading is None or draft.opset >= 7 or not isinstance(slope := reading.operands[1], Rays):
        return reading
    aligned = channel_aligned(slope.pos.shape, draft.shape(node.inputs[0]))
    weight = draft.constants.get(node.inputs[1])
    if aligned is None or weight is None:
        return None
    return Reading(reading.rule, (reading.operands[0], constant(slope.pos.reshape(aligned), weight.dtype)))


def channel_aligned(slope: tuple[int, ...], x: tuple[int | str | None, ...] | None) -> tuple[int, ...] | None:
    """The shape in which a slope of opset 6 broadcasts by today's rule; None where the rank of x is not known."""
    if all(size == 1 for size in slope):
        return slope
    return (int(np.prod(slope)), *[1] * (len(x) - 2)) if x is not None and len(x) >= 2 else None


def _cast(draft: Draft, node: Node, attributes: dict[str, Any]) -> Reading | None:
    """A mask as numbers, or x in another type: exact where that is wider, one rounding on the way back."""
    return _converting(draft, node, FLOAT_TYPES.get(attributes["to"]))


def _cast_like(draft: Draft, node: Node, _attributes: dict[str, Any]) -> Reading | None:
    """A Cast, whose type is another tensor's. A constant that is cast so is a constant."""
    return _converting(draft, node, FLOAT_TYPES.get(draft.dtype(node.inputs[1])))


def _converting(draft: Draft, node: Node, after: np.dtype[Any] | None) -> Reading | None:
    if after is None:
        return None
    before = FLOAT_TYPES.get(draft.dtype(node.inputs[0]))

    def rule(source: str, u: Rays, *like: Rays) -> Rays:
        own = FLOAT_TYPES.get(draft.dtype(source))
        if u.degree == 0:
            return RULES["Cast"](u, *like)
        if own is None or before is None:
            raise Refused("not-rays", "a Cast of what is no floating-point tensor")
        return converted(u, own, before, after)

    return Reading(rule, node.inputs)


def _conv(draft: Draft, node: Node, attributes: dict[str, Any]) -> Reading | None:
    """A depthwise 1x1 Conv without bias multiplies each channel by its weight.

    Conv(x, W (C, 1, 1, 1))    is    Mul(x, (C, 1, 1))
    """
    weight = draft.constants.get(node.inputs[1])
    if weight is None or not is_float(weight.dtype) or any(node.inputs[2:]):
        return None
    channels, *others = weight.shape
    moves = any(s != 1 for s in attributes.get("strides", ())) or any(attributes.get("pads", ()))
    if moves or attributes.get("group", 1) != channels or any(size != 1 for size in others):
        return None
    factor = constant(weight.values().reshape(channels, *others[1:]), weight.dtype)
    return Reading(_of_rays("Mul"), (node.inputs[0], factor))


def _transpose(draft: Draft, node: Node, attributes: dict[str, Any]) -> Reading | None:
    """The same function in another layout: constants on the inside are those of the outside, turned."""
    shape = draft.shape(node.inputs[0])
    perm = attributes.get("perm") or (range(len(shape))[::-1] if shape is not None else ())
    return Reading(_of_rays("Identity"), node.inputs, tuple(perm)) if len(perm) else None


READERS: dict[str, Callable[[Draft, Node, dict[str, Any]], Reading | None]] = {
    "Cast": _cast,
    "CastLike": _cast_like,
    "Clip": _clip,
    "Conv": _conv,
    "PRelu": _prelu,
    "Transpose": _transpose,
}
"""Ops that need more than their rule."""


def turned(operand: Rays, perm: tuple[int, ...]) -> Rays:
    """A constant in a tensor's layout, as it stands in the layout before a Transpose by ``perm``.

    Raises:
        Refused: ``not-rays``: it has more dimensions than the tensor.
    """
    if not perm:
        return operand

    def back(values: Array) -> Array:
        if values.ndim > len(perm):
            raise Refused("not-rays", "a constant has more dimensions than the tensor")
        return values.reshape([1] * (len(perm) - values.ndim) + list(values.shape)).transpose(np.argsort(perm))

    pos, slack = back(operand.pos), back(operand.slack[0])
    return Rays(pos, pos, 0, slack=(slack, slack))


def composed(first: tuple[int, ...], then: tuple[int, ...]) -> tuple[int, ...]:
    """Two Transposes as one; () where they undo each other.

    >>> composed((0, 2, 3, 1), (0, 3, 1, 2)), composed((), (1, 0))
    ((), (1, 0))
    """
    both = tuple(first[axis] for axis in then) if first else then
    return () if both == tuple(range(len(both))) else both
