"""Small 1x1 Convs on one input as one."""

import pytest

from tests.laid_out import assert_same_function, laid_out, ops
from tests.texts import from_text

WEIGHTS = {"v": (2, 5, 1, 1), "b": (2,), "w": (4, 5, 1, 1), "c": (4,)}
OUTPUTS = "float[2,2,3,4] y, float[2,4,3,4] t"


def net(body, weights=None, outputs=OUTPUTS, **options):
    return from_text(body, "float[2,5,3,4] x", outputs, {**WEIGHTS, **(weights or {})}, **options)


@pytest.mark.parametrize("opset", [9, 13, 18])
@pytest.mark.parametrize("body", ["y = Conv(x, v, b)  t = Conv(x, w, c)", "t = Conv(x, w)  y = Conv(x, v)"])
def test_two_heads_become_one(body, opset):
    result = assert_same_function(net(body, opset=opset), "heads", places=1)
    assert ops(result) == ["Conv", "Split"]
    assert {tensor.dims[0] for tensor in result.graph.initializer if len(tensor.dims) == 4} == {6}


def test_three_heads_with_a_node_between_them():
    body = "t = Conv(x, w, c)  r = Relu(t)  y = Conv(x, v, b)  k = Conv(x, v, b)  s = Add(k, y)"
    model = net(body, outputs="float[2,4,3,4] r, float[2,2,3,4] s")
    assert ops(assert_same_function(model, "heads", places={"heads:n_t"})) == ["Conv", "Split", "Relu", "Add"]


def of(units, inputs):
    return {"v": (units, inputs, 1, 1), "b": (units,), "w": (units, inputs, 1, 1), "c": (units,)}


@pytest.mark.parametrize(
    ("body", "weights"),
    [
        ("y = Conv(x, v, b)  t = Conv(x, w)", {}),
        ("y = Conv<strides = [2, 2]>(x, v, b)  t = Conv(x, w, c)", {}),
        ("y = Conv(x, v, b)  t = Conv<pads = [1, 1, 1, 1]>(x, k, c)", {"k": (4, 5, 3, 3)}),
        ("z = Relu(x)  y = Conv(x, v, b)  t = Conv(z, w, c)", {}),
        ("y = Conv(x, v, b)  t = Conv(x, w, c)", of(16, 5)),
        ("y = Conv<group = 5>(x, v, b)  t = Conv<group = 5>(x, w, c)", of(5, 1)),
    ],
    ids=["one has no bias", "other strides", "another kernel", "other inputs", "whole blocks", "groups"],
)  # fmt: skip
def test_heads_that_differ_or_gain_nothing_stay(body, weights):
    model = net(body, weights, "float[N,A,H,W] y, float[N,B,I,J] t")
    assert laid_out(model, "heads") == (model, [])
