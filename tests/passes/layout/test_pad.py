"""Channels filled up by zeros."""

import re

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from tests.counts import examples
from tests.laid_out import assert_same_function, laid_out, ops
from tests.oracle import assert_close, run
from tests.strategies import stored
from tests.texts import feeds, from_text

NET = {"w": (13, 3, 3, 3), "b": (13,), "a": (13, 1, 1), "d": (13, 1, 3, 3), "v": (6, 13, 1, 1), "n": (13,)}
DEPTHWISE = "h = PRelu(z, a)  q = Conv<group = 13, pads = [1, 1, 1, 1]>(h, d, n)"
LAST_OUT = "float[2,6,7,6] y"
FIRST, LAST = "z = Conv(x, w, b)", "y = Conv(q, v)"


def net(body, weights=None, outputs="float[2,6,H,W] y", **options):
    read = set(re.findall(r"\w+", body))
    known = {name: value for name, value in {**NET, **(weights or {})}.items() if name in read}
    return from_text(body, "float[2,3,8,9] x", outputs, known, **options)


def shapes(model):
    return {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}


@pytest.mark.parametrize("opset", [9, 17])
def test_rows_columns_and_slopes_are_filled_up_with_zeros(opset):
    model = net(f"{FIRST}  {DEPTHWISE}  {LAST}", opset=opset)
    result = assert_same_function(model, "pad", places={"pad:n_q"})
    assert set(shapes(result).values()) == {(16, 3, 3, 3), (16,), (16, 1, 1), (16, 1, 3, 3), (6, 16, 1, 1)}
    before = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    after = {tensor.name.split("/")[0]: numpy_helper.to_array(tensor) for tensor in result.graph.initializer}
    for name, axis in {"w": 0, "b": 0, "d": 0, "n": 0, "v": 1}.items():
        old, new = np.moveaxis(before[name], axis, 0), np.moveaxis(after[name], axis, 0)
        assert new[:13].tobytes() == old.tobytes()
        assert not new[13:].any()
    (depthwise,) = [node for node in result.graph.node if node.name == "n_q"]
    assert next(a.i for a in depthwise.attribute if a.name == "group") == 16


#: From the activation h of 13 channels to q, all of it to be filled up.
INSIDE = {
    "residual": (
        "p = Conv<group = 13, pads = [1, 1, 1, 1]>(h, d)  e = Conv(p, u)  q = Add(h, e)",
        {"u": (13, 13, 1, 1)},
    ),
    "MaxPool": ("p = Conv<group = 13>(h, d)  q = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(p)", {}),
    "pools": ("p = Conv<group = 13>(h, d)  q = AveragePool<kernel_shape = [2, 2], pads = [1, 1, 0, 0]>(p)", {}),
    "skip": ("p = Conv<group = 13>(h, d)  l = Mul(p, a)  m = Mul(r, p)  o = Relu(m)  q = Add(l, o)", {"r": (13, 1, 1)}),
    "mirror": ("p = Conv<group = 13>(h, d)  s = Relu(p)  m = Neg(p)  o = Relu(m)  l = Mul(o, a)  q = Sub(s, l)", {}),
    "added by channel": ("p = Conv<group = 13>(h, d)  q = Add(p, a)", {}),
    "added to all": ("p = Conv<group = 13>(h, d)  q = Add(p, c)", {"c": (1,)}),
    "BatchNormalization": (
        "p = Conv<group = 13>(h, d)  q = BatchNormalization(p, n, n, n, e)",
        {"e": np.linspace(0.5, 2, 13)},
    ),
    "Clip": ("p = Conv<group = 13>(h, d)  q = Clip(p, low, high)", {"low": np.array(0.0), "high": np.array(6.0)}),
    "gate": (
        """p = Conv<group = 13>(h, d)  g = GlobalAveragePool(p)  s = Conv(g, v)  f = Conv(s, u)
        o = Sigmoid(f)  q = Mul(p, o)""",
        {"u": (13, 6, 1, 1)},
    ),
    "a Pad of space": ("p = Pad(h, pads)  q = Conv<group = 13>(p, d)", {"pads": [0, 0, 1, 0, 0, 0, 0, 2]}),
    "one slope": ("k = Conv<group = 13>(h, d)  q = PRelu(k, o)", {"o": (1,)}),
}  # fmt: skip


@pytest.mark.parametrize("name", INSIDE)
def test_all_tensors_of_one_kind_are_filled_up_together(name):
    inside, weights = INSIDE[name]
    model = net(f"{FIRST}  h = PRelu(z, a)  {inside}  {LAST}", weights)
    result = assert_same_function(model, "pad", places=1)
    assert not any(13 in shape for shape in shapes(result).values())


@pytest.mark.parametrize("flatten", ["f = Flatten(q)", "f = Reshape(q, s)", "g = GlobalAveragePool(q)  f = Flatten(g)"])
def test_a_matrix_behind_a_flatten_gets_its_zero_columns(flatten):
    pooled = "Global" in flatten
    model = net(
        f"{FIRST}  {DEPTHWISE}  {flatten}  y = Gemm(f, m)",
        {"s": [2, 13 * 42], "m": (13 if pooled else 13 * 42, 4)},
        outputs="float[2,4] y",
    )
    result = assert_same_function(model, "pad", places=1)
    assert (16 if pooled else 16 * 42, 4) in shapes(result).values()


@pytest.mark.parametrize("flatten", ["f = Flatten<axis = 0>(q)", "f = Reshape(q, s)"])
def test_a_matrix_over_the_whole_batch_gets_its_zero_columns_once_for_each(flatten):
    body = f"{FIRST}  {DEPTHWISE}  {flatten}  y = Gemm(f, m)"
    model = net(body, {"s": [1, -1], "m": (2 * 13 * 42, 4)}, outputs="float[1,4] y")
    result = assert_same_function(model, "pad", places=1)
    assert (2 * 16 * 42, 4) in shapes(result).values()


@pytest.mark.parametrize(("units", "filled"), [(2, 2), (4, 4), (5, 16), (8, 16), (12, 16), (18, 20), (103, 104)])
def test_how_far_a_depthwise_conv_is_filled_up(units, filled):
    weights = {"w": (units, 3, 3, 3), "b": (units,), "a": (units, 1, 1), "d": (units, 1, 3, 3), "v": (6, units, 1, 1)}
    body = f"{FIRST}  h = PRelu(z, a)  q = Conv<group = {units}>(h, d)  {LAST}"
    result = assert_same_function(net(body, weights), "pad", places=int(filled > units))
    assert (6, filled, 1, 1) in shapes(result).values()


@pytest.mark.parametrize(("units", "filled"), [(15, 15), (18, 18), (20, 32), (28, 32), (48, 48), (50, 64)])
def test_how_far_a_max_pool_is_filled_up(units, filled):
    weights = {"w": (units, 3, 3, 3), "b": (units,), "a": (units, 1, 1), "v": (6, units, 1, 1)}
    body = f"{FIRST}  h = PRelu(z, a)  q = MaxPool<kernel_shape = [2, 2]>(h)  {LAST}"
    result = assert_same_function(net(body, weights), "pad", places=int(filled > units))
    assert (6, filled, 1, 1) in shapes(result).values()


WHOLE = {"w": (16, 3, 3, 3), "d": (16, 1, 3, 3), "v": (6, 16, 1, 1)}


@pytest.mark.parametrize(
    ("body", "weights", "outputs"),
    [
        (f"{FIRST}  {DEPTHWISE}  {LAST}", {}, "float[2,6,H,W] y, float[2,13,6,7] h"),
        (f"z = Conv(x, i)  {DEPTHWISE}  {LAST}", {"i": (13, 3, 3, 3)}, None),
        (f"{FIRST}  {DEPTHWISE}  s = Softmax<axis = 1>(q)  y = Conv(s, v)", {}, None),
        (f"{FIRST}  {DEPTHWISE}  e = Exp(q)  y = Conv(e, v)", {}, None),
        (f"{FIRST}  {DEPTHWISE}  e = Clip(q, low)  y = Conv(e, v)", {"low": np.array(0.5)}, None),
        (f"{FIRST}  {DEPTHWISE}  t = Transpose<perm = [0, 1, 3, 2]>(q)  y = Conv(t, v)", {}, None),
        (f"{FIRST}  {DEPTHWISE}  e = Concat<axis = 1>(q, h)  y = Conv(e, vv)", {"vv": (6, 26, 1, 1)}, None),
        (f"{FIRST}  {DEPTHWISE}  t = Transpose<perm = [0, 2, 3, 1]>(q)  y = MatMul(t, m)", {"m": (13, 6)}, LAST_OUT),
        ("q = Conv<group = 3>(x, d)  y = Conv(q, v)", {"d": (3, 1, 3, 3), "v": (6, 3, 1, 1)}, None),
        (f"{FIRST}  h = PRelu(z, a)  y = Conv(h, v)", {}, None),
        ("z = Conv(x, w)  q = Conv<group = 16>(z, d)  y = Conv(q, v)", WHOLE, None),
    ],
    ids=["an output", "a kernel of run time", "Softmax", "Exp", "Clip above 0", "Transpose", "Concat", "channels last",
         "an input", "dense", "nothing to fill up"],
)  # fmt: skip
def test_what_cannot_or_need_not_be_filled_up_stays(body, weights, outputs):
    model = net(body, weights, outputs or "float[2,6,H,W] y")
    if "i)" in body:
        kernel = next(tensor for tensor in model.graph.initializer if tensor.name == "i")
        model.graph.input.append(helper.make_tensor_value_info("i", onnx.TensorProto.FLOAT, kernel.dims))
    result, keys = laid_out(model, "pad")
    assert (keys, result) == ([], model)


def test_float16_stays():
    model = from_text(
        f"{FIRST}  {DEPTHWISE}  {LAST}", "float16[2,3,8,9] x", "float16[2,6,6,7] y", NET, dtype=np.float16
    )
    assert laid_out(model, "pad") == (model, [])


def test_one_place_by_its_key():
    body = f"{FIRST}  {DEPTHWISE}  m = Conv(q, t)  k = PRelu(m, a)  l = Conv<group = 13>(k, d)  y = Conv(l, v)"
    model = net(body, {"t": (13, 13, 1, 1)})
    _, both = laid_out(model, "pad")
    result, one = laid_out(model, "pad", keys={"pad:n_l"})
    assert (both, one) == (["pad:n_q", "pad:n_l"], ["pad:n_l"])
    assert [
        next(a.i for a in node.attribute if a.name == "group")
        for node in result.graph.node
        if node.name in ("n_q", "n_l")
    ] == [13, 16]
    assert_close(run(model, feeds(model)), run(result, feeds(model)))


# ── drawn ─────────────────────────────────────────────────────────────────────────────────────────────────────


@st.composite
def columns(draw):
    """Blocks of a dense Conv and of nodes that keep channels apart, maybe with a shortcut around them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    nodes, weights = [], {}

    def weight(*shape):
        name = f"w{len(weights)}"
        weights[name] = stored(rng, shape, np.float32)
        return name

    def add(op, *inputs, **attributes):
        nodes.append(helper.make_node(op, list(inputs), [f"t{len(nodes)}"], f"n{len(nodes)}", **attributes))
        return f"t{len(nodes) - 1}"

    def inside(x, units):
        kind = draw(st.sampled_from(["depthwise", "PRelu", "Relu", "LeakyRelu", "Mul", "MaxPool", "Add", "dense"]))
        if kind == "depthwise":
            return add("Conv", x, weight(units, 1, 3, 3), weight(units), group=units, pads=[1] * 4)
        if kind == "dense":
            return add("Conv", x, weight(units, units, 1, 1))
        if kind == "MaxPool":
            return add("MaxPool", x, kernel_shape=[3, 3], pads=[1] * 4)
        return add(kind, x, *([weight(units, 1, 1)] if kind in ("PRelu", "Mul", "Add") else []))

    x, inputs = "x", 3
    for _ in range(draw(st.integers(1, 3))):
        units = draw(st.sampled_from([3, 5, 13, 16, 18, 20]))
        start = x = add("Conv", x, weight(units, inputs, 3, 3), weight(units), pads=[1] * 4)
        for _ in range(draw(st.integers(1, 3))):
            x = inside(x, units)
        if draw(st.booleans()) and x != start:
            x = add("Add", *([start, x] if draw(st.booleans()) else [x, start]))
        inputs = units
    y = add("Conv", x, weight(4, inputs, 1, 1))
    graph = helper.make_graph(
        nodes,
        "columns",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3, 6, 5])],
        [helper.make_tensor_value_info(y, onnx.TensorProto.FLOAT, [1, 4, 6, 5])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@examples(500)
@given(columns())
def test_drawn_columns_stay_the_same_function_and_all_depthwise_convs_are_filled_up(model):
    result, _ = laid_out(model, "pad")
    assert_close(run(model, feeds(model)), run(result, feeds(model)))
    for node in result.graph.node:
        group = next((a.i for a in node.attribute if a.name == "group"), 1)
        assert group <= 3 or group % 4 == 0
    assert ops(result) == ops(model)
