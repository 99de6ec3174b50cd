"""Regions in another layout, another type, and with a slope of run time."""

import warnings

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.model import load
from onnx_prelu.passes.sites import find_sites
from tests.independent import prelu
from tests.oracle import assert_close, assert_same_bits, run
from tests.rewriting import rewritten
from tests.spellings import SPELLINGS, build, drawn


def sites(model):
    return find_sites(Draft(load(model)))


#: The slope as it stands inside, in NHWC, and what it is in NCHW; C, H, W = 3, 4, 5.
INSIDE = {
    "(C,)": ((3,), (1, 3, 1, 1)),
    "(1,1,C)": ((1, 1, 3), (1, 3, 1, 1)),
    "(1,1,1,C)": ((1, 1, 1, 3), (1, 3, 1, 1)),
    "(H,W,C)": ((4, 5, 3), (1, 3, 4, 5)),
    "(N,H,W,C)": ((2, 4, 5, 3), (2, 3, 4, 5)),
    "(W,1)": ((5, 1), (1, 1, 1, 5)),
}


@pytest.mark.parametrize("shape", INSIDE)
@pytest.mark.parametrize("name", ["coremltools, channel-last", "TFLite, channel-last"])
def test_a_slope_between_transposes_is_taken_in_the_layout_outside(name, shape):
    inside, outside = INSIDE[shape]
    values = np.random.default_rng(0).choice(np.float32([0.25, -0.5, 0.75, 1.5]), size=inside)
    model = build(name, "(C,1,1)", np.zeros((3, 1, 1), np.float32))
    (place,) = [i for i, tensor in enumerate(model.graph.initializer) if tensor.name in ("n", "a")]
    stored = -values if model.graph.initializer[place].name == "n" else values
    tensor = numpy_helper.from_array(stored, model.graph.initializer[place].name)
    model.graph.initializer[place].CopyFrom(tensor)
    (site,) = sites(model)
    x = drawn((2, 3, 4, 5))
    meant = np.moveaxis(np.broadcast_to(values, (2, 4, 5, 3)), -1, 1)
    np.testing.assert_allclose(run(model, {"x": x})[0], prelu(x, meant), rtol=1e-6)
    np.testing.assert_array_equal(np.broadcast_to(site.slope.value, x.shape), meant)
    assert site.slope.value.shape == outside
    for form in ("mirror", "max"):
        result, _ = rewritten(model, form=form)
        assert "Transpose" not in {node.op_type for node in result.graph.node}
        assert_close(run(model, {"x": x}), run(result, {"x": x}))


def test_two_transposes_may_turn_back_by_parts():
    nodes = """y = Transpose <perm = [0, 2, 3, 1]> (x)
               p = PRelu(y, a)
               q = Transpose <perm = [0, 2, 1, 3]> (p)
               h = Transpose <perm = [0, 3, 2, 1]> (q)"""
    model = build("TFLite, channel-last", "(C,1,1)", nodes=nodes)
    (site,) = sites(model)
    assert (site.x, site.y, site.slope.value.shape) == ("x", "h", (1, 3, 1, 1))
    x = {"x": drawn((2, 3, 4, 5))}
    assert_same_bits(run(model, x), run(rewritten(model, to="prelu")[0], x))


def test_a_transpose_without_perm_turns_all_axes_round():
    model = build("TFLite, channel-last", "scalar", nodes="y = Transpose(x)\np = PRelu(y, a)\nh = Transpose(p)")
    (site,) = sites(model)
    assert (site.x, site.y) == ("x", "h")


@pytest.mark.parametrize("perm", ["[0, 2, 3, 1]", "[0, 1, 3, 2]", "[3, 2, 1, 0]"])
def test_a_transpose_that_is_not_the_inverse_stays(perm):
    row = SPELLINGS["TFLite, channel-last"].nodes.replace("[0, 3, 1, 2]", perm)
    model = build("TFLite, channel-last", "(C,1,1)", nodes=row)
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    model.graph.output[0].type.tensor_type.ClearField("shape")
    assert [(site.x, site.y) for site in sites(model)] == [("y", "p")]


@pytest.mark.parametrize("last", ["h = Sub(r, m)", "d = Sub(r, m)\nh = Transpose(d)"])
def test_operands_in_different_layouts_are_no_site(last):
    nodes = f"r = Relu(x)\ny = Transpose(x)\ni = Neg(y)\ns = Relu(i)\nm = Mul(half, s)\n{last}"
    assert sites(build("PyTorch", "(C,)", nodes=nodes, x=(3, 3))) == []
    straight = nodes.replace("Transpose", "Identity")
    assert len(sites(build("PyTorch", "(C,)", nodes=straight, x=(3, 3)))) == 1


#: What makes a Conv more than a factor a channel: its attributes, its weight's shape, its further inputs.
CONVS = {
    "all channels mixed": ("kernel_shape = [1, 1]", (3, 3, 1, 1), "s, w"),
    "a larger kernel": ("group = 3, kernel_shape = [3, 3], pads = [1, 1, 1, 1]", (3, 1, 3, 3), "s, w"),
    "a bias": ("group = 3, kernel_shape = [1, 1]", (3, 1, 1, 1), "s, w, bias"),
    "a stride": ("group = 3, kernel_shape = [1, 1], strides = [2, 2]", (3, 1, 1, 1), "s, w"),
    "a border": ("group = 3, kernel_shape = [1, 1], pads = [0, 0, 0, 1]", (3, 1, 1, 1), "s, w"),
}


@pytest.mark.parametrize("name", CONVS)
def test_a_conv_that_is_more_than_a_factor_a_channel_is_no_part_of_a_site(name):
    attributes, shape, inputs = CONVS[name]
    nodes = SPELLINGS["Keras, insightface"].nodes.replace("group = 3, kernel_shape = [1, 1]", attributes)
    text = f"g (float[2,3,1,1] x) => (float[a,b,c,d] h) {{ {nodes.replace('(s, w)', f'({inputs})')} }}"
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {text}')
    weights = {"w": np.full(shape, 0.25, np.float32), "bias": np.float32([0.1, 0.2, 0.3])}
    read = {operand for node in model.graph.node for operand in node.input}
    model.graph.initializer.extend(numpy_helper.from_array(weights[n], n) for n in weights.keys() & read)
    assert sites(model) == []


# ── types, and the ops' own function bodies ───────────────────────────────────────────────────────────────────


def typed(number, body, slope, out=None):
    text = f'<ir_version: 8, opset_import: ["" : 17]> g (float[2,3] x) => (float[2,3] h) {{ {body} }}'
    model = onnx.parser.parse_model(text)
    model.graph.input[0].type.tensor_type.elem_type = number
    model.graph.output[0].type.tensor_type.elem_type = out or number
    model.graph.initializer.append(numpy_helper.from_array(slope, "a"))
    return model


FLOAT, FLOAT16, DOUBLE = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE


def test_a_cast_that_rounds_x_ends_the_region():
    body = "w = Cast <to = 1> (x)\np = PRelu(w, a)\nh = Cast <to = 11> (p)"
    (site,) = sites(typed(DOUBLE, body, np.float32([0.25, 0.5, 0.75])))
    assert (site.x, site.y) == ("w", "p")


def test_a_cast_that_stays_wide_ends_the_region():
    body = "w = Cast <to = 11> (x)\nh = PRelu(w, a)"
    (site,) = sites(typed(FLOAT, body, np.array([0.25, 0.5, 0.75]), DOUBLE))
    assert (site.x, site.y) == ("w", "h")


def test_a_mask_through_integers_is_no_site():
    body = """z = Constant <value = float {0.0}> ()
              l = Less(x, z)
              i = Cast <to = 6> (l)
              f = Cast <to = 1> (i)
              m = Mul(a, x)
              d = Sub(m, x)
              t = Mul(f, d)
              h = Add(x, t)"""
    model = typed(FLOAT, body, np.float32([0.25, 0.5, 0.75]))
    assert sites(model) == []
    assert (
        len(sites(typed(FLOAT, body.replace("i = Cast <to = 6> (l)", "i = Identity(l)"), np.float32([0.25, 0.5, 1]))))
        == 1
    )


@pytest.mark.parametrize(
    ("slope", "exactness"), [(0.25, "equal bits"), (float(np.float32(0.1)), "equal bits"), (0.1, "rounding")]
)
def test_a_slope_in_a_wider_type_is_rounded_and_that_is_said(slope, exactness):
    body = "w = Cast <to = 11> (x)\np = PRelu(w, a)\nh = Cast <to = 1> (p)"
    model = typed(FLOAT, body, np.full(3, slope))
    result, (choice,) = rewritten(model, to="prelu")
    assert choice.exactness == exactness
    assert [node.op_type for node in result.graph.node] == ["PRelu"]
    x = {"x": drawn((2, 3))}
    (assert_same_bits if exactness == "equal bits" else assert_close)(run(model, x), run(result, x))


def test_a_slope_that_does_not_fit_into_the_type_of_x_stays_in_its_own():
    body = "w = Cast <to = 1> (x)\np = PRelu(w, a)\nh = Cast <to = 10> (p)"
    (site,) = sites(typed(FLOAT16, body, np.float32([1e6, 0.5, 0.75])))
    assert (site.x, site.y) == ("w", "p")


def expanded():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = {case.name: case for case in collect_testcases(None) if "relu" in case.name and "expanded" in case.name}
    return {name: case for name, case in cases.items() if name.startswith(("test_prelu", "test_leakyrelu"))}


EXPANDED = expanded()


@pytest.mark.parametrize("name", sorted(EXPANDED))
def test_onnx_own_function_bodies_become_one_prelu(name):
    """Their slope is an input of the graph where the op is PRelu: then it is read at run time."""
    case = EXPANDED[name]
    result, (choice,) = rewritten(case.model, to="prelu")
    assert [node.op_type for node in result.graph.node if node.op_type != "Constant"] == ["PRelu"]
    assert not choice.refused
    for inputs, expected in case.data_sets:
        feeds = {value.name: array for value, array in zip(case.model.graph.input, inputs, strict=True)}
        np.testing.assert_allclose(run(result, feeds)[0], expected[0], rtol=1e-6)
        assert_same_bits(run(case.model, feeds), run(result, feeds))


RUNTIME = {
    "squared": "s = Mul(a, a)\nm = Mul(s, x)\nl = Less(x, z)\nh = Where(l, m, x)",
    "bounded": "b = Clip(a, z)\nm = Mul(b, x)\nl = Less(x, z)\nn = Max(m, x)\nh = Where(l, n, x)",
    "bounded beyond the samples": "m = Mul(a, x)\nf = Mul(five, x)\nn = Max(m, f)\nl = Less(x, z)\nh = Where(l, n, x)",
    "on the wrong side": "m = Mul(a, x)\nl = Less(x, z)\nh = Where(l, x, m)",
    "enlarging": "m = Mul(big, x)\nl = Less(x, z)\nh = Where(l, m, x)",
}


@pytest.mark.parametrize("name", RUNTIME)
def test_what_is_no_prelu_for_every_slope_of_run_time_is_no_site(name):
    text = f"""<ir_version: 8, opset_import: ["" : 17]> g (float[1,3] x, float[3] a, float[2,3] big) => (float[] h) {{
               z = Constant <value = float {{0.0}}> ()
               five = Constant <value = float {{5.0}}> () \n {RUNTIME[name]} }}"""
    model = onnx.parser.parse_model(text)
    assert [site for site in sites(model) if site.x == "x" and site.slope.tensor in ("a", "big")] == []


def test_runtime_slopes_go_to_other_forms():
    case = EXPANDED["test_prelu_broadcast_expanded"]
    result, (choice,) = rewritten(case.model, form="mirror")
    assert choice.form == "mirror"
    rng = np.random.default_rng(1)
    feeds = {"x": rng.normal(size=(3, 4, 5)).astype(np.float32), "slope": rng.normal(size=5).astype(np.float32)}
    assert_same_bits(run(case.model, feeds), run(result, feeds))
