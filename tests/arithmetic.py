"""A graph evaluated op by op in numpy and ml_dtypes, for types that no runtime has kernels for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from onnx import numpy_helper

Value = np.ndarray[Any, Any]


def _gemm(a: Value, b: Value, c: Value | None = None, *, transB: int = 0) -> Value:
    wide = a.astype(np.float64) @ (b.T if transB else b).astype(np.float64)
    return (wide if c is None else wide + c.astype(np.float64)).astype(a.dtype)


OPS: dict[str, Callable[..., Value]] = {
    "Add": lambda a, b: a + b,
    "Gemm": _gemm,
    "Identity": lambda x: x,
    "LeakyRelu": lambda x, alpha=0.01: np.where(x >= 0, x, (x * np.float32(alpha)).astype(x.dtype)),
    "MatMul": _gemm,
    "Max": np.maximum,
    "Min": np.minimum,
    "Mul": lambda a, b: a * b,
    "Neg": lambda x: -x,
    "PRelu": lambda x, a: np.where(x >= 0, x, (a * x).astype(x.dtype)),
    "Relu": lambda x: np.maximum(x, np.zeros((), x.dtype)),
    "Sub": lambda a, b: a - b,
}


def evaluate(model: onnx.ModelProto, feeds: dict[str, Value]) -> list[Value]:
    """The outputs; every op rounds once to the type of its operands, but for the sums of a Gemm."""
    known = {tensor.name: _array(tensor) for tensor in model.graph.initializer} | feeds
    for node in model.graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        inputs = [known[name] for name in node.input]
        result = OPS[node.op_type](*inputs, **attributes)
        assert result.dtype == inputs[0].dtype, node.op_type
        known[node.output[0]] = result
    return [known[value.name] for value in model.graph.output]


def _array(tensor: onnx.TensorProto) -> Value:
    if tensor.data_type == onnx.TensorProto.BFLOAT16:
        return np.frombuffer(tensor.raw_data, ml_dtypes.bfloat16).reshape(tensor.dims)
    return numpy_helper.to_array(tensor)
