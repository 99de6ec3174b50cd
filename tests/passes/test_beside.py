"""concat and tied: lanes made in the graph, run by ONNX Runtime, taken back; and what they cannot be."""

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper

import onnx_prelu
from onnx_prelu.algebra.lanes import concat, tied
from onnx_prelu.algebra.united import halves_slope, sum_slope
from onnx_prelu.errors import Refused
from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.model import load
from onnx_prelu.passes.beside import plan_concat, plan_tied
from onnx_prelu.passes.sites import find_sites
from onnx_prelu.passes.unite import plan_unite
from tests import independent
from tests.constants import assert_bits, constants
from tests.counts import examples
from tests.oracle import assert_close, run
from tests.passes.test_alone import alone, assert_alike
from tests.rewriting import rewritten
from tests.strategies import mlps, nets
from tests.texts import feeds, from_text

MODELS = Path(__file__).parents[2] / "models"
FORMS = ("concat", "tied")
SLOPES = np.array([-0.3, 0.0, 0.25, 1.0, 1.7, 21.0, 1e-30])
CHAIN = "z = Gemm(x, A, b)  h = PRelu(z, a)  y = Gemm(h, V)"
WEIGHTS = {"A": (4, 3), "b": (3,), "a": np.array([0.25, -0.5, 1.5]), "V": (3, 2)}


def model(body=CHAIN, inputs="float[2,4] x", outputs="float[2,2] y", **more):
    values = {**WEIGHTS, **more.pop("weights", {})}
    read = set(body.replace("(", " ").replace(")", " ").replace(",", " ").split())
    return from_text(body, inputs, outputs, {name: value for name, value in values.items() if name in read}, **more)


# ── the tables ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("table", [concat, tied])
def test_the_table_is_prelu(table):
    z = np.random.default_rng(0).normal(size=(50, len(SLOPES)))
    lanes, h = table(SLOPES), np.zeros_like(z)
    for unit, row, slope, out in zip(lanes.unit, lanes.row, lanes.slope, lanes.out, strict=True):
        h[:, unit] += out * independent.prelu(row * z[:, unit], slope)
    np.testing.assert_allclose(h, independent.prelu(z, SLOPES), rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(lanes.rays(len(SLOPES)).neg, SLOPES, rtol=1e-15)
    np.testing.assert_allclose(lanes.rays(len(SLOPES)).pos, 1.0, rtol=1e-14)
    borne = np.bincount(lanes.unit, lanes.out * lanes.bearing())
    np.testing.assert_allclose(borne, 1.0, rtol=1e-14)


@pytest.mark.parametrize("table", [concat, tied])
def test_lanes_of_a_unit_stand_together(table):
    lanes, together = table(SLOPES), table(SLOPES).by_unit()
    n = len(SLOPES)
    assert together.unit.tolist() == [unit for unit in range(n) for _ in range(2)]
    for column in ("row", "slope", "out"):
        one, two = getattr(lanes, column), getattr(together, column)
        assert (two[0::2].tolist(), two[1::2].tolist()) == (one[:n].tolist(), one[n:].tolist())


# ── forth and back, with ONNX Runtime as the oracle ───────────────────────────────────────────────────────────


def drawn_feeds(proto):
    value = proto.graph.input[0].type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(value.elem_type)
    shape = [dim.dim_value or 16 for dim in value.shape.dim]
    return {proto.graph.input[0].name: np.random.default_rng(0).normal(size=shape).astype(dtype)}


def assert_forth_and_back(proto, form):
    wide, choices = rewritten(proto, form=form)
    assert {choice.form for choice in choices} == {form}
    values = drawn_feeds(proto)
    expected = run(proto, values)
    assert_close(expected, run(wide, values))
    back, folded = rewritten(wide, to="prelu")
    assert [choice.form for choice in folded].count("fold") == len(choices)
    assert_close(expected, run(back, values))
    assert [node.op_type for node in back.graph.node] == [node.op_type for node in proto.graph.node]
    if form == "tied":
        assert_bits(constants(proto, op=False), constants(back, op=False))
    for one, two in zip(constants(proto, op=True), constants(back, op=True), strict=True):
        a, b = (np.broadcast_to(each.reshape(-1), max(one.size, two.size)).astype(float) for each in (one, two))
        eps = 4 * float(np.finfo(one.dtype).eps)
        np.testing.assert_allclose(b, a, rtol=eps, atol=0)


@examples(1000)
@given(nets(), st.sampled_from(FORMS))
def test_networks_of_all_kinds_of_layers(proto, form):
    assert_forth_and_back(proto, form)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["digits_prelu_gemm", "digits_prelu_matmul", "digits_prelu_cnn"])
def test_every_network_of_models(name, form):
    assert_forth_and_back(onnx.load(MODELS / f"{name}.onnx"), form)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [np.float64, ml_dtypes.bfloat16])
def test_other_types_come_back(dtype, form):
    name = {8: "double", 2: "bfloat16"}[np.dtype(dtype).itemsize]
    proto = model(inputs=f"{name}[2,4] x", outputs=f"{name}[2,2] y", dtype=dtype)
    wide, _ = rewritten(proto, form=form)
    assert not any(node.op_type == "PRelu" for node in wide.graph.node)
    back, (choice,) = rewritten(wide, to="prelu")
    assert choice.form == "fold"
    assert_bits(constants(proto, op=True), constants(back, op=True))


@examples(500)
@given(mlps(dtypes=(np.float32, np.float64), activations=("PRelu", "LeakyRelu")), st.sampled_from(FORMS))
def test_chains_with_one_slope_for_all(proto, form):
    wide, choices = rewritten(proto, form=form)
    assert {choice.form for choice in choices} == {form}
    assert_close(run(proto, drawn_feeds(proto)), run(wide, drawn_feeds(proto)))


@examples(200)
@given(nets(), st.sampled_from(FORMS))
def test_sites_agree_alone_both_ways(proto, form):
    wide, pairs = alone(proto, "relu", form)
    for pair in pairs:
        assert_alike(pair)
    _, pairs = alone(wide, "prelu")
    for pair in pairs:
        assert_alike(pair)


@pytest.mark.parametrize("first", ["split", *FORMS])
@pytest.mark.parametrize("second", ["split", *FORMS])
def test_neighbours_of_different_forms_agree_alone_and_whole(first, second):
    body = "z = Gemm(x, A, b)  h = PRelu(z, a)  w = Gemm(h, W)  k = PRelu(w, c)  y = Gemm(k, U)"
    weights = {"W": (3, 5), "c": np.array([0.3, 0.0, -1.0, 1.0, 2.0]), "U": (5, 2)}
    proto = model(body, weights=weights)
    result = onnx_prelu.rewrite(proto, form={"n_h": first, "n_k": second})
    (check,) = [each for each in result.report.check if each.provider == "cpu"]
    assert check.status == "passed"
    assert [pair.status for pair in check.pairs] == ["passed", "passed"]
    assert [site.form for site in result.report.sites] == [first, second]
    assert_close(run(proto, feeds(proto)), run(result.model, feeds(proto)))


@pytest.mark.parametrize("form", FORMS)
def test_what_stands_between_is_taken_along(form):
    body = (
        "z = Conv(x, A)  h = PRelu(z, a)  p = AveragePool <kernel_shape = [2, 2]> (h)  q = Mul(p, s)  r = Add(q, t)"
        "  n = BatchNormalization(r, k, d, m, v)  f = Flatten(n)  y = Gemm(f, V)"
    )
    weights = {"A": (3, 2, 3, 3), "a": np.array([0.25, -0.5, 1.5]).reshape(3, 1, 1), "s": (3, 1, 1), "t": (1, 3, 1, 1)}
    weights |= {"k": (3,), "d": (3,), "m": (3,), "v": np.array([0.5, 1.0, 2.0]), "V": (12, 2)}
    proto = model(body, "float[2,2,5,5] x", weights=weights)
    assert_forth_and_back(proto, form)


TRANSPOSED = model(
    "h = PRelu(x, a)  t = Transpose <perm = [0, 2, 3, 1]> (h)  f = Flatten(t)  y = Gemm(f, V)",
    "float[2,3,2,5] x", weights={"a": WEIGHTS["a"].reshape(3, 1, 1), "V": (30, 2)},
)  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_where_all_units_stand_several_times_in_a_layer(form):
    assert_forth_and_back(TRANSPOSED, form)


@pytest.mark.parametrize("form", FORMS)
def test_where_they_do_in_a_layer_stored_the_other_way_round(form):
    proto = onnx.ModelProto()
    proto.CopyFrom(TRANSPOSED)
    (matrix,) = [tensor for tensor in proto.graph.initializer if tensor.name == "V"]
    matrix.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(matrix).T.copy(), "V"))
    proto.graph.node[-1].attribute.append(onnx.helper.make_attribute("transB", 1))
    assert_forth_and_back(proto, form)


# ── what split cannot have ────────────────────────────────────────────────────────────────────────────────────

ANY_PRODUCER = {
    "made by no layer": model("z = Sigmoid(x)  h = PRelu(z, a)  y = Gemm(h, V)", "float[2,3] x"),
    "read elsewhere": model(CHAIN + "  o = Relu(z)", outputs="float[2,2] y, float[2,3] o"),
    "an output": model(outputs="float[2,2] y, float[2,3] z"),
    "an input": model("h = PRelu(x, a)  y = Gemm(h, V)", "float[2,3] x"),
    "of two tensors": model("z = Add(x, w)  h = LeakyRelu(z)  y = MatMul(h, V)", "float[2,3] x, float[2,3] w"),
    "of W·x": model(
        "h = LeakyRelu <alpha = 1.5> (x)  y = MatMul(V, h)", "float[3,5] x", "float[2,5] y", weights={"V": (2, 3)}
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ANY_PRODUCER)
def test_the_producer_can_be_anything(name, form):
    proto = ANY_PRODUCER[name]
    wide, (choice,) = rewritten(proto, form=form)
    assert choice.form == form
    assert rewritten(proto, form="split")[1][0].form == "mirror"
    assert_close(run(proto, feeds(proto)), run(wide, feeds(proto)))
    back, (choice,) = rewritten(wide, to="prelu")
    assert choice.form == "fold"
    assert_close(run(proto, feeds(proto)), run(back, feeds(proto)))


def test_concat_doubles_an_inner_matrix_once():
    body = "z = Gemm(x, A, b)  h = PRelu(z, a)  w = Gemm(h, W)  k = PRelu(w, a)  y = Gemm(k, V)"
    proto = model(body, weights={"W": (3, 3)})
    shapes = {
        form: [v.shape for v in constants(rewritten(proto, form=form)[0], op=False)] for form in ("split", "concat")
    }
    assert shapes["split"] == [(4, 6), (6,), (6, 6), (6, 2)]
    assert shapes["concat"] == [(4, 3), (3,), (6, 3), (6, 2)]


def test_tied_stores_every_weight_once():
    proto = model()
    wide, _ = rewritten(proto, form="tied")
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in wide.graph.initializer}
    assert stored.pop("n_h/minus_slope").reshape(-1).tolist() == [-0.25, 0.5, -1.5]
    original = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    assert sorted(stored) == ["A", "V", "b"]
    assert_bits([stored[name] for name in "AVb"], [original[name] for name in "AVb"])
    assert [node.op_type for node in wide.graph.node] == ["Gemm", "Neg", "Concat", "Relu", "Mul", "Concat", "Gemm"]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("concat", [[np.inf, np.nan, np.nan, np.nan], [-np.inf, np.inf, -np.inf, np.nan]]),
        ("tied", [[np.inf, np.inf, np.inf, np.inf], [-np.inf, np.inf, -np.inf, np.nan]]),
    ],
)
def test_at_infinities(form, expected):
    """One unit of each kind of slope: concat has inf − inf outside of [0, 1], both have 0·inf for a slope of 0."""
    for a, *wanted in zip([0.25, -0.5, 1.5, 0.0], *expected, strict=True):
        weights = {"a": np.array([a, 2.0]), "V": np.array([[3.0], [0.5]])}
        proto = model("h = PRelu(x, a)  y = MatMul(h, V)", "float[3,2] x", "float[3,1] y", weights=weights)
        wide, (choice,) = rewritten(proto, form=form)
        assert choice.form == form
        x = np.array([[np.inf, 1], [-np.inf, 1], [np.nan, 1]], np.float32)
        np.testing.assert_array_equal(run(wide, {"x": x})[0][:, 0], [*wanted, np.nan])


@pytest.mark.parametrize("form", FORMS)
def test_in_a_body(form):
    text = """<ir_version: 8, opset_import: ["" : 17]> g (float[2,4] x, bool c) => (float[2,2] y) {
        y = If (c) <then_branch = t () => (float[2,2] o) { z = Gemm(x, A, b)
            h = PRelu(z, a)
            o = Gemm(h, V) }, else_branch = e () => (float[2,2] p) { z2 = Gemm(x, A, b)
            p = Gemm(z2, V) }>
    }"""
    proto = onnx.parser.parse_model(text)
    proto.graph.initializer.extend(model().graph.initializer)
    wide, (choice,) = rewritten(proto, form=form)
    assert choice.form == form
    for taken in (True, False):
        values = {"x": feeds(model())["x"], "c": np.array(taken)}
        assert_close(run(proto, values), run(wide, values))


# ── refusals ──────────────────────────────────────────────────────────────────────────────────────────────────

IMAGE = "h = PRelu(x, a)  y = Conv{} (h, V)"
CHANNELS = np.array([0.25, -0.5, 1.5, 0.5]).reshape(4, 1, 1)
#: name: (the model, the code, the node), the same for both forms
REFUSED = {
    "the activation is an output": (model(outputs="float[2,2] y, float[2,3] h"), "graph-output", "n_h"),
    "nothing reads it": (model(CHAIN.replace("Gemm(h", "Gemm(z")), "no-consumer", "n_h"),
    "a reader that is no layer": (model(CHAIN + "  o = Tanh(h)", outputs="float[2,2] y, float[2,3] o"),
                                  "consumer-not-linear", "n_o"),
    "MaxPool between": (model("h = PRelu(x, a)  m = MaxPool <kernel_shape = [2, 2]> (h)  y = Conv(m, V)",
                              "float[1,4,5,5] x", "float[?,?,?,?] y", weights={"a": CHANNELS, "V": (4, 4, 2, 2)}),
                        "between-not-linear", "n_m"),
    "groups that split units": (model("h = PRelu(x, a)  r = Reshape(h, s)  y = Conv <group = 2> (r, V)",
                                      "float[1,3,2,5] x", "float[?,?,?] y",
                                      weights={"a": CHANNELS[:3], "s": np.array([1, 6, 5]), "V": (4, 3, 2)}),
                                "group-layout", "n_y"),
    "groups, and nothing behind the units": (
        model("h = PRelu(x, a)  r = Reshape(h, s)  y = Conv <group = 2> (r, V)", "float[2,4] x", "float[?,?,?] y",
              weights={"a": CHANNELS.reshape(-1), "s": np.array([2, 4, 1]), "V": (4, 2, 1)}), "group-layout", "n_h"),
    "groups, and no rank": (model(IMAGE.format(" <group = 2>"), "float x", "float[?,?,?,?] y",
                                  weights={"a": CHANNELS, "V": (4, 2, 2, 2)}), "unknown-shape", "n_h"),
    "a full slope": (model(IMAGE.format(""), "float[1,4,2,2] x", "float[?,?,?,?] y",
                           weights={"a": np.arange(16.0).reshape(4, 2, 2), "V": (4, 4, 2, 2)}),
                     "slope-not-per-unit", "n_h"),
    "a slope along another axis": (model(IMAGE.format(""), "float[1,4,5,3] x", "float[?,?,?,?] y",
                                         weights={"V": (4, 4, 2, 2)}), "consumer-not-linear", "n_y"),
    "a slope at run time": (model(inputs="float[2,4] x, float[3] a", weights={"a": (3,)}), "runtime-slope", "n_h"),
    "a weight at run time": (model("h = PRelu(x, a)  y = MatMul(h, w)", "float[2,3] x, float[3,2] w"),
                             "runtime-weight", "n_y"),
    "integers": (model("h = PRelu(x, a)  y = MatMul(h, V)", "int32[2,3] x", "int32[2,2] y",
                       weights={"a": np.int32([1, 2, 3]), "V": np.ones((3, 2), np.int32)}), "dtype", "n_h"),
    "a slope that enlarges": (model("h = PRelu(x, a)  y = Gemm(h, V)", "float[2,1] x"), "slope-enlarges", "n_h"),
    "one slope, no shape": (model("h = LeakyRelu(x)  y = MatMul(h, V)", "float x"), "unknown-shape", "n_h"),
    "too large": (model(dtype=np.float16, inputs="float16[2,4] x", outputs="float16[2,2] y",
                        weights={"V": np.full((3, 2), 6e4), "a": np.array([0.5, -3.0, 1.0])}), "overflow", "n_y"),
}  # fmt: skip
REFUSED["a slope at run time"][0].graph.initializer.pop(2)
REFUSED["groups, and no rank"][0].graph.input[0].type.tensor_type.ClearField("shape")


@pytest.mark.parametrize("plan", [plan_concat, plan_tied])
@pytest.mark.parametrize("name", REFUSED)
def test_a_near_miss_is_refused(name, plan):
    proto, code, node = REFUSED[name]
    draft = Draft(load(proto))
    (site,) = find_sites(draft)
    with pytest.raises(Refused) as caught:
        plan(draft, site)
    assert (caught.value.reason.code, caught.value.reason.node) == (code, node)


def test_what_an_opset_lacks_is_refused():
    old = model("h = PRelu(x, a)  y = MatMul(h, V)", "float[2,3] x", opset=6, ir=6)
    draft = Draft(load(old))
    (site,) = find_sites(draft)
    with pytest.raises(Refused) as caught:
        plan_tied(draft, site)
    assert caught.value.reason.code == "opset"
    rankless = model("h = PRelu(x, a)  y = MatMul(h, V)", "float x", opset=10, ir=6)
    del rankless.graph.input[0].type.tensor_type.shape.dim[:]
    rankless.graph.input[0].type.tensor_type.ClearField("shape")
    draft = Draft(load(rankless))
    (site,) = find_sites(draft)
    with pytest.raises(Refused) as caught:
        plan_concat(draft, site)
    assert caught.value.reason.code == "unknown-shape"


# ── the way back, and what is none ────────────────────────────────────────────────────────────────────────────


def test_slopes_come_back():
    columns = np.random.default_rng(0).normal(size=5).astype(np.float32).astype(float)
    for a in np.float32(SLOPES).astype(float):
        linear, bent = (np.float32(columns * part).astype(float) for part in (a, 1 - a))
        assert sum_slope(linear, bent, np.float32).value == pytest.approx(a, rel=4e-7, abs=0)
        negative = np.float32(columns * -a).astype(float)
        assert halves_slope(columns, negative, np.float32).value == a
    assert sum_slope(columns, columns[::-1], np.float32) is None
    assert sum_slope(columns, -columns, np.float32) is None  # min(z, 0): there is no such slope
    assert halves_slope(columns, columns[::-1], np.float32) is None


HALVES = {"V": np.array([[1.0, 2], [-3, 4], [5, 6], [-0.25, -0.5], [1.5, -2], [-5, -6]])}
SUMS = {"V": np.array([[0.25, 0.5], [-1.5, 2], [5, 6], [0.75, 1.5], [-1.5, 2], [0, 0]])}
BY_HAND = {
    "concat": ("r = Relu(x)  h = Concat <axis = 1> (x, r)  y = MatMul(h, V)", SUMS),
    "concat, the Relu first": (
        "r = Relu(x)  h = Concat <axis = 1> (r, x)  y = MatMul(h, V)",
        {"V": np.roll(SUMS["V"], 3, axis=0)},
    ),
    "tied, the Neg first": (
        "n = Neg(x)  c = Concat <axis = 1> (n, x)  h = Relu(c)  y = MatMul(h, V)",
        {"V": np.roll(HALVES["V"], 3, axis=0)},
    ),
    "concat from behind": ("r = Relu(x)  h = Concat <axis = -1> (x, r)  y = MatMul(h, V)", SUMS),
    "tied": ("n = Neg(x)  c = Concat <axis = 1> (x, n)  h = Relu(c)  y = MatMul(h, V)", HALVES),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_lanes_written_by_hand_are_found(name):
    body, weights = BY_HAND[name]
    proto = model(body, "float[2,3] x", weights=weights)
    back, (choice,) = rewritten(proto, to="prelu")
    assert choice.form == "fold"
    assert [node.op_type for node in back.graph.node] == ["PRelu", "MatMul"]
    assert constants(back, op=True)[0].tolist() == [0.25, 0.5, 1.0]
    assert constants(back, op=False)[0].tolist() == [[1, 2], [-3, 4], [5, 6]]
    assert_close(run(proto, feeds(proto)), run(back, feeds(proto)))


NOT_PARALLEL = {"V": np.array([[1.0, 2], [-3, 4], [5, 6], [-0.25, -0.5], [1.5, 2], [-5, -6]])}
STEP = "q = Add(h, t)  y = MatMul(q, V)"
NOT_LANES = {
    "not joined but added": ("r = Relu(x)  h = Add(x, r)  y = MatMul(h, U)", {"U": (3, 2)}, "no-pairs"),
    "joined with its double": ("n = Neg(x)  c = Concat <axis = 1> (n, n)  h = Relu(c)  y = MatMul(h, V)", HALVES,
                               "no-pairs"),
    "a Relu of something else": ("r = Relu(w)  h = Concat <axis = 1> (x, r)  y = MatMul(h, V)", SUMS, "no-pairs"),
    "along another axis": ("r = Relu(x)  h = Concat <axis = 0> (x, r)  y = MatMul(h, U)", {"U": (3, 2)},
                           "consumer-not-linear"),
    "columns that are not parallel": (BY_HAND["tied"][0], NOT_PARALLEL, "no-pairs"),
    "columns of a sum that are not parallel": (BY_HAND["concat"][0], NOT_PARALLEL, "no-pairs"),
    "a second reader of the Relu": (BY_HAND["concat"][0] + "  o = Neg(r)", SUMS, "no-pairs"),
    "a second reader of the Neg": (BY_HAND["tied"][0] + "  o = Relu(n)", HALVES, "no-pairs"),
    "an Add that differs": (BY_HAND["concat"][0].replace("y = MatMul(h, V)", STEP), SUMS | {"t": (6,)}, "no-pairs"),
    "an Add on both halves": (BY_HAND["tied"][0].replace("y = MatMul(h, V)", STEP), HALVES | {"t": np.ones(6)},
                              "no-pairs"),
    "lanes that are an output": (BY_HAND["concat"][0], SUMS, "graph-output"),
    "lanes that nothing reads": (BY_HAND["tied"][0].replace("(h, V)", "(c, V)"), HALVES, "no-pairs"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_LANES)
def test_what_are_no_lanes_stays(name):
    body, weights, code = NOT_LANES[name]
    outputs = "float[?,2] y"
    if "o = " in body:
        outputs += ", float[2,3] o"
    if code == "graph-output":
        outputs += ", float[2,6] h"
    proto = model(body, "float[2,3] x, float[2,3] w", outputs, weights=weights)
    back, choices = rewritten(proto, to="prelu")
    assert not choices
    assert back.SerializeToString() == proto.SerializeToString()
    draft = Draft(load(proto))
    relu = next(node for node in draft.index.nodes() if node.op == "Relu")
    with pytest.raises(Refused) as caught:
        plan_unite(draft, relu)
    assert caught.value.reason.code == code


# ── for a target ──────────────────────────────────────────────────────────────────────────────────────────────


def test_for_a_target_they_are_the_last_resort():
    proto = ANY_PRODUCER["made by no layer"]
    assert (
        onnx_prelu.rewrite(proto, ops=["Relu", "Concat", "Gemm", "Mul", "Neg", "Sub"]).report.sites[0].form == "mirror"
    )
    (site,) = onnx_prelu.rewrite(proto, ops=["Relu", "Concat", "Gemm"]).report.sites
    assert site.form == "concat"
