"""Where pool, poolsplit and ext0 do not apply, window by window and name by name; and real networks."""

import itertools
import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

import onnx_prelu
from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.model import load
from onnx_prelu.passes.choose import Policy
from onnx_prelu.passes.engine import Scope, rewrite_sites
from tests.oracle import assert_close, assert_same_bits, run
from tests.pooling import MIXED, net, put, slopes
from tests.rewriting import rewritten
from tests.texts import feeds, from_text

SHARED = Path(__file__).parents[3] / "shared" / "models"

# ── windows ───────────────────────────────────────────────────────────────────────────────────────────────────


def steps_over(kernel, stride, dilation, begin, end, ceil):
    """Whether at some size a window holds padding only, by counting."""
    for size in range(1, 14):
        windows = (size + begin + end - (kernel - 1) * dilation - 1) / stride + 1
        for window in range(math.ceil(windows) if ceil else math.floor(windows)):
            taps = [window * stride - begin + tap * dilation for tap in range(kernel)]
            if windows >= 1 and not any(0 <= tap < size for tap in taps):
                return True
    return False


def test_where_a_window_may_be_all_padding_pool_is_refused_and_else_it_is_right():
    """Every one of many small MaxPools over data below 0, of which nothing but padding would be another value."""
    x = {"x": -np.random.default_rng(0).uniform(1, 2, (1, 1, 7)).astype(np.float32)}
    for drawn in itertools.product((1, 2, 3), (1, 2, 3), (1, 2), (0, 1, 2), (0, 1, 2), (0, 1)):
        kernel, stride, dilation, begin, end, ceil = drawn
        if begin >= kernel or end >= kernel:
            continue  # no runtime takes it
        pool = (
            f"y = MaxPool <kernel_shape = [{kernel}], strides = [{stride}], dilations = [{dilation}],"
            f" pads = [{begin}, {end}], ceil_mode = {ceil}> (h)"
        )
        model = from_text(f"h = PRelu(x, a)  {pool}", "float[1,1,7] x", "float[1,1,N] y", {"a": np.array([0.5])})
        result, (choice,) = rewritten(model, to="auto", form="pool")
        if choice.form == "pool":
            assert not steps_over(*drawn)
            assert_same_bits(run(model, x), run(result, x))
        else:
            assert choice.refusals["pool"].code == "pool-window"
            assert dilation > 1 or steps_over(*drawn)  # exact but for gaps, which a small enough x falls into


# ── refusals ──────────────────────────────────────────────────────────────────────────────────────────────────

FEW = np.array([-0.5, 0.25, 1.5])
POOL = "p = MaxPool <kernel_shape = [2, 2]> (h)"
CONV = f"z = Conv(x, A, b)  h = PRelu(z, a)  {POOL}  "
HALF = slopes(4, 28)
#: name: (the form, the model, the code, the node)
REFUSALS = {
    "a slope below 0": ("pool", net(FEW), "negative-slope", "n_h"),
    "slopes that vary over space": (
        "pool", net(FEW, weights={"a": np.linspace(0.1, 0.7, 7)}), "slope-not-per-unit", "n_h"),
    "slope of run time": (
        "pool", net(FEW, body="z = Conv(x, A, b)  h = PRelu(z, s)  " + POOL + "  y = Conv(p, V)",
                    inputs="float[2,3,9,9] x, float[3,1,1] s"), "runtime-slope", "n_h"),
    "no MaxPool": ("pool", net(FEW, "p = Identity(h)"), "not-pooled", "n_p"),
    "two MaxPools": (
        "pool", net(FEW, tail="q = MaxPool <kernel_shape = [2, 2]> (h)  y = Add(p, q)", middle=POOL),
        "not-pooled", "n_q"),
    "a second reader": (
        "pool", net(FEW, tail="y = Conv(p, V)  w = Sigmoid(h)", outputs="float[N,C,H,W] y, float[N,C,P,Q] w"),
        "not-pooled", "n_w"),
    "indices": (
        "pool", net(FEW, "p, i = MaxPool <kernel_shape = [2, 2]> (h)", outputs="float[N,C,H,W] y, int64[N,D,P,Q] i"),
        "not-pooled", "n_p"),
    "an output": ("pool", net(FEW, outputs="float[N,C,H,W] y, float[N,D,P,Q] h"), "graph-output", "n_h"),
    "nothing reads it": (
        "pool", net(FEW, body="z = Conv(x, A, b)  h = PRelu(z, a)  y = Conv(x, A)"), "no-consumer", "n_h"),
    "a window of padding": (
        "pool", net(FEW, "p = MaxPool <kernel_shape = [2, 2], dilations = [2, 2], pads = [1, 1, 1, 1]> (h)"),
        "pool-window", "n_p"),
    "old opset": (
        "pool", from_text(CONV[19:] .replace("z", "x", 1) + "y = Relu(p)", "float[2,3,9,9] x", "float[N,C,H,W] y",
                          {"a": FEW}, opset=6), "opset", "n_h"),
    "poolsplit, no multiple of 16": ("poolsplit", net(slopes(4, 20)), "channel-count", "n_h"),
    "padded, a multiple of 16": ("poolsplit-padded", net(HALF), "channel-count", "n_h"),
    "poolsplit, no slope below 0": ("poolsplit", net(slopes(0, 32)), "one-sign", "n_h"),
    "poolsplit, no block is left": ("poolsplit", net(slopes(17, 15)), "no-block", "n_h"),
    "padded, no block is left": ("poolsplit-padded", net(slopes(3, 13)), "no-block", "n_h"),
    "poolsplit, the pre-activation is read": (
        "poolsplit", net(HALF, tail="y = Conv(p, V)  w = Sigmoid(z)", outputs="float[N,C,H,W] y, float[N,C,P,Q] w"),
        "shared-producer", "n_z"),
    "poolsplit, the result is an output": (
        "poolsplit", net(HALF, outputs="float[N,C,H,W] y, float[N,D,P,Q] p"), "graph-output", "n_p"),
    "poolsplit, no linear layer reads it": (
        "poolsplit", net(HALF, tail="y = Sigmoid(p)"), "consumer-not-linear", "n_y"),
    "poolsplit, no layer before": (
        "poolsplit", net(HALF, body="h = PRelu(x, a)  " + POOL + "  y = Conv(p, V)", inputs="float[2,32,9,9] x"),
        "no-linear-producer", "n_h"),
    "poolsplit, a depthwise consumer": (
        "poolsplit", net(HALF, tail="y = Conv <group = 32> (p, W)", weights={"W": (32, 1, 2, 2)}),
        "group-layout", "n_y"),
    "poolsplit, a depthwise producer": (
        "poolsplit", net(HALF, inputs="float[2,32,9,9] x", weights={"A": (32, 1, 3, 3)},
                         body="z = Conv <group = 32> (x, A, b)" + CONV[17:] + "y = Conv(p, V)"),
        "group-layout", "n_z"),
    "poolsplit, windows over the units": (
        "poolsplit", net(HALF, body="z = MatMul(x, A)  h = PRelu(z, a)  p = MaxPool <kernel_shape = [2, 1]> (h)  "
                         "y = MatMul(p, V)", inputs="float[2,3,9,8] x",
                         weights={"A": (8, 32), "a": HALF, "V": (32, 4)}),
        "between-not-linear", "n_p"),
    "ext0, no slope below 0": ("ext0", net(slopes(0, 6)), "one-sign", "n_h"),
    "ext0, too many rows": ("ext0", net(HALF), "channel-count", "n_h"),
    "ext0, a Gemm reads it": (
        "ext0", net(FEW, tail="f = Flatten(p)  y = Gemm(f, D)", weights={"D": (3 * 9, 4)}, outputs="float[N,4] y"),
        "layer-kind", "n_f"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_each_condition_is_named(name):
    form, model, code, node = REFUSALS[name]
    draft = Draft(load(model))
    ((plan, choice),) = rewrite_sites(draft, Policy((form,)), Scope())
    assert plan is None
    assert (choice.refusals[form].code, choice.refusals[form].node) == (code, node)
    assert not draft.changed


def test_ext0_refuses_a_row_that_overflows():
    model = net(np.array([-2e4, 0.5]), dtype=np.float16, inputs="float16[2,3,9,9] x", outputs="float16[N,C,H,W] y",
                weights={"A": np.full((2, 3, 3, 3), 100.0)})  # fmt: skip
    _, (choice,) = put(model, "ext0")
    assert choice.refusals["ext0"].code == "overflow"


def test_a_weight_that_a_caller_can_override_is_not_changed():
    model = net(HALF)
    model.graph.input.append(helper.make_tensor_value_info("A", onnx.TensorProto.FLOAT, [32, 3, 3, 3]))
    _, (choice,) = put(model, "poolsplit")
    assert choice.refusals["poolsplit"].code == "overridable-weight"
    result, (choice,) = put(model, "poolsplit", freeze=True)
    assert choice.form == "poolsplit"
    assert_close(run(model, {"x": feeds(model)["x"]}), run(result, {"x": feeds(model)["x"]}))


# ── real models ───────────────────────────────────────────────────────────────────────────────────────────────

#: How many of the sites of each net take a form.
REAL = {
    ("mtcnn_pnet", "ext0"): 1, ("mtcnn_rnet", "poolsplit"): 1, ("mtcnn_rnet", "poolsplit-padded"): 1,
    ("mtcnn_onet", "poolsplit"): 3,
}  # fmt: skip


@pytest.mark.skipif(not SHARED.is_dir(), reason="there is no folder ../shared/models with the real models")
@pytest.mark.parametrize(
    ("net", "form"), list(itertools.product(["mtcnn_pnet", "mtcnn_rnet", "mtcnn_onet"], ["pool", *MIXED]))
)
def test_real_networks_pass_their_check(net, form):
    path = SHARED / f"{net}.onnx"
    result = onnx_prelu.rewrite(path, form=form, providers=["cpu"], bench=False)
    (check,) = result.report.check
    taken = [site for site in result.report.sites if site.form]
    assert (check.status, len(taken)) == ("passed", REAL.get((net, form), 0))
    assert [pair.status for pair in check.pairs] == ["passed"] * len(taken)
    assert {site.form for site in taken} <= {form}
    possible = [site.node for site in onnx_prelu.inspect(path).sites if form in site.possible]
    assert possible == [site.node for site in taken]
