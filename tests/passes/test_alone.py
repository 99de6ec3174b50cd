"""Each rewritten site alone, before against after, whatever its neighbours became."""

import numpy as np
import onnx
from hypothesis import given
from hypothesis import strategies as st

from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.edit import finish
from onnx_prelu.graph.model import load
from onnx_prelu.passes.alone import sites_alone
from onnx_prelu.passes.choose import policy
from onnx_prelu.passes.engine import rewrite_sites
from onnx_prelu.passes.patterns import Scope
from tests.counts import examples
from tests.oracle import assert_close, run
from tests.strategies import nets


def alone(proto, to, form=None, slope_in="consumer"):
    draft = Draft(load(proto))
    decided = rewrite_sites(draft, policy(to, form, slope_in, has_prelu=True), Scope())
    result = finish(draft)
    plans = [plan for plan, _ in decided if plan is not None]
    pairs = list(sites_alone(draft, plans, result))
    assert len(pairs) == len(plans)
    return result.proto, pairs


def assert_alike(pair):
    inputs = pair.before.proto.graph.input
    assert [value.name for value in inputs] == [value.name for value in pair.after.proto.graph.input]
    rng = np.random.default_rng(0)
    feeds = {
        value.name: rng.normal(size=[dim.dim_value for dim in value.type.tensor_type.shape.dim]).astype(
            onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        )
        for value in inputs
    }
    before, after = run(pair.before.proto, feeds), run(pair.after.proto, feeds)
    assert all(value.size for value in before)
    assert_close(before, after)


@examples(300)
@given(nets(), st.sampled_from(["consumer", "producer"]))
def test_sites_of_all_kinds_of_layers_agree_alone_both_ways(model, slope_in):
    wide, pairs = alone(model, "relu", "split", slope_in)
    for pair in pairs:
        assert_alike(pair)
    _, pairs = alone(wide, "prelu")
    for pair in pairs:
        assert_alike(pair)
