"""Units that are proven to stay on one side of zero, whatever the inputs in their ranges are.

A unit that never fires is dead where its slope is 0; with another slope it is linear. So is one that is always on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..algebra.bounds import Box
from ..algebra.floats import Array
from ..errors import Refused
from ..graph.draft import Draft
from ..graph.index import Node
from ..graph.linear import Linear
from ..graph.producer import producer
from .ranges.rules import read_node, sloped_by
from .ranges.shaped import along
from .ranges.walk import TIERS, ranges
from .sites import Slope

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Stable:
    """The units of an activation behind a linear layer, and what is proven of each.

    Attributes:
        node: The Relu, PRelu or LeakyRelu.
        layer: The layer that makes its units.
        slope: (units,) its slopes.
        off: (units,) whether what a unit reads is proven never to be above 0.
        on: (units,) whether it is proven never to be below 0, and is not off.
    """

    node: Node
    layer: Linear
    slope: Array
    off: Mask
    on: Mask

    @property
    def dead(self) -> Mask:
        """Units that are proven to give 0."""
        return np.asarray(self.off & (self.slope == 0))

    @property
    def factor(self) -> Array:
        """(units,) what a unit multiplies by where it is proven to be linear; NaN where it is not."""
        return np.where(self.on, 1.0, np.where(self.off, self.slope, np.nan))


def stable_units(draft: Draft, given: Mapping[str, Box], tier: str) -> list[Stable]:
    """What is proven of each activation behind a linear layer, in graph order.

    Args:
        draft: The body.
        given: Ranges of its inputs; arrays that broadcast to them.
        tier: One of :data:`~onnx_prelu.passes.ranges.walk.TIERS`.
    """
    found = list(layered(draft))
    if not found:
        return []
    known = ranges(draft, given, tier)
    result = []
    for node, layer, slope in found:
        if node.inputs[0] in known:
            z = along(known[node.inputs[0]].box, layer.output.axis, layer.units)
            off = z.high <= 0
            on = (z.low >= 0) & ~off
        else:
            off = on = np.zeros(layer.units, bool)
        result.append(Stable(node, layer, slope, off, on))
    return result


def layered(draft: Draft) -> Iterator[tuple[Node, Linear, Array]]:
    """The activations behind a linear layer that have one slope a unit: the node, the layer, the slopes."""
    for node in draft.index.nodes():
        if node.op not in ("Relu", "PRelu", "LeakyRelu"):
            continue
        value = np.zeros(()) if node.op == "Relu" else sloped_by(read_node(draft, node, lambda _: None))
        if value is None:
            continue
        try:
            layer = producer(draft, node.inputs[0])
            slope = Slope(value).per_unit(layer.units, layer.output.axis, node.label)
        except Refused:
            continue
        yield node, layer, slope


@dataclass(frozen=True)
class Proven:
    """How many units of a layer one way to find bounds decides.

    Attributes:
        tier: The way: ``"interval"``, ``"symbolic"`` or ``"bisect"``.
        dead: How many units give 0 whatever the inputs are.
        on: How many are never below 0, and give what they read.
        negative: How many are never above 0, and give their slope times what they read.
    """

    tier: str
    dead: int
    on: int
    negative: int

    @classmethod
    def by(cls, tier: str, found: Stable) -> Proven:
        """What was found that way."""
        dead = found.dead
        return cls(tier, int(np.sum(dead)), int(np.sum(found.on)), int(np.sum(found.off & ~dead)))


@dataclass(frozen=True)
class Units:
    """What is known of the units of an activation.

    Attributes:
        node: The activation's name.
        op: Its op: ``"Relu"``, ``"PRelu"`` or ``"LeakyRelu"``.
        units: How many units there are.
        proven: What each way to find bounds proves, the fastest first.
        silent: How many units gave nothing but 0 on the data; None where no data were given.
    """

    node: str
    op: str
    units: int
    proven: tuple[Proven, ...]
    silent: int | None = None


def counted_units(draft: Draft, given: Mapping[str, Box], tier: str) -> tuple[Units, ...]:
    """How many units each tier decides, up to one of them, in this body and those inside it.

    Args:
        draft: The draft of the model's graph.
        given: Ranges of its inputs.
        tier: The last tier to try.
    """
    result: list[Units] = []
    for scope in draft.scopes():
        box = given if scope is draft else {}
        by_tier = {each: stable_units(scope, box, each) for each in TIERS[: TIERS.index(tier) + 1]}
        for same in zip(*by_tier.values(), strict=True):
            counts = tuple(Proven.by(each, found) for each, found in zip(by_tier, same, strict=True))
            result.append(Units(same[0].node.label, same[0].node.op, same[0].layer.units, counts))
    return tuple(result)
