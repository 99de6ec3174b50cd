"""concat and tied before layers with groups: lanes that stand unit by unit, run by ONNX Runtime, and taken back."""

import numpy as np
import onnx
import pytest

import onnx_prelu
from onnx_prelu.errors import NotMet, Refused
from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.model import load
from onnx_prelu.passes.unite import plan_unite
from tests.constants import assert_bits, constants
from tests.oracle import assert_close, run
from tests.rewriting import rewritten
from tests.texts import feeds, from_text

FORMS = ("concat", "tied")
SLOPES = np.array([0.25, -0.5, 1.5, 0.0])
PRELU = "h = PRelu(x, a)  "
IMAGE = "float[2,4,5,3] x"
A = SLOPES.reshape(4, 1, 1)


def model(body, inputs=IMAGE, outputs="float[?,?,?,?] y", **weights):
    return from_text(body, inputs, outputs, {"a": A, **weights})


#: name: the model
GROUPED = {
    "in two groups": model(PRELU + "y = Conv <group = 2> (h, V)", V=(6, 2, 2, 2)),
    "depthwise": model(PRELU + "y = Conv <group = 4, pads = [1, 1, 1, 1]> (h, V, b)", V=(4, 1, 3, 3), b=(4,)),
    "depthwise, two rows a unit": model(PRELU + "y = Conv <group = 4, strides = [2, 2]> (h, V)", V=(8, 1, 3, 3)),
    "transposed": model(PRELU + "y = ConvTranspose <group = 2> (h, V)", V=(4, 3, 2, 2)),
    "transposed, depthwise": model(PRELU + "y = ConvTranspose <group = 4> (h, V)", V=(4, 1, 2, 2)),
    "one dimension": model(
        PRELU + "y = Conv <group = 2> (h, V)", "float[2,4,9] x", "float[?,?,?] y", a=A[:, :, 0], V=(4, 2, 3)
    ),
    "three dimensions": model(
        PRELU + "y = Conv <group = 2> (h, V)", "float[1,4,3,4,5] x", "float[?,?,?,?,?] y", a=A[..., None],
        V=(4, 2, 2, 2, 2),
    ),
    "sizes that are not known": model(PRELU + "y = Conv <group = 4> (h, V)", "float[N,4,H,W] x", V=(4, 1, 1, 1)),
    "steps between": model(
        PRELU + "p = AveragePool <kernel_shape = [2, 2]> (h)  q = Mul(p, s)  r = Add(q, t)"
        "  y = Conv <group = 2> (r, V)", s=(4, 1, 1), t=(1, 4, 1, 1), V=(4, 2, 2, 2),
    ),
    "another reader without groups": model(
        PRELU + "y = Conv <group = 2> (h, V)  f = Flatten(h)  o = Gemm(f, U)  p = MatMul(f, W)",
        outputs="float[?,?,?,?] y, float[2,3] o, float[2,2] p", V=(4, 2, 2, 2), U=(60, 3), W=(60, 2),
    ),
    "a reader of W·x": model(
        PRELU + "y = Conv <group = 2> (h, V)  o = MatMul(U, h)", "float[1,4,5] x", "float[?,?,?] y, float[1,3,5] o",
        a=A[:, :, 0], V=(4, 2, 2), U=(3, 4),
    ),
    "one slope for all": model("h = LeakyRelu <alpha = 0.25> (x)  y = Conv <group = 2> (h, V)", V=(6, 2, 2, 2)),
}  # fmt: skip
PAIRED = {"concat": ["Relu", "Concat", "Reshape"], "tied": ["Neg", "Concat", "Reshape", "Relu"]}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", GROUPED)
def test_forth_and_back(name, form):
    proto = GROUPED[name]
    wide, (choice,) = rewritten(proto, form=form)
    assert choice.form == form
    assert [node.op_type for node in wide.graph.node if node.name.startswith("n_h/")] == PAIRED[form]
    expected = run(proto, feeds(proto))
    assert_close(expected, run(wide, feeds(proto)))
    back, (choice,) = rewritten(wide, to="prelu")
    assert choice.form == "fold"
    assert_close(expected, run(back, feeds(proto)))
    first = "PRelu" if name == "one slope for all" else proto.graph.node[0].op_type
    assert [node.op_type for node in back.graph.node] == [first, *[node.op_type for node in proto.graph.node[1:]]]
    if form == "tied":
        assert_bits(constants(proto, op=False), constants(back, op=False))
    (slope,) = constants(back, op=True)
    wanted = 0.25 if name == "one slope for all" else SLOPES
    np.testing.assert_allclose(slope.reshape(-1), np.broadcast_to(wanted, 4), rtol=1e-6, atol=0)


@pytest.mark.parametrize("form", FORMS)
def test_the_site_agrees_alone_at_a_seam(form):
    body = "z = Conv(x, K)  g = PRelu(z, c)  w = Conv <group = 4> (g, V)  h = PRelu(w, a)  y = Conv <group = 2> (h, U)"
    proto = model(body, K=(4, 4, 1, 1), c=A[::-1].copy(), V=(4, 1, 2, 2), U=(4, 2, 2, 2))
    for second in ("split", *FORMS):
        result = onnx_prelu.rewrite(proto, form={"n_g": form, "n_h": second})
        (check,) = [each for each in result.report.check if each.provider == "cpu"]
        assert (check.status, [pair.status for pair in check.pairs]) == ("passed", ["passed"] * 2)
        assert [site.form for site in result.report.sites] == [form, second]


def test_tied_stores_a_grouped_kernel_once():
    proto = GROUPED["in two groups"]
    wide, _ = rewritten(proto, form="tied")
    floats = {t.name: tuple(t.dims) for t in wide.graph.initializer if t.data_type == onnx.TensorProto.FLOAT}
    assert floats == {"V": (6, 2, 2, 2), "n_h/minus_slope": (2, 1, 2, 1)}


def test_a_target_has_to_take_the_reshape():
    proto = GROUPED["depthwise"]
    (site,) = onnx_prelu.rewrite(proto, ops=["Relu", "Concat", "Reshape", "Conv"]).report.sites
    assert site.form == "concat"
    with pytest.raises(NotMet, match="concat: --ops is not known to take Reshape"):
        onnx_prelu.rewrite(proto, ops=["Relu", "Concat", "Conv"])


# ── the way back of what others wrote ─────────────────────────────────────────────────────────────────────────

#: Rows are lanes: x and Relu(x) of each unit in turn; the slopes are 0.25, −0.5, 1.5 and 0.
SUMS = np.array([[1.0, 3], [-1, 3], [3, -1], [0, 2]]).reshape(4, 2, 1, 1)
HALVES = np.array([[1.0, -0.25], [-1, -0.5], [3, -4.5], [2, 0]]).reshape(4, 2, 1, 1)
BY_HAND = {
    "concat": ("r = Relu(x)  c = Concat <axis = 2> ({})  h = Reshape(c, s)", ("x, r", "r, x"), SUMS),
    "tied": ("n = Neg(x)  c = Concat <axis = 2> ({})  e = Reshape(c, s)  h = Relu(e)", ("x, n", "n, x"), HALVES),
}
SIZES = ([0, 8, -1, 0], [2, 8, 5, 3], [-1, 8, 5, 3], [0, 8, -1, 3], [0, 8, 5, -1])


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("form", FORMS)
def test_lanes_written_by_hand_are_found(form, order, sizes):
    body, orders, kernel = BY_HAND[form]
    kernel = kernel[:, ::-1].copy() if order else kernel
    body = body.format(orders[order]) + "  y = Conv <group = 4> (h, V)"
    proto = model(body, V=kernel, s=np.array(sizes))
    back, (choice,) = rewritten(proto, to="prelu")
    assert choice.form == "fold"
    assert [node.op_type for node in back.graph.node] == ["PRelu", "Conv"]
    assert constants(back, op=True)[0].reshape(-1).tolist() == SLOPES.tolist()
    assert_close(run(proto, feeds(proto)), run(back, feeds(proto)))


NO_AXIS = "r = Relu(x)  c = Concat <axis = {}> (x, r)  h = Reshape(c, s)  y = Conv <group = {}> (h, V)"
NOT_LANES = {
    "another axis is doubled": (NO_AXIS.format(3, 4), [0, 8, -1, 3], (4, 2, 1, 1), "between-not-linear"),
    "units and space mixed": (NO_AXIS.format(2, 4), [0, 8, 3, 5], (4, 2, 1, 1), "between-not-linear"),
    "more than doubled": (NO_AXIS.format(2, 4), [0, 24, -1, 1], (4, 6, 1, 1), "between-not-linear"),
    "halves of which a group has one": (NO_AXIS.format(1, 2), [0, 8, 5, 3], (4, 4, 1, 1), "group-layout"),
    "units that are cut": (NO_AXIS.format(2, 8), [0, 8, -1, 0], (8, 1, 1, 1), "group-layout"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_LANES)
def test_what_are_no_lanes_stays(name):
    body, sizes, kernel, code = NOT_LANES[name]
    proto = model(body, V=kernel, s=np.array(sizes))
    run(proto, feeds(proto))
    back, choices = rewritten(proto, to="prelu")
    assert not choices
    assert back.SerializeToString() == proto.SerializeToString()
    draft = Draft(load(proto))
    with pytest.raises(Refused) as caught:
        plan_unite(draft, next(node for node in draft.index.nodes() if node.op == "Relu"))
    assert caught.value.reason.code == code
