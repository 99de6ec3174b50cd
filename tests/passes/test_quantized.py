"""QDQ models: what comes through DequantizeLinear is constant, is read where it stands, and is never widened."""

import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest
from onnx import numpy_helper

from tests.oracle import assert_close, assert_same_bits, run
from tests.rewriting import rewritten

RNG = np.random.default_rng(0)
VALUES = {
    "a": np.array([0.25, -0.7, 1.5], np.float32),
    "A": RNG.normal(size=(4, 3)).astype(np.float32),
    "V": RNG.normal(size=(3, 2)).astype(np.float32),
    "Aq": RNG.integers(-127, 128, size=(4, 3)).astype(np.int8),
    "Vq": RNG.integers(-127, 128, size=(3, 2)).astype(np.int8),
    "bq": RNG.integers(-1000, 1000, size=3).astype(np.int32),
    "aq": np.array([-100, 40, 50], np.int8),
    "s": np.array(0.0173, np.float32),
    "sv": np.array([0.01, 0.02, 0.005], np.float32),
    "zp": np.array(3, np.int8),
    "zpv": np.array([0, 3, -7], np.int8),
    "z0": np.array(0, np.int8),
    "sx": np.array(0.05, np.float32),
    "zx": np.array(120, np.uint8),
}
FEEDS = {"x": RNG.normal(size=(6, 4)).astype(np.float32)}
SLOPE = "ad = DequantizeLinear(aq, s, zp)\n"
QDQ = "q = QuantizeLinear({}, sx, zx)\nd = DequantizeLinear(q, sx, zx)\n"
LAYERS = "z = Gemm(x, A)\nh = PRelu(z, ad)\ny = Gemm(h, V)"


def model(body, opset=17):
    text = f'<ir_version: 8, opset_import: ["" : {opset}]> g (float[N,4] x) => (float[N,2] y) {{ {body} }}'
    proto = onnx.parser.parse_model(text)
    read = {name for node in proto.graph.node for name in node.input}
    proto.graph.initializer.extend(numpy_helper.from_array(v, name) for name, v in VALUES.items() if name in read)
    for node in proto.graph.node:
        node.name = f"n_{node.output[0]}"
    return proto


@pytest.mark.parametrize(
    "slope",
    [
        SLOPE,
        "ad = DequantizeLinear(aq, s)\n",
        "ad = DequantizeLinear <axis = 0> (aq, sv, zpv)\n",
        "q = DequantizeLinear(aq, s, zp)\nad = Identity(q)\n",
    ],
)
@pytest.mark.parametrize("form", ["mirror", "skip", "skip-outside"])
@pytest.mark.parametrize("opset", [13, 17, 21])
def test_a_quantized_slope_is_read_where_it_stands(form, slope, opset):
    proto = model(slope + LAYERS, opset)
    result, (choice,) = rewritten(proto, form=form)
    assert (choice.form, choice.slope.shape) == (form, (3,))
    assert any("ad" in node.input for node in result.graph.node)
    before = [tensor.name for tensor in proto.graph.initializer]
    assert [tensor.name for tensor in result.graph.initializer][: len(before)] == before
    same = assert_same_bits if choice.exactness == "equal bits" else assert_close
    same(run(proto, FEEDS), run(result, FEEDS))


def test_split_takes_the_values_of_a_quantized_slope():
    """The weights are floats: the slope, as dequantized, goes into them, and its DequantizeLinear is gone."""
    proto = model(SLOPE + LAYERS)
    result, (choice,) = rewritten(proto, form="split")
    assert choice.form == "split"
    assert [node.op_type for node in result.graph.node] == ["Gemm", "Relu", "Gemm"]
    assert [tensor.name for tensor in result.graph.initializer] == ["A/split", "V/split"]
    assert_close(run(proto, FEEDS), run(result, FEEDS))


#: name: (body, the node that is refused, the code)
SPLIT_REFUSALS = {
    "producer": (
        "W = DequantizeLinear(Aq, s, zp)\nz = Gemm(x, W)\nh = PRelu(z, a)\ny = Gemm(h, V)",
        "n_z", "quantized-weight",
    ),
    "symmetric producer": (
        "W = DequantizeLinear(Aq, s, z0)\nz = MatMul(x, W)\nh = PRelu(z, a)\ny = MatMul(h, V)",
        "n_z", "quantized-weight",
    ),
    "consumer": (
        "W = DequantizeLinear(Vq, s, zp)\nz = Gemm(x, A)\nh = PRelu(z, a)\ny = Gemm(h, W)",
        "n_y", "quantized-weight",
    ),
    "bias": (
        "b = DequantizeLinear(bq, s)\nz = Gemm(x, A, b)\nh = PRelu(z, a)\ny = Gemm(h, V)",
        "n_z", "quantized-weight",
    ),
    "behind a Transpose": (
        "W = DequantizeLinear(Aq, s)\nT = Transpose(W)\nz = Gemm <transB = 1> (x, T)\nh = PRelu(z, a)\ny = Gemm(h, V)",
        "n_z", "quantized-weight",
    ),
    "activations": (
        "z = Gemm(x, A)\n" + QDQ.format("z") + "h = PRelu(d, a)\ny = Gemm(h, V)",
        "n_d", "no-linear-producer",
    ),
    "activations after": (
        "z = Gemm(x, A)\nh = PRelu(z, a)\n" + QDQ.format("h") + "y = Gemm(d, V)",
        "n_q", "consumer-not-linear",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SPLIT_REFUSALS)
def test_split_is_refused_where_it_would_write_quantized_weights(name):
    body, node, code = SPLIT_REFUSALS[name]
    proto = model(body)
    result, (choice,) = rewritten(proto, form="split")
    assert (choice.refusals["split"].code, choice.refusals["split"].node) == (code, node)
    assert choice.form == "mirror"
    assert_same_bits(plainly(proto), plainly(result))


def plainly(proto):
    """Run as written: ONNX Runtime may compute in integers where it sees layers between quantized tensors."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, FEEDS)


def test_a_quantized_relu_layer_is_not_folded():
    body = "W = DequantizeLinear(Aq, s)\nz = MatMul(x, W)\nh = Relu(z)\ny = MatMul(h, V)"
    proto = model(body)
    pairs = np.concatenate([VALUES["Aq"][:, :1], -VALUES["Aq"][:, :1], VALUES["Aq"][:, 1:2]], axis=1)
    for tensor in proto.graph.initializer:
        if tensor.name == "Aq":
            tensor.raw_data = pairs.tobytes()
        if tensor.name == "V":
            tensor.raw_data = np.array([[1, 2], [-0.5, -1], [3, 4]], np.float32).tobytes()
    assert rewritten(proto, to="prelu")[1] == []


def test_a_quantized_spelling_becomes_prelu():
    body = SLOPE + "z = Gemm(x, A)\nr = Relu(z)\nn = Neg(z)\nt = Relu(n)\nm = Mul(ad, t)\nh = Sub(r, m)\ny = Gemm(h, V)"
    proto = model(body)
    result, (choice,) = rewritten(proto, to="prelu")
    assert choice.form == "prelu"
    assert [node.op_type for node in result.graph.node] == ["DequantizeLinear", "Gemm", "PRelu", "Gemm"]
    assert_same_bits(run(proto, FEEDS), run(result, FEEDS))
