"""What reads an activation: steps that keep its units apart, and the linear layers at their ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..algebra.floats import Array
from ..algebra.lanes import Lanes
from ..errors import Refused
from .affine import AFFINE
from .between import BETWEEN, Row, Step
from .draft import Draft
from .index import Node, Use
from .kinds import KINDS, OPS
from .linear import Change, Linear, Place, gathered, spread
from .weights import Take


@dataclass(frozen=True)
class Reading:
    """A linear layer that reads units, each as blocks of its inputs.

    Attributes:
        layer: The layer.
        units: How many units it reads.
        repeats: How many times all units stand along its inputs.
    """

    layer: Linear
    units: int
    repeats: int = 1

    def columns(self) -> Array:
        """(units, q) stored weights, one row a unit."""
        return gathered(self.layer.columns(), self.units, self.repeats)

    def reads(self) -> NDArray[np.bool_]:
        """(units,) whether a weight other than 0 reads a unit."""
        return np.asarray(gathered(self.layer.reads(), self.units, self.repeats).any(axis=1))

    def with_columns(self, columns: Array) -> Change:
        """The matrix that the layer has with other columns, (units, q), of another number of units."""
        runs = columns.reshape(len(columns), self.repeats, -1)
        slices = self.layer.inputs // (self.units * self.repeats) * len(columns) * self.repeats
        return self.layer.with_columns(np.moveaxis(runs, 0, 1).reshape(slices, -1))

    def spread(self, take: Take) -> Take:
        """What is taken of the inputs where this is taken of the units."""
        return spread(take, self.units, self.layer.inputs, self.repeats)

    def take_columns(self, lanes: Lanes) -> Change:
        """The matrix that the layer has after units were replaced by lanes."""
        return self.layer.take_columns(self.spread(Take(lanes.unit, lanes.out)))


@dataclass(frozen=True)
class Readers:
    """All that reads an activation.

    Attributes:
        steps: The nodes between it and the layers.
        layers: The layers.
    """

    steps: tuple[Step, ...] = ()
    layers: tuple[Reading, ...] = ()

    @property
    def grouped(self) -> bool:
        """Whether some layer has groups, inside of which units have to stay."""
        return any(reading.layer.groups > 1 for reading in self.layers)

    @property
    def maxima(self) -> bool:
        """Whether some step takes maxima of each unit, as a pool does that is let through."""
        return any(step.maxima for step in self.steps)

    def path(self, reading: Reading) -> tuple[Step, ...]:
        """The steps on the way to a layer, in order."""
        makers = {step.node.outputs[0]: step for step in self.steps}
        found: list[Step] = []
        tensor = reading.layer.x
        while (step := makers.get(tensor)) is not None:
            found.append(step)
            tensor = next((name for name in step.node.inputs if name in makers), "")
        return tuple(found[::-1])

    def kin(self, units: int) -> Array:
        """(units, k) stored values that have to be equal where two units are one unit in two directions."""
        return np.concatenate([np.empty((units, 0)), *(step.kin() for step in self.steps)], axis=1)

    def columns(self) -> Array:
        """(units, q) the stored columns of all layers, one row a unit."""
        return np.concatenate([reading.columns() for reading in self.layers], axis=1)

    def adds(self, units: int) -> NDArray[np.bool_]:
        """(units,) whether something other than 0 is added to a unit on the way."""
        found = np.zeros(units, bool)
        for step in self.steps:
            found |= step.adds()
        return found


def readers(draft: Draft, tensor: str, place: Place, between: Mapping[str, Row] = BETWEEN) -> Readers:
    """All that reads a tensor, down to the linear layers.

    Args:
        draft: The working copy.
        tensor: The tensor.
        place: Where its units lie.
        between: The ops that may stand before the layers.

    Raises:
        Refused: ``graph-output``; ``consumer-not-linear``, or what the rows of between.py and the kinds of layers
            refuse.
    """
    steps: list[Step] = []
    layers: list[Reading] = []
    waiting = [(tensor, place)]
    while waiting:
        name, at = waiting.pop()
        for use in draft.index.uses(name):
            found = reader(draft, use, at, between)
            if isinstance(found, Reading):
                layers.append(found)
            else:
                steps.append(found)
                waiting.append((found.node.outputs[0], found.output))
    return Readers(tuple(steps), tuple(layers))


def reader(draft: Draft, use: Use, place: Place, between: Mapping[str, Row] = BETWEEN) -> Step | Reading:
    """What one use of units is: a step to further readers, or a layer; the arguments are those of :func:`readers`.

    Raises:
        Refused: ``graph-output``; ``consumer-not-linear``, or what the rows of between.py and the kinds of layers
            refuse.
    """
    first = use.position == 0 or (use.position == 1 and use.node.op in AFFINE)
    row = between.get(use.node.op) if first else None
    if row is None:
        return _reading(draft, use, place)
    step = row(draft, use, place)
    refuse_output(draft, step.node)
    return step


def refuse_output(draft: Draft, node: Node) -> None:
    """Refuse a node whose result is read from outside.

    Raises:
        Refused: ``graph-output``.
    """
    output = node.outputs[0]
    if output in draft.index.outputs:
        raise Refused("graph-output", f"'{output}' is an output of the graph", node.label)


def _reading(draft: Draft, use: Use, place: Place) -> Reading:
    node = use.node
    reader = KINDS.get((node.op, use.position)) if use.position is not None else None
    if reader is None:
        if use.position is None:
            how = f"captured by a body of {node.op}"
        elif node.op in OPS:
            how = f"input {use.position} of a {node.op}"
        else:
            how = f"read by {node.op}"
        raise Refused("consumer-not-linear", f"the activation is {how}, which is no linear layer over it", node.label)
    layer = reader(draft, node)
    if layer.input_axis != place.axis:
        raise Refused("consumer-not-linear", f"the {node.op} does not sum over the units", node.label)
    if layer.inputs % (place.units * place.repeats) or place.size not in (None, layer.inputs):
        text = f"the {node.op} has {layer.inputs} inputs, and there are {place.units} units"
        raise Refused("unsupported-layout", text, node.label)
    if place.units % layer.groups or (place.repeats > 1 and layer.groups > 1):
        text = f"the {node.op} splits units: {place.units} of them stand in {layer.groups} groups"
        raise Refused("group-layout", text, node.label)
    return Reading(layer, place.units, place.repeats)
