"""What is proven of units is put to use: the result is the same function within the ranges, run by ONNX Runtime."""

import json

import numpy as np
import onnx
import pytest
from hypothesis import given

import onnx_prelu
from onnx_prelu.algebra.bounds import Box
from onnx_prelu.errors import BadUsage, Reason, Refused
from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.model import load
from onnx_prelu.passes.choose import policy
from onnx_prelu.passes.engine import rewrite_sites
from onnx_prelu.passes.merge import plan_merge
from onnx_prelu.passes.patterns import Scope
from onnx_prelu.passes.prune import plan_prune
from onnx_prelu.passes.settling import plan_identity
from onnx_prelu.passes.stable import stable_units
from onnx_prelu.passes.within import Within
from tests.boxed import drawn
from tests.counts import examples
from tests.oracle import assert_close, run
from tests.reported import validate
from tests.texts import from_text

KEY = "onnx_prelu.input_ranges"
ROWS, IMAGE = "float[N,4] x", "float[2,3,6,6] x"
#: Units: dead, always on, and three that are neither, within [-1, 1].
SIGNS = np.array([-9.0, 9.0, 0.0, 0.1, -0.2])


def rows(units=5, inputs=4, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (inputs, units)).round(3)


def kernels(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).round(3) / np.prod(shape[1:])


def rewritten(model, **options):
    options = {"to": "prelu", "input_range": {"x": (-1, 1)}, "bench": False, **options}
    result = onnx_prelu.rewrite(model, **options)
    validate(result.report.to_dict())
    assert result.report.passed
    return result


def assert_same_within(model, result, low=-1.0, high=1.0):
    rng = np.random.default_rng(1)
    shape = [dim.dim_value or 500 for dim in model.graph.input[0].type.tensor_type.shape.dim]
    for x in (rng.uniform(low, high, shape), np.where(rng.random(shape) < 0.5, low, high)):
        feed = {"x": x.astype(np.float32)}
        assert_close(run(model, feed), run(result.model, feed))


def shapes(result):
    return {tensor.name.split("/")[0]: tuple(tensor.dims) for tensor in result.model.graph.initializer}


def ops(result):
    return [node.op_type for node in result.model.graph.node]


#: body, weights, ops and shapes after. The weights of the first layer have five units, of which one is dead, one on.
PRUNED = {
    "Gemm": (
        "z = Gemm(x, A, b)  h = Relu(z)  y = Gemm(h, V, c)", ROWS, {"A": rows(), "b": SIGNS, "V": (5, 2), "c": (2,)},
        ["Gemm", "Relu", "Gemm"], {"A": (4, 4), "b": (4,), "V": (4, 2)},
    ),
    "MatMul": (
        "p = MatMul(x, A)  z = Add(p, b)  h = Relu(z)  y = MatMul(h, V)", ROWS, {"A": rows(), "b": SIGNS, "V": (5, 2)},
        ["MatMul", "Add", "Relu", "MatMul"], {"A": (4, 4), "b": (4,), "V": (4, 2)},
    ),
    "PRelu": (
        "z = Gemm(x, A, b)  h = PRelu(z, a)  y = Gemm(h, V, c)", ROWS,
        {"A": rows(), "b": SIGNS, "a": np.array([0, 0.5, 0.25, -0.5, 0]), "V": (5, 2), "c": (2,)},
        ["Gemm", "PRelu", "Gemm"], {"A": (4, 4), "n_h": (4,), "V": (4, 2)},
    ),
    "Conv": (
        "z = Conv<pads: ints = [1, 1, 1, 1]>(x, A, b)  h = Relu(z)  y = Conv<pads: ints = [1, 1, 1, 1]>(h, V)", IMAGE,
        {"A": kernels(5, 3, 3, 3), "b": SIGNS, "V": (2, 5, 3, 3)},
        ["Conv", "Relu", "Conv"], {"A": (4, 3, 3, 3), "b": (4,), "V": (2, 4, 3, 3)},
    ),
    "behind a MaxPool and a Flatten": (
        "z = Conv(x, A, b)  h = Relu(z)  p = MaxPool<kernel_shape: ints = [2, 2]>(h)  f = Flatten(p)  y = Gemm(f, V)",
        IMAGE, {"A": kernels(5, 3, 1, 1), "b": SIGNS, "V": (125, 2)},
        ["Conv", "Relu", "MaxPool", "Flatten", "Gemm"], {"A": (4, 3, 1, 1), "V": (100, 2)},
    ),
    "with what is added behind": (
        "z = Gemm(x, A, b)  h = Relu(z)  s = Add(h, d)  y = Gemm(s, V, c)", ROWS,
        {"A": rows(), "b": SIGNS, "d": (5,), "V": (5, 2), "c": (2,)},
        ["Gemm", "Relu", "Add", "Gemm"], {"A": (4, 4), "d": (4,), "V": (4, 2)},
    ),
    "of groups": (
        "z = Conv<group: int = 2>(x, A, b)  h = Relu(z)  y = Conv<group: int = 2>(h, V)", "float[2,4,6,6] x",
        {"A": kernels(6, 2, 1, 1), "b": np.array([-9, 0, 0.1, -9, -9, 0]), "V": (4, 3, 1, 1)},
        ["Conv", "Relu", "Conv"], {"A": (4, 2, 1, 1), "b": (4,), "V": (4, 2, 1, 1)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PRUNED)
def test_dead_units_go(name):
    body, declared, weights, expected, sizes = PRUNED[name]
    model = from_text(body, declared, "float y", weights)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    result = rewritten(model)
    assert_same_within(model, result)
    assert ops(result) == expected
    found = shapes(result)
    assert {name: found[name] for name in sizes} == sizes
    assert result.report.sites[0].form == "prune"
    assert onnx_prelu.rewrite(model, to="prelu", bench=False).model == model  # without a range nothing goes


def test_units_that_are_always_on_get_slope_one_where_there_are_slopes():
    body, declared, weights, *_ = PRUNED["PRelu"]
    result = rewritten(from_text(body, declared, "float[N,2] y", weights))
    (slope,) = (t for t in result.model.graph.initializer if "slope" in t.name)
    assert np.frombuffer(slope.raw_data, np.float32).tolist() == [1, 0.25, -0.5, 0]


def test_it_is_told_that_it_holds_within_the_range_only():
    body, declared, weights, *_ = PRUNED["Gemm"]
    model = from_text(body, declared, "float[N,2] y", weights)
    result = rewritten(model)
    report = result.report.to_dict()
    assert report["within"] == {"x": {"low": -1.0, "high": 1.0, "per_element": False}}
    assert any("right only for inputs with x in [-1, 1]" in note and "n_h" in note for note in report["notes"])
    assert {each.key: json.loads(each.value) for each in result.model.metadata_props} == {
        KEY: [{"x": {"low": -1.0, "high": 1.0}}]
    }
    assert any("pairs" not in note and "whole model only" in note for note in report["notes"])
    feed = {"x": np.full((1, 4), 50.0, np.float32)}
    assert not np.allclose(run(model, feed), run(result.model, feed))  # the check would see that, were it not told
    inner = onnx_prelu.rewrite(result.model, to="prelu", input_range={"x": (0, 0.5)}, bench=False).model
    assert json.loads(inner.metadata_props[0].value)[0] == {"x": {"low": -1.0, "high": 1.0}}


def test_a_range_of_each_element_is_written_out_or_told_by_its_digest(tmp_path):
    body, declared, weights, *_ = PRUNED["Gemm"]
    model = from_text(body, declared, "float[N,2] y", weights)
    low = np.array([-1, -0.5, 0, 0.25])
    np.savez(tmp_path / "ends.npz", low=low, high=low + 1)
    result = rewritten(model, input_range={"x": tmp_path / "ends.npz"})
    assert json.loads(result.model.metadata_props[0].value) == [
        {"x": {"low": low.tolist(), "high": (low + 1).tolist()}}
    ]
    assert result.report.to_dict()["within"] == {"x": {"low": -1.0, "high": 1.25, "per_element": True}}
    assert "each element in its own" in result.report.notes[0]
    wide = from_text("z = Gemm(x, A, b)  h = Relu(z)  y = Gemm(h, V)", "float[N,300] x", "float[N,2] y",
                     {"A": rows(5, 300) / 300, "b": SIGNS, "V": (5, 2)})  # fmt: skip
    ends = np.linspace(-1, 0, 300)
    result = rewritten(wide, input_range={"x": (ends, ends + 1)})
    (entry,) = json.loads(result.model.metadata_props[0].value)
    assert entry["x"]["low"].keys() == {"shape", "least", "greatest", "sha256"}
    assert (entry["x"]["low"]["shape"], entry["x"]["low"]["least"]) == ([300], -1.0)


def test_what_follows_without_a_range_is_not_limited_to_one():
    weights = {"A": -np.abs(rows()), "b": np.array([-0.1, 0.3, 0.3, 0.3, 0.3]), "V": (5, 2)}
    model = from_text("s = Sigmoid(x)  z = Gemm(s, A, b)  h = Relu(z)  y = Gemm(h, V)", ROWS, "float[N,2] y", weights)
    for options in ({"input_range": None}, {}):
        result = rewritten(model, **options)
        assert_same_within(model, result, -30, 30)
        assert shapes(result)["A"] == (4, 4)
        assert result.report.within is None
        assert not result.model.metadata_props


#: body, weights, ops after; every unit is on, or stays below 0 with a slope.
ON = np.full(5, 9.0)
MERGED = {
    "Gemm and Gemm": (
        "z = Gemm(x, A, b)  h = Relu(z)  y = Gemm<alpha: float = 0.5, beta: float = 2.0>(h, V, c)", ROWS,
        {"A": rows(), "b": ON, "V": (5, 2), "c": (2,)}, ["Gemm"],
    ),
    "Gemm without a bias": (
        "z = Gemm(x, A, b)  h = Relu(z)  y = Gemm<transB: int = 1>(h, V)", ROWS,
        {"A": rows(), "b": ON, "V": (2, 5)}, ["Gemm"],
    ),
    "MatMul and MatMul": (
        "p = MatMul(x, A)  z = Add(p, b)  h = Relu(z)  y = MatMul(h, V)", ROWS,
        {"A": rows(), "b": ON, "V": (5, 2)}, ["MatMul", "Add"],
    ),
    "MatMul of nothing added": (
        "s = Relu(x)  z = MatMul(s, A)  h = Relu(z)  y = MatMul(h, V)", ROWS,
        {"A": np.abs(rows()) + 0.1, "V": (5, 2)}, ["Relu", "MatMul"],
    ),
    "PRelu": (
        "z = Gemm(x, A, b)  h = PRelu(z, a)  y = Gemm(h, V, c)", ROWS,
        {"A": rows(), "b": ON * [1, -1, 1, -1, 1], "a": np.array([0.25, 0.5, 2, -0.5, 0]), "V": (5, 2), "c": (2,)},
        ["Gemm"],
    ),
    "Conv and 1x1 Conv": (
        "z = Conv<pads: ints = [1, 1, 1, 1], strides: ints = [2, 1]>(x, A, b)  h = Relu(z)  y = Conv(h, V, c)", IMAGE,
        {"A": kernels(5, 3, 3, 3), "b": ON, "V": (2, 5, 1, 1), "c": (2,)}, ["Conv"],
    ),
    "1x1 Conv and Conv": (
        "z = Conv(x, A, b)  h = Relu(z)  y = Conv<strides: ints = [2, 2], dilations: ints = [2, 1]>(h, V)", IMAGE,
        {"A": kernels(5, 3, 1, 1), "b": ON, "V": (2, 5, 2, 3)}, ["Conv"],
    ),
    "with BatchNormalization": (
        "p = Conv(x, A)  z = BatchNormalization(p, s, b, m, v)  h = Relu(z)  y = Conv(h, V)", IMAGE,
        {"A": kernels(5, 3, 2, 2), "s": np.array([1.0, -1, 2, 0.5, 1]), "b": ON, "m": np.array([1.0, 0, 1, 2, 0]),
         "v": np.array([1.0, 2, 1, 4, 1]), "V": (2, 5, 1, 1)},
        ["Conv"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MERGED)
def test_a_layer_of_linear_units_is_merged(name):
    body, declared, weights, expected = MERGED[name]
    model = from_text(body, declared, "float y", weights)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    result = rewritten(model)
    assert_same_within(model, result)
    assert ops(result) == expected
    assert result.report.sites[0].form == "merge"
    assert onnx_prelu.rewrite(model, to="prelu", bench=False).model == model or "Relu" in expected


def test_before_opset_11_a_merged_gemm_keeps_a_bias_of_nothing():
    body = "s = Relu(x)  z = Gemm(s, A, b)  h = Relu(z)  y = Gemm(h, V, c)"
    weights = {"A": np.abs(rows()) + 0.1, "b": np.zeros(5), "V": (5, 2), "c": np.zeros(2)}
    model = from_text(body, ROWS, "float[N,2] y", weights, opset=9)
    result = rewritten(model)
    onnx.checker.check_model(result.model, full_check=True)
    assert [node.op_type for node in result.model.graph.node] == ["Relu", "Gemm"]
    assert_same_within(model, result)


def test_dead_units_go_before_the_rest_is_merged():
    weights = {"A": rows(), "b": np.array([-9.0, 9, 9, 9, 9]), "V": (5, 2)}
    model = from_text("z = Gemm(x, A, b)  h = Relu(z)  y = Gemm(h, V)", ROWS, "float[N,2] y", weights)
    result = rewritten(model)
    assert_same_within(model, result)
    assert ops(result) == ["Gemm"]
    assert "1 of 5 units are proven dead" in result.report.sites[0].reason
    assert "all 4 units" in result.report.sites[0].reason


def test_a_whole_chain_is_proven_and_merged_layer_by_layer():
    weights = {"A": rows(), "b": ON, "B": rows(5, 5, 1), "c": np.full(5, 90.0), "V": (5, 2)}
    body = "z = Gemm(x, A, b)  h = Relu(z)  u = Gemm(h, B, c)  g = Relu(u)  y = Gemm(g, V)"
    model = from_text(body, ROWS, "float[N,2] y", weights)
    result = rewritten(model, prove="symbolic")
    assert_same_within(model, result)
    assert ops(result) == ["Gemm"]
    assert shapes(result)["V"] == (2, 4)


#: What is not merged: body, weights, the refusal's code, and the ops that are left where every unit is on.
APART = {
    "a Conv that pads": (
        "z = Conv(x, A, b)  h = Relu(z)  y = Conv<pads: ints = [1, 1, 1, 1]>(h, V)", IMAGE,
        {"A": kernels(5, 3, 1, 1), "b": ON, "V": (2, 5, 3, 3)}, "layer-kind", ["Conv", "Identity", "Conv"],
    ),
    "a Conv that pads by itself": (
        'z = Conv(x, A, b)  h = Relu(z)  y = Conv<auto_pad: string = "SAME_UPPER">(h, V)', IMAGE,
        {"A": kernels(5, 3, 1, 1), "b": ON, "V": (2, 5, 3, 3)}, "layer-kind", ["Conv", "Identity", "Conv"],
    ),
    "two kernels": (
        "z = Conv(x, A, b)  h = Relu(z)  y = Conv(h, V)", IMAGE,
        {"A": kernels(5, 3, 2, 2), "b": ON, "V": (2, 5, 2, 2)}, "layer-kind", ["Conv", "Identity", "Conv"],
    ),
    "a stride before a kernel": (
        "z = Conv<strides: ints = [2, 2]>(x, A, b)  h = Relu(z)  y = Conv(h, V)", IMAGE,
        {"A": kernels(5, 3, 1, 1), "b": ON, "V": (2, 5, 2, 2)}, "layer-kind", ["Conv", "Identity", "Conv"],
    ),
    "a stride behind a kernel": (
        "z = Conv(x, A, b)  h = Relu(z)  y = Conv<strides: ints = [2, 2]>(h, V)", IMAGE,
        {"A": kernels(5, 3, 2, 2), "b": ON, "V": (2, 5, 1, 1)}, "layer-kind", ["Conv", "Identity", "Conv"],
    ),
    "groups": (
        "z = Conv(x, A, b)  h = Relu(z)  y = Conv<group: int = 5>(h, V)", IMAGE,
        {"A": kernels(5, 3, 1, 1), "b": ON, "V": (5, 1, 1, 1)}, "layer-kind", ["Conv", "Identity", "Conv"],
    ),
    "a Flatten between": (
        "z = Conv(x, A, b)  h = Relu(z)  f = Flatten(h)  y = Gemm(f, V)", IMAGE,
        {"A": kernels(5, 3, 1, 1), "b": ON, "V": (180, 2)}, "layer-kind", ["Conv", "Identity", "Flatten", "Gemm"],
    ),
    "two readers": (
        "z = Gemm(x, A, b)  h = Relu(z)  u = Gemm(h, V)  v = Gemm(h, W)  y = Add(u, v)", ROWS,
        {"A": rows(), "b": ON, "V": (5, 2), "W": (5, 2)}, "layer-kind", ["Gemm", "Identity", "Gemm", "Gemm", "Add"],
    ),
    "few units between many": (
        "z = Gemm(x, A, b)  h = Relu(z)  y = Gemm(h, V)", ROWS,
        {"A": rows(1), "b": ON[:1], "V": (1, 3)}, "too-large", ["Gemm", "Identity", "Gemm"],
    ),
    "what would be infinite": (
        "z = Gemm(x, A, b)  h = Relu(z)  y = Gemm(h, V)", ROWS,
        {"A": rows() * 1e30, "b": ON * 1e30, "V": np.full((5, 2), 1e10)}, "overflow", ["Gemm", "Identity", "Gemm"],
    ),
    "a unit that is neither": (
        "z = Gemm(x, A, b)  h = Relu(z)  y = Gemm(h, V)", ROWS,
        {"A": rows(), "b": ON * [1, 1, 1, 1, 0], "V": (5, 2)}, "not-linear", ["Gemm", "Relu", "Gemm"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", APART)
def test_what_is_not_merged(name):
    body, declared, weights, code, expected = APART[name]
    model = from_text(body, declared, "float y", weights)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    draft = Draft(load(model))
    (found,) = stable_units(draft, {"x": Box(-np.ones(()), np.ones(()))}, "interval")
    with pytest.raises(Refused) as refused:
        plan_merge(draft, found)
    assert refused.value.reason.code == code
    assert refused.value.reason.node
    result = rewritten(model, check="infinite" not in name)
    assert ops(result) == expected
    if "infinite" not in name:
        assert_same_within(model, result)


def test_a_dead_unit_that_cannot_be_done_without_stays():
    """What is added behind the activation would have to go into the bias of a Conv that pads."""
    weights = {"A": kernels(5, 3, 1, 1), "b": SIGNS, "d": kernels(5, 1, 1), "V": (2, 5, 3, 3)}
    body = "z = Conv(x, A, b)  h = Relu(z)  s = Add(h, d)  y = Conv<pads: ints = [1, 1, 1, 1]>(s, V)"
    model = from_text(body, IMAGE, "float[2,2,6,6] y", weights)
    draft = Draft(load(model))
    (found,) = stable_units(draft, {"x": Box(-np.ones(()), np.ones(()))}, "interval")
    assert found.dead.tolist() == [True, False, False, False, False]
    with pytest.raises(Refused) as refused:
        plan_prune(draft, found)
    assert refused.value.reason.code == "none-dead"
    assert rewritten(model).model == model


def test_an_activation_that_is_linear_otherwise_is_not_left_out():
    draft = Draft(load(from_text(*_all_below())))
    (found,) = stable_units(draft, {"x": Box(-np.ones(()), np.ones(()))}, "interval")
    with pytest.raises(Refused) as refused:
        plan_identity(draft, found)
    assert refused.value.reason.code == "not-linear"


def _all_below():
    weights = {"A": rows(1), "b": -ON[:1], "a": np.array([0.5]), "V": (1, 3)}
    return "z = Gemm(x, A, b)  h = PRelu(z, a)  y = Gemm(h, V)", ROWS, "float[N,3] y", weights


def test_a_layer_of_dead_units_only_keeps_one():
    weights = {"A": rows(), "b": -ON, "V": (5, 8), "c": (8,)}
    model = from_text("z = Gemm(x, A, b)  h = Relu(z)  y = Gemm(h, V, c)", ROWS, "float[N,8] y", weights)
    result = rewritten(model)
    assert_same_within(model, result)
    assert shapes(result)["A"] == (4, 1)


def test_sites_that_are_not_meant_stay():
    body, declared, weights, *_ = PRUNED["Gemm"]
    model = from_text(body, declared, "float[N,2] y", weights)
    assert rewritten(model, skip=["n_h"]).model == model
    assert rewritten(model, to="relu").model == model


def test_a_site_that_the_caller_refuses_stays_and_is_told_of():
    body, declared, weights, *_ = PRUNED["Gemm"]
    draft = Draft(load(from_text(body, declared, "float[N,2] y", weights)))
    asked = policy("prelu", None, "consumer", has_prelu=False)
    asked = asked.taking(Within({"x": Box(-np.ones(()), np.ones(()))}))
    reason = Reason("failed-check", "it differs", "n_h")
    ((plan, choice),) = rewrite_sites(draft, asked, Scope(), {"n_h": {"prune": reason}})
    assert (plan, choice.form, choice.refused, choice.reason) == (None, None, True, "it differs")
    assert not draft.changed


def test_a_pair_is_folded_before_anything_is_proven_of_it():
    first = np.concatenate([rows(3), -rows(3)], axis=1)
    bias = np.array([9.0, 0.1, -0.2])
    columns = np.random.default_rng(3).uniform(0.5, 1, (3, 40)).astype(np.float32)
    slope = np.float32([0.25, 0.5, -0.75])[:, None]
    weights = {"A": first, "b": np.concatenate([bias, -bias]), "V": np.concatenate([columns, -slope * columns])}
    model = from_text("z = Gemm(x, A, b)  h = Relu(z)  y = Gemm(h, V)", ROWS, "float[N,40] y", weights)
    result = rewritten(model)
    assert_same_within(model, result)
    assert ops(result) == ["Gemm", "PRelu", "Gemm"]
    assert shapes(result)["A"] == (4, 3)
    assert result.report.within is None  # nothing in it is dead


def test_units_that_differ_in_a_dead_unit_alone_are_merged_behind_it():
    second = np.random.default_rng(4).uniform(-1, 1, (5, 3)).astype(np.float32)
    second[1] = 0  # what is always on would decide all
    second[:, 1] = 2 * second[:, 0]
    second[0, 1] = 7  # the dead unit
    weights = {"A": rows(), "b": SIGNS, "B": second, "c": np.float32([0.1, 0.2, 0.3]), "V": (3, 2)}
    body = "z = Gemm(x, A, b)  h = Relu(z)  u = Gemm(h, B, c)  g = Relu(u)  y = Gemm(g, V)"
    model = from_text(body, ROWS, "float[N,2] y", weights)
    result = rewritten(model)
    assert_same_within(model, result)
    assert (shapes(result)["A"], shapes(result)["B"], shapes(result)["V"]) == ((4, 3), (3, 2), (2, 2))


def test_how_to_prove_is_about_the_way_back():
    model = from_text(*_all_below())
    with pytest.raises(BadUsage, match="--prove has no meaning here"):
        onnx_prelu.rewrite(model, to="relu", prove="bisect")
    with pytest.raises(BadUsage, match="--prove guess is not known"):
        onnx_prelu.rewrite(model, to="prelu", prove="guess")
    with pytest.raises(BadUsage, match="no such input"):
        onnx_prelu.inspect(model, input_range={"z": (0, 1)})


@given(drawn())
@examples(200)
def test_drawn_networks_stay_the_same_within_their_range(net):
    model = net.model()
    result = onnx_prelu.rewrite(
        model, to="prelu", input_range={"x": (net.low, net.high)}, prove="symbolic", check=False, bench=False
    )
    points = net.points()[::10]
    before, after = run(model, {"x": points}), run(result.model, {"x": points})
    assert_close(before, after)


def test_what_a_runtime_fuses_once_an_activation_is_gone_may_be_rounded_otherwise():
    weights = {"A": np.ones((4, 2)), "b": np.ones(2)}
    draft = Draft(load(from_text("z = Abs(x)  p = Gemm(z, A, b)  y = Relu(p)", ROWS, "float[N,2] y", weights)))
    (found,) = stable_units(draft, {}, "interval")
    assert not plan_identity(draft, found).equal_bits
