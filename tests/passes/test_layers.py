"""Each kind of linear layer before and behind an activation: split, run, folded back; and what it cannot be."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onnx_prelu.errors import Refused
from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.model import load
from onnx_prelu.passes.fold import plan_fold
from tests.oracle import assert_close, run
from tests.rewriting import rewritten
from tests.texts import feeds, from_text


def slopes(*tail, units=4, rank=0):
    """Slopes of both signs, without 0, one a unit."""
    values = np.array([0.25, -0.5, 1.5, 1.0, -2.0, 0.75, -0.125, 3.0])[:units]
    return values.reshape(*[1] * rank, units, *tail)


def case(body, x, weights, **more):
    return {"body": body, "inputs": f"float[{x}] x", "outputs": f"float[{more.pop('y', '?,?,?,?')}] y",
            "weights": weights, **more}  # fmt: skip


CHAIN = "z = Conv{p} (x, A, b)  h = PRelu(z, a)  y = Conv{c} (h, V)"


def chain(p="", c="", *, A=(4, 4, 3, 3), V=(4, 4, 2, 2), x="2,4,7,6", a=None, b=(4,), **more):
    body = CHAIN.format(p=p and f" <{p}>", c=c and f" <{c}>")
    return case(body, x, {"A": A, "b": b, "a": slopes(1, 1) if a is None else a, "V": V}, **more)


#: name: what to build. Every constant comes back bit for bit, but for slopes, which come back in one shape.
KINDS = {
    "Conv 1-D": chain(A=(4, 4, 3), V=(4, 4, 2), x="2,4,9", a=slopes(1), y="?,?,?"),
    "Conv 2-D": chain(),
    "Conv 3-D": chain(A=(4, 4, 2, 3, 2), V=(4, 4, 2, 2, 1), x="2,4,4,5,4", a=slopes(1, 1, 1), y="?,?,?,?,?"),
    "Conv 1x1": chain(A=(4, 4, 1, 1), V=(5, 4, 1, 1)),
    "strides, dilations, uneven padding": chain(
        "strides = [2, 1], dilations = [1, 2], pads = [2, 0, 1, 3]", "pads = [1, 1, 0, 0], strides = [1, 2]"),
    "auto_pad": chain('auto_pad = "SAME_UPPER", strides = [2, 2]', 'auto_pad = "SAME_LOWER"'),
    "VALID": chain('auto_pad = "VALID"'),
    "slope (1,C,1,1)": chain(a=slopes(1, 1, rank=1)),
    "grouped producer": chain("group = 2", A=(4, 2, 3, 3)),
    "grouped consumer": chain("", "group = 2", V=(6, 2, 2, 2)),
    "groups of 2 and 4": chain("group = 2", "group = 4", A=(4, 2, 3, 3), V=(8, 1, 2, 2)),
    "groups of 2 and 3": chain(
        "group = 2", "group = 3", A=(6, 2, 3, 3), V=(6, 2, 2, 2), a=slopes(1, 1, units=6), b=(6,)),
    "depthwise producer": chain("group = 4", A=(4, 1, 3, 3)),
    "depthwise producer, two outputs each": chain(
        "group = 4", A=(8, 1, 3, 3), V=(4, 8, 2, 2), a=slopes(1, 1, units=8), b=(8,)),
    "depthwise consumer": chain("", "group = 4", V=(4, 1, 3, 3)),
    "depthwise both": chain("group = 4", "group = 4", A=(4, 1, 3, 3), V=(4, 1, 3, 3)),
    "ConvTranspose both": case(
        "z = ConvTranspose <strides = [2, 2], output_padding = [1, 0]> (x, A, b)  h = PRelu(z, a)"
        "  y = ConvTranspose (h, V, c)",
        "2,3,4,5", {"A": (3, 4, 3, 2), "b": (4,), "a": slopes(1, 1), "V": (4, 2, 2, 3), "c": (2,)}),
    "ConvTranspose, grouped, both": case(
        "z = ConvTranspose <group = 2> (x, A)  h = PRelu(z, a)  y = ConvTranspose <group = 4> (h, V)",
        "2,6,4,5", {"A": (6, 2, 3, 2), "a": slopes(1, 1), "V": (4, 2, 2, 3)}),
    "ConvTranspose into Conv of other groups": case(
        "z = ConvTranspose <group = 2> (x, A)  h = PRelu(z, a)  y = Conv <group = 4> (h, V)",
        "2,6,4,5", {"A": (6, 2, 3, 2), "a": slopes(1, 1), "V": (8, 1, 2, 2)}),
    "ConvTranspose 1-D": case(
        "z = ConvTranspose(x, A)  h = PRelu(z, a)  y = ConvTranspose(h, V)",
        "2,3,5", {"A": (3, 4, 3), "a": slopes(1), "V": (4, 2, 2)}, y="?,?,?"),
    "BatchNormalization before": case(
        "p = Conv(x, A, b)  z = BatchNormalization(p, k, q, m, v)  h = PRelu(z, a)  y = Conv(h, V)",
        "2,4,7,6", {"A": (4, 4, 3, 3), "b": (4,), "k": (4,), "q": (4,), "m": (4,), "v": np.array([0.5, 1.0, 2.0, 3.0]),
                    "a": slopes(1, 1), "V": (4, 4, 2, 2)}),
    "BatchNormalization between two depthwise": case(
        "p = Conv <group = 4> (x, A)  z = BatchNormalization(p, k, q, m, v)  h = PRelu(z, a)"
        "  y = Conv <group = 4> (h, V)",
        "2,4,7,6", {"A": (4, 1, 3, 3), "k": (4,), "q": (4,), "m": (4,), "v": np.array([0.5, 1.0, 2.0, 3.0]),
                    "a": slopes(1, 1), "V": (4, 1, 2, 2)}),
    "Mul and Add before": case(
        "p = Conv(x, A)  q = Mul(p, s)  r = Mul(q, t)  z = Add(c, r)  h = PRelu(z, a)  y = Conv(h, V)",
        "2,4,7,6", {"A": (4, 4, 3, 3), "s": (4, 1, 1), "t": (), "c": (1, 4, 1, 1), "a": slopes(1, 1),
                    "V": (4, 4, 2, 2)}),
    "Gemm with BatchNormalization": case(
        "p = Gemm(x, A)  z = BatchNormalization(p, k, q, m, v)  h = PRelu(z, a)  y = Gemm(h, V)",
        "2,5", {"A": (5, 4), "k": (4,), "q": (4,), "m": (4,), "v": np.array([0.5, 1.0, 2.0, 3.0]), "a": slopes(),
                "V": (4, 3)}, y="?,?"),
    "W·x": case(
        "p = MatMul(A, x)  z = Add(p, b)  h = PRelu(z, a)  y = MatMul(V, h)",
        "5,3", {"A": (4, 5), "b": (4, 1), "a": slopes(1), "V": (2, 4)}, y="?,?"),
    "W·x of vectors": case(
        "p = MatMul(A, x)  z = Add(b, p)  h = PRelu(z, a)  y = MatMul(V, h)",
        "5", {"A": (4, 5), "b": (4,), "a": slopes(), "V": (2, 4)}, y="?"),
    "W·x of batches": case(
        "z = MatMul(A, x)  h = PRelu(z, a)  y = MatMul(V, h)",
        "2,5,3", {"A": (4, 5), "a": slopes(1), "V": (2, 4)}, y="?,?,?"),
    "W·x, then x·W": case(
        "z = MatMul(x, A)  h = PRelu(z, a)  y = MatMul(h, V)",
        "2,3,5", {"A": (5, 4), "a": slopes(), "V": (4, 2)}, y="?,?,?"),
    "several consumers": case(
        "z = Conv(x, A)  h = PRelu(z, a)  y1 = Conv <group = 2> (h, V)  g = GlobalAveragePool(h)  f = Flatten(g)"
        "  y2 = Gemm(f, W)  y3 = ConvTranspose(g, U)  y4 = Mul(y3, t)  y5 = Mul(y1, t)  s = ReduceMean(y5)"
        "  y6 = Add(y4, s)  y = Add(y6, t)  o = Identity(y2)",
        "2,4,7,6", {"A": (4, 4, 3, 3), "a": slopes(1, 1), "V": (4, 2, 2, 2), "W": (4, 3), "U": (4, 2, 1, 1), "t": ()}),
}  # fmt: skip
KINDS["several consumers"]["outputs"] += ", float[2,3] o"


def arrays(model):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def groups(model):
    return [a.i for node in model.graph.node for a in node.attribute if a.name == "group"]


@pytest.mark.parametrize("slope_in", ["consumer", "producer"])
@pytest.mark.parametrize("name", KINDS)
def test_a_layer_is_split_and_comes_back(name, slope_in):
    model = from_text(**KINDS[name])
    wide, (choice,) = rewritten(model, form="split", slope_in=slope_in)
    assert choice.form == "split", choice.reason
    assert [node.op_type for node in wide.graph.node] == [
        "Relu" if node.op_type == "PRelu" else node.op_type for node in model.graph.node
    ]
    assert groups(wide) == groups(model)
    expected = run(model, feeds(model))
    assert_close(expected, run(wide, feeds(model)))
    back, (choice,) = rewritten(wide, to="prelu")
    assert choice.form == "fold"
    assert_close(expected, run(back, feeds(model)))
    before, after = arrays(model), arrays(back)
    del before["a"]
    slope = after.pop(next(node.input[1] for node in back.graph.node if node.op_type == "PRelu"))
    assert sorted(value.tobytes() for value in before.values()) == sorted(value.tobytes() for value in after.values())
    if "several" not in choice.reason:
        np.testing.assert_array_equal(slope.reshape(-1), arrays(model)["a"].reshape(-1))


#: kernels of the wide model: a depthwise layer keeps its groups
SHAPES = {
    "depthwise producer": ((8, 1, 3, 3), (4, 8, 2, 2)),
    "depthwise consumer": ((8, 4, 3, 3), (4, 2, 3, 3)),
    "depthwise both": ((8, 1, 3, 3), (4, 2, 3, 3)),
    "groups of 2 and 3": ((12, 2, 3, 3), (6, 4, 2, 2)),
    "ConvTranspose, grouped, both": ((6, 4, 3, 2), (8, 2, 2, 3)),
}


@pytest.mark.parametrize("name", SHAPES)
def test_groups_double_within_themselves(name):
    wide, _ = rewritten(from_text(**KINDS[name]), form="split")
    assert (arrays(wide)["A/split"].shape, arrays(wide)["V/split"].shape) == SHAPES[name]


def test_lanes_of_a_group_stand_together():
    model = from_text(**KINDS["depthwise both"])
    A, wide = arrays(model)["A"], arrays(rewritten(model, form="split")[0])["A/split"]
    np.testing.assert_array_equal(wide[0::2], A)
    np.testing.assert_array_equal(wide[1::2], -A)


def test_a_slope_of_zero_in_a_group_has_a_second_lane_that_counts_nothing():
    values = slopes(1, 1)
    values[1] = 0
    model = from_text(**chain("group = 2", "group = 2", A=(4, 2, 3, 3), V=(4, 2, 2, 2), a=values))
    wide, _ = rewritten(model, form="split")
    assert arrays(wide)["A/split"].shape == (8, 2, 3, 3)
    assert not arrays(wide)["V/split"][:2, 3].any()
    assert_close(run(model, feeds(model)), run(wide, feeds(model)))
    back, _ = rewritten(wide, to="prelu")
    (prelu,) = [node for node in back.graph.node if node.op_type == "PRelu"]
    assert arrays(back)[prelu.input[1]].reshape(-1)[1] == 0


def test_slopes_of_zero_that_leave_groups_equal_have_one_lane():
    values = slopes(1, 1)
    values[[1, 2]] = 0
    model = from_text(**chain("group = 2", A=(4, 2, 3, 3), a=values))
    wide, _ = rewritten(model, form="split")
    assert arrays(wide)["A/split"].shape == (6, 2, 3, 3)
    assert_close(run(model, feeds(model)), run(wide, feeds(model)))


def test_kernels_read_twice_are_copied():
    body = CHAIN.format(p="", c="") + "  o = Conv(x, A, b)  u = Conv(o, V)"
    model = from_text(body, "float[2,4,7,6] x", "float[?,?,?,?] y, float[?,?,?,?] u",
                      {"A": (4, 4, 3, 3), "b": (4,), "a": slopes(1, 1), "V": (4, 4, 2, 2)})  # fmt: skip
    wide, _ = rewritten(model, form="split")
    assert set(arrays(wide)) == {"A", "b", "V", "A/split", "b/split", "V/split"}
    assert_close(run(model, feeds(model)), run(wide, feeds(model)))


BN = {"k": (4,), "q": (4,), "m": (4,), "v": np.ones(4)}
#: name: (what to build, the code, the node)
REFUSED = {
    "kernel at run time": (
        {**chain(), "inputs": "float[2,4,7,6] x, float[4,4,3,3] A2",
         "body": CHAIN.format(p="", c="").replace("x, A", "x, A2")},
        "runtime-weight", "n_z"),
    "kernel of the consumer at run time": (
        {**chain(), "inputs": "float[2,4,7,6] x, float[4,4,2,2] V2",
         "body": CHAIN.format(p="", c="").replace("h, V", "h, V2")},
        "runtime-weight", "n_y"),
    "the activation is the kernel": (
        {**chain(x="4,4,3,3", A=(4, 4, 1, 1)), "body": "z = Conv(x, A, b)  h = PRelu(z, a)  y = Conv(x, h)"},
        "consumer-not-linear", "n_y"),
    "the activation is the scale of a BatchNormalization": (
        case("z = MatMul(A, x)  h = PRelu(z, a)  s = BatchNormalization(w, h, q, m, v)  y = Gemm(s, V)",
             "5", {"A": (4, 5), "a": slopes(), "w": (2, 4), "V": (4, 3), **BN}, y="?,?"),
        "consumer-not-linear", "n_s"),
    "sum of two Convs": (
        case("p = Conv(x, A)  q = Conv(x, V)  z = Add(p, q)  h = PRelu(z, a)  y = Conv(h, V)",
             "2,4,7,6", {"A": (4, 4, 1, 1), "a": slopes(1, 1), "V": (4, 4, 1, 1)}),
        "no-linear-producer", "n_z"),
    "Conv before the BatchNormalization read twice": (
        case("p = Conv(x, A)  z = BatchNormalization(p, k, q, m, v)  h = PRelu(z, a)  g = Conv(h, V)  y = Add(g, p)",
             "2,4,7,6", {"A": (4, 4, 1, 1), "a": slopes(1, 1), "V": (4, 4, 1, 1), **BN}),
        "shared-producer", "n_p"),
    "BatchNormalization in training mode": (
        case("p = Conv(x, A)  z, r, s = BatchNormalization <training_mode = 1> (p, k, q, m, v)  h = PRelu(z, a)"
             "  y = Conv(h, V)",
             "2,4,7,6", {"A": (4, 4, 1, 1), "a": slopes(1, 1), "V": (4, 4, 1, 1), **BN}),
        "unsupported-layout", "n_z"),
    "BatchNormalization over another axis": (
        case("p = MatMul(x, A)  z = BatchNormalization(p, k, q, m, v)  h = PRelu(z, a)  y = MatMul(h, V)",
             "2,4,5", {"A": (5, 4), "a": slopes(), "V": (4, 4), **BN}, y="?,?,?"),
        "unsupported-layout", "n_z"),
    "bias over space": (
        case("p = Conv(x, A)  z = Add(p, c)  h = PRelu(z, a)  y = Conv(h, V)",
             "2,4,7,6", {"A": (4, 4, 1, 1), "c": (4, 7, 6), "a": slopes(1, 1), "V": (4, 4, 1, 1)}),
        "unsupported-layout", "n_z"),
    "slope along the width": (chain(A=(4, 4, 3, 3), x="2,4,7,6", a=slopes()), "slope-not-per-unit", "n_h"),
    "slope over space": (
        chain(A=(4, 4, 3, 3), x="2,4,4,4", a=np.arange(16).reshape(4, 2, 2) / 8), "slope-not-per-unit", "n_h"),
    "slope of two axes that has as many values": (
        chain(x="2,4,4,4", a=np.arange(4).reshape(2, 2) / 4), "slope-not-per-unit", "n_h"),
    "batched W": (
        case("z = MatMul(A, x)  h = PRelu(z, a)  y = MatMul(V, h)",
             "2,5,3", {"A": (2, 4, 5), "a": slopes(1), "V": (2, 4)}, y="?,?,?"),
        "unsupported-layout", "n_z"),
    "W·x sums over another axis": (
        case("z = MatMul(A, x)  h = PRelu(z, a)  y = MatMul(h, V)",
             "5,3", {"A": (4, 5), "a": slopes(1), "V": (3, 2)}, y="?,?"),
        "consumer-not-linear", "n_y"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_near_misses_are_refused_and_mirror_takes_the_site(name):
    keywords, code, node = REFUSED[name]
    _, (choice,) = rewritten(from_text(**keywords), form="split")
    assert (choice.refusals["split"].code, choice.refusals["split"].node) == (code, node)
    assert choice.form == "mirror"


def folded(**weights):
    """A Relu layer of four units between two grouped layers, and what folding it comes to."""
    body = "z = Conv <group = 2> (x, A)  h = Relu(z)  y = Conv <group = 2> (h, V)"
    model = from_text(body, "float[2,4,7,6] x", "float[?,?,?,?] y", weights)
    draft = Draft(load(model))
    return plan_fold(draft, next(node for node in draft.index.nodes() if node.op == "Relu"))


def refusal(**weights):
    with pytest.raises(Refused) as caught:
        folded(**weights)
    return caught.value.reason.code


def paired(*units, negative):
    """Kernels of four units in two groups, in which some units are the negative side of others."""
    rng = np.random.default_rng(0)
    A, V = rng.normal(size=(4, 2, 3, 3)), rng.normal(size=(4, 2, 2, 2))
    for positive, other in zip(units, negative, strict=True):
        A[other] = -A[positive]
        if positive // 2 == other // 2:
            V[positive // 2 * 2 : positive // 2 * 2 + 2, other % 2] = (
                -0.5 * V[positive // 2 * 2 : positive // 2 * 2 + 2, positive % 2]
            )
    return {"A": A, "V": V}


def test_units_of_one_group_pair_where_groups_stay_equal():
    plan = folded(**paired(0, 2, negative=(1, 3)))
    assert plan.lanes.unit.tolist() == [0, 2]
    np.testing.assert_array_equal(plan.lanes.slope, [0.5, 0.5])


def test_groups_that_would_differ_in_size_are_refused():
    assert refusal(**paired(0, negative=(1,))) == "group-layout"


def test_units_of_two_groups_never_pair():
    weights = paired(0, 1, negative=(2, 3))
    weights["V"][2:] = -0.5 * weights["V"][:2]
    assert refusal(**weights) == "no-pairs"


def test_units_that_are_scaled_differently_never_pair():
    body = "p = Conv(x, A)  z = Mul(p, s)  h = Relu(z)  y = Conv(h, V)"
    A, V = np.random.default_rng(0).normal(size=(2, 3, 2, 2)), np.random.default_rng(1).normal(size=(4, 2, 2, 2))
    A[1], V[:, 1] = -A[0], V[:, 0]
    for scale, forms in ((1.0, ["fold"]), (1.5, [])):
        weights = {"A": A, "V": V, "s": np.array([[[1.0]], [[scale]]])}
        model = from_text(body, "float[2,3,5,5] x", "float[?,?,?,?] y", weights)
        assert [choice.form for choice in rewritten(model, to="prelu")[1]] == forms


@pytest.mark.parametrize(("added", "pads", "forms"), [(0.0, 0, 1), (0.0, 1, 1), (0.5, 0, 1), (0.5, 1, 0)])
def test_what_is_added_to_the_negative_side_goes_into_the_bias_unless_a_border_would_see_it(added, pads, forms):
    body = f"z = Conv(x, A)  h = Relu(z)  s = Add(h, c)  y = Conv <pads = [0, 0, {pads}, 0]> (s, V)"
    A, V = np.random.default_rng(0).normal(size=(2, 3, 2, 2)), np.random.default_rng(1).normal(size=(4, 2, 2, 2))
    A[1], V[:, 1] = -A[0], V[:, 0]
    weights = {"A": A, "V": V, "c": np.array([[[1.0]], [[added]]])}
    model = from_text(body, "float[2,3,5,5] x", "float[?,?,?,?] y", weights)
    back, choices = rewritten(model, to="prelu")
    assert [choice.form for choice in choices] == ["fold"] * forms
    assert_close(run(model, feeds(model)), run(back, feeds(model)))


def test_layers_of_several_types_are_not_folded():
    body = "p = Conv(x, A)  z = BatchNormalization(p, k, q, m, v)  h = Relu(z)  y = Conv(h, V)"
    floats = {name: np.ones(4, np.float32) for name in "kqmv"}
    model = from_text(body, "float16[2,4,5,5] x", "float16[?,?,?,?] y",
                      {"A": (4, 4, 1, 1), "V": (4, 4, 1, 1), **floats}, dtype=np.float16)  # fmt: skip
    onnx.checker.check_model(model, full_check=True)
    draft = Draft(load(model))
    with pytest.raises(Refused) as caught:
        plan_fold(draft, next(node for node in draft.index.nodes() if node.op == "Relu"))
    assert caught.value.reason.code == "dtype"
