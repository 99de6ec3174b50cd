"""Layers in disguise: rows permuted, scaled and split into copies, mixed with dead and constant units; then folded.

What is expected is computed of the drawn net in rational arithmetic, before it is disguised: how many units each
direction of its rows needs.
"""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from tests.counts import examples
from tests.oracle import assert_close, run
from tests.rewriting import rewritten

SLOPES = (0.0, 0.0, 0.25, -0.3, 1.0, -1.0, 1.7, 0.01)


def stored(values, dtype):
    return np.asarray(values, np.float64).astype(dtype).astype(np.float64)


def away(rng, size, dtype):
    """Random values without zeros, and far from the denormals."""
    values = rng.normal(size=size)
    return stored(np.sign(values) * np.maximum(np.abs(values), 0.05), dtype)


def direction(row):
    """A row as a direction, and of which multiple of it the row is: rational."""
    values = [Fraction(float(value)) for value in row]
    size = next(value for value in values if value)
    return tuple(value / size for value in values), size


def units_needed(rows, slopes, columns):
    """How many units a layer needs: for each direction of its rows one, two, or none."""
    sides = defaultdict(lambda: [[Fraction(0)] * len(columns[0]) for _ in range(2)])
    for row, slope, column in zip(rows, slopes, columns, strict=True):
        which, size = direction(row)
        a = Fraction(float(slope))
        for side, part in enumerate((size, size * a) if size > 0 else (size * a, size)):
            for k, value in enumerate(column):
                sides[which][side][k] += part * Fraction(float(value))
    return sum(needed(*both) for both in sides.values())


def needed(positive, negative):
    if not any(positive) and not any(negative):
        return 0
    pairs = list(zip(positive, negative, strict=True))
    parallel = all(p * m == q * n for p, n in pairs for q, m in pairs)
    return 1 if parallel else 2


def disguised(rng, rows, slopes, columns, dtype, copies=3):
    """The layer as a Relu layer in which nobody would know it: stored rows and columns."""
    lanes = []
    for row, slope, column in zip(rows, slopes, columns, strict=True):
        for r, c in ((row, column), (-row, -slope * column))[: 1 + (slope != 0)]:
            shares = rng.uniform(0.2, 1, rng.integers(1, copies + 1))
            for share in shares / shares.sum():
                scale = np.exp(rng.normal() / 2)
                lanes.append((stored(scale * r, dtype), stored(share / scale * c, dtype)))
    k, q = rows.shape[1], columns.shape[1]
    flat = [np.append(np.zeros(k - 1), away(rng, 1, dtype)) for _ in range(rng.integers(0, 3))]
    lanes += [(row, away(rng, q, dtype)) for row in flat]
    lanes += [(away(rng, k, dtype), np.zeros(q)) for _ in range(rng.integers(0, 3))]  # dead
    order = rng.permutation(len(lanes))
    return tuple(np.array([lanes[i][part] for i in order]) for part in (0, 1))


def model(kind, rows, columns, dtype, slopes=None):
    """A Relu layer of these rows, the bias last, and these columns; a PRelu layer where it has slopes."""
    A, b, V = rows[:, :-1], rows[:, -1], columns
    act = helper.make_node("Relu", ["z"], ["h"], "act")
    constants = {"A": A, "b": b, "V": V}
    if slopes is not None:
        act = helper.make_node("PRelu", ["z", "a"], ["h"], "act")
        constants["a"] = slopes.reshape(-1, 1, 1) if kind == "Conv" else slopes
    if kind == "Conv":
        constants |= {"A": A.reshape(len(A), -1, 2, 2), "V": V.T.reshape(-1, len(V), 1, 1)}
        first = [helper.make_node("Conv", ["x", "A", "b"], ["z"], "z")]
        x, y = [2, A.shape[1] // 4, 5, 4], [2, V.shape[1], 4, 3]
    else:
        constants["A"] = A.T
        product = [
            helper.make_node("MatMul", ["x", "A"], ["p"], "z"),
            helper.make_node("Add", ["p", "b"], ["z"], "add"),
        ]
        first = [helper.make_node("Gemm", ["x", "A", "b"], ["z"], "z")] if kind == "Gemm" else product
        x, y = [8, A.shape[1]], [8, V.shape[1]]
    nodes = [*first, act, helper.make_node(kind, ["h", "V"], ["y"], "y")]
    number = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph(
        nodes,
        "disguised",
        [helper.make_tensor_value_info("x", number, x)],
        [helper.make_tensor_value_info("y", number, y)],
        [numpy_helper.from_array(value.astype(dtype), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def arrays(proto):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}


def width(proto):
    """How many units the activation has: the length of the bias before it."""
    return next(len(value) for name, value in arrays(proto).items() if name == "b" or name.startswith("b/"))


@st.composite
def layers(draw):
    """Rows with the bias last, slopes and columns of a small net; some rows parallel to others, by small integers."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind, dtype = draw(st.sampled_from(["Gemm", "MatMul", "Conv"])), draw(st.sampled_from([np.float32, np.float16]))
    n, inputs, q = draw(st.integers(1, 6)), 4 * draw(st.integers(1, 2)), draw(st.integers(4, 6))
    rows, columns = away(rng, (n, inputs + 1), dtype), away(rng, (n, q), dtype)
    slopes = stored(rng.choice(SLOPES, n), dtype)
    if n > 2 and draw(st.booleans()):
        rows[-1] = rows[0] * draw(st.sampled_from([2.0, -0.5, 1.0]))
    if np.all(slopes == 1):
        slopes[0] = 0.25
    return rng, kind, dtype, rows, slopes, columns


@examples(1000)
@given(layers())
def test_a_disguised_layer_has_as_many_units_as_directions(layer):
    rng, kind, dtype, rows, slopes, columns = layer
    wide = model(kind, *disguised(rng, rows, slopes, columns, dtype), dtype)
    narrow, _ = rewritten(wide, to="prelu")
    assert width(narrow) == min(max(1, units_needed(rows, slopes, columns)), width(wide))
    shape = [dim.dim_value for dim in wide.graph.input[0].type.tensor_type.shape.dim]
    feeds = {"x": np.random.default_rng(0).normal(size=shape).astype(dtype)}
    assert_close(run(wide, feeds), run(narrow, feeds))


@examples(1000)
@given(layers(), st.integers(0, 2**32 - 1), st.sampled_from([1, -1]))
def test_a_near_miss_is_not_folded(layer, seed, sign):
    """Rows that are parallel but for one entry, of which there are two or more, stay."""
    _, kind, dtype, rows, _, columns = layer
    rng = np.random.default_rng(seed)
    rows, columns = rows[:1], columns[:2] if len(columns) > 1 else np.vstack([columns, -0.5 * columns])
    rows[:, rng.permutation(rows.shape[1])[rng.integers(2, rows.shape[1] + 1) :]] = 0
    if not np.any(rows[0, :-1]):
        rows[0, 0] = 1
    other = stored(sign * np.exp(rng.normal()) * rows[0], dtype)
    entry = rng.choice(np.flatnonzero(other))
    other[entry] *= 1 + rng.choice([-1, 1]) * (1e-4 if dtype == np.float32 else 3e-2)
    wide = model(kind, np.vstack([rows, stored(other, dtype)]), columns, dtype)
    assert rewritten(wide, to="prelu")[1] == []


@examples(1000)
@given(layers())
def test_what_a_split_made_folds_to_what_the_layer_folds_to(layer):
    """Also where rows are parallel, columns zero or units constant; bit for bit where the slopes are determined."""
    rng, kind, dtype, rows, slopes, columns = layer
    flat = np.append(np.zeros(rows.shape[1] - 1), 0.75)
    rows, columns = np.vstack([rows, flat, rows[0]]), np.vstack([columns, columns[:1], np.zeros_like(columns[:1])])
    prelu = model(kind, rows, columns, dtype, np.append(slopes, stored(rng.choice(SLOPES, 2), dtype)))
    wide, (choice,) = rewritten(prelu, form="split")
    if choice.form != "split":
        return  # every slope is 0, and so it is a Relu
    one, _ = rewritten(prelu, to="prelu")
    two, choices = rewritten(wide, to="prelu")
    assert [node.op_type for node in one.graph.node] == [node.op_type for node in two.graph.node]
    assert width(one) == width(two)
    if "several" not in choices[0].reason:
        assert sorted(value.tobytes() for value in arrays(one).values()) == sorted(
            value.tobytes() for value in arrays(two).values()
        )
