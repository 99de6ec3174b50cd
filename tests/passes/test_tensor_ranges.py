"""What is known of a tensor holds for what ONNX Runtime makes of it, and says as much as it can."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from onnx_prelu.algebra.bounds import Box
from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.extract import exposing
from onnx_prelu.graph.model import load
from onnx_prelu.passes.ranges.walk import ranges
from tests.oracle import run
from tests.texts import from_text

IMAGE = "float[2,3,4,5] x"
ROWS = "float[N,6] x"
INF = np.inf
HALVES = np.full((1, 3, 2, 2), 0.5)
GROUPS = np.arange(-1.0, 2).repeat(4).reshape(3, 1, 2, 2)
AROUND = [0, 0, 1, 1, 0, 0, 1, 1]
SLOPES = np.array([0.5, 0, -1]).reshape(3, 1, 1)
PADDED = "kernel_shape: ints = [2, 2], pads: ints = [1, 1, 1, 1]"

#: What makes y of x, x itself, weights, the range of x (None: not given), and the range of y.
RULES = {
    "Relu": ("y = Relu(x)", ROWS, {}, (-2, 3), (0, 3)),
    "Relu of anything": ("y = Relu(x)", ROWS, {}, None, (0, INF)),
    "Relu below 0": ("y = Relu(x)", ROWS, {}, (-2, -1), (0, 0)),
    "PRelu": ("y = PRelu(x, a)", ROWS, {"a": np.array([0.5])}, (-2, 3), (-1, 3)),
    "PRelu of a negative slope": ("y = PRelu(x, a)", ROWS, {"a": np.array([-2.0])}, (-2, 3), (0, 4)),
    "PRelu of a slope by channel": ("y = PRelu(x, a)", IMAGE, {"a": SLOPES}, (-2, 1), (-1, 2)),
    "LeakyRelu": ("y = LeakyRelu<alpha: float = 0.25>(x)", ROWS, {}, (-4, 3), (-1, 3)),
    "Abs": ("y = Abs(x)", ROWS, {}, (-2, 1), (0, 2)),
    "Abs below 0": ("y = Abs(x)", ROWS, {}, (-2, -1), (1, 2)),
    "Abs of anything": ("y = Abs(x)", ROWS, {}, None, (0, INF)),
    "Sigmoid": ("y = Sigmoid(x)", ROWS, {}, None, (0, 1)),
    "HardSigmoid": ("y = HardSigmoid(x)", ROWS, {}, None, (0, 1)),
    "Tanh": ("y = Tanh(x)", ROWS, {}, None, (-1, 1)),
    "Erf": ("y = Erf(x)", ROWS, {}, None, (-1, 1)),
    "Softmax": ("y = Softmax(x)", ROWS, {}, None, (0, 1)),
    "Softsign": ("y = Softsign(x)", ROWS, {}, None, (-1, 1)),
    "Sin": ("y = Sin(x)", ROWS, {}, None, (-1, 1)),
    "Cos": ("y = Cos(x)", ROWS, {}, None, (-1, 1)),
    "Clip": ("y = Clip(x, a, b)", ROWS, {"a": np.array(0.0), "b": np.array(6.0)}, None, (0, 6)),
    "Clip within": ("y = Clip(x, a, b)", ROWS, {"a": np.array(0.0), "b": np.array(6.0)}, (-1, 3), (0, 3)),
    "Clip from below": ("y = Clip(x, a)", ROWS, {"a": np.array(0.5)}, None, (0.5, INF)),
    "Neg": ("y = Neg(x)", ROWS, {}, (-2, 1), (-1, 2)),
    "Add": ("y = Add(x, a)", ROWS, {"a": np.array([1.0])}, (-2, 1), (-1, 2)),
    "Add of two": ("y = Add(x, x)", ROWS, {}, (-2, 1), (-4, 2)),
    "Sum": ("y = Sum(x, x)", ROWS, {}, (-2, 1), (-4, 2)),
    "Sub": ("y = Sub(a, x)", ROWS, {"a": np.array([1.0])}, (-2, 1), (0, 3)),
    "Mul": ("y = Mul(x, a)", ROWS, {"a": np.array([-2.0])}, (-2, 1), (-2, 4)),
    "Mul of two": ("y = Mul(x, x)", ROWS, {}, (-2, 1), (-2, 4)),
    "Mul of what is above 0": ("h = Relu(x)  y = Mul(h, h)", ROWS, {}, None, (0, INF)),
    "Div": ("y = Div(x, a)", ROWS, {"a": np.array([255.0])}, (0, 255), (0, 1)),
    "Max": ("y = Max(x, a)", ROWS, {"a": np.array([0.5])}, (-2, 1), (0.5, 1)),
    "Min": ("y = Min(x, a)", ROWS, {"a": np.array([0.5])}, (-2, 1), (-2, 0.5)),
    "Identity": ("y = Identity(x)", ROWS, {}, (-2, 1), (-2, 1)),
    "Dropout": ("y = Dropout(x)", ROWS, {}, (-2, 1), (-2, 1)),
    "Transpose": ("y = Transpose<perm: ints = [0, 2, 3, 1]>(x)", IMAGE, {}, (-2, 1), (-2, 1)),
    "Flatten": ("y = Flatten(x)", IMAGE, {}, (-2, 1), (-2, 1)),
    "Reshape": ("y = Reshape(x, s)", IMAGE, {"s": [0, -1]}, (-2, 1), (-2, 1)),
    "Unsqueeze": ("y = Unsqueeze(x, s)", IMAGE, {"s": [1]}, (-2, 1), (-2, 1)),
    "Squeeze": ("h = Unsqueeze(x, s)  y = Squeeze(h, s)", IMAGE, {"s": [1]}, (-2, 1), (-2, 1)),
    "MaxPool": (f"y = MaxPool<{PADDED}>(x)", IMAGE, {}, (-2, -1), (-2, -1)),
    "GlobalMaxPool": ("y = GlobalMaxPool(x)", IMAGE, {}, (-2, 1), (-2, 1)),
    "AveragePool": ("y = AveragePool<kernel_shape: ints = [2, 2]>(x)", IMAGE, {}, (1, 2), (1, 2)),
    "AveragePool with zeros": (
        f"y = AveragePool<{PADDED}, count_include_pad: int = 1>(x)",
        IMAGE, {}, (1, 2), (0, 2),
    ),
    "GlobalAveragePool": ("y = GlobalAveragePool(x)", IMAGE, {}, (1, 2), (1, 2)),
    "Concat": ("h = Relu(x)  y = Concat<axis: int = 1>(x, h)", IMAGE, {}, (-2, 1), (-2, 1)),
    "Slice": ("y = Slice(x, s, e)", IMAGE, {"s": [0], "e": [1]}, (-2, 1), (-2, 1)),
    "Gather": ("y = Gather(x, s)", IMAGE, {"s": [0]}, (-2, 1), (-2, 1)),
    "Pad": ("y = Pad(x, p)", IMAGE, {"p": AROUND}, (1, 2), (0, 2)),
    "Pad that repeats": ('y = Pad<mode: string = "edge">(x, p)', IMAGE, {"p": AROUND}, (1, 2), (1, 2)),
    "Conv": ("y = Conv(x, w)", IMAGE, {"w": HALVES}, (1, 2), (6, 12)),
    "Conv that pads": ("y = Conv<pads: ints = [1, 1, 1, 1]>(x, w)", IMAGE, {"w": HALVES}, (1, 2), (0, 12)),
    "Conv that pads by itself": (
        'y = Conv<auto_pad: string = "SAME_UPPER">(x, w)', IMAGE, {"w": HALVES}, (1, 2), (0, 12),
    ),
    "Conv of groups": (
        "y = Conv<group: int = 3>(x, w)", IMAGE, {"w": GROUPS}, (1, 2), (-8, 8),
    ),
    "ConvTranspose": ("y = ConvTranspose(x, w)", IMAGE, {"w": np.full((3, 1, 2, 2), 0.5)}, (1, 2), (0, 12)),
    "ConvTranspose of groups": (
        "y = ConvTranspose<group: int = 3>(x, w)",
        IMAGE, {"w": GROUPS}, (1, 2), (-8, 8),
    ),
    "BatchNormalization": (
        "h = Conv(x, w)  y = BatchNormalization<epsilon: float = 0.0>(h, s, b, m, v)",
        IMAGE,
        {"w": np.full((1, 3, 1, 1), 1.0), "s": np.array([-2.0]), "b": np.array([1.0]), "m": np.array([3.0]),
         "v": np.array([4.0])},
        (1, 2),
        (-2, 1),
    ),
    "Gemm": (
        "y = Gemm<alpha: float = 0.5, beta: float = 2.0>(x, w, b)",
        ROWS, {"w": np.full((6, 2), 1.0), "b": np.array([1.0, 1.0])}, (-1, 2), (-1, 8),
    ),
    "MatMul and Add": (
        "h = MatMul(x, w)  y = Add(h, b)",
        ROWS, {"w": np.full((6, 2), -1.0), "b": np.array([1.0, 1.0])}, (0, 1), (-5, 1),
    ),
    "MatMul from the left": ("y = MatMul(w, x)", "float[6,3] x", {"w": np.full((2, 6), -1.0)}, (0, 1), (-6, 0)),
    "Gemm of what is above 0": ("h = Relu(x)  y = Gemm(h, w)", ROWS, {"w": np.full((6, 2), -1.0)}, None, (-INF, 0)),
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
def test_a_range_goes_forward(name):
    body, declared, weights, given, expected = RULES[name]
    model = from_text(body, declared, "float y", weights)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    proto = load(model)
    known = ranges(Draft(proto), {} if given is None else {"x": Box(*np.asarray(given, float)[:, None])})
    box = known["y"].box
    low, high = float(np.min(box.low)), float(np.max(box.high))
    assert_near(low, high, expected)
    shape = [dim.dim_value or 50 for dim in model.graph.input[0].type.tensor_type.shape.dim]
    rng = np.random.default_rng(0)
    for part in range(8):
        ends = (-20.0, 20.0) if given is None else given
        x = rng.uniform(*ends, shape) if part % 2 else np.where(rng.random(shape) < 0.5, *ends)
        (y,) = run(exposing(proto, ["y"]).proto, {"x": x.astype(np.float32)})
        assert np.all(y >= box.low)
        assert np.all(y <= box.high)


def assert_near(low, high, expected):
    for found, end, sign in ((low, expected[0], -1), (high, expected[1], 1)):
        assert found == end or 0 <= sign * (found - end) < 2e-5


@pytest.mark.parametrize("op", ["Sigmoid", "Tanh", "Softmax", "Erf", "HardSigmoid", "Softsign", "Sin", "Cos"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_what_an_op_can_make_is_all_it_makes(op, dtype):
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(size=4000) * scale for scale in (1e-6, 1, 5, 20, 1e4)]).astype(dtype)
    kind = "float" if dtype == np.float32 else "float16"
    model = from_text(f"y = {op}(x)", f"{kind}[N,4] x", f"{kind}[N,4] y", {})
    box = ranges(Draft(load(model)), {})["y"].box
    try:
        (y,) = run(model, {"x": values.reshape(-1, 4)})
    except Exception as error:  # noqa: BLE001
        pytest.skip(f"ONNX Runtime has no such kernel: {error}")
    assert np.all(y >= box.low)
    assert np.all(y <= box.high)


@pytest.mark.parametrize(
    ("number", "expected"),
    [(TensorProto.UINT8, (0, 1)), (TensorProto.INT8, (-128 / 255, 127 / 255)), (TensorProto.BOOL, (0, 1 / 255))],
)
def test_an_image_of_few_bits_has_a_range_of_its_own(number, expected):
    nodes = [
        helper.make_node("Cast", ["x"], ["c"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["c", "s"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "image",
        [helper.make_tensor_value_info("x", number, [1, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor("s", TensorProto.FLOAT, [], [255.0])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    box = ranges(Draft(load(model)), {})["y"].box
    assert_near(float(box.low), float(box.high), expected)


@pytest.mark.parametrize(("op", "given"), [("Abs", {}), ("Neg", {"x": Box(np.array(-128.0), np.array(0.0))})])
def test_the_least_integer_is_its_own_negation(op, given):
    nodes = [helper.make_node(op, ["x"], ["n"]), helper.make_node("Cast", ["n"], ["y"], to=TensorProto.FLOAT)]
    graph = helper.make_graph(
        nodes,
        "least",
        [helper.make_tensor_value_info("x", TensorProto.INT8, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    box = ranges(Draft(load(model)), given)["y"].box
    (y,) = run(model, {"x": np.array([-128], np.int8)})
    assert box.low <= y <= box.high


ENDS = np.arange(6.0)


@pytest.mark.parametrize(
    ("body", "declared", "given", "expected"),
    [
        ("y = Flatten(x)", "float[N,2,3] x", ENDS.reshape(2, 3), ENDS),
        ("y = Reshape(x, s)", "float[N,2,3] x", ENDS.reshape(2, 3), ENDS),
        ("y = Transpose<perm: ints = [0, 2, 1]>(x)", "float[N,2,3] x", ENDS.reshape(2, 3), ENDS.reshape(2, 3).T),
        ("h = Transpose<perm: ints = [0, 2, 1]>(x)  y = Flatten(h)", "float[N,2,3] x", ENDS.reshape(2, 3),
         ENDS.reshape(2, 3).T.reshape(-1)),
        ("h = GlobalMaxPool(x)  y = Flatten(h)", "float[N,2,3] x", ENDS.reshape(2, 3), [2.0, 5.0]),
        ("y = Flatten(x)", "float[N,2,3] x", ENDS[:2].reshape(2, 1), [0.0, 0, 0, 1, 1, 1]),
        ("y = Concat<axis: int = 1>(x, x)", "float[N,2] x", ENDS[:2], [0.0, 1, 0, 1]),
        ("y = Mul(x, t)", "float[N,2] x", ENDS[:2], [0.0, 3.0]),
    ],
)  # fmt: skip
def test_each_element_keeps_its_own_range(body, declared, given, expected):
    weights = {"s": [0, 6], "t": np.array([5.0, 3.0])}
    model = from_text(body, declared, "float[N,K] y", weights)
    box = ranges(Draft(load(model)), {"x": Box(given, given)})["y"].box
    found = box.high if box.high.ndim == np.ndim(expected) else box.high[0]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-30)


@pytest.mark.parametrize(
    "body",
    [
        "y = Exp(x)",
        "y = Div(a, x)",
        "y = PRelu(x, x)",
        "y = Gemm<transA: int = 1>(x, w)",
        "y = MatMul(x, x)",
        "y = Sum(x, x, x)",
        "y = Clip(x, s, s)",
        "y = Dropout(x, r, t)",
        "y = Gemm(x, w, e)",
    ],
)
def test_nothing_is_known_of_what_no_rule_speaks_of(body):
    declared = "float[6,6] x, float s, bool t"
    model = from_text(body, declared, "float y", {"a": np.array([1.0]), "w": (6, 2), "r": np.array(0.5), "e": (6, 2)})
    assert "y" not in ranges(Draft(load(model)), {"x": Box(np.ones(()), np.ones(()))})


def test_weights_that_a_caller_can_override_say_nothing():
    model = from_text("y = Gemm(x, w)", "float[N,6] x, float[6,2] w", "float[N,2] y", {"w": (6, 2)})
    given = {"x": Box(np.zeros(()), np.ones(()))}
    assert "y" not in ranges(Draft(load(model)), given)
    assert "y" in ranges(Draft(load(model), freeze=True), given)


@pytest.mark.parametrize("how", ["ceil_mode: int = 1", "pads: ints = [1, 1, 1, 1], dilations: ints = [2, 2]"])
def test_the_maximum_of_a_window_without_a_value_is_not_known(how):
    model = from_text(f"y = MaxPool<kernel_shape: ints = [2, 2], {how}>(x)", IMAGE, "float[2,3,A,B] y", {})
    assert "y" not in ranges(Draft(load(model)), {"x": Box(np.ones(()), np.ones(()))})
