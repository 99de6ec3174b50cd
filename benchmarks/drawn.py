"""Networks with PRelu drawn by number, and their correct rewrites: what a check must not complain of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnx_prelu.api import rewrite
from onnx_prelu.errors import NotMet

FORMS = ("split", "skip", "concat", "tied", "fold2", "gauge")
SLOPES = (-25.0, -3.0, -0.3, 0.0, 0.1, 0.25, 0.9, 1.0, 1.7, 21.0, 25.0)


@dataclass
class Net:
    """A network while it is drawn.

    Attributes:
        rng: Draws.
        dtype: Of all values.
        shape: Of what comes out at the end, with a batch of 2.
        nodes: What it computes.
        constants: Its weights.
        last: The tensor at the end.
    """

    rng: np.random.Generator
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    last: str = "x"

    def constant(self, values: np.ndarray[Any, Any]) -> str:
        """A weight, and its name."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values).astype(self.dtype), name))
        return name

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """A node at the end, and the name of what it makes."""
        self.last = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [self.last], self.last, **attributes))
        return self.last

    def draw(self, *choices: Any) -> Any:
        """One of some choices."""
        return choices[int(self.rng.integers(len(choices)))]

    def model(self, shape: tuple[int, ...]) -> onnx.ModelProto:
        """The model, for an input of a shape."""
        self.nodes[-1].output[0] = "y"
        number = helper.np_dtype_to_tensor_dtype(self.dtype)
        ends = [
            helper.make_tensor_value_info(name, number, ["N", *each[1:]])
            for name, each in (("x", shape), ("y", self.shape))
        ]
        graph = helper.make_graph(self.nodes, "drawn", ends[:1], ends[1:], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def network(seed: int, dtype: Any = np.float32) -> onnx.ModelProto:
    """A chain of 2 to 6 linear layers of one kind, PRelus with slopes up to ±25 between them."""
    rng = np.random.default_rng([seed, 7])
    spatial = ((), (), (9,), (8, 7))[int(rng.integers(4))]
    shape = (2, int(rng.integers(1, 40 if not spatial else 9)), *spatial)
    net = Net(rng, np.dtype(dtype), shape)
    layers = int(rng.integers(2, 7))
    most = float(np.exp(rng.uniform(np.log(0.3), np.log(30))))  # steep slopes in some networks, ordinary ones in others
    for number in range(layers):
        _layer(net)
        if number < layers - 1:
            _activation(net, most)
    return net.model(shape)


def _layer(net: Net) -> None:
    rng, spatial = net.rng, net.shape[2:]
    inputs, units = net.shape[1], int(net.rng.integers(1, 12 if spatial else 40))
    gain = float(np.exp(rng.normal(0, 0.7)))
    bias = rng.normal(0, 0.5, units)
    if not spatial:
        weights = gain * rng.normal(0, 1, (units, inputs)) / np.sqrt(inputs)
        if net.draw(True, False):
            net.add("Gemm", net.last, net.constant(weights), net.constant(bias), transB=1)
        else:
            net.add("Add", net.add("MatMul", net.last, net.constant(weights.T)), net.constant(bias))
    else:
        size = tuple(int(rng.integers(1, 4)) for _ in spatial)
        weights = gain * rng.normal(0, 1, (units, inputs, *size)) / np.sqrt(inputs * np.prod(size))
        pads = [(each - 1) // 2 for each in size] + [each // 2 for each in size]
        net.add("Conv", net.last, net.constant(weights), net.constant(bias), pads=pads)
        if net.draw(True, False, False):
            parts = (np.abs(rng.normal(1, 0.3, units)), rng.normal(0, 0.3, units), rng.normal(0, 0.3, units))
            variance = np.exp(rng.normal(0, 0.5, units))
            net.add("BatchNormalization", net.last, *map(net.constant, parts), net.constant(variance))
    net.shape = (net.shape[0], units, *spatial)


def _activation(net: Net, most: float) -> None:
    units = net.shape[1]
    slopes = np.array([each for each in SLOPES if abs(each) <= most] or [0.25])
    drawn = np.where(net.rng.random(units) < 0.5, net.rng.choice(slopes, units), net.rng.normal(0.25, 0.3, units))
    net.add("PRelu", net.last, net.constant(drawn.reshape(units, *(1 for _ in net.shape[2:]))))
    if len(net.shape) > 2 and net.draw(True, False, False, False):
        net.add("AveragePool", net.last, kernel_shape=[2] * (len(net.shape) - 2), strides=[1] * (len(net.shape) - 2))
        net.shape = (*net.shape[:2], *(size - 1 for size in net.shape[2:]))


def rewritten(model: onnx.ModelProto, form: str) -> onnx.ModelProto | None:
    """The model with a form at the sites that take it; None where none does."""
    try:
        made = rewrite(model, form=form, check=False, simplify=False)
    except NotMet:
        return None
    return made.model if any(site.form == form for site in made.report.sites) else None
