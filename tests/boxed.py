"""Networks drawn by hypothesis with a range of their input, in which many units stay on one side of zero."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import strategies as st
from onnx import helper, numpy_helper

POINTS = 10_000


class Net:
    """A drawn network over vectors or images, whose activations are Relu and PRelu, with a range of its input."""

    def __init__(self, draw):
        self.draw, self.rng = draw, np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.nodes, self.weights, self.last = [], {}, "x"
        image = draw(st.sampled_from([False, False, True]))
        self.shape = (draw(st.integers(1, 2)), 5, 4) if image else (draw(st.integers(1, 10)),)
        self.input = ["N", *self.shape]
        middle = self.rng.normal(size=self.shape)
        radius = np.abs(self.rng.normal(size=self.shape)) * draw(st.sampled_from([0.0, 0.1, 1.0]))
        ends = (middle - radius).astype(np.float32), (middle + radius).astype(np.float32)
        self.low, self.high = (end.astype(float) for end in ends)
        self.tight = draw(st.booleans())
        for _ in range(draw(st.integers(1, 3))):
            self.linear()
            self.activation()
        self.linear()

    def pick(self, *options):
        return self.draw(st.sampled_from(options))

    def weight(self, values):
        name = f"w{len(self.weights)}"
        self.weights[name] = np.asarray(values, np.float32)
        return name

    def add(self, op, *inputs, **attributes):
        y = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [y], f"n{len(self.nodes)}", **attributes))
        self.last = y

    def bias(self, matrix):
        """Biases that make units dead, on, or just about: so that in real numbers the largest z is 0, or an ulp off."""
        bias = self.rng.normal(size=len(matrix)) * self.rng.choice([0.1, 3.0], len(matrix))
        if self.tight and not self.nodes:
            middle, radius = (self.high + self.low) / 2, (self.high - self.low) / 2
            sign = self.rng.choice([-1.0, 1.0], len(matrix))
            flat = matrix.astype(float).reshape(len(matrix), -1)
            if flat.shape[1] == middle.size:
                bias = -flat @ middle.reshape(-1) + sign * (np.abs(flat) @ radius.reshape(-1))
                bias = bias * (1 + self.rng.integers(-3, 4, len(bias)) * 2.0**-23)
        return bias

    def linear(self):
        if len(self.shape) > 1 and self.pick(True, True, False):
            return self.conv()
        if len(self.shape) > 1:
            self.add("Flatten", self.last)
            self.shape = (int(np.prod(self.shape)),)
        n, units = self.shape[0], self.pick(3, 6, 9)
        matrix = self.rng.normal(size=(units, n)).astype(np.float32)
        bias = self.bias(matrix)
        self.shape = (units,)
        match self.pick("Gemm", "alpha", "MatMul"):
            case "Gemm":
                self.add("Gemm", self.last, self.weight(matrix), self.weight(bias), transB=1)
            case "alpha":
                self.add("Gemm", self.last, self.weight(matrix.T * 2), self.weight(bias / 4), alpha=0.5, beta=4.0)
            case "MatMul":
                self.add("MatMul", self.last, self.weight(matrix.T))
                self.add("Add", self.weight(bias), self.last)
        return None

    def conv(self):
        groups = self.pick(1, self.shape[0])
        units = groups * self.pick(2, 3)
        kernel = self.pick((1, 1), (2, 3))
        matrix = self.rng.normal(size=(units, self.shape[0] // groups, *kernel)).astype(np.float32)
        pads = self.pick([0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 0])
        self.add("Conv", self.last, self.weight(matrix), self.weight(self.bias(matrix)), group=groups, pads=pads)
        size = [n + pads[i] + pads[i + 2] - k + 1 for i, (n, k) in enumerate(zip(self.shape[1:], kernel, strict=True))]
        self.shape = (units, *size)
        if min(size) < 3:
            self.add("GlobalAveragePool", self.last)
            self.add("Flatten", self.last)
            self.shape = (units,)
        elif self.pick(True, False):
            scale, bias, mean = (self.weight(self.rng.normal(size=units)) for _ in range(3))
            self.add(
                "BatchNormalization", self.last, scale, bias, mean, self.weight(np.abs(self.rng.normal(size=units)))
            )

    def activation(self):
        if self.pick(True, False):
            return self.add("Relu", self.last)
        slope = self.rng.choice([0.0, 0.25, -0.5, 1.7], (self.shape[0], *[1] * (len(self.shape) - 1)))
        self.add("PRelu", self.last, self.weight(slope))
        if len(self.shape) > 1 and min(self.shape[1:]) > 2 and self.pick(True, False):
            self.add(self.pick("MaxPool", "AveragePool"), self.last, kernel_shape=[2, 2])
            self.shape = (self.shape[0], *(size - 1 for size in self.shape[1:]))
        return None

    def model(self):
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("x", 1, self.input)],
            [helper.make_tensor_value_info(self.last, 1, ["N", *self.shape])],
            [numpy_helper.from_array(value, name) for name, value in self.weights.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    def points(self):
        """Points of the box, some at its ends, and all of its corners, or as many of them."""
        shape = (POINTS, *self.shape_of_input())
        points = self.rng.uniform(self.low, self.high, shape)
        at_ends = self.rng.random(shape) < self.rng.random((POINTS, *[1] * (len(shape) - 1)))
        points = np.where(at_ends, np.where(self.rng.random(shape) < 0.5, self.low, self.high), points)
        size = int(np.prod(shape[1:]))
        if size <= 10:
            bits = np.array(list(itertools.product([False, True], repeat=size))).reshape(-1, *shape[1:])
        else:
            bits = self.rng.random((1024, *shape[1:])) < 0.5
        points = np.concatenate([points, np.where(bits, self.low, self.high)])
        return np.clip(points, self.low, self.high).astype(np.float32)

    def shape_of_input(self):
        return self.input[1:]


@st.composite
def drawn(draw):
    return Net(draw)
