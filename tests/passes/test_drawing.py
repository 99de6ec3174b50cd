"""Drawings of sites show what stands in the model before, and in the result after."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.edit import finish
from onnx_prelu.graph.model import load
from onnx_prelu.passes.choose import policy
from onnx_prelu.passes.drawing import Drawn, with_drawings
from onnx_prelu.passes.engine import rewrite_sites
from onnx_prelu.passes.patterns import Scope
from tests.texts import from_text

MODELS = Path(__file__).parents[2] / "models"
ENDS = {"input", "output", "more"}


def drawn(model, form=None, to="relu"):
    """The choices of a rewrite, with their drawings, and the result."""
    draft = Draft(load(model))
    decided = rewrite_sites(draft, policy(to, form, "consumer", has_prelu=to == "relu"), Scope())
    result = finish(draft)
    return with_drawings(draft, decided), result.proto


def assert_stands_in(nodes, proto):
    """Each drawn node is one of the model, with its tensors and the shapes of its constants."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in proto.graph.initializer}
    for node in proto.graph.node:
        if node.op_type == "Constant":
            shapes[node.output[0]] = tuple(node.attribute[0].t.dims)
    known = {node.name or node.output[0]: node for node in proto.graph.node}
    for each in nodes:
        if each.op not in ENDS:
            node = known[each.node]
            read = list(dict.fromkeys(filter(None, node.input)))
            assert each.op == node.op_type
            assert list(each.inputs) == [name for name in read if name not in shapes]
            assert list(each.constants) == [shapes[name] for name in read if name in shapes]
            assert list(each.outputs) == list(filter(None, node.output))


@pytest.mark.parametrize("form", ["split", "split-step", "concat", "tied", "mirror", "skip", "gauge"])
@pytest.mark.parametrize("name", ["gemm", "matmul", "cnn"])
def test_every_node_that_changed_is_drawn_as_it_is(name, form):
    original = onnx.load(MODELS / f"digits_prelu_{name}.onnx")
    choices, result = drawn(original, form)
    shown = {"before": set(), "after": set()}
    for choice in choices:
        for when, proto in (("before", original), ("after", result)):
            nodes = getattr(choice.drawing, when)
            assert_stands_in(nodes, proto)
            shown[when] |= {node.node for node in nodes if node.role != "around"}
    was, now = ({node.SerializeToString() for node in proto.graph.node} for proto in (original, result))
    kept = was & now
    for when, proto in (("before", original), ("after", result)):
        changed = {n.name for n in proto.graph.node if n.SerializeToString() not in kept and n.op_type != "Constant"}
        assert changed <= shown[when]
    assert any(choice.form == form for choice in choices) or form == "gauge"


def test_the_way_back_is_drawn_too():
    (first, _), _ = drawn(MODELS / "digits_relu_wide.onnx", to="prelu")
    ops = [[node.op for node in side if node.role == "site"] for side in (first.drawing.before, first.drawing.after)]
    assert ops == [["Relu"], ["PRelu"]]


READ_OFTEN = "y = PRelu(x, a)  " + "  ".join(f"z{i} = Neg(y)" for i in range(7)) + "  y2 = Relu(z0)"


def test_a_tensor_that_many_read_is_drawn_with_some_of_them():
    outputs = ", ".join(["float[2, 3] y", *(f"float[2, 3] z{i}" for i in range(1, 7)), "float[2, 3] y2"])
    model = from_text(READ_OFTEN, "float[2, 3] x", outputs, {"a": np.array([0.1, 0.2, 0.3])})
    (choice,), _ = drawn(model, "mirror")
    for nodes, made in ((choice.drawing.before, "n_y"), (choice.drawing.after, "n_y/sub")):
        assert [node.node for node in nodes if node.op == "Neg" and node.role == "around"] == [
            f"n_z{i}" for i in range(4)
        ]
        assert Drawn("3 more readers", "more", ("y",), ()) in nodes
        assert Drawn("y", "output", ("y",), ()) in nodes
        assert Drawn("x", "input", (), ("x",)) in nodes
        assert made in [node.node for node in nodes if node.role == "site"]


def test_constants_of_nodes_are_held_and_not_drawn():
    text = "a = Constant<value = float[3] {0.1, 0.2, 0.3}>()  y = PRelu(x, a)"
    model = from_text(text, "float[2, 3] x", "float[2, 3] y", {})
    (choice,), result = drawn(model, "mirror")
    assert [(node.op, node.constants) for node in choice.drawing.before if node.role == "site"] == [("PRelu", ((3,),))]
    assert_stands_in(choice.drawing.after, result)


INSIDE = """
agraph (float[2, 3] x, bool c) => (float[2, 3] y) {
  y = If (c) <
    then_branch = yes () => (float[2, 3] t) { t = PRelu(x, a) },
    else_branch = no () => (float[2, 3] e) { e = Neg(x) }
  >
}
"""


def test_a_site_in_a_body_is_drawn_with_the_constants_around_it():
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]>{INSIDE}')
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32([0.1, 0.2, 0.3]), "a"))
    (choice,), _ = drawn(model, "mirror")
    (site,) = [node for node in choice.drawing.before if node.role == "site"]
    assert (site.op, site.constants, site.inputs) == ("PRelu", ((3,),), ("x",))
    assert [node.op for node in choice.drawing.after if node.role == "site"] == ["Relu", "Neg", "Relu", "Mul", "Sub"]


def test_a_site_that_stays_has_no_drawing():
    model = from_text("y = Relu(x)", "float[2, 3] x", "float[2, 3] y", {})
    (stays,), _ = drawn(
        from_text("y = PRelu(x, a)", "float[2, 3] x", "float[2, 3] y", {"a": np.array([0.5])}), to="prelu"
    )
    assert (stays.form, stays.drawing) == (None, None)
    assert drawn(model)[0] == ()
