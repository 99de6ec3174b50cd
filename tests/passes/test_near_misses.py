"""Near misses of every spelling, made by breaking one condition at a time: no sites, or refused by their code."""

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import helper, numpy_helper

from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.filled import is_told
from onnx_prelu.graph.model import load
from onnx_prelu.passes.engine import inspect_sites
from onnx_prelu.passes.patterns import Scope
from onnx_prelu.passes.sites import find_sites
from tests.oracle import assert_close, assert_same_bits, run
from tests.rewriting import rewritten
from tests.spellings import LAYOUTS, SPELLINGS, build, drawn


def sites(model):
    return find_sites(Draft(load(model)))


def site_at_h(model):
    """The site that makes h of x, or None."""
    return next((site for site in sites(model) if (site.x, site.y) == ("x", "h")), None)


#: What an op is replaced by: a sign, a side or a factor goes wrong.
WRONG = {
    "Abs": ["Identity", "Neg"],
    "Add": ["Sub", "Mul"],
    "Greater": ["Less"],
    "GreaterOrEqual": ["Less"],
    "LeakyRelu": ["Elu"],
    "Less": ["Greater"],
    "Max": ["Min", "Add"],
    "Min": ["Max", "Add"],
    "Mul": ["Add", "Sub"],
    "Neg": ["Identity", "Abs"],
    "Relu": ["Identity", "Sigmoid", "Abs", "ThresholdedRelu"],
    "Sub": ["Add", "Mul"],
}
INNER_CONSTANTS = {"zero": 0.1, "half": 0.6, "minus": -1.1, "zeros": 0.1}


def copied(model):
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def with_wrong_op(model):
    for place, node in enumerate(model.graph.node):
        for op in WRONG.get(node.op_type, ()):
            copy = copied(model)
            copy.graph.node[place].op_type = op
            if op == "Elu":
                del copy.graph.node[place].attribute[:]
            yield copy


def with_wrong_constant(model):
    """The kink moved by 0.1; the half or the sign not quite one."""
    for place, tensor in enumerate(model.graph.initializer):
        if tensor.name in INNER_CONSTANTS:
            copy, value = copied(model), numpy_helper.to_array(tensor)
            wrong = np.full(value.shape, INNER_CONSTANTS[tensor.name], value.dtype)
            copy.graph.initializer[place].CopyFrom(numpy_helper.from_array(wrong, tensor.name))
            yield copy


def is_prelu(model, shape):
    """By the runtime: x itself on x > 0, and one factor an element on x < 0; the factor, or None."""
    x = np.abs(drawn(shape, 5)) + np.float32(0.01)
    ((pos,), (near,), (far,)) = (run(model, {"x": factor * x}) for factor in np.float32([1, -0.5, -4]))
    straight = np.allclose(near / (-0.5 * x), far / (-4 * x), rtol=1e-4, atol=1e-5)
    passes = all(np.allclose(run(model, {"x": s * x})[0], s * x, rtol=1e-5) for s in np.float32([1, 0.01, 50]))
    return far / (-4 * x) if straight and passes and pos.shape == shape else None


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("broken", [with_wrong_op, with_wrong_constant])
def test_a_near_miss_is_no_site_unless_the_runtime_says_it_is_a_prelu(name, broken):
    layout = SPELLINGS[name].layouts[0]
    shape = LAYOUTS[layout].x
    for model in broken(build(name, layout)):
        site, slope = site_at_h(model), is_prelu(model, shape)
        assert (site is None) >= (slope is None), [node.op_type for node in model.graph.node]
        if site is not None:
            np.testing.assert_allclose(np.broadcast_to(site.slope.value, shape), slope, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SPELLINGS)
def test_another_x_is_no_site_of_x(name):
    layout = SPELLINGS[name].layouts[0]
    model = build(name, layout)
    readings = [(i, j) for i, node in enumerate(model.graph.node) for j, read in enumerate(node.input) if read == "x"]
    for place, position in readings:
        copy = copied(model)
        copy.graph.node[place].input[position] = "other"
        copy.graph.input.append(helper.make_tensor_value_info("other", onnx.TensorProto.FLOAT, LAYOUTS[layout].x))
        site = next((site for site in sites(copy) if (site.x, site.y) == ("x", "h")), None)
        x, one, two = (drawn(LAYOUTS[layout].x, seed) for seed in (5, 6, 7))
        if site is not None:  # the other tensor gave its type only
            assert_same_bits(run(copy, {"x": x, "other": one}), run(copy, {"x": x, "other": two}))


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_second_reader_of_an_inner_tensor_leaves_it_alone(name):
    model = build(name, SPELLINGS[name].layouts[0])
    draft = Draft(load(model))
    inner = [node.output[0] for node in model.graph.node if node.output[0] != "h"]
    for tensor in (tensor for tensor in inner if not is_told(draft, draft.index.maker[tensor])):
        copy = copied(model)
        copy.graph.node.append(helper.make_node("Identity", [tensor], ["second"]))
        copy.graph.output.append(helper.make_tensor_value_info("second", draft.dtype(tensor), draft.shape(tensor)))
        assert site_at_h(copy) is None
        result, choices = rewritten(copy, to="relu", form="mirror")
        x = {"x": drawn(LAYOUTS[SPELLINGS[name].layouts[0]].x, 4)}
        assert not any(choice.refused for choice in choices)
        assert_close(run(copy, x)[:1], run(result, x)[:1])


#: name: (layout, the shape of x, the slope's shape, the code of the refusal where the op is PRelu)
SHAPES = {
    "it enlarges x": ("(1,C,1,1)", (2, 1, 4, 5), (1, 3, 1, 1), "slope-enlarges"),
    "it has a higher rank": ("(1,C,1,1)", (2, 3, 4, 5), (2, 1, 3, 1, 1), "slope-enlarges"),
    "it has another axis": ("(1,C,1,1)", (2, 3, 4, 5), (3,), "slope-misaligned"),
    "it has another axis of a vector": ("(C,)", (6, 3), (3, 1, 1), "slope-enlarges"),
}


def shape_cases():
    for fault, (layout, *_) in SHAPES.items():
        for name, row in SPELLINGS.items():
            turned = any(op in row.nodes for op in ("Transpose", "Conv", "[1, -1, 1, 1]")) or name == "MXNet, repaired"
            if layout in row.layouts and not turned:
                yield fault, name


@pytest.mark.parametrize(("fault", "name"), list(shape_cases()))
def test_a_slope_that_does_not_leave_x_alone_is_no_site_or_refused_by_its_code(fault, name):
    layout, x, shape, code = SHAPES[fault]
    a = np.resize(np.float32([0.25, 0.5, 0.75]), shape)
    model = build(name, layout, a, x=x)
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    model.graph.output[0].type.tensor_type.ClearField("shape")
    found = [site for site in sites(model) if site.y in ("h", "p")]
    written = [node for node in model.graph.node if node.op_type == "PRelu"]
    assert len(found) == len(written)
    for site in found:
        assert refusals(model)[site.node.label] == {code}


def refusals(model):
    return {
        site.choice.node: {reason.code for form, reason in site.choice.refusals.items()}
        for site in inspect_sites(Draft(load(model)), Scope())
    }
