"""Elementwise forms, against ONNX Runtime on the original: equal bits where that is promised, else close."""

import numpy as np
import onnx
import onnx.parser
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from tests.counts import examples
from tests.oracle import assert_close, assert_same_bits, run
from tests.rewriting import rewritten

SHAPES = [(), (1,), (5,), (1, 5), (3, 1, 1), (1, 3, 1, 1), (3, 4, 5), (2, 3, 4, 5), (4, 1)]
FORMS = ["mirror", "mirror-mul", "mirror-min", "skip", "skip-outside", "skip-short", "max", "leakyrelu"]
DTYPES = [np.float32, np.float16, np.float64]
X = (2, 3, 4, 5)


def bare(slope, dtype, opset=16, spelling="h = PRelu(x, a)"):
    number = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    text = f'<ir_version: 8, opset_import: ["" : {opset}]> g (float[2,3,4,5] x) => (float[2,3,4,5] h) {{ {spelling} }}'
    model = onnx.parser.parse_model(text)
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(slope).astype(dtype), "a"))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = number
    return model


def inputs(rng, dtype):
    """Both signs, large and tiny, zeros: what a form has to hold on."""
    x = rng.normal(size=X) * rng.choice([1e-4, 1.0, 30.0, 0.0], size=X)
    return {"x": x.astype(dtype)}


@examples(2000)
@given(st.sampled_from(SHAPES), st.sampled_from(FORMS), st.sampled_from(DTYPES), st.integers(0, 2**32 - 1))
def test_every_form_at_every_slope_shape(shape, form, dtype, seed):
    rng = np.random.default_rng(seed)
    slope = rng.choice([-0.3, 0.0, 0.25, 1.0, 1.7, -25.0, 21.0, rng.normal()], size=shape)
    if form == "leakyrelu":
        slope = np.full(shape, rng.choice([-0.375, 0.25, 1.5]))
    model = bare(slope, dtype)
    result, (choice,) = rewritten(model, form=form)
    feeds = inputs(rng, dtype)
    same = assert_same_bits if choice.exactness == "equal bits" else assert_close
    same(run(model, feeds), run(result, feeds))
    simpler = {0: "relu", 1: "identity"}.get(slope.flat[0]) if np.all(slope == slope.flat[0]) else None
    assert choice.form in ((simpler,) if simpler else (form, "mirror"))
    if not choice.form.startswith("skip"):
        assert choice.exactness == "equal bits"


def test_mirror_and_max_are_exact_on_every_float16():
    x = np.arange(2**16, dtype=np.uint16).view(np.float16)
    x = x[np.isfinite(x)]
    for a in (0.25, -3.0, 0.9, 1e-4):
        model = bare(a, np.float16)
        for value in (*model.graph.input, *model.graph.output):
            del value.type.tensor_type.shape.dim[1:]
            value.type.tensor_type.shape.dim[0].dim_value = len(x)
        for form in ("mirror", "mirror-mul", "mirror-min", "max"):
            assert_same_bits(run(model, {"x": x}), run(rewritten(model, form=form)[0], {"x": x}))


@pytest.mark.parametrize("opset", [7, 9, 13, 16, 18, 21])
def test_forms_are_written_for_the_models_opset(opset):
    model = bare(np.full((3, 1, 1), 0.25), np.float32, opset)
    feeds = inputs(np.random.default_rng(0), np.float32)
    for form in ("mirror", "mirror-mul", "mirror-min", "skip", "max", "leakyrelu"):
        result, (choice,) = rewritten(model, form=form)
        if (form, opset) == ("mirror-min", 7):
            assert (choice.form, choice.refusals[form].code) == ("mirror", "opset")  # Min broadcasts from 8 on
        elif (form, opset) == ("max", 7):
            assert choice.form in ("max", "mirror")
        else:
            assert choice.form == form
        assert result.opset_import[0].version == opset
        assert_close(run(model, feeds), run(result, feeds))


def test_opset_6_slopes_belong_to_the_channel_axis():
    """No runtime has kernels of opset 6, so what is written is read: Mul broadcasts along axis 1 only if told to."""
    result, (choice,) = rewritten(bare(np.array([0.25, -0.5, 2.0]), np.float32, 6), form="mirror")
    assert (choice.form, choice.slope.shape) == ("mirror", (3, 1, 1))
    (mul,) = [node for node in result.graph.node if node.op_type == "Mul"]
    assert mul.input[1] == "a"
    assert {a.name: a.i for a in mul.attribute} == {"broadcast": 1, "axis": 1}


def test_double_precision_slopes_in_leakyrelu_are_float32():
    _, (choice,) = rewritten(bare(0.3, np.float64), form="leakyrelu")
    assert choice.form == "mirror"
    assert choice.refusals["leakyrelu"].code == "other-slope"


#: Ways to write the PReLU of slope a = 0.25 (all exact in binary), and what --to prelu makes of them.
SPELLED = {
    "PRelu": "h = PRelu(x, a)",
    "keras": "r = Relu(x) n = Neg(x) s = Relu(n) m = Neg(a) t = Mul(m, s) h = Add(r, t)",
    "sub": "r = Relu(x) n = Neg(x) s = Relu(n) t = Mul(s, a) h = Sub(r, t)",
    "where": "z = Constant <value = float {0.0}> () c = Less(x, z) m = Mul(a, x) h = Where(c, m, x)",
    "max": "m = Mul(x, a) h = Max(m, x)",
    "clip": "z = Constant <value = float {0.0}> () p = Clip(x, z) n = Clip(x, , z) m = Mul(n, a) h = Add(m, p)",
    "masks": """z = Constant <value = float {0.0}> () g = Greater(x, z) l = Not(g) f = Cast <to = 1> (g)
                k = Cast <to = 1> (l) p = Mul(f, x) m = Mul(a, x) n = Mul(k, m) h = Add(p, n)""",
    "abs": """half = Constant <value = float {0.5}> () r = Relu(x) b = Abs(x) d = Sub(x, b) m = Mul(a, d)
              n = Mul(m, half) h = Add(r, n)""",
    "identity around": "i = Identity(x) p = PRelu(i, a) h = Identity(p)",
    "slope behind nodes": "i = Identity(a) u = Unsqueeze(i, axes) h = PRelu(x, u)",
}


@pytest.mark.parametrize("name", SPELLED)
def test_spellings_become_one_prelu_and_go_to_any_form(name):
    body = SPELLED[name]
    model = bare(0.25, np.float32, 17, "\n".join(body.replace(") ", ")\n").split("\n")))
    model.graph.initializer.append(numpy_helper.from_array(np.array([0]), "axes"))
    feeds = inputs(np.random.default_rng(3), np.float32)
    expected = run(model, feeds)
    result, choices = rewritten(model, to="prelu")
    ops = [node.op_type for node in result.graph.node]
    assert ops.count("PRelu") == 1
    assert set(ops) <= {"PRelu", "Identity", "Unsqueeze", "Constant"}
    assert [choice.refused for choice in choices] == [False]
    assert_same_bits(expected, run(result, feeds))
    for form in ("mirror", "skip", "max"):
        assert_close(expected, run(rewritten(model, form=form)[0], feeds))


def test_plain_relu_identity_and_abs_are_no_sites():
    for op in ("Relu", "Identity", "Abs"):
        model = bare(0.25, np.float32, spelling=f"h = {op}(x)")
        del model.graph.initializer[:]
        result, choices = rewritten(model, form="mirror")
        assert choices == []
        assert result.SerializeToString() == model.SerializeToString()


def test_a_region_whose_inside_is_read_elsewhere_is_no_site():
    body = "r = Relu(x)\nn = Neg(x)\ns = Relu(n)\nt = Mul(s, a)\nh = Sub(r, t)\no = Neg(r)"
    model = bare(0.25, np.float32, spelling=body)
    model.graph.output.append(helper.make_tensor_value_info("o", onnx.TensorProto.FLOAT, X))
    assert rewritten(model, form="mirror")[1] == []


def test_the_largest_region_wins():
    """x + PRelu(x) is (2, 1 + a), no PReLU; the PRelu inside stays the site."""
    model = bare(0.25, np.float32, spelling="p = PRelu(x, a)\nh = Add(x, p)")
    _, (choice,) = rewritten(model, form="mirror")
    assert choice.spelling == "PRelu(x, c)"


@pytest.mark.parametrize("slope", [[0.25, 0.5, 0.75], [0.5, 0.5, 0.5], [2.0, 0.0, -1.0]])
def test_constants_of_equal_values_are_one_tensor_and_nothing_is_printed(slope, capfd):
    """1 − 0.5 is 0.5: that form reads its slope twice."""
    for form in ("skip", "skip-outside", "mirror"):
        result, _ = rewritten(bare(np.reshape(slope, (3, 1, 1)), np.float32), form=form)
        values = [tensor.raw_data for tensor in result.graph.initializer]
        assert len(values) == len(set(values))
    assert capfd.readouterr() == ("", "")
