"""How far Relu layers are from PReLU layers: what is found against layers made by hand, and against a real fold."""

import numpy as np
import pytest

import onnx_prelu
from onnx_prelu.errors import BadUsage
from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.model import load
from onnx_prelu.passes.distance import TOLERANCES, distances
from onnx_prelu.passes.patterns import EVERYWHERE, Scope
from tests.texts import from_text

CHAIN = "z = Gemm <transB = 1> (x, A, b)  h = Relu(z)  y = Gemm <transB = 1> (h, V)"


def layer(off=(), units=6, inputs=5, outputs=4, dtype=np.float32):
    """A double-width layer; the row of each second half's unit is off by a relative amount, in one entry."""
    rng = np.random.default_rng(8)
    A, b, V = rng.normal(size=(units, inputs)), rng.normal(size=units), rng.normal(size=(outputs, units))
    lower = -A.astype(dtype).astype(float)
    for unit, share in enumerate(off):
        lower[unit, 0] += share * np.linalg.norm(np.append(A[unit], b[unit]))
    weights = {
        "A": np.vstack([A, lower]).astype(dtype),
        "b": np.concatenate([b, -b]).astype(dtype),
        "V": np.concatenate([V, -0.25 * V], axis=1).astype(dtype),
    }
    kind = "float16" if dtype == np.float16 else "float"
    return from_text(CHAIN, f"{kind}[2,{inputs}] x", f"{kind}[2,{outputs}] y", weights, dtype=dtype)


def told(model, scope=EVERYWHERE):
    return distances(Draft(load(model)), scope)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_double_width_layer_is_all_pairs(dtype):
    (found,) = told(layer(dtype=dtype))
    assert (found.node, found.units, found.near) == ("n_h", 12, 12)
    assert [saving.pairs for saving in found.curve] == [6] * len(TOLERANCES)
    assert found.residual.high < (1e-6 if dtype == np.float16 else 1e-12)  # −0.25·V falls among the denormals
    assert found.parameters == 12 * (5 + 1 + 4)
    assert found.curve[0].parameters == 6 * (5 + 1 + 4) - 6  # six units less, and a slope for each that stays


def test_the_curve_counts_the_pairs_within_each_tolerance():
    """Moving one entry of a row moves its direction by at most as much; the row is not along that axis alone."""
    (found,) = told(layer(off=(0, 2e-7, 5e-5, 5e-3, 5e-2, 0.3)))
    assert [saving.pairs for saving in found.curve] == [1, 2, 3, 4, 5]
    assert found.near == 12
    assert 5e-5 < found.residual.median < 5e-3
    assert found.ulps.low == 0
    assert found.ulps.high > 1e5


@pytest.mark.parametrize("layer", ["act0", "act1"])
def test_what_a_fold_of_one_layer_would_save_is_what_it_saves(layer):
    before = onnx_prelu.inspect("models/digits_relu_wide.onnx", only=[layer])
    after = onnx_prelu.rewrite("models/digits_relu_wide.onnx", to="prelu", only=[layer], check=False).report
    (distance,) = before.distances
    assert before.before.parameters - after.after.parameters == distance.curve[0].parameters > 0


def test_an_ordinary_layer_has_no_partners():
    found = onnx_prelu.inspect("models/digits_relu.onnx").distances
    assert [(each.near, each.curve[-1].parameters, each.residual) for each in found] == [(0, 0, None)] * 2


def test_units_of_two_groups_are_no_pair():
    rng = np.random.default_rng(3)
    kernel, behind = rng.normal(size=(2, 2, 3, 3)), rng.normal(size=(4, 2, 1, 1))
    body = "z = Conv <group = 2> (x, A)  h = Relu(z)  y = Conv(h, V)"
    weights = {"A": np.concatenate([kernel, -kernel]), "V": np.concatenate([behind, behind], axis=1)}
    (found,) = told(from_text(body, "float[1,4,5,5] x", "float[1,4,3,3] y", weights))
    assert found.near == 0
    one = from_text(body.replace("group = 2", "group = 1"), "float[1,2,5,5] x", "float[1,4,3,3] y", weights)
    assert told(one)[0].near == 4


@pytest.mark.parametrize(
    "body",
    [
        "h = Relu(x)  y = Gemm <transB = 1> (h, V)",
        "z = Gemm <transB = 1> (x, A, b)  y = Relu(z)",
        "z = Gemm <transB = 1> (x, A, b)  h = Relu(z)  y = Softmax(h)",
        "z = Gemm <transB = 1> (x, A, b)  h = PRelu(z, s)  y = Gemm <transB = 1> (h, V)",
    ],
)
def test_only_relus_between_linear_layers_are_told(body):
    weights = {"A": (4, 4), "b": (4,), "V": (4, 4), "s": (4,)}
    assert told(from_text(body, "float[2,4] x", "float[2,4] y", weights)) == []


def test_a_scope_says_which():
    model = layer()
    assert told(model, Scope(only=("n_h",)))
    assert told(model, Scope(skip=("n_h",))) == []
    with pytest.raises(BadUsage):
        told(model, Scope(only=("other",)))
