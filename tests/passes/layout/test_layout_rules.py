"""The rules by name, together, in bodies, and on real models."""

from pathlib import Path

import numpy as np
import onnx
import pytest

import onnx_prelu
from onnx_prelu.errors import BadUsage
from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.edit import finish
from onnx_prelu.graph.model import load
from onnx_prelu.passes.layout.apply import LAYOUT_RULES, apply_layout
from tests.laid_out import assert_same_function, laid_out, ops
from tests.texts import from_text

ROOT = Path(__file__).parents[3]
FOLDER = ROOT.parent / "shared" / "models"


def test_every_rule_is_documented_in_order():
    page = (ROOT / "docs" / "layout.md").read_text(encoding="utf-8")
    table = page.split("| rule | what it does |\n|---|---|\n")[1].split("\n\n")[0]
    assert [row.split("|")[1].strip() for row in table.splitlines()] == list(LAYOUT_RULES)
    for rule in LAYOUT_RULES:
        assert any(line.startswith("## ") and rule in line for line in page.splitlines())


def test_a_plan_says_what_it_does_and_to_which_nodes():
    model = from_text(DEPTHWISE_1D, "float[2,4,9] x", "float[2,6,5] y", WEIGHTS)
    texts = [plan.text for plan in apply_layout(Draft(load(model)), list(LAYOUT_RULES))]
    assert texts == [
        "3 layers as 2-D Convs, with all that stands between them: 'n_z', 'n_q', 'n_y'",
        "13 channels filled up to 16 by zeros, between 'n_z', 'n_y'",
    ]


def test_a_rule_that_is_not_known():
    model = from_text("y = Relu(x)", "float[2] x", "float[2] y", {})
    with pytest.raises(BadUsage, match="the layout rule fold is not known; take some of lift-conv, lift-matmul, pad"):
        laid_out(model, "fold")


DEPTHWISE_1D = "z = Conv(x, w)  h = PRelu(z, a)  q = Conv<group = 13>(h, d)  y = Conv(q, v)"
WEIGHTS = {"w": (13, 4, 3), "a": (13, 1), "d": (13, 1, 3), "v": (6, 13, 1)}


def test_what_was_lifted_is_filled_up_and_then_takes_any_form():
    model = from_text(DEPTHWISE_1D, "float[2,4,9] x", "float[2,6,5] y", WEIGHTS)
    result = assert_same_function(model, "lift-conv", "pad", places={"lift-conv:n_z", "pad:n_q"})
    assert {tensor.dims[0] for tensor in result.graph.initializer if len(tensor.dims) > 1} == {16, 6}
    skipped = onnx_prelu.rewrite(result, form=["skip-outside"], providers=["cpu"])
    assert [check.status for check in skipped.report.check] == ["passed"]


def test_nodes_without_names_are_called_as_before():
    model = from_text(DEPTHWISE_1D, "float[2,4,9] x", "float[2,6,5] y", WEIGHTS)
    for node in model.graph.node:
        node.name = ""
    _, keys = laid_out(model, *LAYOUT_RULES)
    assert keys == ["lift-conv:z", "pad:q"]


def test_a_body_is_laid_out_by_itself():
    branch = from_text(DEPTHWISE_1D, "float[2,4,9] x", "float[2,6,5] y", WEIGHTS).graph
    other = from_text("o = Conv(x, u)", "float[2,4,9] x", "float[2,6,5] o", {"u": (6, 4, 5)}).graph
    for graph in (branch, other):
        del graph.input[:]
    node = onnx.helper.make_node("If", ["c"], ["y"], "if", then_branch=branch, else_branch=other)
    graph = onnx.helper.make_graph(
        [node],
        "g",
        [
            onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [2, 4, 9]),
            onnx.helper.make_tensor_value_info("c", onnx.TensorProto.BOOL, []),
        ],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [2, 6, 5])],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    assert_same_function(model, *LAYOUT_RULES, places={"lift-conv:if/then_branch/n_z", "pad:if/then_branch/n_q"})


def test_a_model_that_was_laid_out_has_nothing_left():
    model = from_text(DEPTHWISE_1D, "float[2,4,9] x", "float[2,6,5] y", WEIGHTS)
    result, _ = laid_out(model, *LAYOUT_RULES)
    assert laid_out(result, *LAYOUT_RULES) == (result, [])


#: By model: which rules find how many places.
PLACES = {
    "mediapipe_face_landmark": {"pad-concat": 3},
    "minifasnet_v2": {"pad": 13},
    "mtcnn_pnet": {"heads": 1},
    "mtcnn_rnet": {"pad": 1},
    "silero_vad_16k": {"lift-conv": 1},
}


@pytest.mark.skipif(not FOLDER.is_dir(), reason="there is no folder ../shared/models with the real models")
@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.onnx")), ids=lambda path: path.stem)
def test_real_models_stay_the_same_function(path):
    draft = Draft(load(path))
    done = [plan.rule for plan in apply_layout(draft, list(LAYOUT_RULES))]
    assert {rule: done.count(rule) for rule in done} == PLACES.get(path.stem, {})
    result = finish(draft)
    if not done:
        assert result is draft.model
        return
    report = onnx_prelu.check(path, result, providers=["cpu"])
    assert [check.status for check in report.check] == ["passed"]


@pytest.mark.skipif(not FOLDER.is_dir(), reason="there is no folder ../shared/models with the real models")
def test_no_prelu_is_lost_on_the_way():
    model = onnx.load(FOLDER / "minifasnet_v2.onnx")
    result, _ = laid_out(model, "pad")
    assert ops(result) == ops(model)
    slopes = [tensor.dims[0] for tensor in result.graph.initializer if len(tensor.dims) == 3]
    assert slopes
    assert not np.any(np.array(slopes) % 4)
