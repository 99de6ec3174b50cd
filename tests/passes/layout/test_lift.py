"""Chains of 1-D Convs and of matrices as chains of 2-D Convs."""

import numpy as np
import onnx
import pytest
from hypothesis import given

from tests.counts import examples
from tests.laid_out import assert_same_function, laid_out, ops
from tests.oracle import assert_close, run
from tests.strategies import mlps, nets
from tests.texts import feeds, from_text

CHAIN = {"w": (8, 4, 3), "b": (8,), "a": (8, 1), "v": (6, 8, 1)}


def conv_net(body, weights=None, inputs="float[2,4,9] x", outputs="float[2,6,L] y", **options):
    return from_text(body, inputs, outputs, {**CHAIN, **(weights or {})}, **options)


#: What may stand between the two Convs of a chain: from z to h.
BETWEEN = {
    "PRelu": ("h = PRelu(z, a)", {}),
    "PRelu of (1, C, 1)": ("h = PRelu(z, s)", {"s": (1, 8, 1)}),
    "PRelu with a slope along L": ("h = PRelu(z, s)", {"s": (7,)}),
    "PRelu with one slope": ("h = PRelu(z, s)", {"s": ()}),
    "LeakyRelu": ("h = LeakyRelu<alpha = 0.2>(z)", {}),
    "Relu": ("h = Relu(z)", {}),
    "skip": ("l = Mul(z, a)  m = Mul(z, r)  n = Relu(m)  h = Add(l, n)", {"r": (8, 1)}),
    "residual": ("p = PRelu(z, a)  q = Conv(p, u)  h = Add(q, z)", {"u": (8, 8, 1)}),
    "depthwise": ("p = PRelu(z, a)  h = Conv<group = 8, dilations = [2], pads = [2, 2]>(p, d)", {"d": (8, 1, 3)}),
    "strided": ("p = PRelu(z, a)  h = Conv<strides = [2], pads = [0, 1], kernel_shape = [3]>(p, d)", {"d": (8, 8, 3)}),
    "auto_pad": ('p = Relu(z)  h = Conv<auto_pad = "SAME_LOWER">(p, d)', {"d": (8, 8, 3)}),
    "BatchNormalization": (
        "p = PRelu(z, a)  h = BatchNormalization(p, g, g, g, e)",
        {"g": (8,), "e": np.linspace(0.5, 2, 8)},
    ),
    "InstanceNormalization": ("p = PRelu(z, a)  h = InstanceNormalization(p, g, g)", {"g": (8,)}),
    "Clip": ("h = Clip(z, low, high)", {"low": np.array(-0.5), "high": np.array(1.0)}),
    "gate": ("p = Sigmoid(z)  h = Mul(p, z)", {}),
    "MaxPool": ("p = PRelu(z, a)  h = MaxPool<kernel_shape = [3], strides = [2], pads = [1, 0]>(p)", {}),
    "AveragePool": ('p = PRelu(z, a)  h = AveragePool<kernel_shape = [2], auto_pad = "SAME_UPPER">(p)', {}),
    "GlobalAveragePool": ("p = PRelu(z, a)  h = GlobalAveragePool(p)", {}),
    "GlobalMaxPool": ("p = PRelu(z, a)  h = GlobalMaxPool(p)", {}),
    "Concat": ("p = Conv(x, s)  q = Concat<axis = -2>(p, z)  h = Conv(q, u)", {"s": (3, 4, 3), "u": (8, 11, 1)}),
    "a constant of full shape": ("p = Add(z, c)  h = Relu(p)", {"c": (2, 8, 7)}),
}


@pytest.mark.parametrize("opset", [11, 17])
@pytest.mark.parametrize("name", BETWEEN)
def test_a_chain_of_1d_convs_stays_the_same_function(name, opset):
    between, weights = BETWEEN[name]
    model = conv_net(f"z = Conv(x, w, b)  {between}  y = Conv(h, v)", weights, opset=opset)
    result = assert_same_function(model, "lift-conv", places={"lift-conv:n_z"})
    assert ops(result).count("Unsqueeze") == ops(result).count("Squeeze") == 1
    assert {len(node.attribute[0].ints) for node in result.graph.node if node.op_type == "Conv" and node.attribute} <= {
        2, 4, 0,
    }  # fmt: skip


def test_a_batch_normalization_by_place_stays():
    """Before opset 9 it could have one value for each place of a channel, (C, L)."""
    weights = {"g": (8, 7), "e": np.ones((8, 7))}
    body = "z = Conv(x, w)  p = BatchNormalization<spatial = {}>(z, g, g, g, e)  h = PRelu(p, a)  y = Conv(h, v)"
    assert_same_function(conv_net(body.format(0), weights, opset=8), "lift-conv", places=0)
    by_channel = {"g": (8,), "e": np.ones(8)}
    assert_same_function(conv_net(body.format(1), by_channel, opset=8), "lift-conv", places=1)


def test_slopes_stand_behind_a_place_of_size_one():
    result, _ = laid_out(conv_net("z = Conv(x, w)  h = PRelu(z, a)  y = Conv(h, v)"), "lift-conv")
    shapes = {tensor.name: tuple(tensor.dims) for tensor in result.graph.initializer}
    (prelu,) = [node for node in result.graph.node if node.op_type == "PRelu"]
    assert shapes[prelu.input[1]] == (8, 1, 1)


def test_what_is_read_outside_comes_back_as_it_was():
    model = conv_net(
        "z = Conv(x, w)  h = PRelu(z, a)  y = Conv(h, v)  t = Softmax<axis = 1>(h)",
        outputs="float[2,6,7] y, float[2,8,7] t, float[2,8,7] z",
    )
    result = assert_same_function(model, "lift-conv", places=1)
    assert ops(result).count("Squeeze") == 3


def test_a_chain_with_a_batch_and_a_length_that_are_not_known():
    model = conv_net(
        "z = Conv(x, w)  h = PRelu(z, a)  y = Conv(h, v)", inputs="float[N,4,L] x", outputs="float[N,6,M] y"
    )
    result, keys = laid_out(model, "lift-conv")
    assert len(keys) == 1
    feed = {"x": np.random.default_rng(0).normal(size=(3, 4, 11)).astype(np.float32)}
    assert_close(run(model, feed), run(result, feed))


def test_two_chains_are_two_places():
    model = conv_net(
        "z = Conv(x, w)  h = PRelu(z, a)  m = Conv(h, v)  s = Softmax<axis = 1>(m)  "
        "t = Conv(s, v6)  r = Relu(t)  y = Conv(r, v6)",
        {"v6": (6, 6, 1)},
    )
    assert_same_function(model, "lift-conv", places={"lift-conv:n_z", "lift-conv:n_t"})


FOUR = {"w": (8, 4, 3, 1), "v": (6, 8, 1, 1), "a": (8, 1, 1)}
FLOAT16 = {"dtype": np.float16, "inputs": "float16[2,4,9] x", "outputs": "float16[2,6,7] y"}
NO_CHAIN = {
    "one layer": ("z = Conv(x, w)  y = Softmax<axis = 1>(z)", {}, {"outputs": "float[2,8,7] y"}),
    "nothing that passes between": ("z = Conv(x, w)  s = Softmax<axis = 1>(z)  y = Conv(s, v)", {}, {}),
    "a Concat along L": ("z = Conv(x, w)  s = Concat<axis = 2>(z, z)  y = Conv(s, v)", {}, {}),
    "float16": ("z = Conv(x, w)  h = PRelu(z, a)  y = Conv(h, v)", {}, FLOAT16),
    "a kernel of run time": (
        "z = Conv(x, r)  h = PRelu(z, a)  y = Conv(h, r)",
        {"a": (4, 1)},
        {"inputs": "float[2,4,9] x, float[4,4,3] r", "outputs": "float[2,4,5] y"},
    ),
    "2-D already": (
        "z = Conv(x, w)  h = PRelu(z, a)  y = Conv(h, v)",
        FOUR,
        {"inputs": "float[2,4,9,9] x", "outputs": "float[2,6,7,9] y"},
    ),
}


@pytest.mark.parametrize("name", NO_CHAIN)
def test_what_is_no_chain_of_1d_convs_stays(name):
    body, weights, options = NO_CHAIN[name]
    model = conv_net(body, weights, **options)
    assert laid_out(model, "lift-conv") == (model, [])


MLP = {"w": (5, 16), "b": (16,), "a": (16,), "v": (16, 6)}


def matrices(body, weights=None, rows=64, **options):
    options = {"inputs": f"float[{rows},5] x", "outputs": f"float[{rows},6] y", **options}
    return from_text(body, options.pop("inputs"), options.pop("outputs"), {**MLP, **(weights or {})}, **options)


LAYERS = {
    "Gemm": ("z = Gemm(x, w, b)  h = PRelu(z, a)  y = Gemm(h, v)", {}),
    "transB": ("z = Gemm<transB = 1>(x, t, b)  h = PRelu(z, a)  y = Gemm(h, v)", {"t": (16, 5)}),
    "alpha and beta": ("z = Gemm<alpha = 0.5, beta = 3.0>(x, w, b)  h = PRelu(z, a)  y = Gemm(h, v)", {}),
    "a bias of one value": ("z = Gemm(x, w, one)  h = PRelu(z, a)  y = Gemm(h, v)", {"one": (1,)}),
    "MatMul and Add": ("m = MatMul(x, w)  z = Add(b, m)  h = PRelu(z, a)  y = MatMul(h, v)", {}),
    "a slope of (1, K)": ("z = Gemm(x, w, b)  h = PRelu(z, s)  y = Gemm(h, v)", {"s": (1, 16)}),
    "LeakyRelu": ("z = Gemm(x, w, b)  h = LeakyRelu<alpha = 0.2>(z)  y = Gemm(h, v)", {}),
    "skip": (
        "z = Gemm(x, w, b)  l = Mul(a, z)  m = Mul(r, z)  n = Relu(m)  h = Add(l, n)  y = Gemm(h, v)",
        {"r": (16,)},
    ),
    "residual": ("z = Gemm(x, w, b)  h = PRelu(z, a)  q = Gemm(h, u)  s = Add(q, h)  y = Gemm(s, v)", {"u": (16, 16)}),
    "BatchNormalization": (
        "z = Gemm(x, w, b)  n = BatchNormalization(z, g, g, g, e)  h = PRelu(n, a)  y = Gemm(h, v)",
        {"g": (16,), "e": np.linspace(0.5, 2, 16)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("opset", [11, 17])
@pytest.mark.parametrize("name", LAYERS)
def test_a_chain_of_matrices_stays_the_same_function(name, opset):
    body, weights = LAYERS[name]
    result = assert_same_function(matrices(body, weights, opset=opset), "lift-matmul", places=1)
    assert {"Gemm", "MatMul"}.isdisjoint(ops(result))
    assert ops(result).count("Transpose") == 2


@pytest.mark.parametrize(
    ("body", "weights", "rows"),
    [
        (LAYERS["Gemm"][0], {}, 63),
        (LAYERS["Gemm"][0], {}, "N"),
        ("z = Gemm(x, w, b)  h = PRelu(z, a)  y = Softmax(h)", {"w": (5, 6), "b": (6,), "a": (6,)}, 64),
        ("z = Gemm(x, w, b)  h = PRelu(z, a)  y = Gemm(h, v)", {"a": (64, 1)}, 64),
        ("z = Gemm(x, w, b)  h = PRelu(z, a)  y = Gemm(h, v)", {"b": (64, 1)}, 64),
        ("z = Gemm<transA = 1>(x, t)  h = PRelu(z, a)  y = Gemm(h, v)", {"t": (64, 16)}, 64),
        (LAYERS["Gemm"][0], {"w": (5, 20), "b": (20,), "a": (20,), "v": (20, 6)}, 64),
        (LAYERS["Gemm"][0], {"v": (16, 12)}, 64),
    ],
    ids=[
        "few rows",
        "rows not known",
        "one layer",
        "a slope a row",
        "a bias a row",
        "transA",
        "no whole blocks",
        "wide ends",
    ],
)
def test_what_is_no_chain_of_matrices_stays(body, weights, rows):
    inputs = f"float[{rows},5] x" if "transA" not in body else "float[64,64] x"
    model = matrices(body, weights, rows, inputs=inputs, outputs=f"float[{rows},A] y")
    assert laid_out(model, "lift-matmul") == (model, [])


def test_weights_move_and_none_changes():
    result, _ = laid_out(matrices(LAYERS["Gemm"][0]), "lift-matmul")
    model = matrices(LAYERS["Gemm"][0])
    before = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    after = [onnx.numpy_helper.to_array(tensor) for tensor in result.graph.initializer]
    assert after[0].shape == (16, 5, 1, 1)
    assert after[0].reshape(16, 5).T.tobytes() == before["w"].tobytes()


@examples(300)
@given(mlps(activations=("PRelu", "LeakyRelu"), sizes=[16, 32]))
def test_drawn_chains_of_matrices_stay_the_same_function(model):
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 64
    result, _ = laid_out(model, "lift-matmul")
    assert_close(run(model, feeds(model)), run(result, feeds(model)))


@examples(300)
@given(nets(dtypes=(np.float32,)))
def test_drawn_nets_stay_the_same_function_under_every_rule(model):
    result, _ = laid_out(model, "lift-conv", "lift-matmul", "pad", "pad-concat", "heads")
    assert_close(run(model, feeds(model)), run(result, feeds(model)))
