"""Multilayer perceptrons, as the two ways in which exporters write a dense layer."""

from __future__ import annotations

import onnx

from benchmarks.networks.net import Activation, Net
from benchmarks.networks.slopes import restoration


def mlp_gemm(activation: Activation, layers: int, width: int, batch: int, ends: int = 64) -> onnx.ModelProto:
    """So many hidden Gemms of one width, and one to the outputs; ``ends`` inputs and outputs."""
    net = Net("mlp_gemm", activation, restoration)
    x = net.input(batch, ends)
    for _ in range(layers):
        x = net.act(net.gemm(x, width))
    return net.model(net.gemm(x, ends))


def mlp_matmul(activation: Activation, layers: int, width: int, batch: int, ends: int = 64) -> onnx.ModelProto:
    """The same with a MatMul and an Add in the place of each Gemm."""
    net = Net("mlp_matmul", activation, restoration)
    x = net.input(batch, ends)
    for _ in range(layers):
        x = net.act(net.matmul(x, width))
    return net.model(net.matmul(x, ends))
