"""Layout rules put to a model, for tests that compare with the oracle themselves."""

from __future__ import annotations

from collections.abc import Collection

import onnx

from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.edit import finish
from onnx_prelu.graph.model import load
from onnx_prelu.passes.layout.apply import apply_layout
from tests.oracle import assert_close, run
from tests.texts import feeds


def laid_out(model: onnx.ModelProto, *rules: str, keys: Collection[str] | None = None):
    """The model after some rules, and the keys of what they did."""
    draft = Draft(load(model))
    done = apply_layout(draft, rules, keys)
    result = finish(draft).proto
    onnx.checker.check_model(result, full_check=True)
    return result, [plan.key for plan in done]


def assert_same_function(model, *rules, places):
    """The rules find so many places, or these, and the model stays the same function of inputs of both signs."""
    result, keys = laid_out(model, *rules)
    assert (len(keys) if isinstance(places, int) else set(keys)) == places
    for seed in (0, 1):
        assert_close(run(model, feeds(model, seed)), run(result, feeds(model, seed)))
    return result


def ops(model):
    return [node.op_type for node in model.graph.node]
