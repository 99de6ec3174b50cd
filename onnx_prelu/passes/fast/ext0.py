"""ext0: slopes of both signs before a MaxPool and few channels. Negative slopes get a row of their own, then all pool.

    Conv(A) ─► PRelu(a) ─► MaxPool ─► Conv(V)      becomes

    Conv([A; a·A where a < 0]) ─► MaxPool ─┬─► Conv(D) ────────► Add ─► Conv(V·σ)
                                           └─► Conv(E) ─► Relu ──┘

With q the pooled z, and q' the pooled a·z: where a < 0 the largest PReLU of a window is Max(q, q') = q' + Relu(q − q').
Where a >= 0 it is σ·(σ·a·q + Relu(|1−a|·q)), with σ = −1 where a > 1. D and E are 1x1 kernels, on a quarter of the
data: dense ones stay in ONNX Runtime's blocked layout, and take the Relu and the sum in. The rows are free where they
fit into the last block of 16.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...algebra.floats import Array
from ...algebra.lanes import Lanes
from ...errors import Refused
from ...graph.draft import Draft
from ...graph.readers import Readers
from ...graph.weights import Weight
from ..behind import Behind, Nodes
from ..beside import require_ops
from ..plan import Plan
from ..sites import Site, working_type
from .pooled import BLOCK, layers_around_pool, max_pool, pooled_again, written_again


def plan_ext0(draft: Draft, site: Site) -> Plan:
    """All channels pooled first, and the activation two dense 1x1 Convs behind: exact up to rounding.

    For finite values only: a dense kernel multiplies every channel, so that one inf or NaN makes NaN of all of them.

    Raises:
        Refused: ``one-sign``, ``channel-count``, ``layer-kind``, ``group-layout``, ``dtype``, ``opset``,
            ``type-unknown``, ``runtime-slope``, ``slope-not-per-unit``, ``slope-enlarges``, ``overflow``, or what
            :func:`~.pooled.max_pool` and :func:`~onnx_prelu.passes.wide.layers_around` refuse.
        BadInput: The slope does not broadcast.
    """
    label = site.node.label
    require_ops(draft, site, ("Conv", "Relu", "Add"))
    pool = max_pool(draft, site)
    layers = layers_around_pool(draft, site, pool)
    before, place = layers.before, layers.before.output
    _require_convs(layers.after)
    slopes = site.slope.shrunk().per_unit(place.units, place.axis, label)
    negative = np.flatnonzero(slopes < 0)
    _require_room(len(slopes), len(negative), label)
    sign = np.where(slopes > 1, -1.0, 1.0)
    units, ones = np.arange(place.units), np.ones(place.units)
    behind = Behind(draft, "ext0", pool, site.x, pool.outputs[0], place, layers.after, Lanes(units, ones, slopes, sign))
    rows = np.concatenate([ones, slopes[negative]])
    none = np.zeros_like(rows)
    layer = written_again(behind, before, Lanes(np.concatenate([units, negative]), rows, none, none), "ext0")
    largest = behind.names.new(site.y, "ext0")
    shape = (len(slopes), len(rows), *[1] * (-1 - place.axis))
    dtype = working_type(draft, site)
    kernels = [Weight.of(kernel.reshape(shape).astype(dtype)) for kernel in _kernels(slopes, negative, sign)]
    activation = (*layer.nodes, pooled_again(behind, pool, layer.y, largest, "ext0"), *_sum(behind, largest, *kernels))
    plan = behind.plan((*before.nodes, *site.region, pool), activation, behind.layer)
    return replace(plan, node=site.node, x=before.x, region=site.region, activation=(site.x, site.y), lanes=None)


def _require_convs(after: Readers) -> None:
    nodes = [*(step.node for step in after.steps), *(reading.layer.nodes[0] for reading in after.layers)]
    for node in nodes:
        if node.op != "Conv":
            raise Refused("layer-kind", f"ext0 takes Convs that read the MaxPool, and this is {node.op}", node.label)


def _require_room(channels: int, negative: int, label: str) -> None:
    if not negative:
        raise Refused("one-sign", "no slope is below 0: pool takes all channels", label)
    if channels + negative > -(-channels // BLOCK) * BLOCK:
        text = f"{channels} channels and {negative} rows for negative slopes need another block of {BLOCK}"
        raise Refused("channel-count", text, label)


def _kernels(slopes: Array, negative: NDArray[np.intp], sign: Array) -> tuple[Array, Array]:
    """What stands beside the Relu and what in it, (C, C + negatives) each: of q first, then of q'."""
    below = slopes < 0
    beside, inside = np.where(below, 0.0, sign * slopes), np.where(below, 1.0, np.abs(1 - slopes))
    more = np.zeros((len(slopes), len(negative)))
    more[negative, np.arange(len(negative))] = 1
    return np.hstack([np.diag(beside), more]), np.hstack([np.diag(inside), -more])


def _sum(behind: Behind, x: str, beside: Weight, inside: Weight) -> Nodes:
    names, y = behind.names, behind.y
    linear, inner, bent = (names.new(y, suffix) for suffix in ("linear", "inner", "relu"))
    return (
        behind.node("Conv", [x, behind.constant(beside, y, "linear")], linear),
        behind.node("Conv", [x, behind.constant(inside, y, "inner")], inner),
        behind.node("Relu", [inner], bent),
        behind.node("Add", [linear, bent], behind.result),
    )
