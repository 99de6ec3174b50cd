"""What may stand between an activation and the linear layers behind it: one row an op.

Such an op keeps units apart, is linear on each of them, and treats all alike, so it does to lanes what it did to units.
Constants that it has for each unit are repeated for each lane, what it adds stands on one lane of each unit.

    PRelu ─► AveragePool ─► Flatten ─► Gemm(V)      becomes      Relu ─► AveragePool ─► Flatten ─► Gemm([V, −V·a])
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..algebra.floats import Array
from ..algebra.lanes import Lanes
from ..errors import Refused
from .affine import AFFINE, computed_operand
from .draft import Draft
from .index import Node, Use
from .linear import Change, Constant, Place
from .weights import Take, Weight

Dim = int | str


@dataclass(frozen=True)
class Step:
    """A node between an activation and a linear layer.

    Attributes:
        node: The node.
        output: Where the units lie in its output.
        added: What it adds to each unit.
        repeated: What it multiplies each unit by.
        target: The shape of a Reshape, of which the entry at its axis is a multiple of the number of units.
        maxima: Whether it takes maxima of each unit, and so is not linear on it.
    """

    node: Node
    output: Place
    added: tuple[Constant, ...] = ()
    repeated: tuple[Constant, ...] = ()
    target: Constant | None = None
    maxima: bool = False

    def changes(self, lanes: Lanes) -> Iterator[Change]:
        """The constants that this node has after units were replaced by lanes."""
        units = self.output.units
        for part in self.added:
            yield part.take(units, Take(lanes.unit, lanes.bearing()))
        for part in self.repeated:
            yield part.take(units, Take(lanes.unit, np.ones(len(lanes))))
        if self.target is not None:
            shape = self.target.weight.stored().copy()
            shape[self.target.axis] = shape[self.target.axis] // units * len(lanes)
            yield Change(self.node, self.target.position, Weight.of(shape))

    def kin(self) -> Array:
        """(units, k) stored values that have to be equal where two units are one unit in two directions."""
        parts = [part.by_unit(self.output.units) for part in self.repeated]
        return np.concatenate([np.empty((self.output.units, 0)), *parts], axis=1)

    def adds(self) -> NDArray[np.bool_]:
        """(units,) whether this node adds something to a unit other than 0."""
        found = np.zeros(self.output.units, bool)
        for part in self.added:
            found |= np.any(part.by_unit(self.output.units) != 0, axis=1)
        return found


Row = Callable[[Draft, Use, Place], Step]


def _same(_: Draft, use: Use, place: Place) -> Step:
    return Step(use.node, place)


def _dropout(draft: Draft, use: Use, place: Place) -> Step:
    node = use.node
    training = draft.constants.get(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else None
    constant = len(node.inputs) < 3 or not node.inputs[2] or training is not None
    legacy = draft.opset < 7 and not any(a.name == "is_test" and a.i for a in node.proto.attribute)
    if not constant or legacy or (training is not None and bool(training.stored())):
        raise _not_linear(node, "the Dropout may be in training mode")
    if any(draft.index.is_read(name) for name in node.outputs[1:] if name):
        raise _not_linear(node, "the mask of the Dropout is read")
    return Step(node, place)


def _pool(_: Draft, use: Use, place: Place) -> Step:
    if place.number != 1:
        raise _not_linear(use.node, f"the {use.node.op} mixes units, which are not its channels here")
    return Step(use.node, place)


def _max_pool(_: Draft, use: Use, __: Place) -> Step:
    raise _not_linear(use.node, f"{use.node.op} takes a maximum, which is not that of a sum of lanes")


def _largest(draft: Draft, use: Use, place: Place) -> Step:
    if any(draft.index.is_read(name) for name in use.node.outputs[1:] if name):
        raise _not_linear(use.node, "the indices of the MaxPool are read")
    return replace(_pool(draft, use, place), maxima=True)


def _affine(draft: Draft, use: Use, place: Place) -> Step:
    if computed_operand(draft, use.node) != use.position:
        text = f"the activation is input {use.position} of {use.node.op}, together with another computed tensor"
        raise Refused("consumer-not-linear", text, use.node.label)
    found = AFFINE[use.node.op](draft, use, place)
    return Step(use.node, place, found.added, found.repeated)


def _reduce_mean(draft: Draft, use: Use, place: Place) -> Step:
    rank = _rank(use, place)
    attributes = {a.name: a for a in use.node.proto.attribute}
    axes: list[int] = list(attributes["axes"].ints) if "axes" in attributes else _integers(draft, use.node, 1)
    reduced = {axis % rank for axis in axes} or set(range(rank))
    if (place.axis + rank) in reduced:
        raise _not_linear(use.node, "the ReduceMean takes the mean over units")
    if "keepdims" not in attributes or attributes["keepdims"].i:
        return Step(use.node, place)
    gone = sum(axis > place.axis + rank for axis in reduced)
    return Step(use.node, replace(place, axis=place.axis + gone, rank=rank - len(reduced)))


def _pad(draft: Draft, use: Use, place: Place) -> Step:
    node = use.node
    pads = paddings(draft, node, place.rank)
    if place.axis in pads:
        raise _not_linear(node, "the Pad adds units")
    if pad_mode(node) == "constant" and padded_with(draft, node) != 0:
        raise _not_linear(node, "the Pad fills with something else than 0, once for each lane")
    return Step(node, place)


def pad_mode(node: Node) -> str:
    """How a Pad fills."""
    return next((a.s.decode() for a in node.proto.attribute if a.name == "mode"), "constant")


def paddings(draft: Draft, node: Node, rank: int | None = None) -> dict[int, tuple[int, int]]:
    """What a Pad adds before and after, by axis, counted from the end; only axes to which it adds something.

    Args:
        draft: The working copy.
        node: The Pad.
        rank: The rank of its input, where it is known: without it, the axes of the Pad have to be all.

    Raises:
        Refused: ``overridable-weight``, ``runtime-weight``, ``quantized-weight``.
    """
    given = next((list(a.ints) for a in node.proto.attribute if a.name == "pads"), None)
    pads = _integers(draft, node, 1) if given is None else given
    rank = rank or len(pads) // 2
    axes = _integers(draft, node, 3) or list(range(rank))
    pairs = zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True)
    return {axis % rank - rank: (first, last) for axis, first, last in pairs if first or last}


def padded_with(draft: Draft, node: Node) -> float:
    """What a Pad of mode constant fills with.

    Raises:
        Refused: ``overridable-weight``, ``runtime-weight``, ``quantized-weight``.
    """
    if len(node.inputs) > 2 and node.inputs[2]:
        return float(draft.constants.need(node.inputs[2], "the filling", node).values().reshape(()))
    return float(next((a.f for a in node.proto.attribute if a.name == "value"), 0.0))


def _transpose(_: Draft, use: Use, place: Place) -> Step:
    perm: list[int] = next((list(a.ints) for a in use.node.proto.attribute if a.name == "perm"), [])
    rank = len(perm) or _rank(use, place)
    axis = (perm or list(range(rank))[::-1]).index(place.axis + rank)
    return Step(use.node, replace(place, axis=axis - rank, rank=rank))


def _flatten(draft: Draft, use: Use, place: Place) -> Step:
    rank, shape = _rank(use, place), draft.shape(_read(use))
    axis = next((a.i for a in use.node.proto.attribute if a.name == "axis"), 1)
    first, unit = axis + rank if axis < 0 else axis, place.axis + rank
    dims: list[int | str | None] = [None] * rank if shape is None else list(shape)
    runs = _runs(dims[first:unit])
    if first > unit or runs is None:
        raise _not_linear(use.node, "the Flatten puts units into its rows, or behind axes whose sizes are not known")
    block = _block(place, dims[unit + 1 :])
    return Step(use.node, Place(-1, place.units, block, 2, runs * place.repeats))


def _reshape(draft: Draft, use: Use, place: Place) -> Step:
    """A Reshape to a constant shape, in which one axis holds the units, each as blocks of neighbours.

    The entries before that axis have to come to what stood before the units, or before some axes of known sizes in
    front of them: either they are the same, or those from that axis on come to the rest. All units stand once for each
    index of those axes.
    """
    node, shape = use.node, draft.shape(_read(use))
    if len(node.inputs) < 2:
        raise _not_linear(node, "the shape of the Reshape is an attribute (opset 1)")
    if shape is None:
        raise _unknown(use)
    unit = place.axis + len(shape)
    weight = draft.constants.need(node.inputs[1], "the shape", node)
    target = [int(size) for size in weight.stored()]
    copies = not any(a.name == "allowzero" and a.i for a in node.proto.attribute)
    before: list[Dim] = [f"axis {number}" if not isinstance(d, int) else d for number, d in enumerate(shape)]
    after: list[Dim] = [
        before[i] if size == 0 and copies and i < len(before) else size for i, size in enumerate(target)
    ]
    inner = _block(place, shape[unit + 1 :])
    axes = sorted(range(len(target)), key=lambda axis: (axis != unit, -axis))
    for first, axis in itertools.product(range(unit, -1, -1), axes):
        copied = [i for i, size in enumerate(target) if size == 0 and copies and (i == axis) != (i == unit)]
        runs = _runs(shape[first:unit])
        if copied or runs is None:
            continue
        repeats = runs * place.repeats
        if _outermost(before[:first], after, axis, repeats * place.units, inner):
            block = _entry_block(after, axis, repeats * place.units, inner)
            changed = Constant(node, 1, weight, axis) if target[axis] > 0 else None
            output = Place(axis - len(target), place.units, block, len(target), repeats)
            return Step(node, output, target=changed)
    raise _not_linear(node, "the Reshape does not keep units together, or its shape is not known well enough to say")


def _outermost(leading: list[Dim], after: list[Dim], axis: int, units: int, inner: int | None) -> bool:
    """Whether entries of a shape from an axis on hold exactly the units, all runs of them, in whole blocks."""
    head, tail = after[:axis], after[axis:]
    entry, rest = tail[0], _product(tail[1:])
    if entry == -1:
        whole = rest == 1 or (rest is not None and inner is not None and rest > 0 and inner % rest == 0)
        return whole and _same_size(head, leading)
    if not isinstance(entry, int) or entry % units:
        return False
    total = _product(tail)
    if total is not None and inner is not None and total > 0:
        return total == units * inner
    return -1 not in head and _same_size(head, leading)


def _entry_block(after: list[Dim], axis: int, units: int, inner: int | None) -> int | None:
    entry = after[axis]
    if isinstance(entry, int) and entry > 0:
        return entry // units
    rest = _product(after[axis + 1 :])
    return inner // rest if inner is not None and rest else None


def _same_size(one: list[Dim], two: list[Dim]) -> bool:
    """Whether two lists of dimensions come to the same number of elements, whatever the unknown ones are."""
    if -1 in one:
        return False
    names = [sorted(d for d in dims if isinstance(d, str)) for dims in (one, two)]
    sizes = [math.prod(d for d in dims if isinstance(d, int)) for dims in (one, two)]
    return names[0] == names[1] and sizes[0] == sizes[1]


def _product(dims: list[Dim]) -> int | None:
    """The product of known dimensions, None where one is not known."""
    numbers = [d for d in dims if isinstance(d, int) and d >= 0]
    return math.prod(numbers) if len(numbers) == len(dims) else None


BETWEEN: Mapping[str, Row] = {
    "Add": _affine,
    "AveragePool": _pool,
    "BatchNormalization": _affine,
    "Dropout": _dropout,
    "Flatten": _flatten,
    "GlobalAveragePool": _pool,
    "GlobalMaxPool": _max_pool,
    "Identity": _same,
    "MaxPool": _max_pool,
    "Mul": _affine,
    "Pad": _pad,
    "ReduceMean": _reduce_mean,
    "Reshape": _reshape,
    "Transpose": _transpose,
}
"""By op: the step that a node is for units at a place. Raises Refused: ``between-not-linear``, ``unknown-shape``,
``consumer-not-linear``, or what a constant refuses."""

UNITWISE: Mapping[str, Row] = {**BETWEEN, "GlobalMaxPool": _largest, "MaxPool": _largest}
"""The same with ops that are not linear on a unit, but do to a positive multiple of it what they do to it."""


def _not_linear(node: Node, text: str) -> Refused:
    return Refused("between-not-linear", text, node.label)


def _unknown(use: Use) -> Refused:
    text = f"the shape of '{_read(use)}' is not known, so neither is what {use.node.op} does to its units"
    return Refused("unknown-shape", text, use.node.label)


def _read(use: Use) -> str:
    assert use.position is not None
    return use.node.inputs[use.position]


def _rank(use: Use, place: Place) -> int:
    if place.rank is None:
        raise _unknown(use)
    return place.rank


def _runs(dims: Sequence[int | str | None]) -> int | None:
    """How many times the units stand along one axis, once these dimensions in front of them are laid out with them."""
    sizes = [size for size in dims if isinstance(size, int) and size > 0]
    return math.prod(sizes) if len(sizes) == len(dims) else None


def _block(place: Place, inner: Sequence[int | str | None]) -> int | None:
    """How many neighbours a unit has, once the dimensions behind its axis are laid out one behind the other."""
    sizes = [size for size in inner if isinstance(size, int)]
    if place.block is None or len(sizes) < len(inner):
        return None
    return place.block * math.prod(sizes)


def _integers(draft: Draft, node: Node, position: int) -> list[int]:
    """A list of integers that is an input; empty where it is left out."""
    if len(node.inputs) <= position or not node.inputs[position]:
        return []
    weight = draft.constants.need(node.inputs[position], f"input {position} of {node.op}", node)
    return [int(value) for value in weight.stored().reshape(-1)]
