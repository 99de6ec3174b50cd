"""How exporters write PReLU: each writer's nodes as ONNX text, with the formula in numpy.

Imports nothing of the package. A row's nodes make ``h`` of ``x``; what they read and do not make is a constant, by the
row's ``constants`` of the slope a, or by :data:`SHARED`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnx.parser
from onnx import helper, numpy_helper

Array = np.ndarray


@dataclass(frozen=True)
class Layout:
    """The shapes of x and of the slope, and which of the slope's axes is the channels'."""

    x: tuple[int, ...]
    slope: tuple[int, ...]


LAYOUTS = {
    "(1,C,1,1)": Layout((2, 3, 4, 5), (1, 3, 1, 1)),
    "(C,1,1)": Layout((2, 3, 4, 5), (3, 1, 1)),
    "(C,)": Layout((6, 3), (3,)),
    "(H,W,C)": Layout((2, 4, 5, 3), (4, 5, 3)),
    "scalar": Layout((2, 3, 4, 5), ()),
    "scalar of a vector": Layout((6, 3), ()),
}
ANY = tuple(LAYOUTS)
SCALAR = ("scalar", "scalar of a vector")
IMAGE = ("(1,C,1,1)", "(C,1,1)")


@dataclass(frozen=True)
class Spelling:
    """One way to write PReLU.

    Attributes:
        nodes: ONNX text, a node a line.
        formula: The same in numpy, of x and a in float64.
        constants: The constants that depend on the slope, by name.
        layouts: Which of :data:`LAYOUTS` the writer uses.
        low: The smallest slope it is right for.
        high: The largest.
    """

    nodes: str
    formula: Callable[[Array, Array], Array]
    constants: Callable[[Array], dict[str, Array]] = field(default=lambda a: {"a": a})
    layouts: tuple[str, ...] = ANY
    low: float = -np.inf
    high: float = np.inf


def relu(v: Array) -> Array:
    return np.maximum(v, 0)


def negated(a: Array) -> dict[str, Array]:
    return {"n": -a}


def channels_last(a: Array) -> Array:
    """A slope of NCHW as it stands in NHWC, in as few dimensions as it needs."""
    return np.moveaxis(a.reshape(a.shape[-3:]), 0, -1) if a.ndim else a


SHARED = {
    "zero": np.float32(0),
    "half": np.float32(0.5),
    "minus": np.float32(-1),
    "one": np.float32(1),
    "axes": np.array([0]),
}

SPELLINGS = {
    "PyTorch": Spelling("h = PRelu(x, a)", lambda x, a: np.where(x >= 0, x, a * x)),
    "PyTorch, scalar": Spelling("h = LeakyRelu <alpha = 0.25> (x)", lambda x, a: np.where(x >= 0, x, 0.25 * x),
                                layouts=SCALAR, low=0.25, high=0.25),
    "PyTorch, decomposed": Spelling(
        """g = Greater(x, zero)
           m = Mul(a, x)
           h = Where(g, x, m)""",
        lambda x, a: np.where(x > 0, x, a * x),
    ),
    "tf2onnx, Keras 3": Spelling(
        """r = Relu(x)
           i = Neg(x)
           s = Relu(i)
           m = Mul(n, s)
           h = Add(r, m)""",
        lambda x, a: relu(x) + (-a) * relu(-x),
        negated,
    ),
    "tf2onnx, tf.where": Spelling(
        """g = Greater(x, zero)
           l = Not(g)
           p = Cast <to = 1> (g)
           k = Cast <to = 1> (l)
           q = Mul(p, x)
           m = Mul(a, x)
           t = Mul(k, m)
           h = Add(q, t)""",
        lambda x, a: (x > 0) * x + ~(x > 0) * (a * x),
    ),
    "abs, half folded in": Spelling(
        """r = Relu(x)
           b = Abs(x)
           d = Sub(x, b)
           m = Mul(n, d)
           h = Add(r, m)""",
        lambda x, a: relu(x) + (a / 2) * (x - np.abs(x)),
        lambda a: {"n": a / 2},
    ),
    "onnx-tf, onnx2tf: half last": Spelling(
        """r = Relu(x)
           b = Abs(x)
           d = Sub(x, b)
           m = Mul(a, d)
           t = Mul(m, half)
           h = Add(r, t)""",
        lambda x, a: relu(x) + a * (x - np.abs(x)) * 0.5,
    ),
    "onnx-tf, onnx2tf: half first": Spelling(
        """r = Relu(x)
           b = Abs(x)
           d = Sub(x, b)
           m = Mul(d, half)
           t = Mul(a, m)
           h = Add(r, t)""",
        lambda x, a: relu(x) + a * ((x - np.abs(x)) * 0.5),
    ),
    "abs of two halves": Spelling(
        """b = Abs(x)
           p = Mul(u, x)
           q = Mul(v, b)
           h = Add(p, q)""",
        lambda x, a: (1 + a) / 2 * x + (1 - a) / 2 * np.abs(x),
        lambda a: {"u": (1 + a) / 2, "v": (1 - a) / 2},
    ),
    "clamp": Spelling(
        """p = Clip(x, zero)
           q = Clip(x, , zero)
           m = Mul(a, q)
           h = Add(p, m)""",
        lambda x, a: np.clip(x, 0, None) + a * np.clip(x, None, 0),
    ),
    "maximum": Spelling(
        """p = Max(x, zero)
           q = Min(x, zero)
           m = Mul(a, q)
           h = Add(p, m)""",
        lambda x, a: np.maximum(x, 0) + a * np.minimum(x, 0),
    ),
    "maximum, zeros in full": Spelling(
        """p = Max(x, zeros)
           q = Min(x, zeros)
           m = Mul(a, q)
           h = Add(p, m)""",
        lambda x, a: np.maximum(x, 0) + a * np.minimum(x, 0),
    ),
    "ONNX's function body": Spelling(
        """z = CastLike(zero, x)
           l = Less(x, z)
           m = Mul(a, x)
           h = Where(l, m, x)""",
        lambda x, a: np.where(x < 0, a * x, x),
    ),
    "LeakyRelu's function body": Spelling(
        """z = CastLike(zero, x)
           c = CastLike(a, x)
           l = Less(x, z)
           m = Mul(c, x)
           h = Where(l, m, x)""",
        lambda x, a: np.where(x < 0, a * x, x),
        layouts=SCALAR,
    ),
    "Paddle": Spelling(
        """s = Reshape(flat, shape)
           h = PRelu(x, s)""",
        lambda x, a: np.where(x >= 0, x, a * x),
        lambda a: {"flat": a.reshape(-1), "shape": np.array(a.shape, np.int64)},
    ),
    "Paddle, float64": Spelling(
        """w = Cast <to = 11> (x)
           p = PRelu(w, a)
           h = Cast <to = 1> (p)""",
        lambda x, a: np.where(x >= 0, x, a * x),
        lambda a: {"a": a.astype(np.float64)},
    ),
    "MXNet, repaired": Spelling(
        """s = Reshape(flat, shape)
           h = PRelu(x, s)""",
        lambda x, a: np.where(x >= 0, x, a * x),
        lambda a: {"flat": a.reshape(-1), "shape": np.array([1, -1, 1, 1])},
        layouts=IMAGE,
    ),
    "coremltools, tensorrtx": Spelling(
        """r = Relu(x)
           i = Mul(minus, x)
           s = Relu(i)
           m = Mul(n, s)
           h = Add(r, m)""",
        lambda x, a: relu(x) + (-a) * relu(-1 * x),
        negated,
    ),
    "coremltools, channel-last": Spelling(
        """y = Transpose <perm = [0, 2, 3, 1]> (x)
           r = Relu(y)
           i = Mul(minus, y)
           s = Relu(i)
           m = Mul(n, s)
           k = Add(r, m)
           h = Transpose <perm = [0, 3, 1, 2]> (k)""",
        lambda x, a: relu(x) + (-a) * relu(-1 * x),
        lambda a: {"n": -channels_last(a)},
        layouts=(*IMAGE, "scalar"),
    ),
    "TFLite, channel-last": Spelling(
        """y = Transpose <perm = [0, 2, 3, 1]> (x)
           p = PRelu(y, a)
           h = Transpose <perm = [0, 3, 1, 2]> (p)""",
        lambda x, a: np.where(x >= 0, x, a * x),
        lambda a: {"a": channels_last(a)},
        layouts=(*IMAGE, "scalar"),
    ),
    "onnx-mlir": Spelling(
        """r = Relu(x)
           m = Mul(n, x)
           s = Relu(m)
           h = Sub(r, s)""",
        lambda x, a: relu(x) - relu(-a * x),
        negated,
        low=0.0,
    ),
    "Keras, insightface": Spelling(
        """r = Relu(x)
           i = Neg(x)
           s = Relu(i)
           m = Conv <group = 3, kernel_shape = [1, 1]> (s, w)
           h = Sub(r, m)""",
        lambda x, a: relu(x) - a * relu(-x),
        lambda a: {"w": a.reshape(3, 1, 1, 1)},
        layouts=IMAGE,
    ),
    "OpenVINO: Neg after": Spelling(
        """r = Relu(x)
           i = Neg(x)
           s = Relu(i)
           t = Neg(s)
           m = Mul(t, a)
           h = Add(r, m)""",
        lambda x, a: relu(x) + -relu(-x) * a,
    ),
    "OpenVINO: Sub": Spelling(
        """r = Relu(x)
           i = Neg(x)
           s = Relu(i)
           m = Mul(s, a)
           h = Sub(r, m)""",
        lambda x, a: relu(x) - relu(-x) * a,
    ),
    "OpenVINO: Mul by -1, Add": Spelling(
        """r = Relu(x)
           i = Mul(x, minus)
           s = Relu(i)
           t = Mul(s, minus)
           m = Mul(t, a)
           h = Add(r, m)""",
        lambda x, a: relu(x) + (relu(x * -1) * -1) * a,
    ),
    "OpenVINO: Mul by -1, Sub": Spelling(
        """r = Relu(x)
           i = Mul(x, minus)
           s = Relu(i)
           m = Mul(s, a)
           h = Sub(r, m)""",
        lambda x, a: relu(x) - relu(x * -1) * a,
    ),
    "OpenVINO: Neg of the slope": Spelling(
        """r = Relu(x)
           i = Neg(x)
           s = Relu(i)
           k = Neg(a)
           m = Mul(s, k)
           h = Add(r, m)""",
        lambda x, a: relu(x) + relu(-x) * -a,
    ),
    "OpenVINO: abs": Spelling(
        """r = Relu(x)
           b = Abs(x)
           d = Sub(x, b)
           m = Mul(d, a)
           t = Mul(m, half)
           h = Add(r, t)""",
        lambda x, a: relu(x) + ((x - np.abs(x)) * a) * 0.5,
    ),
    "Max": Spelling(
        """m = Mul(a, x)
           h = Max(x, m)""",
        lambda x, a: np.maximum(x, a * x),
        high=1.0,
    ),
    "slope behind Unsqueeze, Expand and Cast": Spelling(
        """u = Unsqueeze(a, axes)
           e = Expand(u, ones)
           c = Cast <to = 1> (e)
           i = Identity(c)
           j = Squeeze(i, axes)
           h = PRelu(x, j)""",
        lambda x, a: np.where(x >= 0, x, a * x),
        lambda a: {"a": a.astype(np.float64), "ones": np.ones(a.ndim + 1, np.int64)},
    ),
    "zeros of the shape of x": Spelling(
        """s = Shape(x)
           z = ConstantOfShape(s)
           p = Max(x, z)
           q = Min(x, z)
           m = Mul(a, q)
           h = Add(p, m)""",
        lambda x, a: np.maximum(x, 0) + a * np.minimum(x, 0),
    ),
    "zero expanded to the shape of x": Spelling(
        """s = Shape(x)
           z = Expand(zero, s)
           g = Less(x, z)
           m = Mul(a, x)
           h = Where(g, m, x)""",
        lambda x, a: np.where(x < 0, a * x, x),
    ),
    "zeros behind ConstantOfShape": Spelling(
        """z = ConstantOfShape(ones)
           g = GreaterOrEqual(x, z)
           m = Mul(x, a)
           h = Where(g, x, m)""",
        lambda x, a: np.where(x >= 0, x, a * x),
        lambda a: {"a": a, "ones": np.ones(1, np.int64)},
    ),
}  # fmt: skip

CASES = [(name, layout) for name, row in SPELLINGS.items() for layout in row.layouts]


def slope_of(name: str, layout: str) -> Array:
    """Slopes that no rounding touches, as far as the row is right for them."""
    row, shape = SPELLINGS[name], LAYOUTS[layout].slope
    values = np.array([0.25, -0.5, 0.75, 0.5, 1.5, -3.0])[np.arange(int(np.prod(shape))) % 6].reshape(shape)
    return np.clip(np.where((values < row.low) | (values > row.high), 0.125 + np.abs(values) / 8, values),
                   row.low, row.high).astype(np.float32)  # fmt: skip


def drawn(shape, seed=0):
    """Both signs, large and small, and zeros."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) * rng.choice([0.01, 1.0, 30.0, 0.0], size=shape, p=[0.3, 0.3, 0.3, 0.1])).astype(
        np.float32
    )


def build(
    name: str, layout: str, slope: Array | None = None, *, nodes: str = "", x: tuple[int, ...] = ()
) -> onnx.ModelProto:
    """The model of a row.

    Args:
        name: Of :data:`SPELLINGS`.
        layout: Of :data:`LAYOUTS`.
        slope: The slope; by default :func:`slope_of`.
        nodes: ONNX text in place of the row's own.
        x: The shape of x, in place of the layout's.
    """
    row, shape = SPELLINGS[name], x or LAYOUTS[layout].x
    slope = slope_of(name, layout) if slope is None else slope
    sizes = ",".join(str(size) for size in shape)
    head = f'<ir_version: 8, opset_import: ["" : 17]> g (float[{sizes}] x) => (float[{sizes}] h)'
    model = onnx.parser.parse_model(f"{head} {{ {nodes or row.nodes} }}")
    own = row.constants(slope)
    values = {**SHARED, "zeros": np.zeros(shape, np.float32), **own}
    made = {"x", *(name for node in model.graph.node for name in node.output)}
    for name in dict.fromkeys(name for node in model.graph.node for name in node.input if name and name not in made):
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(values[name]), name))
    for node in model.graph.node:
        node.name = f"n_{node.output[0]}"
    return model


def between_layers(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same between two layers, of v and to y: Gemms for x of two dimensions, else Convs of one pixel."""
    rng = np.random.default_rng(7)
    batch, units, *space = (dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim)
    ones = [1] * len(space)
    op, shapes = ("Conv", [(units, 4, *ones), (2, units, *ones)]) if space else ("Gemm", [(4, units), (units, 2)])
    weights = {"before.w": shapes[0], "before.b": (units,), "after.w": shapes[1]}
    graph = helper.make_graph(
        [
            helper.make_node(op, ["input", "before.w", "before.b"], ["x"], "before"),
            *model.graph.node,
            helper.make_node(op, ["h", "after.w"], ["output"], "after"),
        ],
        "between",
        [helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, [batch, 4, *space])],
        [helper.make_tensor_value_info("output", onnx.TensorProto.FLOAT, [batch, 2, *space])],
        [
            *model.graph.initializer,
            *(numpy_helper.from_array(rng.normal(size=s).astype(np.float32), n) for n, s in weights.items()),
        ],
    )
    return helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=model.ir_version)
