"""Conv-TasNet, which separates voices: 1-D Convs over the frames of a learned transform."""

from __future__ import annotations

from typing import Literal

import onnx

from benchmarks.networks.net import Activation, Flow, Net
from benchmarks.networks.slopes import restoration

Norm = Literal["folded", "global"]
"""Behind every activation: batch normalization, which is part of the Conv, or global layer normalization."""


def conv_tasnet(
    activation: Activation, norm: Norm, *, samples: int, filters: int = 128, hidden: int = 256, blocks: int = 6
) -> onnx.ModelProto:
    """An encoder, residual blocks of 1x1, dilated depthwise and 1x1 Convs, a mask for each of two voices, a decoder.

    As in the original, a block has two activations, each with one slope for all channels. Masks end in Relu.

    Args:
        activation: What stands at every site.
        norm: What normalizes.
        samples: Length of the sound.
        filters: Of the encoder, and channels between the blocks.
        hidden: Channels within a block.
        blocks: Of which each dilates twice as far as the one before.
    """
    net = Net(f"conv_tasnet_{norm}", activation, restoration)
    frames = net.node("Relu", net.conv(net.input(1, 1, samples), filters, 16, stride=8, pad=0))
    x = net.conv(frames, filters, 1)
    for block in range(blocks):
        y = _normalized(net, net.act(net.conv(x, hidden, 1), shared=True), norm)
        y = _normalized(net, net.act(net.depthwise(y, 3, dilation=2**block), shared=True), norm)
        x = net.node("Add", net.conv(y, filters, 1), x)
    voices = [net.node("Mul", net.node("Relu", net.conv(x, filters, 1)), frames) for _ in range(2)]
    return net.model(*(net.conv_transpose(voice, 1, 16, stride=8) for voice in voices))


def _normalized(net: Net, x: Flow, norm: Norm) -> Flow:
    return net.global_norm(x) if norm == "global" else x
