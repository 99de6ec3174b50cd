"""No unit that is proven dead ever fires, and none that is proven always on ever fails to, run by ONNX Runtime."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given

from onnx_prelu.algebra.bounds import Box
from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.extract import exposing
from onnx_prelu.graph.model import load
from onnx_prelu.passes.ranges.walk import TIERS
from onnx_prelu.passes.stable import stable_units
from tests.boxed import drawn
from tests.counts import examples
from tests.oracle import run
from tests.texts import from_text


def by_unit(value, axis, take):
    return take(np.moveaxis(value, axis, 0).reshape(value.shape[axis], -1), axis=1)


def assert_never_contradicted(model, found, points):
    """What is proven holds for z where z is an output, and for the activation where the runtime may fuse it."""
    proto = load(model)
    watched = {tier: [each for each in of_tier if np.any(each.off | each.on)] for tier, of_tier in found.items()}
    layers = {each.node.outputs[0]: each for of_tier in watched.values() for each in of_tier}
    if not layers:
        return
    names = [each.node.inputs[0] for each in layers.values()]
    z = dict(zip(names, run(exposing(proto, names).proto, {"x": points})[1:], strict=True))
    h = dict(zip(layers, run(exposing(proto, layers).proto, {"x": points})[1:], strict=True))
    for of_tier in watched.values():
        for each in of_tier:
            axis = each.layer.output.axis
            value = z[each.node.inputs[0]]
            assert np.all(by_unit(value, axis, np.max)[each.off] <= 0)
            assert np.all(by_unit(value, axis, np.min)[each.on] >= 0)
            assert not np.any(by_unit(h[each.node.outputs[0]] != 0, axis, np.any)[each.dead])
            assert np.all(by_unit(h[each.node.outputs[0]], axis, np.min)[each.on] >= 0)


@given(drawn())
@examples(200)
def test_what_is_proven_is_never_contradicted(net):
    model = net.model()
    box = {"x": Box(net.low, net.high)}
    found = {tier: stable_units(Draft(load(model)), box, tier) for tier in TIERS}
    for fast, slow in itertools.pairwise(TIERS):
        for one, two in zip(found[fast], found[slow], strict=True):
            assert not np.any(one.off & ~two.off)
            assert not np.any(one.on & ~two.on & ~two.off)
    assert_never_contradicted(model, found, net.points())


SHARED = Path(__file__).parents[3] / "shared" / "models"
ACAS = Box(np.array([-0.3284] + [-0.5] * 4), np.array([0.6799] + [0.5] * 4))


@pytest.mark.parametrize(("name", "dead"), [("acasxu_1_1", 1), ("acasxu_5_9", 3)])
def test_real_networks(name, dead):
    path = SHARED / f"{name}.onnx"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    model = onnx.load(path)
    found = {tier: stable_units(Draft(load(model)), {"input": ACAS}, tier) for tier in ("interval", "symbolic")}
    assert [sum(int(np.sum(each.dead)) for each in of_tier) for of_tier in found.values()] == [dead, dead]
    assert sum(len(each.off) for each in found["interval"]) == 300
    rng = np.random.default_rng(0)
    points = rng.uniform(ACAS.low, ACAS.high, (1000, 5))
    names = [each.node.inputs[0] for each in found["symbolic"]]
    proto = exposing(load(model), names).proto
    for point in np.concatenate([points, np.where(rng.random((1000, 5)) < 0.5, ACAS.low, ACAS.high)]):
        z = run(proto, {"input": point.astype(np.float32).reshape(1, 1, 1, 5)})[1:]
        for each, value in zip(found["symbolic"], z, strict=True):
            assert np.all(value.reshape(-1)[each.off] <= 0)
            assert np.all(value.reshape(-1)[each.on] >= 0)


@pytest.mark.parametrize(
    ("weights", "off", "on"),
    [
        ({"w": -np.ones((2, 1)), "b": np.array([0.0])}, [True], [False]),
        ({"w": -np.ones((2, 1)), "b": np.array([0.001])}, [False], [False]),
        ({"w": np.ones((2, 1)), "b": np.array([0.0])}, [False], [True]),
        ({"w": np.array([[1.0], [-1.0]]), "b": np.array([0.0])}, [False], [False]),
    ],
)
def test_signs_alone_prove_what_follows_a_relu(weights, off, on):
    model = from_text("h = Relu(x)  z = Gemm(h, w, b)  y = Relu(z)", "float[N,2] x", "float[N,1] y", weights)
    (found,) = stable_units(Draft(load(model)), {}, "interval")
    assert (found.off.tolist(), found.on.tolist()) == (off, on)


@pytest.mark.parametrize("tier", TIERS)
def test_below_zero_by_less_than_rounding_is_not_dead(tier):
    """For the only x, z is −0.25 in real numbers; added up from the left, float32 makes 0.5 of it."""
    terms = [2.0**24, 1.25, -(2.0**24), -1.5]
    assert sum(terms) == -0.25
    assert np.add.accumulate(np.array(terms, np.float32))[-1] == 0.5
    weights = {"w": np.array(terms[:3]).reshape(3, 1), "b": np.array(terms[3:])}
    model = from_text("z = Gemm(x, w, b)  y = Relu(z)", "float[N,3] x", "float[N,1] y", weights)
    (found,) = stable_units(Draft(load(model)), {"x": Box(np.ones(()), np.ones(()))}, tier)
    assert not found.off[0]


def test_a_padded_border_counts():
    weights = {"w": -np.ones((1, 1, 3)), "b": np.array([0.5])}
    for pads, off in (("0, 0", True), ("1, 1", True), ("0, 3", False)):
        text = f"z = Conv<pads: ints = [{pads}]>(x, w, b)  y = Relu(z)"
        model = from_text(text, "float[1,1,9] x", "float[1,1,K] y", weights)
        (found,) = stable_units(Draft(load(model)), {"x": Box(np.ones(()), np.ones(()))}, "interval")
        assert found.off[0] == (off and pads == "0, 0")


@pytest.mark.parametrize(
    ("slope", "dead", "factor"),
    [(None, True, 0.0), (0.0, True, 0.0), (0.25, False, 0.25), (-2.0, False, -2.0)],
)
def test_what_a_unit_multiplies_by(slope, dead, factor):
    weights = {"w": -np.ones((2, 1)), "b": np.array([-1.0])}
    if slope is None:
        body = "z = Gemm(x, w, b)  y = Relu(z)"
    else:
        body, weights = "z = Gemm(x, w, b)  y = PRelu(z, a)", {**weights, "a": np.array([slope])}
    model = from_text(body, "float[N,2] x", "float[N,1] y", weights)
    (found,) = stable_units(Draft(load(model)), {"x": Box(np.zeros(()), np.ones(()))}, "interval")
    assert (found.dead[0], found.factor[0]) == (dead, factor)


def test_each_way_decides_more():
    """Of two units: h2 − h1 is −1 for every x; the other takes cutting."""
    weights = {
        "A": np.array([[1.0, 1.0, -2.0, -2.0]]), "a": np.array([2.0, 1.0, 1.0, 0.0]),
        "B": np.array([[-1.0, 0], [1, 0], [0, 1], [0, -2]]), "b": np.array([0.0, -2.0]),
    }  # fmt: skip
    body = "z = Gemm(x, A, a)  h = Relu(z)  u = Gemm(h, B, b)  y = Relu(u)"
    model = from_text(body, "float[N,1] x", "float[N,2] y", weights)
    given = {"x": Box(np.array(-0.5), np.array(2.0))}
    found = {tier: stable_units(Draft(load(model)), given, tier)[1].off.tolist() for tier in TIERS}
    assert found == {"interval": [False, False], "symbolic": [True, False], "bisect": [True, True]}
