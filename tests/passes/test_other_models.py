"""Models that hold no PReLU come back as they were; around a grafted one, everything else stays byte for byte."""

import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.backend.test.case.node import collect_testcases

from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.edit import finish
from onnx_prelu.graph.model import load
from onnx_prelu.graph.walk import within
from onnx_prelu.passes.choose import policy
from onnx_prelu.passes.engine import rewrite_sites
from onnx_prelu.passes.patterns import Scope

GRAFT = "graft."


def node_cases():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {case.name: case.model for case in collect_testcases(None) if case.model is not None}


def data_cases():
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data"
    return {f"{path.parent.parent.name}/{path.parent.name}": onnx.load(path) for path in folder.rglob("model.onnx")}


@pytest.fixture(scope="module")
def cases():
    """Every model of the onnx package that holds no PReLU, by its name."""
    found = {**node_cases(), **data_cases()}
    without = {
        name: proto for name, proto in found.items() if "prelu" not in name.lower().replace("leakyrelu", "prelu")
    }
    assert len(without) > 1000
    return without


def relu(model):
    draft = Draft(model)
    decided = rewrite_sites(draft, policy("relu", None, "consumer", has_prelu=True), Scope())
    return finish(draft), [choice for _, choice in decided]


def test_models_without_prelu_come_back_untouched(cases):
    for name, proto in cases.items():
        model = load(proto)
        result, choices = relu(model)
        assert result is model, (name, choices)


def graft(proto):
    """Gemm, PRelu, Gemm in the middle of the graph, beside everything that a rewrite has to leave alone."""
    opset = next((o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")), None)
    if opset is None or opset < 3:
        return None
    model = onnx.ModelProto()
    model.CopyFrom(proto)
    graph, rng = model.graph, np.random.default_rng(0)
    values = {"A": (4, 3), "b": (3,), "a": (3,), "V": (3, 2), "c": (2,), "unused": (5,)}
    tensors = [numpy_helper.from_array(rng.normal(size=s).astype(np.float32), GRAFT + n) for n, s in values.items()]
    legacy = {"broadcast": 1} if opset < 7 else {}
    nodes = [
        helper.make_node("Gemm", [GRAFT + n for n in "xAb"], [GRAFT + "z"], GRAFT + "fc0", **legacy),
        helper.make_node("PRelu", [GRAFT + "z", GRAFT + "a"], [GRAFT + "h"], GRAFT + "act"),
        helper.make_node("Gemm", [GRAFT + n for n in "hVc"], [GRAFT + "y"], GRAFT + "fc1", **legacy),
    ]
    for node in nodes:
        node.doc_string = "planted"
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*rest[: len(rest) // 2], *nodes, *rest[len(rest) // 2 :]])
    graph.initializer.extend(tensors)
    graph.input.append(helper.make_tensor_value_info(GRAFT + "x", onnx.TensorProto.FLOAT, ["N", 4]))
    graph.output.append(helper.make_tensor_value_info(GRAFT + "y", onnx.TensorProto.FLOAT, ["N", 2]))
    if model.ir_version < 4:
        graph.input.extend(helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in tensors)
    graph.quantization_annotation.add(tensor_name=GRAFT + "x").quant_parameter_tensor_names.add(key="SCALE", value="s")
    model.doc_string = graph.doc_string = "planted"
    model.metadata_props.add(key="planted", value="yes")
    if model.ir_version >= 8:
        opsets = [helper.make_opsetid("", opset)]
        body = [helper.make_node("Identity", ["u"], ["v"])]
        model.functions.append(helper.make_function("planted", "f", ["u"], ["v"], body, opsets))
        model.opset_import.append(helper.make_opsetid("planted", 1))
    return model


def graft_bodies(proto):
    """The same in every nested graph: x and the weights are captured from the top level, the results go nowhere."""
    model = graft(proto)
    if model is None or not nested(model):
        return None
    planted = [node for node in model.graph.node if node.name.startswith(GRAFT)]
    for number, body in enumerate(reversed(nested(model))):  # inner before outer: what is put back is a copy
        rest = list(body.node)
        del body.node[:]
        body.node.extend([*(renamed(node, number) for node in planted), *rest])
    return model


def renamed(node, number):
    """A copy for another body: its own names, the captured x and weights."""
    own = {GRAFT + name: f"{GRAFT}{number}.{name}" for name in ("act", "fc0", "fc1", "z", "h", "y")}
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.name = own[node.name]
    for field in (copy.input, copy.output):
        field[:] = [own.get(name, name) for name in field]
    return copy


def nested(model):
    return list(within(model.graph))[1:]


def bare(model):
    """The model less its grafted nodes and initializers, in nested graphs too, as bytes."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for graph in within(copy.graph):
        for field in (graph.node, graph.initializer, graph.input, graph.value_info):
            kept = [m for m in field if not m.name.startswith(GRAFT) or m.name in (GRAFT + "unused", GRAFT + "x")]
            del field[:]
            field.extend(kept)
    return copy.SerializeToString()


def test_around_a_grafted_prelu_everything_stays(cases):
    grafted = 0
    for name, proto in cases.items():
        model = graft(proto)
        if model is None:
            continue
        grafted += 1
        before = model.SerializeToString()
        result, choices = relu(load(model))
        assert [(c.node, c.form) for c in choices] == [(GRAFT + "act", "split")], name
        assert model.SerializeToString() == before
        assert bare(result.proto) == bare(model), name
        mine = [node for node in result.proto.graph.node if node.name.startswith(GRAFT)]
        assert [node.op_type for node in mine] == ["Gemm", "Relu", "Gemm"]
        assert [node.doc_string for node in mine] == ["planted"] * 3
        assert {t.name for t in result.proto.graph.initializer if t.name.startswith(GRAFT)} == {
            "graft.A/split", "graft.b/split", "graft.V/split", "graft.c", "graft.unused",
        }  # fmt: skip
    assert grafted > 1000


def test_around_prelus_in_every_nested_graph_everything_stays(cases):
    """If, Loop, Scan and what else holds graphs: each body is rewritten, and nothing else in it changes."""
    holders = set()
    for name, proto in cases.items():
        model = graft_bodies(proto)
        if model is None:
            continue
        holders |= {node.op_type for body in within(model.graph) for node in body.node if node_holds(node)}
        result, choices = relu(load(model))
        assert {choice.form for choice in choices} == {"split"}, name
        assert len(choices) == 1 + len(nested(model)), name
        assert bare(result.proto) == bare(model), name
        for body in within(result.proto.graph):
            mine = [node for node in body.node if node.name.startswith(GRAFT) and node.op_type != "Constant"]
            assert [node.op_type for node in mine] == ["Gemm", "Relu", "Gemm"], name
        left = {tensor.name for tensor in result.proto.graph.initializer}
        assert not left & {GRAFT + "A", GRAFT + "a", GRAFT + "V"}, name
    assert holders >= {"If", "Loop", "Scan"}


def node_holds(node):
    return any(attribute.HasField("g") for attribute in node.attribute)
