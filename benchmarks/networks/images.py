"""Networks that restore images: a chain of Convs at one size, then the upscaling."""

from __future__ import annotations

import onnx

from benchmarks.networks.net import Activation, Net
from benchmarks.networks.slopes import restoration


def srvgg(activation: Activation, channels: int, convs: int, size: int, scale: int = 4) -> onnx.ModelProto:
    """Real-ESRGAN's compact network: 3x3 Convs and activations in a row, DepthToSpace, the enlarged image added.

    Args:
        activation: What stands at every site.
        channels: Of every Conv between the first and the last.
        convs: How many of these.
        size: Height and width of the image.
        scale: How much larger it becomes.
    """
    net = Net(f"srvgg{channels}", activation, restoration)
    image = net.input(1, 3, size, size)
    x = net.act(net.conv(image, channels, 3))
    for _ in range(convs):
        x = net.act(net.conv(x, channels, 3))
    x = net.node("DepthToSpace", net.conv(x, 3 * scale**2, 3), channels=3, blocksize=scale, mode="CRD")
    return net.model(net.node("Add", x, net.enlarged(image, scale)))


def fsrcnn(activation: Activation, size: int, scale: int = 3) -> onnx.ModelProto:
    """FSRCNN(56, 12, 4): a wide layer, shrunk by a 1x1 Conv, four narrow ones, expanded, a ConvTranspose of 9x9.

    Args:
        activation: What stands at every site.
        size: Height and width of the image, of one channel.
        scale: How much larger it becomes.
    """
    net = Net("fsrcnn", activation, restoration)
    x = net.act(net.conv(net.input(1, 1, size, size), 56, 5))
    x = net.act(net.conv(x, 12, 1))
    for _ in range(4):
        x = net.act(net.conv(x, 12, 3))
    x = net.act(net.conv(x, 56, 1))
    return net.model(net.conv_transpose(x, 1, 9, stride=scale, pad=4, grow=scale - 1))
