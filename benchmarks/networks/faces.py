"""Networks that find and tell faces.

Their BatchNormalizations are folded into the Convs, as exporters do, and MTCNN's end in logits.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from benchmarks.networks.net import Activation, Flow, Net
from benchmarks.networks.slopes import face


def iresnet18(activation: Activation, width: int = 64, features: int = 512) -> onnx.ModelProto:
    """InsightFace's IResNet-18 for 112x112: residual blocks with one activation each, between their two Convs.

    Args:
        activation: What stands at every site.
        width: Channels of the first of the four stages; each has twice those of the one before.
        features: That a face is described by.
    """
    net = Net("iresnet18", activation, face)
    x = net.act(net.conv(net.input(1, 3, 112, 112), width, 3))
    for channels in (width, 2 * width, 4 * width, 8 * width):
        for stride in (2, 1):
            inner = net.conv(net.act(net.conv(x, channels, 3)), channels, 3, stride=stride)
            x = net.node("Add", inner, x if stride == 1 else net.conv(x, channels, 1, stride=2))
    return net.model(net.gemm(net.flatten(x, x.channels * 7 * 7), features))


def mobilefacenet(activation: Activation) -> onnx.ModelProto:
    """MobileFaceNet for 112x112: inverted residual blocks, 1x1 and depthwise Convs, each with its activation."""
    net = Net("mobilefacenet", activation, face)
    x = net.act(net.conv(net.input(1, 3, 112, 112), 64, 3, stride=2))
    x = net.act(net.depthwise(x, 3))
    for expansion, channels, blocks, stride in (
        (2, 64, 5, 2),
        (4, 128, 1, 2),
        (2, 128, 6, 1),
        (4, 128, 1, 2),
        (2, 128, 2, 1),
    ):
        for block in range(blocks):
            x = _inverted(net, x, expansion * x.channels, channels, stride if block == 0 else 1)
    x = net.act(net.conv(x, 512, 1))
    x = net.conv(net.depthwise(x, 7, pad=0), 128, 1)
    return net.model(net.flatten(x, 128))


def mtcnn_p(activation: Activation, height: int, width: int) -> onnx.ModelProto:
    """MTCNN's proposal network, which slides over an image of any size."""
    net = Net("mtcnn_p", activation, face)
    x = net.max_pool(net.act(net.conv(net.input(1, 3, height, width), 10, 3, pad=0)), 2, 2, ceil=True)
    x = net.act(net.conv(net.act(net.conv(x, 16, 3, pad=0)), 32, 3, pad=0))
    return net.model(net.conv(x, 2, 1), net.conv(x, 4, 1))


def mtcnn_r(activation: Activation, batch: int) -> onnx.ModelProto:
    """MTCNN's refinement network, for a batch of crops of 24x24."""
    net = Net("mtcnn_r", activation, face)
    x = _pooled(net, net.input(batch, 3, 24, 24), ((28, 3, 3), (48, 3, 3), (64, 2, None)))
    x = net.act(net.gemm(net.flatten(x, 64 * 3 * 3), 128))
    return net.model(net.gemm(x, 2), net.gemm(x, 4))


def mtcnn_o(activation: Activation, batch: int) -> onnx.ModelProto:
    """MTCNN's output network, for a batch of crops of 48x48."""
    net = Net("mtcnn_o", activation, face)
    x = _pooled(net, net.input(batch, 3, 48, 48), ((32, 3, 3), (64, 3, 3), (64, 3, 2), (128, 2, None)))
    x = net.act(net.gemm(net.flatten(x, 128 * 3 * 3), 256))
    return net.model(net.gemm(x, 2), net.gemm(x, 4), net.gemm(x, 10))


def _inverted(net: Net, x: Flow, inner: int, channels: int, stride: int) -> Flow:
    """Expanded, filtered by channel, and projected without an activation; added to itself where it fits."""
    y = net.act(net.depthwise(net.act(net.conv(x, inner, 1)), 3, stride=stride))
    y = net.conv(y, channels, 1)
    return net.node("Add", y, x) if stride == 1 and channels == x.channels else y


def _pooled(net: Net, x: Flow, layers: Sequence[tuple[int, int, int | None]]) -> Flow:
    """Conv, activation and MaxPool of stride 2, by (channels, kernel, kernel of the pool or none)."""
    for channels, kernel, pool in layers:
        x = net.act(net.conv(x, channels, kernel, pad=0))
        x = net.max_pool(x, pool, 2, ceil=True) if pool else x
    return x
