"""Take out units that are proven dead: their rows, and the columns that read them.

    Gemm([A; D], [b; d]) ─► Relu ─► Gemm([V, W])    becomes    Gemm(A, b) ─► Relu ─► Gemm(V)

where D·x + d is never above 0. What steps behind the activation add to such a unit goes into the bias behind.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..algebra.lanes import kept
from ..algebra.reduction import Reduced, Sums
from ..errors import Refused
from ..graph.between import UNITWISE
from ..graph.draft import Draft
from .narrow import plan_narrow, still
from .plan import Plan
from .stable import Stable
from .wide import Layers, layers_around


def plan_prune(draft: Draft, found: Stable) -> Plan:
    """The plan that leaves out what is proven dead: up to the rounding of sums of fewer terms, within the ranges.

    Units that are always on get slope 1 where the layer has slopes. A Relu gives them the same, and stays one.

    Raises:
        Refused: ``none-dead``: no unit is proven dead that its readers can do without; or what
            :func:`~onnx_prelu.passes.wide.layers_around` and :func:`~onnx_prelu.passes.narrow.plan_narrow` refuse.
    """
    node = found.node
    layers = layers_around(draft, node.inputs[0], node.outputs[0], (node,), node, UNITWISE)
    units = layers.before.units
    movable = still(draft, layers).movable
    gone = found.dead & (movable | ~layers.after.adds(units))
    keep = _kept(layers, gone)
    count = units - len(keep)
    if not count:
        raise Refused("none-dead", "no unit is proven dead that what reads the activation can do without", node.label)
    slope = found.slope if not np.any(found.slope) else np.where(found.on, 1.0, found.slope)
    direction = np.full(units, -1, np.intp)
    direction[keep] = np.arange(len(keep))
    reduced = Reduced(
        lanes=kept(keep, slope[keep]),
        sums=Sums(np.arange(len(keep)), keep, np.ones(len(keep))),
        direction=direction,
        scale=np.ones(units),
        constant=np.empty(0, np.intp),
        constant_slope=np.empty(0),
        dropped=count,
    )
    note = f"{count} of {units} units are proven dead"
    return replace(plan_narrow(draft, node, layers, reduced, form="prune", note=note), seam=None, proven=True)


def _kept(layers: Layers, gone: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The units that stay: of each group equally many, and at least one, some dead ones among them where it has to."""
    inside = gone.reshape(layers.groups, -1)
    size = max(1, int(np.max(np.sum(~inside, axis=1))))
    first = np.sort(np.argsort(inside, axis=1, kind="stable")[:, :size], axis=1)
    return np.asarray((first + inside.shape[1] * np.arange(layers.groups)[:, None]).reshape(-1), np.intp)
