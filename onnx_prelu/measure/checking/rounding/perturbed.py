"""A model with its weights moved by one float each: how far its outputs move tells how they take rounding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
from onnx import numpy_helper

from ....graph.external import is_external
from ....graph.model import LIMIT, Model, array, tensors
from ...inputs.dtypes import is_float, numpy_dtype
from .bounded import Array


def perturbed(model: Model, rng: np.random.Generator) -> Model | None:
    """The model with each float of its constants one float up or down, at random; zeros stay.

    Args:
        model: The model; it is not changed.
        rng: Draws the directions.

    Returns:
        A model with all its data inside; None where it holds no floats, or more than a file can.
    """
    known = list(tensors(model.proto))
    if not any(is_float(numpy_dtype(each.data_type)) for each in known) or weight_bytes(model) > LIMIT:
        return None
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    for tensor in tensors(proto):
        if is_float(numpy_dtype(tensor.data_type)):
            moved = _moved(array(tensor, model.folder), rng)
        elif is_external(tensor):
            moved = array(tensor, model.folder)
        else:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(moved, name))
    return replace(model, proto=proto, raw=None, path=None)


def weight_bytes(model: Model) -> int:
    """What the constants of a model take, inside or outside of it."""
    return sum(
        int(np.prod(each.dims, dtype=np.int64)) * numpy_dtype(each.data_type).itemsize
        for each in tensors(model.proto)
    )


def _moved(values: Array, rng: np.random.Generator) -> Array:
    """Next floats. The bits of floats of one sign are in the order of their magnitudes."""
    bits = np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}").reshape(values.shape)
    steps = np.where(rng.random(values.shape) < 0.5, 1, -1).astype(bits.dtype)
    moved = np.asarray(bits + steps).view(values.dtype).reshape(values.shape)
    return np.where(np.isfinite(moved) & (values != 0), moved, values)
