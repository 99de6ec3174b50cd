"""Networks drawn at random, put into bodies: the same rewrites as at the top level, with captured or own weights."""

import numpy as np
import onnx
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from onnx_prelu.graph.walk import within
from tests.counts import examples
from tests.oracle import assert_close, run
from tests.rewriting import rewritten
from tests.strategies import mlps

BOOL, INT64 = onnx.TensorProto.BOOL, onnx.TensorProto.INT64


def branch(mlp, name, suffix, own):
    """The network as a body that captures x, with the weights in it or around it; tensors that it makes are renamed."""
    rename = {out: out + suffix for node in mlp.graph.node for out in node.output}
    nodes = []
    for node in mlp.graph.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.name += suffix
        copy.input[:] = [rename.get(each, each + suffix if own and each != "x" else each) for each in node.input]
        copy.output[:] = [rename[each] for each in node.output]
        nodes.append(copy)
    last = mlp.graph.output[0]
    output = helper.make_tensor_value_info(rename[last.name], last.type.tensor_type.elem_type, None)
    weights = []
    for tensor in mlp.graph.initializer if own else ():
        weights.append(onnx.TensorProto())
        weights[-1].CopyFrom(tensor)
        weights[-1].name += suffix
    return helper.make_graph(nodes, name, [], [output], weights)


def wrapped(mlp, kind, own):
    """The network in both branches of an If, or in one branch of an If inside a Loop that runs twice."""
    last = mlp.graph.output[0]
    model = onnx.ModelProto()
    model.CopyFrom(mlp)
    graph = model.graph
    del graph.node[:]
    graph.input.append(helper.make_tensor_value_info("cond", BOOL, []))
    if all(own):
        del graph.initializer[:]
    bodies = {"then_branch": branch(mlp, "t", ".t", own[0]), "else_branch": branch(mlp, "e", ".e", own[1])}
    if kind == "if":
        graph.node.append(helper.make_node("If", ["cond"], [last.name], "choice", **bodies))
        return model
    inner = helper.make_node("If", ["cond"], ["out"], "choice", **bodies)
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"]), inner],
        "body",
        [helper.make_tensor_value_info("i", INT64, []), helper.make_tensor_value_info("c", BOOL, [])],
        [
            helper.make_tensor_value_info("d", BOOL, []),
            helper.make_tensor_value_info("out", last.type.tensor_type.elem_type, None),
        ],
    )
    graph.initializer.append(numpy_helper.from_array(np.array(2), "twice"))
    graph.node.append(helper.make_node("Loop", ["twice", ""], [last.name], "loop", body=body))
    width = last.type.tensor_type.shape.dim[1].dim_value
    graph.output[0].CopyFrom(
        helper.make_tensor_value_info(last.name, last.type.tensor_type.elem_type, ["K", "N", width])
    )
    return model


def one_line(mlp):
    """How many activations are Identity or Abs in all units: spelled out, these are no PReLU on the way back."""
    slopes = [numpy_helper.to_array(each) for each in mlp.graph.initializer if each.name.endswith(".slope")]
    return sum(bool(np.all(slope == slope.flat[0]) and abs(slope.flat[0]) == 1) for slope in slopes)


def count(model, op):
    return sum(node.op_type == op for body in within(model.graph) for node in body.node)


@examples(500)
@given(
    mlps(activations=("PRelu", "PRelu", "LeakyRelu")),
    st.sampled_from(["if", "loop"]),
    st.tuples(st.booleans(), st.booleans()),
    st.sampled_from(["split", "mirror", "skip", "max", None]),
    st.integers(0, 2**32 - 1),
)
def test_networks_in_bodies(mlp, kind, own, form, seed):
    model = wrapped(mlp, kind, own)
    onnx.checker.check_model(model, full_check=True)
    result, choices = rewritten(model, form=form)
    activations = 2 * sum(node.op_type in ("PRelu", "LeakyRelu") for node in mlp.graph.node)
    assert len(choices) == activations
    assert count(result, "PRelu") == count(result, "LeakyRelu") == 0
    back, _ = rewritten(result, to="prelu")
    assert count(back, "PRelu") >= activations - 2 * one_line(mlp)
    rng = np.random.default_rng(seed)
    width = mlp.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    x = rng.normal(size=(5, width)).astype(np.float32)
    for cond in (True, False):
        feeds = {"x": x, "cond": np.array(cond)}
        expected = run(model, feeds)
        assert_close(expected, run(result, feeds))
        assert_close(expected, run(back, feeds))
