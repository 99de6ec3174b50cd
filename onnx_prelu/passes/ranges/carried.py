"""How large an error inside a model can be at its outputs, in real numbers.

It goes by |W| through linear layers, and as it is through what brings no two values further apart.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...algebra.approximate import SAFE
from ...algebra.bounds import Box
from ...algebra.floats import Array
from ...errors import Refused
from ...graph.draft import Draft
from ...graph.index import Node
from ...graph.kinds import KINDS, OPS
from .layers import rounded
from .rules import read_node, sloped_by
from .shaped import along, placed

_SAME = frozenset({"Identity", "Neg", "Abs", "Relu", "Sigmoid", "Tanh", "Softsign"})
"""Ops that take each element by itself, and bring no two values of it further apart."""

_MIXED = frozenset({
    "AveragePool", "Flatten", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "Reshape", "Softmax", "Squeeze",
    "Transpose", "Unsqueeze",
})  # fmt: skip
"""Ops that bring no two tensors further apart, by the largest difference of any element."""


def carried(draft: Draft, errors: Mapping[str, Array]) -> dict[str, float]:
    """The most that each output of a graph can be off, where some tensors inside are.

    Args:
        draft: The graph.
        errors: How far tensors are off at most, in arrays that broadcast to them.

    Returns:
        By output, for those that can be off at all.

    Raises:
        Refused: ``unbounded-error``: what becomes of the error is not known on the way.
    """
    known = dict(errors)
    for node in draft.index.nodes():
        captured = any(use.node is node and use.position is None for name in known for use in draft.index.uses(name))
        if captured or any(name in known for name in node.inputs):
            error = (
                None if captured or len([name for name in node.outputs if name]) != 1 else _through(draft, node, known)
            )
            if error is None or not np.all(np.isfinite(error)):
                text = f"how far the outputs are off is not known, as {node.op} may enlarge an error"
                raise Refused("unbounded-error", text, node.label)
            known[node.outputs[0]] = error * SAFE
    return {name: float(np.max(known[name])) for name in draft.index.outputs if name in known}


def _through(draft: Draft, node: Node, known: Mapping[str, Array]) -> Array | None:
    """How far off the output of a node can be; None where that is not known."""
    read = [known.get(name) for name in node.inputs]
    first, others = read[0], [error for error in read[1:] if error is not None]
    if node.op in OPS:
        return None if first is None or others else _linear(draft, node, first)
    if node.op in ("Add", "Sub"):
        return np.asarray(sum(error for error in read if error is not None))
    if first is None or others:
        return None
    if node.op in _SAME:
        return first
    if node.op in _MIXED:
        return np.asarray(np.max(first))
    if node.op in ("LeakyRelu", "PRelu"):
        slope = sloped_by(read_node(draft, node, lambda _: None))
        return None if slope is None else np.asarray(first * max(1.0, float(np.max(np.abs(slope), initial=0.0))))
    return None


def _linear(draft: Draft, node: Node, error: Array) -> Array | None:
    kind = KINDS.get((node.op, 0))
    if kind is None:
        return None
    layer = kind(draft, node)
    groups = rounded(draft, layer).groups
    inputs = along(Box(error, error), layer.input_axis, layer.inputs).high
    parts = zip(groups, np.split(inputs, len(groups)), strict=True)
    off = np.concatenate([np.abs(rows.scale) * (np.abs(rows.weights).sum(axis=2) @ part) for rows, part in parts])
    return placed(Box(off, off), layer.output.axis).high
