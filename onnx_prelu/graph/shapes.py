"""Shapes that a model computes for itself: the arithmetic on them, done ahead where it starts from known shapes.

Exporters write `Reshape(x, Concat(Gather(Shape(x), 0), −1))`. ONNX's inference follows this for some ops in some opsets
only; and behind a Reshape to an unknown shape, everything is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, OperatorSetIdProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

Value = NDArray[Any]

_FEW = 128  # elements: more is data, not a shape
_OPS = frozenset({
    "Add", "Cast", "Ceil", "Concat", "Constant", "ConstantOfShape", "Div", "Equal", "Expand", "Floor", "Gather",
    "Identity", "Max", "Min", "Mod", "Mul", "Neg", "Not", "Range", "ReduceProd", "Reshape", "Shape", "Size", "Slice",
    "Split", "Squeeze", "Sub", "Transpose", "Unsqueeze", "Where",
})  # fmt: skip
_TYPES = (TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL)
_FAILURES = (ArithmeticError, LookupError, NotImplementedError, RuntimeError, TypeError, ValueError)


def constants(model: ModelProto) -> dict[str, Value]:
    """The values of integer initializers that no caller can override: those that are no inputs.

    IR version 3 made all of them inputs, so there they count.
    """
    overridable = {value.name for value in model.graph.input} if model.ir_version >= 4 else set()
    return {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in model.graph.initializer
        if tensor.name not in overridable
        and tensor.data_location != TensorProto.EXTERNAL
        and tensor.data_type in _TYPES
    }


def settle(model: ModelProto, shapes: Mapping[str, tuple[int, ...]], known: dict[str, Value]) -> bool:
    """Replace nodes that compute a shape, from what is known, by initializers that hold it.

    Args:
        model: The model, without large values; its top-level graph is changed.
        shapes: Known shapes of its tensors.
        known: Known values of its tensors; those that are found are added.

    Returns:
        Whether anything was replaced.
    """
    settled: set[str] = set()
    for node in model.graph.node:
        if not known.keys() & node.output and (values := _values(node, known, shapes, model.opset_import)):
            known.update(values)
            if node.op_type != "Constant":
                settled.update(values)
    left = [node for node in model.graph.node if settled.isdisjoint(node.output)]
    del model.graph.node[:]
    model.graph.node.extend(left)
    model.graph.initializer.extend(numpy_helper.from_array(known[name], name) for name in settled)
    return bool(settled)


def _values(
    node: NodeProto,
    known: Mapping[str, Value],
    shapes: Mapping[str, tuple[int, ...]],
    opsets: Iterable[OperatorSetIdProto],
) -> dict[str, Value]:
    """The values of a node's outputs, by name; nothing where they are not known, or are no shapes."""
    if node.op_type not in _OPS or node.domain not in ("", "ai.onnx"):
        return {}
    if any(attribute.t.data_location == TensorProto.EXTERNAL for attribute in node.attribute):
        return {}
    if node.op_type in ("Shape", "Size"):
        inputs = {name: np.broadcast_to(np.float32(0), shapes[name]) for name in node.input if name in shapes}
    else:
        inputs = {name: known[name] for name in node.input if name in known}
    if any(name and name not in inputs for name in node.input):
        return {}
    model = helper.make_model(
        helper.make_graph(
            [node],
            "shape",
            [
                helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
                for name, value in inputs.items()
            ],
            [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in node.output if name],
        ),
        opset_imports=opsets,
    )
    try:
        with np.errstate(all="ignore"):
            results = ReferenceEvaluator(model).run(None, inputs)
    except _FAILURES:  # it would fail in a runtime, too, or the evaluator does not know it: then it is not known
        return {}
    values = dict(zip((name for name in node.output if name), results, strict=True))
    return values if all(isinstance(v, np.ndarray | np.generic) and v.size <= _FEW for v in values.values()) else {}
