"""Another opset or IR version, where only the number changes."""

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnx_prelu
from onnx_prelu.errors import BadUsage, NotMet
from onnx_prelu.graph.model import load
from onnx_prelu.graph.versions import with_versions


def model(body="y = Relu(x)", ir=8, opset=15, head=""):
    text = f'<ir_version: {ir}, opset_import: ["" : {opset}{head}]> g (float[2,3] x) => (float[2,3] y) {{ {body} }}'
    return onnx.parser.parse_model(text)


def changed(proto, **versions):
    before = proto.SerializeToString(deterministic=True)
    result = with_versions(load(proto), **versions).proto
    assert proto.SerializeToString(deterministic=True) == before
    onnx.checker.check_model(result, full_check=True)
    return result


@pytest.mark.parametrize("opset", [14, 16, 20])
def test_only_the_number_of_the_opset_changes(opset):
    result = changed(model(), opset=opset)
    assert result.opset_import[0].version == opset
    result.opset_import[0].version = 15
    assert result.SerializeToString() == model().SerializeToString()


def test_the_same_versions_are_the_same_model():
    loaded = load(model())
    assert with_versions(loaded, opset=15, ir_version=8) is loaded


BRANCHES = """c = Constant <value = bool {1}> ()
y = If (c) <then_branch = t () => (float[2,3] u) { u = Relu(x) },
            else_branch = e () => (float[2,3] v) { v = Abs(x) }>"""
OTHER_OPS = {
    "another version": (model(), 13, "--opset 13: Relu of node 'y' is of version 14 in opset 15, and of version 13"),
    "too new": (model("y = Mish(x)", opset=18), 17, "--opset 17: Mish of node 'y' does not exist there"),
    "in a body": (model(BRANCHES, opset=14), 13, "Relu of node 'u' is of version 14"),
}


@pytest.mark.parametrize("name", OTHER_OPS)
def test_an_op_that_would_be_another_is_refused(name):
    proto, opset, line = OTHER_OPS[name]
    with pytest.raises(NotMet, match=line):
        with_versions(load(proto), opset=opset)


def test_functions_are_looked_at_and_follow():
    text = """<ir_version: 8, opset_import: ["" : 15, "f" : 1]> g (float[2] x) => (float[2] y) { y = f.twice(x) }
              <domain: "f", opset_import: ["" : 15]> twice (x) => (y) { y = Add(x, x) }"""
    result = changed(onnx.parser.parse_model(text), opset=14)
    assert [entry.version for entry in result.functions[0].opset_import] == [14]
    with pytest.raises(NotMet, match="Add of node 'y' is of version 14"):
        with_versions(load(onnx.parser.parse_model(text)), opset=13)


def with_weight(ir):
    proto = model("y = Mul(x, w)", ir=ir, opset=9)
    proto.graph.initializer.append(numpy_helper.from_array(np.ones(3, np.float32), "w"))
    if ir < 4:
        proto.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [3]))
    return proto


def test_ir_version_3_lists_initializers_and_4_does_not():
    down = changed(with_weight(8), ir_version=3)
    assert (down.ir_version, [value.name for value in down.graph.input]) == (3, ["x", "w"])
    assert down.SerializeToString() == with_weight(3).SerializeToString()
    assert changed(down, ir_version=8).SerializeToString() == with_weight(8).SerializeToString()


def test_new_constants_are_listed_too():
    proto = model("y = PRelu(x, w)", opset=9)
    proto.graph.initializer.append(numpy_helper.from_array(np.full(3, 0.3, np.float32), "w"))
    result = onnx_prelu.rewrite(proto, form="skip", ir_version=3, check=False).model
    assert {value.name for value in result.graph.input} == {"x", *(tensor.name for tensor in result.graph.initializer)}


def holding(what):
    proto = model()
    if what == "functions":
        proto.functions.append(helper.make_function("f", "g", ["x"], ["y"], [], [helper.make_opsetid("", 15)]))
    elif what == "float8 tensors":
        proto.graph.initializer.append(
            TensorProto(name="w", data_type=TensorProto.FLOAT8E4M3FN, dims=[1], raw_data=b"\0")
        )
    elif what == "4-bit integers":
        proto.graph.initializer.append(TensorProto(name="w", data_type=TensorProto.INT4, dims=[1], raw_data=b"\0"))
    elif what == "4-bit floats":
        proto.graph.initializer.append(
            TensorProto(name="w", data_type=TensorProto.FLOAT4E2M1, dims=[1], raw_data=b"\0")
        )
    elif what == "metadata of nodes":
        proto.graph.node[0].metadata_props.add(key="k", value="v")
    elif what == "quantization annotations":
        proto.graph.quantization_annotation.add(tensor_name="x")
    elif what == "sparse initializers":
        values = numpy_helper.from_array(np.ones(1, np.float32), "s")
        proto.graph.sparse_initializer.append(
            helper.make_sparse_tensor(values, numpy_helper.from_array(np.zeros(1, np.int64)), [3])
        )
    elif what == "training information":
        proto.training_info.add()
    return proto


CONTENT = {
    "quantization annotations": 5, "sparse initializers": 6, "training information": 7, "functions": 8,
    "float8 tensors": 9, "4-bit integers": 10, "metadata of nodes": 10, "4-bit floats": 11,
}  # fmt: skip


@pytest.mark.parametrize("what", CONTENT)
def test_what_an_ir_version_cannot_hold_is_refused(what):
    proto = holding(what)
    proto.ir_version = 11
    with pytest.raises(NotMet, match=f"the model holds {what}, which come with IR version {CONTENT[what]}"):
        with_versions(load(proto), ir_version=CONTENT[what] - 1)
    proto.ir_version = 12
    assert with_versions(load(proto), ir_version=CONTENT[what]).proto.ir_version == CONTENT[what]


@pytest.mark.parametrize("versions", [{"opset": 999}, {"ir_version": 99}, {"ir_version": 2}])
def test_versions_that_onnx_does_not_know(versions):
    with pytest.raises(BadUsage, match="this onnx knows"):
        with_versions(load(model()), **versions)


def test_versions_alone_are_checked_and_reported():
    result = onnx_prelu.rewrite(model(), to="relu", opset=16, ir_version=9)
    assert (result.model.opset_import[0].version, result.model.ir_version) == (16, 9)
    assert result.report.check[0].status == "passed"
    assert not result.report.notes or "nothing to do" not in result.report.notes[0]
