"""What a DequantizeLinear of constants is, against ONNX Runtime."""

import ml_dtypes
import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.model import load

RNG = np.random.default_rng(0)
INT4 = RNG.integers(-8, 8, size=(4, 6)).astype(ml_dtypes.int4)


def whole(dtype, *shape):
    info = np.iinfo(dtype)
    return RNG.integers(info.min, info.max, size=shape, endpoint=True).astype(dtype)


def scales(*shape, dtype=np.float32):
    return RNG.uniform(0.001, 0.1, size=shape).astype(dtype)


#: name: (opset, x, scale, zero point or None, attributes)
CASES = {
    "int8": (10, whole(np.int8, 3, 4), scales(), np.array(5, np.int8), {}),
    "uint8": (13, whole(np.uint8, 3, 4), scales(), np.array(128, np.uint8), {}),
    "one scale in a list": (13, whole(np.uint8, 3, 4), scales(1), np.array([128], np.uint8), {}),
    "int32": (13, whole(np.int32, 5), scales(), None, {}),
    "by column": (13, whole(np.int8, 3, 4), scales(4), whole(np.int8, 4), {}),
    "by row": (17, whole(np.int8, 3, 4), scales(3), None, {"axis": 0}),
    "by last axis": (17, whole(np.int8, 2, 3, 4), scales(4), whole(np.int8, 4), {"axis": -1}),
    "float16 scale": (19, whole(np.int8, 3, 4), scales(dtype=np.float16), None, {}),
    "int16": (21, whole(np.int16, 3, 4), scales(), np.array(-7, np.int16), {}),
    "blocks": (21, whole(np.int8, 4, 6), scales(4, 2), whole(np.int8, 4, 2), {"axis": 1, "block_size": 3}),
    "int4": (21, INT4, scales(4, 3), None, {"axis": 1, "block_size": 2}),
}


def model(opset, x, scale, zero_point, attributes):
    values = {"x": x, "s": scale, **({} if zero_point is None else {"z": zero_point})}
    node = helper.make_node("DequantizeLinear", list(values), ["y"], **attributes)
    output = helper.make_tensor_value_info("y", helper.np_dtype_to_tensor_dtype(scale.dtype), None)
    graph = helper.make_graph(
        [node], "g", [], [output], [numpy_helper.from_array(v, name) for name, v in values.items()]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


@pytest.mark.parametrize("name", CASES)
def test_dequantized_constants_are_what_the_runtime_makes_of_them(name):
    proto = model(*CASES[name])
    (expected,) = onnxruntime.InferenceSession(proto.SerializeToString()).run(None, {})
    weight = Draft(load(proto)).constants.get("y")
    assert weight is not None
    assert weight.dtype == expected.dtype
    np.testing.assert_array_equal(weight.stored(), expected)


UNKNOWN = {
    "another type": (23, whole(np.int8, 3), scales(), None, {"output_dtype": TensorProto.FLOAT16}),
    "a scale too many": (13, whole(np.int8, 3, 4), scales(5), None, {}),
    "no such axis": (13, whole(np.int8, 3), scales(3), None, {}),
    "blocks that do not fit": (21, whole(np.int8, 4, 6), scales(3, 2), None, {"axis": 1, "block_size": 3}),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_does_not_fit_together_is_not_known(name):
    assert Draft(load(model(*UNKNOWN[name]))).constants.get("y") is None
