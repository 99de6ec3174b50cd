"""PReLU inside If, Loop and Scan bodies and model-local functions, against ONNX Runtime on the original."""

import re

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import helper, numpy_helper

from onnx_prelu import api
from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.model import load
from onnx_prelu.passes.engine import inspect_sites
from onnx_prelu.passes.patterns import Scope
from tests.oracle import assert_close, assert_same_bits, run
from tests.rewriting import rewritten

RNG = np.random.default_rng(0)
WEIGHTS = {
    "A": RNG.normal(size=(4, 3)),
    "b": RNG.normal(size=(3,)),
    "a": np.array([0.25, -0.5, 1.5]),
    "V": RNG.normal(size=(3, 4)),
    "S": np.array([0.25, -0.5, 1.5, 21.0]),
}
X = {"x": RNG.normal(size=(5, 4)).astype(np.float32)}
TRUE, FALSE = {"cond": np.array(True)}, {"cond": np.array(False)}
LAYER = "z = Gemm(x, A, b) h = PRelu(z, a) o = Gemm(h, V)"


def lines(text):
    return text.replace(") ", ")\n")


def model(text, weights=(), ir=8, opset=17, functions="", imports=""):
    """A model from text; the weights that any of its bodies reads, and does not make, become initializers."""
    header = f'<ir_version: {ir}, opset_import: ["" : {opset}{imports}]>\n'
    proto = onnx.parser.parse_model(header + lines(text) + "\n" + lines(functions))
    for name, value in {**WEIGHTS, **dict(weights)}.items():
        if re.search(rf"[ (]{name}[,)]", text):
            proto.graph.initializer.append(numpy_helper.from_array(value.astype(np.float32), name))
    return proto


def branches(then, other):
    return (
        "g (float[N,4] x, bool cond) => (float[N,4] y) { y = If (cond) "
        f"<then_branch = t () => (float[N,4] o) {{ {then} }}, else_branch = e () => (float[N,4] p) {{ {other} }}> }}"
    )


def body(proto, *path):
    """The graph at a path of (node's output, attribute)."""
    graph = proto.graph
    for output, name in path:
        (node,) = [node for node in graph.node if output in node.output]
        (graph,) = [attribute.g for attribute in node.attribute if attribute.name == name]
    return graph


def ops(graph):
    return [node.op_type for node in graph.node]


IN_THEN = branches(LAYER, "p = PRelu(x, S)")
LOOP = """g (float[N,4] x, int64 n, bool cond) => (float[N,4] y, float[K,N,4] scan) {
    y, scan = Loop (n, cond, x) <body = l (int64 i, bool c, float[N,4] x0) => (bool d, float[N,4] o, float[N,4] s) {
        d = Identity(c) z = Gemm(x0, A, b) h = PRelu(z, a) o = Gemm(h, V) s = PRelu(o, S) }> }"""
SCAN = """g (float[5,4] x, float[4] init) => (float[4] last, float[5,4] y) {
    last, y = Scan <num_scan_inputs = 1, body = s (float[4] state, float[4] row) => (float[4] next, float[4] out) {
        sum = Add(state, row) next = PRelu(sum, S) out = Neg(next) }> (init, x) }"""
IF_IN_LOOP = """g (float[N,4] x, int64 n, bool cond) => (float[N,4] y) {
    y = Loop (n, cond, x) <body = l (int64 i, bool c, float[N,4] x0) => (bool d, float[N,4] o) {
        d = Identity(c) two = Constant <value = int64 {2}> () m = Mod(i, two) odd = Cast <to = 9> (m)
        o = If (odd) <then_branch = t () => (float[N,4] u) { z = Gemm(x0, A, b) h = PRelu(z, a) u = Gemm(h, V) },
                      else_branch = e () => (float[N,4] v) { v = PRelu(x0, S) }> }> }"""
LOOPS = {**X, "n": np.array(3), **TRUE}
#: name: (text, feeds, forms by site with --form split)
MODELS = {
    "then": (IN_THEN, {**X, **TRUE}, {"y/then_branch/h": "split", "y/else_branch/p": "mirror"}),
    "else": (IN_THEN, {**X, **FALSE}, {"y/then_branch/h": "split", "y/else_branch/p": "mirror"}),
    "both": (
        branches(LAYER, LAYER.replace("o =", "p =")),
        {**X, **FALSE},
        {"y/then_branch/h": "split", "y/else_branch/h": "split"},
    ),
    "loop": (LOOP, LOOPS, {"y/body/h": "split", "y/body/s": "mirror"}),
    "scan": (SCAN, {**X, "init": np.zeros(4, np.float32)}, {"last/body/next": "mirror"}),
    "if in loop": (
        IF_IN_LOOP,
        LOOPS,
        {"y/body/o/then_branch/h": "split", "y/body/o/else_branch/v": "mirror"},
    ),
}


@pytest.mark.parametrize("form", ["split", "mirror", "skip", "max", None])
@pytest.mark.parametrize("name", MODELS)
def test_bodies_are_rewritten_in_place(name, form):
    text, feeds, forms = MODELS[name]
    proto = model(text)
    before = proto.SerializeToString()
    result, choices = rewritten(proto, form=form)
    assert proto.SerializeToString() == before
    if form == "split":
        assert {choice.node: choice.form for choice in choices} == forms
    assert not any(choice.refused for choice in choices)
    same = assert_same_bits if {choice.exactness for choice in choices} == {"equal bits"} else assert_close
    same(run(proto, feeds), run(result, feeds))
    again, _ = rewritten(result, form=form)
    assert again.SerializeToString() == result.SerializeToString()


@pytest.mark.parametrize("name", MODELS)
def test_a_split_folds_back_inside_a_body(name):
    text, feeds, forms = MODELS[name]
    proto = model(text)
    back, choices = rewritten(rewritten(proto, form="split")[0], to="prelu")
    assert {choice.form for choice in choices} <= {"fold", "prelu"}
    assert [choice.form for choice in choices].count("fold") == list(forms.values()).count("split")
    assert_same_bits(run(proto, feeds), run(back, feeds))


def test_new_constants_stand_in_the_body_and_captured_ones_go_with_their_last_reader():
    text = branches(LAYER, LAYER.replace("o =", "p ="))
    result, _ = rewritten(model(text), form="split")
    assert [tensor.name for tensor in result.graph.initializer] == []
    then, other = (body(result, ("y", name)) for name in ("then_branch", "else_branch"))
    assert ops(then) == ops(other) == ["Gemm", "Relu", "Gemm"]
    assert [tensor.name for tensor in then.initializer] == ["A/split", "b/split", "V/split"]
    assert [tensor.name for tensor in other.initializer] == ["A/split_2", "b/split_2", "V/split_2"]


def test_a_captured_constant_that_something_else_reads_stays():
    """A and b are read at the top level, V by the other branch."""
    other = "p = MatMul(q, V)"
    text = branches(LAYER, other).replace("{ y = If", "{ q = Gemm(x, A, b) y = If")
    result, _ = rewritten(model(text), form="split")
    assert [tensor.name for tensor in result.graph.initializer] == ["A", "b", "V"]
    result, _ = rewritten(model(text), form="mirror")
    assert [tensor.name for tensor in result.graph.initializer] == ["A", "b", "a", "V"]


def test_a_captured_constant_goes_with_its_last_reader_two_scopes_out():
    result, _ = rewritten(model(IF_IN_LOOP), form="split")
    assert {tensor.name for tensor in result.graph.initializer} == {"S"}
    assert ops(body(result, ("y", "body"), ("o", "then_branch"))) == ["Gemm", "Relu", "Gemm"]
    assert len(body(result, ("y", "body"), ("o", "then_branch")).initializer) == 3


def test_a_captured_constant_behind_nodes_goes_with_them():
    text = IN_THEN.replace("{ y = If", "{ V = Transpose(W) y = If")
    proto = model(text, {"W": RNG.normal(size=(4, 3))})
    del proto.graph.initializer[[tensor.name for tensor in proto.graph.initializer].index("V")]
    result, _ = rewritten(proto, form="split")
    assert ops(result.graph) == ["If"]
    assert {tensor.name for tensor in result.graph.initializer} == {"S"}
    assert_close(run(proto, {**X, **TRUE}), run(result, {**X, **TRUE}))


def test_names_collide_with_nothing_in_any_body():
    then = LAYER.replace("h = PRelu(z, a)", "h = PRelu(z, a) k = Neg(h)").replace("o = Gemm(h", "o = Gemm(k")
    other = "r = Neg(x) h = Tanh(r) p = PRelu(h, S)"
    proto = model(branches(then, other).replace("{ y = If", "{ v = Tanh(x) w = PRelu(v, S) y = If"))
    proto.graph.output.append(helper.make_tensor_value_info("w", onnx.TensorProto.FLOAT, ["N", 4]))
    body(proto, ("y", "else_branch")).node[0].name = "h/relu"  # what nodes of the other branch would be called
    proto.graph.node[0].name = "h/mul"
    result, choices = rewritten(proto, form="mirror")
    assert len(choices) == 3
    parts = [result.graph, *(body(result, ("y", name)) for name in ("then_branch", "else_branch"))]
    made = [name for part in parts for node in part.node for name in node.output]
    assert {name for name in made if made.count(name) > 1} == {"h"}  # which two bodies had before
    names = [node.name for part in parts for node in part.node if node.name]
    assert len(names) == len(set(names))
    assert not set(names) & set(made)


def test_what_no_edit_names_stays_byte_for_byte():
    """A rewrite in one branch leaves the other branch, and all around both, as they were."""
    proto = model(branches(LAYER, "p = Neg(x)"), {"unused": np.zeros(3)})
    proto.graph.node[0].doc_string = "planted"
    proto.graph.initializer.append(numpy_helper.from_array(np.zeros(2), "spare"))
    then = body(proto, ("y", "then_branch"))
    then.doc_string = "planted too"
    then.node[1].doc_string = "of the site"
    then.node[1].metadata_props.add(key="planted", value="yes")
    result, _ = rewritten(proto, form="mirror")
    assert [node.doc_string for node in body(result, ("y", "then_branch")).node[1:6]] == ["of the site"] * 5
    mine = body(result, ("y", "then_branch"))
    nodes = [node for node in mine.node if node.op_type == "Gemm"]
    del mine.node[:]
    mine.node.extend([nodes[0], then.node[1], nodes[1]])
    assert result.SerializeToString() == proto.SerializeToString()


def test_declared_types_of_widened_tensors_in_a_body_are_widened():
    proto = model(branches(LAYER, "p = Neg(x)"))
    then = body(proto, ("y", "then_branch"))
    for name in ("z", "h"):
        then.value_info.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", 3]))
    result, _ = rewritten(proto, form="split")
    widths = {v.name: v.type.tensor_type.shape.dim[1].dim_value for v in body(result, ("y", "then_branch")).value_info}
    assert widths == {"z/split": 6, "h/split": 6}


#: name: (text, the code, the node, the site)
REFUSALS = {
    "captured z": (
        branches("h = PRelu(z, a) o = Gemm(h, V)", "p = Neg(x)").replace("{ y = If", "{ z = Gemm(x, A, b) y = If"),
        "no-linear-producer", "y/then_branch/h", "y/then_branch/h",
    ),
    "z captured by a body": (
        branches("o = MatMul(z, V)", "p = Neg(x)")
        .replace("{ y = If", "{ z = Gemm(x, A, b) h = PRelu(z, a) w = Gemm(h, V) y = If")
        .replace("y) {", "y, float[N,4] w) {"),
        "shared-producer", "z", "h",
    ),
    "h captured by a body": (
        branches("o = MatMul(h, V)", "p = Neg(x)").replace("{ y = If", "{ z = Gemm(x, A, b) h = PRelu(z, a) y = If"),
        "consumer-not-linear", "y", "h",
    ),
    "output of the body": (
        branches("z = Gemm(x, A, b) k = Neg(z) o = PRelu(k, a)", "p = Neg(x)").replace("float[N,4] y", "float[N,M] y")
        .replace("float[N,4] o", "float[N,3] o"),
        "graph-output", "y/then_branch/o", "y/then_branch/o",
    ),
    "weight carried by the loop": (
        """g (float[N,4] x, float[4,4] W, int64 n, bool cond) => (float[N,4] y, float[4,4] W2) {
            y, W2 = Loop (n, cond, x, W)
            <body = l (int64 i, bool c, float[N,4] x0, float[4,4] w) => (bool d, float[N,4] o, float[4,4] w2) {
                d = Identity(c) w2 = Identity(w) z = MatMul(x0, w) h = PRelu(z, S) o = MatMul(h, w) }> }""",
        "runtime-weight", "y/body/z", "y/body/h",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_split_is_refused_across_the_edge_of_a_body(name):
    text, code, node, site = REFUSALS[name]
    _, choices = rewritten(model(text), form="split")
    (choice,) = choices
    assert (choice.node, choice.form) == (site, "mirror")
    assert (choice.refusals["split"].code, choice.refusals["split"].node) == (code, node)


def test_an_overridable_weight_around_a_body_is_refused_and_freeze_takes_it():
    text = branches(LAYER, "p = Neg(x)").replace("bool cond", "bool cond, float[4,3] A")
    assert rewritten(model(text), form="split")[1][0].refusals["split"].code == "overridable-weight"
    result, (choice,) = rewritten(model(text), form="split", freeze=True)
    assert choice.form == "split"
    assert [value.name for value in result.graph.input] == ["x", "cond"]


def test_what_is_frozen_for_a_body_is_no_input_any_more():
    text = branches("o = PRelu(x, S)", "p = Neg(x)").replace("bool cond", "bool cond, float[4] S")
    result, (choice,) = rewritten(model(text), form="mirror", freeze=True)
    assert choice.slope.shape == (4,)
    assert [value.name for value in result.graph.input] == ["x", "cond"]


def test_a_captured_runtime_slope_takes_mirror():
    text = branches("o = PRelu(x, s)", "p = Neg(x)").replace("bool cond", "bool cond, float[4] s")
    proto = model(text)
    result, (choice,) = rewritten(proto, form="skip")
    assert choice.form == "mirror"
    feeds = {**X, **TRUE, "s": np.array([0.5, -2, 3, 0], np.float32)}
    assert_same_bits(run(proto, feeds), run(result, feeds))


def test_before_ir_4_new_constants_of_a_body_are_nodes():
    layer = LAYER.replace("h, V)", "h, V, S)")
    proto = model(branches(layer, "p = Neg(x)"), ir=3, opset=8)
    for tensor in proto.graph.initializer:
        proto.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    result, (choice,) = rewritten(proto, form="skip")
    then = body(result, ("y", "then_branch"))
    assert choice.form == "skip"
    assert ops(then)[:2] == ["Constant", "Constant"]
    assert len(then.initializer) == len(then.input) == 0
    assert_close(run(proto, {**X, **TRUE}), run(result, {**X, **TRUE}))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("y/then_branch/h", ["y/then_branch/h"]),
        ("h", ["y/then_branch/h"]),
        ("*/else_branch/*", ["y/else_branch/p"]),
        ("y/*", ["y/then_branch/h", "y/else_branch/p"]),
    ],
)
def test_sites_of_bodies_go_by_their_path_and_by_their_own_name(pattern, expected):
    choices = [site.choice for site in inspect_sites(Draft(load(model(IN_THEN))), Scope((pattern,)))]
    assert [choice.node for choice in choices] == expected


def test_convolutions_split_inside_bodies_too():
    layer = "z = Conv(x, K) h = PRelu(z, s) o = Conv(h, L)"
    text = f"""g (float[1,2,6,6] x, bool cond) => (float[1,3,2,2] y) {{ y = If (cond)
        <then_branch = t () => (float[1,3,2,2] o) {{ {layer} }},
         else_branch = e () => (float[1,3,2,2] p) {{ {layer.replace("o =", "p =")} }}> }}"""
    kernels = {"K": RNG.normal(size=(4, 2, 3, 3)), "s": RNG.normal(size=(4, 1, 1)), "L": RNG.normal(size=(3, 4, 3, 3))}
    proto = model(text, kernels)
    result, choices = rewritten(proto, form="split")
    assert [(choice.node, choice.form) for choice in choices] == [
        ("y/then_branch/h", "split"),
        ("y/else_branch/h", "split"),
    ]
    assert list(result.graph.initializer) == []
    for cond in (TRUE, FALSE):
        feeds = {"x": RNG.normal(size=(1, 2, 6, 6)).astype(np.float32), **cond}
        assert_close(run(proto, feeds), run(result, feeds))


# ── functions ─────────────────────────────────────────────────────────────────────────────────────────────────

CALL = "g (float[N,4] x) => (float[N,4] y) { m = own.block(x) y = own.block(m) }"
OWN = ', "own" : 1'


def function(text, name="block", opset=17):
    return f'<opset_import: ["" : {opset}], domain: "own"> {name} (x) => (y) {{ {text} }}'


def with_constants(proto, weights=WEIGHTS):
    """The weights as Constant nodes of the function, which has no initializers."""
    body_ = proto.functions[0]
    read = {name for node in body_.node for name in node.input}
    nodes = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value.astype(np.float32)))
        for name, value in weights.items()
        if name in read
    ]
    rest = list(body_.node)
    del body_.node[:]
    body_.node.extend([*nodes, *rest])
    return proto


@pytest.mark.parametrize("form", ["mirror", "skip", "split"])
def test_a_function_is_one_site_however_often_it_is_called(form):
    text = function("z = Gemm(x, A, b) h = PRelu(z, a) y = Gemm(h, V)")
    proto = with_constants(model(CALL, functions=text, imports=OWN))
    result, choices = rewritten(proto, form=form)
    assert [(choice.node, choice.form) for choice in choices] == [("own.block/h", form)]
    assert result.graph == proto.graph
    assert_close(run(proto, X), run(result, X))
    constants = [node for node in result.functions[0].node if node.op_type == "Constant"]
    made = [node.output[0] for node in constants if "/" in node.output[0]]
    if form == "mirror":
        assert made == []
    elif form == "split":
        assert made == ["A/split", "b/split", "V/split"]
    else:
        assert made
        assert all(name.startswith("h/") for name in made)
    read = {name for node in result.functions[0].node for name in node.input}
    assert {node.output[0] for node in constants} <= read


def test_a_split_folds_back_inside_a_function():
    text = function("z = Gemm(x, A, b) h = PRelu(z, a) y = Gemm(h, V)")
    proto = with_constants(model(CALL, functions=text, imports=OWN))
    back, (choice,) = rewritten(rewritten(proto, form="split")[0], to="prelu")
    assert choice.form == "fold"
    assert_same_bits(run(proto, X), run(back, X))


def test_functions_are_rewritten_in_their_own_opset():
    """float64 Max is of opset 8: what counts is the opset that the function imports, not the model's."""
    text = function("y = Max(x, k)", opset=8)
    proto = model(CALL, functions=text, imports=OWN)
    assert [scope.opset for scope in Draft(load(proto)).scopes()] == [17, 8]


def test_a_function_that_is_called_with_one_type_has_that_type():
    proto = model(CALL, functions=function("y = LeakyRelu <alpha = 0.25> (x)"), imports=OWN)
    result, (choice,) = rewritten(proto, form="mirror")
    assert (choice.node, choice.form) == ("own.block/y", "mirror")
    assert_same_bits(run(proto, X), run(result, X))
    assert [pair.status for pair in api.rewrite(proto, form="mirror").report.check[0].pairs] == ["passed"]


def test_a_zero_cast_in_a_function_is_found_by_the_type_of_its_calls():
    text = function("""k = Constant <value = float {0.0}> () z = CastLike(k, x) m = Max(x, z) n = Min(x, z)
        l = Constant <value = float {0.25}> () j = CastLike(l, x) o = Mul(j, n) y = Add(m, o)""")
    proto = model(CALL, functions=text, imports=OWN)
    result, (choice,) = rewritten(proto, form="mirror")
    assert (choice.node, choice.form) == ("own.block/y", "mirror")
    assert_same_bits(run(proto, X), run(result, X))


def test_a_function_that_is_called_with_two_types_is_refused():
    call = """g (float[N,4] x) => (float[N,4] y, double[N,4] v) {
        y = own.block(x) w = Cast <to = 11> (y) v = own.block(w) }"""
    proto = model(call, functions=function("y = LeakyRelu <alpha = 0.25> (x)"), imports=OWN)
    _, (choice,) = rewritten(proto, form="mirror")
    assert choice.refused
    assert {reason.code for reason in choice.refusals.values()} == {"type-unknown"}
    assert choice.refusals["mirror"].node == "own.block/y"


def test_a_function_that_nothing_calls_is_refused_unless_its_types_are_declared():
    call = "g (float[N,4] x) => (float[N,4] y) { y = Neg(x) }"
    proto = model(call, functions=function("y = LeakyRelu <alpha = 0.25> (x)"), imports=OWN, ir=10)
    _, (choice,) = rewritten(proto, form="mirror")
    assert choice.refused
    assert choice.refusals["mirror"].code == "type-unknown"
    proto.functions[0].value_info.append(helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 4]))
    _, (choice,) = rewritten(proto, form="mirror")
    assert choice.form == "mirror"


def test_an_attribute_that_is_a_parameter_is_known_at_no_place():
    text = """<opset_import: ["" : 17], domain: "own"> block <alpha> (x) => (y) {
        y = LeakyRelu <alpha: float = @alpha> (x) }"""
    call = CALL.replace("block(", "block <alpha = 0.25> (")
    proto = model(call, functions=text, imports=OWN)
    result, choices = rewritten(proto, form="mirror")
    assert choices == []
    assert result.SerializeToString() == proto.SerializeToString()


def test_a_body_inside_a_function():
    text = """<opset_import: ["" : 17], domain: "own"> block (x, c) => (y) {
        y = If (c) <then_branch = t () => (float[N,4] o) { o = PRelu(x, S) },
                    else_branch = e () => (float[N,4] p) { p = Neg(x) }> }"""
    call = "g (float[N,4] x, bool cond) => (float[N,4] y) { y = own.block(x, cond) }"
    proto = model(call, functions=text, imports=OWN)
    proto.functions[0].node.insert(
        0, helper.make_node("Constant", [], ["S"], value=numpy_helper.from_array(WEIGHTS["S"].astype(np.float32)))
    )
    result, choices = rewritten(proto, form="skip")
    assert [(choice.node, choice.form) for choice in choices] == [("own.block/y/then_branch/o", "skip")]
    for feeds in ({**X, **TRUE}, {**X, **FALSE}):
        assert_close(run(proto, feeds), run(result, feeds))
