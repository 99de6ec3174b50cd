"""What the heuristic tries first, by where a site stands and what it will run on."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.model import load
from onnx_prelu.passes.heuristic import Runtime, likely
from onnx_prelu.passes.sites import find_sites

HEAD = '<ir_version: 8, opset_import: ["" : 17]> g '
MLP = (
    HEAD
    + """(float[512, 64] x) => (float[512, 8] y) <float[64, 64] w, float[64] s, float[64, 8] v>
{ z = MatMul(x, w)  h = PRelu(z, s)  y = MatMul(h, v) }"""
)
SMALL = MLP.replace("512", "4")
UNKNOWN = MLP.replace("512", "N")
CONV = (
    HEAD
    + """(float[1, 16, 9, 9] x) => (float[1, 16, 9, 9] y)
<float[16, 16, 1, 1] w, float[16, 1, 1] s, float[16, 16, 1, 1] v>
{ z = Conv(x, w)  h = PRelu(z, s)  y = Conv(h, v) }"""
)
NARROW = CONV.replace("16", "8").replace("17", "17")
AFTER_NORM = CONV.replace("z = Conv(x, w)", "c = Conv(x, w)  z = InstanceNormalization(c, sc, b)").replace(
    "float[16, 16, 1, 1] v>", "float[16, 16, 1, 1] v, float[16] sc, float[16] b>"
)


def tried(text: str, release: tuple[int, int], provider: str = "cpu", **dims: int) -> tuple[str, ...]:
    model = onnx.shape_inference.infer_shapes(filled(onnx.parser.parse_model(text)))
    draft = Draft(load(model))
    (site,) = find_sites(draft)
    return likely(Runtime(release, provider, dims))(draft, site)


def filled(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with values for the initializers that its text declares."""
    rng = np.random.default_rng(0)
    for tensor in model.graph.initializer:
        values = rng.uniform(-0.5, 0.9, tensor.dims).astype(np.float32)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    return model


@pytest.mark.parametrize(
    ("text", "release", "first"),
    [
        (MLP, (1, 32), "max"),
        (MLP, (1, 26), "prelu"),
        (SMALL, (1, 32), "prelu"),
        (UNKNOWN, (1, 32), "prelu"),
        (CONV, (1, 32), "skip"),
        (CONV, (1, 26), "skip"),
        (CONV, (1, 24), "prelu"),
        (NARROW, (1, 26), "prelu"),
        (NARROW, (1, 32), "skip"),
        (AFTER_NORM, (1, 32), "max"),
    ],
)
def test_the_first_form_after_leakyrelu(text, release, first):
    forms = [form for form in tried(text, release) if form in ("skip", "max", "prelu")]
    assert forms[0] == first


@pytest.mark.parametrize("text", [MLP, CONV])
@pytest.mark.parametrize("release", [(1, 26), (1, 32)])
def test_equal_slopes_are_a_leakyrelu(text, release):
    assert tried(text, release)[0] == "leakyrelu"


@pytest.mark.parametrize(("release", "provider"), [((1, 20), "cpu"), ((1, 32), "cuda"), ((1, 32), "dml")])
def test_where_nothing_is_gained_prelu_stays(release, provider):
    assert tried(CONV, release, provider) == ("prelu",)


@pytest.mark.parametrize("text", [MLP, CONV, NARROW, AFTER_NORM])
@pytest.mark.parametrize("release", [(1, 22), (1, 24)])
def test_below_1_25_skip_is_never_tried(text, release):
    assert "skip" not in tried(text, release)


def test_the_size_of_an_open_dimension_counts():
    assert tried(UNKNOWN, (1, 32), N=512) == tried(MLP, (1, 32))
    assert tried(UNKNOWN, (1, 32), N=4) == tried(SMALL, (1, 32))
