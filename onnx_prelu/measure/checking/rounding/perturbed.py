"""A model with its weights moved by one float each: how far its outputs move tells how they take rounding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import onnx
from onnx import numpy_helper

from ....graph.external import is_external
from ....graph.model import LIMIT, Model, array, tensors
from ....graph.walk import roots, within
from ...inputs.dtypes import is_float, numpy_dtype
from .bounded import Array

# Floats that say what is computed, rather than being computed with: x to the power of 2.0000002 is NaN below 0.
_SETTINGS = {("Dropout", 1), ("Dropout", 2), ("Pow", 1), ("Resize", 1), ("Resize", 2), ("Upsample", 1)}


def perturbed(model: Model, rng: np.random.Generator) -> Model | None:
    """The model with each float of its constants one float up or down, at random; zeros stay.

    Args:
        model: The model; it is not changed.
        rng: Draws the directions.

    Returns:
        A model with all its data inside; None where it holds no floats, or more than a file can.
    """
    if not any(map(_floats, tensors(model.proto))) or _weight_bytes(model) > LIMIT:
        return None
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    for tensor in tensors(proto):
        if is_external(tensor):
            tensor.CopyFrom(numpy_helper.from_array(array(tensor, model.folder), tensor.name))
    for tensor in _weights(proto):
        tensor.CopyFrom(numpy_helper.from_array(_moved(array(tensor, None), rng), tensor.name))
    return replace(model, proto=proto, raw=None, path=None)


def _weight_bytes(model: Model) -> int:
    """What the constants of a model take, inside or outside of it."""
    return sum(
        int(np.prod(each.dims, dtype=np.int64)) * numpy_dtype(each.data_type).itemsize for each in tensors(model.proto)
    )


def _floats(tensor: onnx.TensorProto) -> bool:
    return is_float(numpy_dtype(tensor.data_type))


def _weights(proto: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Floats in initializers and Constant nodes, of all bodies, that are no settings."""
    bodies = [body for root in roots(proto) for body in within(root)]
    readers = ((node, at, name) for body in bodies for node in body.node for at, name in enumerate(node.input))
    settings = {name for node, at, name in readers if (node.op_type, at) in _SETTINGS}
    for body in bodies:
        if isinstance(body, onnx.GraphProto):
            yield from (each for each in body.initializer if _floats(each) and each.name not in settings)
        for node in body.node:
            if node.op_type == "Constant" and node.output[0] not in settings:
                yield from (each.t for each in node.attribute if each.HasField("t") and _floats(each.t))


def _moved(values: Array, rng: np.random.Generator) -> Array:
    """Next floats. The bits of floats of one sign are in the order of their magnitudes."""
    bits = np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}").reshape(values.shape)
    steps = np.where(rng.random(values.shape) < 0.5, 1, -1).astype(bits.dtype)
    moved = np.asarray(bits + steps).view(values.dtype).reshape(values.shape)
    return np.where(np.isfinite(moved) & (values != 0), moved, values)
