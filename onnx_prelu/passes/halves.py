"""Lanes as they stand in a graph beside the pre-activation z, two of each unit: z and Relu(z), or Relu(z) and Relu(−z).

    z ─┬────────► Concat ─► y        z ─┬───────► Concat ─► Relu ─► y
       └─► Relu ──┘                     └─► Neg ──┘

The operands of the Concat may stand in either order. Along the axis of the units it puts first all lanes of the one
kind, then all of the other; along the axis behind it, with a Reshape that counts each half as a lane, it puts them unit
by unit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..algebra.floats import Array
from ..algebra.recovery import Recovered
from ..algebra.united import halves_slope, sum_slope
from ..errors import Refused
from ..graph.draft import Draft
from ..graph.index import Node
from ..graph.linear import Place

Shape = tuple[int | str | None, ...]


@dataclass(frozen=True)
class Halves:
    """Lanes beside a pre-activation.

    Attributes:
        z: The pre-activation.
        y: The lanes.
        region: What makes them of it, in order.
        place: Where the lanes lie.
        order: Which lanes are those of z, or of Relu(z) in a pair of Relus, and which are the others: (2, units).
        slope: The slope of a unit, by its two columns in this order.
        sums: True if both columns add up to the unit's own; False if the first one is it.
    """

    z: str
    y: str
    region: tuple[Node, ...]
    place: Place
    order: NDArray[np.intp]
    slope: Callable[[Array, Array, DTypeLike], Recovered | None]
    sums: bool


def halves_at(draft: Draft, relu: Node) -> Halves:
    """The lanes that a Relu is part of.

    Raises:
        Refused: ``no-pairs``: there are none; ``unknown-shape``: nobody knows how many units there are.
    """
    found = _with_z(draft, relu) or _of_both_signs(draft, relu)
    if found is None:
        raise Refused("no-pairs", f"no Concat of '{relu.inputs[0]}' and its Relu, or of it and its Neg", relu.label)
    return found


def _with_z(draft: Draft, relu: Node) -> Halves | None:
    z, bent = relu.inputs[0], relu.outputs[0]
    pair = _reader(draft, bent)
    if pair is None or pair.op != "Concat" or sorted(pair.inputs) != sorted((z, bent)):
        return None
    place, order, joined = _joined(draft, pair, z)
    return Halves(z, joined[-1].outputs[0], (relu, *joined), place, order, sum_slope, sums=True)


def _of_both_signs(draft: Draft, relu: Node) -> Halves | None:
    maker = draft.index.maker
    last = maker.get(relu.inputs[0])
    pair = maker.get(last.inputs[0]) if last is not None and last.op == "Reshape" else last
    if last is None or pair is None or pair.op != "Concat" or len(pair.inputs) != 2:
        return None
    negs = [node for name in pair.inputs if (node := maker.get(name)) is not None and node.op == "Neg"]
    neg = next((node for node in negs if sorted(pair.inputs) == sorted((*node.inputs, *node.outputs))), None)
    if neg is None or _reader(draft, neg.outputs[0]) is not pair or _reader(draft, last.outputs[0]) is not relu:
        return None
    place, order, joined = _joined(draft, pair, neg.inputs[0])
    if joined[-1] is not last:
        return None
    return Halves(neg.inputs[0], relu.outputs[0], (neg, *joined, relu), place, order, halves_slope, sums=False)


def _reader(draft: Draft, tensor: str) -> Node | None:
    """The one node that reads a tensor, once, which is no output."""
    uses = tuple(draft.index.uses(tensor))
    return uses[0].node if len(uses) == 1 and tensor not in draft.index.outputs else None


def _joined(draft: Draft, pair: Node, z: str) -> tuple[Place, NDArray[np.intp], tuple[Node, ...]]:
    """Where the lanes of a Concat lie, in which order, and the nodes that put them there."""
    shape = draft.shape(z)
    if not shape:
        raise _unknown(z, pair)
    axis = next((a.i for a in pair.proto.attribute if a.name == "axis"), 1) % len(shape)
    reshape = _reader(draft, pair.outputs[0])
    if reshape is not None and not _counts_halves(draft, reshape, shape, axis):
        reshape = None
    unit = axis if reshape is None else axis - 1
    units = shape[unit]
    if not isinstance(units, int) or not units:
        raise _unknown(z, pair)
    lanes = np.arange(2 * units)
    order = lanes.reshape(2, units) if reshape is None else lanes.reshape(units, 2).T
    place = Place(unit - len(shape), 2 * units, rank=len(shape))
    joined = (pair,) if reshape is None else (pair, reshape)
    return place, order if pair.inputs[0] == z else order[::-1], joined


def _counts_halves(draft: Draft, node: Node, shape: Shape, axis: int) -> bool:
    """Whether a node reshapes what was doubled along an axis to what is doubled along the axis before."""
    target = draft.constants.get(node.inputs[1]) if node.op == "Reshape" and len(node.inputs) > 1 else None
    units = shape[axis - 1] if axis else None
    if target is None or target.shape != (len(shape),) or not isinstance(units, int):
        return False
    copies = (0,) if not any(a.name == "allowzero" and a.i for a in node.proto.attribute) else ()
    taken: list[tuple[int | str | None, ...]] = [(-1, size, *copies) for size in shape]
    taken[axis - 1 : axis + 1] = (2 * units,), (-1, shape[axis])
    return all(size in allowed for size, allowed in zip(target.stored().tolist(), taken, strict=True))


def _unknown(z: str, pair: Node) -> Refused:
    text = f"the shape of '{z}' is not known, so neither is how many units it has"
    return Refused("unknown-shape", text, pair.label)
