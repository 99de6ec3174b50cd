"""Rewrite without check or bench, for tests that compare with the oracle themselves."""

from __future__ import annotations

import onnx

from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.edit import finish
from onnx_prelu.graph.model import load
from onnx_prelu.passes.choice import Choice
from onnx_prelu.passes.choose import policy
from onnx_prelu.passes.engine import rewrite_sites
from onnx_prelu.passes.patterns import Scope


def rewritten(
    model: onnx.ModelProto, to: str = "relu", form: str | None = None, slope_in: str = "consumer", **draft: bool
) -> tuple[onnx.ModelProto, list[Choice]]:
    bench = Draft(load(model), **draft)
    decided = rewrite_sites(bench, policy(to, form, slope_in, has_prelu=True), Scope())
    result = finish(bench).proto
    onnx.checker.check_model(result, full_check=True)
    return result, [choice for _, choice in decided]
