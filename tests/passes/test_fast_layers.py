"""Forms for speed that change the layers around a site: fold2, comp, dwcat and gauge, run by ONNX Runtime."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper

import onnx_prelu
from onnx_prelu.errors import Refused
from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.model import load
from onnx_prelu.graph.producer import producer
from onnx_prelu.passes.fast import comp, dwcat
from onnx_prelu.passes.fast.comp import plan_comp
from onnx_prelu.passes.fast.dwcat import plan_dwcat
from onnx_prelu.passes.fast.fold2 import plan_fold2
from onnx_prelu.passes.fast.gauge import plan_gauge
from onnx_prelu.passes.sites import find_sites
from tests.counts import examples
from tests.oracle import assert_close, run
from tests.passes.test_alone import alone, assert_alike
from tests.rewriting import rewritten
from tests.strategies import nets, stored
from tests.texts import feeds, from_text

SHARED = Path(__file__).parents[3] / "shared" / "models"
FORMS = ("fold2", "comp", "dwcat", "gauge")
SLOPES = (-0.3, 0.0, 0.25, 0.99999, 1.0, 1.7, 21.0)
A3 = np.array([0.25, -0.5, 1.5]).reshape(3, 1, 1)
SMALL3 = np.array([0.25, -0.5, 1.0]).reshape(3, 1, 1)
CHAIN = "z = Conv(x, A, b)  h = PRelu(z, a)  y = Conv(h, V, c)"
WEIGHTS = {
    "A": (3, 2, 3, 3),
    "b": (3,),
    "a": A3,
    "V": (4, 3, 1, 1),
    "c": (4,),
    "W": (3, 3, 1, 1),
    "d": (3,),
    "a2": SMALL3,
}
WEIGHTS |= {"D": (3, 1, 3, 3), "s": (3, 1, 1), "U": (4, 3, 3, 3)}
X = "float[1,2,7,6] x"


def model(body=CHAIN, inputs=X, outputs="float[?,?,?,?] y", **more):
    weights = {**WEIGHTS, **more.pop("weights", {})}
    read = set(body.replace("(", " ").replace(")", " ").replace(",", " ").split())
    return from_text(body, inputs, outputs, {name: value for name, value in weights.items() if name in read}, **more)


def ops(proto):
    return [node.op_type for node in proto.graph.node]


def assert_rewritten(proto, form, expected=None):
    """A model takes a form, at every site but those that expected has None for, and gives what it gave."""
    wide, choices = rewritten(proto, to="fast", form=form)
    assert [choice.form for choice in choices] == (expected or [form] * len(choices))
    assert_close(run(proto, feeds(proto)), run(wide, feeds(proto)))
    for pair in alone(proto, "fast", form)[1]:
        assert_alike(pair)
    return wide


# ── drawn networks, with ONNX Runtime on the original as the oracle ───────────────────────────────────────────


@examples(1000)
@given(nets(), st.sampled_from(["fold2", "gauge"]))
def test_networks_of_all_kinds_of_layers(proto, form):
    wide, choices = rewritten(proto, to="fast", form=form)
    for choice in choices:
        if choice.form not in (form, "identity"):
            # float16 has no room for a/(1−a) near 1, nor for weights times 1−a far below it
            assert (form, choice.refusals[form].code) == ("fold2", "overflow")
            assert proto.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT16
    assert_close(run(proto, feeds(proto)), run(wide, feeds(proto)))
    for pair in alone(proto, "fast", form)[1]:
        assert_alike(pair)


@st.composite
def residuals(draw):
    """Conv nets with depthwise and 1x1 layers, and residual sums of what a PRelu made and of a branch."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pick = lambda *options: draw(st.sampled_from(options))  # noqa: E731
    nodes, weights, outputs = [], {}, []
    channels = pick(3, 4)

    def add(op, *inputs, **attributes):
        nodes.append(helper.make_node(op, list(inputs), [f"t{len(nodes)}"], f"n{len(nodes)}", **attributes))
        return nodes[-1].output[0]

    def weight(*shape):
        weights[f"w{len(weights)}"] = stored(rng, shape, np.float32) / np.float32(np.sqrt(np.prod(shape[1:])))
        return f"w{len(weights) - 1}"

    def conv(x, kernel, inputs=channels, group=1, stride=1):
        bias = [weight(channels)] if pick(True, False) else []
        kernel_weight = weight(channels, inputs // group, kernel, kernel)
        pads = [kernel // 2] * 4
        return add("Conv", x, kernel_weight, *bias, pads=pads, group=group, strides=[stride] * 2)

    def prelu(x):
        weights[f"w{len(weights)}"] = np.float32([pick(*SLOPES) for _ in range(channels)]).reshape(-1, 1, 1)
        return add("PRelu", x, f"w{len(weights) - 1}")

    y = prelu(conv("x", pick(1, 3), inputs=2))
    for _ in range(draw(st.integers(1, 3))):
        kind = pick("plain", "depthwise", "sum", "sum", "sum")
        if kind == "plain":
            if pick(True, False):
                outputs.append(conv(y, 1))
            y = prelu(conv(y, 1))
        elif kind == "depthwise":
            y = prelu(conv(y, 3, group=channels, stride=pick(1, 2)))
        else:
            branch = conv(y, 3, group=channels)
            branch = prelu(conv(branch, 1)) if pick(True, False) else branch
            branch = conv(branch, 1)
            total = add("Add", *(pick((y, branch), (branch, y))))
            y = prelu(total) if pick(True, True, False) else total
    outputs.append(conv(y, 1))
    declared = [helper.make_tensor_value_info(name, 1, [None] * 4) for name in outputs]
    initializers = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    inputs = [helper.make_tensor_value_info("x", 1, [1, 2, 8, 7])]
    graph = helper.make_graph(nodes, "net", inputs, declared, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@examples(1000)
@given(residuals(), st.sampled_from(FORMS))
def test_convolutions_and_residual_sums(proto, form):
    wide, choices = rewritten(proto, to="fast", form=form)
    assert {choice.form for choice in choices} <= {form, None, "relu", "identity"}
    assert_close(run(proto, feeds(proto)), run(wide, feeds(proto)))
    for pair in alone(proto, "fast", form)[1]:
        assert_alike(pair)
    again, second = rewritten(wide, to="fast", form=form)
    assert all(choice.form is None for choice in second)
    assert again.SerializeToString() == wide.SerializeToString()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["minifasnet_v2", "mtcnn_pnet", "mtcnn_rnet", "mtcnn_onet", "mediapipe_face_landmark"])
def test_real_networks(name, form):
    path = SHARED / f"{name}.onnx"
    if not path.exists():
        pytest.skip("the real models are not beside the repository")
    result = onnx_prelu.rewrite(path, form=form, providers=["cpu"])
    (check,) = result.report.check
    forms = [site.form for site in result.report.sites]
    assert check.status == "passed"
    assert [pair.status for pair in check.pairs] == ["passed"] * (len(forms) - forms.count(None))
    assert forms.count(form) == TAKEN[name][FORMS.index(form)]


#: How many sites take fold2, comp, dwcat, gauge.
TAKEN = {
    "minifasnet_v2": (33, 0, 17, 33),
    "mtcnn_pnet": (2, 1, 0, 2),
    "mtcnn_rnet": (3, 0, 0, 3),
    "mtcnn_onet": (5, 0, 0, 5),
    "mediapipe_face_landmark": (6, 0, 0, 23),
}


# ── fold2 ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_fold2_goes_into_the_rows_where_it_can():
    proto = model(weights={"a": SMALL3})
    wide = assert_rewritten(proto, "fold2")
    assert ops(wide) == ["Conv", "Mul", "Relu", "Add", "Conv"]
    kept = {tensor.name for tensor in wide.graph.initializer} & {"A", "b", "V", "c"}
    assert kept == {"V", "c"}
    assert wide.graph.node[3].output[0] == "h"


def test_fold2_goes_into_the_columns_where_a_slope_is_above_one():
    wide = assert_rewritten(model(), "fold2")
    assert {tensor.name for tensor in wide.graph.initializer} & {"A", "b", "V", "c"} == {"A", "b", "c"}


@pytest.mark.parametrize(
    "body",
    [
        "z = Conv(x, A, b)  n = Mul(z, s)  m = Add(n, s)  h = PRelu(m, a2)  y = MaxPool <kernel_shape = [2, 2]> (h)",
        "z = Conv(x, A, b)  h = PRelu(z, a2)  y = Sigmoid(h)",
        "z = Conv(x, A, b)  y = PRelu(z, a2)",
    ],
)
def test_fold2_in_the_rows_leaves_what_reads_the_activation_alone(body):
    assert_rewritten(model(body), "fold2")


@pytest.mark.parametrize("form", ["fold2", "gauge"])
def test_steps_on_the_way_are_taken_along(form):
    body = (
        "h = PRelu(x, a)  p = AveragePool <kernel_shape = [2, 2]> (h)  q = Mul(p, s)  r = Add(q, s)  f = Flatten(r)"
        "  y = Gemm(f, G)  k = Conv <group = 3> (h, D)"
    )
    proto = model(body, "float[1,3,5,5] x", "float[?,?] y, float[?,?,?,?] k", weights={"G": (48, 2)})
    assert_rewritten(proto, form)


def test_a_kernel_of_two_layers_is_copied():
    body = "z = Conv(x, A, b)  h = PRelu(z, a)  k = Conv(h, W)  y = Conv(k, W)"
    wide = assert_rewritten(model(body), "fold2")
    assert {"W", "W/fold2"} <= {tensor.name for tensor in wide.graph.initializer}


# ── gauge ─────────────────────────────────────────────────────────────────────────────────────────────────────

RESIDUAL = (
    "z = Conv(x, A, b)  h = PRelu(z, a)  g = Conv <group = 3, pads = [1, 1, 1, 1]> (h, D)  o = Conv(g, W, d)"
    "  t = Add(h, o)  k = PRelu(t, a2)  y = Conv(k, V)"
)


def test_gauge_goes_through_a_residual_sum():
    wide = assert_rewritten(model(RESIDUAL), "gauge")
    site = ["Mul", "Mul", "Relu", "Add"]
    assert ops(wide) == ["Conv", *site, "Conv", "Conv", "Add", *site, "Conv"]


def test_gauge_in_the_branch_that_is_added():
    body = (
        "z = Conv(x, A, b)  h = PRelu(z, a)  g = Conv(h, W)  k = PRelu(g, a)  o = Conv(k, W, d)  t = Add(o, h)"
        "  l = PRelu(t, a)  y = Conv(l, V)"
    )
    assert_rewritten(model(body), "gauge")


def test_gauge_turns_signs_back_before_a_prelu_that_stays():
    proto = model(RESIDUAL)
    result = onnx_prelu.rewrite(proto, form={"n_h": "gauge"}, providers=["cpu"], to="fast")
    assert [site.form for site in result.report.sites] == ["gauge", None]
    assert [check.status for check in result.report.check] == ["passed"]
    assert ops(result.model)[7:] == ["Add", "Mul", "PRelu", "Conv"]


def test_gauge_without_slopes_above_one_touches_nothing_else():
    proto = model("z = Sigmoid(x)  h = PRelu(z, a)  y = MaxPool <kernel_shape = [2, 2]> (h)", "float[1,3,5,5] x",
                  weights={"a": SMALL3})  # fmt: skip
    assert ops(assert_rewritten(proto, "gauge")) == ["Sigmoid", "Mul", "Mul", "Relu", "Add", "MaxPool"]


# ── comp and dwcat ────────────────────────────────────────────────────────────────────────────────────────────


def test_comp_merges_what_is_linear():
    body = CHAIN + "  k = Conv(h, W)"
    wide = assert_rewritten(model(body, outputs="float[?,?,?,?] y, float[?,?,?,?] k"), "comp")
    assert ops(wide) == ["Conv", "Relu", *["Conv", "Conv", "Add"] * 2]
    shapes = {tensor.name: tuple(tensor.dims) for tensor in wide.graph.initializer}
    assert shapes["V/linear"] == (4, 2, 3, 3)


@pytest.mark.parametrize("bias", ["A, b|V", "A|V, c", "A|V"])
def test_comp_adds_what_both_layers_add(bias):
    before, behind = bias.split("|")
    assert_rewritten(model(f"z = Conv(x, {before})  h = PRelu(z, a)  y = Conv(h, {behind})"), "comp")


def test_comp_takes_the_attributes_of_the_layer_before():
    attributes = "<strides = [2, 1], pads = [0, 1, 2, 1], dilations = [1, 2]>"
    assert_rewritten(model(f"z = Conv {attributes} (x, A, b)  h = PRelu(z, a)  y = Conv(h, V, c)"), "comp")


def test_dwcat_adds_two_depthwise_layers():
    body = "h = PRelu(x, a)  y = Conv <group = 3, strides = [2, 2], pads = [1, 1, 0, 0]> (h, D2, e)"
    proto = model(body, "float[1,3,6,6] x", weights={"D2": (6, 1, 3, 3), "e": (6,)})
    wide = assert_rewritten(proto, "dwcat")
    assert ops(wide) == ["Relu", "Conv", "Conv", "Add"]
    assert [len(node.input) for node in wide.graph.node] == [1, 3, 2, 2]


def test_what_they_cost():
    body = (
        CHAIN.replace("V", "W").replace(", c", "") + "  e = PRelu(y, a)  k = Conv <group = 3, strides = [2, 2]> (e, D)"
    )
    draft = Draft(load(model(body, outputs="float[?,?,?,?] k")))
    first, second = (producer(draft, name) for name in ("z", "y"))
    assert comp.products(first, [second]) == 9 * 2 / 3 * 16
    assert dwcat.products(producer(draft, "k")) == 2.25


# ── what they cannot be ───────────────────────────────────────────────────────────────────────────────────────

PLAN = {"fold2": plan_fold2, "comp": plan_comp, "dwcat": plan_dwcat, "gauge": plan_gauge}
HUGE = {"A": (3, 2, 9, 9), "V": (400, 3, 1, 1)}
SUM = "z = Conv(x, A, b)  h = PRelu(z, a)  o = {}  t = Add(h, o)  y = Conv(t, V)"
IN3, OUT2 = "float[1,3,5,5] x", "float[?,?,?,?] y, float[?,?,?,?] k"
SIXTEEN = {"inputs": "float16[1,2,7,6] x", "outputs": "float16[?,?,?,?] y", "dtype": np.float16}
SMALL_V = np.full((4, 3, 1, 1), 2e-4)
NEAR_ONE = {"a": np.array([0.999, 0.5, 0.5]).reshape(3, 1, 1)}
POOLED = "z = Conv(x, A, b)  h = PRelu(z, a)  m = MaxPool <kernel_shape = [2, 2]> (h)  y = Conv(m, V)"
#: (the form, the model, the code, the node)
REFUSED = [
    ("fold2", model(CHAIN + "  k = Tanh(h)", outputs=OUT2), "consumer-not-linear", "n_k"),
    ("fold2", model(POOLED), "between-not-linear", "n_m"),
    ("fold2", model(outputs="float[?,?,?,?] y, float[1,3,5,4] h"), "graph-output", "n_h"),
    ("fold2", model(**SIXTEEN, weights=NEAR_ONE), "overflow", "n_h"),
    ("fold2", model(**SIXTEEN, weights={"a": A3 - 0.3, "V": SMALL_V}), "overflow", "n_y"),
    ("fold2", model(opset=6, ir=6, weights={"a": np.array([0.25, -0.5, 1.5])}), "opset", "n_h"),
    ("fold2", model(CHAIN, f"{X}, float[3,1,1] a"), "runtime-slope", "n_h"),
    ("comp", model("z = Conv <group = 3> (x, D)  h = PRelu(z, a)  y = Conv(h, V)", IN3), "layer-kind", "n_z"),
    ("comp", model("z = Conv(x, A)  n = Mul(z, s)  h = PRelu(n, a)  y = Conv(h, V)"), "layer-kind", "n_n"),
    ("comp", model(CHAIN.replace("h, V", "h, U")), "layer-kind", "n_y"),
    ("comp", model(CHAIN.replace("Conv(h", "Conv <strides = [2, 2]> (h")), "layer-kind", "n_y"),
    ("comp", model(CHAIN.replace("Conv(h", "Conv <pads = [1, 1, 1, 1]> (h")), "layer-kind", "n_y"),
    ("comp", model("h = PRelu(x, a)  y = Conv(h, V)", IN3), "no-linear-producer", ""),
    ("comp", model(weights=HUGE | {"A": (3, 2, 7, 6), "c": (400,)}), "too-large", "n_z"),
    ("comp", model(**SIXTEEN, weights={"A": np.full((3, 2, 3, 3), 300.0), "V": np.full((4, 3, 1, 1), 300.0)}),
     "overflow", "n_y"),
    ("comp", model(opset=6, ir=6, weights={"a": np.array([0.25, -0.5, 1.5])}), "opset", "n_h"),
    ("dwcat", model(), "layer-kind", "n_y"),
    ("dwcat", model("h = PRelu(x, a)  i = Identity(h)  y = Conv <group = 3> (i, D)", IN3), "layer-kind", "n_i"),
    ("dwcat", model("h = PRelu(x, a)  y = ConvTranspose <group = 3> (h, D)", IN3), "layer-kind", "n_y"),
    ("gauge", model(POOLED), "between-not-linear", "n_m"),
    ("gauge", model(outputs="float[?,?,?,?] y, float[1,3,5,4] h"), "graph-output", "n_h"),
    ("gauge", model(SUM.format("Sigmoid(z)")), "no-linear-producer", "n_o"),
    ("gauge", model(SUM.format("Conv(h, W)")), "consumer-not-linear", "n_t"),
    ("gauge", model(SUM.format("Conv(z, W)") + "  k = Tanh(o)", outputs=OUT2), "shared-producer", "n_o"),
    ("gauge", model(SUM.format("Conv(z, W)") + "  k = Tanh(t)", outputs=OUT2), "consumer-not-linear", "n_k"),
    ("gauge", model(SUM.format("Conv(z, W)"), outputs="float[?,?,?,?] y, float[?,?,?,?] t"), "graph-output", "n_t"),
    ("gauge", model(CHAIN, f"{X}, float[3,1,1] a"), "runtime-slope", "n_h"),
    ("gauge", model(opset=6, ir=6, weights={"a": np.array([0.25, -0.5, 1.5])}), "opset", "n_h"),
]  # fmt: skip


@pytest.mark.parametrize(("form", "proto", "code", "node"), REFUSED)
def test_a_near_miss_is_refused(form, proto, code, node):
    names = {value.name for value in proto.graph.input}
    kept = [tensor for tensor in proto.graph.initializer if tensor.name not in names]
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(kept)
    draft = Draft(load(proto))
    site = find_sites(draft)[0]
    with pytest.raises(Refused) as caught:
        PLAN[form](draft, site)
    assert (caught.value.reason.code, caught.value.reason.node) == (code, node)


def test_gauge_twice_is_once():
    wide, _ = rewritten(model(weights={"a": SMALL3}), to="fast", form="gauge")
    _, (choice,) = rewritten(wide, to="fast", form="gauge")
    assert (choice.form, choice.refused, choice.reason) == (None, False, "the site is written as gauge already")
