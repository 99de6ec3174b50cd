"""What stands at each unit where nothing depends on the input: of units whose row is zero, and of what steps add.

A unit with a row of zeros is the same whatever the input is. What it gives its readers can stand in their bias instead,
but not before a Conv that pads: at the border that sees 0, and not the unit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx

from ..algebra.floats import Array
from .between import Step, pad_mode
from .draft import Draft
from .index import Node
from .linear import Constant, Linear
from .readers import Reading


def at_rest(draft: Draft, layer: Linear) -> tuple[Array, Array] | None:
    """How a layer's units are made of its matrix: gain·(W·x) + offset, (units,) each; None where that is not said so.

    Computed in float64, of the stored values.
    """
    gain, offset = np.ones((layer.units, 1)), np.zeros((layer.units, 1))
    values = _Values(draft, (*layer.added, *layer.repeated), layer.units)
    for node in layer.nodes:
        gain, offset = _step(values, node, gain, offset)
    if gain.shape[1] != 1 or offset.shape[1] != 1:
        return None
    return gain[:, 0], offset[:, 0]


def carried(draft: Draft, steps: Iterable[Step], values: Array) -> Array | None:
    """What units of these values are behind some steps, the same wherever each unit stands.

    Args:
        draft: The working copy.
        steps: The steps, in order.
        values: (units,) one value a unit.

    Returns:
        (units, k): all that belongs to a unit of what the last step makes; None where a border sees something else.
    """
    found = values[:, None]
    for step in steps:
        if _has_border(step.node) or (found.shape[1] > 1 and not _keeps_place(step.node)):
            return None
        constants = _Values(draft, (*step.added, *step.repeated), len(values))
        found = _step(constants, step.node, np.ones_like(found), found)[1]
    return found


def takes_constants(draft: Draft, layer: Linear) -> bool:
    """Whether a layer sees the same of a constant unit at every place, and has a bias, or can be given one."""
    node = layer.weight.node
    given = _attributes(node)
    if node.op == "Conv":
        return not any(given.get("pads", ())) and given.get("auto_pad", b"NOTSET") in (b"NOTSET", b"VALID")
    if node.op == "MatMul":
        return bool(layer.added) or draft.opset >= 7  # before, an Add broadcasts only where an attribute says so
    return node.op == "Gemm" and given.get("beta", 1.0) != 0


def added_up(reading: Reading, values: Array) -> Array:
    """What a layer makes of units that are the same everywhere: (units of the layer,), in units of its bias.

    Args:
        reading: The layer.
        values: (units, k) as :func:`carried` gives them.
    """
    layer, repeats = reading.layer, reading.repeats
    block = layer.inputs // (reading.units * repeats)
    each = np.broadcast_to(values, (reading.units, repeats * block))
    inputs = np.moveaxis(each.reshape(reading.units, repeats, block), 0, 1).reshape(layer.groups, -1)
    rows = layer.matrix().reshape(layer.groups, layer.units // layer.groups, inputs.shape[1], -1).sum(axis=3)
    given = _attributes(layer.weight.node)
    scale = given.get("alpha", 1.0) / given.get("beta", 1.0)
    found: Array = np.einsum("gui,gi->gu", rows, inputs).reshape(-1)
    return found * float(scale)


class _Values:
    """The constants of some nodes, one value or several a unit, as float64."""

    def __init__(self, draft: Draft, parts: Iterable[Constant], units: int) -> None:
        self._draft = draft
        self._known: Mapping[tuple[Node, int], Array] = {
            (part.node, part.position): part.by_unit(units) for part in parts
        }

    def of(self, node: Node, first: int = 0) -> list[Array]:
        """Those of a node by position, from one on, (units, k) or (1, 1)."""
        found = []
        for position, name in list(enumerate(node.inputs))[first:]:
            if (node, position) in self._known:
                found.append(self._known[node, position])
            elif (weight := self._draft.constants.get(name)) is not None:  # one value serves all
                found.append(weight.values().reshape(1, 1))
        return found


def _step(values: _Values, node: Node, gain: Array, offset: Array) -> tuple[Array, Array]:
    given = _attributes(node)
    match node.op:
        case "Gemm":
            return gain * given.get("alpha", 1.0), offset + given.get("beta", 1.0) * sum(values.of(node, 2))
        case "Conv" | "ConvTranspose":
            return gain, offset + sum(values.of(node, 2))
        case "Add":
            return gain, offset + sum(values.of(node))
        case "Mul":
            (factor,) = values.of(node)
            return gain * factor, offset * factor
        case "BatchNormalization":
            scale, bias, mean, variance = values.of(node)
            factor = scale / np.sqrt(variance + given.get("epsilon", 1e-5))
            return gain * factor, (offset - mean) * factor + bias
        case _:
            return gain, offset


def _has_border(node: Node) -> bool:
    """Whether something else than a unit's own values can stand in what a step makes of it."""
    given = _attributes(node)
    padded = any(given.get("pads", ())) or given.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID")
    match node.op:
        case "Pad":
            return pad_mode(node) == "constant"
        case "AveragePool":
            return bool(given.get("count_include_pad", 0)) and (padded or bool(given.get("ceil_mode", 0)))
        case "MaxPool":  # a window of nothing but padding
            return bool(given.get("ceil_mode", 0)) or (padded and any(size > 1 for size in given.get("dilations", ())))
        case _:
            return False


def _keeps_place(node: Node) -> bool:
    return node.op in ("Identity", "Dropout", "Add", "Mul", "BatchNormalization")


def _attributes(node: Node) -> dict[str, Any]:
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.proto.attribute}
