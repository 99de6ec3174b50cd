"""Layers that become narrower: which units go where, what the bias takes, and where a unit has to stay."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import onnx_prelu
from tests.oracle import assert_close, run
from tests.rewriting import rewritten
from tests.texts import feeds, from_text

RNG = np.random.default_rng(3)


def arrays(model):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def random(*shape):
    return RNG.normal(size=shape)


def kernel(units, inputs=3, **planted):
    """Random kernels (units, inputs, 2, 2) or rows; ``u3=(0, 2.0)``: unit 3 is unit 0 times 2; ``u3=0``: zeros."""
    return plant(random(units, inputs, 2, 2), **planted)


def plant(rows, **planted):
    for name, what in planted.items():
        rows[int(name[1:])] = 0 if what == 0 else rows[what[0]] * what[1]
    return rows


def narrowed(model, **how):
    """Units after a fold, checked with ONNX Runtime against the original, and by rewrite's own check."""
    result = onnx_prelu.rewrite(model, to="prelu", providers=["cpu"], **how)
    onnx.checker.check_model(result.model, full_check=True)
    assert_close(run(model, feeds(model)), run(result.model, feeds(model)))
    assert not [note for note in result.report.notes if "small model" in note]
    again = onnx_prelu.rewrite(result.model, to="prelu", providers=["cpu"])
    assert again.model.SerializeToString() == result.model.SerializeToString()
    return result


def counts(model, **how):
    found = narrowed(model, **how).report.sites
    return [site.narrowing and (site.narrowing.before, site.narrowing.after) for site in found if site.form]


def ops(model):
    return [node.op_type for node in model.graph.node]


CONV = "z = Conv(x, A, b)  h = Relu(z)  "
IMAGE, OUT = "float[2,3,6,5] x", "float[?,?,?,?] y"


def conv(behind, A, b, V, outputs=OUT, **weights):
    return from_text(CONV + behind, IMAGE, outputs, {"A": A, "b": np.asarray(b, float), "V": V, **weights})


def with_flat_unit(behind, V=None, **weights):
    """Four units, of which the third is 0·x + 0.5."""
    V = random(2, 4, 2, 2) if V is None else V
    return conv(behind, kernel(4, u2=0), [0.1, -0.2, 0.5, 0.3], V, **weights)


#: name: what reads a layer in which one of four units is constant
MOVED = {
    "a Conv without bias": with_flat_unit("y = Conv(h, V)"),
    "a Conv with bias": with_flat_unit("y = Conv(h, V, c)", c=random(2)),
    "a strided Conv": with_flat_unit("y = Conv <strides = [2, 1], dilations = [1, 2]> (h, V, c)", c=random(2)),
    "auto_pad VALID": with_flat_unit('y = Conv <auto_pad = "VALID"> (h, V)'),
    "a pool": with_flat_unit("p = AveragePool <kernel_shape = [2, 2], pads = [1, 1, 0, 0]> (h)  y = Conv(p, V)"),
    "a maximum": with_flat_unit("p = MaxPool <kernel_shape = [2, 2], pads = [1, 1, 0, 0]> (h)  y = Conv(p, V)"),
    "Pad with its own values": with_flat_unit(
        'p = Pad <mode = "edge"> (h, e)  y = Conv(p, V)', e=[0, 0, 1, 1, 0, 0, 0, 0]),
    "BatchNormalization": with_flat_unit(
        "p = BatchNormalization <epsilon = 0.01> (h, k, q, m, v)  y = Conv(p, V)",
        k=random(4), q=random(4), m=random(4), v=np.array([0.5, 1.0, 2.0, 3.0])),
    "Mul and Add": with_flat_unit(
        "p = Mul(h, k)  q = Mul(g, p)  r = Add(c, q)  y = Conv(r, V)",
        k=random(4, 1, 1), g=np.array(1.5), c=random(1, 4, 1, 1)),
    "a Flatten and a Gemm": conv(
        "f = Flatten(h)  y = Gemm <alpha = 0.5, beta = 2.0> (f, V, c)", kernel(4, u2=0), [0.1, -0.2, 0.5, 0.3],
        random(80, 3), "float[2,3] y", c=random(1, 3)),
    "a Gemm without bias": conv(
        "f = Flatten(h)  y = Gemm <alpha = 0.5, beta = 2.0, transB = 1> (f, V)", kernel(4, u2=0), [0.1, -0.2, 0.5, 0.3],
        random(3, 80), "float[2,3] y"),
    "a MatMul without bias": conv(
        "f = Flatten(h)  y = MatMul(f, V)", kernel(4, u2=0), [0.1, -0.2, 0.5, 0.3], random(80, 3), "float[2,3] y"),
    "a MatMul and its Add": conv(
        "f = Flatten(h)  p = MatMul(f, V)  y = Add(c, p)", kernel(4, u2=0), [0.1, -0.2, 0.5, 0.3], random(80, 3),
        "float[2,3] y", c=random(3)),
    "a MatMul that another reads too": conv(
        "f = Flatten(h)  p = MatMul(f, V)  y = Add(c, p)  o = Neg(p)", kernel(4, u2=0), [0.1, -0.2, 0.5, 0.3],
        random(80, 3), "float[2,3] y, float[2,3] o", c=random(3)),
    "factors behind a Flatten": conv(
        "f = Flatten(h)  g = Mul(f, k)  s = Add(g, t)  y = Gemm(s, V)", kernel(4, u2=0), [0.1, -0.2, 0.5, 0.3],
        random(80, 3), "float[2,3] y", k=random(80), t=random(80)),
    "two layers": with_flat_unit(
        "y = Conv(h, V)  g = GlobalAveragePool(h)  f = Flatten(g)  o = MatMul(f, W)", W=random(4, 2),
        outputs=OUT + ", float[2,2] o"),
    "groups": with_flat_unit("y = Conv <group = 1> (h, V)"),
}  # fmt: skip


@pytest.mark.parametrize("name", MOVED)
def test_a_constant_unit_goes_into_the_bias(name):
    (site,) = narrowed(MOVED[name]).report.sites
    assert (site.form, site.narrowing.after, site.narrowing.constant) == ("reduce", 3, 1)


#: name: what reads the same layer, and sees something else than the constant somewhere
STAYS = {
    "a Conv that pads": with_flat_unit("y = Conv <pads = [0, 0, 0, 1]> (h, V)"),
    "auto_pad SAME": with_flat_unit('y = Conv <auto_pad = "SAME_UPPER"> (h, V)'),
    "a Conv that pads and one that does not": with_flat_unit(
        "y = Conv(h, V)  o = Conv <pads = [0, 0, 1, 0]> (h, V)", outputs=OUT + ", float[?,?,?,?] o"),
    "a ConvTranspose": with_flat_unit("y = ConvTranspose(h, V)", V=random(4, 2, 2, 2)),
    "Pad with zeros": with_flat_unit("p = Pad(h, e)  y = Conv(p, V)", e=[0, 0, 1, 1, 0, 0, 0, 0]),
    "a pool that counts its padding": with_flat_unit(
        "p = AveragePool <kernel_shape = [2, 2], pads = [1, 1, 0, 0], count_include_pad = 1> (h)  y = Conv(p, V)"),
    "a Gemm whose bias counts for nothing": conv(
        "f = Flatten(h)  y = Gemm <beta = 0.0> (f, V, c)", kernel(4, u2=0), [0.1, -0.2, 0.5, 0.3], random(80, 3),
        "float[2,3] y", c=random(3)),
}  # fmt: skip


@pytest.mark.parametrize("name", STAYS)
def test_a_constant_unit_stays_where_a_border_would_see_that_it_is_gone(name):
    assert counts(STAYS[name]) == []


def test_a_constant_unit_that_is_never_above_zero_goes_whatever_pads():
    behind, V = "y = Conv <pads = [1, 1, 1, 1]> (h, V)", random(2, 3, 2, 2)
    (site,) = narrowed(conv(behind, kernel(3, u1=0), [0.1, -2.0, 0.3], V)).report.sites
    assert (site.narrowing.after, site.narrowing.dropped) == (2, 1)


def test_a_constant_unit_that_is_always_below_zero_counts_for_what_its_slope_makes_of_it():
    body = "z = Conv(x, A, b)  h = PRelu(z, a)  y = Conv(h, V)"
    weights = {"A": kernel(3, u1=0), "b": np.array([0.1, -2.0, 0.3]), "V": random(2, 3, 2, 2),
               "a": np.array([0.1, 0.25, 0.5]).reshape(3, 1, 1)}  # fmt: skip
    assert counts(from_text(body, IMAGE, OUT, weights)) == [(3, 2)]


def test_a_scale_of_zero_makes_a_unit_constant():
    body = "p = Conv(x, A)  z = BatchNormalization(p, k, q, m, v)  h = Relu(z)  y = Conv(h, V)"
    weights = {"A": kernel(3), "k": np.array([1.0, 0.0, 0.5]), "q": np.array([0.1, 0.7, -0.1]), "m": random(3),
               "v": np.ones(3), "V": random(2, 3, 2, 2)}  # fmt: skip
    (site,) = narrowed(from_text(body, IMAGE, OUT, weights)).report.sites
    assert (site.narrowing.after, site.narrowing.constant) == (2, 1)


# ── units that are multiples of each other ────────────────────────────────────────────────────────────────────


def gemm(A, V, activation="h = Relu(z)", **weights):
    """Rows of A with the bias last."""
    weights = {"A": A[:, :-1], "b": A[:, -1], "V": V, **weights}
    return from_text(
        f"z = Gemm <transB = 1> (x, A, b)  {activation}  y = MatMul(h, V)",
        f"float[8,{A.shape[1] - 1}] x", f"float[8,{V.shape[1]}] y", weights)  # fmt: skip


def test_parallel_units_are_merged_and_their_columns_added_up():
    A, V = plant(random(3, 5), u2=(0, 2.0)), random(3, 4)
    result = narrowed(gemm(A, V))
    (site,) = result.report.sites
    assert (site.form, ops(result.model)[1], site.narrowing.merged) == ("reduce", "Relu", 1)
    stored = V.astype(np.float32).astype(float)
    merged = np.stack([stored[0] + 2 * stored[2], stored[1]]).astype(np.float32)
    np.testing.assert_array_equal(next(value for name, value in arrays(result.model).items() if "V" in name), merged)


def test_two_sides_that_are_not_parallel_stay_two_units():
    A, V = plant(random(4, 5), u1=(0, 2.0), u2=(0, -0.5), u3=(0, -4.0)), random(4, 4)
    result = narrowed(gemm(A, V))
    assert ops(result.model) == ["Gemm", "Relu", "MatMul"]
    assert result.report.sites[0].narrowing.after == 2


def test_sides_that_are_parallel_only_when_they_are_merged():
    """Copies of both sides, none of which pairs with another."""
    A, V = plant(random(4, 5), u1=(0, 2.0), u2=(0, -0.5), u3=(0, -4.0)), random(4, 4)
    V[3] = (-0.25 * (V[0] + 2 * V[1]) - 0.5 * V[2]) / 4
    result = narrowed(gemm(A, V))
    (site,) = result.report.sites
    assert (site.form, site.narrowing.after) == ("fold", 1)
    slope = next(value for name, value in arrays(result.model).items() if "slope" in name)
    np.testing.assert_allclose(slope, [0.25], rtol=1e-6)


def test_columns_that_cancel_leave_nothing():
    A, V = plant(random(3, 5), u2=(0, 2.0)), random(3, 4)
    A[1, -1], V[2] = 3, -0.5 * V[0]
    assert counts(gemm(A, V)) == [(3, 1)]


def test_a_layer_keeps_one_unit_whatever_nobody_reads():
    result = narrowed(gemm(random(3, 5), np.zeros((3, 4))))
    assert result.report.sites[0].narrowing.after == 1


@pytest.mark.parametrize(("slopes", "after"), [([0.25, -0.5, 0.25], 2), ([0.25, -0.5, 0.5], None)])
def test_prelu_units_of_one_slope_are_merged(slopes, after):
    A, V = plant(random(3, 5), u2=(0, 3.0)), random(3, 4)
    model = gemm(A, V, "h = PRelu(z, a)", a=np.array(slopes))
    assert counts(model) == ([] if after is None else [(3, after)])
    if after:
        (kept,) = [value for name, value in arrays(narrowed(model).model).items() if "slope" in name]
        np.testing.assert_array_equal(kept, np.array([0.25, -0.5], np.float32))


def test_prelu_units_that_face_each_other_and_add_up_to_one():
    """v·PReLU_a(z) and w·PReLU_b(−z): P = v − b·w and N = a·v − w, which are parallel where w is a multiple of v."""
    A, V = plant(random(3, 5), u2=(0, -1.0)), random(3, 4)
    V[2] = 0.5 * V[0]
    assert counts(gemm(A, V, "h = PRelu(z, a)", a=np.array([0.25, -0.5, 0.125]))) == [(3, 2)]


def test_three_prelu_units_of_one_direction_become_two_relus():
    A, V = plant(random(3, 5), u1=(0, 2.0), u2=(0, 3.0)), random(3, 4)
    result = narrowed(gemm(A, V, "h = PRelu(z, a)", a=np.array([0.25, -0.5, 0.125])))
    assert ops(result.model) == ["Gemm", "Relu", "MatMul"]
    assert result.report.sites[0].narrowing.after == 2


@pytest.mark.parametrize("activation", ["LeakyRelu <alpha = 0.3> (z)", "PRelu(z, a)"])
def test_an_activation_of_one_slope_stays_what_it_is(activation):
    A, V = plant(random(3, 5), u2=(1, 0.125)), random(3, 4)
    model = gemm(A, V, f"h = {activation}", a=np.array([0.3]))
    result = narrowed(model)
    assert result.report.sites[0].narrowing.after == 2
    before, after = model.graph.node[1], result.model.graph.node[1]
    assert (after.op_type, after.input[1:], after.attribute) == (before.op_type, before.input[1:], before.attribute)


def test_a_unit_counts_if_any_reader_reads_it():
    A, V, W = random(3, 5), random(3, 4), random(3, 2)
    V[[0, 1]], W[[1, 2]] = 0, 0
    model = from_text("z = MatMul(x, A)  h = Relu(z)  y = MatMul(h, V)  o = MatMul(h, W)",
                      "float[8,5] x", "float[8,4] y, float[8,2] o", {"A": A.T, "V": V, "W": W})  # fmt: skip
    (site,) = narrowed(model).report.sites
    assert (site.narrowing.after, site.narrowing.dropped) == (2, 1)


def test_columns_of_all_readers_have_to_agree():
    """One reader sees a PReLU unit, the other one does not: both units stay."""
    A, V, W = plant(random(2, 5), u1=(0, -1.0)), random(2, 4), random(2, 2)
    V[1] = -0.5 * V[0]
    model = from_text("z = MatMul(x, A)  h = Relu(z)  y = MatMul(h, V)  o = MatMul(h, W)",
                      "float[8,5] x", "float[8,4] y, float[8,2] o", {"A": A.T, "V": V, "W": W})  # fmt: skip
    assert counts(model) == []


# ── products below the normal range ───────────────────────────────────────────────────────────────────────────


def test_rows_that_lost_their_bits_are_not_merged():
    """Of a row times 1e-43 little is left, and with columns that large, what was lost would count."""
    A, V = plant(random(3, 5), u2=(0, 1e-43)), random(3, 4)
    V[2] *= 1e37
    assert counts(gemm(A, V)) == []
    A, V = plant(random(3, 5), u2=(0, 1e-30)), random(3, 4)
    V[2] *= 1e30
    assert counts(gemm(A, V)) == [(3, 2)]


@pytest.mark.parametrize("slope", [1e-38, 1e-43])
def test_a_slope_that_would_make_rows_denormal_comes_back(slope):
    """Asked to put it into the producer, split takes the consumer; rows that another tool wrote so pair as well."""
    A, V, a = random(3, 5), random(3, 4), np.array([slope, 0.25, -slope])
    model = gemm(A, V, "h = PRelu(z, a)", a=a)
    wide, (choice,) = rewritten(model, form="split", slope_in="producer")
    assert "2 of 3 units have their slope in the consumer" in choice.reason
    back, _ = rewritten(wide, to="prelu")
    assert [arrays(back)[name].tobytes() for name in ("A/split/fold", "V/split/fold")] == [
        arrays(model)[name].tobytes() for name in ("A", "V")
    ]
    rows, columns = A.astype(np.float32).astype(float), V.astype(np.float32).astype(float)
    by_hand = gemm(np.vstack([rows, -np.abs(a)[:, None] * rows]), np.vstack([columns, -np.sign(a)[:, None] * columns]))
    assert counts(by_hand) == [(6, 3)]


# ── pools ─────────────────────────────────────────────────────────────────────────────────────────────────────

POOLS = {"MaxPool": "MaxPool <kernel_shape = [2, 2]> (h)", "AveragePool": "AveragePool <kernel_shape = [2, 2]> (h)"}


@pytest.mark.parametrize(("pool", "scale", "after"), [
    ("AveragePool", 2.0, 3), ("AveragePool", -2.0, 3), ("MaxPool", 2.0, 3), ("MaxPool", -2.0, None),
])  # fmt: skip
def test_a_maximum_lets_through_what_is_a_positive_multiple(pool, scale, after):
    A, V = kernel(4, u3=(1, scale)), random(2, 4, 2, 2)
    b = np.array([0.1, 0.2, 0.3, 0.2 * scale])
    V[:, 3] = -0.3 * V[:, 1]
    assert counts(conv(f"p = {POOLS[pool]}  y = Conv(p, V)", A, b, V)) == ([] if after is None else [(4, after)])


def test_a_maximum_keeps_units_of_two_slopes_apart():
    body = f"z = Conv(x, A)  h = PRelu(z, a)  p = {POOLS['MaxPool']}  y = Conv(p, V)"
    for slopes, after in (([0.25, 0.5, 0.25], [(3, 2)]), ([0.25, 0.25, 0.5], [])):
        weights = {"A": kernel(3, u2=(0, 2.0)), "a": np.reshape(slopes, (3, 1, 1)), "V": random(2, 3, 2, 2)}
        assert counts(from_text(body, IMAGE, OUT, weights)) == after


def test_indices_of_a_maximum_keep_the_layer():
    behind = "p, i = MaxPool <kernel_shape = [2, 2]> (h)  y = Conv(p, V)  o = Identity(i)"
    model = conv(behind, kernel(4, u3=(1, 2.0)), [0, 0, 0, 0], random(2, 4, 2, 2), OUT + ", int64[?,?,?,?] o")
    assert counts(model) == []


# ── groups ────────────────────────────────────────────────────────────────────────────────────────────────────


def grouped(A, V, producer=2, consumer=2):
    body = f"z = Conv <group = {producer}> (x, A)  h = Relu(z)  y = Conv <group = {consumer}> (h, V)"
    return from_text(body, "float[2,4,6,5] x", OUT, {"A": A, "V": V})


def test_units_of_one_group_on_both_sides_are_merged():
    assert counts(grouped(kernel(6, 2, u2=(0, 2.0), u5=(3, 4.0)), random(4, 3, 2, 2))) == [(6, 4)]


@pytest.mark.parametrize(("producer", "consumer"), [(2, 2), (1, 2), (2, 1)])
def test_units_of_two_groups_are_not(producer, consumer):
    A, V = kernel(4, 4 // producer, u2=(0, 2.0), u3=(1, 2.0)), random(4, 4 // consumer, 2, 2)
    assert counts(grouped(A, V, producer, consumer)) == []


def test_groups_keep_equally_many_units_with_one_that_counts_for_nothing_if_need_be():
    """Of the first group two of four could go, of the second one only one."""
    A, V = kernel(8, 2, u1=(0, 2.0), u2=(0, 3.0), u5=(4, 2.0)), random(4, 4, 2, 2)
    assert counts(grouped(A, V)) == [(8, 6)]


# ── weights that others read, and that callers can change ─────────────────────────────────────────────────────


def test_weights_that_others_read_are_copied():
    A, V = plant(random(3, 3), u2=(0, 2.0)), random(3, 3)
    model = from_text("z = MatMul(x, A)  h = Relu(z)  y = MatMul(h, V)  p = MatMul(x, A)  o = MatMul(p, V)",
                      "float[8,3] x", "float[8,3] y, float[8,3] o", {"A": A.T, "V": V})  # fmt: skip
    assert counts(model) == [(3, 2)]
    assert {"A", "V"} < arrays(narrowed(model).model).keys()


@pytest.mark.parametrize("name", ["A", "V", "c"])
def test_weights_that_a_caller_can_change_are_left_alone(name):
    A, V = plant(random(3, 4), u2=(0, 2.0)), random(3, 2)
    weights = {"A": A.T, "V": V, "c": random(2)}
    sizes = {"A": "4,3", "V": "3,2", "c": "2"}
    body, inputs = "z = MatMul(x, A)  h = Relu(z)  y = Gemm(h, V, c)", f"float[8,4] x, float[{sizes[name]}] {name}"
    model = from_text(body, inputs, "float[8,2] y", weights)
    assert rewritten(model, to="prelu")[1] == []
    assert rewritten(model, to="prelu", freeze=True)[1][0].narrowing.after == 2


@pytest.mark.parametrize(("opset", "attribute", "found"), [(6, "<broadcast = 1>", []), (7, "", [2])])
def test_an_add_that_does_not_broadcast_is_no_bias(opset, attribute, found):
    body = f"z = Gemm {attribute} (x, A, b)  h = Relu(z)  y = MatMul(h, V)"
    weights = {"A": plant(random(3, 4), u1=0).T, "b": np.array([0.1, 0.5, -0.2]), "V": random(3, 2)}
    model = from_text(body, "float[8,4] x", "float[8,2] y", weights, opset=opset)
    assert [choice.narrowing.after for choice in rewritten(model, to="prelu")[1]] == found


def test_a_layer_inside_a_body():
    inner = "\n".join(["z = MatMul(x, A)", "p = Add(z, b)", "h = Relu(p)", "q = MatMul(h, V)"])
    other = "else_branch: graph = else () => (float[8,2] r) { r = MatMul(x, W) }"
    text = f"y = If (c) <then_branch: graph = then () => (float[8,2] q) {{ {inner} }}, {other}>"
    weights = {"A": plant(random(3, 4), u1=0).T, "b": np.array([0.1, 0.5, -0.2]), "V": random(3, 2), "W": random(4, 2)}
    model = from_text(text, "float[8,4] x, bool c", "float[8,2] y", weights)
    result, (choice,) = rewritten(model, to="prelu")
    assert (choice.form, choice.narrowing.constant) == ("reduce", 1)
    for c in (True, False):
        inputs = {"x": feeds(model)["x"], "c": np.array(c)}
        assert_close(run(model, inputs), run(result, inputs))


# ── one layer after the other ─────────────────────────────────────────────────────────────────────────────────


def test_what_goes_behind_frees_what_stands_before():
    """Nothing reads the second unit of the last layer, and it alone reads the second one of the layer before."""
    A, C = random(3, 4), random(3, 2)
    C[1] = 0
    B = np.array([[1.0, 0.0, -2.0], [0.3, 0.7, -0.2], [-1.0, 0.0, 0.5]])  # of both signs: nothing is proven of a row
    model = from_text("z = MatMul(x, A)  h = Relu(z)  g = MatMul(h, B)  k = Relu(g)  y = MatMul(k, C)",
                      "float[8,4] x", "float[8,2] y", {"A": A.T, "B": B.T, "C": C})  # fmt: skip
    assert counts(model) == [(3, 2), (3, 2)]


def test_what_is_merged_before_makes_rows_behind_parallel_and_a_layer_is_folded_twice():
    """Two rows differ in two columns of which only the sum counts, as the units that they read are copies."""
    A, B, C = plant(random(4, 4), u2=(0, 1.0)), random(4, 4), random(4, 2)
    B[:, 1], B[:, 3] = [1.0, 1.0, 0.3, 1.0], [-0.7, 1.0, -2.0, 1.0]  # of both signs: nothing is proven of a row
    B[1] = 2 * B[0]
    B[1, [0, 2]] = 2 * B[0, [2, 0]]
    B[3] = -B[2]
    C[3] = -0.5 * C[2]
    model = from_text("z = MatMul(x, A)  h = Relu(z)  g = MatMul(h, B)  k = Relu(g)  y = MatMul(k, C)",
                      "float[8,4] x", "float[8,2] y", {"A": A.T, "B": B.T, "C": C})  # fmt: skip
    result = narrowed(model)
    first, second = result.report.sites
    assert (first.form, first.narrowing.before, first.narrowing.after) == ("reduce", 4, 3)
    assert (second.form, second.narrowing.before, second.narrowing.after) == ("fold", 4, 2)
    assert (second.narrowing.paired, second.narrowing.merged) == (1, 1)


def test_a_spelled_prelu_is_written_as_one_and_then_narrowed():
    A, V = plant(random(3, 5), u2=(0, 2.0)), random(3, 4)
    prelu = gemm(A, V, "h = PRelu(z, a)", a=np.array([0.25, -0.5, 0.25]))
    mirror, _ = rewritten(prelu, form="mirror")
    result = narrowed(mirror)
    (site,) = result.report.sites
    assert (site.form, site.narrowing.before, site.narrowing.after) == ("prelu", 3, 2)
    assert ops(result.model) == ["Gemm", "PRelu", "MatMul"]


def test_a_site_that_is_refused_or_not_meant_is_not_narrowed():
    A, V = plant(random(3, 5), u2=(0, 2.0)), random(3, 4)
    model = gemm(A, V, "h = PRelu(z, a)", a=np.array([0.25, -0.5, 0.25]))
    result = onnx_prelu.rewrite(model, to="prelu", skip=["n_h"], providers=["cpu"])
    assert result.report.sites == ()
    assert [site.possible for site in onnx_prelu.inspect(model).sites if "reduce" in site.possible]


@pytest.mark.parametrize(
    ("scale", "gaps", "expected"), [(1.0, 0, ("exact", 0.0)), (0.7, 0, ("rounding", 0.5)), (0.7, 3, ("rounding", 4.0))]
)
def test_the_class_of_slopes_and_by_how_much_weights_are_off_are_told(scale, gaps, expected):
    """A pair as it was split, one that was scaled since, and one that was rounded worse than once."""
    rng = np.random.default_rng(12)
    A, V = rng.uniform(0.5, 2, (1, 9)).astype(np.float32), rng.uniform(0.5, 2, (8, 1)).astype(np.float32)
    lower, right = (-scale * A).astype(np.float32), (-0.3 / scale * V).astype(np.float32)
    lower = np.nextafter(lower, np.float32(-9)) if gaps else lower
    for _ in range(gaps):
        lower[0, 0], lower[0, 1] = np.nextafter(lower[0, 0], np.float32(0)), np.nextafter(lower[0, 1], np.float32(-9))
    weights = {"A": np.vstack([A, lower]), "V": np.concatenate([V, right], axis=1)}
    body = "z = Gemm <transB = 1> (x, A)  h = Relu(z)  y = Gemm <transB = 1> (h, V)"
    result = onnx_prelu.rewrite(from_text(body, "float[4,9] x", "float[4,8] y", weights), to="prelu")
    (site,) = result.report.sites
    name, most = expected
    assert (site.narrowing.slope_class, site.narrowing.paired) == (name, 1)
    assert (site.narrowing.ulps == 0) == (name == "exact")
    assert (site.narrowing.ulps > 0.5) == (gaps > 0)
    assert site.narrowing.ulps <= most + 0.5
    assert ("ulps" in site.reason) == (name == "rounding")


def test_a_unit_that_nothing_reads_goes_before_a_gemm_whose_bias_counts_for_nothing():
    behind = "f = GlobalAveragePool(h)  g = Flatten(f)  q = Add(g, t)  y = Gemm <beta = 0.0> (q, V, c)"
    V = random(4, 3)
    V[1] = 0
    model = conv(behind, kernel(4), random(4), V, "float[2,3] y", t=random(4), c=random(3))
    assert counts(model) == [(4, 3)]


@pytest.mark.parametrize("seed", range(3))
def test_constant_units_of_several_slopes_are_told_of_beside_another_site(seed):
    """Of the two lanes of -2 the one above 0 goes: at the site behind alone, the other may not be above 0 either."""
    rng = np.random.default_rng(seed)
    A, V = np.zeros((5, 3, 2, 2)), rng.normal(size=(5, 5, 3, 3))
    A[1], A[3], V[4] = rng.normal(size=(3, 2, 2)), rng.normal(size=(3, 2, 2)), V[2]
    c = rng.normal(size=5)
    c[4] = c[2]
    body = "z = Conv(x, A, b)  h = PRelu(z, s)  w = Conv <pads = [1, 1, 1, 1]> (h, V, c)  r = Relu(w)  y = Conv(r, U)"
    weights = {"A": A, "b": np.array([-2.0, 1, -2, 1, -2]), "s": np.array([1.5, 1, -0.5, 0.5, 1]).reshape(5, 1, 1)}
    model = from_text(body, IMAGE, OUT, {**weights, "V": V, "c": c, "U": rng.normal(size=(2, 5, 1, 1))})
    assert len(narrowed(model).report.sites) == 2
