"""What adds to each unit, or scales it, unit by unit: Add, Mul, BatchNormalization (inference).

Before an activation they belong to the layer that makes it: what is added scales with a unit's row, what multiplies
does not. Behind it they are carried along: what is added stands on one lane of each unit only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..errors import Refused
from .constants import is_float
from .draft import Draft
from .index import Node, Use
from .linear import Constant, Place


@dataclass(frozen=True)
class Affine:
    """The constants of such a node.

    Attributes:
        added: What is added to, or subtracted from, each unit.
        repeated: What each unit is multiplied or divided by; nothing where one value serves all.
    """

    added: tuple[Constant, ...] = ()
    repeated: tuple[Constant, ...] = ()


def computed_operand(draft: Draft, node: Node) -> int | None:
    """Which input of an Add, a Mul or a BatchNormalization is computed, the others being constants or read as such."""
    if node.op == "BatchNormalization":
        return 0
    known = [name in draft.constants.overridable or draft.constants.get(name) is not None for name in node.inputs]
    return known.index(False) if known.count(False) == 1 else None


def _add(draft: Draft, use: Use, place: Place) -> Affine:
    return Affine(added=tuple(_operand(draft, use, place, every=True)))


def _mul(draft: Draft, use: Use, place: Place) -> Affine:
    return Affine(repeated=tuple(_operand(draft, use, place, every=False)))


def _batch_norm(draft: Draft, use: Use, place: Place) -> Affine:
    node = use.node
    attributes = {a.name: a.i for a in node.proto.attribute}
    outputs = [name for name in node.outputs[1:] if name]
    if attributes.get("training_mode") or outputs or (draft.opset < 7 and not attributes.get("is_test")):
        raise Refused("unsupported-layout", "the BatchNormalization is in training mode", node.label)
    if place.number != 1 or not attributes.get("spatial", 1):
        text = "the BatchNormalization does not work on the axis of the units"
        raise Refused("unsupported-layout", text, node.label)
    constants = []
    for position, what in enumerate(("scale", "bias", "mean", "variance"), start=1):
        weight = draft.constants.need(node.inputs[position], f"the {what}", node)
        if not is_float(weight.dtype) or weight.shape != (place.size,):
            raise Refused("unsupported-layout", f"the {what} has shape {list(weight.shape)}", node.label)
        constants.append(Constant(node, position, weight, 0, place.repeats))
    scale, bias, mean, variance = constants
    return Affine((bias, mean), (scale, variance))


AFFINE: Mapping[str, Callable[[Draft, Use, Place], Affine]] = {
    "Add": _add,
    "Mul": _mul,
    "BatchNormalization": _batch_norm,
}
"""By op: the constants of a node that reads units at a place. Raises Refused: ``overridable-weight``,
``runtime-weight``, ``unsupported-layout``."""


def _operand(draft: Draft, use: Use, place: Place, *, every: bool) -> list[Constant]:
    """The other operand, with a value for each unit; none where one value serves all and that is enough."""
    node = use.node
    if any(a.name == "broadcast" and a.i for a in node.proto.attribute):
        text = f"the {node.op} broadcasts by an axis attribute (opset 6)"
        raise Refused("unsupported-layout", text, node.label)
    position = 1 - (use.position or 0)
    weight = draft.constants.need(node.inputs[position], "the bias" if every else "the factor", node)
    shape = (1,) * (-place.axis - len(weight.shape)) + weight.shape
    axis = len(shape) + place.axis
    rank = place.rank or max(2, -place.axis)
    others = [size for number, size in enumerate(shape) if number != axis]
    if not is_float(weight.dtype) or len(shape) > rank or any(size != 1 for size in others):
        text = f"the constant has shape {list(weight.shape)}, not one value a unit"
        raise Refused("unsupported-layout", text, node.label)
    if place.size is None or shape[axis] not in (1, place.size):
        text = f"the constant has shape {list(weight.shape)}, and there are {place.units} units"
        raise Refused("unsupported-layout", text, node.label)
    if shape[axis] == 1 and not every:
        return []
    each = weight.broadcast((*shape[:axis], place.size, *shape[axis + 1 :]))
    return [Constant(node, position, each, axis, place.repeats)]
