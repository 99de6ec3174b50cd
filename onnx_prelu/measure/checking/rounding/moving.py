"""Pools, and what only moves values."""

from __future__ import annotations

import numpy as np

from .bounded import Bounded, summed
from .call import Call, Uncovered
from .windows import pooled, window


def max_pool(call: Call) -> Bounded:
    """The largest of a window may be off as far as the farthest in it."""
    if len(call.node.output) > 1:
        raise Uncovered("MaxPool with its indices")
    x, given = call[0], call.attributes
    moved = window(given, given["kernel_shape"], x.value.shape[2:])
    return Bounded(pooled(x.value, moved, -np.inf, np.max), pooled(x.error, moved, 0.0, np.max), x.dtype)


def average_pool(call: Call) -> Bounded:
    """The mean of a window; what is padded may count."""
    x, given = call[0], call.attributes
    if given.get("ceil_mode"):
        raise Uncovered("AveragePool with ceil_mode")
    moved = window(given, given["kernel_shape"], x.value.shape[2:])
    size = int(np.prod(moved.kernel))
    within = size if given.get("count_include_pad") else pooled(np.ones_like(x.value), moved, 0.0, np.sum)
    value, error, terms = (pooled(part, moved, 0.0, np.sum) / within for part in (x.value, x.error, np.abs(x.value)))
    return Bounded(value, error + summed(size, x.dtype) * terms, x.dtype).stored()


def global_max(call: Call) -> Bounded:
    """The largest of each channel."""
    axes = tuple(range(2, call[0].value.ndim))
    value, error = (part.max(axis=axes, keepdims=True) for part in (call[0].value, call[0].error))
    return Bounded(value, error, call[0].dtype)


def moved(call: Call) -> list[Bounded]:
    """Errors go where their values go; what steers them has to be certain."""
    moving = [at for at in MOVING[call.node.op_type] if at < len(call.inputs)] or range(len(call.inputs))
    if any(given is not None and not given.certain for at, given in enumerate(call.inputs) if at not in moving):
        raise Uncovered(f"{call.node.op_type} steered by what is rounded")
    values = [None if given is None else given.value for given in call.inputs]
    errors = [None if g is None else g.error if at in moving else g.value for at, g in enumerate(call.inputs)]
    dtype = next(call[at].dtype for at in moving)
    made = zip(call.reference(values), call.reference(errors), strict=True)
    return [Bounded(value, np.abs(error), dtype) for value, error in made]


MOVING: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(
        (
            "DepthToSpace",
            "Expand",
            "Flatten",
            "Gather",
            "GatherElements",
            "GatherND",
            "Identity",
            "Reshape",
            "Slice",
            "SpaceToDepth",
            "Split",
            "Squeeze",
            "Tile",
            "Transpose",
            "Unsqueeze",
        ),
        (0,),
    ),
    "Concat": (),  # all of them
}


def dropout(call: Call) -> Bounded:
    """The input, outside of training."""
    training = call.get(2)
    if len(call.node.output) > 1 or (training is not None and training.value.any()):
        raise Uncovered("Dropout in training")
    return call[0]


def pad(call: Call) -> Bounded:
    """A border of one value, or of the input's own."""
    x = call[0]
    mode = call.attributes.get("mode", b"constant").decode()
    pads = call.numbers(1, "pads")
    if call.get(3) is not None or min(pads) < 0 or mode not in ("constant", "edge", "reflect"):
        raise Uncovered("Pad of some axes, to the inside, or round")
    widths = list(zip(pads[: x.value.ndim], pads[x.value.ndim :], strict=True))
    if mode != "constant":
        value, error = (np.pad(part, widths, mode=mode) for part in (x.value, x.error))
        return Bounded(value, error, x.dtype)
    fill = call.get(2)
    with_ = call.attributes.get("value", 0.0) if fill is None else fill.value.item()
    return Bounded(np.pad(x.value, widths, constant_values=with_), np.pad(x.error, widths), x.dtype)
