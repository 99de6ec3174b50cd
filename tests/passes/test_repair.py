"""Slopes made right and small: what inspect says of them, and what --fix-slopes makes of them."""

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import helper, numpy_helper

from onnx_prelu import api
from onnx_prelu.errors import BadInput, BadUsage, NotMet
from onnx_prelu.graph.model import load
from onnx_prelu.passes.repair import repair_slopes
from tests.independent import prelu
from tests.oracle import assert_close, run

RNG = np.random.default_rng(0)
PER_CHANNEL = np.float32([0.25, -0.5, 1.5])


def model(slope, x="2,3,4,5", nodes="h = PRelu(x, a)", ir=8, opset=17, listed=False):
    """One PRelu of a slope, whose output declares no more than the rank of x."""
    dims = ",".join("abcde"[: x.count(",") + 1])
    head = f'<ir_version: {ir}, opset_import: ["" : {opset}]> g (float[{x}] x) => (float[{dims}] h)'
    proto = onnx.parser.parse_model(f"{head} {{ {nodes} }}")
    a = np.asarray(slope, np.float32)
    proto.graph.initializer.append(numpy_helper.from_array(a, "a"))
    if listed or ir < 4:
        proto.graph.input.append(helper.make_tensor_value_info("a", onnx.TensorProto.FLOAT, a.shape))
    for node in proto.graph.node:
        node.name = f"n_{node.output[0]}"
    return proto


def slopes(proto):
    return [numpy_helper.to_array(tensor) for tensor in proto.graph.initializer]


#: name: (x, the slope's shape, the shape that it should have)
REPAIRED = {
    "MXNet": ("2,3,4,5", (3,), (3, 1, 1)),
    "MXNet, 1-D": ("2,3,5", (3,), (3, 1)),
    "MXNet, 3-D": ("2,3,4,5,6", (3,), (3, 1, 1, 1)),
    "any batch": ("N,3,4,5", (3,), (3, 1, 1)),
    "of an image, for a vector": ("6,3", (3, 1, 1), (3,)),
    "of a batch of images, for a vector": ("N,3", (1, 3, 1, 1), (3,)),
}


@pytest.mark.parametrize("name", REPAIRED)
def test_a_slope_that_was_meant_for_the_channels_is_repaired_where_asked(name):
    x, shape, right = REPAIRED[name]
    proto = model(PER_CHANNEL.reshape(shape), x)
    before = proto.SerializeToString()
    found = repair_slopes(load(proto))
    (slope,) = slopes(found.model.proto)
    np.testing.assert_array_equal(slope, PER_CHANNEL.reshape(right))
    assert found.notes == (f"'n_h': its slope of shape {list(shape)} was repaired to {list(right)}",)
    assert proto.SerializeToString() == before
    sizes = [int(size) if size.isdigit() else 2 for size in x.split(",")]
    v = RNG.normal(size=sizes).astype(np.float32)
    by_channel = PER_CHANNEL.reshape(-1, *[1] * (len(sizes) - 2))
    np.testing.assert_allclose(run(found.model.proto, {"x": v})[0], prelu(v, by_channel), rtol=1e-6)


@pytest.mark.parametrize("name", REPAIRED)
def test_inspect_says_what_it_should_be(name):
    x, shape, right = REPAIRED[name]
    report = api.inspect(model(PER_CHANNEL.reshape(shape), x))
    note = report.notes[0]
    assert all("unknown" in other for other in report.notes[1:])
    for part in ("'n_h'", f"shape {list(shape)}", f"it should be {list(right)}", "--fix-slopes"):
        assert part in note
    assert report.sites[0].possible == ()
    fixed = api.inspect(model(PER_CHANNEL.reshape(shape), x), fix_slopes=True)
    assert "mirror" in fixed.sites[0].possible
    assert fixed.notes[:1] == repair_slopes(load(model(PER_CHANNEL.reshape(shape), x))).notes


def test_without_the_option_it_is_an_error_that_names_it():
    with pytest.raises(
        BadInput, match=r"node 'n_h': .*\[3\].*\[2, 3, 4, 5\].*--fix-slopes makes it \[3, 1, 1\]"
    ) as caught:
        api.rewrite(model(PER_CHANNEL))
    assert caught.value.exit_code == 2


#: name: (x, the slope); nothing shows that these were meant otherwise
LEFT = {
    "no axis has this length": ("2,4,4,5", PER_CHANNEL),
    "the channels are not known": ("2,C,4,5", PER_CHANNEL),
}


@pytest.mark.parametrize("name", LEFT)
def test_what_fits_nowhere_and_is_not_as_long_as_the_channels_stays_an_error(name):
    x, slope = LEFT[name]
    assert repair_slopes(load(model(slope, x))).notes == ()
    with pytest.raises(BadInput, match="reshape the slope"):
        api.rewrite(model(slope, x), fix_slopes=True, check=False)


@pytest.mark.parametrize("x", ["2,3,4,3", "2,3,H,W"])
def test_a_slope_that_fits_the_last_axis_is_pointed_out_and_never_changed(x):
    proto = model(PER_CHANNEL, x)
    for report in (api.inspect(proto), api.inspect(proto, fix_slopes=True), api.rewrite(proto, check=False).report):
        assert any("'n_h'" in note and "last axis" in note and "[3, 1, 1]" in note for note in report.notes)
    found = repair_slopes(load(proto))
    assert found.model.proto.SerializeToString() == proto.SerializeToString()
    v = RNG.normal(size=(2, 3, 4, 3)).astype(np.float32)
    lowered = api.rewrite(proto, form="mirror", fix_slopes=True, check=False).model
    np.testing.assert_allclose(run(lowered, {"x": v})[0], prelu(v, PER_CHANNEL), rtol=1e-6)


def test_a_vector_of_x_has_no_other_axis_to_mean():
    assert api.inspect(model(PER_CHANNEL, "6,3")).notes == ()


def test_before_opset_7_a_slope_belongs_to_the_channels():
    assert api.inspect(model(PER_CHANNEL, "2,3,4,3", opset=6)).notes == ()
    assert repair_slopes(load(model(PER_CHANNEL, opset=6))).notes == ()


def test_the_check_compares_with_the_repaired_input():
    nodes = "z = Conv(x, w)\np = PRelu(z, a)\nh = Sigmoid(p)"
    proto = model(PER_CHANNEL, "1,2,6,7", nodes)
    proto.graph.initializer.append(numpy_helper.from_array(RNG.normal(size=(3, 2, 1, 1)).astype(np.float32), "w"))
    result = api.rewrite(proto, fix_slopes=True, form="mirror", bench=False)
    assert result.report.passed
    assert [check.status for check in result.report.check][:1] == ["passed"]
    assert "what is compared with the output is the input with its slopes repaired" in result.report.notes
    v = RNG.normal(size=(1, 2, 6, 7)).astype(np.float32)
    repaired = repair_slopes(load(proto)).model.proto
    assert_close(run(repaired, {"x": v}), run(result.model, {"x": v}))


def test_repairing_may_be_all_there_is_to_do():
    result = api.rewrite(model(PER_CHANNEL), to="prelu", fix_slopes=True)
    assert [slope.shape for slope in slopes(result.model)] == [(3, 1, 1)]
    assert any("the output is the input with its slopes repaired" in note for note in result.report.notes)


def test_a_slope_that_two_nodes_read_is_repaired_for_those_that_need_it():
    proto = model(PER_CHANNEL, nodes="r = PRelu(x, a)\nf = Flatten <axis = 3> (r)\nh = Reshape(f, s)")
    proto.graph.initializer.append(numpy_helper.from_array(np.array([2, 3, 4, 5]), "s"))
    proto.graph.node.insert(1, helper.make_node("PRelu", ["v", "a"], ["w"], "fine"))
    proto.graph.input.append(helper.make_tensor_value_info("v", onnx.TensorProto.FLOAT, [6, 3]))
    proto.graph.output.append(helper.make_tensor_value_info("w", onnx.TensorProto.FLOAT, [6, 3]))
    result = repair_slopes(load(proto)).model.proto
    assert [list(node.input) for node in result.graph.node if node.op_type == "PRelu"] == [
        ["x", "a/repaired"], ["v", "a"],
    ]  # fmt: skip


def test_an_overridable_slope_is_repaired_where_it_may_be_frozen():
    proto = model(PER_CHANNEL, listed=True)
    assert repair_slopes(load(proto)).notes == ()
    found = repair_slopes(load(proto), freeze=True)
    assert len(found.notes) == 1
    assert [value.name for value in found.model.proto.graph.input] == ["x"]
    notes = api.rewrite(proto, freeze=True, fix_slopes=True, check=False).report.notes
    assert "taken as constants, and no longer inputs of the graph: a" in notes


TWO = "r = PRelu(x, a)\nt = Tanh(r)\nh = PRelu(t, a)"


@pytest.mark.parametrize(
    ("asked", "repaired"),
    [
        ({"only": ["n_h"]}, ["n_h"]),
        ({"skip": ["n_h"]}, ["n_r"]),
        ({"only": ["n_*"], "skip": ["n_r"]}, ["n_h"]),
        ({"only": ["n_*"]}, ["n_r", "n_h"]),
    ],
)
def test_only_sites_that_are_meant_are_repaired(asked, repaired):
    proto = model(np.full((3, 1, 1), 0.5), nodes=TWO)
    told = api.inspect(proto, fix_slopes=True, **asked)
    result = api.rewrite(proto, to="prelu", fix_slopes=True, check=False, **asked)
    for report in (told, result.report):
        notes = [note for note in report.notes if "was repaired" in note]
        assert [note.split(":")[0] for note in notes] == [f"'{node}'" for node in repaired]
        assert [site.node for site in report.sites] == repaired
    shapes = {tensor.name: list(tensor.dims) for tensor in result.model.graph.initializer}
    read = {node.name: shapes[node.input[1]] for node in result.model.graph.node if node.op_type == "PRelu"}
    assert read == {name: [] if name in repaired else [3, 1, 1] for name in ("n_r", "n_h")}


def test_a_pattern_that_means_no_site_is_still_an_error():
    with pytest.raises(BadUsage, match="--only nothing matches no site"):
        api.rewrite(model(PER_CHANNEL), fix_slopes=True, only=["nothing"])


@pytest.mark.parametrize("shape", [(3,), (3, 4, 1)])
def test_a_quantized_slope_is_repaired_as_a_float(shape):
    proto = model(0.5, nodes="a = DequantizeLinear(q, s)  h = PRelu(x, a)")
    levels = np.broadcast_to(np.int8([1, -2, 6]).reshape(-1, *[1] * (len(shape) - 1)), shape)
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(levels), "q"))
    proto.graph.initializer.append(numpy_helper.from_array(np.float32(0.25), "s"))
    found = repair_slopes(load(proto))
    (slope,) = slopes(found.model.proto)
    np.testing.assert_array_equal(slope, PER_CHANNEL.reshape(3, 1, 1))
    v = RNG.normal(size=(2, 3, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal(run(found.model.proto, {"x": v})[0], prelu(v, slope))


def test_in_ir_3_a_repaired_slope_is_listed():
    result = repair_slopes(load(model(PER_CHANNEL, ir=3, opset=8))).model.proto
    assert [value.name for value in result.graph.input] == ["x", "a/repaired"]


# ── small ─────────────────────────────────────────────────────────────────────────────────────────────────────

SMALL = {
    "repeats over space": (np.broadcast_to(PER_CHANNEL[:, None, None], (3, 4, 5)), (3, 1, 1)),
    "equal": (np.full((3, 4, 5), 0.25, np.float32), ()),
    "equal, by channel": (np.full((3, 1, 1), 0.25, np.float32), ()),
    "varies": (np.arange(60, dtype=np.float32).reshape(3, 4, 5) / 64, (3, 4, 5)),
}


@pytest.mark.parametrize("name", SMALL)
def test_a_slope_that_repeats_itself_is_stored_small_where_asked(name):
    slope, shape = SMALL[name]
    proto = model(np.ascontiguousarray(slope))
    (stored,) = slopes(repair_slopes(load(proto)).model.proto)
    assert stored.shape == shape
    np.testing.assert_array_equal(np.broadcast_to(stored, slope.shape), slope)
    notes = api.inspect(proto).notes
    assert len(notes) == (stored.shape != slope.shape)
    assert all(f"stores it as {list(shape)}" in note for note in notes)
    untouched = api.rewrite(proto, to="prelu").model
    assert untouched.SerializeToString() == proto.SerializeToString()


@pytest.mark.parametrize("name", SMALL)
def test_a_rewrite_writes_the_smallest_slope(name):
    slope, shape = SMALL[name]
    proto = model(np.ascontiguousarray(slope))
    result = api.rewrite(proto, form="mirror").model
    assert [stored.shape for stored in slopes(result)] == [shape]
    v = RNG.normal(size=(2, 3, 4, 5)).astype(np.float32)
    assert_close(run(proto, {"x": v}), run(result, {"x": v}))


def test_slopes_that_repeat_can_be_split_and_be_leakyrelu():
    proto = model(np.full((6, 3), 0.25), "6,4", "z = MatMul(x, A)\np = PRelu(z, a)\nh = MatMul(p, V)")
    for name, shape in {"A": (4, 3), "V": (3, 2)}.items():
        proto.graph.initializer.append(numpy_helper.from_array(RNG.normal(size=shape).astype(np.float32), name))
    for form in ("split", "leakyrelu"):
        report = api.rewrite(proto, form=form).report
        assert [site.form for site in report.sites] == [form]


def test_a_slope_that_repeats_over_space_is_split_between_convs():
    nodes = "z = Conv(x, A)\np = PRelu(z, a)\nh = Conv(p, V)"
    proto = model(np.ascontiguousarray(SMALL["repeats over space"][0]), "1,2,4,5", nodes)
    for name, shape in {"A": (3, 2, 1, 1), "V": (2, 3, 1, 1)}.items():
        proto.graph.initializer.append(numpy_helper.from_array(RNG.normal(size=shape).astype(np.float32), name))
    result = api.rewrite(proto, form="split", strict=True)
    assert [node.op_type for node in result.model.graph.node] == ["Conv", "Relu", "Conv"]
    assert result.report.passed


# ── simpler, and more ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("value", "form", "op"), [(0, "relu", "Relu"), (1, "identity", "Identity")])
@pytest.mark.parametrize("asked", [None, "mirror", "max", "leakyrelu"])
def test_slopes_of_0_and_1_become_simpler_whatever_form_is_asked_for(value, form, op, asked):
    proto = model(np.full((3, 1, 1), value))
    result = api.rewrite(proto, to="relu", form=asked, strict=True)
    assert [site.form for site in result.report.sites] == [form]
    assert [node.op_type for node in result.model.graph.node] == [op]
    if asked:
        assert result.report.sites[0].reason == f"not {asked}: every slope is {value}"


@pytest.mark.parametrize(("value", "op"), [(0, "Relu"), (1, "Identity")])
def test_a_target_takes_what_is_simpler_before_the_form_that_is_asked_for(value, op):
    proto, ops = model(np.full((3, 1, 1), value)), ["Relu", "Identity", "Mul", "Max"]
    result = api.rewrite(proto, form="max", ops=ops, strict=True).model
    assert [node.op_type for node in result.graph.node] == [op]
    result = api.rewrite(proto, form="max", ops=ops, simplify=False).model
    assert [node.op_type for node in result.graph.node] == ["Mul", "Max"]


@pytest.mark.parametrize("value", [0, 1])
def test_no_simplify_keeps_the_form_that_is_asked_for(value):
    proto = model(np.full((3, 1, 1), value))
    result = api.rewrite(proto, form="mirror", simplify=False)
    assert [site.form for site in result.report.sites] == ["mirror"]
    assert [site.form for site in api.rewrite(proto, to="relu", simplify=False).report.sites] == ["mirror"]


@pytest.mark.parametrize("value", [0, 1, 0.25])
def test_to_prelu_writes_prelu_for_every_slope(value):
    proto = model(np.full((3, 1, 1), value), nodes="h = PRelu(x, a)")
    result = api.rewrite(proto, to="prelu").model
    assert [node.op_type for node in result.graph.node] == ["PRelu"]


def test_strict_still_fails_where_another_form_came():
    with pytest.raises(NotMet, match="would take mirror instead of max"):
        api.rewrite(model(PER_CHANNEL.reshape(3, 1, 1)), form="max", strict=True)


def test_abs_is_a_prelu_only_where_asked():
    proto = model([0.0], nodes="h = Abs(x)")
    del proto.graph.initializer[:]
    assert api.inspect(proto).sites == ()
    report = api.inspect(proto, also=["Abs"])
    assert [(site.spelling, site.slope.low) for site in report.sites] == [("Abs(x)", -1.0)]
    v = {"x": RNG.normal(size=(2, 3, 4, 5)).astype(np.float32)}
    for request in ({"form": "mirror"}, {"to": "prelu"}):
        result = api.rewrite(proto, also=["Abs"], **request).model
        assert "Abs" not in {node.op_type for node in result.graph.node}
        assert_close(run(proto, v), run(result, v))


def test_also_takes_no_other_op():
    with pytest.raises(BadUsage, match="--also Elu"):
        api.inspect(model(PER_CHANNEL.reshape(3, 1, 1)), also=["Elu"])


# ── denormals ─────────────────────────────────────────────────────────────────────────────────────────────────


def layers(slope, scale):
    proto = model(slope, "6,4", "z = MatMul(x, A)\np = PRelu(z, a)\nh = MatMul(p, V)")
    for name, shape in {"A": (4, 3), "V": (3, 2)}.items():
        values = np.full(shape, scale if name == "V" else 1.0, np.float32)
        proto.graph.initializer.append(numpy_helper.from_array(values, name))
    return proto


def test_denormal_slopes_and_weights_are_counted():
    notes = api.inspect(layers(np.float32([0.25, 1e-40, -1e-42]), 1.0)).notes
    assert "'n_p': 2 of 3 slopes are denormal, which some runtimes take as 0" in notes
    assert "2 stored values are denormal, most of them in 'a'; some runtimes take them as 0" in notes
    assert not [note for note in api.inspect(layers(PER_CHANNEL, 1.0)).notes if "denormal" in note]


def test_denormals_that_a_rewrite_makes_are_counted():
    """V·a is 1e-40 for one unit of three: two values."""
    proto = layers(np.float32([1e-20, 0.25, 0.5]), 1e-20)
    assert "'n_p': split would write 2 denormal values that are not there now" in api.inspect(proto).notes
    notes = api.rewrite(proto, form="split", check=False).report.notes
    assert "2 values were written that are denormal; some runtimes take them as 0" in notes


def test_slopes_inside_of_bodies_are_repaired_too():
    text = """<ir_version: 8, opset_import: ["" : 17]> g (float[2,3,4,5] x, bool c) => (float[a,b,d,e] h) {
      h = If (c) <then_branch = t () => (float[2,3,4,5] p) { p = PRelu(x, a) },
                  else_branch = f () => (float[2,3,4,5] q) { q = Identity(x) }> }"""
    proto = onnx.parser.parse_model(text)
    proto.graph.initializer.append(numpy_helper.from_array(PER_CHANNEL, "a"))
    found = repair_slopes(load(proto))
    assert found.notes == ("'h/then_branch/p': its slope of shape [3] was repaired to [3, 1, 1]",)
    v = RNG.normal(size=(2, 3, 4, 5)).astype(np.float32)
    (value,) = run(found.model.proto, {"x": v, "c": np.array(True)})
    np.testing.assert_allclose(value, prelu(v, PER_CHANNEL.reshape(3, 1, 1)), rtol=1e-6)
