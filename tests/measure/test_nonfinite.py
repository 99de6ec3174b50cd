"""Data and outputs that are not finite: what differs there is told, with what explains it, and is no verdict."""

from functools import partial

import numpy as np
import onnx
import pytest
from onnx import helper, parser

import onnx_prelu
from onnx_prelu.graph.model import Model
from onnx_prelu.measure.checking import check as room
from onnx_prelu.measure.checking import nonfinite
from onnx_prelu.measure.providers.installed import release
from onnx_prelu.measure.providers.runtime import open_runner

INF, NAN = np.inf, np.nan


def model(body, opset=17):
    return Model(parser.parse_model(f'<ir_version: 8, opset_import: ["": {opset}]> {body}'))


def x(*values):
    return {"x": np.array([values], np.float32)}


def on_cpu(a, b, **inputs):
    return onnx_prelu.check(a, b, providers=["cpu"], inputs=inputs).check[0]


LEAKY = model("g (float[N,4] x) => (float[N,4] y) { y = LeakyRelu <alpha = 0.25> (x) }")
PRELU = model("g (float[N,4] x) => (float[N,4] y) <float a = {0.25}> { y = PRelu(x, a) }")
# NaN at ±inf whatever the runtime does, as 0·inf is.
ZERO_TIMES = model("""g (float[N,4] x) => (float[N,4] y) <float a = {0.25}, float b = {0.0}>
    { m = PRelu(x, a) z = Mul(b, x) y = Add(m, z) }""")
BOTH = [
    model(f"g (float[N,4] x) => (float[N,4] y, float[N,4] w) <float a = {{0.25}}, float b = {{0.0}}> {{ {body} }}")
    for body in (
        "y = LeakyRelu <alpha = 0.25> (x) w = Identity(y)",
        "y = PRelu(x, a) z = Mul(b, x) w = Add(y, z)",
    )
]
INSIDE = [
    model(f"""g (float[N,4] x) => (float[N,4] y) <float big = {{3.0e38}}, float ten = {{10.0}}, float a = {{0.25}}>
        {{ o = Abs(x) i = Add(o, big) k = Mul(i, ten) m = {act} y = Neg(m) }}""")
    for act in ("LeakyRelu <alpha = 0.25> (k)", "PRelu(k, a)")
]


def as_before_127(given, provider, *, plain=open_runner, **settings):
    """The model as a runtime before 1.27 runs it: PRelu gives NaN at ±inf, since inf − inf is NaN."""
    proto = onnx.ModelProto()
    proto.CopyFrom(given.proto)
    nodes = []
    for node in given.proto.graph.node:
        if node.op_type != "PRelu":
            nodes.append(node)
            continue
        y = node.output[0]
        nodes.append(helper.make_node("PRelu", node.input, [f"{y}_prelu"]))
        nodes.append(helper.make_node("Sub", [node.input[0]] * 2, [f"{y}_nothing"]))
        nodes.append(helper.make_node("Add", [f"{y}_prelu", f"{y}_nothing"], [y]))
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    return plain(Model(proto), provider, **settings)


@pytest.fixture
def before_127(monkeypatch):
    for place in (room, nonfinite):
        monkeypatch.setattr(place, "open_runner", partial(as_before_127, plain=open_runner))
    monkeypatch.setattr(nonfinite, "release", lambda: (1, 26))


@pytest.fixture
def from_127():
    if release() < (1, 27):
        pytest.skip("this ONNX Runtime gives NaN for PRelu of an infinity")


STRANGE = x(INF, -INF, NAN, -2.0)


@pytest.mark.parametrize(
    ("pair", "differ", "by_runtime", "said"),
    [
        (
            (LEAKY, PRELU),
            2,
            2,
            "all of them because this ONNX Runtime gives NaN for PRelu(±inf), as all before 1.27 do",
        ),
        ((PRELU, LEAKY), 2, 2, "all of them because"),
        ((PRELU, PRELU), 0, 0, "1 of the batches are not finite or overflow the original"),
        ((LEAKY, ZERO_TIMES), 2, 0, "the models compute otherwise there, as with 0·inf, on any release of the runtime"),
        (BOTH, 4, 2, "2 of them because this ONNX Runtime gives NaN for PRelu(±inf)"),
    ],
)
def test_what_the_runtime_explains_is_told_apart(before_127, pair, differ, by_runtime, said):
    found = on_cpu(*pair, **STRANGE)
    assert (found.status, found.nonfinite.batches) == ("passed", 1)
    assert (found.nonfinite.differ, found.nonfinite.by_runtime) == (differ, by_runtime)
    (note,) = found.notes
    assert said in note


def test_what_is_not_finite_inside_only_is_told_apart_too(before_127):
    """Finite inputs overflow on every batch: the outputs that are infinite in the first model are NaN in the second."""
    found = onnx_prelu.check(*INSIDE, providers=["cpu"]).check[0]
    told = found.nonfinite
    assert told.differ == told.by_runtime > 0


def test_an_opset_without_where(before_127):
    head = "g (float[N,4] x) => (float[N,4] y) <float a = {0.25}>"
    given = [model(f"{head} {{ y = {act} }}", opset=8) for act in ("LeakyRelu <alpha = 0.25> (x)", "PRelu(x, a)")]
    found = on_cpu(*given, **STRANGE)
    assert (found.nonfinite.differ, found.nonfinite.by_runtime) == (2, None)
    assert "how many are due to that cannot be told in this opset" in found.notes[0]


@pytest.mark.parametrize(("pair", "differ"), [((LEAKY, ZERO_TIMES), 2), (BOTH, 2)])
def test_nothing_is_put_on_a_runtime_that_keeps_infinities(from_127, pair, differ):
    found = on_cpu(*pair, **STRANGE)
    assert (found.status, found.nonfinite.differ, found.nonfinite.by_runtime) == ("passed", differ, 0)
    assert "ONNX Runtime gives" not in found.notes[0]


def test_zero_times_infinity_of_a_form(from_127):
    """At slope 1 the second term of skip is Relu(0·x), NaN at either infinity."""
    given = parser.parse_model("""<ir_version: 8, opset_import: ["": 17]> g (float[N,4] x) => (float[N,4] y)
        <float[4] a = {1.0, 0.25, -0.5, 1.0}> { y = PRelu(x, a) }""")
    result = onnx_prelu.rewrite(given, form="skip", simplify=False, check=False)
    found = on_cpu(given, result.model, x=np.array([[INF, INF, -2, -1], [-INF, 1, 3, 4]], np.float32))
    assert (found.status, found.nonfinite.differ, found.nonfinite.by_runtime) == ("passed", 2, 0)


def test_written_out_is_what_onnx_defines():
    """Inside a body and a function too; against numpy, and inf·0 is NaN."""
    body = """g (float[N] x, bool c) => (float[N] y) <float[1] a = {%s}>
        { y = If (c) <then_branch = t () => (float[N] p) { p = PRelu(x, a) },
                      else_branch = e () => (float[N] q) { q = d.f(x, a) }> }"""
    text = """<ir_version: 8, opset_import: ["": 17, "d": 1]> %s
        <domain: "d", opset_import: ["": 17]> f (x, a) => (y) { y = PRelu(x, a) }"""
    values = np.array([INF, -INF, NAN, -0.0, 0.0, -3.0, 5.0, -1e-44], np.float32)
    for slope in ("0.25", "0.0", "-2.0", "1.0"):
        plain = nonfinite.written_out(Model(parser.parse_model(text % (body % slope))))
        assert not nonfinite.uses(plain.proto, "PRelu")
        runner = open_runner(plain, "cpu")
        with np.errstate(invalid="ignore"):
            expected = np.where(values < 0, np.float32(slope) * values, values)
        for branch in (True, False):
            assert np.array_equal(runner.run({"x": values, "c": np.array(branch)})[0], expected, equal_nan=True)


# ── nothing to compare ────────────────────────────────────────────────────────────────────────────────────────

TWO = model("g (float[N,4] x, float[N,4] k) => (float[N,4] y) { s = Add(x, k) y = Relu(s) }")


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_data_without_a_finite_value_says_nothing(value):
    """On the 0 in its place both agree, as they would whatever they compute."""
    report = onnx_prelu.check(LEAKY, LEAKY, providers=["cpu"], inputs=x(*[value] * 4))
    (found,) = report.check
    why = "input 'x' is NaN or infinite throughout the given data, so nothing was compared on it"
    assert (found.status, found.reason, report.exit_code, found.nonfinite.void) == ("not_run", why, 3, 1)
    assert report.failure == f"the check on cpu says nothing: {why}"


def test_one_input_without_a_finite_value_is_enough():
    given = {"x": np.full((2, 4), NAN, np.float32)}
    assert on_cpu(TWO, TWO, **given).status == "not_run"
    assert on_cpu(TWO, TWO, **given, k=np.ones((2, 4), np.float32)).status == "not_run"
    assert on_cpu(TWO, TWO, x=np.float32([[NAN, 1, NAN, NAN]]), k=np.ones((1, 4), np.float32)).status == "passed"


def test_one_of_several_data_sets_has_values(tmp_path):
    for name, values in (("a", (NAN,) * 4), ("b", (1, -1, NAN, 2))):
        np.savez(tmp_path / f"{name}.npz", **x(*values))
    found = onnx_prelu.check(LEAKY, PRELU, providers=["cpu"], inputs=tmp_path).check[0]
    assert (found.status, found.nonfinite.batches, found.nonfinite.void) == ("passed", 2, 1)
    assert "in 1 of them an input holds no finite value" in found.notes[0]


def test_a_difference_that_shows_all_the_same_is_a_failure():
    other = model("g (float[N,4] x) => (float[N,4] y) <float one = {1.0}> { h = Relu(x) y = Add(h, one) }")
    assert on_cpu(LEAKY, other, **x(*[NAN] * 4)).status == "failed"


# ── NaN that a model makes itself ─────────────────────────────────────────────────────────────────────────────


def biased(*bias):
    text = ", ".join(map(str, bias))
    return model(
        f"g (float[N,4] x) => (float[N,4] y) <float[4] b = {{{text}}}> {{ l = Log(b) r = Relu(x) y = Add(r, l) }}"
    )


PLAIN = biased(1.0, 1.0, 1.0, 1.0)
HAS_NAN = biased(1.0, -1.0, 1.0, 1.0)  # Log(-1)
HAS_INF = biased(1.0, 0.0, 1.0, 1.0)  # Log(0)
OVERFLOWS = model("g (float[N,4] x) => (float[N,4] y) { s = Mul(x, x) q = Mul(s, s) t = Sqrt(q) y = Sqrt(t) }")
DOES_NOT = model("g (float[N,4] x) => (float[N,4] y) { y = Abs(x) }")


@pytest.mark.parametrize("given", [{}, x(1, 2, -3, 4)])
@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        (HAS_NAN, PLAIN, "failed"),
        (HAS_INF, PLAIN, "failed"),
        (PLAIN, HAS_NAN, "failed"),
        (HAS_NAN, HAS_NAN, "passed"),
        (HAS_INF, HAS_INF, "passed"),
        (OVERFLOWS, DOES_NOT, "passed"),
    ],
)
def test_nan_that_one_model_makes_of_numbers(first, second, status, given):
    report = onnx_prelu.check(first, second, providers=["cpu"], inputs=given or None, rtol=1e-3)
    found = report.check[0]
    assert found.status == status
    if first in (HAS_NAN, HAS_INF) and status == "failed":
        assert "of the first model where the second is finite, as at [0, 1]: the first model makes that" in found.reason
        assert not found.nonfinite.differ


def test_what_overflows_on_large_data_is_excused():
    assert on_cpu(OVERFLOWS, DOES_NOT, **x(1e15, 1, -2, 3)).status == "passed"


def test_an_input_on_which_it_makes_nan_is_saved(tmp_path):
    saved = onnx_prelu.check(HAS_NAN, PLAIN, providers=["cpu"], save_failing=tmp_path / "bad").check[0].failing
    assert saved.sizes == {"x": (1, 4)}
