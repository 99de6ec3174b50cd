"""The rows of a linear layer as the algebra of bounds takes them, what adds to its units or scales them put in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from ...algebra.bounds import Box, Rounding, Rows, bounded
from ...algebra.floats import Array
from ...errors import Refused
from ...graph.draft import Draft
from ...graph.index import Node
from ...graph.linear import Linear


@dataclass(frozen=True)
class Rounded:
    """The rows of a linear layer, and the type that it computes in.

    Attributes:
        groups: Its rows, one entry a group; each group reads as many of the inputs, in order.
        rounding: How its type rounds.
        sees_zero: Whether a row reads, for some places of its output, 0 in place of inputs: at a padded border.
    """

    groups: tuple[Rows, ...]
    rounding: Rounding
    sees_zero: bool

    @property
    def rows(self) -> Rows | None:
        """The rows where all inputs are read by every unit, with one weight each; None where that is not so."""
        (first, *more) = self.groups
        return None if more or first.weights.shape[2] != 1 or self.sees_zero else first

    def z(self, x: Box) -> Box:
        """Bounds of what is computed for each unit, (units,), where the inputs lie in a box (inputs,)."""
        inputs = x.hull(0.0) if self.sees_zero else x
        parts = zip(self.groups, *(np.split(end, len(self.groups)) for end in (inputs.low, inputs.high)), strict=True)
        found = [bounded(rows, Box(low, high), self.rounding)[0] for rows, low, high in parts]
        return Box(np.concatenate([z.low for z in found]), np.concatenate([z.high for z in found]))


def rounded(draft: Draft, layer: Linear) -> Rounded:
    """The rows of a layer that :func:`~onnx_prelu.graph.producer.producer` found.

    A runtime may put what scales a unit into its weights, or not: what is rounded more often then is allowed for.

    Raises:
        Refused: ``unsupported-layout``: its bias is not one value a unit.
    """
    node = layer.nodes[0]
    given = attributes(node)
    units = layer.units
    scale = np.full(units, float(given.get("alpha", 1.0)))
    own = layer.added[0].by_unit(units) if len(node.inputs) > 2 and node.inputs[2] else np.zeros((units, 1))
    if own.shape[1] != 1:
        raise Refused("unsupported-layout", f"the bias of {node.op} is another in each row", node.label)
    shift = own[:, 0] * float(given.get("beta", 1.0))
    shifted = np.abs(shift)
    for behind in layer.nodes[1:]:
        factor, more, sizes = _affine(draft, behind, units)
        scale, shift, shifted = scale * factor, shift * factor + more, shifted * np.abs(factor) + sizes
    size = units // layer.groups
    parts = [slice(first, first + size) for first in range(0, units, size)]
    weights = _weights(layer)
    roundings = 4 + 8 * (len(layer.nodes) - 1)
    groups = tuple(Rows(weights[part], scale[part], shift[part], shifted[part], roundings) for part in parts)
    return Rounded(groups, Rounding.of(layer.weight.weight.dtype), sees_zero(node))


def sees_zero(node: Node) -> bool:
    """Whether a layer reads 0 for an input at some places: a Conv that pads, any ConvTranspose."""
    given = attributes(node)
    automatic = given.get("auto_pad", b"NOTSET") in (b"SAME_UPPER", b"SAME_LOWER")
    return node.op == "ConvTranspose" or automatic or any(given.get("pads", ()))


def attributes(node: Node) -> dict[str, Any]:
    """A node's attributes as Python values."""
    return {each.name: onnx.helper.get_attribute_value(each) for each in node.proto.attribute}


def _weights(layer: Linear) -> Array:
    """(units, inputs of a group, taps)."""
    weight = layer.weight.weight.values()
    if layer.weight.axis == 0:
        return weight.reshape(layer.units, layer.inputs // layer.groups, -1)
    blocks = weight.reshape(layer.groups, layer.inputs // layer.groups, layer.units // layer.groups, -1)
    return blocks.transpose(0, 2, 1, 3).reshape(layer.units, layer.inputs // layer.groups, -1)


def _affine(draft: Draft, node: Node, units: int) -> tuple[Array, Array, Array]:
    """What a node multiplies each unit by and adds to it, and the sum of the sizes of what makes up the latter."""
    known = [weight.values().reshape(-1) for name in node.inputs if (weight := draft.constants.get(name)) is not None]
    values = [np.broadcast_to(value, (units,)) for value in known]
    if node.op == "BatchNormalization":
        scale, bias, mean, variance = values
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = scale / np.sqrt(variance + attributes(node).get("epsilon", 1e-5))
        return factor, bias - mean * factor, np.abs(bias) + np.abs(mean * factor)
    (value,) = values
    one, nothing = np.ones(units), np.zeros(units)
    return (value, nothing, nothing) if node.op == "Mul" else (one, value, np.abs(value))
