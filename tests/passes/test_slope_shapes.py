"""The shapes of slopes: what each name means, and that a slope is reshaped without loss or not at all."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import onnx_prelu
from onnx_prelu.errors import BadUsage, NotMet, Refused
from onnx_prelu.passes.slope_shapes import SLOPE_SHAPES, kinds, reshaped
from tests.activations import LEAKY, MIRROR, PRELU, UNIFORM, image, mlp, parsed
from tests.oracle import assert_close, assert_same_bits, run

IMAGE, LINE, UNKNOWN = (1, 3, 4, 5), ("N", 3), None
KINDS = [
    ((), IMAGE, {"scalar"}),
    ((1,), IMAGE, {"scalar", "1d"}),
    ((1, 1, 1), IMAGE, {"c11"}),  # one value, but as a channel's
    ((5,), IMAGE, {"1d"}),
    ((3, 1, 1), IMAGE, {"c11"}),
    ((1, 3, 1, 1), IMAGE, set()),
    ((3, 4, 5), IMAGE, {"full"}),
    ((3, 4, 1), IMAGE, set()),
    ((3,), LINE, {"1d", "c11", "full"}),
    ((3, 1), UNKNOWN, {"c11"}),
    ((3,), UNKNOWN, {"1d"}),
]


@pytest.mark.parametrize(("shape", "x", "names"), KINDS)
def test_what_the_names_mean(shape, x, names):
    assert kinds(shape, x) == names


A = np.array([0.25, -0.5, 1.5])
RESHAPED = [
    (A.reshape(3, 1, 1), "full", IMAGE, np.broadcast_to(A.reshape(3, 1, 1), (3, 4, 5))),
    (A.reshape(1, 3, 1, 1), "c11", IMAGE, A.reshape(3, 1, 1)),
    (np.broadcast_to(A.reshape(3, 1, 1), (3, 4, 5)), "c11", IMAGE, A.reshape(3, 1, 1)),
    (np.full((3, 4, 5), 0.5), "scalar", IMAGE, np.array([0.5])),
    (np.full((3, 4, 5), 0.5), "1d", IMAGE, np.full(5, 0.5)),
    (np.array(0.5), "c11", IMAGE, np.full((3, 1, 1), 0.5)),
    (A.reshape(1, 3), "1d", LINE, A),
    (A.reshape(1, 3), "c11", LINE, A),
    (np.array(0.5), "1d", ("N", "C"), np.array([0.5])),  # how long x is nobody knows: one value serves
    (np.full((3, 1), 0.5), "scalar", UNKNOWN, np.array([0.5])),
]


@pytest.mark.parametrize(("slope", "kind", "x", "expected"), RESHAPED)
def test_a_slope_is_reshaped_without_loss(slope, kind, x, expected):
    result = reshaped(slope, kind, x, "act")
    assert result.shape == expected.shape
    np.testing.assert_array_equal(result, expected)
    assert kind in kinds(result.shape, x)


LOSSES = [
    (A.reshape(3, 1, 1), "scalar", IMAGE, "varies along an axis"),
    (A.reshape(3, 1, 1), "1d", IMAGE, "varies along an axis"),
    (np.arange(5.0), "c11", IMAGE, "varies along an axis"),
    (A.reshape(3, 1, 1), "full", (1, 3, "H", "W"), "a size is not known"),
    (A.reshape(3, 1, 1), "full", UNKNOWN, "over x of shape unknown"),
    (np.array(0.5), "c11", (7,), "over x of shape [7]"),
]


@pytest.mark.parametrize(("slope", "kind", "x", "text"), LOSSES)
def test_what_would_be_lost_is_refused(slope, kind, x, text):
    with pytest.raises(Refused) as caught:
        reshaped(slope, kind, x, "act")
    assert (caught.value.reason.code, caught.value.reason.node) == ("slope-shape", "act")
    assert text in caught.value.reason.text


# ── --slope-shape ─────────────────────────────────────────────────────────────────────────────────────────────


def rewritten(model, **request):
    return onnx_prelu.rewrite(model, check=False, to="prelu", **request)


def slope_shape(model):
    (prelu,) = [node for node in model.graph.node if node.op_type == "PRelu"]
    (slope,) = [tensor for tensor in model.graph.initializer if tensor.name == prelu.input[1]]
    return numpy_helper.to_array(slope).shape


def conv(a):
    """A Conv of two channels over (3, 3), a PRelu, and another Conv."""
    rng = np.random.default_rng(3)
    body = "z = Conv <pads = [1, 1, 1, 1]> (x, K)  h = PRelu(z, a)  y = Conv(h, L)"
    constants = {"K": rng.normal(size=(2, 2, 3, 3)), "L": rng.normal(size=(2, 2, 1, 1)), "a": a}
    return parsed(body, "T[1,2,3,3] x", "T[1,2,3,3] y", constants)


CONV, UNIFORM_CONV = conv(np.reshape([0.25, -0.5], (2, 1, 1))), conv(UNIFORM)
WRITTEN = {
    ("prelu", "scalar"): (image(PRELU, UNIFORM), (1,)),
    ("prelu", "1d"): (image(PRELU, UNIFORM), (3,)),
    ("prelu", "c11"): (image(PRELU, [0.25]), (2, 1, 1)),
    ("prelu", "full"): (image(PRELU), (2, 3, 3)),
    ("mirror", "full"): (image(MIRROR), (2, 3, 3)),
    ("fold", "c11"): (onnx_prelu.rewrite(mlp(PRELU), check=False).model, (3,)),
    ("fold of a Conv", "c11"): (onnx_prelu.rewrite(CONV, check=False).model, (2, 1, 1)),
    ("fold of a Conv", "full"): (onnx_prelu.rewrite(CONV, check=False).model, (2, 3, 3)),
    ("uniform fold of a Conv", "scalar"): (onnx_prelu.rewrite(UNIFORM_CONV, check=False).model, (1,)),
    ("uniform fold of a Conv", "1d"): (onnx_prelu.rewrite(UNIFORM_CONV, check=False).model, (3,)),
    ("uniform fold", "scalar"): (onnx_prelu.rewrite(mlp(PRELU, [0.25] * 3), check=False).model, (1,)),
}


@pytest.mark.parametrize(("what", "kind"), WRITTEN)
def test_slopes_are_written_in_that_shape(what, kind):
    model, shape = WRITTEN[what, kind]
    result = rewritten(model, slope_shape=kind).model
    assert slope_shape(result) == shape
    onnx.checker.check_model(result, full_check=True)
    x = np.random.default_rng(0).normal(size=(1, 2, 3, 3)).astype(np.float32)
    if what in ("prelu", "mirror"):
        assert_same_bits(run(model, {"z": x}), run(result, {"z": x}))
    elif "Conv" in what:
        assert_close(run(model, {"x": x}), run(result, {"x": x}))
    again = rewritten(result, slope_shape=kind)
    assert again.model.SerializeToString() == result.SerializeToString()


def test_a_slope_that_has_the_shape_and_leakyrelu_stay():
    for model in (image(PRELU), image(LEAKY)):
        assert rewritten(model, slope_shape="c11").report.sites[0].form is None


@pytest.mark.parametrize("model", [image(PRELU), image(MIRROR)])
def test_a_slope_that_would_lose_something_is_refused(model):
    (site,) = rewritten(model, slope_shape="1d").report.sites
    assert site.refused
    assert site.refusals["prelu"].code == "slope-shape"
    with pytest.raises(NotMet, match="is refused: the slope of shape"):
        rewritten(model, slope_shape="1d", strict=True)


def test_a_slope_at_run_time_keeps_its_shape():
    model = image(PRELU, inputs=", float[2,1,1] a")
    assert rewritten(model, slope_shape="c11").report.sites[0].form is None
    (site,) = rewritten(model, slope_shape="full").report.sites
    assert (site.refused, site.refusals["prelu"].code) == (True, "same-form")


def test_a_target_keeps_a_prelu_by_reshaping_its_slope():
    """Edge TPU takes one value or [W]; a slope of [1, 1, 1] becomes one value, and 1d where that is asked for."""
    assert slope_shape(rewritten(image(PRELU, UNIFORM), target="edge-tpu").model) == (1,)
    assert slope_shape(rewritten(image(PRELU, UNIFORM), target="edge-tpu", slope_shape="1d").model) == (3,)
    assert onnx_prelu.rewrite(image(PRELU), check=False, target="edge-tpu").report.sites[0].form == "max"


def test_slope_shape_needs_a_prelu():
    with pytest.raises(
        BadUsage, match="--slope-shape is about PRelu nodes, and --to relu leaves none; take --to prelu"
    ):
        onnx_prelu.rewrite(image(PRELU), check=False, slope_shape="1d")
    with pytest.raises(BadUsage, match=f"--slope-shape 2d is not known; take one of {', '.join(SLOPE_SHAPES)}"):
        rewritten(image(PRELU), slope_shape="2d")
