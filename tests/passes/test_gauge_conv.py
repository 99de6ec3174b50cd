"""gauge-conv: the products of gauge, as Convs."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnx_prelu.errors import Refused
from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.edit import commit, finish
from onnx_prelu.graph.model import load
from onnx_prelu.passes.fast.gauge_conv import plan_gauge_conv
from onnx_prelu.passes.sites import find_sites
from tests.oracle import assert_close, run

TEXT = """<ir_version: 8, opset_import: ["" : 17]> g (float[2, 4, 6, 5] x) => (float[2, 3, 6, 5] y) {{
  c = Conv(x, w)  z = Add(c, x)  h = PRelu(z, s)  d = Conv(h, v)  e = PRelu(d, t)  y = Conv(e, u) }}"""
SLOPES = {
    "kept": (np.array([0.25, -0.7, 0.0, 0.99]), np.array([0.5, 0.1, -3.0])),
    "turned": (np.array([0.25, 1.5, -0.7, 2.5]), np.array([0.5, 1.0, -3.0])),
}


def model(slopes):
    rng = np.random.default_rng(0)
    first, second = slopes
    values = {
        "w": rng.standard_normal((4, 4, 1, 1)), "v": rng.standard_normal((3, 4, 1, 1)),
        "u": rng.standard_normal((3, 3, 1, 1)),
        "s": first.reshape(-1, 1, 1) if first.shape == (4,) else first,
        "t": second.reshape(-1, 1, 1),
    }  # fmt: skip
    proto = onnx.parser.parse_model(TEXT.format())
    for name, value in values.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(value.astype(np.float32), name))
    return onnx.shape_inference.infer_shapes(proto)


def rewritten(proto, sites=slice(None)):
    draft = Draft(load(proto))
    for site in find_sites(draft)[sites]:
        commit(draft, plan_gauge_conv(draft, site).edit)
    result = finish(draft).proto
    onnx.checker.check_model(result, full_check=True)
    return result


@pytest.mark.parametrize("slopes", SLOPES.values(), ids=SLOPES)
def test_muls_are_depthwise_convs_and_the_function_stays(slopes):
    # e is turned where t has slopes above 1, h where s has: x itself cannot be, so its sum keeps h from it
    proto = model(slopes)
    sites = slice(None) if np.all(slopes[0] <= 1) else slice(1, None)
    result = rewritten(proto, sites)
    ops = [node.op_type for node in result.graph.node]
    assert "Mul" not in ops
    kernels = [node for node in result.graph.node if any(a.name == "group" and a.i > 1 for a in node.attribute)]
    assert len(kernels) == 2 * len(find_sites(Draft(load(proto)))[sites])
    feeds = {"x": np.random.default_rng(1).standard_normal((2, 4, 6, 5)).astype(np.float32)}
    assert_close(run(result, feeds), run(proto, feeds))


@pytest.mark.parametrize("shape", [(1,), (1, 1, 1), (6, 5), (4, 6, 5)])
def test_one_value_a_channel_is_needed(shape):
    values = np.linspace(0.1, 0.9, int(np.prod(shape))).reshape(shape)
    draft = Draft(load(model((values, SLOPES["kept"][1]))))
    site = find_sites(draft)[0]
    with pytest.raises(Refused) as refused:
        plan_gauge_conv(draft, site)
    assert (refused.value.reason.code, refused.value.reason.node) == ("unsupported-layout", site.node.label)


def test_four_dimensions_are_needed():
    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[2, 4, 5] x) => (float[2, 4, 5] y) { y = PRelu(x, s) }'
    proto = onnx.parser.parse_model(text)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.full((4, 1), 0.25, np.float32), "s"))
    draft = Draft(load(proto))
    with pytest.raises(Refused, match="four dimensions") as refused:
        plan_gauge_conv(draft, find_sites(draft)[0])
    assert (refused.value.reason.code, refused.value.reason.node) == ("unsupported-layout", "y")
