"""Every writer's spelling is found as one site, in any order of operands, and goes to any form."""

import itertools

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import numpy_helper

from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.model import load
from onnx_prelu.passes.sites import find_sites
from tests.constants import constants
from tests.independent import prelu
from tests.oracle import assert_close, assert_same_bits, run
from tests.returned import assert_returned
from tests.rewriting import rewritten
from tests.spellings import CASES, LAYOUTS, SPELLINGS, between_layers, build, drawn, slope_of

COMMUTATIVE = {"Add", "Max", "Min", "Mul", "Sum"}
TURNED_ROUND = {"Less": "Greater", "Greater": "Less", "GreaterOrEqual": "LessOrEqual", "LessOrEqual": "GreaterOrEqual"}


def sites(model):
    return find_sites(Draft(load(model)))


@pytest.mark.parametrize(("name", "layout"), CASES)
def test_the_row_is_a_prelu_by_its_formula_and_by_the_runtime(name, layout):
    """Of the table itself: text, numpy formula and the definition of PReLU agree."""
    x, a = drawn(LAYOUTS[layout].x), slope_of(name, layout)
    expected = SPELLINGS[name].formula(x.astype(float), a.astype(float))
    np.testing.assert_allclose(expected, prelu(x.astype(float), a.astype(float)))
    np.testing.assert_allclose(run(build(name, layout), {"x": x})[0], expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("name", "layout"), CASES)
def test_it_is_one_site_with_its_slope(name, layout):
    model, a = build(name, layout), slope_of(name, layout)
    (site,) = sites(model)
    assert (site.x, site.y, site.node.label) == ("x", "h", "n_h")
    shape = LAYOUTS[layout].x
    np.testing.assert_array_equal(np.broadcast_to(site.slope.value, shape), np.broadcast_to(a, shape))
    assert site.slope.shrunk().value.size <= a.size
    constant = {name for node in model.graph.node for name in node.output if Draft(load(model)).constants.get(name)}
    assert {node.outputs[0] for node in site.region} | constant == {node.output[0] for node in model.graph.node}


@pytest.mark.parametrize(("name", "layout"), CASES)
def test_slopes_that_constants_round_are_found_as_near_as_they_are_stored(name, layout):
    row, shape = SPELLINGS[name], LAYOUTS[layout].slope
    rng = np.random.default_rng(3)
    a = rng.uniform(-0.9, 0.9, size=shape)
    a = np.clip(np.where(a < row.low, -a, a), row.low, row.high).astype(np.float32)
    (site,) = sites(build(name, layout, a))
    np.testing.assert_allclose(
        np.broadcast_to(site.slope.value, LAYOUTS[layout].x), np.broadcast_to(a, LAYOUTS[layout].x), rtol=0, atol=2**-23
    )


@pytest.mark.parametrize(("name", "layout"), CASES)
def test_to_prelu_writes_one_prelu(name, layout):
    model, x = build(name, layout), {"x": drawn(LAYOUTS[layout].x, 1)}
    result, (choice,) = rewritten(model, to="prelu")
    ops = [node.op_type for node in result.graph.node]
    assert not choice.refused
    if name == "PyTorch, scalar":
        assert ops == ["LeakyRelu"]
    else:
        assert ops.count("PRelu") == 1
        assert ops[-1] == "PRelu"
    same = assert_same_bits if choice.exactness == "equal bits" else assert_close
    same(run(model, x), run(result, x))


@pytest.mark.parametrize("form", ["mirror", "skip", "skip-outside", "max"])
@pytest.mark.parametrize(("name", "layout"), CASES)
def test_it_goes_to_every_form(name, layout, form):
    model, x = build(name, layout), {"x": drawn(LAYOUTS[layout].x, 2)}
    result, (choice,) = rewritten(model, form=form)
    assert not choice.refused
    same = assert_same_bits if choice.exactness == "equal bits" else assert_close
    same(run(model, x), run(result, x))
    left = {node.op_type for node in result.graph.node} - {
        "Reshape",
        "Unsqueeze",
        "Expand",
        "Squeeze",
        "Cast",
        "Identity",
    }
    assert left <= {"Relu", "Neg", "Mul", "Add", "Sub", "Max", "Min"}


@pytest.mark.parametrize(("name", "layout"), [case for case in CASES if len(LAYOUTS[case[1]].x) == 2])
def test_it_is_split_between_layers(name, layout):
    model, x = between_layers(build(name, layout)), {"input": drawn((6, 4), 3)}
    result, (choice,) = rewritten(model, form="split")
    assert choice.form == "split"
    assert {node.op_type for node in result.graph.node} == {"Gemm", "Relu"}
    assert_close(run(model, x), run(result, x))


@pytest.mark.parametrize("form", ["split", "split-step", "concat", "tied", "mirror", "skip", "max"])
@pytest.mark.parametrize(("name", "layout"), CASES)
def test_it_goes_to_a_form_between_layers_and_comes_back_as_one_prelu(name, layout, form):
    model = between_layers(build(name, layout))
    there, (choice,) = rewritten(model, form=form)
    assert choice.form == form or layout == "(H,W,C)" or "already" in choice.reason
    back, _ = rewritten(there, to="prelu")
    assert [node.op_type for node in back.graph.node].count("PRelu") == 1
    weights, returned = (named(each, "before", "after") for each in (model, back))
    (site,) = sites(back)
    slopes = np.broadcast_arrays(slope_of(name, layout), site.slope.value.astype(np.float32))
    assert_returned(form, weights, returned, *([slope] for slope in slopes))


def named(model, *names):
    """The weights that nodes of these names read."""
    only = onnx.ModelProto(graph=onnx.GraphProto(initializer=model.graph.initializer))
    only.graph.node.extend(node for node in model.graph.node if node.name in names)
    return constants(only, op=False)


def test_a_slope_that_repeats_over_space_becomes_one_a_channel():
    a = np.broadcast_to(np.array([0.25, -0.5, 0.75], np.float32), (4, 5, 3))
    result, _ = rewritten(build("tf2onnx, Keras 3", "(H,W,C)", np.ascontiguousarray(a)), to="prelu")
    (stored,) = [numpy_helper.to_array(tensor) for tensor in result.graph.initializer]
    np.testing.assert_array_equal(stored, a[:1, :1])


# ── commuted operands ─────────────────────────────────────────────────────────────────────────────────────────


def commuted(model):
    """Every way to write the operands of commutative ops, and comparisons turned round."""
    places = [i for i, node in enumerate(model.graph.node) if node.op_type in COMMUTATIVE | TURNED_ROUND.keys()]
    for chosen in itertools.product([False, True], repeat=len(places)):
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        for place in itertools.compress(places, chosen):
            node = copy.graph.node[place]
            operands = list(node.input)[::-1]
            del node.input[:]
            node.input.extend(operands)
            node.op_type = TURNED_ROUND.get(node.op_type, node.op_type)
        yield copy


@pytest.mark.parametrize("name", SPELLINGS)
def test_operands_may_stand_in_any_order(name):
    layout = SPELLINGS[name].layouts[0]
    a = slope_of(name, layout)
    for model in commuted(build(name, layout)):
        (site,) = sites(model)
        shape = LAYOUTS[layout].x
        np.testing.assert_array_equal(np.broadcast_to(site.slope.value, shape), np.broadcast_to(a, shape))
