"""What is read of a tensor's type or shape only: zeros of the shape of x, a constant in the type of x.

    x ─► Shape ─► ConstantOfShape(0) ─► Max(x, ·)        is        Max(x, 0)

Such a value is a constant whatever x holds, so all that reads it may share it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .constants import FOLDED, NUMBER_TYPES
from .draft import Draft
from .index import Node
from .values import array
from .weights import Weight

TELLING = frozenset({"CastLike", "ConstantOfShape", "Expand", "Shape"})
"""Ops that look at the type or the shape of an operand."""


@dataclass(frozen=True)
class Filled:
    """One number in every element of a shape that is only known at run time.

    Attributes:
        number: The number, a scalar.
        like: The tensor whose shape it has.
    """

    number: Weight
    like: str


def filled(draft: Draft, tensor: str) -> Filled | None:
    """What a tensor holds, if it is one number in the shape of another tensor."""
    node = draft.index.maker.get(tensor)
    if node is None or node.op not in ("ConstantOfShape", "Expand"):
        return None
    shape = draft.index.maker.get(node.inputs[-1])
    if shape is None or shape.op != "Shape" or shape.proto.attribute:
        return None
    like = shape.inputs[0]
    number = _repeated(draft, node) if node.op == "ConstantOfShape" else draft.constants.get(node.inputs[0])
    if number is None or number.dtype not in NUMBER_TYPES.values() or number.shape not in ((), (1,)):
        return None
    if node.op == "Expand" and len(number.shape) > len(draft.shape(like) or ()):
        return None  # it would add a dimension
    return Filled(Weight.of(number.stored().reshape(())), like)


def _repeated(draft: Draft, node: Node) -> Weight:
    """What a ConstantOfShape repeats: zero, unless an attribute has a value."""
    for attribute in node.proto.attribute:
        return Weight.of(array(attribute.t, draft.model.folder))
    return Weight.of(np.zeros(1, np.float32))


def is_told(draft: Draft, node: Node) -> bool:
    """True for a node whose result no value of a run decides: a constant, or made of types and shapes only."""
    if node.op == "Shape":
        return True
    return node.op in FOLDED and any(draft.constants.get(name) or filled(draft, name) for name in node.outputs)
