"""Activations before a MaxPool: pool, poolsplit, ext0. What they make is compared with the original in ONNX Runtime."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.edit import finish
from onnx_prelu.graph.model import load
from onnx_prelu.passes.alone import sites_alone
from onnx_prelu.passes.choose import Policy
from onnx_prelu.passes.engine import Scope, rewrite_sites
from tests.counts import examples
from tests.oracle import assert_close, assert_same_bits, run
from tests.pooling import MIXED, net, ops, put, slopes, tensors
from tests.rewriting import rewritten
from tests.strategies import stored
from tests.texts import feeds, from_text

# ── what is made ──────────────────────────────────────────────────────────────────────────────────────────────


def test_pool_swaps_the_two():
    model = net(slopes(0, 5))
    result, (choice,) = rewritten(model, to="auto", form="pool")
    assert ops(result) == ["Conv", "MaxPool", "PRelu", "Conv"]
    assert (choice.node, choice.form, choice.exactness) == ("n_h", "pool", "equal bits")
    assert choice.reason == "its activation is then written as it is"
    assert [list(map(str, node.input)) for node in result.graph.node[1:3]] == [["z"], ["z/pooled", "a"]]
    assert_same_bits(run(model, feeds(model)), run(result, feeds(model)))


def test_a_moved_activation_takes_the_next_form():
    model = net(slopes(0, 5))
    result, (choice,) = put(model, "pool", "skip")
    assert ops(result)[1] == "MaxPool"
    assert not {"PRelu"} & set(ops(result))
    assert (choice.form, choice.exactness) == ("pool", "rounding")
    assert choice.reason == "its activation is then written as skip"
    assert_close(run(model, feeds(model)), run(result, feeds(model)))


def test_a_moved_activation_moves_on():
    twice = "q = MaxPool <kernel_shape = [2, 2]> (h)  p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (q)"
    model = net(slopes(0, 5), twice)
    result, (choice,) = put(model, "pool", "max", "mirror")
    assert ops(result)[:3] == ["Conv", "MaxPool", "MaxPool"]
    assert (choice.form, choice.exactness) == ("pool", "equal bits")
    assert_same_bits(run(model, feeds(model)), run(result, feeds(model)))


def test_asked_of_relu_no_prelu_is_left():
    model = net(slopes(0, 5))
    result, (choice,) = rewritten(model, to="relu", form="pool")
    assert (choice.form, choice.exactness) == ("pool", "equal bits")
    assert "PRelu" not in ops(result)
    assert_same_bits(run(model, feeds(model)), run(result, feeds(model)))


def test_pool_takes_any_spelling_and_leaves_a_leakyrelu_one():
    body = "z = Conv(x, A, b)  {}  p = MaxPool <kernel_shape = [2, 2]> (h)  y = Conv(p, V)"
    leaky = net(np.ones(4), body=body.format("h = LeakyRelu <alpha = 0.1> (z)"))
    assert ops(rewritten(leaky, to="auto", form="pool")[0]) == ["Conv", "MaxPool", "LeakyRelu", "Conv"]
    mirror = "n = Neg(z)  r = Relu(n)  m = Mul(a, r)  s = Relu(z)  h = Sub(s, m)"
    spelled = net(slopes(0, 4), body=body.format(mirror))
    result, _ = put(spelled, "pool")
    assert ops(result) == ["Conv", "MaxPool", "PRelu", "Conv"]
    assert_same_bits(run(spelled, feeds(spelled)), run(result, feeds(spelled)))


@pytest.mark.parametrize(("negative", "positive", "rows"), [(9, 19, [16, 16]), (12, 20, [16, 16]), (17, 31, [16, 32]),
                                                            (3, 45, [32, 16]), (1, 17, [16, 16])])  # fmt: skip
def test_poolsplit_makes_parts_of_whole_blocks(negative, positive, rows):
    channels = negative + positive
    model = net(slopes(negative, positive))
    form, other = ("poolsplit-padded", "poolsplit") if channels % 16 else ("poolsplit", "poolsplit-padded")
    assert put(model, other)[1][0].refusals[other].code == "channel-count"
    result, (choice,) = put(model, form)
    assert (choice.form, choice.exactness) == (form, "rounding")
    assert ops(result) == ["Conv", "MaxPool", "PRelu", "Conv", "PRelu", "MaxPool", "Concat", "Conv"]
    kernels = [tensors(result)[node.input[1]] for node in result.graph.node if node.op_type == "Conv"]
    assert [len(kernel) for kernel in kernels[:2]] == rows
    first, second = (tensors(result)[node.input[1]] for node in result.graph.node if node.op_type == "PRelu")
    assert np.all(first >= 0)
    assert np.sum(second[np.any(kernels[1] != 0, axis=(1, 2, 3))] < 0) == negative
    real = np.any(np.concatenate(kernels[:2]) != 0, axis=(1, 2, 3))
    assert (real.sum(), kernels[2].shape[1]) == (channels, sum(rows))
    assert np.all(kernels[2][:, ~real] == 0)
    assert_close(run(model, feeds(model)), run(result, feeds(model)))


def test_ext0_has_a_row_for_each_negative_slope():
    a = np.array([-0.5, 0.25, 1.5, 1.0, 0.0, -2.0, 0.7, -1.0])
    model = net(a)
    result, (choice,) = put(model, "ext0")
    assert (choice.form, choice.exactness) == ("ext0", "rounding")
    assert ops(result) == ["Conv", "MaxPool", "Conv", "Conv", "Relu", "Add", "Conv"]
    kernel = tensors(result)[result.graph.node[0].input[1]]
    assert np.array_equal(kernel[8:], (tensors(model)["A"] * a[:, None, None, None])[a < 0].astype(np.float32))
    before, after = tensors(model)["V"], tensors(result)[result.graph.node[-1].input[1]]
    assert np.array_equal(after, before * np.where(a > 1, -1, 1)[:, None, None].astype(np.float32))
    assert_close(run(model, feeds(model)), run(result, feeds(model)))


def test_slopes_above_1_are_pooled_first_where_there_is_room():
    result, _ = put(net(np.repeat([1.5, -0.5, 0.5], [3, 9, 20])), "poolsplit")
    first, second = (tensors(result)[node.input[1]] for node in result.graph.node if node.op_type == "PRelu")
    assert (np.sum(first > 1), np.sum(second > 1)) == (3, 0)


@pytest.mark.parametrize("form", MIXED)
def test_several_layers_read_the_max_pool(form):
    a = {"poolsplit": slopes(5, 27), "poolsplit-padded": slopes(5, 20), "ext0": slopes(6, 10 - 6)}[form]
    tail = "y = Conv(p, V)  w = Conv <strides = [2, 2]> (p, V)"
    model = net(a, tail=tail, outputs="float[N,C,H,W] y, float[N,C,P,Q] w")
    result, (choice,) = put(model, form)
    assert choice.form == form
    assert_close(run(model, feeds(model)), run(result, feeds(model)))


@pytest.mark.parametrize(
    "tail",
    [
        "f = Flatten(p)  y = Gemm(f, D)",
        "f = Reshape(p, shape)  y = MatMul(f, D)",
        "s = BatchNormalization(p, scale, shift, shift, var)  f = Flatten(s)  y = Gemm(f, D)",
        "g = GlobalAveragePool(p)  f = Flatten(g)  y = Gemm(f, G)",
        "s = Add(p, more)  i = Identity(s)  y = Conv(i, V)",
    ],
)
@pytest.mark.parametrize("channels", [(5, 27), (5, 20)])
def test_poolsplit_reaches_through_what_keeps_channels_apart(channels, tail):
    a, n = slopes(*channels), sum(channels)
    weights = {
        "D": (n * 9, 4), "G": (n, 4), "shape": [2, n * 9], "scale": (n,), "shift": (n,), "var": np.full(n, 2.0),
        "more": (n, 1, 1),
    }  # fmt: skip
    model = net(a, tail=tail, weights=weights, outputs="float[N,4,H,W] y" if "Conv" in tail else "float[N,4] y")
    result, (choice,) = put(model, "poolsplit", "poolsplit-padded")
    assert choice.form.startswith("poolsplit")
    assert_close(run(model, feeds(model)), run(result, feeds(model)))


@pytest.mark.parametrize("form", MIXED)
def test_what_adds_and_scales_before_belongs_to_the_layer(form):
    a = {"poolsplit": slopes(5, 27), "poolsplit-padded": slopes(5, 20), "ext0": slopes(6, 4)}[form]
    n = len(a)
    body = ("c = Conv(x, A)  d = BatchNormalization(c, scale, shift, mean, var)  e = Mul(d, more)  z = Add(e, more)"
            "  h = PRelu(z, a)  p = MaxPool <kernel_shape = [2, 2]> (h)  y = Conv(p, V)")  # fmt: skip
    weights = {"scale": (n,), "shift": (n,), "mean": (n,), "var": np.full(n, 2.0), "more": (n, 1, 1)}
    model = net(a, body=body, weights=weights)
    result, (choice,) = put(model, form)
    assert choice.form == form
    assert_close(run(model, feeds(model)), run(result, feeds(model)))


def test_inside_of_a_body():
    """A body's constants stand around it, and what is left of a site is offered again in the body."""
    inner = "z = Conv(x, A, b)  h = PRelu(z, a)  p = MaxPool <kernel_shape = [2, 2]> (h)  o = Conv(p, V)"
    body = (
        f"y = If (cond) <then_branch = t () => (float[N,C,H,W] o) {{ {inner} }},"
        " else_branch = e () => (float[2,3,9,9] q) { q = Identity(x) }>"
    )
    a = slopes(5, 27)
    weights = {"A": (32, 3, 3, 3), "b": (32,), "a": a.reshape(-1, 1, 1), "V": (4, 32, 1, 1)}
    model = from_text(body, "float[2,3,9,9] x, bool cond", "float[N,C,H,W] y", weights)
    result, (choice,) = put(model, "poolsplit", "skip")
    assert (choice.form, choice.reason) == ("poolsplit", "its activation is then written as skip")
    assert "PRelu" not in [node.op_type for node in result.graph.node[0].attribute[0].g.node]
    x = {"x": feeds(model)["x"], "cond": np.array(True)}
    assert_close(run(model, x), run(result, x))


# ── drawn networks ────────────────────────────────────────────────────────────────────────────────────────────

POOLS = ({}, {"strides": 2}, {"strides": 2, "pads": 1}, {"strides": 2, "ceil_mode": 1}, {"auto_pad": "SAME_UPPER"},
         {"auto_pad": "VALID", "strides": 2}, {"dilations": 2})  # fmt: skip


@st.composite
def chains(draw, signs, dtypes=(np.float32, np.float16)):
    """Two or three Convs, 1-D or 2-D, with an activation and a MaxPool between any two; at the end perhaps a Gemm.

    Args:
        signs: What may be drawn for an activation: (slopes below 0, others).
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype, rank = np.dtype(draw(st.sampled_from(dtypes))), draw(st.sampled_from([1, 2, 2]))
    shape = [2, 3, *[draw(st.integers(24, 28)) for _ in range(rank)]]
    nodes, weights, last, channels = [], {}, "x", 3
    for number in range(draw(st.integers(1, 2))):
        negative, others = draw(st.sampled_from(signs))
        weights[f"a{number}"] = slopes(negative, others, rng).reshape(-1, *[1] * rank)
        n = negative + others
        weights[f"w{number}"] = stored(rng, (n, channels, *[3] * rank), float) / np.sqrt(channels * 3**rank)
        weights[f"b{number}"] = stored(rng, (n,), float)
        kind = draw(st.sampled_from(POOLS))
        attributes = {name: value if name in ("auto_pad", "ceil_mode") else [value] * rank * (1 + (name == "pads"))
                      for name, value in kind.items()}  # fmt: skip
        window = draw(st.sampled_from([2, 3]))
        nodes += [
            helper.make_node("Conv", [last, f"w{number}", f"b{number}"], [f"z{number}"], f"conv{number}"),
            helper.make_node("PRelu", [f"z{number}", f"a{number}"], [f"h{number}"], f"act{number}"),
            helper.make_node("MaxPool", [f"h{number}"], [f"p{number}"], f"pool{number}", kernel_shape=[window] * rank,
                             **attributes),
        ]  # fmt: skip
        last, channels = f"p{number}", n
    weights["v"] = stored(rng, (4, channels, *[1] * rank), float) / np.sqrt(channels)
    nodes.append(helper.make_node("Conv", [last, "v"], ["y"], "head"))
    number = helper.np_dtype_to_tensor_dtype(dtype)
    graph = helper.make_graph(
        nodes, "chain",
        [helper.make_tensor_value_info("x", number, shape)],
        [helper.make_tensor_value_info("y", number, [None] * (rank + 2))],
        [numpy_helper.from_array(value.astype(dtype), name) for name, value in weights.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@examples(300)
@given(chains([(0, 5), (0, 16)]))
def test_pool_on_drawn_chains(model):
    result, choices = put(model, "pool")
    assert {choice.form for choice in choices} == {"pool"}
    assert_close(run(model, feeds(model)), run(result, feeds(model)))


@examples(600)
@given(chains([(9, 19), (5, 27), (16, 16), (1, 17), (6, 4), (2, 13), (1, 31), (0, 6), (5, 2)]), st.permutations(MIXED))
def test_every_form_on_drawn_chains(model, order):
    result, choices = put(model, "relu", *order, "pool", "skip", "mirror")
    for choice in choices:
        n, negative = choice.slope.count, choice.slope.negative
        blocks, few = -(-n // 16), n + negative <= -(-n // 16) * 16
        expected = {"poolsplit"} if n % 16 == 0 else {"poolsplit-padded"}
        expected = expected if -(-negative // 16) < blocks else set()
        expected |= {"ext0"} if few else set()
        expected = ({"pool"} if negative == 0 else expected) or {"skip", "mirror"}
        assert choice.form in expected
    assert_close(run(model, feeds(model)), run(result, feeds(model)))


@examples(200)
@given(chains([(9, 19), (5, 27), (6, 4)]), st.data())
def test_beside_sites_of_other_forms(model, data):
    """A neighbour that was widened is compared alone all the same."""
    names = [node.name for node in model.graph.node if node.op_type == "PRelu"]
    among = tuple((name, Policy((*data.draw(st.permutations((*MIXED, "skip"))), "mirror"))) for name in names)
    bench = Draft(load(model))
    decided = rewrite_sites(bench, Policy(("mirror",), exceptions=among), Scope())
    result = finish(bench)
    plans = [plan for plan, _ in decided if plan is not None]
    assert len(list(sites_alone(bench, plans, result))) == len(plans)
    assert_close(run(model, feeds(model)), run(result.proto, feeds(model)))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_pool_is_equal_in_bits_on_any_finite_values(dtype):
    """Random bit patterns, with ties, denormals, and slopes that overflow and underflow."""
    rng, size = np.random.default_rng(0), np.dtype(dtype).itemsize
    bits = rng.integers(0, 2 ** (8 * size), (2, 6, 40, 40), dtype=np.uint64).astype(f"u{size}")
    x = np.nan_to_num(bits.view(dtype), posinf=0, neginf=-1)
    x[:, :, ::3] = np.round(rng.normal(size=x[:, :, ::3].shape)).astype(dtype)
    a = np.array([0.0, 0.1, 1.0, 1.7, 1e-3, 3.3]).reshape(6, 1, 1)
    number = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    name = {2: "float16", 4: "float", 8: "double"}[size]
    model = from_text("h = PRelu(x, a)  y = MaxPool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]> (h)",
                      f"{name}[2,6,40,40] x", f"{name}[N,C,H,W] y", {"a": a.astype(dtype)}, dtype=dtype)  # fmt: skip
    assert model.graph.input[0].type.tensor_type.elem_type == number
    result, (choice,) = rewritten(model, to="auto", form="pool")
    assert (choice.form, choice.exactness) == ("pool", "equal bits")
    assert_same_bits(run(model, {"x": x}), run(result, {"x": x}))
