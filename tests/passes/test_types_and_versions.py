"""Every element type, opset and IR version: with ONNX Runtime where it has kernels, else op by op in numpy."""

import ml_dtypes
import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, defs, helper

from onnx_prelu.algebra.forms import FORMS
from tests.arithmetic import evaluate
from tests.oracle import assert_close, assert_same_bits, run
from tests.rewriting import rewritten

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
NUMBERS = {BFLOAT16: TensorProto.BFLOAT16}
RNG = np.random.default_rng(0)
WRITTEN = [6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 18, 20, 21, 23, 25, 26]
OPSETS = [opset for opset in WRITTEN if opset <= defs.onnx_opset_version()]  # what this onnx can check


def number(dtype):
    return NUMBERS.get(np.dtype(dtype)) or helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


def tensor(name, value):
    return TensorProto(name=name, dims=value.shape, data_type=number(value.dtype), raw_data=value.tobytes())


def build(nodes, weights, x, y, dtype, opset, ir):
    tensors = [tensor(name, np.asarray(value).astype(dtype)) for name, value in weights.items()]
    inputs = [helper.make_tensor_value_info("x", number(dtype), x)]
    if ir < 4:
        inputs += [helper.make_tensor_value_info(each.name, each.data_type, each.dims) for each in tensors]
    outputs = [helper.make_tensor_value_info(nodes[-1].output[0], number(dtype), y)]
    graph = helper.make_graph(nodes, "g", inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)


def bare(slope, dtype, opset=16, ir=8, shape=(2, 3, 5)):
    node = helper.make_node("PRelu", ["x", "a"], ["h"], "act")
    return build([node], {"a": slope}, shape, shape, dtype, opset, ir)


def mlp(slope, dtype, opset=17, ir=8, scale=1.0):
    units = len(slope)
    weights = {
        "A": RNG.normal(size=(4, units)) * scale,
        "b": RNG.normal(size=units),
        "a": slope,
        "V": RNG.normal(size=(units, 3)) * scale,
        "c": RNG.normal(size=3),
    }
    legacy = {"broadcast": 1} if opset < 7 else {}
    nodes = [
        helper.make_node("Gemm", ["x", "A", "b"], ["z"], "fc0", **legacy),
        helper.make_node("PRelu", ["z", "a"], ["h"], "act"),
        helper.make_node("Gemm", ["h", "V", "c"], ["y"], "fc1", **legacy),
    ]
    return build(nodes, weights, ("N", 4), ("N", 3), dtype, opset, ir)


# ── floating point ────────────────────────────────────────────────────────────────────────────────────────────

SLOPES = {
    "relu": [0.0] * 5,
    "identity": [1.0] * 5,
    "leakyrelu": [-0.375] * 5,
    "max": [0.25, 0.0, -3.0, 1.0, -25.0],
    "skip-short": [0.25, 0.5, -3.0, 1.0, -0.75],
}
ANY = [0.25, -0.7, 0.0, 21.0, -25.0]  # as far as slopes of public networks go


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, BFLOAT16], ids=str)
@pytest.mark.parametrize("form", [form for form in FORMS if form != "prelu"])
def test_every_form_in_every_float_type(form, dtype):
    model = bare(SLOPES.get(form, ANY), dtype)
    x = (RNG.normal(size=(2, 3, 5)) * RNG.choice([1e-3, 1.0, 30.0], size=(2, 3, 5))).astype(dtype)
    result, (choice,) = rewritten(model, form=form)
    assert choice.form == form
    assert all(each.data_type == number(dtype) for each in result.graph.initializer)
    compute = evaluate if dtype is BFLOAT16 else run
    one, two = compute(model, {"x": x}), compute(result, {"x": x})
    if choice.exactness == "equal bits":
        assert_same_bits(one, two)
    else:
        eps = float(ml_dtypes.finfo(dtype).eps)
        largest = np.abs(x.astype(float)) * (
            1 + 2 * np.abs(np.array(SLOPES.get(form, ANY)))
        )  # the terms that are added
        assert np.all(np.abs(one[0].astype(float) - two[0].astype(float)) <= 2 * eps * largest)


@pytest.mark.parametrize("slope_in", ["consumer", "producer"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, BFLOAT16], ids=str)
def test_split_in_every_float_type(dtype, slope_in):
    model = mlp(ANY, dtype)
    x = RNG.normal(size=(50, 4)).astype(dtype)
    result, (choice,) = rewritten(model, form="split", slope_in=slope_in)
    assert choice.form == "split"
    if dtype is BFLOAT16:
        one, two = (evaluate(each, {"x": x})[0].astype(float) for each in (model, result))
        np.testing.assert_allclose(two, one, rtol=0.05, atol=0.02 * np.max(np.abs(one)))
    else:
        assert_close(run(model, {"x": x}), run(result, {"x": x}))
    if slope_in == "consumer":  # the new columns: the exact product, rounded once
        stored = {each.name: np.frombuffer(each.raw_data, dtype).reshape(each.dims) for each in model.graph.initializer}
        (wide,) = [each for each in result.graph.initializer if each.name == "V/split"]
        a, V = stored["a"].astype(float), stored["V"].astype(float)
        expected = (-a[:, None] * V)[a != 0].astype(dtype)
        np.testing.assert_array_equal(np.frombuffer(wide.raw_data, dtype).reshape(wide.dims)[5:], expected)


def test_split_folds_back_in_bfloat16():
    model = mlp([0.25, -0.75, 0.5, 2.0, -3.0], BFLOAT16)
    back, (choice,) = rewritten(rewritten(model, form="split")[0], to="prelu")
    assert choice.form == "fold"
    before, after = ([each.raw_data for each in m.graph.initializer] for m in (model, back))
    assert sorted(before) == sorted(after)


@pytest.mark.parametrize("slope_in", ["consumer", "producer"])
def test_a_float16_weight_that_would_overflow_is_refused(slope_in):
    """In the producer such a unit takes the consumer, unless its column overflows there as well."""
    slope = [20000.0, 0.5, 0.25]
    result, (choice,) = rewritten(mlp(slope, np.float16, scale=100.0), form="split", slope_in=slope_in)
    assert (choice.form, choice.refusals["split"].code) == ("mirror", "overflow")
    for each in result.graph.initializer:
        assert np.all(np.isfinite(np.frombuffer(each.raw_data, np.float16)))


def test_a_row_that_would_overflow_takes_the_consumer():
    model = mlp([20000.0, 0.5, 0.25], np.float16, scale=1.0)
    for each in model.graph.initializer:
        if each.name == "A":
            each.raw_data = (np.frombuffer(each.raw_data, np.float16) * 100).tobytes()
    result, (choice,) = rewritten(model, form="split", slope_in="producer")
    assert choice.form == "split"
    assert "1 of 3 units have their slope in the consumer" in choice.reason
    for each in result.graph.initializer:
        assert np.all(np.isfinite(np.frombuffer(each.raw_data, np.float16)))


# ── integers ──────────────────────────────────────────────────────────────────────────────────────────────────

SIGNED, UNSIGNED = (np.int32, np.int64), (np.uint32, np.uint64)
WHOLE = [2, -3, 0, 1, 7]


@pytest.mark.parametrize("dtype", SIGNED)
@pytest.mark.parametrize(("form", "slope"), [
    ("mirror", WHOLE), ("skip", WHOLE), ("skip", [1, 0, -1, -5, -3]), ("skip", [2, 3, 4, 5, 6]),
    ("skip-outside", WHOLE), ("skip-short", [1, 0, -1, -5, -3]), ("max", [1, 0, -1, -5, -3]), ("max", [1, 2, 3, 4, 5]),
    ("relu", [0] * 5), ("identity", [1] * 5),
])  # fmt: skip
def test_integers_are_exact(form, slope, dtype):
    model = bare(slope, dtype)
    x = RNG.integers(-1000, 1000, size=(2, 3, 5)).astype(dtype)
    result, (choice,) = rewritten(model, form=form)
    assert (choice.form, choice.exactness) == (form, "equal bits")
    expected = np.where(x >= 0, x, x * np.array(slope, dtype))
    np.testing.assert_array_equal(run(model, {"x": x})[0], expected)
    np.testing.assert_array_equal(evaluate(result, {"x": x})[0], expected)


def test_a_slope_of_integers_at_run_time():
    model = bare(WHOLE, np.int32)
    model.graph.input.append(helper.make_tensor_value_info("a", TensorProto.INT32, (5,)))
    result, (choice,) = rewritten(model, form="skip-outside")
    assert choice.form == "skip-outside"
    x = RNG.integers(-1000, 1000, size=(2, 3, 5)).astype(np.int32)
    assert_same_bits(run(model, {"x": x}), run(result, {"x": x}))


#: (dtype, opset, form, slope, the code); none of these takes mirror either
REFUSED = [
    (np.int32, 13, "mirror", WHOLE, "opset"),  # Relu of integers is of opset 14
    (np.int64, 9, "skip", WHOLE, "opset"),
    (np.int64, 16, "split", WHOLE, "dtype"),
    (np.int64, 16, "mirror", [2**53, 1, 1, 1, 1], "overflow"),
    (np.int64, 16, "mirror", [2**53 + 1, 1, 1, 1, 1], "overflow"),
    (np.uint32, 16, "mirror", [2, 5, 0, 1, 7], "opset"),  # no Neg
    (np.uint64, 16, "skip", [2, 5, 0, 1, 7], "overflow"),  # 1 − a is below 0
]


@pytest.mark.parametrize(("dtype", "opset", "form", "slope", "code"), REFUSED)
def test_integers_that_a_form_cannot_take(dtype, opset, form, slope, code):
    result, (choice,) = rewritten(bare(slope, dtype, opset), form=form)
    assert (choice.refusals[form].code, choice.refusals[form].node) == (code, "act")
    assert choice.refused or form == "split"
    assert choice.form in (None, "mirror")
    assert "mirror" in choice.refusals or choice.form == "mirror"
    assert len(result.graph.node) == (1 if choice.refused else 5)


def test_slopes_just_below_the_limit_are_exact():
    slope = [2**53 - 1, -(2**53) + 1, 1, 0, 2]
    model = bare(slope, np.int64)
    result, (choice,) = rewritten(model, form="mirror")
    assert choice.form == "mirror"
    x = RNG.integers(-500, 500, size=(2, 3, 5))
    np.testing.assert_array_equal(evaluate(result, {"x": x})[0], np.where(x >= 0, x, x * np.array(slope)))


def test_unsigned_prelu_is_a_maximum_where_slopes_allow():
    model = bare([0, 1, 1, 0, 1], np.uint32)
    result, (choice,) = rewritten(model, form="max")
    assert choice.form == "max"
    x = RNG.integers(0, 1000, size=(2, 3, 5)).astype(np.uint32)
    np.testing.assert_array_equal(evaluate(result, {"x": x})[0], x)  # by definition: no x is below 0


def test_dividing_integers_is_not_scaling():
    """x / 2 of integers drops the fraction: Min(x, x / 2) is no PReLU of slope 1/2, nor is anything with it."""
    nodes = [helper.make_node("Div", ["x", "a"], ["d"]), helper.make_node("Max", ["x", "d"], ["h"])]
    model = build(nodes, {"a": [2]}, (3, 5), (3, 5), np.int32, 14, 8)
    assert rewritten(model, form="mirror")[1] == []


# ── opsets and IR versions ────────────────────────────────────────────────────────────────────────────────────

#: IR version by opset, as onnx released them together; newer IR versions than ONNX Runtime reads are not needed
IR = {6: 3, 7: 3, 8: 3, 9: 4, 10: 5, 11: 6, 13: 7, 14: 7, 15: 8, 16: 8, 18: 8, 20: 9, 21: 10, 23: 11, 25: 12, 26: 13}


def runs(model):
    """Whether ONNX Runtime on the CPU has kernels for it."""
    try:
        ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    except (ort.capi.onnxruntime_pybind11_state.NotImplemented, ort.capi.onnxruntime_pybind11_state.Fail):
        return False
    return True


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("form", [*(form for form in FORMS if form != "prelu"), "split"])
def test_every_form_at_every_opset(form, opset):
    """The result is of the model's opset and IR version, passes the checker, and computes the same where it runs."""
    slope = SLOPES.get(form, ANY)
    for model, shape in (
        (bare(slope, np.float32, opset, IR[opset]), (2, 3, 5)),
        (mlp(slope, np.float32, opset, IR[opset]), (7, 4)),
    ):
        if opset < 7 and shape == (2, 3, 5):  # there, a slope (C,) belongs to the channel axis
            model = bare(slope, np.float32, opset, IR[opset], shape := (2, 5, 3))
        result, (choice,) = rewritten(model, form=form)
        wide = form == "split" and len(model.graph.node) == 1
        if wide or (form == "mirror-min" and opset < 8):  # a Min of x and 0 broadcasts
            assert choice.refusals[form].code in ("no-linear-producer", "graph-output", "opset")
            assert choice.form == "mirror"
        else:
            assert choice.form == form
        assert (result.ir_version, result.opset_import[0].version) == (IR[opset], opset)
        if IR[opset] < 4:
            assert {each.name for each in result.graph.initializer} < {each.name for each in result.graph.input}
        x = {"x": RNG.normal(size=shape).astype(np.float32)}
        if runs(model):
            assert_close(run(model, x), run(result, x))
        else:
            assert opset == 6


@pytest.mark.parametrize("opset", OPSETS)
def test_split_folds_back_at_every_opset(opset):
    model = mlp(ANY, np.float32, opset, IR[opset])
    back, (choice,) = rewritten(rewritten(model, form="split")[0], to="prelu")
    assert choice.form == "fold"
    assert [node.op_type for node in back.graph.node] == ["Gemm", "PRelu", "Gemm"]
    assert sorted(each.raw_data for each in back.graph.initializer) == sorted(
        each.raw_data for each in model.graph.initializer
    )


def test_at_opset_6_a_slope_at_run_time_belongs_to_the_channel_axis_too():
    model = bare(ANY, np.float32, 6, 4, (2, 5, 3))
    model.graph.input.append(helper.make_tensor_value_info("a", TensorProto.FLOAT, (5,)))
    result, (choice,) = rewritten(model, form="mirror")
    assert choice.form == "mirror"
    (mul,) = [node for node in result.graph.node if node.op_type == "Mul"]
    assert {each.name: each.i for each in mul.attribute} == {"broadcast": 1, "axis": 1}
    assert mul.input[1] == "a"
    for other in ("skip", "skip-outside", "skip-short"):
        _, (choice,) = rewritten(model, form=other)
        assert choice.form == "mirror"
    assert rewritten(model, form="skip-outside")[1][0].refusals["skip-outside"].code == "opset"
