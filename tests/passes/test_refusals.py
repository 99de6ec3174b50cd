"""Near misses: take a model that matches, break one condition, and one refusal has to name it and its node."""

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import helper, numpy_helper

from onnx_prelu.errors import BadInput, BadUsage, Refused
from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.model import load
from onnx_prelu.passes.choose import policy
from onnx_prelu.passes.elementwise import plan_elementwise
from onnx_prelu.passes.engine import inspect_sites, rewrite_sites
from onnx_prelu.passes.fold import plan_fold
from onnx_prelu.passes.patterns import Scope
from onnx_prelu.passes.sites import find_sites
from tests.oracle import assert_same_bits, run
from tests.rewriting import rewritten

RNG = np.random.default_rng(0)
WEIGHTS = {
    "A": RNG.normal(size=(4, 3)),
    "b": RNG.normal(size=(3,)),
    "a": np.array([0.25, -0.5, 1.5]),
    "V": RNG.normal(size=(3, 2)),
}
CHAIN = "z = Gemm(x, A, b)  h = PRelu(z, a)  y = Gemm(h, V)"


def model(body=CHAIN, inputs="float[N,4] x", outputs="float[N,2] y", weights=(), ir=8, opset=17, dtype=np.float32):
    """A model from node lines; all weights that the lines read become initializers."""
    lines = [line for line in body.replace("  ", "\n").split("\n") if line.strip()]
    text = (
        f'<ir_version: {ir}, opset_import: ["" : {opset}]>\ng ({inputs}) => ({outputs}) {{ ' + "\n".join(lines) + " }"
    )
    proto = onnx.parser.parse_model(text)
    listed = {value.name for value in proto.graph.input}
    read = {name for node in proto.graph.node for name in node.input}
    values = {**WEIGHTS, **dict(weights)}
    for name in [name for name in values if name in read]:
        array = np.asarray(values[name])
        array = array.astype(dtype) if array.dtype == np.float64 else array
        proto.graph.initializer.append(numpy_helper.from_array(array, name))
        if ir < 4 and name not in listed:
            number = helper.np_dtype_to_tensor_dtype(array.dtype)
            proto.graph.input.append(helper.make_tensor_value_info(name, number, array.shape))
    for node in proto.graph.node:
        node.name = node.name or f"n_{node.output[0]}"
    return proto


def test_the_model_itself_is_split():
    result, choices = rewritten(model(), form="split")
    assert [(choice.node, choice.form, choice.reason) for choice in choices] == [("n_h", "split", None)]
    assert [node.op_type for node in result.graph.node] == ["Gemm", "Relu", "Gemm"]


ENLARGING = {"weights": {"a": np.ones((1, 4)) * 0.5}, "inputs": "float[N,1] x"}
#: name: (keywords of model(), the code, the node)
SPLIT_REFUSALS = {
    "pre-activation is an output": ({"outputs": "float[N,2] y, float[N,3] z"}, "graph-output", "n_h"),
    "activation is an output": ({"outputs": "float[N,2] y, float[N,3] h"}, "graph-output", "n_h"),
    "second reader of z": (
        {"body": CHAIN + "  o = Relu(z)", "outputs": "float[N,2] y, float[N,3] o"},
        "shared-producer",
        "n_z",
    ),
    "captured by a body": (
        {
            "body": CHAIN
            + "  o = If (cond) <then_branch = t () => (float[N,3] tz) { tz = Identity(z) },"
            + " else_branch = e () => (float[N,3] ez) { ez = Neg(z) }>",
            "inputs": "float[N,4] x, bool cond",
            "outputs": "float[N,2] y, float[N,3] o",
        },
        "shared-producer",
        "n_z",
    ),
    "no producer": ({"body": "h = PRelu(x, a)  y = Gemm(h, V)", "inputs": "float[N,3] x"}, "no-linear-producer", "n_h"),
    "producer is a Tanh": (
        {"body": "z = Tanh(x)  h = PRelu(z, a)  y = Gemm(h, V)", "inputs": "float[N,3] x"},
        "no-linear-producer",
        "n_z",
    ),
    "sum without a MatMul": (
        {"body": "z = Add(x, b)  h = PRelu(z, a)  y = Gemm(h, V)", "inputs": "float[N,3] x"},
        "no-linear-producer",
        "n_z",
    ),
    "transposed input": (
        {"body": "z = Gemm <transA = 1> (x, A, b)  h = PRelu(z, a)  y = Gemm(h, V)", "inputs": "float[4,N] x"},
        "unsupported-layout",
        "n_z",
    ),
    "batched weight": (
        {
            "body": "z = MatMul(x, A)  h = PRelu(z, a)  y = MatMul(h, V)",
            "weights": {"A": RNG.normal(size=(2, 4, 3))},
            "inputs": "float[2,N,4] x",
            "outputs": "float[2,N,2] y",
        },
        "unsupported-layout",
        "n_z",
    ),
    "bias by row": (
        {
            "body": "p = MatMul(x, A)  z = Add(p, b)  h = PRelu(z, a)  y = MatMul(h, V)",
            "weights": {"b": RNG.normal(size=(2, 3))},
            "inputs": "float[2,4] x",
            "outputs": "float[2,2] y",
        },
        "unsupported-layout",
        "n_z",
    ),
    "product read twice": (
        {
            "body": "p = MatMul(x, A)  z = Add(p, b)  h = PRelu(z, a)  y = MatMul(h, V)  o = Neg(p)",
            "outputs": "float[N,2] y, float[N,3] o",
        },
        "shared-producer",
        "n_p",
    ),
    "weight at run time": (
        {"inputs": "float[N,4] x, float[4,3] A2", "body": CHAIN.replace("x, A,", "x, A2,")},
        "runtime-weight",
        "n_z",
    ),
    "weight of the consumer at run time": (
        {"inputs": "float[N,4] x, float[3,2] V2", "body": CHAIN.replace("h, V", "h, V2")},
        "runtime-weight",
        "n_y",
    ),
    "weight is overridable": ({"inputs": "float[N,4] x, float[4,3] A"}, "overridable-weight", "n_z"),
    "bias is overridable": ({"inputs": "float[N,4] x, float[3] b"}, "overridable-weight", "n_z"),
    "consumer's weight is overridable": ({"inputs": "float[N,4] x, float[3,2] V"}, "overridable-weight", "n_y"),
    "slope is overridable": ({"inputs": "float[N,4] x, float[3] a"}, "runtime-slope", "n_h"),
    "slope at run time": (
        {"inputs": "float[N,4] x, float[3] s", "body": CHAIN.replace("z, a", "z, s")},
        "runtime-slope",
        "n_h",
    ),
    "slope by row": ({"weights": {"a": np.array([[0.25], [0.5]])}, "inputs": "float[2,4] x", "outputs": "float[2,2] y"},
                     "slope-not-per-unit", "n_h"),
    "consumer is a Tanh": ({"body": "z = Gemm(x, A, b)  h = PRelu(z, a)  y = Tanh(h)", "outputs": "float[N,3] y"},
                           "consumer-not-linear", "n_y"),
    "one consumer is not linear": (
        {"body": CHAIN + "  o = Tanh(h)", "outputs": "float[N,2] y, float[N,3] o"},
        "consumer-not-linear",
        "n_o",
    ),
    "activation is a bias": (
        {"body": "z = Gemm(x, A, b)  h = PRelu(z, a)  y = Gemm(x, A, h)", "outputs": "float[N,3] y"},
        "consumer-not-linear",
        "n_y",
    ),
    "nothing reads it": ({"body": "z = Gemm(x, A, b)  h = PRelu(z, a)  y = Gemm(x, A)", "outputs": "float[N,3] y"},
                         "no-consumer", "n_h"),
    "overflow": (
        {"weights": {"a": np.array([60000.0, 2.0, 2.0]), "V": np.full((3, 2), 100.0)}, "dtype": np.float16,
         "inputs": "float16[N,4] x", "outputs": "float16[N,2] y"},
        "overflow", "n_y",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SPLIT_REFUSALS)
def test_split_is_refused_and_mirror_takes_the_site(name):
    keywords, code, node = SPLIT_REFUSALS[name]
    _, choices = rewritten(model(**keywords), form="split")
    (choice,) = choices
    assert (choice.refusals["split"].code, choice.refusals["split"].node) == (code, node)
    assert choice.form == "mirror"
    assert choice.reason == f"not split: {choice.refusals['split'].text}"
    assert not choice.refused


#: name: (keywords of model(), the code); no form applies at these
ALL_REFUSED = {
    "slope enlarges x": (
        {"body": "h = PRelu(x, a)", "inputs": "float[2,1] x", "outputs": "float[2,3] h"},
        "slope-enlarges",
    ),
    "slope of a higher rank": (
        {"body": "h = PRelu(x, a)", "inputs": "float[2,3] x", "outputs": "float[3,2,3] h",
         "weights": {"a": np.ones((3, 1, 1)) / 4}},
        "slope-enlarges",
    ),
    "runtime slope enlarges x": (
        {"body": "h = PRelu(x, s)", "inputs": "float[2,1] x, float[3] s", "outputs": "float[2,3] h"},
        "slope-enlarges",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ALL_REFUSED)
def test_a_site_that_takes_no_form_is_refused(name):
    keywords, code = ALL_REFUSED[name]
    proto = model(**keywords)
    bench = Draft(load(proto))
    decided = rewrite_sites(bench, policy("relu", None, "consumer", has_prelu=True), Scope())
    ((plan, choice),) = decided
    assert plan is None
    assert choice.refused
    assert choice.form is None
    assert {reason.code for reason in choice.refusals.values()} == {code}
    assert {reason.node for reason in choice.refusals.values()} == {"n_h"}
    assert not bench.changed


#: name: keywords of model(); each is an error that names the node
ERRORS = {
    "slope is NaN": {"weights": {"a": np.array([0.25, np.nan, 1.0])}},
    "slope is infinite": {"weights": {"a": np.array([0.25, np.inf, 1.0])}},
    "slope does not broadcast": {"weights": {"a": np.array([0.25, 0.5])}},
}


@pytest.mark.parametrize("name", ERRORS)
def test_a_broken_slope_is_an_error_that_names_its_node(name):
    proto = model(**ERRORS[name], outputs="float[N,2] y") if "broadcast" not in name else model(**ERRORS[name])
    with pytest.raises(BadInput, match="n_h"):
        rewrite_sites(Draft(load(proto)), policy("relu", None, "consumer", has_prelu=True), Scope())


@pytest.mark.parametrize("form", ["max", "skip-short", "leakyrelu", "relu", "identity"])
def test_a_form_that_is_not_this_prelu_is_refused_and_mirror_takes_the_site(form):
    _, (choice,) = rewritten(model(), form=form)
    assert choice.form == "mirror"
    assert choice.refusals[form].node == "n_h"
    assert choice.reason.startswith(f"not {form}: ")


@pytest.mark.parametrize("form", ["mirror", "skip", "skip-outside", "split"])
def test_a_form_put_in_twice_changes_nothing(form):
    once, _ = rewritten(model(), form=form)
    twice, choices = rewritten(once, form=form)
    assert twice.SerializeToString() == once.SerializeToString()
    assert not any(choice.form or choice.refused for choice in choices)


def test_a_site_that_has_the_form_already_says_so():
    bench = Draft(load(rewritten(model(), form="mirror")[0]))
    (site,) = find_sites(bench)
    with pytest.raises(Refused) as caught:
        plan_elementwise("mirror", bench, site)
    assert caught.value.reason.code == "same-form"


def test_a_relu_layer_without_pairs_is_no_site():
    proto = model(CHAIN.replace("PRelu(z, a)", "Relu(z)"))
    bench = Draft(load(proto))
    (relu,) = [node for node in bench.index.nodes() if node.op == "Relu"]
    with pytest.raises(Refused) as caught:
        plan_fold(bench, relu)
    assert (caught.value.reason.code, caught.value.reason.node) == ("no-pairs", "n_h")
    assert rewritten(proto, to="prelu")[1] == []


def test_freeze_takes_overridable_weights_as_constants():
    proto = model(inputs="float[N,4] x, float[4,3] A, float[3] a")
    assert rewritten(proto)[1][0].form == "mirror"
    result, (choice,) = rewritten(proto, freeze=True)
    assert choice.form == "split"
    assert [value.name for value in result.graph.input] == ["x"]


def test_an_overridable_slope_is_still_read_at_run_time():
    proto = model(body="h = PRelu(x, a)", inputs="float[N,3] x, float[3] a", outputs="float[N,3] h")
    result, _ = rewritten(proto, form="mirror")
    assert [value.name for value in result.graph.input] == ["x", "a"]
    x = RNG.normal(size=(5, 3)).astype(np.float32)
    for feeds in ({"x": x}, {"x": x, "a": np.array([2, -1, 0.5], np.float32)}):
        assert_same_bits(run(proto, feeds), run(result, feeds))


def test_ir_3_initializers_are_constants_and_new_ones_are_listed():
    proto = model(CHAIN.replace("h, V)", "h, V, c)"), ir=3, opset=8, weights={"c": np.zeros(2)})
    result, (choice,) = rewritten(proto)
    assert choice.form == "split"
    assert {t.name for t in result.graph.initializer} <= {value.name for value in result.graph.input}
    feeds = {"x": RNG.normal(size=(5, 4)).astype(np.float32)}
    np.testing.assert_allclose(run(proto, feeds)[0], run(result, feeds)[0], rtol=1e-4, atol=1e-5)


def test_weights_read_twice_are_copied():
    body = CHAIN + "  z2 = Gemm(x, A, b)  y2 = Tanh(z2)"
    result, _ = rewritten(model(body, outputs="float[N,2] y, float[N,3] y2"), form="split")
    assert {"A", "b", "A/split", "b/split", "V/split"} == {t.name for t in result.graph.initializer}


PATTERNS = [
    ((("n_h",), ()), ["n_h"]),
    ((("n_*",), ()), ["n_h", "n_g"]),
    (((), ("n_h",)), ["n_g"]),
    ((("n_*",), ("*_h",)), ["n_g"]),
]


@pytest.mark.parametrize(("scope", "expected"), PATTERNS)
def test_only_and_skip(scope, expected):
    proto = model("h = PRelu(x, a)  g = PRelu(h, a)", inputs="float[N,3] x", outputs="float[N,3] g, float[N,3] h")
    assert [site.choice.node for site in inspect_sites(Draft(load(proto)), Scope(*scope))] == expected


@pytest.mark.parametrize("scope", [(("nothing*",), ()), ((), ("n_z",))])
def test_a_pattern_that_matches_nothing_is_an_error(scope):
    with pytest.raises(BadUsage, match="matches no site"):
        inspect_sites(Draft(load(model())), Scope(*scope))


def test_exact_names_come_before_globs():
    proto = model("h = PRelu(x, a)  g = PRelu(h, a)", inputs="float[N,3] x", outputs="float[N,3] g, float[N,3] h")
    proto.graph.node[0].name = "n_[gh]"
    assert [site.choice.node for site in inspect_sites(Draft(load(proto)), Scope(("n_[gh]",)))] == ["n_[gh]"]


def test_unnamed_nodes_go_by_their_output():
    proto = model("h = PRelu(x, a)", inputs="float[N,3] x", outputs="float[N,3] h")
    proto.graph.node[0].name = ""
    (choice,) = (site.choice for site in inspect_sites(Draft(load(proto)), Scope(("h",))))
    assert choice.node == "h"


REQUESTS = [
    (("relu", "nonsense", "consumer"), "--form nonsense"),
    (("both", None, "consumer"), "--to both"),
    (("relu", None, "middle"), "--slope-in middle"),
    (("prelu", "split", "consumer"), "--form split"),
    (("relu", "prelu", "consumer"), "--form prelu"),
]


@pytest.mark.parametrize(("request_", "named"), REQUESTS)
def test_requests_that_make_no_sense(request_, named):
    with pytest.raises(BadUsage, match=named):
        policy(*request_, has_prelu=True)
