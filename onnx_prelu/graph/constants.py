"""Is a tensor constant, and what is its value: behind Constant, Identity, Cast, Reshape, Mul and their like.

An initializer that is also a graph input can be overridden by the caller: from IR version 4 on it is no constant,
unless the user freezes it. In IR version 3 the format forces every initializer into the inputs; there it is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnx.reference
from numpy.typing import NDArray

from ..algebra.floats import round_to
from ..errors import Refused
from .index import Index, Node
from .quantized import dequantized
from .types import TensorType
from .values import array
from .weights import Weight

FOLDED = frozenset({
    "Cast", "CastLike", "Concat", "Constant", "ConstantOfShape", "DequantizeLinear", "Expand", "Flatten", "Identity",
    "Mul", "Neg", "Reshape", "Squeeze", "Transpose", "Unsqueeze",
})  # fmt: skip
"""Ops through which a constant is followed."""

_UNEVALUATED = (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError)

FLOAT_TYPES: dict[int, np.dtype[Any]] = {
    onnx.TensorProto.FLOAT: np.dtype(np.float32),
    onnx.TensorProto.FLOAT16: np.dtype(np.float16),
    onnx.TensorProto.DOUBLE: np.dtype(np.float64),
    onnx.TensorProto.BFLOAT16: np.dtype(ml_dtypes.bfloat16),
}
"""The floating-point types that rewrites work in, by their ONNX number."""

NUMBER_TYPES: dict[int, np.dtype[Any]] = FLOAT_TYPES | {
    onnx.TensorProto.INT32: np.dtype(np.int32),
    onnx.TensorProto.INT64: np.dtype(np.int64),
    onnx.TensorProto.UINT32: np.dtype(np.uint32),
    onnx.TensorProto.UINT64: np.dtype(np.uint64),
}
"""All types that PRelu exists for, by their ONNX number: the integers take elementwise forms only."""


def is_float(dtype: np.dtype[Any]) -> bool:
    """True for the floating-point types that rewrites work in."""
    return dtype in FLOAT_TYPES.values()


class Constants:
    """The constants of one body. Initializers are looked up, nodes over constants are evaluated, once each.

    Args:
        index: The body's index; initializers that an edit makes are told by :meth:`define`.
        folder: Where external data is.
        opset: The version of the standard domain.
        types: What is known of the types of tensors: a CastLike reads no more than that of its second input.
        overridable: Names of initializers that the caller may override.
        outer: The constants of the body around this one, which are constants here as well.
    """

    def __init__(
        self,
        index: Index,
        folder: Path | None,
        opset: int,
        types: Mapping[str, TensorType],
        overridable: frozenset[str],
        outer: Constants | None = None,
    ) -> None:
        self._index, self._folder, self._opset, self._types, self._outer = index, folder, opset, types, outer
        self.overridable: frozenset[str] = overridable | outer.overridable if outer is not None else overridable
        self._known: dict[str, Weight | None] = {}

    def define(self, name: str, weight: Weight) -> None:
        """Take in an initializer that an edit makes."""
        self._known[name] = weight

    def get(self, name: str) -> Weight | None:
        """The value of a tensor if it is constant, else None. The array is read when its values are needed."""
        if name not in self._known:
            self._known[name] = self._find(name)
        return self._known[name]

    def need(self, name: str, what: str, node: Node) -> Weight:
        """The value of a tensor that has to be constant.

        Raises:
            Refused: ``overridable-weight``, ``runtime-weight`` or ``quantized-weight``.
        """
        if name in self.overridable:
            text = f"{what} '{name}' is also a graph input, so a caller can override it; --freeze takes it as constant"
            raise Refused("overridable-weight", text, node.label)
        weight = self.get(name)
        if weight is None:
            raise Refused("runtime-weight", f"{what} '{name}' is computed at run time", node.label)
        if self._is_quantized(name):
            text = f"{what} '{name}' is quantized: new rows or columns need scales of their own; mirror leaves it alone"
            raise Refused("quantized-weight", text, node.label)
        return weight

    def _is_quantized(self, name: str) -> bool:
        """True if a constant comes through a DequantizeLinear."""
        node = self._index.maker.get(name)
        if node is None:
            return self._outer is not None and name in self._index.captured and self._outer._is_quantized(name)
        values = node.inputs[:1] if node.op == "CastLike" else node.inputs
        return node.op == "DequantizeLinear" or any(self._is_quantized(value) for value in values if value)

    def _find(self, name: str) -> Weight | None:
        if name in self.overridable:
            return None
        tensor = self._index.initializers.get(name)
        if tensor is not None:
            return _from_tensor(tensor, self._folder)
        node = self._index.maker.get(name)
        if node is None and self._outer is not None and name in self._index.captured:
            return self._outer.get(name)
        if node is None or node.op not in FOLDED or len(node.outputs) != 1:
            return None
        if node.op == "Constant" and node.proto.attribute and node.proto.attribute[0].name == "value":
            return _from_tensor(node.proto.attribute[0].t, self._folder)
        if node.op == "CastLike" and self.get(node.inputs[1]) is None:
            return self._cast_like(*node.inputs)
        inputs = [self.get(value) for value in node.inputs if value]
        if len(inputs) != len(node.inputs) or None in inputs:
            return None
        feeds = {value: weight.stored() for value, weight in zip(node.inputs, inputs, strict=True) if weight}
        if node.op == "DequantizeLinear":
            value = dequantized(node.proto, *(feeds[each] for each in node.inputs))
            return Weight.of(value) if value is not None else None
        value = _evaluate(node.proto, feeds, self._opset)
        return None if value is None else Weight.of(value)

    def _cast_like(self, value: str, like: str) -> Weight | None:
        """A constant in the floating-point type of a tensor that need not be one."""
        weight, known = self.get(value), self._types.get(like)
        dtype = FLOAT_TYPES.get(known.dtype) if known is not None else None
        if weight is None or dtype is None or weight.dtype not in NUMBER_TYPES.values():
            return None
        return Weight.of(round_to(weight.values(), dtype).astype(dtype))


def _from_tensor(tensor: onnx.TensorProto, folder: Path | None) -> Weight | None:
    if tensor.data_type == onnx.TensorProto.STRING:
        return None
    dtype = FLOAT_TYPES.get(tensor.data_type)
    if dtype is None:
        return Weight.of(array(tensor, folder))
    return Weight(lambda: array(tensor, folder), tuple(tensor.dims), dtype)


def _evaluate(proto: onnx.NodeProto, feeds: dict[str, NDArray[Any]], opset: int) -> NDArray[Any] | None:
    """One node over constants, by the onnx reference evaluator: its ops know every opset's rules.

    None where it cannot say (sparse constants, some ops of the first opsets): such a tensor counts as no constant.
    """
    types = [
        onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in feeds.items()
    ]
    outputs = [onnx.ValueInfoProto(name=proto.output[0])]
    graph = onnx.helper.make_graph([proto], "constant", types, outputs)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    try:
        (value,) = onnx.reference.ReferenceEvaluator(model).run(None, feeds)
    except _UNEVALUATED:
        return None
    return np.asarray(value) if isinstance(value, np.ndarray | np.generic) else None
