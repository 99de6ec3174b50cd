import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnx_prelu.algebra.rays import IDENTITY, RULES, Rays, constant, correctly_rounded, rays, slope
from onnx_prelu.errors import Refused
from tests import independent
from tests.counts import examples

POINTS = np.array([-300.0, -2.5, -0.7, -1e-3, 0.0, 1e-3, 0.7, 2.5, 300.0])
CONSTANTS = [0.0, 1.0, -1.0, 0.25, -0.5, 1.5, 2.0, -3.0, 0.1]
ARITY = {"Where": 3} | dict.fromkeys(
    [
        "Add",
        "CastLike",
        "Div",
        "Greater",
        "GreaterOrEqual",
        "Less",
        "LessOrEqual",
        "Max",
        "Min",
        "Mul",
        "PRelu",
        "Sub",
        "Sum",
    ],
    2,
)


@st.composite
def expressions(draw, depth=4):
    """A tree: "x", a number, or (op, arguments, attributes)."""
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        return "x" if draw(st.booleans()) else draw(st.sampled_from(CONSTANTS))
    op = draw(st.sampled_from(sorted(RULES)))
    arguments = [draw(expressions(depth=depth - 1)) for _ in range(ARITY.get(op, 1))]
    attributes = {}
    if op in ("LeakyRelu", "ThresholdedRelu"):
        attributes["alpha"] = draw(st.sampled_from(CONSTANTS))
    if op == "Clip":
        arguments += [draw(st.sampled_from([None, 0.0, -np.inf, 6.0])), draw(st.sampled_from([None, 0.0, np.inf, 6.0]))]
    return op, arguments, attributes


def by_rules(tree):
    if tree == "x":
        return IDENTITY
    if tree is None:
        return None
    if not isinstance(tree, tuple):
        return constant(tree, np.float64)
    op, arguments, attributes = tree
    return RULES[op](*map(by_rules, arguments), **attributes)


def by_hand(tree, x):
    if isinstance(tree, str):
        return x
    if not isinstance(tree, tuple):
        return tree
    op, arguments, attributes = tree
    values = [by_hand(argument, x) for argument in arguments]
    if op == "Clip":
        return independent.clip(*values)
    return independent.OPS[op](*(np.broadcast_to(v, x.shape) for v in values), **attributes)


@examples(20_000)
@given(expressions())
def test_rules_are_sound(tree):
    """What the rules make of an expression is what it computes on each side of zero."""
    try:
        found = by_rules(tree)
    except Refused:
        return
    with np.errstate(all="ignore"):
        expected = np.asarray(by_hand(tree, POINTS), float) * np.ones_like(POINTS)
    side = np.where(POINTS >= 0, found.pos, found.neg)
    value = side * POINTS if found.degree == 1 else side
    decided = POINTS != 0 if found.degree == 0 else np.isfinite(expected)  # a mask at 0 is left open
    np.testing.assert_allclose(value[decided], expected[decided], rtol=1e-12, atol=1e-12)


A = np.float32(0.3)
MIRROR = ("Sub", [("Relu", ["x"], {}), ("Mul", [0.3, ("Relu", [("Neg", ["x"], {})], {})], {})], {})


def f32(value):
    return constant(np.float32(value), np.float32)


X = IDENTITY
SPELLINGS = {
    "prelu": lambda r: r["PRelu"](X, f32(A)),
    "mirror": lambda r: r["Sub"](r["Relu"](X), r["Mul"](f32(A), r["Relu"](r["Neg"](X)))),
    "keras": lambda r: r["Add"](r["Relu"](X), r["Mul"](f32(-A), r["Relu"](r["Neg"](X)))),
    "where": lambda r: r["Where"](r["Greater"](X, f32(0)), X, r["Mul"](f32(A), X)),
    "max": lambda r: r["Max"](X, r["Mul"](f32(A), X)),
    "abs": lambda r: r["Add"](r["Relu"](X), r["Mul"](r["Mul"](f32(A), r["Sub"](X, r["Abs"](X))), f32(0.5))),
    "halves": lambda r: r["Add"](r["Mul"](f32((1 + A) / 2), X), r["Mul"](f32((1 - A) / 2), r["Abs"](X))),
    "clip": lambda r: r["Add"](r["Clip"](X, f32(0)), r["Mul"](f32(A), r["Clip"](X, None, f32(0)))),
    "max and min": lambda r: r["Add"](r["Max"](X, f32(0)), r["Mul"](f32(A), r["Min"](X, f32(0)))),
    "masks": lambda r: r["Add"](
        r["Mul"](r["Greater"](X, f32(0)), X), r["Mul"](r["Not"](r["Greater"](X, f32(0))), r["Mul"](f32(A), X))
    ),
    "skip": lambda r: r["Add"](r["Mul"](f32(A), X), r["Mul"](f32(1 - A), r["Relu"](X))),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_spellings_have_their_slope(name):
    assert np.float32(slope(SPELLINGS[name](RULES))) == pytest.approx(A, rel=3e-7)


@pytest.mark.parametrize(
    ("name", "rounded"),
    [("prelu", True), ("mirror", True), ("where", True), ("max", True), ("skip", False), ("halves", False)],
)
def test_correct_rounding_is_derived(name, rounded):
    assert correctly_rounded(SPELLINGS[name](RULES)) is rounded


NEAR_MISSES = {
    "max above one": (lambda r: r["Max"](X, r["Mul"](f32(1.5), X)), "positive-side"),
    "residual": (lambda r: r["Add"](X, r["PRelu"](X, f32(A))), "positive-side"),
    "a part in ten million off": (lambda r: r["Mul"](f32(1 + 2**-23), r["PRelu"](X, f32(A))), "positive-side"),
    "skip with another complement": (
        lambda r: r["Add"](r["Mul"](f32(A), X), r["Mul"](f32(0.8), r["Relu"](X))),
        "positive-side",
    ),
    "kink moved": (lambda r: r["Relu"](r["Add"](X, f32(0.1))), "not-rays"),
    "clip at 6": (lambda r: r["Clip"](X, f32(0), f32(6)), "not-rays"),
    "x times x": (lambda r: r["Mul"](X, X), "not-rays"),
    "a mask": (lambda r: r["Greater"](X, f32(0)), "not-rays"),
    "a mask by a constant": (lambda r: r["Greater"](X, f32(0.1)), "not-rays"),
    "undecided comparison": (lambda r: r["Where"](r["Greater"](r["Relu"](X), f32(0)), X, f32(0)), "not-rays"),
    "divided by x": (lambda r: r["Div"](f32(1), X), "not-rays"),
    "divided by zero": (lambda r: r["Div"](X, f32(0)), "not-rays"),
    "threshold": (lambda r: r["ThresholdedRelu"](X, alpha=1.0), "not-rays"),
    "slope of x": (lambda r: r["PRelu"](X, X), "not-rays"),
    "condition is no mask": (lambda r: r["Where"](X, X, X), "not-rays"),
    "bound depends on x": (lambda r: r["Clip"](X, X), "not-rays"),
    "NaN": (lambda r: r["Mul"](f32(np.nan), X), "positive-side"),
}


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_near_misses_are_refused(name):
    expression, code = NEAR_MISSES[name]
    with pytest.raises(Refused) as caught:
        slope(expression(RULES))
    assert caught.value.reason.code == code


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
def test_a_pair_of_rounded_complements_is_a_prelu(dtype):
    """fl(a) + fl(1−a) is 1 up to the roundings of the two, for every a, and for nothing further away."""
    a = np.random.default_rng(0).normal(size=2000) * 5
    stored, complement = a.astype(dtype), (1 - a).astype(dtype)
    form = RULES["Add"](
        RULES["Mul"](constant(stored, dtype), X), RULES["Mul"](constant(complement, dtype), RULES["Relu"](X))
    )
    np.testing.assert_array_equal(slope(form), stored.astype(float))
    ulp = np.spacing(np.abs(stored)).astype(float) if dtype is not ml_dtypes.bfloat16 else np.abs(a) * 2**-7
    off = (1 - a + 3 * (ulp + np.abs(complement.astype(float)) * float(ml_dtypes.finfo(dtype).eps))).astype(dtype)
    with pytest.raises(Refused, match="on x >= 0"):
        slope(
            RULES["Add"](RULES["Mul"](constant(stored, dtype), X), RULES["Mul"](constant(off, dtype), RULES["Relu"](X)))
        )


def test_slopes_keep_their_own_shape():
    a = np.array([[[0.5]], [[-2.0]]])
    assert slope(RULES["PRelu"](X, constant(a, np.float32))).shape == (2, 1, 1)


def test_rays_are_what_they_say():
    found = rays(1, [0.25, -3])
    assert isinstance(found, Rays)
    assert found.neg.tolist() == [0.25, -3.0]
