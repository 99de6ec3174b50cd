"""Each row of what may stand between an activation and a layer: it is passed through, and back; and its near misses."""

import numpy as np
import pytest
from onnx import numpy_helper

from onnx_prelu.graph.between import BETWEEN
from tests.oracle import assert_close, run
from tests.rewriting import rewritten
from tests.texts import feeds, from_text

X, C = "float[2,3,6,6] x", 4
BASE = {"A": (C, 3, 3, 3), "b": (C,), "a": np.array([[[0.25]], [[-0.5]], [[0.0]], [[1.5]]])}


def network(steps, consumer, *, weights=(), y="float[?,?] y", x=X, opset=17):
    """Conv, PRelu, some steps from h to s, and a layer that reads s."""
    body = f"z = Conv(x, A, b)  h = PRelu(z, a)  {steps}  {consumer}"
    return from_text(body, x, y, {**BASE, **dict(weights)}, opset=opset)


CONV = {"consumer": "y = Conv(s, V)", "weights": {"V": (5, C, 2, 2)}, "y": "float[?,?,?,?] y"}
POOLED = {"consumer": "y = Conv(s, V)", "weights": {"V": (5, C, 1, 1)}, "y": "float[?,?,?,?] y"}
SEQUENCE = {"consumer": "y = Conv(s, V)", "weights": {"V": (5, C, 2)}, "y": "float[?,?,?] y"}
GEMM_1 = {"consumer": "y = Gemm(s, V)", "weights": {"V": (C, 5)}}
GEMM_16 = {"consumer": "y = Gemm(s, V)", "weights": {"V": (C * 16, 5)}}


def with_weights(case, **more):
    return {**case, "weights": {**case["weights"], **more}}


def reshaped(case, *target, **more):
    return {"steps": "s = Reshape(h, t)", **with_weights(case, t=list(target)), **more}


def transposed(perm, more):
    return {"steps": f"t = Transpose <perm = {perm}> (h)  {more}"}


RESHAPE = "s = Reshape(t, r)"
LAST = {"consumer": "y = MatMul(s, V)", "weights": {"V": (C, 5)}, "y": "float[?,?,?,?] y"}
PADS = [0, 0, 1, 0, 0, 0, 0, 2]
BN = "s = BatchNormalization(h, k, q, m, v)"
BN_WEIGHTS = {"k": (C,), "q": (C,), "m": (C,), "v": np.array([0.5, 1.0, 2.0, 3.0])}
#: name: what to build. Each of them is split, runs as the original does, and is folded again.
PASSED = {
    "Add (C,1,1)": {"steps": "s = Add(h, c)", **with_weights(CONV, c=(C, 1, 1))},
    "Add (1,C,1,1), constant first": {"steps": "s = Add(c, h)", **with_weights(CONV, c=(1, C, 1, 1))},
    "AveragePool": {"steps": "s = AveragePool <kernel_shape = [2, 2], pads = [1, 1, 0, 0]> (h)", **CONV},
    "BatchNormalization": {"steps": BN, **with_weights(CONV, **BN_WEIGHTS)},
    "Dropout": {"steps": "s = Dropout(h)", **CONV},
    "Dropout, unread mask": {"steps": "s, mask = Dropout(h)", **CONV},
    "Dropout, not training": {
        "steps": "s = Dropout(h, r, t)", **with_weights(CONV, r=np.float32(0.5), t=np.bool_(False))},
    "Flatten": {"steps": "s = Flatten(h)", **GEMM_16},
    "Flatten, axis from the end": {"steps": "s = Flatten <axis = -3> (h)", **GEMM_16},
    "Flatten of an unknown space": {"steps": "s = Flatten(h)", **GEMM_16, "x": "float[2,3,H,W] x"},
    "GlobalAveragePool": {"steps": "s = GlobalAveragePool(h)", **POOLED},
    "Identity": {"steps": "d = Dropout(h)  s = Identity(d)", **CONV},
    "Mul": {"steps": "s = Mul(h, c)", **with_weights(CONV, c=(C, 1, 1))},
    "Mul by one number": {"steps": "s = Mul(c, h)", **with_weights(CONV, c=())},
    "Pad": {"steps": "s = Pad(h, p)", **with_weights(CONV, p=PADS)},
    "Pad with 0": {"steps": "s = Pad(h, p, f)", **with_weights(CONV, p=PADS, f=np.float32(0))},
    "Pad by the edge": {"steps": 's = Pad <mode = "edge"> (h, p)', **with_weights(CONV, p=PADS)},
    "Pad by attribute": {"steps": f"s = Pad <pads = {PADS}> (h)", **CONV, "opset": 10},
    "Pad by axes": {"steps": "s = Pad(h, p, , g)", **with_weights(CONV, p=[1, 0, 0, 1], g=[-1, 2]), "opset": 18},
    "ReduceMean": {"steps": "s = ReduceMean <axes = [2, 3]> (h)", **POOLED},
    "ReduceMean, axes gone": {"steps": "s = ReduceMean <axes = [-1, 2], keepdims = 0> (h)", **GEMM_1},
    "ReduceMean by input": {"steps": "s = ReduceMean <keepdims = 0> (h, g)", **with_weights(GEMM_1, g=[2, 3]),
                            "opset": 18},
    "ReduceMean of one axis": {"steps": "r = ReduceMean <axes = [2], keepdims = 0> (h)  s = Flatten(r)",
                               "consumer": "y = Gemm(s, V)", "weights": {"V": (C * 4, 5)}},
    "Reshape [0, -1]": reshaped(GEMM_16, 0, -1),
    "Reshape [-1, K]": reshaped(GEMM_16, -1, 64),
    "Reshape [N, K]": reshaped(GEMM_16, 2, 64),
    "Reshape of an unknown batch": reshaped(GEMM_16, -1, 64, x="float[N,3,6,6] x"),
    "Reshape of an unknown space": reshaped(GEMM_16, 0, -1, x="float[N,3,H,W] x"),
    "Reshape to a sequence": reshaped(SEQUENCE, 0, 0, -1, x="float[N,3,H,W] x"),
    "Reshape that splits space": reshaped(CONV, 2, C, 2, 8),
    "Reshape of a part of the space": reshaped(with_weights(SEQUENCE, V=(5, 16, 2)), 0, 16, 4),
    "Reshape of the batch": reshaped(with_weights(GEMM_1, V=(128, 5)), 1, 128),
    "Flatten of all": {"steps": "s = Flatten <axis = 0> (h)", **with_weights(GEMM_1, V=(128, 5))},
    "Transpose": {**transposed([0, 2, 3, 1], "s = Identity(t)"), **LAST},
    "Transpose, no perm": {"steps": "s = Transpose(h)", "consumer": "y = MatMul(V, s)", "weights": {"V": (5, C)},
                           "y": "float[?,?,?,?] y"},
    "Transpose, units innermost, Flatten": {**transposed([0, 3, 2, 1], "s = Flatten(t)"), **GEMM_16},
    "Transpose, units innermost, unknown batch": {**transposed([0, 3, 2, 1], "s = Flatten(t)"), **GEMM_16,
                                                  "x": "float[N,3,6,6] x"},
    "Transpose, units between, Flatten": {**transposed([0, 2, 1, 3], "s = Flatten(t)"), **GEMM_16},
    "Transpose, units outermost, unknown space": {**transposed([0, 1, 3, 2], "s = Flatten(t)"), **GEMM_16,
                                                  "x": "float[2,3,H,W] x"},
    "Transpose, Reshape [-1, K]": {**transposed([0, 3, 2, 1], RESHAPE), **with_weights(GEMM_16, r=[-1, 64])},
    "Transpose, Reshape [0, -1]": {**transposed([0, 2, 1, 3], RESHAPE), **with_weights(GEMM_16, r=[0, -1])},
    "Transpose, Reshape of a part": {**transposed([0, 2, 3, 1], RESHAPE), "consumer": "y = MatMul(s, V)",
                                     "weights": {"V": (16, 5), "r": [0, 0, -1]}, "y": "float[?,?,?] y"},
    "Transpose, Reshape, Reshape": {
        **transposed([0, 2, 3, 1], "u = Reshape(t, r)  s = Flatten(u)"), **with_weights(GEMM_16, r=[2, 4, 16])},
    "Transpose, Flatten, Mul, Add, BatchNormalization": {
        **transposed([0, 2, 1, 3], f"f = Flatten(t)  e = Mul(f, c)  d = Add(e, g)  {BN.replace('(h', '(d')}"),
        **with_weights(GEMM_16, c=(64,), g=(1, 64), k=(64,), q=(64,), m=(64,), v=np.linspace(0.5, 2, 64))},
    "one after the other": {
        "steps": f"{BN.replace('s =', 'd =')}  e = AveragePool <kernel_shape = [2, 2]> (d)  g = Mul(e, c)"
                 "  f = Add(g, d2)  s = Flatten(f)",
        "consumer": "y = Gemm(s, V)", "weights": {"V": (C * 9, 5), "c": (1, C, 1, 1), "d2": (C, 1, 1), **BN_WEIGHTS}},
}  # fmt: skip


def constants(model, *names):
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer if t.name in names or not names}


@pytest.mark.parametrize("slope_in", ["consumer", "producer"])
@pytest.mark.parametrize("name", PASSED)
def test_it_is_passed_through_and_back(name, slope_in):
    model = network(**PASSED[name])
    wide, (choice,) = rewritten(model, form="split", slope_in=slope_in)
    assert choice.form == "split", choice.reason
    assert [n.op_type for n in wide.graph.node] == [
        "Relu" if n.op_type == "PRelu" else n.op_type for n in model.graph.node
    ]
    given = feeds(model)
    if "H" in PASSED[name].get("x", ""):
        given = {"x": np.random.default_rng(0).normal(size=(2, 3, 6, 6)).astype(np.float32)}
    expected = run(model, given)
    assert_close(expected, run(wide, given))
    back, (choice,) = rewritten(wide, to="prelu")
    assert choice.form == "fold"
    assert_close(expected, run(back, given))
    before, after = list(constants(model).values()), list(constants(back).values())
    assert sorted(v.tobytes() for v in before) == sorted(v.tobytes() for v in after)


def test_every_row_that_passes_is_tested():
    rows = {op for op in BETWEEN if "MaxPool" not in op}
    assert rows == {op for op in rows if any(name.startswith(op) for name in PASSED)}


def test_what_is_added_stands_on_one_lane_of_each_unit():
    wide, _ = rewritten(network(**PASSED["Add (C,1,1)"]), form="split")
    added = constants(wide, "c/split")["c/split"].reshape(-1)
    assert added[:C].all()
    assert added[C:].tolist() == [0, 0, 0]


def test_a_shape_counts_lanes():
    wide, _ = rewritten(network(**PASSED["Reshape [-1, K]"]), form="split")
    assert constants(wide, "t/split")["t/split"].tolist() == [-1, 7 * 16]


NOT = "between-not-linear"
#: name: (what to build, the code, the node)
NEAR_MISSES = {
    "MaxPool": ({"steps": "s = MaxPool <kernel_shape = [2, 2]> (h)", **CONV}, NOT, "n_s"),
    "GlobalMaxPool": ({"steps": "s = GlobalMaxPool(h)", **POOLED}, NOT, "n_s"),
    "Dropout, training": ({"steps": "s = Dropout(h, r, t)", **with_weights(CONV, r=np.float32(0.5), t=np.bool_(True))},
                          NOT, "n_s"),
    "Dropout, mask read": ({"steps": "s, m = Dropout(h)  o = Not(m)", **CONV}, NOT, "n_s"),
    "Flatten with the batch": ({"steps": "s = Flatten <axis = 2> (h)", **with_weights(GEMM_1, V=(16, 5))}, NOT, "n_s"),
    "Flatten of all, unknown batch": ({"steps": "s = Flatten <axis = 0> (h)", **with_weights(GEMM_1, V=(128, 5)),
                                       "x": "float[N,3,6,6] x"}, NOT, "n_s"),
    "Reshape of an unknown batch": (reshaped(with_weights(GEMM_1, V=(128, 5)), 1, 128, x="float[N,3,6,6] x"),
                                    NOT, "n_s"),
    "Transpose, Flatten of an unknown space": (
        {**transposed([0, 3, 2, 1], "s = Flatten(t)"), **GEMM_16, "x": "float[2,3,H,W] x"}, NOT, "n_s"),
    "Transpose, Reshape of an unknown space": (
        {**transposed([0, 3, 2, 1], RESHAPE), **with_weights(GEMM_16, r=[2, 64]),
         "x": "float[2,3,H,W] x"}, NOT, "n_s"),
    "Transpose, units in the rows": (
        {**transposed([0, 1, 2, 3], "s = Flatten <axis = 2> (t)"), **with_weights(GEMM_1, V=(16, 5))}, NOT, "n_s"),
    "Transpose, Reshape across units": (
        {**transposed([0, 2, 3, 1], RESHAPE), **with_weights(CONV, r=[2, 4, 8, 2], V=(5, 4, 1, 1))},
        NOT, "n_s"),
    "Transpose before a Conv": ({**transposed([0, 2, 1, 3], "s = Identity(t)"), **CONV}, "consumer-not-linear", "n_y"),
    "Transpose before a pool": (
        {**transposed([0, 2, 3, 1], "p = GlobalAveragePool(t)  s = Flatten(p)"), **GEMM_1}, NOT, "n_p"),
    "Transpose, units once for each group": (
        {**transposed([0, 2, 1, 3], RESHAPE), "consumer": "y = Conv <group = 4> (s, V)",
         "weights": {"V": (4, 4, 1), "r": [2, 16, 4]}, "y": "float[?,?,?] y"}, "group-layout", "n_y"),
    "Reshape across units": (reshaped(with_weights(SEQUENCE, V=(5, 2, 2)), 2, 2, 32), NOT, "n_s"),
    "Reshape that copies the units elsewhere": (
        {"steps": "d = Reshape(h, t)  s = Reshape(d, u)", "x": "float[1,3,4,4] x",
         **with_weights(CONV, t=[4, 0, 1], u=[1, 4, 2, 2])}, NOT, "n_d"),
    "Reshape that copies another size for the units": (
        {"steps": "d = Reshape(h, t)  s = Reshape(d, u)", "x": "float[1,3,6,4] x",
         **with_weights(CONV, t=[1, 1, 0, 8], u=[1, 4, 4, 2])}, NOT, "n_d"),
    "Reshape to a computed shape": ({"steps": "t = Shape(x)  s = Reshape(h, t)", **CONV, "x": "float[2,4,4,4] x",
                                     "weights": {"V": (5, C, 2, 2), "A": (C, C, 1, 1)}}, "runtime-weight", "n_s"),
    "Pad of units": ({"steps": "s = Pad(h, p)", **with_weights(CONV, p=[0, 1, 0, 0, 0, 0, 0, 0], V=(5, 5, 2, 2))},
                     NOT, "n_s"),
    "Pad with 1": ({"steps": "s = Pad(h, p, f)", **with_weights(CONV, p=PADS, f=np.float32(1))}, NOT, "n_s"),
    "ReduceMean over units": ({"steps": "s = ReduceMean <axes = [1]> (h)", **with_weights(CONV, V=(5, 1, 2, 2))},
                              NOT, "n_s"),
    "ReduceMean over all": ({"steps": "s = ReduceMean(h)", **with_weights(POOLED, V=(5, 1, 1, 1))}, NOT, "n_s"),
    "Add over space": ({"steps": "s = Add(h, c)", **with_weights(CONV, c=(4, 4))}, "unsupported-layout", "n_s"),
    "Mul over space": ({"steps": "s = Mul(h, c)", **with_weights(CONV, c=(C, 1, 4))}, "unsupported-layout", "n_s"),
    "Add of the activation": ({"steps": "s = Add(h, h)", **CONV}, "consumer-not-linear", "n_s"),
    "BatchNormalization, training": (
        {"steps": f"s, u, w = {BN[4:]}".replace("Normalization", "Normalization <training_mode = 1>"),
         **with_weights(CONV, **BN_WEIGHTS)}, "unsupported-layout", "n_s"),
    "Tanh behind a step": ({"steps": "d = Dropout(h)  s = Tanh(d)", **CONV}, "consumer-not-linear", "n_s"),
    "a step is an output": ({"steps": "s = Dropout(h)", **CONV, "y": "float[?,?,?,?] y, float[?,?,?,?] s"},
                            "graph-output", "n_s"),
    "MatMul over space": ({"steps": "s = Dropout(h)", "consumer": "y = MatMul(s, V)", "weights": {"V": (4, 5)},
                           "y": "float[?,?,?,?] y"}, "consumer-not-linear", "n_y"),
    "groups that split units": (
        {**reshaped({"consumer": "y = Conv <group = 8> (s, V)", "weights": {"V": (8, 2, 1)}, "y": "float[?,?,?] y"},
                    0, 16, 4)}, "group-layout", "n_y"),
}  # fmt: skip


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_near_misses_are_refused(name):
    case, code, node = NEAR_MISSES[name]
    _, (choice,) = rewritten(network(**case), form="split")
    assert choice.form == "mirror"
    assert (choice.refusals["split"].code, choice.refusals["split"].node) == (code, node)


def test_a_step_needs_a_known_rank():
    body = "z = MatMul(x, A)  h = PRelu(z, a)  s = Flatten <axis = 1> (h)  y = Gemm(s, V)"
    weights = {"A": (3, 4), "a": (4,), "V": (4, 2), "t": [1]}
    for step in ("Flatten <axis = 1>", "Transpose"):
        text = "x = Reshape(x0, t0)  " + body.replace("Flatten <axis = 1>", step)
        model = from_text(text, "float[N] x0, int64[K] t0", "float[?,?] y", weights)
        _, (choice,) = rewritten(model, form="split")
        assert (choice.refusals["split"].code, choice.refusals["split"].node) == ("unknown-shape", "n_s")
