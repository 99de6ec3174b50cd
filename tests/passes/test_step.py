"""split-step: the doubled layer and a layer that adds its lanes up, where anything may read the activation."""

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onnx_prelu
from onnx_prelu.errors import NotMet, Refused
from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.model import load
from onnx_prelu.passes.sites import find_sites
from onnx_prelu.passes.step import plan_split_step
from tests.constants import assert_bits, constants
from tests.counts import examples
from tests.oracle import assert_close, run
from tests.passes.test_alone import alone, assert_alike
from tests.rewriting import rewritten
from tests.strategies import nets
from tests.texts import feeds, from_text

A = np.array([0.25, -0.5, 1.5, 0.0])
ACT = "h = PRelu(z, a)"
POOL = "y = MaxPool <kernel_shape = [2, 2]> (h)"
IMAGE, LINE = "float[1,4,6,6] x", "float[2,4] x"


def network(layer, reader="y = Add(h, x)", x=LINE, y=None, *, slope=A, opset=17, ir=8, **weights):
    """A layer that makes z, a PRelu from z to h, and what reads h."""
    rank = x.count(",") + 1
    y = y or f"float[{','.join('?' * rank)}] y"
    return from_text(f"{layer}  {ACT}  {reader}", x, y, {**weights, "a": slope}, opset=opset, ir=ir)


IMAGE_SLOPE = {"slope": A.reshape(4, 1, 1)}
#: name: a layer whose activation is read by no layer, and the op and the shape of the layer that is put in
LAYERS = {
    "Gemm": (network("z = Gemm(x, A, b)", A=(4, 4), b=(4,)), "Gemm", (7, 4)),
    "Gemm, transB": (network("z = Gemm <transB = 1> (x, A)", A=(4, 4)), "Gemm", (7, 4)),
    "MatMul, Add": (network("m = MatMul(x, A)  z = Add(m, b)", x="float[2,3,4] x", A=(4, 4), b=(4,)), "MatMul", (7, 4)),
    "W·x": (network("z = MatMul(A, x)", x="float[4,3] x", slope=A.reshape(4, 1), A=(4, 4)), "MatMul", (4, 7)),
    "W·x of a vector": (network("z = MatMul(A, x)", x="float[4] x", A=(4, 4)), "MatMul", (4, 7)),
    "Conv": (network("z = Conv(x, A, b)", POOL, IMAGE, A=(4, 4, 3, 3), b=(4,), **IMAGE_SLOPE), "Conv", (4, 7, 1, 1)),
    "Conv, BatchNormalization": (
        network("c = Conv(x, A)  z = BatchNormalization(c, k, d, m, v)", POOL, IMAGE, A=(4, 4, 3, 3), k=(4,), d=(4,),
                m=(4,), v=np.array([0.5, 1, 2, 3]), **IMAGE_SLOPE), "Conv", (4, 7, 1, 1)),
    "Conv, grouped": (
        network("z = Conv <group = 2> (x, A)", POOL, IMAGE, A=(4, 2, 3, 3), **IMAGE_SLOPE), "Conv", (4, 4, 1, 1)),
    "Conv, depthwise, 1-D": (
        network("z = Conv <group = 4> (x, A)", "y = MaxPool <kernel_shape = [2]> (h)", "float[1,4,6] x", A=(4, 1, 3),
                slope=A.reshape(4, 1)), "Conv", (4, 2, 1)),
    "ConvTranspose": (
        network("z = ConvTranspose (x, A)", POOL, IMAGE, A=(4, 4, 3, 3), **IMAGE_SLOPE), "Conv", (4, 7, 1, 1)),
}  # fmt: skip


def ops(model):
    return [node.op_type for node in model.graph.node]


@pytest.mark.parametrize("slope_in", ["consumer", "producer"])
@pytest.mark.parametrize("name", LAYERS)
def test_it_runs_as_the_original_does_and_comes_back_as_a_prelu(name, slope_in):
    model, op, shape = LAYERS[name]
    wide, (choice,) = rewritten(model, form="split-step", slope_in=slope_in)
    assert (choice.form, choice.exactness) == ("split-step", "rounding")
    place = ops(model).index("PRelu")
    assert ops(wide) == [*ops(model)[:place], "Relu", op, *ops(model)[place + 1 :]]
    (weight,) = [tensor for tensor in wide.graph.initializer if tensor.name == "n_h/step_weight"]
    assert tuple(weight.dims) == shape
    expected = run(model, feeds(model))
    assert_close(expected, run(wide, feeds(model)))
    back, (choice,) = rewritten(wide, to="prelu")
    assert choice.form == "fold"
    assert ops(back) == ops(model)
    assert_close(expected, run(back, feeds(model)))
    assert_bits(constants(model, op=False), constants(back, op=False))
    assert_bits(constants(model, op=True), constants(back, op=True))


def test_the_layer_holds_signs_only_where_the_slope_is_in_the_producer():
    model = LAYERS["Gemm"][0]
    held = {
        slope_in: constants(rewritten(model, form="split-step", slope_in=slope_in)[0], op=False)
        for slope_in in ("consumer", "producer")
    }
    (consumer,) = [values for values in held["consumer"] if values.shape == (7, 4)]
    (producer,) = [values for values in held["producer"] if values.shape == (7, 4)]
    np.testing.assert_array_equal(consumer, np.concatenate([np.eye(4), np.diag(-A)[:3]]))
    np.testing.assert_array_equal(producer, np.concatenate([np.eye(4), np.diag(-np.sign(A))[:3]]))


READERS = {
    "an output": ("y = Sigmoid(h)", "float[2,4] y, float[2,4] h"),
    "a Concat": ("y = Concat <axis = 1> (h, x)", "float[2,8] y"),
    "another PRelu": ("y = PRelu(h, a)", "float[2,4] y"),
    "a layer and a Tanh": ("t = Tanh(h)  g = Gemm(h, B)  y = Add(t, g)", "float[2,4] y"),
    "a body": (
        "y = If (c) <then_branch = t () => (T o) { o = Neg(h) }, else_branch = e () => (T p) { p = Abs(h) }>",
        "float[2,4] y",
    ),
    "nothing": ("y = Relu(x)", "float[2,4] y"),
}


@pytest.mark.parametrize("name", READERS)
def test_anything_may_read_the_activation(name):
    reader, y = READERS[name]
    weights = {"A": (4, 4), "c": np.array(True)} | ({"B": (4, 4)} if "B" in reader else {})
    model = network("z = Gemm(x, A)", reader.replace("(T ", "(float[2,4] "), y=y, **weights)
    wide, choices = rewritten(model, form="split-step")
    assert {choice.form for choice in choices} == {"split-step"}
    assert_close(run(model, feeds(model)), run(wide, feeds(model)))
    assert [value.name for value in wide.graph.output] == [value.name for value in model.graph.output]


@examples(1000)
@given(nets(), st.sampled_from(["consumer", "producer"]))
def test_networks_of_all_kinds_of_layers(model, slope_in):
    wide, pairs = alone(model, "relu", "split-step", slope_in)
    for pair in pairs:
        assert_alike(pair)
    assert_close(run(model, feeds(model)), run(wide, feeds(model)))
    back, pairs = alone(wide, "prelu")
    for pair in pairs:
        assert_alike(pair)
    simplified = any(np.all(slope == slope.flat[0]) and slope.flat[0] in (0, 1) for slope in constants(model, op=True))
    assert simplified or ops(back) == ops(model)


KERNEL = np.eye(4).reshape(4, 4, 1, 1)
#: name: a layer behind the activation that is nearly the one that split-step puts in
NOT_STEPS = {
    "another matrix": ("y = Conv(h, I)", {"I": KERNEL * 2}),
    "a permutation": ("y = Conv(h, I)", {"I": KERNEL[::-1].copy()}),
    "a bias": ("y = Conv(h, I, b)", {"I": KERNEL, "b": (4,)}),
    "a stride": ("y = Conv <strides = [1, 2]> (h, I)", {"I": KERNEL}),
    "padding": ("y = Conv <pads = [0, 0, 0, 1]> (h, I)", {"I": KERNEL}),
    "a larger kernel": ("y = Conv(h, I)", {"I": KERNEL * np.ones((1, 1, 2, 1))}),
    "a step on the way": ("d = Mul(h, k)  y = Conv(d, I)", {"I": KERNEL, "k": (4, 1, 1)}),
    "a second reader": ("d = Conv(h, I)  e = Conv(h, B)  y = Concat <axis = 1> (d, e)",
                        {"I": KERNEL, "B": (4, 4, 1, 1)}),
    "more outputs than inputs": ("y = Conv(h, I)", {"I": np.eye(5, 4).reshape(5, 4, 1, 1)}),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_STEPS)
def test_what_is_no_step_stays(name):
    reader, weights = NOT_STEPS[name]
    model = network("z = Conv(x, A)", reader, IMAGE, A=(4, 4, 3, 3), **weights, **IMAGE_SLOPE)
    wide, _ = rewritten(model, form="split")
    back, (choice,) = rewritten(wide, to="prelu")
    assert choice.form == "fold"
    assert ops(back) == ops(model)
    assert_bits(constants(model, op=False), constants(back, op=False))
    assert_close(run(model, feeds(model)), run(back, feeds(model)))


def test_a_gemm_with_a_factor_is_no_step():
    model = network("z = Gemm(x, A)", "y = Gemm <alpha = 0.5> (h, I)", A=(4, 4), I=np.eye(4))
    back, _ = rewritten(rewritten(model, form="split")[0], to="prelu")
    assert ops(back) == ops(model)


def test_an_identity_that_was_there_goes_too():
    model = network("z = Gemm(x, A)", "y = Gemm(h, I)", A=(4, 4), I=np.eye(4))
    back, _ = rewritten(rewritten(model, form="split")[0], to="prelu")
    assert ops(back) == ["Gemm", "PRelu"]
    assert_close(run(model, feeds(model)), run(back, feeds(model)))


def test_a_site_behind_a_new_layer_is_checked_in_the_whole_model():
    model = network("z = Gemm(x, A)", "s = Add(h, c)  k = PRelu(s, a)  y = Sigmoid(k)", A=(4, 4), c=(4,))
    result = onnx_prelu.rewrite(model, form="split-step", providers=["cpu"])
    assert [site.form for site in result.report.sites] == ["split-step", "split-step"]
    assert [pair.node for pair in result.report.check[0].pairs] == ["n_h"]
    assert "checked in the whole model only, since no small model of it can be made: n_k" in result.report.notes


@pytest.mark.parametrize("opset", [7, 10, 11, 13, 18])
def test_opsets_from_seven_on(opset):
    """Before opset 11 a Gemm has a bias; there are no others of the layer's ops that changed."""
    for name in ("Gemm", "Conv"):
        model = onnx.ModelProto()
        model.CopyFrom(LAYERS[name][0])
        model.opset_import[0].version = opset
        wide, (choice,) = rewritten(model, form="split-step")
        assert choice.form == "split-step"
        assert_close(run(model, feeds(model)), run(wide, feeds(model)))


def test_an_infinity_makes_nan_of_its_neighbours_only_at_its_place():
    model = network("z = MatMul(x, A)", "y = Sigmoid(h)", y="float[2,4] h", A=np.eye(4))
    wide, _ = rewritten(model, form="split-step")
    x = np.array([[np.inf, 1, 1, -1], [1, -1, 1, -1]], np.float32)
    (h,) = run(wide, {"x": x})
    assert np.isnan(h[0]).all()
    assert h[1].tolist() == [1, 0.5, 1, 0]


#: name: (the model, the code, the node)
REFUSED = {
    "no layer": (network("z = Sigmoid(x)"), "no-linear-producer", "n_z"),
    "of two tensors": (network("z = Add(x, x)"), "no-linear-producer", "n_z"),
    "read elsewhere": (network("z = Gemm(x, A)", "y = Add(h, z)", A=(4, 4)), "shared-producer", "n_z"),
    "the pre-activation is an output": (
        network("z = Gemm(x, A)", y="float[2,4] y, float[2,4] z", A=(4, 4)), "graph-output", "n_h"),
    "a weight at run time": (network("z = MatMul(x, w)", x="float[2,4] x, float[4,4] w", y="float[2,4] y"),
                             "runtime-weight", "n_z"),
    "a slope over space": (network("z = Conv(x, A)", POOL, IMAGE, slope=np.arange(4.0), A=(4, 4, 3, 3)),
                           "slope-not-per-unit", "n_h"),
    "a slope at run time": (network("z = MatMul(x, A)", x="float[2,4] x, float[4] c", y="float[2,4] y", A=(4, 4)),
                            "runtime-slope", "n_h"),
    "integers": (network("z = MatMul(x, A)", x="int32[2,4] x", y="int32[2,4] y", slope=np.int32([1, 2, 3, 4]),
                         A=np.ones((4, 4), np.int32)), "dtype", "n_h"),
}  # fmt: skip
REFUSED["a slope at run time"][0].graph.node[1].input[1] = "c"


@pytest.mark.parametrize("name", REFUSED)
def test_a_near_miss_is_refused(name):
    model, code, node = REFUSED[name]
    draft = Draft(load(model))
    (site,) = find_sites(draft)
    with pytest.raises(Refused) as caught:
        plan_split_step(draft, site, slope_in_producer=False)
    assert (caught.value.reason.code, caught.value.reason.node) == (code, node)


# ── for a target ──────────────────────────────────────────────────────────────────────────────────────────────

RESIDUAL = {name: LAYERS[name][0] for name in ("Gemm", "MatMul, Add", "Conv", "Conv, BatchNormalization")}


@pytest.mark.parametrize("name", RESIDUAL)
def test_marabou_has_no_other_way_where_an_activation_is_read_by_no_layer(name):
    """It takes a product with one constant for all, no difference of two tensors, no Neg and no Max."""
    model = RESIDUAL[name]
    (site,) = onnx_prelu.inspect(model, target="marabou").sites
    assert (site.fits, site.possible) == (False, ("split-step",))
    result = onnx_prelu.rewrite(model, target="marabou", check=False)
    assert [site.form for site in result.report.sites] == ["split-step"]
    assert_close(run(model, feeds(model)), run(result.model, feeds(model)))
    again = onnx_prelu.rewrite(result.model, target="marabou", check=False)
    assert again.model.SerializeToString() == result.model.SerializeToString()


def test_nnenum_takes_a_last_activation_that_way():
    model = network("z = Gemm(x, A, b)", "h2 = Identity(x)", y="float[2,4] h", A=(4, 4), b=(4,))
    del model.graph.node[2]
    (site,) = onnx_prelu.inspect(model, target="nnenum").sites
    assert site.possible == ("split-step",)
    result = onnx_prelu.rewrite(model, target="nnenum", check=False).model
    assert ops(result) == ["Gemm", "Relu", "Gemm"]
    assert [len(node.input) for node in result.graph.node] == [3, 1, 3]


def test_for_a_target_it_is_the_last_resort():
    model = RESIDUAL["Gemm"]
    taken = ["Gemm", "Relu", "Add"]
    assert onnx_prelu.rewrite(model, ops=taken, check=False).report.sites[0].form == "split-step"
    (site,) = onnx_prelu.rewrite(model, ops=[*taken, "Neg", "Mul", "Sub"], check=False).report.sites
    assert site.form == "skip-outside"
    with pytest.raises(NotMet, match="no form fits --ops"):
        onnx_prelu.rewrite(RESIDUAL["MatMul, Add"], ops=taken, check=False)
