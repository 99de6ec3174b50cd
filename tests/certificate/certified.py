"""Small models whose rewrites are certified, and their certificates as they come out of files."""

import json

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.numpy_helper import from_array

import onnx_prelu
from onnx_prelu.certificate.verify import Failed, digest, verify

RNG = np.random.default_rng(5)
WIDE = ("split", "concat", "tied", "split-step")
FAST = ("fold2", "gauge", "gauge-conv", "dwcat", "pool", "poolsplit", "poolsplit-padded")
ELEMENTWISE = ("mirror", "mirror-mul", "mirror-min", "skip", "skip-outside", "skip-short", "max")


def certified(before, **request):
    """(certificate, before, after)."""
    request["to"] = "fast" if request.get("form") in FAST else request.get("to", "relu")
    result = onnx_prelu.rewrite(before, check=False, certificate=True, **request)
    return json.loads(json.dumps(result.certificate)), before, result.model


def model(nodes, shape, weights, opset=17):
    """A model from x to out."""
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, None)],
        [from_array(np.asarray(values), name) for name, values in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def drawn(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def dense():
    return model(
        [
            helper.make_node("Gemm", ["x", "w0", "b0"], ["z0"], "first", transB=1),
            helper.make_node("PRelu", ["z0", "a0"], ["y0"], "act0"),
            helper.make_node("Gemm", ["y0", "w1"], ["z1"], "second", alpha=0.5),
            helper.make_node("PRelu", ["z1", "a1"], ["y1"], "act1"),
            helper.make_node("MatMul", ["y1", "w2"], ["z2"], "third"),
            helper.make_node("Tanh", ["z2"], ["out"], "end"),
        ],
        [3, 4],
        {
            "w0": drawn(6, 4),
            "b0": drawn(6),
            "a0": np.array([0.25, -0.3, 1.7, 0.1, 0.9, 0.0], np.float32),
            "w1": drawn(6, 5),
            "a1": np.array([0.3, 0.2, -0.6, 0.7, 0.01], np.float32),
            "w2": drawn(5, 2),
        },
    )


def convolutions():
    """Groups, a BatchNormalization before, an Add, an AveragePool, a Transpose and a Reshape behind."""
    return model(
        [
            helper.make_node("Conv", ["x", "k0"], ["c0"], "first"),
            helper.make_node("BatchNormalization", ["c0", "s", "b", "m", "v"], ["z0"], "norm"),
            helper.make_node("PRelu", ["z0", "a0"], ["y0"], "act0"),
            helper.make_node("Add", ["y0", "shift"], ["t0"], "plus"),
            helper.make_node("Conv", ["t0", "k1"], ["z1"], "depthwise", group=4, pads=[1, 1, 1, 1]),
            helper.make_node("PRelu", ["z1", "a1"], ["y1"], "act1"),
            helper.make_node("AveragePool", ["y1"], ["p"], "pool", kernel_shape=[2, 2]),
            helper.make_node("Transpose", ["p"], ["t"], "turn", perm=[0, 2, 1, 3]),
            helper.make_node("Reshape", ["t", "flat"], ["f"], "flatten"),
            helper.make_node("Gemm", ["f", "w"], ["out"], "last"),
        ],
        [2, 3, 6, 6],
        {
            "k0": drawn(4, 3, 3, 3),
            **{name: np.abs(drawn(4)) + np.float32(0.5) for name in ("s", "b", "m", "v")},
            "a0": np.array([0.25, 0.5, -1.5, 0.3], np.float32).reshape(4, 1, 1),
            "shift": drawn(4, 1, 1),
            "k1": drawn(4, 1, 3, 3),
            "a1": np.array([0.1, 0.2, 0.3, -0.4], np.float32).reshape(4, 1, 1),
            "flat": np.array([2, -1], np.int64),
            "w": drawn(36, 3),
        },
    )


def residual():
    """Slopes above 1 before a sum, and a PRelu behind it."""
    return model(
        [
            helper.make_node("Conv", ["x", "k0"], ["z0"], "first"),
            helper.make_node("PRelu", ["z0", "a0"], ["y0"], "act0"),
            helper.make_node("Conv", ["x", "k1", "b1"], ["r"], "beside"),
            helper.make_node("Add", ["y0", "r"], ["z1"], "sum"),
            helper.make_node("PRelu", ["z1", "a1"], ["y1"], "act1"),
            helper.make_node("Conv", ["y1", "k2"], ["z2"], "depthwise", group=3, strides=[2, 2]),
            helper.make_node("Conv", ["z2", "k3"], ["out"], "last"),
        ],
        ["N", 2, 5, 5],
        {
            "k0": drawn(3, 2, 1, 1),
            "a0": np.array([0.25, 1.5, -1.5], np.float32).reshape(3, 1, 1),
            "k1": drawn(3, 2, 1, 1),
            "b1": drawn(3),
            "a1": np.array([3.5, 0.2, 0.3], np.float32).reshape(3, 1, 1),
            "k2": drawn(3, 1, 3, 3),
            "k3": drawn(2, 3, 1, 1),
        },
    )


def pooled(channels=32):
    """Slopes of both signs before a MaxPool."""
    return model(
        [
            helper.make_node("Conv", ["x", "k0", "b0"], ["z0"], "first", pads=[1, 1, 1, 1]),
            helper.make_node("PRelu", ["z0", "a0"], ["y0"], "act0"),
            helper.make_node("MaxPool", ["y0"], ["p0"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
            helper.make_node("Conv", ["p0", "k1"], ["z1"], "second"),
            helper.make_node("PRelu", ["z1", "a1"], ["y1"], "act1"),
            helper.make_node("MaxPool", ["y1"], ["out"], "pool1", kernel_shape=[2, 2]),
        ],
        ["N", 2, 6, 6],
        {
            "k0": drawn(channels, 2, 3, 3),
            "b0": drawn(channels),
            "a0": np.linspace(-0.5, 1.5, channels, dtype=np.float32).reshape(-1, 1, 1),
            "k1": drawn(3, channels, 1, 1),
            "a1": np.array([0.3, 0.2, 1.6], np.float32).reshape(3, 1, 1),
        },
    )


MODELS = {
    "dense": dense(),
    "convolutions": convolutions(),
    "residual": residual(),
    "pooled": pooled(),
    "padded": pooled(28),
}


def resealed(made, before, after):
    """The certificate with the hashes of these models: what fails now does not fail for its hash."""
    digests = {side: {**made[side], "weights": digest(each)} for side, each in (("in", before), ("out", after))}
    return {**made, **digests}


def fails(made, before, after):
    with pytest.raises(Failed) as caught:
        verify(made, before, after)
    return str(caught.value)


def node(proto, name):
    return next(each for each in proto.graph.node if each.name == name)


def weight(proto, reader, position):
    """The initializer that a node reads."""
    return next(tensor for tensor in proto.graph.initializer if tensor.name == node(proto, reader).input[position])


def moved(tensor, index, ulp):
    """Move one entry by so many ulp."""
    values = numpy_helper.to_array(tensor).copy()
    values[index] += ulp * np.spacing(np.abs(values[index]))
    tensor.CopyFrom(from_array(values, tensor.name))
