"""Writing a network down, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from benchmarks.networks.slopes import Slopes

Activation = Literal["PRelu", "Relu"]
"""What stands at every site: PRelu, or Relu, which makes the floor."""

OPSET, IR_VERSION = 17, 8
_BIAS = 0.1  # deviation of biases, and of what a normalization adds


@dataclass(frozen=True)
class Flow:
    """A tensor of the network.

    Attributes:
        name: Its name.
        channels: The size of its second axis.
        axes: How many axes follow the second.
    """

    name: str
    channels: int
    axes: int


class Net:
    """A network that is being written: each method adds a layer behind a tensor and returns the layer's output.

    Weights are normal with He's deviation and biases small, so that every activation sees both signs. Slopes are
    drawn from a generator of their own: with PRelu and with Relu a network has the same weights.

    Args:
        name: Of the graph.
        activation: What stands at every site.
        slopes: Where the slopes come from, if the activation has some.
        seed: Of weights and slopes.
    """

    def __init__(self, name: str, activation: Activation, slopes: Slopes, seed: int = 0) -> None:
        self._name, self._activation, self._slopes = name, activation, slopes
        self._weights, self._learned = np.random.default_rng(seed), np.random.default_rng([seed, 1])
        self._inputs: list[onnx.ValueInfoProto] = []
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []

    def input(self, *shape: int) -> Flow:
        """The input, float32; its second axis are channels, or features."""
        self._inputs.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, shape))
        return Flow("x", shape[1], len(shape) - 2)

    def conv(
        self,
        x: Flow,
        channels: int,
        kernel: int,
        *,
        stride: int = 1,
        pad: int | None = None,
        groups: int = 1,
        dilation: int = 1,
    ) -> Flow:
        """A Conv over all axes behind the channels, padded to keep their size unless ``pad`` says otherwise."""
        inner = x.channels // groups
        weight = self._he((channels, inner, *[kernel] * x.axes), inner * kernel**x.axes)
        pads = kernel // 2 * dilation if pad is None else pad
        attributes = self._window(x.axes, kernel, stride, pads) | {"group": groups, "dilations": [dilation] * x.axes}
        return self._layer("Conv", [x], channels, [weight, self._bias(channels)], **attributes)

    def depthwise(self, x: Flow, kernel: int, *, stride: int = 1, pad: int | None = None, dilation: int = 1) -> Flow:
        """A Conv with a filter for each channel."""
        return self.conv(x, x.channels, kernel, stride=stride, pad=pad, groups=x.channels, dilation=dilation)

    def conv_transpose(self, x: Flow, channels: int, kernel: int, *, stride: int, pad: int = 0, grow: int = 0) -> Flow:
        """A ConvTranspose; ``grow`` is its output padding."""
        fan = x.channels * kernel**x.axes // stride**x.axes
        weight = self._he((x.channels, channels, *[kernel] * x.axes), fan)
        attributes = self._window(x.axes, kernel, stride, pad) | {"output_padding": [grow] * x.axes}
        return self._layer("ConvTranspose", [x], channels, [weight, self._bias(channels)], **attributes)

    def gemm(self, x: Flow, features: int) -> Flow:
        """A Gemm with its weight transposed, as PyTorch's Linear is exported."""
        constants = [self._he((features, x.channels), x.channels), self._bias(features)]
        return self._layer("Gemm", [x], features, constants, transB=1)

    def matmul(self, x: Flow, features: int) -> Flow:
        """A MatMul, and an Add for its bias."""
        product = self._layer("MatMul", [x], features, [self._he((x.channels, features), x.channels)])
        return self._layer("Add", [product], features, [self._bias(features)])

    def act(self, x: Flow, *, shared: bool = False) -> Flow:
        """The activation, with a slope for each channel, or one that all of them share."""
        constants = []
        if self._activation == "PRelu":
            slopes = self._slopes(self._learned, 1 if shared else x.channels)
            constants = [slopes.reshape(-1, *[1] * x.axes)]
        return self._layer(self._activation, [x], x.channels, constants, name="act")

    def max_pool(self, x: Flow, kernel: int, stride: int, *, ceil: bool = False) -> Flow:
        """A MaxPool without padding."""
        attributes = self._window(x.axes, kernel, stride, 0) | {"ceil_mode": int(ceil)}
        return self._layer("MaxPool", [x], x.channels, **attributes)

    def enlarged(self, x: Flow, scale: int) -> Flow:
        """A Resize to the nearest pixel, of height and width."""
        no_region, scales = Flow("", 0, 0), np.array([1, 1, *[scale] * x.axes], np.float64)
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self._layer("Resize", [x, no_region], x.channels, [scales], **how)

    def global_norm(self, x: Flow) -> Flow:
        """Global layer normalization: over channels and time together, then a factor and a term for each channel."""
        mean = self._layer("ReduceMean", [x], x.channels, axes=[1, 2])
        centred = self._layer("Sub", [x, mean], x.channels)
        square = self._layer("Mul", [centred, centred], x.channels)
        variance = self._layer("ReduceMean", [square], x.channels, axes=[1, 2])
        deviation = self._layer("Sqrt", [self._layer("Add", [variance], x.channels, [np.float64(1e-8)])], x.channels)
        shape = (x.channels, 1)
        gain, shift = 1 + self._bias(x.channels).reshape(shape), self._bias(x.channels).reshape(shape)
        scaled = self._layer("Mul", [self._layer("Div", [centred, deviation], x.channels)], x.channels, [gain])
        return self._layer("Add", [scaled], x.channels, [shift])

    def flatten(self, x: Flow, features: int) -> Flow:
        """A Flatten to so many features."""
        return Flow(self._layer("Flatten", [x], features).name, features, 0)

    def node(self, op: str, *inputs: Flow, channels: int | None = None, **attributes: Any) -> Flow:
        """Any other op without constants; its output has the first input's channels unless told."""
        return self._layer(op, inputs, channels or inputs[0].channels, **attributes)

    def model(self, *outputs: Flow) -> onnx.ModelProto:
        """The network as a model, its output shapes inferred."""
        ends = [helper.make_tensor_value_info(output.name, TensorProto.FLOAT, None) for output in outputs]
        graph = helper.make_graph(self._nodes, self._name, self._inputs, ends, self._initializers)
        model = helper.make_model(graph, ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", OPSET)])
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
        del inferred.graph.value_info[:]
        return inferred

    def _layer(
        self,
        op: str,
        inputs: Sequence[Flow],
        channels: int,
        constants: Sequence[NDArray[np.float64] | np.float64] = (),
        *,
        name: str | None = None,
        **attributes: Any,
    ) -> Flow:
        name = f"{name or op.lower()}{len(self._nodes)}"
        stored = [f"{name}.{which}" for which in range(len(constants))]
        for label, constant in zip(stored, constants, strict=True):
            self._initializers.append(numpy_helper.from_array(np.asarray(constant, np.float32), label))
        names = [x.name for x in inputs] + stored
        self._nodes.append(helper.make_node(op, names, [f"{name}.y"], name, **attributes))
        return Flow(f"{name}.y", channels, inputs[0].axes)

    def _he(self, shape: tuple[int, ...], fan: int) -> NDArray[np.float64]:
        return self._weights.normal(0, (2 / fan) ** 0.5, shape)

    def _bias(self, channels: int) -> NDArray[np.float64]:
        return self._weights.normal(0, _BIAS, channels)

    @staticmethod
    def _window(axes: int, kernel: int, stride: int, pad: int) -> dict[str, list[int]]:
        return {"kernel_shape": [kernel] * axes, "strides": [stride] * axes, "pads": [pad] * 2 * axes}
