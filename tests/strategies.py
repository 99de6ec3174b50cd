"""Networks drawn by hypothesis: chains of Gemm and MatMul(+Add) with PReLU between them."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import strategies as st
from onnx import helper, numpy_helper

SLOPES = (-0.3, 0.0, 0.25, 1.0, 1.7, 1e-30)


def stored(rng, shape, dtype):
    """Random weights without zeros, away from the denormals of any dtype."""
    values = rng.normal(size=shape)
    return (np.sign(values) * np.maximum(np.abs(values), 0.05)).astype(dtype)


@st.composite
def mlps(draw, dtypes=(np.float32,), activations=("PRelu",), slopes=SLOPES):
    """A chain of 2 to 4 linear layers, with an activation between any two of them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    widths = [draw(st.integers(3, 7)) for _ in range(draw(st.integers(3, 5)))]
    nodes, weights, last = [], {}, "x"
    for layer, (n_in, n_out) in enumerate(itertools.pairwise(widths)):
        last = _linear(draw, rng, dtype, layer, last, n_in, n_out, nodes, weights)
        if layer < len(widths) - 2:
            last = _activation(draw, rng, dtype, layer, last, n_out, nodes, weights, activations, slopes)
    number = helper.np_dtype_to_tensor_dtype(dtype)
    graph = helper.make_graph(
        nodes,
        "mlp",
        [helper.make_tensor_value_info("x", number, ["N", widths[0]])],
        [helper.make_tensor_value_info(last, number, ["N", widths[-1]])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _linear(draw, rng, dtype, layer, x, n_in, n_out, nodes, weights):
    name, y = f"fc{layer}", f"z{layer}"
    if draw(st.booleans()):
        transposed = draw(st.booleans())
        weights[f"{name}.w"] = stored(rng, (n_out, n_in) if transposed else (n_in, n_out), dtype)
        inputs = [x, f"{name}.w"]
        bias = draw(st.sampled_from([None, (n_out,), (1, n_out)]))
        if bias is not None:
            weights[f"{name}.b"] = stored(rng, bias, dtype)
            inputs.append(f"{name}.b")
        scales = draw(st.sampled_from([{}, {"alpha": 0.5}, {"beta": 2.0}]))
        nodes.append(helper.make_node("Gemm", inputs, [y], name, transB=int(transposed), **scales))
        return y
    weights[f"{name}.w"] = stored(rng, (n_in, n_out), dtype)
    if draw(st.booleans()):
        nodes.append(helper.make_node("MatMul", [x, f"{name}.w"], [y], name))
        return y
    weights[f"{name}.b"] = stored(rng, draw(st.sampled_from([(n_out,), (1, n_out)])), dtype)
    nodes.append(helper.make_node("MatMul", [x, f"{name}.w"], [f"{y}.product"], name))
    operands = [f"{y}.product", f"{name}.b"]
    nodes.append(helper.make_node("Add", operands if draw(st.booleans()) else operands[::-1], [y], f"{name}.add"))
    return y


def _activation(draw, rng, dtype, layer, x, units, nodes, weights, activations, slopes):
    name, y = f"act{layer}", f"h{layer}"
    if draw(st.sampled_from(activations)) == "LeakyRelu":
        nodes.append(helper.make_node("LeakyRelu", [x], [y], name, alpha=draw(st.sampled_from([0.25, 0.5, -0.75]))))
        return y
    shape = draw(st.sampled_from([(units,), (1, units)]))
    values = [draw(st.sampled_from([*slopes, float(rng.normal())])) for _ in range(units)]
    if not any(values):
        values[0] = 0.25  # all zero is a Relu, and stays one
    weights[f"{name}.slope"] = np.asarray(values).astype(dtype).reshape(shape)
    nodes.append(helper.make_node("PRelu", [x, f"{name}.slope"], [y], name))
    return y
