"""Models from ONNX text, with weights given as arrays or as shapes to fill at random."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
from onnx import numpy_helper

from tests.strategies import stored


def from_text(body, inputs, outputs, weights, *, opset=17, ir=8, dtype=np.float32):
    """A model of node lines, two spaces apart; nodes go by ``n_`` and their first output.

    A weight that is a tuple is a shape, to be filled at random; one that is a list holds integers or truth values.
    """
    rng = np.random.default_rng(0)
    lines = [line for line in body.replace("  ", "\n").split("\n") if line.strip()]
    text = f'<ir_version: {ir}, opset_import: ["" : {opset}]>\ng ({inputs}) => ({outputs}) {{ '
    proto = onnx.parser.parse_model(text + "\n".join(lines) + " }")
    for name, value in weights.items():
        array = stored(rng, value, dtype) if isinstance(value, tuple) else np.asarray(value)
        array = array.astype(dtype) if array.dtype == np.float64 else array
        proto.graph.initializer.append(numpy_helper.from_array(array, name))
    for node in proto.graph.node:
        node.name = node.name or f"n_{node.output[0]}"
    return proto


def feeds(model, seed=0):
    """Normal values for the inputs of a model whose shapes are all known; 2 for a dimension that is not."""
    rng = np.random.default_rng(seed)
    result = {}
    for value in model.graph.input:
        shape = [dim.dim_value or 2 for dim in value.type.tensor_type.shape.dim]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        result[value.name] = rng.normal(size=shape).astype(dtype)
    return result
