"""Pairs that are nearly PReLUs: folded under a tolerance only, and never further off than is said."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper

import onnx_prelu
from onnx_prelu.errors import BadUsage, Refused
from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.model import load
from onnx_prelu.passes.ranges.carried import carried
from tests.counts import examples
from tests.reported import validate
from tests.texts import from_text

RANGE = {"x": (-1.0, 1.0)}
TOLERANCE = 1e-3


def doubled(units, inputs, outputs, off, seed=0):
    """Rows (2·units, inputs), biases and columns (2·units, outputs) of pairs, each of which is off by a share."""
    rng = np.random.default_rng(seed)
    rows, bias, columns = (rng.uniform(-1, 1, shape) for shape in ((units, inputs), units, (units, outputs)))
    slope, scale = rng.uniform(-0.5, 0.9, units), rng.uniform(0.5, 2, units)
    noise = rng.uniform(-off, off, (3, units, max(inputs, outputs)))
    other = -scale[:, None] * rows * (1 + noise[0, :, :inputs])
    shift = -scale * bias * (1 + noise[1, :, 0])
    behind = -(slope / scale)[:, None] * columns * (1 + noise[2, :, :outputs])
    return np.vstack([rows, other]), np.concatenate([bias, shift]), np.vstack([columns, behind])


def near_miss(kind, off=1e-4):
    """A layer of three pairs, of which one entry of one row is off."""
    rows, bias, columns = doubled(3, 4, 2, 0.0)
    rows[4, 1] *= 1 + off
    if kind == "Conv":
        kernel = np.concatenate([rows, rows[:, ::-1]], axis=1).reshape(6, 2, 2, 2)
        behind = columns.T.reshape(2, 6, 1, 1)
        body, x = "z = Conv(x, A, b)  h = Relu(z)  u = Conv(h, V)  y = Relu(u)", "float[2,2,5,5] x"
        return from_text(body, x, "float[2,2,4,4] y", {"A": kernel, "b": bias, "V": behind})
    body = {
        "Gemm": "z = Gemm(x, A, b)  h = Relu(z)  y = Gemm(h, V)",
        "MatMul": "p = MatMul(x, A)  z = Add(p, b)  h = Relu(z)  u = MatMul(h, V)  y = Add(u, c)",
    }[kind]
    weights = {"A": rows.T, "b": bias, "V": columns} | ({"c": (2,)} if kind == "MatMul" else {})
    return from_text(body, "float[N,4] x", "float[N,2] y", weights)


def rewritten(model, **options):
    result = onnx_prelu.rewrite(model, to="prelu", bench=False, **options)
    validate(result.report.to_dict())
    return result


def units(result):
    return next(len(t.raw_data) // 4 for t in result.model.graph.initializer if t.name.startswith("b"))


@pytest.mark.parametrize("kind", ["Gemm", "MatMul", "Conv"])
def test_a_near_miss_folds_under_a_tolerance_only(kind):
    model = near_miss(kind)
    assert units(rewritten(model, input_range=RANGE)) == 4
    assert units(rewritten(model, input_range=RANGE, slope_tolerance=1e-6)) == 4
    result = rewritten(model, input_range=RANGE, slope_tolerance=TOLERANCE)
    assert units(result) == 3
    (site,) = result.report.sites
    assert (site.narrowing.slope_class, site.narrowing.approximate, site.exactness) == ("approximate", 1, "approximate")
    assert 0 < site.narrowing.bound["y"] < 1e-3
    assert result.report.within["x"].low == -1
    assert any("off by no more than y by" in note for note in result.report.notes)
    assert result.report.passed


def test_the_check_allows_the_bound_besides_what_it_allows_anyway():
    model = near_miss("Gemm", off=0.02)
    result = rewritten(model, input_range=RANGE, slope_tolerance=0.1, atol=1e-6, rtol=0.0)
    (output,) = result.report.check[0].outputs
    assert output.tolerance.bound == result.report.sites[0].narrowing.bound["y"]
    assert (output.tolerance.atol, output.tolerance.rtol) == (1e-6, 0.0)
    assert 0 < output.difference.max_abs <= output.tolerance.bound + 1e-5
    assert not onnx_prelu.check(model, result.model, input_range=RANGE).passed  # so the bound was what let it pass


#: What stands behind near pairs, and the code with which they stay.
REFUSED = {
    "no range": ("z = Gemm(x, A, b)  h = Relu(z)  y = Gemm(h, V)", {}, "no-range"),
    "half a range": (
        "z = Gemm(x, A, b)  h = Relu(z)  y = Gemm(h, V)", {"x": (-1.0, np.inf)}, "no-range",
    ),
    "Exp": ("z = Gemm(x, A, b)  h = Relu(z)  u = Gemm(h, V)  y = Exp(u)", RANGE, "unbounded-error"),
    "two of them": ("z = Gemm(x, A, b)  h = Relu(z)  u = Gemm(h, V)  y = Mul(u, u)", RANGE, "unbounded-error"),
    "a step between": (
        "z = Gemm(x, A, b)  h = Relu(z)  r = Identity(h)  y = Gemm(r, V)", RANGE, "unbounded-error",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_bound_stays_and_says_why(name):
    body, within, code = REFUSED[name]
    rows, bias, columns = doubled(3, 4, 2, 1e-4)
    model = from_text(body, "float[N,4] x", "float[N,2] y", {"A": rows.T, "b": bias, "V": columns})
    if name == "half a range":
        body = f"w = Max(x, o)  {body.replace('x, A', 'w, A')}"  # known from below only
        weights = {"A": rows.T, "b": bias, "V": columns, "o": np.zeros(1)}
        model, within = from_text(body, "float[N,4] x", "float[N,2] y", weights), {}
    result = rewritten(model, input_range=within, slope_tolerance=TOLERANCE)
    (site,) = result.report.sites
    assert site.refused
    assert {form: reason.code for form, reason in site.refusals.items()} == {"fold": code}
    assert result.model == model


def test_a_range_that_follows_from_the_ops_is_enough():
    rows, bias, columns = doubled(3, 4, 2, 1e-4)
    body = "w = Sigmoid(x)  z = Gemm(w, A, b)  h = Relu(z)  y = Gemm(h, V)"
    model = from_text(body, "float[N,4] x", "float[N,2] y", {"A": rows.T, "b": bias, "V": columns})
    result = rewritten(model, slope_tolerance=TOLERANCE)
    assert units(result) == 3
    assert result.report.within is None
    assert result.report.passed


def test_a_grouped_layer_stays():
    rows, bias, columns = doubled(2, 3, 1, 1e-4)
    kernel, behind = np.concatenate([rows, rows]).reshape(8, 3, 1, 1), np.concatenate([columns, columns]).reshape(2, 4)
    weights = {"A": kernel, "b": np.concatenate([bias, bias]), "V": behind[:, :, None, None]}
    body = "z = Conv <group = 2> (x, A, b)  h = Relu(z)  y = Conv <group = 2> (h, V)"
    model = from_text(body, "float[1,6,3,3] x", "float[1,2,3,3] y", weights)
    (site,) = rewritten(model, input_range=RANGE, slope_tolerance=TOLERANCE).report.sites
    assert {reason.code for reason in site.refusals.values()} == {"group-layout"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"to": "prelu", "slope_tolerance": 0.0}, "is no share"),
        ({"to": "prelu", "slope_tolerance": 1.0}, "is no share"),
        ({"to": "prelu", "slope_tolerance": float("nan")}, "is no share"),
        ({"to": "relu", "slope_tolerance": 1e-3}, "no meaning here"),
        ({"to": "fast", "slope_tolerance": 1e-3}, "no meaning here"),
        ({"to": "prelu", "slope_tolerance": 1e-3, "certificate": True}, "--certificate"),
    ],
)
def test_what_makes_no_sense_is_refused(options, said):
    with pytest.raises(BadUsage, match=said):
        onnx_prelu.rewrite(near_miss("Gemm"), bench=False, **options)


#: What an error of up to 1 of (u0, u1) is at y, by hand. W is [[1, -2], [3, 0.5]].
CARRIED = {
    "y = Relu(u)": 1.0,
    "y = Sigmoid(u)": 1.0,
    "y = MatMul(u, W)": 4.0,
    "y = Gemm <alpha = 2.0> (u, W)": 8.0,
    "y = Gemm <transB = 1> (u, W)": 3.5,
    "v = MatMul(u, W)  y = MatMul(v, W)": 11.5,  # |W|: (4, 2.5), then (4 + 7.5, 8 + 1.25)
    "y = PRelu(u, s)": 3.0,
    "y = LeakyRelu <alpha = 0.5> (u)": 1.0,
    "v = Neg(u)  y = Sub(u, v)": 2.0,
    "y = Add(x, u)": 1.0,
    "v = Reshape(u, t)  y = Transpose(v)": 1.0,
    "y = Softmax(u)": 1.0,
}


def carrying(body):
    weights = {"W": np.array([[1, -2], [3, 0.5]]), "s": np.array([0.5, -3.0]), "t": [2, 2]}
    text = f"u = Identity(x)  {body}"
    return Draft(load(from_text(text, "float[2,2] x", "float[2,2] y", weights)))


@pytest.mark.parametrize("body", CARRIED)
def test_an_error_at_the_outputs_by_hand(body):
    found = carried(carrying(body), {"u": np.ones(2)})
    assert found["y"] == pytest.approx(CARRIED[body], rel=1e-4)
    assert found["y"] >= CARRIED[body]


@pytest.mark.parametrize(
    "body", ["y = Exp(u)", "y = Mul(u, x)", "y = MatMul(x, u)", "y = PRelu(x, u)", "y = Max(u, x)"]
)
def test_what_may_enlarge_an_error_is_refused(body):
    with pytest.raises(Refused) as refused:
        carried(carrying(body), {"u": np.ones(2)})
    assert refused.value.reason.code == "unbounded-error"


def computed(model, x):
    """What a chain of Gemm, Relu, PRelu and Identity computes, in float64."""
    weights = {tensor.name: numpy_helper.to_array(tensor).astype(float) for tensor in model.graph.initializer}
    for node in model.graph.node:
        more = [weights[name] for name in node.input[1:]]
        if node.op_type == "Gemm":
            turned = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
            x = x @ (more[0].T if turned else more[0]) + (more[1] if len(more) > 1 else 0)
        elif node.op_type != "Identity":
            x = np.where(x >= 0, x, (more[0] if node.op_type == "PRelu" else 0) * x)
    return x


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 5), st.sampled_from([1e-4, 1e-2, 0.1]))
@examples(200)
def test_outputs_are_never_further_off_than_is_said(seed, inputs, count, off):
    rng = np.random.default_rng(seed)
    first, second = doubled(count, inputs, 3, off, seed), doubled(count + 1, 3, 2, off, seed + 1)
    weights = {
        "A": first[0].T, "b": first[1], "V": first[2], "c": rng.uniform(-1, 1, 3), "a": rng.uniform(-2, 2, 3),
        "B": second[0].T, "d": second[1], "W": second[2],
    }  # fmt: skip
    body = "z = Gemm(x, A, b)  h = Relu(z)  u = Gemm(h, V, c)  p = PRelu(u, a)  w = Gemm(p, B, d)  k = Relu(w)"
    model = from_text(f"{body}  y = Gemm(k, W)", f"float[N,{inputs}] x", "float[N,2] y", weights)
    low, high = np.sort(rng.uniform(-2, 2, (2, inputs)), axis=0)
    options = {"input_range": {"x": (low, high)}, "check": False}
    exact, result = rewritten(model, **options), rewritten(model, **options, slope_tolerance=0.5)
    folded = [site.narrowing for site in result.report.sites if site.narrowing and site.narrowing.approximate]
    x = rng.uniform(low, high, (10_000, inputs))
    x[:1000] = np.where(rng.random((1000, inputs)) < 0.5, low, high)
    apart = np.max(np.abs(computed(exact.model, x) - computed(result.model, x)))
    assert apart <= sum(each.bound["y"] for each in folded)


def test_columns_alone_that_are_off_count():
    # z is in [-1, 1], and the rows are exact: y is off by (V[1] + a·V[0])·ReLU(−z), at most |V[1] + a·V[0]|
    columns = np.array([[1.0, 1.0], [-0.5, -0.51]])
    body = "z = Gemm(x, A)  h = Relu(z)  y = Gemm(h, V)"
    model = from_text(body, "float[N,1] x", "float[N,2] y", {"A": np.array([[1.0, -1.0]]), "V": columns})
    result = rewritten(model, input_range=RANGE, slope_tolerance=0.1)
    (site,) = result.report.sites
    assert (site.slope.low, site.slope.high) == pytest.approx((0.505, 0.505))
    assert 0.005 <= site.narrowing.bound["y"] * (1 + 1e-6) <= 0.00501


@pytest.mark.parametrize("off", [1e-4, 1e-2])
def test_the_bound_is_of_use(off):
    rows, bias, columns = doubled(4, 4, 2, off)
    body = "z = Gemm(x, A, b)  h = Relu(z)  y = Gemm(h, V)"
    model = from_text(body, "float[N,4] x", "float[N,2] y", {"A": rows.T, "b": bias, "V": columns})
    result = rewritten(model, input_range=RANGE, slope_tolerance=0.1)
    (site,) = result.report.sites
    x = np.random.default_rng(1).choice([-1.0, 1.0], (10_000, 4))
    apart = np.max(np.abs(computed(model, x) - computed(result.model, x)))
    assert site.narrowing.approximate == 4
    assert 0 < apart <= site.narrowing.bound["y"] < 10 * apart
