"""What a rewrite names, inherits, drops and leaves alone."""

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import helper, numpy_helper

from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.edit import finish
from onnx_prelu.graph.model import load
from tests.rewriting import rewritten

TEXT = """
<ir_version: 10, opset_import: ["" : 17]>
g (float[N,4] x, bool cond) => (float[N,2] y, float[N,3] extra) {
  z = Gemm(x, w, b)
  act = PRelu(z, slope)
  y = Gemm(act, v)
  extra = If (cond) <
    then_branch = t () => (float[N,3] t0) { "act/relu" = Identity(x)  t0 = Gemm(x, w, b) },
    else_branch = e () => (float[N,3] e0) { e0 = Gemm(x, w, b) }
  >
}
"""
RNG = np.random.default_rng(0)


@pytest.fixture
def proto():
    text = TEXT.replace('"act/relu" = Identity(x)  ', "inner = Identity(x)\n")
    model = onnx.parser.parse_model(text)
    graph = model.graph
    for name, shape in {"w": (4, 3), "b": (3,), "slope": (3,), "v": (3, 2), "spare": (2,)}.items():
        graph.initializer.append(numpy_helper.from_array(RNG.normal(size=shape).astype(np.float32), name))
        graph.initializer[-1].doc_string = f"doc of {name}"
    for node in graph.node:
        node.name = node.output[0]
        node.doc_string = f"doc of {node.name}"
        node.metadata_props.add(key="from", value=node.name)
    graph.node[3].attribute[0].g.node[0].name = "act/relu"  # a name that is taken inside a body
    graph.value_info.append(helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, ["N", 3]))
    graph.value_info.append(helper.make_tensor_value_info("act", onnx.TensorProto.FLOAT, ["N", 3]))
    return model


def test_names_inheritance_and_last_readers(proto):
    result, _ = rewritten(proto, form="split")
    graph = result.graph
    assert [(node.op_type, node.name) for node in graph.node] == [
        ("Gemm", "z"), ("Relu", "act/relu_2"), ("Gemm", "y"), ("If", "extra"),
    ]  # fmt: skip
    assert [node.doc_string for node in graph.node] == ["doc of z", "doc of act", "doc of y", "doc of extra"]
    assert [node.metadata_props[0].value for node in graph.node] == ["z", "act", "y", "extra"]
    # w and b are still read by the bodies of If; v and slope lost their last reader
    assert [t.name for t in graph.initializer] == ["w", "w/split", "b", "b/split", "v/split", "spare"]
    assert {t.name: t.doc_string for t in graph.initializer}["v/split"] == "doc of v"
    assert [value.name for value in graph.output] == ["y", "extra"]
    shapes = {v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in graph.value_info}
    assert shapes == {"z/split": ["N", 6], "act/split": ["N", 6]}


def test_mirror_reads_the_slope_where_it_stands(proto):
    result, _ = rewritten(proto, form="mirror")
    nodes = result.graph.node
    assert [node.op_type for node in nodes] == ["Gemm", "Relu", "Neg", "Relu", "Mul", "Sub", "Gemm", "If"]
    assert {node.doc_string for node in nodes[1:6]} == {"doc of act"}
    assert nodes[5].output[0] == "act"
    assert all(node.name.startswith("act/") for node in nodes[1:6])
    assert "slope" in nodes[4].input
    assert [t.SerializeToString() for t in result.graph.initializer] == [
        t.SerializeToString() for t in proto.graph.initializer
    ]


def test_the_input_is_never_changed(proto):
    before = proto.SerializeToString()
    for form in ("split", "mirror", "skip", "max"):
        rewritten(proto, form=form)
    assert proto.SerializeToString() == before


def test_nothing_to_do_gives_the_very_model_back(proto):
    model = load(proto)
    assert finish(Draft(model)) is model


def test_annotations_of_tensors_that_are_gone_go_with_them(proto):
    for name in ("z", "x"):
        proto.graph.quantization_annotation.add(tensor_name=name)
    result, _ = rewritten(proto, form="split")
    assert [a.tensor_name for a in result.graph.quantization_annotation] == ["x"]
    kept, _ = rewritten(proto, form="mirror")
    assert [a.tensor_name for a in kept.graph.quantization_annotation] == ["z", "x"]


def test_a_constant_behind_nodes_goes_with_them(proto):
    """The Transpose that only computed the weight has no reader left: it goes, and its own constant with it."""
    graph = proto.graph
    weight = graph.initializer[3]
    stored = numpy_helper.from_array(numpy_helper.to_array(weight).T.copy(), "v.stored")
    weight.CopyFrom(stored)
    graph.node.insert(0, helper.make_node("Transpose", ["v.stored"], ["v"], "turn", perm=[1, 0]))
    result, _ = rewritten(proto, form="split")
    assert [node.op_type for node in result.graph.node] == ["Gemm", "Relu", "Gemm", "If"]
    assert "v.stored" not in {t.name for t in result.graph.initializer}
    plain, _ = rewritten(proto, form="mirror")
    assert plain.graph.node[0].name == "turn"


def test_a_chain_is_edited_from_both_sides_under_one_name():
    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[N,3] x) => (float[N,3] y) {
            z0 = MatMul(x, w0)  h0 = PRelu(z0, a)
            z1 = MatMul(h0, w1)  h1 = PRelu(z1, a)
            y = MatMul(h1, w2)
        }""")
    for name, shape in {"w0": (3, 3), "w1": (3, 3), "w2": (3, 3), "a": (3,)}.items():
        model.graph.initializer.append(numpy_helper.from_array(RNG.normal(size=shape).astype(np.float32), name))
    result, _ = rewritten(model, form="split")
    arrays = {t.name: numpy_helper.to_array(t) for t in result.graph.initializer}
    assert list(arrays) == ["w0/split", "w1/split", "w2/split"]
    w1, a = (numpy_helper.to_array(model.graph.initializer[i]).astype(float) for i in (1, 3))
    expected = np.concatenate([w1, -a[:, None] * w1], axis=0)  # rows of the stored matrix are inputs
    expected = np.concatenate([expected, -expected], axis=1).astype(np.float32)
    np.testing.assert_array_equal(arrays["w1/split"], expected)
