"""Rays, the one normal form: a function of one tensor that is straight on each side of zero.

    f(x) = pos·x  where x >= 0,     f(x) = neg·x  where x < 0

PReLU is ``Rays(1, a)``, Relu ``(1, 0)``, Identity ``(1, 1)``, Abs ``(1, −1)``. Sums, multiples, maxima and choices
by a sign of rays are rays again, by one rule an ONNX op; so an expression is a PReLU if and only if its op rules
evaluate to ``pos = 1``, however it was written, and a way of writing PReLU proves itself the same way.

A mask such as ``x < 0`` is the same thing of degree 0: a constant on each side. A constant is a degree-0 value that is
the same on both sides. What a degree-0 value is at x = 0 itself does not matter: a degree-1 value is 0 there.

Stored constants are roundings of what the writer meant. ``slack`` bounds, per side, how far that can move the
factor: ``a·x + (1−a)·Relu(x)`` has pos = fl(a) + fl(1−a), which is 1 within its slack, and hence a PReLU.
``roundings`` counts the floating-point roundings that evaluating the expression makes on each side; a side
whose factor is exact and that rounds at most once gives the correctly rounded result, whatever the expression.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..errors import Refused
from .floats import Array, half_ulp

Counts = NDArray[np.int64]
_NOISE = 2.0**-52  # of our own float64 arithmetic, relative to a result
_NONE = np.zeros((), np.int64)
_ZERO = np.zeros(())
_UNBOUNDED = float(np.finfo(np.float32).max)  # a Clip there clips no finite value; exporters write it for "no bound"


@dataclass(frozen=True)
class Rays:
    """A function of x that is ``pos·x`` for x >= 0 and ``neg·x`` for x < 0 (degree 1), or two constants (degree 0).

    Attributes:
        pos: The factor on x >= 0, float64, in any shape that broadcasts to x.
        neg: The factor on x < 0.
        degree: 1 for a function of x; 0 for a constant on each side.
        roundings: How often evaluation rounds on the positive and on the negative side.
        slack: How far pos and neg can be off because stored constants are roundings.
    """

    pos: Array
    neg: Array
    degree: Literal[0, 1] = 1
    roundings: tuple[Counts, Counts] = (_NONE, _NONE)
    slack: tuple[Array, Array] = (_ZERO, _ZERO)

    def sides(self) -> tuple[Side, Side]:
        """The two sides, for rules that treat both alike."""
        return (
            Side(self.pos, self.roundings[0], self.slack[0]),
            Side(self.neg, self.roundings[1], self.slack[1]),
        )

    @property
    def is_zero(self) -> bool:
        """True for the value 0, which is a degree-0 and a degree-1 value at once."""
        return not (np.any(self.pos) or np.any(self.neg))


@dataclass(frozen=True)
class Side:
    """One side of rays: a factor, how often it was rounded, how far it can be off."""

    value: Array
    roundings: Counts
    slack: Array


def rays(pos: Any, neg: Any) -> Rays:
    """Degree-1 rays of exact factors, in the shapes given.

    >>> rays(1, [0.25, -3]).neg
    array([ 0.25, -3.  ])
    """
    return Rays(np.asarray(pos, np.float64), np.asarray(neg, np.float64))


IDENTITY = rays(1, 1)


def constant(value: Any, dtype: DTypeLike) -> Rays:
    """A stored constant of ``dtype``: a degree-0 value with half an ulp of slack."""
    stored = np.asarray(value, np.float64)
    slack = half_ulp(stored, dtype)
    return Rays(stored, stored, 0, slack=(slack, slack))


def _joined(pos: Side, neg: Side, degree: Literal[0, 1]) -> Rays:
    return Rays(pos.value, neg.value, degree, (pos.roundings, neg.roundings), (pos.slack, neg.slack))


def _not_rays(text: str) -> Refused:
    return Refused("not-rays", text)


def _same_degree(*terms: Rays) -> Literal[0, 1]:
    """The common degree; the value 0 has both."""
    degrees = {term.degree for term in terms if not term.is_zero}
    if len(degrees) > 1:
        raise _not_rays("a constant other than 0 is added to, or compared with, a multiple of x: the kink moves")
    return degrees.pop() if degrees else terms[0].degree


def _exact_factor(value: Array) -> NDArray[np.bool_]:
    """Multiplying by 0, 1 or −1 rounds nothing."""
    result: NDArray[np.bool_] = (value == 0) | (np.abs(value) == 1)
    return result


def _scaled(side: Side, factor: Side, exact: NDArray[np.bool_]) -> Side:
    value = side.value * factor.value
    slack = (
        np.abs(side.value) * factor.slack
        + np.abs(factor.value) * side.slack
        + side.slack * factor.slack
        + np.where(exact, 0.0, _NOISE * np.abs(value))
    )
    return Side(value, np.where(value == 0, 0, side.roundings + factor.roundings + ~exact), slack)


def _chosen(condition: Any, left: Side, right: Side) -> Side:
    return Side(
        np.where(condition, left.value, right.value),
        np.where(condition, left.roundings, right.roundings),
        np.where(condition, left.slack, right.slack),
    )


# ── the rules, one an op ──────────────────────────────────────────────────────────────────────────────────────


def _identity(u: Rays) -> Rays:
    return u


def _neg(u: Rays) -> Rays:
    return Rays(-u.pos, -u.neg, u.degree, u.roundings, u.slack)


def _add(u: Rays, v: Rays) -> Rays:
    degree = _same_degree(u, v)

    def side(left: Side, right: Side) -> Side:
        value = left.value + right.value
        both = (left.value != 0) & (right.value != 0)
        noise = np.where(both, _NOISE * (np.abs(left.value) + np.abs(right.value)), 0.0)
        return Side(value, left.roundings + right.roundings + both, left.slack + right.slack + noise)

    (up, un), (vp, vn) = u.sides(), v.sides()
    return _joined(side(up, vp), side(un, vn), degree)


def _sub(u: Rays, v: Rays) -> Rays:
    return _add(u, _neg(v))


def _sum(*terms: Rays) -> Rays:
    return functools.reduce(_add, terms)


def _mul(u: Rays, v: Rays) -> Rays:
    if u.degree == 1 and v.degree == 1:
        raise _not_rays("two multiples of x are multiplied")
    if u.degree == 0:
        u, v = v, u  # v is the factor of degree 0

    def side(left: Side, factor: Side) -> Side:
        exact = _exact_factor(factor.value)
        if u.degree == 0:  # two constants: exact where either of them is 0, 1 or −1
            exact = exact | _exact_factor(left.value)
        return _scaled(left, factor, exact)

    (up, un), (vp, vn) = u.sides(), v.sides()
    return _joined(side(up, vp), side(un, vn), u.degree)


def _div(u: Rays, v: Rays) -> Rays:
    if v.degree == 1:
        raise _not_rays("something is divided by a multiple of x")
    if not (np.all(v.pos) and np.all(v.neg)):
        raise _not_rays("something is divided by 0")

    def inverse(side: Side) -> Side:
        value = 1.0 / side.value
        exact = np.abs(side.value) == 1
        noise = np.where(exact, 0.0, _NOISE * np.abs(value))
        return Side(value, side.roundings, side.slack * value**2 + noise)

    (up, un), (vp, vn) = u.sides(), v.sides()
    return _joined(
        _scaled(up, inverse(vp), np.abs(vp.value) == 1),
        _scaled(un, inverse(vn), np.abs(vn.value) == 1),
        u.degree,
    )


def _max(*terms: Rays) -> Rays:
    degree = _same_degree(*terms)

    def larger(u: Rays, v: Rays) -> Rays:
        (up, un), (vp, vn) = u.sides(), v.sides()
        on_left = un.value <= vn.value if degree else un.value >= vn.value  # x < 0 turns the order round
        return _joined(_chosen(up.value >= vp.value, up, vp), _chosen(on_left, un, vn), degree)

    return functools.reduce(larger, terms)


def _min(*terms: Rays) -> Rays:
    return _neg(_max(*(_neg(term) for term in terms)))


def _relu(u: Rays) -> Rays:
    return _max(u, _times(u, 0.0))


def _times(u: Rays, factor: float) -> Rays:
    """An exact multiple by a number that is no stored constant (0 or ±1)."""
    value = np.asarray(factor)
    return _mul(u, Rays(value, value, 0))


def _abs(u: Rays) -> Rays:
    return _max(u, _neg(u))


def _clip(u: Rays, low: Rays | None = None, high: Rays | None = None, **bounds: float) -> Rays:
    zero = _times(u, 0.0)
    low_value = -_attribute_bound(-bounds.get("min", -math.inf)) if low is None else _bound(low)
    high_value = _attribute_bound(bounds.get("max", math.inf)) if high is None else _bound(high)
    for value, none, limit in ((low_value, -math.inf, _max), (high_value, math.inf, _min)):
        if value == 0:
            u = limit(u, zero)
        elif value != none:
            raise _not_rays(f"Clip at {value:g} moves the kink")
    return u


def _attribute_bound(value: float) -> float:
    """A bound that is an attribute (before opset 11): the largest float32 is how "no bound" is written there."""
    return math.inf if value >= _UNBOUNDED else value


def _bound(bound: Rays) -> float:
    if bound.degree == 1 or np.any(bound.pos != bound.neg) or bound.pos.size != 1:
        raise _not_rays("Clip has a bound that depends on x")
    return float(bound.pos.reshape(()))


def _prelu(u: Rays, slope: Rays) -> Rays:
    if slope.degree == 1 or u.degree == 0:
        raise _not_rays("PRelu has a slope that depends on x, or works on a mask")
    (up, un), (sp, sn) = u.sides(), slope.sides()
    return _joined(
        _chosen(up.value >= 0, up, _scaled(up, sp, _exact_factor(sp.value))),
        _chosen(un.value <= 0, un, _scaled(un, sn, _exact_factor(sn.value))),
        1,
    )


def _leaky_relu(u: Rays, alpha: float = 0.01) -> Rays:
    return _prelu(u, constant(np.float32(alpha), np.float32))


def _thresholded_relu(u: Rays, alpha: float = 1.0) -> Rays:
    if alpha != 0:
        raise _not_rays(f"ThresholdedRelu at {alpha:g} moves the kink")
    return _relu(u)


def _greater(u: Rays, v: Rays) -> Rays:
    """The mask u > v. Where u − v is 0 on a whole side, nothing is decided: > and >= would differ there."""
    degree = _same_degree(u, v)
    difference = _sub(u, v)

    def side(part: Side, sign: float) -> Side:
        value = sign * part.value
        if not np.all(np.abs(value) > part.slack):  # written so that NaN decides nothing
            raise _not_rays("a comparison is undecided on a whole side of zero")
        return Side(np.asarray(value > 0, np.float64), _NONE, _ZERO)

    pos, neg = difference.sides()
    return _joined(side(pos, 1.0), side(neg, -1.0 if degree else 1.0), 0)


def _less(u: Rays, v: Rays) -> Rays:
    return _greater(v, u)


def _sign(u: Rays) -> Rays:
    return _sub(_greater(u, _times(u, 0.0)), _less(u, _times(u, 0.0)))


def _mask(u: Rays) -> Rays:
    if u.degree == 1 or not (np.all(np.isin(u.pos, (0, 1))) and np.all(np.isin(u.neg, (0, 1)))):
        raise _not_rays("a condition is needed and this is not one")
    return u


def _cast(u: Rays, *_like: Rays) -> Rays:
    """A mask as numbers 0 and 1. A multiple of x would be rounded to another type here, which is another function."""
    return _mask(u)


def _not(u: Rays) -> Rays:
    u = _mask(u)
    return Rays(1 - u.pos, 1 - u.neg, 0)


def _where(condition: Rays, u: Rays, v: Rays) -> Rays:
    condition = _mask(condition)
    degree = _same_degree(u, v)
    (up, un), (vp, vn) = u.sides(), v.sides()
    return _joined(_chosen(condition.pos == 1, up, vp), _chosen(condition.neg == 1, un, vn), degree)


RULES: dict[str, Callable[..., Rays]] = {
    "Abs": _abs,
    "Add": _add,
    "Cast": _cast,
    "CastLike": _cast,
    "Clip": _clip,
    "Div": _div,
    "Greater": _greater,
    "GreaterOrEqual": _greater,
    "Identity": _identity,
    "LeakyRelu": _leaky_relu,
    "Less": _less,
    "LessOrEqual": _less,
    "Max": _max,
    "Min": _min,
    "Mul": _mul,
    "Neg": _neg,
    "Not": _not,
    "PRelu": _prelu,
    "Relu": _relu,
    "Sign": _sign,
    "Sub": _sub,
    "Sum": _sum,
    "ThresholdedRelu": _thresholded_relu,
    "Where": _where,
}
"""What each ONNX op does to rays: positional arguments are its inputs, keywords its attributes. A rule raises
:class:`~onnx_prelu.errors.Refused` with the code ``not-rays`` where the result is no longer straight on each side."""


# ── the one question ──────────────────────────────────────────────────────────────────────────────────────────


def show(values: Array) -> str:
    """A factor for people: one number, or the range of several.

    >>> show(np.array([0.5, -2.0]))
    '-2…0.5'
    """
    low, high = float(np.min(values)), float(np.max(values))
    return f"{low:.9g}" if low == high else f"{low:.9g}…{high:.9g}"


def slope(function: Rays) -> Array:
    """The slope of the PReLU that these rays are: a float64 array in its own broadcast shape.

    Raises:
        Refused: They are not a PReLU: code ``not-rays`` (a mask) or ``positive-side`` (pos is not 1).

    >>> float(slope(RULES["Max"](IDENTITY, RULES["Mul"](IDENTITY, constant(0.25, np.float32)))))
    0.25
    """
    if function.degree == 0:
        raise _not_rays("this is a mask, not a multiple of x")
    if not np.all(np.abs(function.pos - 1) <= function.slack[0]):  # written so that NaN is not 1
        raise Refused(
            "positive-side",
            f"on x >= 0 this is {show(function.pos)}·x, and a PReLU is x itself there",
        )
    shape = np.broadcast_shapes(function.pos.shape, function.neg.shape)
    return np.broadcast_to(function.neg, shape) if function.neg.shape != shape else function.neg


def correctly_rounded(function: Rays) -> bool:
    """True if evaluating the expression gives the correctly rounded PReLU: every bit of it, but a zero's sign.

    That is so where the positive side is x itself and the negative side rounds at most once.
    """
    exact_pos = bool(np.all(function.pos == 1)) and not np.any(function.roundings[0])
    return exact_pos and not np.any(function.roundings[1] > 1)
