"""dwcat: before a depthwise Conv of stride 2 the activation is one Relu, and the Conv a sum of two.

    z ─► PRelu(a) ─► DW(ψ)          becomes      z ─┬───────────────► DW(ψ·a) ─► Add
                                                    └─► Relu ─► DW(ψ·(1−a)) ─────┘

At stride 2 a depthwise Conv writes a quarter of what it reads, so a second one costs less than another pass over z.
"""

from __future__ import annotations

import math

from ...errors import Refused
from ...graph.draft import Draft
from ...graph.linear import Linear
from ...graph.readers import Reading
from ..behind import Nodes
from ..plan import Plan
from ..sites import Site
from .two_ways import TwoWays, kernel, numbers


def plan_dwcat(draft: Draft, site: Site) -> Plan:
    """``DW(z; ψ·a) + DW(Relu(z); ψ·(1−a))``: exact up to a few ulps of the larger of the two sums.

    Any stride is taken; :func:`products` tells whether it pays. At +inf a slope outside of [0, 1] gives inf − inf, and
    one of 0 or 1 gives 0·inf, which are NaN; at −inf a slope of 0 does.

    Raises:
        Refused: ``layer-kind``: what reads the activation is no depthwise Conv; ``overflow``, or what
            :meth:`~onnx_prelu.passes.fast.two_ways.TwoWays.at` refuses.
        BadInput: The slope does not broadcast.
    """
    ways = TwoWays.at(draft, site, "dwcat")
    for reading in ways.behind.after.layers:
        if reading.layer.groups != reading.units:
            node = reading.layer.nodes[0]
            text = (
                f"dwcat takes depthwise Convs, and this one has {reading.layer.groups} groups for {reading.units} units"
            )
            raise Refused("layer-kind", text, node.label)

    def layer(reading: Reading) -> Nodes:
        return ways.summed(reading.layer, ways.linear(reading), ways.bent(reading))

    return ways.behind.plan(site.region, ways.relu(), layer)


def products(layer: Linear) -> float:
    """How many products a depthwise Conv makes of one value that it reads: dwcat pays up to about 2.25 of them.

    That is 3x3 at stride 2. At stride 1 the second Conv costs more than the pass that it saves.
    """
    strides = numbers(layer.weight.node, "strides")
    return math.prod(kernel(layer)) * layer.units / layer.inputs / math.prod(strides)
