import itertools
import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper, parser

from onnx_prelu.errors import BadUsage
from onnx_prelu.graph.model import Model, load
from onnx_prelu.measure.checking import pairs
from onnx_prelu.measure.checking.check import Check, Given, Pair, Tolerance, Watch, check
from onnx_prelu.measure.checking.judge import judge
from onnx_prelu.measure.inputs.draw import InputOptions
from onnx_prelu.measure.providers.installed import release
from tests.counts import count

MODELS = Path(__file__).parents[3] / "shared" / "models"


def model(body, opset=17, ir=8):
    return Model(parser.parse_model(f'<ir_version: {ir}, opset_import: ["": {opset}]> {body}'))


PRELU = model("g (float[N,4] x) => (float[N,4] y) <float a = {0.25}> { y = PRelu(x, a) }")
RELU = model("g (float[N,4] x) => (float[N,4] y) { y = Relu(x) }")
MIRROR = model("""g (float[N,4] x) => (float[N,4] y) <float a = {0.25}>
    { p = Relu(x) m = Neg(x) q = Relu(m) r = Mul(a, q) y = Sub(p, r) }""")
SKIP = model("""g (float[N,4] x) => (float[N,4] y) <float a = {0.1}, float b = {0.9}>
    { p = Relu(x) q = Mul(b, p) r = Mul(a, x) y = Add(q, r) }""")
PRELU_10 = model("g (float[N,4] x) => (float[N,4] y) <float a = {0.1}> { y = PRelu(x, a) }")


def on_cpu(a, b, **options) -> Check:
    (found,) = check(a, b, providers=["cpu"], **options)
    return found


# ── the verdict ───────────────────────────────────────────────────────────────────────────────────────────────


def test_equal_models_pass():
    found = on_cpu(PRELU, MIRROR, exact=True)
    assert (found.status, found.reason, found.required, found.deterministic) == ("passed", None, True, True)
    assert (found.max_abs, found.max_rel, found.max_ulp, found.tolerance) == (0, 0, 0, None)
    assert found.sizes == {"x": (1, 4)}
    assert found.nodes == ({"CPUExecutionProvider": 5} if release() >= (1, 24) else None)
    assert found.notes == ()


@pytest.mark.parametrize("scale", [1.0, 1e-5, 1e5])
def test_prelu_is_not_relu(scale):
    """The pair that validators pass which draw inputs from [0, 1)."""
    scaled = [f"{each} <float k = {{{scale}}}> {{ h = {act} y = Mul(k, h) }}" for each, act in (
        ("g (float[N,4] x) => (float[N,4] y)", "LeakyRelu <alpha = 0.25> (x)"),
        ("g (float[N,4] x) => (float[N,4] y)", "Relu (x)"),
    )]  # fmt: skip
    found = on_cpu(*map(model, scaled))
    assert found.status == "failed"
    assert found.reason is not None
    assert found.reason.startswith("output 'y' differs by up to")
    assert found.max_rel > 0.1
    assert found.tolerance is None
    assert found.rounding.reached > 1e5


@pytest.mark.parametrize("provider", ["cpu", "reference"])
def test_the_acceptance_pair(provider):
    (found,) = check(PRELU, RELU, providers=[provider])
    assert found.status == "failed"


def test_rounding_passes_but_is_not_equal():
    found = on_cpu(PRELU_10, SKIP)
    assert found.status == "passed"
    assert 0 < found.max_rel < 1e-6
    found = on_cpu(PRELU_10, SKIP, exact=True)
    assert found.status == "failed"
    assert "has to be equal" in found.reason


@pytest.mark.parametrize("limit", [{"atol": 1e-6}, {"rtol": 1e-6}])
def test_a_tolerance_of_the_user_counts_instead_of_equal_bits(limit):
    assert on_cpu(PRELU_10, SKIP, exact=True, **limit).status == "passed"


def test_tolerances_of_the_user_override():
    assert on_cpu(PRELU, RELU, atol=1.0).status == "passed"
    assert on_cpu(PRELU_10, SKIP, atol=0.0, rtol=0.0).status == "failed"


def test_equal_bits_are_asked_for_on_the_cpu_only():
    (found,) = check(PRELU_10, SKIP, providers=["reference"], exact=True)
    assert (found.status, found.tolerance) == ("passed", None)
    assert 0 < found.rounding.reached < 1


def test_signs_of_zeros_count_apart():
    zero = model("g (float[N,4] x) => (float[N,4] y) <float a = {0.0}> { y = PRelu(x, a) }")
    found = on_cpu(zero, RELU, exact=True)
    assert found.status == "passed"
    assert found.zero_signs > 0
    found = on_cpu(zero, RELU, exact=True, signed_zeros=True)
    assert found.status == "failed"
    assert "zeros of the other sign" in found.reason


def test_other_shapes_than_declared():
    a = model("g (float[N,4] x) => (float[K,M] y) { y = Identity(x) }")
    b = model("g (float[N,4] x) => (float[K,M] y) { y = Transpose <perm = [1, 0]> (x) }")
    assert on_cpu(a, b).reason == "output 'y' is float32[4, 1] instead of float32[1, 4]"


def test_the_second_model_does_not_run():
    broken = model("g (float[N,4] x) => (float[N,4] y) <float[3] s = {1.0, 2.0, 3.0}> { y = Mul(x, s) }")
    found = on_cpu(PRELU, broken)
    assert found.status == "failed"
    assert found.reason.startswith("the first model runs, but the second does not: ")


def test_external_data(tmp_path):
    proto = model("g (float[N,4] x) => (float[N,4] y) <float[4] s = {1.0, 2.0, 3.0, 4.0}> { y = PRelu(x, s) }").proto
    weights = numpy_helper.to_array(proto.graph.initializer[0])
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, "s"))
    inside = Model(onnx.ModelProto.FromString(proto.SerializeToString()))
    paths = [tmp_path / name / "m.onnx" for name in ("a", "b")]
    for path in paths:
        path.parent.mkdir()
        own = onnx.ModelProto.FromString(proto.SerializeToString())
        onnx.save(own, path, save_as_external_data=True, size_threshold=0, location="w")
    (tmp_path / "b" / "w").write_bytes(np.array([1, 2, 3, 5], np.float32).tobytes())
    assert on_cpu(*map(load, paths)).status == "failed"
    assert on_cpu(load(paths[0]), inside).status == "passed"


# ── correct rewrites and broken ones ──────────────────────────────────────────────────────────────────────────


def network(rng, dtype, form, damage=None):
    """A Gemm chain with PRelu, or with what stands for it, written out by numpy."""
    widths = [int(rng.integers(1, 40)) for _ in range(int(rng.integers(2, 5)))]
    slopes = [rng.choice([-25, -0.3, 0.0, 0.25, 1.0, 1.7, 21], w) for w in widths[1:-1]]
    gains = np.exp(rng.normal(0, 1, len(widths)))
    weights = [gains[i] * rng.normal(0, 1, (n, k)) / np.sqrt(k) for i, (k, n) in enumerate(itertools.pairwise(widths))]
    biases = [rng.normal(0, 0.5, w.shape[0]) for w in weights]
    nodes, constants, tensor = [], [], "x"

    def constant(name, value):
        constants.append(numpy_helper.from_array(np.asarray(value).astype(dtype), name))

    for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
        w, b = w.astype(dtype).astype(float), b.astype(dtype).astype(float)
        if form == "split" and i > 0:
            a = slopes[i - 1].astype(dtype).astype(float)
            second = -w * a
            if damage == "slope" and i == len(weights) - 1:
                second = -second
            w = np.hstack([w, second])
        last = i == len(weights) - 1
        if form == "split" and not last:
            w, b = np.vstack([w, -w]), np.concatenate([b, -b])
        if damage == "bias" and last:
            b = b + 0.1 * (np.abs(w).sum(axis=1).max() + np.abs(b).max())
        constant(f"w{i}", w)
        constant(f"b{i}", b)
        out = "y" if last else f"z{i}"
        nodes.append(helper.make_node("Gemm", [tensor, f"w{i}", f"b{i}"], [out], transB=1))
        tensor = out
        if last:
            break
        constant(f"a{i}", slopes[i])
        if form == "prelu":
            nodes.append(helper.make_node("PRelu", [tensor, f"a{i}"], [f"h{i}"]))
        elif form == "split":
            nodes.append(helper.make_node("Relu", [tensor], [f"h{i}"]))
        else:
            for op, ins, name in (("Relu", [tensor], "p"), ("Neg", [tensor], "m"), ("Relu", [f"m{i}"], "q")):
                nodes.append(helper.make_node(op, ins, [f"{name}{i}"]))
            nodes.append(helper.make_node("Mul", [f"a{i}", f"q{i}"], [f"r{i}"]))
            nodes.append(helper.make_node("Sub", [f"p{i}", f"r{i}"], [f"h{i}"]))
        tensor = f"h{i}"
    number = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    ends = [helper.make_tensor_value_info(n, number, ["N", w]) for n, w in (("x", widths[0]), ("y", widths[-1]))]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], constants)
    return Model(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]))


def networks(dtype, stated, *forms, **damage):
    for seed in range(count(stated)):
        yield (
            seed,
            [
                network(np.random.default_rng(seed), dtype, form, **(damage if i else {}))
                for i, form in enumerate(forms)
            ],
        )


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("form", ["split", "mirror"])
def test_correct_rewrites_pass(dtype, form):
    for seed, (before, after) in networks(dtype, 200, "prelu", form):
        found = on_cpu(before, after, exact=form == "mirror")
        assert found.status == "passed", (seed, found.reason)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("damage", ["slope", "bias"])
def test_broken_rewrites_fail(dtype, damage):
    """All but those that no input of the whole model can show: a lone unit that is never negative, say."""
    missed, checked = [], 0
    for seed, (before, after) in networks(dtype, 200, "prelu", "split", damage=damage):
        slopes = [t for t in before.proto.graph.initializer if t.name.startswith("a")]
        if damage == "bias" or (slopes and numpy_helper.to_array(slopes[-1]).any()):
            checked += 1
            if on_cpu(before, after).status != "failed":
                missed.append(seed)
    assert checked >= count(100)
    assert len(missed) <= 0.02 * checked, missed


# ── the interface ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ("g (float[N,4] u) => (float[N,4] y) { y = Relu(u) }", "input 'x' is missing in the second model, which has u"),
        (
            "g (float[N,4] x, float[1] k) => (float[N,4] y) { y = Mul(x, k) }",
            "input 'k' is only in the second model",
        ),
        (
            "g (float16[N,4] x) => (float[N,4] y) { y = Cast <to = 1> (x) }",
            "input 'x' is float in the first model, float16 in the second",
        ),
        ("g (float[1,4] x) => (float[N,4] y) { y = Relu(x) }", "input 'x' is [N, 4] in the first model, [1, 4] in"),
        ("g (float[N,5] x) => (float[N,4] y) { y = Relu(x) }", "input 'x' is [N, 4] in the first model, [N, 5] in"),
        ("g (float[N,4,1] x) => (float[N,4] y) { y = Relu(x) }", "input 'x' is [N, 4] in the first model, [N, 4, 1]"),
        ("g (float[N,4] x) => (float[N,4] v) { v = Relu(x) }", "output 'y' is missing in the second model"),
        ("g (float[N,4] x) => (float[N,4] y, float[N,4] v) { y = Relu(x) v = Neg(x) }", "output 'v' is only in"),
        ("g (float[N,4] x) => (double[N,4] y) { y = Cast <to = 11> (x) }", "output 'y' is float in the first model"),
    ],
)
def test_interfaces_that_differ(other, said):
    (found,) = check(PRELU, model(other))  # CUDA is not asked for, so there is nothing to say about it
    assert (found.status, found.required, found.provider) == ("failed", True, "cpu")
    assert found.reason.startswith(said)


def test_outputs_in_another_order():
    a = model("g (float[4] x) => (float[4] y, float[4] z) { y = Relu(x) z = Neg(x) }")
    b = model("g (float[4] x) => (float[4] z, float[4] y) { y = Relu(x) z = Neg(x) }")
    assert on_cpu(a, b).reason == "the outputs stand in another order: y, z, then z, y"


@pytest.mark.parametrize(
    "other",
    [
        "g (float[batch,4] x) => (float[M,4] y) <float a = {0.25}> { y = PRelu(x, a) }",
        "g (float[N,4] x, float a) => (float[N,4] y) <float a = {0.25}> { y = PRelu(x, a) }",
    ],
)
def test_interfaces_that_do_not_differ(other):
    assert on_cpu(PRELU, model(other)).status == "passed"


def test_a_shape_that_is_not_stated_contradicts_nothing():
    silent = onnx.ModelProto()
    silent.CopyFrom(PRELU.proto)
    silent.graph.output[0].type.tensor_type.ClearField("shape")
    assert on_cpu(PRELU, Model(silent)).status == "passed"


# ── providers ─────────────────────────────────────────────────────────────────────────────────────────────────


OLD = model("g (float[1,4] x, float[4] s) => (float[1,4] y) { y = PRelu(x, s) }", opset=6, ir=3)
DOUBLE = model("g (double[1,1,2,2] x, double[1,1,1,1] w) => (double[1,1,2,2] y) { y = Conv(x, w) }")
BFLOAT = model("g (bfloat16[4] x) => (bfloat16[4] y) { y = Relu(x) }")


@pytest.mark.parametrize(("given", "op"), [(OLD, "PRelu(6)"), (DOUBLE, "Conv(11)"), (BFLOAT, "Relu(14)")])
def test_what_the_original_cannot_run_is_not_run(given, op):
    found = on_cpu(given, given)
    assert (found.status, found.required, found.outputs, found.max_abs) == ("not_run", True, (), None)
    assert op in found.reason


def test_the_reference_evaluator_runs_what_the_cpu_cannot():
    (found,) = check(DOUBLE, DOUBLE, providers=["reference"])
    assert (found.status, found.provider, found.tolerance) == ("passed", "reference", None)


@pytest.mark.parametrize(("providers", "required"), [(None, False), (["cpu", "cuda"], True)])
def test_cuda_where_there_is_none(providers, required, monkeypatch):
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    cpu, cuda = check(PRELU, MIRROR, providers=providers)
    assert (cpu.status, cpu.required) == ("passed", True)
    assert (cuda.provider, cuda.status, cuda.required) == ("cuda", "not_run", required)
    assert "built without CUDAExecutionProvider" in cuda.reason


@pytest.mark.parametrize(("a", "b"), [(PRELU, MIRROR), (PRELU, DOUBLE), (BFLOAT, BFLOAT)])
def test_requests_that_make_no_sense_come_before_any_verdict(a, b):
    with pytest.raises(BadUsage, match="--dim M"):
        check(a, b, options=InputOptions(dim={"M": 3}))


# ── the original against itself ───────────────────────────────────────────────────────────────────────────────


def noisy(scale):
    return model(f"""g (float[N,4] x) => (float[N,4] y) <float k = {{{scale}}}>
        {{ r = RandomNormalLike(x) n = Mul(k, r) m = Mul(x, n) y = Add(x, m) }}""")


def test_a_random_original_proves_nothing():
    found = on_cpu(noisy(1.0), noisy(1.0))
    assert (found.status, found.deterministic, found.outputs[0].random) == ("not_run", False, True)
    assert found.reason.startswith("the original is random: run twice")


def test_noise_below_the_tolerance_is_no_reason_to_give_up():
    found = on_cpu(noisy(3e-6), noisy(3e-6), exact=True)
    assert (found.status, found.deterministic, found.tolerance) == ("passed", False, Tolerance(1e-5, 1e-4))
    assert found.notes == ("the original is not deterministic: run twice on the same inputs, its bits differ",)
    assert on_cpu(noisy(3e-6), model("g (float[N,4] x) => (float[N,4] y) { y = Relu(x) }")).status == "failed"


def test_a_random_output_beside_others():
    body = "g (float[N,4] x) => (float[N,4] y, float[N,4] r) {{ y = {} (x) r = RandomNormalLike(x) }}"
    assert on_cpu(model(body.format("Abs")), model(body.format("Abs"))).status == "not_run"
    found = on_cpu(model(body.format("Abs")), model(body.format("Relu")))
    assert found.status == "failed"
    assert found.reason.startswith("output 'y'")


# ── NaN, infinity, overflow ───────────────────────────────────────────────────────────────────────────────────


def test_an_overflowing_original_is_tried_on_smaller_inputs():
    """All that is drawn at scale 1 and above overflows float16, so smaller inputs have to tell the two apart."""
    body = """g (float16[N,4] x) => (float16[N,4] y) <float l = {{60000.0}}>
        {{ k = Cast <to = 10> (l) h = Mul(k, x) g = Mul(k, h) y = {} (g) }}"""
    prelu, relu = model(body.format("LeakyRelu <alpha = 0.5>")), model(body.format("Relu"))
    assert on_cpu(prelu, relu).status == "failed"
    found = on_cpu(prelu, prelu)
    assert found.status == "passed"
    assert found.outputs[0].difference.nonfinite == 0


def test_nothing_finite_is_not_a_pass():
    body = "g (float[N,4] x) => (float[N,4] y) <float k = {-1.0}> { n = Log(k) y = Add(x, n) }"
    found = on_cpu(model(body), model(body))
    assert found.status == "not_run"
    assert found.reason.startswith("output 'y' of the original is NaN or infinite")


def test_an_empty_output_is_not_a_pass():
    body = "g (float[3] x) => (float[M] y) <int64[1] a = {3}, int64[1] b = {99}> { y = Slice(x, a, b) }"
    assert on_cpu(model(body), model(body)).reason.startswith("output 'y' is empty")


def test_elements_that_are_never_finite_are_left_out():
    """The last column is infinite, the others are NaN until Max: 0/0 counts as what the runtime makes of it."""
    body = """g (float[N,3] x) => (float[N,3] y) <float[3] k = {{0.0, 0.0, inf}}> {{ h = {} (x) y = Add(h, k) }}"""
    given = [model(body.format(act).replace("inf", "3.0e38")) for act in ("Abs", "Relu")]
    for each in given:
        each.proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.array([0, 0, np.inf], np.float32), "k"))
    found = on_cpu(given[0], given[0])
    assert found.status == "passed"
    row = found.outputs[0].difference
    assert (row.compared, row.patterns) == (2 * row.nonfinite, 0)
    assert on_cpu(*given).status == "failed"


def test_an_overflow_of_the_second_model_only():
    a = model("g (float[N,4] x) => (float[N,4] y) { y = Identity(x) }")
    b = model("g (float[N,4] x) => (float[N,4] y) { e = Exp(x) y = Log(e) }")
    found = on_cpu(a, b)
    assert found.status == "failed"
    assert "NaN or infinite" in found.reason


INFINITE = {"x": np.array([[np.inf, -np.inf, np.nan, -2.0]], np.float32)}
LEAKY = model("g (float[N,4] x) => (float[N,4] y) { y = LeakyRelu <alpha = 0.25> (x) }")
# NaN at ±inf, and the same elsewhere: what any form may do.
OTHERWISE = model("""g (float[N,4] x) => (float[N,4] y) <float a = {0.25}, float b = {0.0}>
    { m = PRelu(x, a) z = Mul(b, x) y = Add(m, z) }""")


def test_infinite_inputs_are_reported_and_the_rest_is_judged():
    found = on_cpu(LEAKY, OTHERWISE, options=InputOptions(inputs=INFINITE))
    assert found.status == "passed"
    (note,) = found.notes
    assert note.startswith("where inputs are not finite or overflow the original, 2 elements differ")
    assert on_cpu(LEAKY, RELU, options=InputOptions(inputs=INFINITE)).status == "failed"  # by −2 alone


def test_a_difference_from_infinite_inputs_that_does_not_look_like_one():
    """The original makes 0 and 1 of infinities, OTHERWISE makes NaN of them; on finite values they agree."""
    a, b = onnx.ModelProto(), onnx.ModelProto()
    for proto, given in ((a, LEAKY), (b, OTHERWISE)):
        proto.CopyFrom(given.proto)
        proto.graph.node[-1].output[0] = "h"
        proto.graph.node.append(helper.make_node("Sigmoid", ["h"], ["y"]))
    found = on_cpu(Model(a), Model(b), options=InputOptions(inputs=INFINITE))
    assert (found.status, found.reason, len(found.notes)) == ("passed", None, 1)


# ── outputs that cannot show a difference ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "blind",
    [
        "int64[N,1] y) { y = ArgMax <axis = 1> (x) }",
        "bool[N,4] y) <float z = {0.0}> { y = Greater(x, z) }",
        "float[N,4] y) <float k = {1.0e9}, float l = {0.0}, float h = {1.0}> { m = Mul(k, x) y = Clip(m, l, h) }",
        "float[N,4] y) <float k = {0.0}> { y = Mul(k, x) }",
    ],
)
def test_a_blind_output_is_flagged(blind):
    given = model(f"g (float[N,4] x) => ({blind}")
    found = on_cpu(given, given)
    assert (found.status, found.outputs[0].shows) == ("passed", False)
    assert found.notes[0].startswith("no output can show a difference")


def test_one_blind_output_among_two():
    given = model("g (float[N,4] x) => (float[N,4] y, int64[N,1] i) { y = Abs(x) i = ArgMax <axis = 1> (x) }")
    found = on_cpu(given, given)
    assert [row.shows for row in found.outputs] == [True, False]
    assert found.notes[0].startswith("'i' can hardly show a difference")


def test_integers_have_to_be_equal():
    a = model("g (float[N,4] x) => (int64[N,1] i) { i = ArgMax <axis = 1> (x) }")
    b = model("g (float[N,4] x) => (int64[N,1] i) { i = ArgMin <axis = 1> (x) }")
    assert "has to be equal" in on_cpu(a, b).reason


# ── which units saw both sides ────────────────────────────────────────────────────────────────────────────────


def test_spread():
    """Of four units, one never falls below 0, one never rises above it."""
    body = "g (float[N,4] x) => (float[N,4] y) <float[4] b = {0.0, 1.0e6, -1.0e6, 0.0}> { z = Add(x, b) y = Relu(z) }"
    given = model(body)
    watch = [
        Watch("act", "z", 1),
        Watch("act", "z", -1),
        Watch("all", "z", None),
        Watch("in", "x", 1),
        Watch("o", "y", 1),
    ]
    found = on_cpu(given, given, watch=watch)
    assert [(each.node, each.units, each.both) for each in found.spread] == [
        ("act", 4, 2),
        ("act", 4, 2),
        ("all", 4, 2),
        ("in", 4, 4),
        ("o", 4, 0),
    ]
    assert found.spread[0].share == 0.5


def test_spread_of_every_element():
    given = model("g (float[2,3] x) => (float[2,3] y) { y = Relu(x) }")
    found = on_cpu(given, given, watch=[Watch("act", "x", 1), Watch("act", "x", None)])
    assert [each.units for each in found.spread] == [3, 6]


def test_a_tensor_that_is_not_there():
    found = on_cpu(PRELU, MIRROR, watch=[Watch("act", "nowhere", None)])
    assert (found.status, found.spread) == ("passed", ())
    assert found.notes[0].startswith("which units saw both sides of zero is not known")


# ── each site alone ───────────────────────────────────────────────────────────────────────────────────────────


ABOVE = "g (float[N,4] x) => (float[N,4] y) { p = Abs(x) y = %s }"


def test_a_site_that_the_whole_model_never_drives_below_zero():
    before, after = model(ABOVE % "LeakyRelu <alpha = 0.25> (p)"), model(ABOVE % "Relu (p)")
    assert on_cpu(before, after).status == "passed"
    found = on_cpu(before, after, pairs=[Pair("ok", PRELU, MIRROR, True), Pair("act1", PRELU, RELU, True)])
    assert found.status == "failed"
    assert found.reason.startswith("site 'act1' alone, on values of its own, 'y' differs")
    assert [(each.node, each.status) for each in found.pairs] == [("ok", "passed"), ("act1", "failed")]


@pytest.mark.parametrize(("exact", "status"), [(True, "failed"), (False, "passed")])
def test_a_pair_is_held_to_its_promise(exact, status):
    (result,) = on_cpu(PRELU, PRELU, pairs=[Pair("act", PRELU_10, SKIP, exact)]).pairs
    assert (result.status, result.exact) == (status, exact)
    (result,) = check(PRELU, PRELU, providers=["reference"], pairs=[Pair("act", PRELU_10, SKIP, exact)])[0].pairs
    assert (result.status, result.exact) == ("passed", False)


BIASED = "g (float[N,4] x) => (float[N,4] y) <float a = {0.25}, float b = {%s}> { p = PRelu(x, a) y = Add(p, b) }"


@pytest.mark.parametrize("b", ["1.0e-9", "1.0e-37", "100.0"])
def test_no_magnitude_hides_another(b):
    """An error among tiny values does not show beside large ones, nor one of large size among tiny ones."""
    (result,) = on_cpu(PRELU, PRELU, pairs=[Pair("act", PRELU, model(BIASED % b), False)]).pairs
    assert result.status == ("passed" if b == "1.0e-37" else "failed")
    (result,) = on_cpu(PRELU, PRELU, pairs=[Pair("act", PRELU, model(BIASED % b), True)]).pairs
    assert result.status == "failed"


def test_every_element_takes_both_signs_in_every_magnitude(monkeypatch):
    seen = []
    monkeypatch.setattr(pairs, "judge", lambda trials, *rest: seen.extend(trials) or judge(trials, *rest))
    given = model("g (float[1,4] x) => (float[1,4] y) { y = Relu(x) }")
    on_cpu(PRELU, PRELU, pairs=[Pair("act", given, given, True)])
    by_group = {}
    for trial in seen:
        by_group.setdefault(trial.group, []).append(trial.feed["x"])
    assert len(by_group) == 4
    sizes = []
    for one, other in by_group.values():
        assert np.array_equal(one, -other)
        sizes.append(np.abs(one).max())
    assert min(sizes) < 1e-5 < 0.1 < max(sizes)
    assert max(sizes) > 1e3


@pytest.mark.parametrize("dtype", ["float16", "double", "float"])
@pytest.mark.parametrize("shape", ["N,4", "1,4,7,N", "4", "A,B,C,D,E,4"])
def test_pairs_of_every_type_and_shape(dtype, shape):
    head = f"g ({dtype}[{shape}] x) => ({dtype}[{shape}] y) <float f = {{0.25}}>"
    prelu = head + "{ a = CastLike(f, x) y = PRelu(x, a) }"
    other = f"""{head} {{ a = CastLike(f, x) p = Relu(x) m = Neg(x) q = Relu(m) r = Mul(a, q) y = Sub(p, r) }}"""
    (result,) = on_cpu(PRELU, PRELU, pairs=[Pair("act", model(prelu), model(other), True)]).pairs
    assert (result.status, result.reason, result.max_abs) == ("passed", None, 0)


def test_a_pair_of_unknown_rank_takes_the_shape_that_ran():
    """It takes seven columns, which growing sizes alone would not find."""
    weights = "<float[7,1] w = {1.0, -2.0, 3.0, -4.0, 5.0, -6.0, 7.0}>"
    whole = model(f"g (float[N,7] x) => (float[N,1] y) {weights} {{ z = Abs(x) p = LeakyRelu(z) y = MatMul(p, w) }}")
    small = model(f"g (float[1] z) => (float[M] y) {weights} {{ p = LeakyRelu(z) y = MatMul(p, w) }}")
    small.proto.graph.input[0].type.tensor_type.ClearField("shape")
    small.proto.graph.output[0].type.tensor_type.ClearField("shape")
    (result,) = on_cpu(whole, whole, pairs=[Pair("act", small, small, True)]).pairs
    assert (result.status, result.reason) == ("passed", None)


def test_a_pair_whose_original_does_not_run_is_no_failure():
    found = on_cpu(PRELU, MIRROR, pairs=[Pair("act", OLD, OLD, True), Pair("b", DOUBLE, DOUBLE, True)])
    assert (found.status, found.pairs[0].status) == ("passed", "not_run")
    assert found.notes[0].startswith(
        "site 'act' was not compared alone (nor 1 more): the original's nodes alone do not run"
    )


def test_a_pair_whose_new_nodes_do_not_run_is_one():
    found = on_cpu(
        PRELU, MIRROR, pairs=[Pair("act", model("g (float[1,4] x) => (float[1,4] y) { y = Relu(x) }"), OLD, True)]
    )
    assert found.status == "failed"
    assert found.reason.startswith("site 'act' the new nodes alone do not run")


# ── what is told ──────────────────────────────────────────────────────────────────────────────────────────────


def test_progress():
    told = []
    on_cpu(PRELU, MIRROR, pairs=[Pair("a", PRELU, MIRROR, True)] * 2, progress=told.append)
    assert told[0] == told[-1] == "check on cpu"
    assert told[1:-1] == ["check on cpu, site 1 of 2 alone", "check on cpu, site 2 of 2 alone"]


def test_to_dict():
    found = on_cpu(PRELU, RELU, pairs=[Pair("a", PRELU, MIRROR, True)], watch=[Watch("a", "x", 1)])
    parsed = json.loads(json.dumps(found.to_dict()))
    assert parsed["provider"] == "cpu"
    assert parsed["tolerance"] is None
    assert parsed["rounding"] == parsed["outputs"][0]["rounding"]
    assert parsed["rounding"]["reached"] > 1 > parsed["rounding"]["allowed"]
    assert parsed["outputs"][0]["difference"]["where"] is not None
    assert parsed["spread"] == [{"node": "a", "units": 4, "both": 4}]
    assert parsed["pairs"][0]["status"] == "passed"


@pytest.mark.skipif(not MODELS.is_dir(), reason="the folder with real models is not there")
@pytest.mark.parametrize("name", ["mtcnn_pnet", "minifasnet_v2", "gtcrn_simple"])
def test_real_models_are_themselves(name):
    given = load(MODELS / f"{name}.onnx")
    watch = [Watch(node.name, node.input[0], 1) for node in given.proto.graph.node if node.op_type == "PRelu"]
    found = on_cpu(given, given, exact=True, watch=watch)
    assert found.status == "passed"
    assert len(found.spread) == len(watch) > 0
    damaged = onnx.ModelProto()
    damaged.CopyFrom(given.proto)
    for node in damaged.graph.node:
        if node.op_type == "PRelu":
            node.op_type = "Relu"
            del node.input[1:]
    assert on_cpu(given, Model(damaged)).status == "failed"


# ── what rounding explains ────────────────────────────────────────────────────────────────────────────────────


TWO = "g (float[N,4] x) => (float[N,4] y, float[N,4] z) <float a = {0.1}, float b = {0.9}> { %s z = Mul(a, x) }"
TWO_PRELU = model(TWO % "y = PRelu(x, a)")
TWO_OFF = model(TWO % "p = PRelu(x, a) k = Constant <value = float {1.00001}> () y = Mul(p, k)")


def test_a_little_more_than_rounding_fails():
    found = on_cpu(TWO_PRELU, TWO_OFF)
    assert found.reason.startswith("output 'y' differs by up to")
    assert re.search(r"; at \[.*\], by \S+ times the \S+ that rounding explains", found.reason)
    assert found.outputs[0].rounding.reached > 1
    assert found.outputs[1].rounding.reached == 0


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"tol": {"y": Given(rtol=1e-4)}}, "passed"),
        ({"tol": {"y": Given(rtol=1e-6, atol=0.0)}}, "failed"),
        ({"tol": {"z": Given(rtol=1e-4)}}, "failed"),
        ({"tol": {"y": Given(atol=0.0, rtol=0.0)}, "rtol": 1e-4}, "failed"),
        ({"tol": {"y": Given(rtol=1e-4)}, "atol": 0.0, "rtol": 0.0}, "passed"),
        ({"tol": {"y": Given(rtol=1e-4)}, "exact": True}, "passed"),
    ],
)
def test_a_tolerance_for_one_output(given, status):
    found = on_cpu(TWO_PRELU, TWO_OFF, **given)
    assert found.status == status
    assert (found.outputs[0].rounding is None) == ("y" in given["tol"])


def test_a_tolerance_for_what_is_no_output():
    with pytest.raises(BadUsage, match="'w', which is no output"):
        on_cpu(PRELU, PRELU, tol={"w": Given(rtol=1e-4)})


def test_what_no_weight_and_no_rule_explains_keeps_the_types_tolerance():
    round_trip = model("g (float[N,4] x) => (float[N,4] y) { s = Sinh(x) y = Asinh(s) }")
    found = on_cpu(model("g (float[N,4] x) => (float[N,4] y) { y = Identity(x) }"), round_trip)
    assert found.rounding is not None  # the first model's bound is known
    found = on_cpu(
        round_trip, model("g (float[N,4] x) => (float[N,4] y) { s = Sinh(x) t = Neg(s) u = Neg(t) y = Asinh(u) }")
    )
    assert (found.status, found.rounding.reached) == ("passed", 0)  # equal, so nobody had to know
    found = on_cpu(round_trip, model("g (float[N,4] x) => (float[N,4] y) { y = Identity(x) }"))
    assert (found.rounding, found.tolerance) == (None, Tolerance(1e-5, 1e-4))


def test_an_output_that_rounding_alone_moves_shows_little():
    body = "g (float[N,4] x) => (float[N,4] y) <float k = {1.0e7}> { h = Mul(k, x) s = Sin(h) y = %s }"
    found = on_cpu(model(body % "Identity(s)"), model(body % "Mul(s, s)"))
    assert not found.outputs[0].shows
    assert found.notes[0].endswith("or moved by a percent by rounding alone")
