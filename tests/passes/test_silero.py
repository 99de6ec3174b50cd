"""A real network with If bodies in If bodies: nothing to rewrite, and PReLUs planted in them."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.edit import finish
from onnx_prelu.graph.model import load
from onnx_prelu.graph.walk import within
from onnx_prelu.passes.choose import policy
from onnx_prelu.passes.engine import rewrite_sites
from onnx_prelu.passes.patterns import Scope
from tests.oracle import assert_close, assert_same_bits, run
from tests.rewriting import rewritten

SILERO = Path(__file__).parents[3] / "shared" / "models" / "silero_vad_16k.onnx"
RNG = np.random.default_rng(0)
FEEDS = {
    "input": (0.3 * RNG.normal(size=(1, 576))).astype(np.float32),
    "state": RNG.normal(size=(2, 1, 128)).astype(np.float32),
    "sr": np.array(16000, np.int64),
}


@pytest.fixture(scope="module")
def silero():
    path = next(
        (p for p in (SILERO, *(up / "shared/models" / SILERO.name for up in SILERO.parents)) if p.exists()), None
    )
    if path is None:
        pytest.skip("the shared models are not here: silero_vad_16k.onnx is needed")
    return onnx.load(path)


def planted(proto):
    """PRelu on every float output of every nested graph, its slope captured from the top level."""
    model = onnx.ModelProto()
    model.CopyFrom(proto)
    bodies = list(within(model.graph))[1:]
    for number, body in enumerate(bodies):
        makers = {name: node for node in body.node for name in node.output}
        for output in list(body.output):
            maker = makers.get(output.name)
            if output.type.tensor_type.elem_type != onnx.TensorProto.FLOAT or maker is None:
                continue
            raw = f"{output.name}.raw"
            maker.output[list(maker.output).index(output.name)] = raw
            body.node.append(helper.make_node("PRelu", [raw, "slope"], [output.name], f"planted{number}.{raw}"))
    model.graph.initializer.append(numpy_helper.from_array(np.array([-0.375], np.float32), "slope"))
    return model, bodies


def test_a_model_without_prelu_in_any_body_comes_back_as_it_was(silero):
    draft = Draft(load(silero))
    assert len(list(draft.scopes())) == 1 + len(list(within(silero.graph))[1:]) == 25
    assert rewrite_sites(draft, policy("relu", None, "consumer", has_prelu=True), Scope()) == []
    assert finish(draft) is draft.model


@pytest.mark.parametrize("form", ["mirror", "skip", "max", "leakyrelu"])
def test_a_prelu_in_every_body(silero, form):
    model, bodies = planted(silero)
    result, choices = rewritten(model, form=form)
    prelus = [node for body in bodies for node in body.node if node.op_type == "PRelu"]
    assert len(choices) == len(prelus) >= 10
    assert {choice.form for choice in choices} == {form}
    assert all(choice.node.count("/") >= 2 and "branch/planted" in choice.node for choice in choices)
    assert not [node for body in within(result.graph) for node in body.node if node.op_type == "PRelu"]
    same = assert_close if form == "skip" else assert_same_bits
    same(run(model, FEEDS), run(result, FEEDS))
    back, _ = rewritten(result, to="prelu")
    if form != "leakyrelu":
        assert [node for body in within(back.graph) for node in body.node if node.op_type == "PRelu"]
    assert_same_bits(run(model, FEEDS), run(back, FEEDS))


def test_what_is_not_planted_stays(silero):
    model, _ = planted(silero)
    result, _ = rewritten(model, form="mirror")
    for before, after in zip(within(model.graph), within(result.graph), strict=True):
        kept = [n.SerializeToString() for n in before.node if n.op_type not in ("PRelu", "If", "Identity")]
        mine = [
            n.SerializeToString()
            for n in after.node
            if not n.name.startswith("planted") and n.op_type not in ("If", "Identity")
        ]
        assert mine == kept
        assert [t.SerializeToString() for t in after.initializer] == [t.SerializeToString() for t in before.initializer]
