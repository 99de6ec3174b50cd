"""Every form at every kind of site: the same values as before, in equal bits where promised, and back to PRelu."""

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper

import onnx_prelu
from onnx_prelu.algebra.forms import FORMS
from onnx_prelu.passes.catalogue import FAST_PLANNERS, FORM_NAMES
from tests.constants import constants
from tests.counts import examples
from tests.oracle import assert_close, assert_same_bits, run
from tests.returned import assert_returned, loose_slopes
from tests.rewriting import rewritten
from tests.strategies import mlps, nets
from tests.texts import feeds

#: What can be asked for at a site that has to change; prelu is --to prelu, and two are names of special slopes.
#: The forms for speed have rules and properties of their own, beside their near misses.
OTHERS = frozenset({"prelu", "relu", "identity", *FAST_PLANNERS})
ASKED = tuple(form for form in FORM_NAMES if form not in OTHERS)
WIDE = tuple(form for form in ASKED if form not in FORMS)
EQUAL_BITS = frozenset({"mirror", "mirror-mul", "mirror-min", "max", "leakyrelu", "relu", "identity"})
#: Relu and LeakyRelu go into the Conv before them, and around an Identity others do: then the runtime rounds otherwise.
NEVER_FUSED = frozenset({"mirror", "mirror-mul", "mirror-min", "max"})


def slope_of(model, node):
    """The slope of a PRelu or LeakyRelu node, as a flat array."""
    if node.op_type == "LeakyRelu":
        return np.array([helper.get_attribute_value(node.attribute[0])])
    (slope,) = [tensor for tensor in model.graph.initializer if tensor.name == node.input[1]]
    return numpy_helper.to_array(slope).astype(np.float64).reshape(-1)


def activations(model):
    return [node for node in model.graph.node if node.op_type in ("PRelu", "LeakyRelu")]


def output(model, name):
    """Make a tensor an output of the model."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph.value_info
    model.graph.output.append(next(value for value in inferred if value.name == name))


@st.composite
def graphs(draw):
    """A network of all kinds of layers, some slopes all equal, some activations and their inputs read elsewhere.

    Returns:
        The model, and the names of the activations that something else reads.
    """
    # No runtime has kernels of a float64 convolution with every attribute, so float64 is for the Gemms.
    wide = (np.float32, np.float16, np.float64)
    model = draw(st.one_of(nets(), nets(), mlps(dtypes=wide, activations=("PRelu", "PRelu", "LeakyRelu"))))
    read = set()
    for node in activations(model):
        if node.op_type == "PRelu" and draw(st.sampled_from([True, False, False])):
            (slope,) = [tensor for tensor in model.graph.initializer if tensor.name == node.input[1]]
            old = numpy_helper.to_array(slope)
            equal = np.full_like(old, draw(st.sampled_from([-0.75, 0.25, 0.5, 1.0, 1.5, 0.0])))
            slope.CopyFrom(numpy_helper.from_array(equal, slope.name))
        kind = draw(st.sampled_from([None] * 6 + ["output", "input is output", "Sigmoid", "sum"]))
        if kind is not None:
            read.add(node.name)
        if kind == "output":
            output(model, node.output[0])
        elif kind == "input is output":
            output(model, node.input[0])
        elif kind == "Sigmoid":
            model.graph.node.append(helper.make_node("Sigmoid", [node.output[0]], [f"{node.name}.s"]))
            output(model, f"{node.name}.s")
        elif kind == "sum":
            model.graph.node.append(helper.make_node("Add", [node.output[0], node.input[0]], [f"{node.name}.r"]))
            output(model, f"{node.name}.r")
    return model, read


def node_by_node(model, values):
    """The outputs, where each node runs alone: nothing is fused, and float16 is rounded between any two."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    types = {value.name: value for value in (*inferred.value_info, *inferred.output, *inferred.input)}
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    known = dict(values)
    for node in model.graph.node:
        inputs = [types[name] for name in dict.fromkeys(node.input) if name in types]
        outputs = [types[name] for name in node.output]
        used = [weights[name] for name in dict.fromkeys(node.input) if name in weights]
        alone = helper.make_graph([node], "alone", inputs, outputs, used)
        proto = helper.make_model(alone, opset_imports=model.opset_import, ir_version=model.ir_version)
        found = run(proto, {value.name: known[value.name] for value in inputs})
        known.update(zip(node.output, found, strict=True))
    return [known[value.name] for value in model.graph.output]


def may_refuse(form, slope, read):
    """Whether a form may be refused: by whom the activation is read, or by its slopes.

    The forms of skip may, as 1 − a is rounded and may not give a slope back; they may not where that is exact.
    """
    if form in WIDE:
        return read
    if form == "max":
        return slope.min() < 1 < slope.max()
    if form == "leakyrelu":
        return slope.min() != slope.max()
    if form == "skip-short":
        return True
    return form.startswith("skip") and bool(np.any(slope.astype(np.float16) != slope))


@examples(2000)
@given(graphs(), st.data())
def test_any_forms_at_any_sites(drawn, data):
    model, read = drawn
    nodes = activations(model)
    form = {node.name: data.draw(st.sampled_from(ASKED)) for node in nodes}
    result = onnx_prelu.rewrite(
        model, to="relu", form=form, check=False, slope_in=data.draw(st.sampled_from(("consumer", "producer")))
    )
    onnx.checker.check_model(result.model, full_check=True)
    choices = {site.node: site for site in result.report.sites}
    for node in nodes:
        choice, asked, slope = choices[node.name], form[node.name], slope_of(model, node)
        simpler = {(0.0,): "relu", (1.0,): "identity"}.get(tuple(np.unique(slope)))
        if simpler:
            assert choice.form == simpler
        elif choice.form != asked and not (asked == "leakyrelu" and node.op_type == "LeakyRelu"):
            assert choice.form == "mirror"
            assert choice.refusals[asked].code
            assert may_refuse(asked, slope, node.name in read), choice.refusals[asked]
        if choice.form in EQUAL_BITS:
            assert choice.exactness == "equal bits"
    assert not any(node.op_type == "PRelu" for node in result.model.graph.node)
    x = feeds(model)
    forms = {choice.form for choice in choices.values()} - {None}
    expected, found = run(model, x), run(result.model, x)
    assert_close(expected, found)
    if forms <= EQUAL_BITS:
        assert_same_bits(node_by_node(model, x), node_by_node(result.model, x))
    if forms <= NEVER_FUSED and x["x"].dtype != np.float16:
        assert_same_bits(expected, found)


@pytest.mark.parametrize("form", [form for form in ASKED if form != "leakyrelu"])
@examples(300)
@given(graphs())
def test_any_form_and_back(form, drawn):
    model, _ = drawn
    there, put_in = rewritten(model, form=form)
    back, choices = rewritten(there, to="prelu")
    slopes = [slope_of(model, node) for node in activations(model)]
    slopes = [slope for slope in slopes if tuple(np.unique(slope)) not in ((0.0,), (1.0,))]
    found = [slope_of(back, node) for node in back.graph.node if node.op_type == "PRelu"]
    x = feeds(model)
    weights = [constants(each, op=False) for each in (model, back)]
    flat = [[slope.astype(x["x"].dtype) for slope in side] for side in (slopes, found)]
    assert_returned(form, *weights, *flat, loose_slopes(choices))
    assert not {"Relu", "Max", "Min", "Neg", "Sub"} & {node.op_type for node in back.graph.node} or any_zero(model)
    expected = run(model, x)
    exact = {choice.form for choice in put_in} <= NEVER_FUSED and x["x"].dtype != np.float16
    (assert_same_bits if exact else assert_close)(expected, run(there, x))
    assert_close(expected, run(back, x))


def any_zero(model):
    """Whether some activation is a plain Relu."""
    return any(not slope_of(model, node).any() for node in activations(model))
