"""Small models around one activation from z to h, in a few spellings, as ONNX text."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import onnx.parser
from onnx import numpy_helper

from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.model import load
from onnx_prelu.passes.sites import Site, find_sites

TYPES = {"float": np.float32, "double": np.float64, "uint32": np.uint32, "bfloat16": ml_dtypes.bfloat16}
RNG = np.random.default_rng(5)
LAYERS = {
    "A": RNG.normal(size=(4, 3)),
    "b": RNG.normal(size=3),
    "W": RNG.normal(size=(3, 3)),
    "V": RNG.normal(size=(3, 2)),
}
MIRROR = "r = Relu(z)  n = Neg(z)  s = Relu(n)  m = Mul(a, s)  h = Sub(r, m)"
SKIP = "m = Mul(a, z)  r = Relu(z)  k = Mul(c, r)  h = Add(m, k)"
MAX = "m = Mul(a, z)  h = Max(z, m)"
MASKS = """zero = Constant <value = float {0.0}> ()  g = Greater(z, zero)  l = Not(g)  f = Cast <to = 1> (g)
           k = Cast <to = 1> (l)  p = Mul(f, z)  m = Mul(a, z)  n = Mul(k, m)  h = Add(p, n)"""
PRELU = "h = PRelu(z, a)"
LEAKY = "h = LeakyRelu <alpha = 0.25> (z)"


def parsed(lines, inputs, outputs, constants, kind="float", opset=15):
    body = "\n".join(line for line in lines.replace("  ", "\n").split("\n") if line.strip())
    text = f'<ir_version: 8, opset_import: ["" : {opset}]> g ({inputs}) => ({outputs}) {{\n{body}\n}}'
    model = onnx.parser.parse_model(text.replace("T[", f"{kind}["))
    read = {name for node in model.graph.node for name in node.input} - {value.name for value in model.graph.input}
    for name in sorted(read & constants.keys()):
        value = np.asarray(constants[name]).astype(TYPES[kind])
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    for node in model.graph.node:
        node.name = f"n_{node.output[0]}"
    return model


def mlp(activation, a=(0.25, -0.5, 1.5), rest="y = Gemm(h, V)", outputs="T[N,2] y", inputs="T[N,4] x", **settings):
    """Two Gemms around an activation from z to h."""
    lines = f"z = Gemm(x, A, b)  {activation}  {rest}"
    constants = LAYERS | {"a": np.asarray(a), "c": 1 - np.asarray(a)}
    return parsed(lines, inputs, outputs, constants, **settings)


def image(activation, a=((0.25,), (-0.5,)), shape="T[1,2,3,3]", inputs="", **settings):
    """An activation from z to h, with no linear layer near; a slope (2, 1) stands for (2, 1, 1)."""
    a = np.asarray(a, float)
    a = a.reshape(2, 1, 1) if a.shape == (2, 1) else a
    return parsed(activation, f"{shape} z{inputs}", f"{shape} h", {"a": a, "c": 1 - a}, **settings)


UNIFORM = np.full((1, 1, 1), 0.25)


def only_site(model: onnx.ModelProto) -> tuple[Draft, Site]:
    draft = Draft(load(model))
    (site,) = find_sites(draft)
    return draft, site
