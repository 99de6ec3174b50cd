"""Types are what ONNX says they are, on models that a plain call of its inference would choke on or be slow with."""

import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, external_data_helper, helper, numpy_helper, parser

from onnx_prelu.errors import BadInput
from onnx_prelu.graph.model import Model
from onnx_prelu.graph.types import TensorType, byte_count, infer

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def model(text: str, *, opset: int = 17, ir: int = 8) -> Model:
    return Model(parser.parse_model(f'<ir_version: {ir}, opset_import: ["":{opset}]>\n{text}'))


def shapes(found: dict[str, TensorType]) -> dict[str, object]:
    return {name: known.shape for name, known in found.items()}


def test_inputs_initializers_and_node_outputs_have_types():
    found = infer(
        model("""
        g (float[N,4] x) => (float[N,3] y) <float[4,3] w = {1,2,3,4,5,6,7,8,9,10,11,12}, int64[2] s = {0, -1}> {
            z = MatMul(x, w)
            y = Reshape(z, s)
        }""")
    )
    assert found == {
        "x": TensorType(FLOAT, ("N", 4)),
        "w": TensorType(FLOAT, (4, 3)),
        "s": TensorType(INT64, (2,)),
        "z": TensorType(FLOAT, ("N", 3)),
        "y": TensorType(FLOAT, ("N", 3)),
    }


@pytest.mark.parametrize(
    ("opset", "ir", "text", "expected"),
    [
        (6, 3, "g (float[2,3,4,5] x, float[3] a) => (float[2,3,4,5] y) <float[3] a> { y = PRelu(x, a) }", (2, 3, 4, 5)),
        (7, 3, "g (float[2,3] x) => (float[] y) { y = Flatten<axis = 0>(x) }", (1, 6)),
        (8, 3, "g (float[2,3] x) => (float[] y) <int64[2] s = {3, 2}> { y = Reshape(x, s) }", (3, 2)),
        (9, 4, "g (float[1,3,8,8] x, float[4,3,3,3] w) => (float[] y) { y = Conv(x, w) }", (1, 4, 6, 6)),
        (13, 8, "g (float[2,3] x) => (float[] y) <int64[1] a = {0}> { y = Unsqueeze(x, a) }", (1, 2, 3)),
    ],
)
def test_old_opsets(opset, ir, text, expected):
    assert infer(model(text, opset=opset, ir=ir))["y"].shape == expected


def test_fixed_inputs_win_over_symbols_declared_anywhere():
    chain = model("""
        g (float[N,4] x, float[N,4] x2) => (float[N,4] y) <float[N,4] z> { z = Relu(x)  y = Relu(z) }""")
    assert shapes(infer(chain, {"x": (7, 4)})) == {"x": (7, 4), "x2": ("N", 4), "z": (7, 4), "y": (7, 4)}


def test_declared_numbers_survive_where_inference_is_blind():
    custom = model("g (float[N,4] x) => (float[N,4] y) <float[N,6] z> { z = my.Op(x)  y = Relu(z) }")
    custom.proto.opset_import.add(domain="my", version=1)
    assert infer(custom)["z"] == TensorType(FLOAT, ("N", 6))
    assert infer(custom, {"x": (2, 4)})["z"] == TensorType(FLOAT, (None, 6))


def test_an_unknown_input_name_is_refused():
    with pytest.raises(BadInput, match="no input 'X'; its inputs are x"):
        infer(model("g (float[N] x) => (float[N] y) { y = Relu(x) }"), {"X": (1,)})


@pytest.mark.parametrize(
    ("inputs", "times"),
    [
        ([None, {}, {"x": (2, 4)}], 1),
        ([{"x": (3, 4)}, {"x": (3, 4)}], 1),
        ([None, {"x": (3, 4)}, {"x": (5, 4)}, {"x": (3, 4)}], 3),
    ],
)
def test_a_model_is_inferred_once_for_the_same_sizes(monkeypatch, inputs, times):
    calls = []
    original = onnx.shape_inference.infer_shapes
    monkeypatch.setattr(onnx.shape_inference, "infer_shapes", lambda *a, **k: calls.append(a) or original(*a, **k))
    fixed = model("g (float[2,4] x) => (float[A,B] y) { y = Relu(x) }")
    fixed.proto.graph.output[0].type.tensor_type.ClearField("shape")
    found = [infer(fixed, sizes)["y"].shape for sizes in inputs]
    assert found == [(sizes or {"x": (2, 4)}).get("x", (2, 4)) for sizes in inputs]
    assert len(calls) == times
    infer(Model(fixed.proto))
    assert len(calls) == times + 1


def test_a_model_that_inference_refuses_keeps_what_it_declares():
    broken = model("g (float[2] x) => (float[2] y) <float[2] z> { z = nowhere.Op(x)  y = Relu(z) }")
    with pytest.raises(onnx.shape_inference.InferenceError):
        onnx.shape_inference.infer_shapes(broken.proto)
    assert infer(broken) == {name: TensorType(FLOAT, (2,)) for name in "xyz"}


def test_a_wrong_node_does_not_take_the_rest_along():
    found = infer(model("g (float[2,3] x) => (float[2,3] y) { z = Conv(x, x)  q = MatMul(x, x)  y = Relu(x) }"))
    assert found["y"].shape == (2, 3)  # what is said of z depends on the version of onnx


def test_large_weights_are_not_serialized_and_the_model_is_not_touched():
    large = model("""
        g (float[N,1000] x) => (float[N,K] y) {
            z = MatMul(x, w)
            c = Constant <value = float[1] {0}> ()
            y = Add(z, c)
        }""")
    graph = large.proto.graph
    graph.initializer.append(numpy_helper.from_array(np.zeros((1000, 1000), np.float32), "w"))
    graph.node[1].attribute[0].t.CopyFrom(numpy_helper.from_array(np.zeros(1000, np.float32)))
    before, seen = large.proto.SerializeToString(), []
    original = onnx.shape_inference.infer_shapes

    def watched(proto, **options):
        seen.append(proto.ByteSize())
        return original(proto, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx.shape_inference, "infer_shapes", watched)
        found = infer(large)
    assert max(seen) < 1000
    assert found["z"].shape == ("N", 1000)
    assert found["c"] == TensorType(FLOAT, (1000,))
    assert large.proto.SerializeToString() == before


def test_large_integer_constants_stop_nothing():
    gather = model("""
        g (float[2,3] x) => (float[2,3] y) <int64[1] i = {0}> { d = Gather(b, i)  r = Reshape(x, d)  y = Relu(x) }""")
    gather.proto.graph.initializer.append(numpy_helper.from_array(np.arange(1000), "b"))
    found = infer(gather)
    assert found["d"].shape == (1,)
    assert len(found["r"].shape) == 1
    assert found["y"].shape == (2, 3)


def test_shapes_kept_in_external_data_are_read(tmp_path: Path):
    source = model("g (float[2,6] x) => (float[] y) { y = Reshape(x, s) }")
    source.proto.graph.initializer.append(numpy_helper.from_array(np.array([4, 3]), "s"))
    onnx.save(source.proto, tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    proto = onnx.load(tmp_path / "m.onnx", load_external_data=False)
    assert any(external_data_helper.uses_external_data(tensor) for tensor in proto.graph.initializer)
    assert infer(Model(proto, folder=tmp_path))["y"].shape == (4, 3)
    (tmp_path / "m.data").unlink()
    with pytest.raises(BadInput, match=r"m\.data"):
        infer(Model(proto, folder=tmp_path))


def test_functions_are_looked_into():
    proto = parser.parse_model("""
        <ir_version: 8, opset_import: ["":17, "my":1]>
        g (float[N,4] x) => (float[] y) { y = my.act(x) }
        <domain: "my", opset_import: ["":17]>
        act (a) => (b) { hidden = Relu(a)  b = Transpose(hidden) }""")
    assert shapes(infer(Model(proto))) == {"x": ("N", 4), "y": (4, "N")}


def test_names_of_nested_bodies_do_not_leak():
    nested = model("""
        g (float[2] x, bool c) => (float[2] y) {
            y = If (c) <
                then_branch = t () => (float[2] inner) { inner = Relu(x) },
                else_branch = e () => (float[2] other) { other = Neg(x) }
            >
        }""")
    assert set(infer(nested)) == {"x", "c", "y"}


def test_sparse_initializers_have_their_dense_shape():
    graph = model("g (float[2,3] x) => (float[2,4] y) { y = MatMul(x, w) }")
    values = numpy_helper.from_array(np.ones(2, np.float32), "w")
    indices = numpy_helper.from_array(np.array([0, 5]), "w/indices")
    graph.proto.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [3, 4]))
    assert infer(graph)["w"] == TensorType(FLOAT, (3, 4))


def test_a_sequence_has_no_tensor_type():
    split = model("g (float[4] x) => (float[N] y) <int64 z = {0}> { s = SplitToSequence(x)  y = SequenceAt(s, z) }")
    assert "s" not in infer(split)


@pytest.mark.parametrize(
    ("shape", "fixed"), [((2, 3), (2, 3)), ((), ()), (("N", 3), None), ((None,), None), (None, None)]
)
def test_fixed(shape, fixed):
    assert TensorType(FLOAT, shape).fixed == fixed


@pytest.mark.parametrize(
    "name", ["FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16", "INT64", "BOOL", "UINT8", "INT4", "FLOAT8E5M2"]
)
def test_bytes_are_those_of_the_raw_data(name):
    dtype = TensorProto.DataType.Value(name)
    for shape in ((), (3,), (2, 4)):
        tensor = helper.make_tensor("t", dtype, shape, np.ones(math.prod(shape), np.int64))
        stored = numpy_helper.from_array(numpy_helper.to_array(tensor)) if name not in ("INT4",) else None
        elements = math.prod(shape)
        expected = (elements + 1) // 2 if stored is None else len(stored.raw_data)
        assert byte_count(dtype, elements) == expected


@pytest.mark.parametrize("dtype", [TensorProto.STRING, TensorProto.UNDEFINED])
def test_bytes_of_strings_and_unknown_types_are_unknown(dtype):
    assert byte_count(dtype, 3) is None
