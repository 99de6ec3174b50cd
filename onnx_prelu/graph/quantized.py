"""The value of a quantized constant: (x − zero point)·scale, for every opset; the reference evaluator begins at 19."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

Value = NDArray[Any]


def dequantized(proto: onnx.NodeProto, x: Value, scale: Value, zero_point: Value | None = None) -> Value | None:
    """What a DequantizeLinear makes of constants, in the type of the scale, rounded once.

    Args:
        proto: The node; ``axis`` and ``block_size`` say how a scale lies along x.
        x: The stored integers, or floats of 8 bits.
        scale: One for all, one for each index of the axis, or one for each block along it.
        zero_point: Of the shape of the scale; 0 by default.

    Returns:
        The values in the shape of x; None where the node asks for another type than the scale's, or its inputs do not
        fit together.
    """
    attributes = {attribute.name: attribute.i for attribute in proto.attribute}
    if attributes.get("output_dtype"):
        return None
    zero = np.zeros_like(scale) if zero_point is None else zero_point
    axis, block = attributes.get("axis", 1), attributes.get("block_size", 0)
    spread = [_along(part, x, axis, block) for part in (scale, zero)]
    if any(part is None for part in spread):
        return None
    wide_scale, wide_zero = (part for part in spread if part is not None)
    difference = x.astype(np.float64) - wide_zero.astype(np.float64)
    result: Value = difference.astype(scale.dtype) * wide_scale
    return result


def _along(part: Value, x: Value, axis: int, block: int) -> Value | None:
    """Scales or zero points in a shape that broadcasts to x."""
    if part.size == 1:
        return part.reshape(())
    if not -x.ndim <= axis < x.ndim:
        return None
    if block:
        wide = np.repeat(part, block, axis).take(range(x.shape[axis]), axis)
        return wide if wide.shape == x.shape else None
    if part.shape != (x.shape[axis],):
        return None
    return part.reshape([-1 if which == axis % x.ndim else 1 for which in range(x.ndim)])
