"""How far each Relu layer is from a PReLU layer, and what a fold would save if it were allowed to be off.

A double-width layer that computes a PReLU is nothing but pairs; one that was trained as it is uses its width for
something else. Which of the two, the residuals of the nearest pairs tell.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from ..algebra.floats import Array
from ..algebra.partners import Partners, partners
from ..algebra.recovery import pair_slope
from ..errors import Refused
from ..graph.draft import Draft
from ..graph.index import Node
from .engine import relus_meant
from .fold import kin_of, require_one_dtype
from .patterns import Scope
from .wide import Layers, layers_around

TOLERANCES: tuple[float, ...] = (0.0, 1e-6, 1e-4, 1e-2, 1e-1)
"""The residuals up to which a fold is asked what it would save; 0 is what it does without being allowed anything."""

_NEVER_ROUNDING = 0.1  # a residual that no roundings make: of a type of 8 bits, 4 ulps are less


@dataclass(frozen=True)
class Extent:
    """The least, the middle and the largest of some numbers."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Array) -> Extent | None:
        """That of some values, if there are any."""
        if not values.size:
            return None
        return cls(float(np.min(values)), float(np.median(values)), float(np.max(values)))


@dataclass(frozen=True)
class Saving:
    """What a fold of one layer would save if pairs could be off.

    Attributes:
        tolerance: By how much: the residual of :mod:`onnx_prelu.algebra.partners`; 0 for the roundings of the type.
        pairs: How many pairs of units there are then.
        parameters: How many parameters the layers around would have less, slopes counted.
    """

    tolerance: float
    pairs: int
    parameters: int


@dataclass(frozen=True)
class Distance:
    """How far a Relu layer is from a PReLU layer.

    Attributes:
        node: The Relu.
        units: How many units it has.
        parameters: How many parameters belong to them: rows, biases and columns.
        near: How many units have a partner at all: another unit of which less than half is off.
        residual: Of the units that have one, the residuals of the nearest; None where there are none.
        ulps: The same in ulps of the stored values.
        curve: What a fold would save, by tolerance, ascending.
    """

    node: str
    units: int
    parameters: int
    near: int
    residual: Extent | None
    ulps: Extent | None
    curve: tuple[Saving, ...]

    @property
    def pairs(self) -> int:
        """How many pairs there are up to the roundings of the type."""
        return self.curve[0].pairs


def distances(draft: Draft, scope: Scope) -> list[Distance]:
    """The distance of every Relu layer, between linear layers, that is no part of a site; in graph order.

    Args:
        draft: The working copy.
        scope: Which layers.

    Raises:
        BadInput: A slope is NaN or infinite.
        BadUsage: A pattern of the scope matches nothing.
    """
    return [distance for body, node in relus_meant(draft, scope) for distance in _distance(body, node)]


def _distance(draft: Draft, node: Node) -> Iterator[Distance]:
    """The distance of one Relu, if it is the activation of a layer that could be folded."""
    try:
        layers = layers_around(draft, node.inputs[0], node.outputs[0], (node,), node)
        require_one_dtype(layers, node)
    except Refused:
        return
    yield _measured(node, layers)


def _measured(node: Node, layers: Layers) -> Distance:
    before, after, units = layers.before, layers.after.layers, layers.before.units
    dtype, rows = before.weight.weight.dtype, before.rows()
    read: list[Array] = []

    def columns() -> Array:
        if not read:
            read.append(layers.after.columns())
        return read[0]

    found = partners(rows, columns, kin_of(layers), dtype)
    left = found.matched()
    rounding = [
        found.residual[pair] < _NEVER_ROUNDING and _is_pair(rows, columns(), found, pair, dtype) for pair in left
    ]
    residual = np.where(np.asarray(rounding, bool), 0, found.residual[left])
    parameters = rows.size + sum(math.prod(reading.layer.weight.weight.shape) for reading in after)
    nearest = found.nearest(units)
    nearest = nearest[nearest >= 0]
    curve = []
    for tolerance in TOLERANCES:
        pairs = int(np.sum(residual <= tolerance))
        saved = pairs * (parameters // units) - (units - pairs) if pairs else 0
        curve.append(Saving(tolerance, pairs, saved))
    return Distance(
        node.label, units, parameters, len(nearest),
        Extent.of(found.residual[nearest]), Extent.of(found.ulps[nearest]), tuple(curve),
    )  # fmt: skip


def _is_pair(rows: Array, columns: Array, found: Partners, pair: int, dtype: DTypeLike) -> bool:
    i, j = found.one[pair], found.other[pair]
    return pair_slope(rows[i], rows[j], columns[i], columns[j], dtype) is not None
