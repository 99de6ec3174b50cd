from collections.abc import Iterator

import onnx
from google.protobuf.message import Message
from onnx import TensorProto, helper

from onnx_prelu.graph.walk import endless, initializers, tensors


def _tensor(name: str) -> TensorProto:
    return helper.make_tensor(name, TensorProto.FLOAT, [1], [1.0])


def _sparse(name: str) -> onnx.SparseTensorProto:
    return helper.make_sparse_tensor(
        _tensor(f"{name}.values"), helper.make_tensor(f"{name}.indices", TensorProto.INT64, [1], [0]), [4]
    )


def _constant(output: str, **value: object) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [output], **value)


def _everywhere() -> onnx.ModelProto:
    """A model with a tensor in every place that the format has for one."""
    inner = helper.make_graph([_constant("i", value=_tensor("nested.attribute"))], "inner", [], [])
    inner.initializer.append(_tensor("nested.initializer"))
    branch = helper.make_graph(
        [helper.make_node("If", ["c"], ["j"], then_branch=inner, else_branch=inner)], "b", [], []
    )
    holder = helper.make_node("Holder", [], ["k"], domain="d")
    holder.attribute.append(helper.make_attribute("list", [_tensor("list.0"), _tensor("list.1")]))
    holder.attribute.append(helper.make_attribute("sparses", [_sparse("sparses.0")]))
    holder.attribute.append(helper.make_attribute("bodies", [branch]))
    graph = helper.make_graph([_constant("a", sparse_value=_sparse("attribute.sparse")), holder], "g", [], [])
    graph.initializer.append(_tensor("initializer"))
    graph.sparse_initializer.append(_sparse("sparse"))
    function = helper.make_function("d", "F", [], ["y"], [_constant("y", value=_tensor("function.attribute"))], [])
    function.attribute_proto.append(helper.make_attribute("default", _tensor("function.default")))
    model = helper.make_model(graph, functions=[function])
    training = model.training_info.add()
    training.initialization.initializer.append(_tensor("training.initialization"))
    training.algorithm.initializer.append(_tensor("training.algorithm"))
    return model


def test_every_tensor_of_a_model_is_found_once_for_each_place():
    assert sorted(tensor.name for tensor in tensors(_everywhere())) == sorted(
        [
            "initializer",
            "sparse.values",
            "sparse.indices",
            "attribute.sparse.values",
            "attribute.sparse.indices",
            "list.0",
            "list.1",
            "sparses.0.values",
            "sparses.0.indices",
            *["nested.initializer", "nested.attribute"] * 2,  # in both branches of the If
            "function.attribute",
            "function.default",
            "training.initialization",
            "training.algorithm",
        ]
    )


def _by_reflection(message: Message) -> Iterator[TensorProto]:
    """Every TensorProto in a message, by the schema of the format rather than by knowledge of it."""
    if isinstance(message, TensorProto):
        yield message
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for inner in [value] if isinstance(value, Message) else value:
                yield from _by_reflection(inner)


def test_the_format_has_no_other_place_for_a_tensor():
    model = _everywhere()
    expected = sorted(tensor.name for tensor in _by_reflection(model))
    assert len(expected) == 17
    assert sorted(tensor.name for tensor in tensors(model)) == expected


def test_initializers_are_dense_ones_of_all_graphs():
    assert [tensor.name for tensor in initializers(_everywhere())] == [
        "initializer",
        *["nested.initializer"] * 2,
        "training.initialization",
        "training.algorithm",
    ]


def test_functions_without_an_end_are_told():
    imports = 'opset_import: ["" : 17, "own" : 1]'
    text = f"""<ir_version: 8, {imports}> g (float[N] x) => (float[N] y) {{ y = own.a(x) }}
        <{imports}, domain: "own"> a (x) => (y) {{ y = own.b(x) }}
        <{imports}, domain: "own"> b (x) => (y) {{ y = own.a(x) }}
        <{imports}, domain: "own"> c (x) => (y) {{ y = own.b(x) }}
        <{imports}, domain: "own"> d (x) => (y) {{ y = own.e(x) }}
        <{imports}, domain: "own"> e (x) => (y) {{ y = Relu(x) }}"""
    assert [function.name for function in endless(onnx.parser.parse_model(text))] == ["a", "b", "c"]
