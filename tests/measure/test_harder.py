"""Inputs that try to break a rewrite, and what is made of one that does."""

import itertools

import numpy as np
import pytest
from onnx import numpy_helper, parser

from onnx_prelu.graph.model import Model
from onnx_prelu.measure.checking import rounds
from onnx_prelu.measure.checking.check import Effort, Watch, check
from onnx_prelu.measure.checking.watch import Coverage, kinks
from onnx_prelu.measure.inputs.draw import InputOptions, draw, specs
from onnx_prelu.measure.inputs.harder import harder
from onnx_prelu.measure.inputs.kinks import near_kinks
from onnx_prelu.measure.inputs.minimise import minimised
from onnx_prelu.measure.inputs.ranges import Range
from onnx_prelu.measure.providers.runtime import open_runner


def model(body, opset=17, ir=8):
    return Model(parser.parse_model(f'<ir_version: {ir}, opset_import: ["": {opset}]> {body}'))


def feeds_of(given, **options):
    asked = InputOptions(**options)
    runner = open_runner(given, "cpu")
    probe = Coverage(given, "cpu", ()).probe
    found = harder(given, asked, draw(given, asked, runner), probe)
    return found, {
        kind: [b for b, k in zip(found.batches, found.kinds, strict=True) if k == kind] for kind in found.kinds
    }


RELU = model("g (float[N,4] x) => (float[N,4] y) { y = Relu(x) }")
PLAIN = model("g (float[N,4] x) => (float[N,4] y) { y = Sigmoid(x) }")
IMAGE = model("g (float[N,3,H,W] x) => (float[N,3,H,W] y) { y = Relu(x) }")
INDEX = model("g (int64[N] i) => (float[N,1] y) <float[5,1] t = {1,2,3,4,5}> { y = Gather <axis = 0> (t, i) }")


# ── extremes ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_zeros_denormals_and_everything_mixed():
    _, kinds = feeds_of(RELU, input_shape={"x": (64, 4)})
    (zeros,), (small,), (mixed,) = (
        [np.abs(each["x"]) for each in kinds[kind]] for kind in ("zeros", "denormals", "mixed")
    )
    assert not zeros.any()
    assert 0 < small.max() < np.finfo(np.float32).smallest_normal
    assert mixed.max() > 1e3
    assert 0 < np.sort(mixed[mixed > 0])[5] < np.finfo(np.float32).smallest_normal


def test_what_is_given_stays_and_nothing_is_added_to_data_alone():
    given = model("g (float[N,4] x, float[N,4] z) => (float[N,4] y) { y = Add(x, z) }")
    z = np.ones((2, 4), np.float32)
    feeds, kinds = feeds_of(given, inputs={"z": z})
    assert set(kinds) == {"random", "zeros", "denormals", "mixed"}  # the size is that of the data
    assert all(np.array_equal(batch["z"], z) for batch in feeds.batches)
    assert set(feeds_of(RELU, inputs={"x": z})[1]) == {"given"}


@pytest.mark.parametrize(
    ("dtype", "clip", "differs"), [("uint8", (0, 200), True), ("int8", (0, 127), True), ("int64", (-10, 9), False),
                                   ("int64", (0, 9), True), ("int64", (-10, 1), True)])  # fmt: skip
def test_integers_that_are_neither_0_nor_1(dtype, clip, differs):
    text = f"g ({dtype}[N,8] x) => (float[N,8] y) {{ c = Cast <to = 1> (x) y = %s(c%s) }}"
    clipped = text.replace("(float[N,8] y)", "(float[N,8] y) <float l = {LO}, float h = {HI}>")
    clipped = clipped.replace("LO", str(clip[0])).replace("HI", str(clip[1]))
    found = check(model(text % ("Identity", "")), model(clipped % ("Clip", ", l, h")))
    assert (found[0].status == "passed") != differs
    assert found[0].kinds["integers"] == 2


def test_integers_lie_in_their_range_and_are_indexes_where_that_runs():
    _, kinds = feeds_of(INDEX, input_range={"i": Range(np.array(2), np.array(4))})
    assert all(set(each["i"].tolist()) <= {2, 3, 4} for each in kinds["integers"])
    assert check(INDEX, INDEX)[0].status == "passed"  # what is no index of five rows is left out


# ── other sizes ───────────────────────────────────────────────────────────────────────────────────────────────

FLAT = "g (float[N,8] x) => (float[N,2,4] y) <int64[3] s = {%s, 2, 4}> { y = Reshape(x, s) }"


@pytest.mark.parametrize(
    ("given", "options", "sizes"),
    [
        (RELU, {}, [(3, 4)]),
        (RELU, {"dim": {"N": 5}}, []),
        (IMAGE, {}, [(3, 3, 1, 1), (1, 3, 3, 3)]),
        (IMAGE, {"input_shape": {"x": (2, 3, 5, 5)}}, []),
        (IMAGE, {"dim": {"H": 4}}, [(3, 3, 4, 1), (1, 3, 4, 3)]),
    ],
)
def test_other_sizes_are_tried_where_they_are_open(given, options, sizes):
    _, kinds = feeds_of(given, **options)
    assert [batch["x"].shape for batch in kinds.get("other sizes", [])] == sizes


def test_sizes_at_which_the_model_does_not_run_are_left_out():
    found = [check(given, given, providers=["cpu"])[0] for given in (model(FLAT % 1), model(FLAT % -1))]
    assert [each.status for each in found] == ["passed", "passed"]
    assert [each.kinds.get("other sizes", 0) for each in found] == [0, 1]


def test_a_model_that_holds_for_one_size_only_is_found():
    first, second = model(FLAT % -1), model(FLAT % 1)
    (found,) = check(first, second, providers=["cpu"])
    assert found.status == "failed"
    assert found.reason.startswith("the first model runs, but the second does not: ")


# ── kinks ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_kinks_are_those_of_the_graph():
    given = model("g (float[N,4] x) => (float[N,4] y) <float a = {0.5}> { h = Relu(x) k = PRelu(h, a) y = Tanh(k) }")
    assert kinks(given) == (Watch("h", "x", None), Watch("k", "h", None))


def test_units_that_random_inputs_leave_on_one_side_are_brought_across():
    """Linear units with biases of up to two spreads of the input: each start shows few of them both signs."""
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(16, 64)), rng.uniform(-8, 8, 64)

    def probe(feed):
        return [np.asarray(feed["x"], np.float64) @ weight + bias]

    def share(feeds):
        seen = np.concatenate([probe(feed)[0] for feed in feeds])
        return np.mean((seen.min(0) < 0) & (seen.max(0) > 0))

    starts = [{"x": rng.normal(size=(1, 16)).astype(np.float32)} for _ in range(2)]
    found = near_kinks(probe, starts, ["x"], {}, 6, 0)
    plain = [{"x": rng.normal(size=(1, 16)).astype(np.float32)} for _ in range(6)]
    assert share([*starts, *found]) > share([*starts, *plain])
    assert share([*starts, *found]) > share(starts) + 0.2
    nearest = min(np.abs(probe(feed)[0]).min() for feed in found)
    assert nearest < 1e-5  # at the median of the crossings, one unit is at its kink


def test_points_near_kinks_stay_within_bounds_and_ranges():
    starts = [{"x": np.full((1, 3), value, np.float32), "k": np.ones(1, np.int64)} for value in (0.5, 0.75)]
    probe = lambda feed: [feed["x"] - 1e6]  # noqa: E731
    for ranges, most in (({}, 3.0), ({"x": Range.between(0, 1)}, 1.0)):
        found = near_kinks(probe, starts, ["x"], ranges, 20, 0)
        assert len(found) == 20
        assert max(np.abs(feed["x"]).max() for feed in found) <= most
        assert all(feed["k"] is starts[0]["k"] or np.array_equal(feed["k"], starts[0]["k"]) for feed in found)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_wrong_slope_in_a_corner_of_the_range_is_found(dtype):
    """The unit is below 0 only where all inputs are close to their lowest values."""
    name = "float" if dtype is np.float32 else "float16"
    text = f"g ({name}[N,4] x) => ({name}[N,1] y) {{ z = Gemm(x, w, b) y = LeakyRelu <alpha = %s> (z) }}"
    pair = []
    for alpha in (0.25, 0.5):
        given = model(text % alpha)
        for key, value in (("w", np.ones((4, 1), dtype)), ("b", np.array([3.5], dtype))):
            given.proto.graph.initializer.append(numpy_helper.from_array(value, key))
        pair.append(given)
    options = InputOptions(input_range={"x": Range.between(-1, 1)})
    (found,) = check(*pair, providers=["cpu"], options=options)
    assert (found.status, found.kinds["all low"], found.kinds["near kinks"]) == ("failed", 1, 3)


def test_the_share_of_both_sides_counts_all_inputs():
    given = model("g (float[N,2] x) => (float[N,2] y) <float[2] b = {0.0, 50.0}> { z = Add(x, b) y = Relu(z) }")
    watch = [Watch("relu", "z", 1)]
    options = InputOptions(input_range={"x": Range.between(-60, -40)})
    (found,) = check(given, given, providers=["cpu"], options=options, watch=watch)
    assert [(each.units, each.both) for each in found.spread] == [(2, 1)]


# ── rounds ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_seed_is_a_round_of_its_own():
    (one,) = check(RELU, RELU, providers=["cpu"])
    (three,) = check(RELU, RELU, providers=["cpu"], effort=Effort(3))
    assert (one.seeds, three.seeds, three.batches) == (1, 3, 3 * one.batches)
    assert three.kinds == {kind: 3 * count for kind, count in one.kinds.items()}
    (spent,) = check(RELU, RELU, providers=["cpu"], effort=Effort(1000, 1e-9))
    assert spent.seeds == 1
    assert "1 of 1000 seeds were tried" in " ".join(spent.notes)
    given = InputOptions(inputs={"x": np.ones((1, 4), np.float32)})
    (data,) = check(RELU, RELU, providers=["cpu"], effort=Effort(None, 60.0), options=given)
    assert data.seeds == 1  # the same data would come again


def test_a_budget_begins_no_further_seed_after_it(monkeypatch):
    """Each look at the clock is a second later; the first is when the check starts."""
    monkeypatch.setattr(rounds.time, "monotonic", itertools.count().__next__)
    (found,) = check(RELU, RELU, providers=["cpu"], effort=Effort(None, 3.5))
    assert found.seeds == 4  # at 0, 1, 2 and 3 s


def test_further_seeds_find_what_one_does_not():
    """A gate at one of 301 words: whether a random word is the one is up to the seed."""
    text = """g (int64[1] i) => (float[1] y) <int64 t = {16}, float one = {%s}, float zero = {0.0}, float n = {0.5}>
        { e = Equal(i, t) w = Where(e, one, zero) y = Add(w, n) }"""
    pair = [model(text % one) for one in (1.0, 2.0)]
    options = InputOptions(input_range={"i": Range.between(0, 300)})
    (found,) = check(*pair, providers=["cpu"], options=options)
    assert found.status == "passed"
    (found,) = check(*pair, providers=["cpu"], options=options, effort=Effort(1000))
    assert found.status == "failed"
    assert 1 < found.seeds < 1000


def test_the_same_inputs_for_the_same_seed():
    one, same, other = (feeds_of(IMAGE, seed=seed)[0] for seed in (3, 3, 4))
    assert one.kinds == same.kinds == other.kinds
    assert [a["x"].tobytes() for a in one.batches] == [b["x"].tobytes() for b in same.batches]
    assert all(a["x"].tobytes() != b["x"].tobytes() for a, b in zip(one.batches, other.batches, strict=True))


# ── failing inputs made small ─────────────────────────────────────────────────────────────────────────────────

FREE, FIXED = (specs(model(f"g (float[{n},4] x) => (float[{n},4] y) {{ y = Relu(x) }}").proto) for n in ("N", 8))


@pytest.mark.parametrize(("wanted", "rows"), [(FREE, 1), (FIXED, 8)])
def test_one_value_that_matters_is_left(wanted, rows):
    x = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    x[5, 2] = 100.7

    def fails(feed):
        return bool(np.any(feed["x"] > 10))

    small = minimised({"x": x}, wanted, fails, {})["x"]
    assert small.shape == (rows, 4)
    assert np.count_nonzero(small) == 1
    assert 10 < small.max() <= 20


def test_what_fails_at_zero_is_all_zero():
    small = minimised({"x": np.ones((3, 4), np.float32)}, FREE, lambda feed: True, {})
    assert small["x"].tolist() == [[0, 0, 0, 0]]


def test_no_more_is_tried_than_allowed_and_what_is_returned_fails():
    tried = []

    def fails(feed):
        tried.append(feed)
        return float(feed["x"].sum()) >= 500

    x = np.ones((1, 1000), np.float32)
    wide = specs(model("g (float[N,1000] x) => (float[N,1000] y) { y = Relu(x) }").proto)
    small = minimised({"x": x}, wide, fails, {}, most=50)
    assert len(tried) == 50
    assert small["x"].sum() >= 500
    assert np.array_equal(x, np.ones((1, 1000), np.float32))  # the input itself is not touched
