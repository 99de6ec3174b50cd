"""The bound beside the values, and weights moved by a float, against ONNX Runtime and the reference evaluator."""

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, parser
from onnx.reference import ReferenceEvaluator

from onnx_prelu.graph.model import Model, array
from onnx_prelu.measure.checking.rounding import allowed as room
from onnx_prelu.measure.checking.rounding.allowed import measured, often, steps
from onnx_prelu.measure.checking.rounding.perturbed import perturbed
from onnx_prelu.measure.checking.rounding.walk import BoundedRun
from onnx_prelu.measure.checking.trials import Trial
from onnx_prelu.measure.providers.runtime import open_runner

SHAPES = {2: "2,6", 3: "2,4,7", 4: "2,4,6,6"}


def model(rank, body, dtype="float", opset=17, outputs="y"):
    """A model in which x is rounded to float16 before the body sees it as g, so that errors are large."""
    outs = ", ".join(f"{dtype}[?] {name}" for name in outputs.split())
    first = "{ c = Cast <to = 10> (x) g = Cast <to = 1> (c) " if dtype == "float" else "{ g = Identity(x) "
    text = f'<ir_version: 8, opset_import: ["": {opset}]> g ({dtype}[{SHAPES[rank]}] x) => ({outs}) '
    constants, nodes = body if isinstance(body, tuple) else ("", body)
    names = [part.strip() for part in constants.split(";") if part.strip()]
    proto = parser.parse_model(text.replace("[?]", "[A]") + first + nodes + " }")
    rng = np.random.default_rng(5)
    for each in names:
        name, shape = each.split(":")
        values = rng.normal(size=[int(size) for size in shape.split(",") if size])
        values = np.abs(values) + 0.1 if name.startswith("p") else values
        proto.graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), name))
    if dtype == "double":
        for tensor in proto.graph.initializer:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(float), tensor.name))
    for value in proto.graph.output:
        value.type.tensor_type.ClearField("shape")
    return Model(proto)


OPS = [
    (2, ("w:3,6; b:3", "y = Gemm <transB = 1> (g, w, b)"), 17),
    (2, ("w:3,2; b:1", "y = Gemm <transA = 1, transB = 1, alpha = 0.5, beta = 2.0> (g, w, b)"), 17),
    (2, ("w:6,3", "y = MatMul(g, w)"), 17),
    (2, ("w:6,3", "t = MatMul(g, w) s = MatMul(g, w) r = Transpose(s) y = MatMul(t, r)"), 17),
    (3, ("w:3,4,3; b:3", "y = Conv <pads = [1, 0], dilations = [2]> (g, w, b)"), 17),
    (4, ("w:6,2,3,2; b:6", "y = Conv <group = 2, strides = [2, 1], auto_pad = \"SAME_UPPER\"> (g, w, b)"), 17),
    (4, ("w:4,1,3,3", "y = Conv <group = 4, auto_pad = \"SAME_LOWER\", strides = [2, 2]> (g, w)"), 17),
    (4, ("w:6,4,3,2; b:6", "y = Conv <auto_pad = \"VALID\", dilations = [2, 1]> (g, w, b)"), 17),
    (4, ("w:4,3,3,2; b:3", "y = ConvTranspose <strides = [2, 1], pads = [1, 0, 0, 1]> (g, w, b)"), 17),
    (4, ("w:4,3,2,2", "y = ConvTranspose <group = 2, strides = [2, 2], output_padding = [1, 0]> (g, w)"), 17),
    (2, ("b:6", "y = Add(g, b)"), 17),
    (2, ("b:6", "t = Sub(g, b) s = Mul(t, g) y = Div(s, b)"), 17),
    (2, ("b:6", "t = Abs(g) s = Neg(t) y = Sum(s, b, g)"), 17),
    (2, ("b:6; d:6", "t = Max(g, b) y = Min(d, t, g)"), 17),
    (2, ("a:6", "y = PRelu(g, a)"), 17),
    (2, "y = LeakyRelu <alpha = -3.0> (g)", 17),
    (2, "t = Relu(g) s = Neg(g) r = Relu(s) y = Add(t, r)", 17),
    (2, "y = Clip <min = -0.5, max = 0.7> (g)", 10),
    (2, ("p:6", "t = Add(g, p) y = Sigmoid(t)"), 17),
    (2, "t = Tanh(g) s = Erf(t) y = Exp(s)", 17),
    (2, ("p:6", "t = Mul(g, g) s = Add(t, p) y = Sqrt(s)"), 17),
    (4, "y = Softmax <axis = 1> (g)", 17),
    (2, "y = Softmax(g)", 11),
    (4, ("s:4; b:4; m:4; p:4", "y = BatchNormalization(g, s, b, m, p)"), 17),
    (4, ("s:4; b:4", "y = InstanceNormalization(g, s, b)"), 17),
    (2, ("s:6; b:6", "y = LayerNormalization(g, s, b)"), 17),
    (4, "y = MaxPool <kernel_shape = [3, 2], pads = [1, 0, 0, 1], strides = [2, 2]> (g)", 17),
    (4, "y = MaxPool <kernel_shape = [3, 3], strides = [2, 2], ceil_mode = 1> (g)", 17),
    (4, "y = AveragePool <kernel_shape = [3, 2], pads = [1, 0, 1, 1]> (g)", 17),
    (4, "y = AveragePool <kernel_shape = [3, 2], pads = [1, 0, 1, 1], count_include_pad = 1> (g)", 17),
    (4, "t = GlobalAveragePool(g) s = GlobalMaxPool(g) y = Add(t, s)", 17),
    (4, "y = ReduceMean <axes = [2, 3], keepdims = 0> (g)", 17),
    (4, "y = Flatten(g)", 17),
    (4, "t = Transpose <perm = [0, 2, 3, 1]> (g) s = Shape(t) r = Reshape(g, s) y = Identity(r)", 17),
    (2, "s, t = Split <axis = 1> (g) u = Concat <axis = 0> (t, s) y = Unsqueeze <axes = [0]> (u)", 11),
    (2, "z = Constant <value = float {0.0}> () m = Less(g, z) n = Not(m) a = Cast <to = 1> (n) y = Mul(a, g)", 17),
    (2, ("a:6", "z = Constant <value = float {0.0}> () m = GreaterOrEqual(g, z) s = Mul(a, g) y = Where(m, g, s)"), 17),
    (4, "y = Pad <mode = \"constant\", pads = [0, 0, 1, 2, 0, 0, 0, 1], value = 0.5> (g)", 10),
    (4, "y = Pad <mode = \"reflect\", pads = [0, 0, 1, 2, 0, 0, 0, 1]> (g)", 10),
]  # fmt: skip


# Where the reference evaluator computes otherwise, or in float32, the runtime is the only witness.
BEYOND_REFERENCE = ("auto_pad", "group = 2, strides = [2, 2], output_padding", "Erf")


@pytest.mark.parametrize(("rank", "body", "opset"), OPS)
def test_the_bound_holds_and_says_something(rank, body, opset):
    """Against the runtime, which rounds x to float16; the value against the reference evaluator in float64."""
    given, reference = model(rank, body, opset=opset), model(rank, body, "double", opset)
    shape = [int(size) for size in SHAPES[rank].split(",")]
    runner, exact = open_runner(given, "cpu", threads=1), ReferenceEvaluator(_wide_casts(reference.proto))
    reached = 0.0
    for seed in range(10):
        x = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
        (found,) = BoundedRun(given).bounds({"x": x})
        if not any(each in str(body) for each in BEYOND_REFERENCE):
            np.testing.assert_allclose(found.value, exact.run(None, {"x": x.astype(float)})[0], rtol=1e-9, atol=1e-9)
        ran = runner.run({"x": x})[0].astype(float)
        assert found.error.shape == found.value.shape == ran.shape
        assert np.all(np.abs(ran - found.value) <= found.error)
        reached = max(reached, float(np.max(np.abs(ran - found.value) / np.maximum(found.error, 1e-30))))
    assert reached > 0.02  # nor is it a hundred times too wide


def _wide_casts(proto):
    for node in proto.graph.node:
        for attribute in node.attribute:
            if attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.DOUBLE
            if attribute.HasField("t") and attribute.t.data_type == TensorProto.FLOAT:
                attribute.t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(attribute.t).astype(float)))
    return proto


@pytest.mark.parametrize(
    ("nodes", "known"),
    [
        ("h = Round(g) y = Relu(h) z = Relu(g)", [False, True]),
        ("y = Cast <to = 7> (g) z = Neg(g)", [False, True]),
        ("i = ArgMax(g) y = Cast <to = 1> (i) z = Shape(g)", [False, True]),
        ("y, z = Dropout(g)", [False, False]),
    ],
)
def test_what_is_not_covered(nodes, known):
    """Only what comes behind it is not known."""
    run = BoundedRun(model(2, nodes, outputs="y z"))
    assert [each is not None for each in run.bounds({"x": np.ones((2, 6), np.float32)})] == known


def test_the_sum_of_a_layer():
    """E·|W| + √k·u·(|x|·|W| + |b|), and the rounding of what comes out."""
    text = "g (float[1,4] x) => (float[1,1] y) <float[4,1] w = {1.0, -2.0, 3.0, 4.0}, float[1] b = {8.0}>"
    given = Model(parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> {text} {{ y = Gemm(x, w, b) }}'))
    (found,) = BoundedRun(given).bounds({"x": np.ones((1, 4), np.float32)})
    assert found.value.item() == 14
    assert found.error.item() == pytest.approx(2**-24 * (np.sqrt(5) * (10 + 8) + 14))


# ── weights moved by one float ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_each_weight_moves_by_one_float(dtype):
    values = np.array([0.0, 1.0, -1.0, 3.3, -1e-3] * 20).astype(dtype)
    number = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    tensors = [numpy_helper.from_array(values, "w"), numpy_helper.from_array(np.arange(3), "i")]
    graph = helper.make_graph([], "g", [], [helper.make_tensor_value_info("w", number, [100])], tensors)
    given = Model(helper.make_model(graph))
    moved = perturbed(given, np.random.default_rng(0))
    after = array(moved.proto.graph.initializer[0], None)
    bits = f"i{values.dtype.itemsize}"
    steps = after.view(bits).astype(int) - values.view(bits).astype(int)
    assert set(steps[values != 0]) == {-1, 1}
    assert not steps[values == 0].any()
    assert np.array_equal(array(moved.proto.graph.initializer[1], None), np.arange(3))
    assert np.array_equal(array(given.proto.graph.initializer[0], None), values)


def test_exponents_stay():
    body = "g (float[4] x) => (float[4] y) <float two = {2.0}, float w = {3.0}>"
    nodes = (
        "{ n = Constant <value = float {2.0}> () m = Constant <value = float {5.0}> () p = Pow(x, two) q = Pow(x, n)"
    )
    text = f'<ir_version: 8, opset_import: ["": 17]> {body} {nodes} r = Mul(p, w) s = Mul(q, m) y = Add(r, s) }}'
    proto = perturbed(Model(parser.parse_model(text)), np.random.default_rng(0)).proto
    values = [each.attribute[0].t for each in proto.graph.node[:2]] + list(proto.graph.initializer)
    assert [numpy_helper.to_array(each).item() == whole for each, whole in zip(values, (2, 5, 2, 3), strict=True)] == [
        True, False, True, False,
    ]  # fmt: skip


def test_a_model_without_floats_has_nothing_to_move():
    text = '<ir_version: 8, opset_import: ["": 17]> g (float[4] x) => (float[4] y) { y = Relu(x) }'
    assert perturbed(Model(parser.parse_model(text)), np.random.default_rng(0)) is None


# ── what is allowed ───────────────────────────────────────────────────────────────────────────────────────────


def chain(layers, gain=1.0):
    """MatMul and PRelu, 64 wide, some times."""
    rng = np.random.default_rng(1)
    nodes = []
    for i in range(layers):
        nodes.append(helper.make_node("MatMul", [f"h{i}" if i else "x", f"w{i}"], [f"t{i}"]))
        nodes.append(helper.make_node("PRelu", [f"t{i}", "a"], [f"h{i + 1}"]))
    nodes.append(helper.make_node("Identity", [f"h{layers}"], ["y"]))
    constants = {f"w{i}": rng.normal(size=(64, 64)) / 8 for i in range(layers)} | {"a": np.full(64, 0.25)}
    constants["w0"] = constants["w0"] * gain
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 64])] for name in ("x", "y")]
    tensors = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", *ends, tensors)
    return Model(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]))


def allowed_of(a, b=None, provider="cpu"):
    x = np.random.default_rng(0).normal(size=(3, 64)).astype(np.float32)
    expected = open_runner(a, "cpu").run({"x": x})
    ((found,),) = steps(a, b or a, provider, [Trial({"x": x}, expected, (1.0, 1.0))], 0)[-1]()
    return found, np.abs(expected[0]).max()


def test_the_bound_decides_near_the_inputs_and_the_weights_in_the_depth():
    """On the reference evaluator weights are not moved, so there the bound is alone."""
    shallow, deep = allowed_of(chain(1)), allowed_of(chain(12))
    alone = [allowed_of(chain(layers), provider="reference")[0].max() for layers in (1, 12)]
    assert shallow[0].max() <= alone[0]
    assert deep[0].max() < 1e-4 * alone[1]
    for found, size in (shallow, deep):
        assert 1e-7 * size < found.max() < 1e-4 * size


def test_a_broken_model_widens_nothing_much():
    """With a weight a million times too large it is off by as much, and allowed 16 times what the original is."""
    whole, _ = allowed_of(chain(3))
    assert allowed_of(chain(3), chain(3, gain=1e6))[0].max() <= 16.01 * whole.max()


def test_a_model_that_is_too_large_is_not_walked(monkeypatch):
    monkeypatch.setattr(room, "_MOST", 1000)
    assert allowed_of(chain(2), provider="reference")[0] is None
    assert np.all(np.isfinite(allowed_of(chain(2))[0]))


@pytest.mark.parametrize(
    ("shapes", "times"),
    [
        ([(4, 64)], 2),
        ([(4, 10)], 4),
        ([(256, 1), (2, 64)], 16),
        ([(8,)], 16),
        ([()], 16),
        ([(0, 1), (1, 3, 5)], 3),
        ([], 2),
    ],
)
def test_few_elements_are_moved_more_often(shapes, times):
    assert often([np.zeros(shape, np.float32) for shape in shapes] + [np.zeros((2, 1), np.int64)]) == times


def test_of_many_batches_some_are_walked_evenly(monkeypatch):
    given = chain(2)
    feeds = [{"x": np.full((3, 64), size, np.float32)} for size in range(1, 9)]
    monkeypatch.setattr(room, "_MOST", 1_100_000)
    found = [each["y"] for each in measured(given, "cpu", feeds, 0, 2)]
    walked = [at for at, each in enumerate(found) if each.bound is not None]
    assert walked == [2, 6]
    assert all(each.moved is not None for each in found)


def test_the_second_model_is_asked_about_only_where_the_first_is_not_enough(monkeypatch):
    a, b = chain(2), chain(2, gain=1.5)
    x = np.random.default_rng(0).normal(size=(3, 64)).astype(np.float32)
    trial = Trial({"x": x}, open_runner(a, "cpu").run({"x": x}), (1.0, 1.0))
    asked = []
    real = room.measured
    monkeypatch.setattr(room, "measured", lambda model, *rest: asked.append(model) or real(model, *rest))
    first, both = steps(a, b, "cpu", [trial], 0)
    ((alone,),) = first()
    assert asked == [a]
    ((together,),) = both()
    assert (asked, first() is first()) == ([a, b], True)
    assert np.all(together >= alone)
    assert np.any(together > alone)


def test_an_op_that_is_not_covered_leaves_the_weights():
    given = chain(2)
    given.proto.graph.node[-1].op_type = "Softsign"
    assert allowed_of(given, provider="reference")[0] is None
    found, size = allowed_of(given)
    assert 1e-8 * size < found.max() < 1e-4 * size


def test_no_output_is_known_better_than_it_is_stored():
    """The slope has nothing to do with what is above zero."""
    text = '<ir_version: 8, opset_import: ["": 17]> g (float[N,64] x) => (float[N,64] y) <float a = {0.25}>'
    a = Model(parser.parse_model(f"{text} {{ p = Abs(x) y = PRelu(p, a) }}"))
    found, size = allowed_of(a)
    assert np.all(found > 2**-24 * size)
    assert onnx.checker.check_model(a.proto) is None
