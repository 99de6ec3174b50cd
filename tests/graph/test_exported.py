import numpy as np
import onnx
import onnx.parser
import onnx_graphsurgeon as gs
import pytest
from onnx_graphsurgeon.logger import G_LOGGER

from onnx_prelu.errors import BadInput
from onnx_prelu.graph.model import load

MODEL = """<ir_version: 8, opset_import: ["" : 17]> g (float[2, 2] x, bool c) => (float[2, 2] y)
<float[2, 2] w = {1, 2, 3, 4}, float[1] s = {0.25}>
{ [a] h = MatMul(x, w) [b] p = PRelu(h, s)
  y = If (c) <then_branch = t () => (u) <float[1] k = {2}> { u = Mul(p, k) },
              else_branch = e () => (v) { v = Relu(p) }> }"""


def _graph() -> gs.Graph:
    return gs.import_onnx(onnx.parser.parse_model(MODEL))


def test_a_graph_becomes_the_model_that_it_was_imported_from():
    proto = load(_graph()).proto
    original = onnx.parser.parse_model(MODEL)
    assert [node.SerializeToString() for node in proto.graph.node[:2]] == [
        node.SerializeToString() for node in original.graph.node[:2]
    ]
    assert {(tensor.name, tensor.raw_data or tuple(tensor.float_data)) for tensor in proto.graph.initializer} == {
        (tensor.name, tensor.raw_data or tuple(tensor.float_data)) for tensor in original.graph.initializer
    }
    assert list(proto.opset_import) == list(original.opset_import)
    assert proto.ir_version == original.ir_version


def test_neither_the_graph_nor_what_it_was_imported_from_changes():
    original = onnx.parser.parse_model(MODEL)
    graph = gs.import_onnx(original)
    before = original.SerializeToString()
    graph.tensors()["w"].name = "renamed"  # the export writes this name into the tensor of `original`
    graph.nodes[0].domain = "novel"  # ... and adds the domain to the imports of the graph
    domains, lazy = graph.import_domains, graph.tensors()["renamed"]._values
    proto = load(graph).proto
    assert [tensor.name for tensor in proto.graph.initializer] == ["renamed", "s"]
    assert [entry.domain for entry in proto.opset_import] == ["", "novel"]
    assert original.SerializeToString() == before
    assert graph.import_domains is domains
    assert [entry.domain for entry in domains] == [""]
    assert graph.tensors()["renamed"]._values is lazy


def test_a_loaded_model_shares_nothing_with_the_graph():
    graph = _graph()
    model = load(graph)
    before = model.proto.SerializeToString()
    graph.tensors()["w"].values[...] = 9
    graph.nodes[1].op = "Sigmoid"
    assert model.proto.SerializeToString() == before


def test_nothing_is_printed_and_the_logger_keeps_its_level(capsys):
    graph = _graph()
    graph.nodes[1].name = graph.nodes[0].name  # worth a warning to graphsurgeon
    level = G_LOGGER.severity
    load(graph)
    assert capsys.readouterr() == ("", "")
    assert G_LOGGER.severity == level


def test_a_graph_that_cannot_be_exported(capsys):
    x, y = gs.Variable("x"), gs.Variable("y", np.float32)
    graph = gs.Graph([gs.Node("Relu", inputs=[x], outputs=[y])], [x], [y], name="g", opset=17)
    with pytest.raises(
        BadInput, match=r"^graph 'g': graphsurgeon cannot export this graph \(.*dtype.*; correct"
    ) as caught:
        load(graph)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr() == ("", "")
    assert graph.import_domains is None


def test_a_graph_is_vetted_like_a_file():
    x, y = gs.Variable("x", np.float32), gs.Variable("y", np.float32)
    graph = gs.Graph([gs.Node("ReLU", "n", inputs=[x], outputs=[y])], [x], [y], name="g", opset=17)
    with pytest.raises(BadInput, match=r"^graph 'g': node 'n' uses the standard op ReLU"):
        load(graph)
