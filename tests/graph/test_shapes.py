"""Shapes that a model computes, against what ONNX Runtime makes of the same model."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper, parser

from onnx_prelu.graph.model import Model, load
from onnx_prelu.graph.types import TensorType, infer


def model(text: str, *, opset: int = 17, ir: int = 8) -> Model:
    return Model(parser.parse_model(f'<ir_version: {ir}, opset_import: ["":{opset}]>\n{text}'))


def ran(proto: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor that ONNX Runtime computes."""
    exposed = onnx.ModelProto()
    exposed.CopyFrom(proto)
    names = [name for node in proto.graph.node for name in node.output if name]
    del exposed.graph.output[:]
    exposed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = onnxruntime.InferenceSession(exposed.SerializeToString(), providers=["CPUExecutionProvider"])
    return {name: value.shape for name, value in zip(names, session.run(None, feeds), strict=True)}


FLATTEN_9 = """
    s = Shape(x)
    zero = Constant<value = int64 {0}>()
    n = Gather(s, zero)
    n1 = Unsqueeze<axes = [0]>(n)
    rest = Constant<value = int64[1] {-1}>()
    t = Concat<axis = 0>(n1, rest)
    y = Reshape(x, t)"""
HALVED_13 = """
    s = Shape(x)
    two = Constant<value_int = 2>()
    h = Div(s, two)
    zero = Constant<value_ints = [0]>()
    one = Constant<value_ints = [1]>()
    last = Constant<value_ints = [3]>()
    first = Slice(h, zero, one)
    both = Mul(first, last)
    count = Size(x)
    c = Div(count, both)
    t = Concat<axis = 0>(both, c)
    f = Cast<to = 1>(t)
    b = Cast<to = 7>(f)
    y = Reshape(x, b)"""
TWICE = """
    s = Shape(x)
    c = Constant<value = int64[1] {-1}>()
    f = Reshape(x, c)
    s2 = Shape(f)
    t = Concat<axis = 0>(s2, c)
    y = Reshape(f, t)
    s3 = Shape(y)
    z = Reshape(y, s3)"""


@pytest.mark.parametrize(
    ("opset", "ir", "body"), [(9, 3, FLATTEN_9), (9, 4, FLATTEN_9), (13, 8, HALVED_13), (13, 8, TWICE), (9, 4, TWICE)]
)
def test_computed_shapes_are_those_of_the_runtime(opset, ir, body):
    out = "z" if "z =" in body else "y"
    model_ = model(f"g (float[N,4,6] x) => (float[] {out}) {{ {body} }}", opset=opset, ir=ir)
    found = infer(model_, {"x": (2, 4, 6)})
    shapes = ran(model_.proto, {"x": np.zeros((2, 4, 6), np.float32)})
    assert {name: found[name].shape for name in shapes} == shapes


def test_a_fixed_model_needs_no_sizes():
    fixed = model(f"g (float[2,4,6] x) => (float[] y) {{ {FLATTEN_9} }}", opset=9, ir=4)
    assert infer(fixed)["y"].shape == (2, 24)


def test_what_depends_on_an_open_dimension_stays_open():
    found = infer(model(f"g (float[N,4,6] x) => (float[] y) {{ {FLATTEN_9} }}", opset=9, ir=4))
    assert found["y"].fixed is None


OVERRIDABLE = (
    "g (float[2,6] x, int64[2] s) => (float[] y) <int64[2] s = {4, 3}> { t = Cast<to = 7>(s)  y = Reshape(x, t) }"
)


def test_a_shape_that_a_caller_can_override_is_taken_for_a_run_only():
    assert infer(model(OVERRIDABLE, opset=8, ir=4))["y"].fixed is None
    assert infer(model(OVERRIDABLE, opset=8, ir=4), {"x": (2, 6)})["y"].shape == (4, 3)
    assert infer(model(OVERRIDABLE, opset=8, ir=4), {"x": (2, 6), "s": (2,)})["y"].fixed is None


def test_in_ir_version_3_every_initializer_is_a_constant():
    assert infer(model(OVERRIDABLE, opset=8, ir=3))["y"].shape == (4, 3)


@pytest.mark.parametrize(
    "body",
    [
        "d = Div(two, zero)  y = Reshape(x, d)",  # nonsense
        "d = Concat<axis = 5>(two, zero)  y = Reshape(x, d)",
        "d = Gather(two, nine)  y = Reshape(x, d)",
        "d = Shape()  y = Reshape(x, d)",
    ],
)
def test_arithmetic_that_fails_leaves_the_rest(body):
    weights = "<int64[1] two = {2}, int64[1] zero = {0}, int64[1] nine = {9}>"
    found = infer(model(f"g (float[2,6] x) => (float[] z) {weights} {{ {body}  z = Relu(x) }}"))
    assert found["z"].shape == (2, 6)


def test_large_integer_data_are_no_shapes():
    large = model("g (float[2,6] x) => (float[] y) { i = Identity(d)  r = Nothing(x)  y = Relu(x) }")
    large.proto.graph.initializer.append(numpy_helper.from_array(np.arange(1000), "d"))
    constant = large.proto.graph.node.add(op_type="Constant", output=["c"])
    constant.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(
        numpy_helper.from_array(np.arange(1000))
    )
    found = infer(large)
    assert found["i"] == found["c"] == TensorType(onnx.TensorProto.INT64, (1000,))


@pytest.mark.parametrize("name", ["cifar_deep_kw", "kj_tinytaxinet", "gtcrn"])
def test_real_models_are_known_throughout(name):
    path = Path(__file__).parents[2] / "../shared/models" / f"{name}.onnx"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    real = load(path)
    valued = {tensor.name for tensor in real.proto.graph.initializer}
    fed = {
        value.name: tuple(dim.dim_value or 3 for dim in value.type.tensor_type.shape.dim)
        for value in real.proto.graph.input
        if value.name not in valued
    }
    shapes = ran(real.proto, {name: np.zeros(shape, np.float32) for name, shape in fed.items()})
    found = infer(real, fed)
    assert {name: found[name].shape for name in shapes} == shapes
