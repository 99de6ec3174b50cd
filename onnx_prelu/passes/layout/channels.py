"""All tensors that have their channels in common, with the nodes between them and the layers at their ends.

    Conv ─► PRelu ─► depthwise Conv ─► Add ─► MaxPool ─► Conv
                                       └ another Conv

Between the dense layers at its ends, every node works on each channel by itself, so that channels can be added to all
of these tensors at once: as zero rows of the layers that make them, and zero columns of those that read them. What the
added channels hold in between is finite and counts nothing; it is 0 but behind a Sigmoid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from ...algebra.lanes import Lanes
from ...errors import Refused
from ...graph.affine import AFFINE, computed_operand
from ...graph.between import BETWEEN
from ...graph.draft import Draft
from ...graph.index import Node, Use
from ...graph.kinds import KINDS, conv
from ...graph.linear import Change, Linear, Place
from ...graph.readers import Reading
from ...graph.weights import Take


@dataclass
class Channels:
    """Tensors with their channels in common.

    Attributes:
        draft: The working copy.
        places: Where the channels lie in each of the tensors.
        makers: The dense layers that make some of them.
        readings: The layers that read some of them.
        inside: What becomes of a node's constants with other lanes, for every node between them.
        depthwise: The depthwise Convs among these nodes.
    """

    draft: Draft
    places: dict[str, Place]
    makers: dict[Node, Linear] = field(default_factory=dict)
    readings: dict[Node, Reading] = field(default_factory=dict)
    inside: dict[Node, Callable[[Lanes], Iterator[Change]]] = field(default_factory=dict)
    depthwise: set[Node] = field(default_factory=set)

    @classmethod
    def of(cls, draft: Draft, tensor: str, units: int) -> Channels:
        """All tensors that have their channels in common with one of four dimensions.

        Raises:
            Refused: ``graph-output``, ``no-linear-producer``, ``consumer-not-linear``, ``group-layout``, or what a
                constant, a layer or a step refuses: channels cannot be added to all of them.
        """
        self = cls(draft, {})
        waiting = [(tensor, Place(-3, units, rank=4))]
        while waiting:
            name, place = waiting.pop()
            if name in self.places:
                continue
            self.places[name] = place
            self._require_own(name)
            waiting.extend(self._made(name, place))
            for use in draft.index.uses(name):
                waiting.extend(self._read(use, place))
        return self

    def nodes(self) -> list[Node]:
        """All nodes that change."""
        return list(dict.fromkeys((*self.makers, *self.inside, *self.readings)))

    def changes(self, lanes: Lanes) -> Iterator[Change]:
        """The constants after the channels were replaced by lanes."""
        for node, layer in self.makers.items():
            matrix, *rest = layer.take_rows(lanes)
            if node in self.readings:  # of one layer, both sides change
                wide = replace(layer, weight=replace(layer.weight, weight=matrix.weight))
                matrix = replace(self.readings[node], layer=wide).take_columns(lanes)
            yield from (matrix, *rest)
        for node, reading in self.readings.items():
            if node not in self.makers:
                yield reading.take_columns(lanes)
        for inner in self.inside.values():
            yield from inner(lanes)

    def _require_own(self, tensor: str) -> None:
        index = self.draft.index
        if tensor in index.outputs or tensor in index.pinned:
            raise Refused("graph-output", f"'{tensor}' is an output of the graph", tensor)
        if tensor not in index.maker:
            raise Refused("no-linear-producer", f"'{tensor}' is not made by a layer of this graph", tensor)

    def _made(self, tensor: str, place: Place) -> Iterator[tuple[str, Place]]:
        """What makes a tensor: a layer, or a node inside."""
        node = self.draft.index.maker[tensor]
        if node in self.makers or node in self.inside:
            return
        if node.op == "Conv" and not _is_depthwise(self.draft, node, place):
            self.makers[node] = _dense(conv(self.draft, node))
            return
        if node.op in _STEPS_IN_PLACE:  # taken when its input is read
            yield node.inputs[0], place
        else:
            yield from self._inner(node, place)

    def _read(self, use: Use, place: Place) -> Iterator[tuple[str, Place]]:
        node = use.node
        if node in self.inside:
            return
        if use.position is None:
            raise Refused("consumer-not-linear", f"the channels are captured by a body of {node.op}", node.label)
        kind = KINDS.get((node.op, use.position))
        if kind is not None and not _is_depthwise(self.draft, node, place):
            layer = _dense(kind(self.draft, node))
            if layer.input_axis != place.axis or place.size not in (None, layer.inputs) or layer.inputs % place.units:
                raise Refused("consumer-not-linear", f"the {node.op} does not sum over the channels", node.label)
            self.readings[node] = Reading(layer, place.units, place.repeats)
        elif node.op in _STEPS:
            step = BETWEEN[node.op](self.draft, use, place)
            self.inside[node] = step.changes
            yield node.outputs[0], step.output
        else:
            yield from self._inner(node, place)

    def _inner(self, node: Node, place: Place) -> Iterator[tuple[str, Place]]:
        """A node between tensors that all have their channels in common, at the same place."""
        if any(node.outputs[1:]):
            raise Refused("unsupported-layout", f"the {node.op} has more than one output", node.label)
        tensors = [node.inputs[0]]
        if _is_depthwise(self.draft, node, place):
            self.inside[node] = conv(self.draft, node).take_rows
            self.depthwise.add(node)
        elif _keeps_channels(self.draft, node, place):
            self.inside[node] = _unchanged
        elif node.op == "PRelu" or (node.op in AFFINE and computed_operand(self.draft, node) is not None):
            position = computed_operand(self.draft, node) if node.op in AFFINE else 0
            tensors = [node.inputs[position or 0]]
            self.inside[node] = _by_channel(self.draft, Use(node, position), place)
        elif node.op in _SUMS and self._alike(node, place):
            tensors = list(node.inputs)
            self.inside[node] = _unchanged
        else:
            raise Refused("consumer-not-linear", f"{node.op} is not known to keep channels apart", node.label)
        for name in (*tensors, node.outputs[0]):
            yield name, place

    def _alike(self, node: Node, place: Place) -> bool:
        """Whether all operands are computed and have the channels at the same place."""
        for name in node.inputs:
            shape = self.draft.shape(name)
            if shape is None or len(shape) != place.rank or shape[place.axis] != place.size:
                return False
            if self.draft.constants.get(name) is not None:
                return False
        return True


_UNARY = frozenset({
    "Abs", "Elu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Mish", "Neg", "Relu", "Selu", "Sigmoid",
    "Softsign", "Tanh",
})  # fmt: skip
"""Finite at 0, and at whatever they give there."""

_POOLS = frozenset({"AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool"})
_SUMS = frozenset({"Add", "Max", "Min", "Mul", "Sub", "Sum"})
_STEPS_IN_PLACE = frozenset({"Dropout", "Pad"})
_STEPS = _STEPS_IN_PLACE | {"Flatten", "ReduceMean", "Reshape"}


def _keeps_channels(draft: Draft, node: Node, place: Place) -> bool:
    """Whether a node of one tensor works on each channel by itself, and is finite on zeros."""
    if node.op in _POOLS:
        return place.number == 1
    return node.op in _UNARY or (node.op == "Clip" and _spans_zero(draft, node))


def _unchanged(_: Lanes) -> Iterator[Change]:
    yield from ()


def _is_depthwise(draft: Draft, node: Node, place: Place) -> bool:
    """Whether a node is a Conv with as many groups as channels, each of one input and one output."""
    if node.op != "Conv" or place.number != 1:
        return False
    kernel = draft.constants.get(node.inputs[1])
    groups = next((a.i for a in node.proto.attribute if a.name == "group"), 1)
    return kernel is not None and groups == place.units > 1 and kernel.shape[:2] == (place.units, 1)


def _dense(layer: Linear) -> Linear:
    if layer.groups != 1:
        raise Refused("group-layout", "its groups would not keep whole channels", layer.nodes[0].label)
    return layer


def _spans_zero(draft: Draft, node: Node) -> bool:
    """Whether a Clip gives 0 at 0, by its attributes or its constant limits."""
    given = {a.name: a.f for a in node.proto.attribute}
    limits = [given.get("min", -np.inf), given.get("max", np.inf)]
    for number, name in enumerate(node.inputs[1:3]):
        weight = draft.constants.get(name) if name else None
        if name and weight is None:
            return False
        if weight is not None:
            limits[number] = float(weight.values().reshape(()))
    return limits[0] <= 0 <= limits[1]


def _by_channel(draft: Draft, use: Use, place: Place) -> Callable[[Lanes], Iterator[Change]]:
    """A node with constants by channel: what is added has to be 0 where nothing is, the rest may be anything."""
    affine = AFFINE["Mul" if use.node.op == "PRelu" else use.node.op](draft, use, place)

    def changes(lanes: Lanes) -> Iterator[Change]:
        for part in affine.added:
            yield part.take(place.units, Take(lanes.unit, lanes.row))
        for part in affine.repeated:
            yield part.take(place.units, Take(lanes.unit, np.ones(len(lanes))))

    return changes
