"""Inputs on which two models are farthest apart, among many."""

import numpy as np
import pytest
from onnx import numpy_helper, parser

from onnx_prelu.graph.model import Model
from onnx_prelu.measure.checking.check import check
from onnx_prelu.measure.inputs import apart
from onnx_prelu.measure.inputs.apart import KIND, farthest
from onnx_prelu.measure.inputs.draw import InputOptions, draw
from onnx_prelu.measure.inputs.ranges import Range
from onnx_prelu.measure.providers.runtime import open_runner


def model(body, **weights):
    given = Model(parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> {body}'))
    for name, value in weights.items():
        given.proto.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return given


def found(a, b, **options):
    asked = InputOptions(**options)
    first, second = (open_runner(each, "cpu") for each in (a, b))
    return farthest(a, asked, draw(a, asked, first), first, second)


SAME = model("g (float[N,4] x) => (float[N,4] y) { y = Relu(x) }")
OTHER = model("g (float[N,4] x) => (float[N,4] y) { y = LeakyRelu <alpha = 0.01> (x) }")


def rare(alpha):
    """One unit of four is below 0, where the direction of x lies near that of (−1, …, −1); the others are above."""
    w = np.zeros((8, 4), np.float32)
    w[:, 0] = 1 / np.sqrt(8)
    text = """g (float[N,8] x) => (float[N,4] y)
        { n = LpNormalization <p = 2> (x) z = Gemm(n, w, b) y = LeakyRelu <alpha = %s> (z) }"""
    return model(text % alpha, w=w, b=np.array([0.85, 9, 9, 9], np.float32))


def test_a_difference_that_few_samples_show_is_found():
    x = np.random.default_rng(5).normal(size=(100_000, 8))
    below = (x / np.linalg.norm(x, axis=1, keepdims=True)).sum(1) / np.sqrt(8) < -0.85
    assert 0 < np.mean(below) < 0.004
    (told,) = check(rare(0.25), rare(0.5), providers=["cpu"])
    assert told.status == "failed"
    assert told.kinds[KIND] >= 1


def test_the_samples_are_those_that_differ_most():
    feeds = found(SAME, OTHER)
    assert set(feeds.kinds) == {KIND}
    assert len(feeds.batches) == len(feeds.scales) == 4
    for batch, scale in zip(feeds.batches, feeds.scales, strict=True):
        assert batch["x"].shape == (8, 4)
        assert scale / 10 < np.abs(batch["x"]).max() < 20 * scale
        with np.errstate(divide="ignore"):  # all are far below 0, so that hardly anything is left of them
            assert np.all(-0.01 * batch["x"].min(1) / batch["x"].clip(0).max(1) > 0.05)


def test_they_follow_from_the_seed():
    one, same, other = (found(SAME, OTHER, seed=seed).batches for seed in (3, 3, 4))
    assert all(np.array_equal(a["x"], b["x"]) for a, b in zip(one, same, strict=True))
    assert not all(np.array_equal(a["x"], b["x"]) for a, b in zip(one, other, strict=True))


def test_they_stay_in_their_range():
    ends = Range.between(np.array([-1.0, 2.0, -3.0, 4.0]), np.array([-1.0, 3.0, -2.0, 5.0]))
    feeds = found(SAME, OTHER, input_range={"x": ends})
    assert feeds.batches
    assert all(np.all((batch["x"] >= ends.low) & (batch["x"] <= ends.high)) for batch in feeds.batches)


def two(body):
    return [model(body % act) for act in ("Relu", "LeakyRelu")]


FIXED = two("g (float[2,4] x) => (float[2,4] y) { y = %s(x) }")
TWO = two("g (float[N,4] x, float[N,4] k) => (float[N,4] y) { s = Add(x, k) y = %s(s) }")
MEANS = two("g (float[N,4] x) => (float y) { a = %s(x) y = ReduceMean <keepdims = 0> (a) }")


@pytest.mark.parametrize(
    ("pair", "options", "batches"),
    [
        ((SAME, SAME), {}, 0),
        (FIXED, {}, 0),
        (TWO, {}, 4),
        (TWO, {"inputs": {"k": np.zeros((1, 4), np.float32)}}, 0),
        (MEANS, {}, 0),  # nothing comes out for each sample
    ],
)
def test_where_there_are_none(pair, options, batches):
    assert len(found(*pair, **options).batches) == batches


def test_what_takes_too_long_is_left_out(monkeypatch):
    assert len(found(rare(0.25), rare(0.5)).batches) > 0
    monkeypatch.setattr(apart, "_MULTIPLICATIONS", 32 * 7)  # 8 by 4 a sample, so 7 samples
    assert len(found(rare(0.25), rare(0.5)).batches) == 0
