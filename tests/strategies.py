"""Networks drawn by hypothesis: PReLU in chains of Gemm and MatMul(+Add), and in chains of all kinds of layers."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import strategies as st
from onnx import helper, numpy_helper

SLOPES = (-0.3, 0.0, 0.25, 1.0, 1.7, 1e-30)


def stored(rng, shape, dtype):
    """Random weights without zeros, away from the denormals of any dtype."""
    values = rng.normal(size=shape)
    return (np.sign(values) * np.maximum(np.abs(values), 0.05)).astype(dtype)


@st.composite
def mlps(draw, dtypes=(np.float32,), activations=("PRelu",), slopes=SLOPES, sizes=range(3, 8)):
    """A chain of 2 to 4 linear layers, with an activation between any two of them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    widths = [draw(st.sampled_from(sizes)) for _ in range(draw(st.integers(3, 5)))]
    nodes, weights, last = [], {}, "x"
    for layer, (n_in, n_out) in enumerate(itertools.pairwise(widths)):
        last = _linear(draw, rng, dtype, layer, last, n_in, n_out, nodes, weights)
        if layer < len(widths) - 2:
            last = _activation(draw, rng, dtype, layer, last, n_out, nodes, weights, activations, slopes)
    number = helper.np_dtype_to_tensor_dtype(dtype)
    graph = helper.make_graph(
        nodes,
        "mlp",
        [helper.make_tensor_value_info("x", number, ["N", widths[0]])],
        [helper.make_tensor_value_info(last, number, ["N", widths[-1]])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _linear(draw, rng, dtype, layer, x, n_in, n_out, nodes, weights):
    name, y = f"fc{layer}", f"z{layer}"
    if draw(st.booleans()):
        transposed = draw(st.booleans())
        weights[f"{name}.w"] = stored(rng, (n_out, n_in) if transposed else (n_in, n_out), dtype)
        inputs = [x, f"{name}.w"]
        bias = draw(st.sampled_from([None, (n_out,), (1, n_out)]))
        if bias is not None:
            weights[f"{name}.b"] = stored(rng, bias, dtype)
            inputs.append(f"{name}.b")
        scales = draw(st.sampled_from([{}, {"alpha": 0.5}, {"beta": 2.0}]))
        nodes.append(helper.make_node("Gemm", inputs, [y], name, transB=int(transposed), **scales))
        return y
    weights[f"{name}.w"] = stored(rng, (n_in, n_out), dtype)
    if draw(st.booleans()):
        nodes.append(helper.make_node("MatMul", [x, f"{name}.w"], [y], name))
        return y
    weights[f"{name}.b"] = stored(rng, draw(st.sampled_from([(n_out,), (1, n_out)])), dtype)
    nodes.append(helper.make_node("MatMul", [x, f"{name}.w"], [f"{y}.product"], name))
    operands = [f"{y}.product", f"{name}.b"]
    nodes.append(helper.make_node("Add", operands if draw(st.booleans()) else operands[::-1], [y], f"{name}.add"))
    return y


def _activation(draw, rng, dtype, layer, x, units, nodes, weights, activations, slopes):
    name, y = f"act{layer}", f"h{layer}"
    if draw(st.sampled_from(activations)) == "LeakyRelu":
        nodes.append(helper.make_node("LeakyRelu", [x], [y], name, alpha=draw(st.sampled_from([0.25, 0.5, -0.75]))))
        return y
    shape = draw(st.sampled_from([(units,), (1, units)]))
    values = [draw(st.sampled_from([*slopes, float(rng.normal())])) for _ in range(units)]
    if len({0.0, *values}) == 1 or len({1.0, *values}) == 1:
        values[0] = 0.25  # all zero is a Relu, and stays one; all one is no activation
    weights[f"{name}.slope"] = np.asarray(values).astype(dtype).reshape(shape)
    nodes.append(helper.make_node("PRelu", [x, f"{name}.slope"], [y], name))
    return y


# ── networks of all kinds of layers ───────────────────────────────────────────────────────────────────────────


class _Net:
    """A network in the making: nodes, weights, and the shape of the tensor at its end."""

    def __init__(self, draw, dtype, shape, axis):
        self.draw, self.dtype, self.axis = draw, np.dtype(dtype), axis
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.nodes, self.weights, self.outputs = [], {}, []
        self.last, self.shape = "x", list(shape)

    @property
    def units(self):
        return self.shape[self.axis]

    def pick(self, *options):
        return self.draw(st.sampled_from(options))

    def weight(self, shape, fan=1):
        name = f"w{len(self.weights)}"
        self.weights[name] = stored(self.rng, shape, self.dtype) / self.dtype.type(np.sqrt(fan))
        return name

    def numbers(self, values):
        name = f"w{len(self.weights)}"
        self.weights[name] = np.asarray(values, np.int64)
        return name

    def per_unit(self, *, scalar=False):
        tail = [1] * (-1 - self.axis)
        shapes = [(self.units, *tail)] + [(1, self.units, *tail)] * (len(self.shape) > -self.axis) + [()] * scalar
        return self.weight(self.draw(st.sampled_from(shapes)))

    def add(self, op, *inputs, shape=None, **attributes):
        y = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [y], f"{op.lower()}{len(self.nodes)}", **attributes))
        if shape is not None:
            self.shape = list(shape)
        self.last = y
        return y

    def model(self, shape):
        number = helper.np_dtype_to_tensor_dtype(self.dtype)
        outputs = [*self.outputs, (self.last, self.shape)]
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("x", number, shape)],
            [helper.make_tensor_value_info(name, number, size) for name, size in outputs],
            [numpy_helper.from_array(value, name) for name, value in self.weights.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@st.composite
def nets(draw, dtypes=(np.float32, np.float16)):
    """A chain of 2 to 4 layers of all kinds: 1-D and 2-D convolutions, W·x, and Gemm and MatMul behind a Flatten.

    Affine nodes may stand before an activation, steps behind it, and a second layer may read it. Every activation
    stands between linear layers.
    """
    dtype = draw(st.sampled_from(dtypes))
    world = draw(st.sampled_from(["1-D", "2-D", "left"]))
    shape = {"1-D": (2, 4, 9), "2-D": (2, 4, 7, 6), "left": (4, 5)}[world]
    net = _Net(draw, dtype, shape, {"1-D": -2, "2-D": -3, "left": -2}[world])
    for number in range(draw(st.integers(2, 4))):
        if number:
            activate(net)
            if world != "left":
                steps(net)
            if net.pick(True, False, False):
                before = net.last, net.shape
                layer(net)
                net.outputs.append((net.last, net.shape))
                net.last, net.shape = before
        layer(net)
        affine(net)
    return net.model(shape)


def layer(net):
    """A linear layer over the tensor at the end."""
    if len(net.shape) == 2:
        _dense_layer(net)
    elif net.pick(True, True, False):
        _conv_layer(net)
    else:
        _conv_transpose_layer(net)


def _dense_layer(net):
    units = net.pick(4, 6)
    if net.axis == -2:
        net.add("MatMul", net.weight((units, net.units), net.units), net.last, shape=(units, net.shape[1]))
    elif net.pick(True, False):
        bias = [net.weight((units,))] if net.pick(True, False) else []
        net.add("Gemm", net.last, net.weight((units, net.units), net.units), *bias, transB=1, shape=(2, units))
    else:
        net.add("MatMul", net.last, net.weight((net.units, units), net.units), shape=(2, units))


def _kernel(net, groups):
    """Rows and columns of one or two values would be parallel to each other by chance."""
    return [net.pick(2, 3) if groups > 1 else net.pick(1, 2, 3) for _ in net.shape[2:]]


def _grouped(net, *counts):
    inputs = net.units
    groups = net.pick(*[g for g in dict.fromkeys((1, 2, inputs)) if inputs % g == 0])
    return groups, net.pick(*[n for n in (*counts, inputs, 2 * inputs) if n % groups == 0 and n <= 12])


def _conv_layer(net):
    groups, units = _grouped(net, 4, 6)
    kernel = _kernel(net, groups)
    inputs = [net.last, net.weight((units, net.units // groups, *kernel), net.units // groups * np.prod(kernel))]
    if net.pick(True, False):
        inputs.append(net.weight((units,)))
    spatial = net.shape[2:]
    attributes = {"group": groups, "strides": [net.pick(1, 1, 2) for _ in spatial]}
    if net.pick(True, False, False):
        attributes["auto_pad"] = net.pick("SAME_UPPER", "SAME_LOWER")
        sizes = [-(-size // stride) for size, stride in zip(spatial, attributes["strides"], strict=True)]
    else:
        attributes["dilations"] = [net.pick(1, 2) if size > 5 else 1 for size in spatial]
        begins, ends = ([net.pick(0, 1, 2) for _ in spatial] for _ in range(2))
        attributes["pads"] = begins + ends
        sizes = [
            (size + a + b - (k - 1) * d - 1) // s + 1
            for size, a, b, k, d, s in zip(
                spatial, begins, ends, kernel, attributes["dilations"], attributes["strides"], strict=True
            )
        ]
        if min(sizes) < 1:
            del attributes["dilations"], attributes["pads"]
            attributes["auto_pad"] = "SAME_UPPER"
            sizes = [-(-size // stride) for size, stride in zip(spatial, attributes["strides"], strict=True)]
    net.add("Conv", *inputs, shape=(2, units, *sizes), **attributes)


def _conv_transpose_layer(net):
    groups, units = _grouped(net, 4, 6)
    kernel = _kernel(net, groups)
    inputs = [net.last, net.weight((net.units, units // groups, *kernel), net.units // groups * np.prod(kernel))]
    if net.pick(True, False):
        inputs.append(net.weight((units,)))
    sizes = [size + k - 1 for size, k in zip(net.shape[2:], kernel, strict=True)]
    net.add("ConvTranspose", *inputs, shape=(2, units, *sizes), group=groups)


def affine(net):
    """Perhaps something that adds to each unit, or scales it."""
    kind = net.pick(None, None, "Add", "Mul", "BatchNormalization")
    if kind == "BatchNormalization" and net.axis - 1 == -len(net.shape):
        positive = net.weight((net.units,))
        net.weights[positive] = np.abs(net.weights[positive])
        others = [net.weight((net.units,)) for _ in range(3)]
        net.add(kind, net.last, *others, positive)
    elif kind in ("Add", "Mul"):
        operands = [net.last, net.per_unit(scalar=kind == "Mul")]
        net.add(kind, *(operands if net.pick(True, False) else operands[::-1]))


def activate(net):
    values = [net.pick(*SLOPES, float(net.rng.normal())) for _ in range(net.units)]
    if len({0.0, *np.asarray(values, net.dtype)}) == 1 or len({1.0, *values}) == 1:
        values[0] = 0.25  # all zero is a Relu, and stays one; all one is no activation
    slope = net.per_unit()
    net.weights[slope] = np.asarray(values).astype(net.dtype).reshape(net.weights[slope].shape)
    net.add("PRelu", net.last, slope)


def steps(net):
    """Up to two steps between an activation and a layer; perhaps one that leaves no space behind."""
    for _ in range(net.pick(0, 1, 2)):
        step(net, net.pick("Identity", "Dropout", "affine", "AveragePool", "Pad"))
    if len(net.shape) > 2 and net.pick(True, False, False):
        step(net, net.pick("Flatten", "Reshape", "GlobalAveragePool", "ReduceMean"))


def step(net, kind):
    """One step, where the tensor at the end takes it."""
    batch, units, *spatial = net.shape
    if kind == "Identity" and net.nodes[-1].op_type == "PRelu":
        kind = "Dropout"  # a PRelu and an Identity are one PReLU together, and come back as one node
    if kind in ("Identity", "Dropout"):
        net.add(kind, net.last)
    elif kind == "affine":
        affine(net)
    elif kind in ("Flatten", "Reshape"):
        total = units * int(np.prod(spatial))
        net.axis = -1
        if kind == "Flatten":
            net.add("Flatten", net.last, shape=(batch, total), axis=net.pick(1, 1 - len(net.shape)))
        else:
            target = net.pick((0, -1), (-1, total), (batch, total), (batch, -1))
            net.add("Reshape", net.last, net.numbers(target), shape=(batch, total))
    elif spatial and kind == "AveragePool" and min(spatial) >= 2:
        shape = (batch, units, *(size - 1 for size in spatial))
        net.add("AveragePool", net.last, kernel_shape=[2] * len(spatial), shape=shape)
    elif spatial and kind == "Pad":
        pads = [0, 0, *[1] * len(spatial), 0, 0, *[0] * len(spatial)]
        shape = (batch, units, *(size + 1 for size in spatial))
        net.add("Pad", net.last, net.numbers(pads), mode=net.pick("constant", "edge"), shape=shape)
    elif spatial and kind == "GlobalAveragePool":
        net.add("GlobalAveragePool", net.last, shape=(batch, units, *[1] * len(spatial)))
    elif spatial and kind == "ReduceMean":
        net.axis = -1
        axes = [2 + number for number in range(len(spatial))]
        net.add("ReduceMean", net.last, axes=axes, keepdims=0, shape=(batch, units))
