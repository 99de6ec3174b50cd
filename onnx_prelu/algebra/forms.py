"""The elementwise forms of PReLU: one expression each, over an op builder.

An expression is written once and runs three ways: over :class:`Rays` (the proof, by :func:`prove`), over a recorder
(the op list, by :func:`ops`), and over a graph (the nodes). What a form needs of its slope is not written anywhere:
``Max(z, a·z)`` with a = 1.5 evaluates to (1.5, 1), which is no PReLU, and is refused by that arithmetic. Where a form
has several expressions, the first that proves itself for the slope at hand is taken.

    mirror         Relu(z) − a·Relu(−z)                   any a; every bit (but a zero's sign) is PRelu's
    mirror-mul     Relu(z) + (−a)·Relu((−1)·z)            the same without Neg and Sub
    mirror-min     Relu(z) + a·Min(z, 0)                  the same by Min, with one Relu
    skip           a·z + Relu((1−a)·z)                    a <= 1; where a > 1, z − Relu((1−a)·z)
    skip-outside   a·z + (1−a)·Relu(z)                    any a
    skip-short     z + Relu((a−1)·z)                      a <= 1; one Mul less
    max            Max(z, a·z), or Min(z, a·z)            all a <= 1, or all a >= 1; every bit is PRelu's
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike

from ..errors import Refused
from .floats import Array, is_integer, round_to
from .rays import IDENTITY, RULES, Rays, constant, correctly_rounded, show, slope


class Builder(Protocol):
    """Something that an expression can be written in: ``o.Relu(x)`` applies the ONNX op Relu."""

    def __getattr__(self, op: str) -> Callable[..., Any]: ...


Expression = Callable[[Builder, Any, Any, Callable[[Any], Any]], Any]
"""``expression(o, x, a, k)``: x is the tensor, a the slope, ``k(c)`` makes a constant of c."""


def _uniform(a: Any) -> float:
    """The one slope that all units share."""
    if not isinstance(a, np.ndarray):
        raise Refused(
            "runtime-slope",
            "LeakyRelu takes its slope as an attribute, and this one is only known at run time",
        )
    if np.any(a != a.flat[0]):
        raise Refused("slope-not-uniform", f"LeakyRelu has one slope for all units, and these are {show(a)}")
    return float(a.flat[0])


FORMS: dict[str, tuple[Expression, ...]] = {
    "prelu": (lambda o, x, a, k: o.PRelu(x, k(a)),),
    "leakyrelu": (lambda o, x, a, _: o.LeakyRelu(x, alpha=_uniform(a)),),
    "relu": (lambda o, x, _a, _k: o.Relu(x),),
    "identity": (lambda o, x, _a, _k: o.Identity(x),),
    "mirror": (lambda o, x, a, k: o.Sub(o.Relu(x), o.Mul(k(a), o.Relu(o.Neg(x)))),),
    "mirror-mul": (lambda o, x, a, k: o.Add(o.Relu(x), o.Mul(k(-a), o.Relu(o.Mul(k(np.array(-1.0)), x)))),),
    "mirror-min": (lambda o, x, a, k: o.Add(o.Relu(x), o.Mul(k(a), o.Min(x, k(np.array(0.0))))),),
    "skip": (
        lambda o, x, a, k: o.Add(o.Mul(k(a), x), o.Relu(o.Mul(k(1 - a), x))),
        lambda o, x, a, k: o.Sub(x, o.Relu(o.Mul(k(1 - a), x))),
        lambda o, x, a, k: o.Add(
            o.Mul(k(np.where(a > 1, 1.0, a)), x),
            o.Mul(k(np.where(a > 1, -1.0, 1.0)), o.Relu(o.Mul(k(1 - a), x))),
        ),
    ),
    "skip-outside": (lambda o, x, a, k: o.Add(o.Mul(k(a), x), o.Mul(k(1 - a), o.Relu(x))),),
    "skip-short": (lambda o, x, a, k: o.Add(x, o.Relu(o.Mul(k(a - 1), x))),),
    "max": (
        lambda o, x, a, k: o.Max(x, o.Mul(k(a), x)),
        lambda o, x, a, k: o.Min(x, o.Mul(k(a), x)),
    ),
}


_SLOPELESS = frozenset({"relu", "identity"})
"""Forms that read no slope, and so have one of their own."""


@dataclass(frozen=True)
class Proof:
    """An expression that is a PReLU with the slope at hand, and what follows from that.

    Attributes:
        expression: The expression.
        rays: What it evaluates to.
        ops: The ONNX ops it is made of, in the order in which they run.
        equal_bits: True if it gives PRelu's result in every bit but the sign of a zero, on finite values;
            otherwise its result differs by roundings.
    """

    expression: Expression
    rays: Rays
    ops: tuple[str, ...]
    equal_bits: bool


class _RaysBuilder:
    """Evaluates an expression over rays, with constants rounded as they will be stored; notes the ops."""

    def __init__(self, dtype: DTypeLike) -> None:
        self.dtype = dtype
        self.ops: list[str] = []

    def __getattr__(self, op: str) -> Callable[..., Rays]:
        def apply(*inputs: Rays, **attributes: float) -> Rays:
            self.ops.append(op)
            return RULES[op](*inputs, **attributes)

        return apply

    def constant(self, value: Array) -> Rays:
        stored = round_to(value, self.dtype)
        if not np.all(np.isfinite(stored)):
            size = f"a constant of {np.max(np.abs(value)):.4g}"
            if is_integer(self.dtype):
                raise Refused("overflow", f"{size} does not fit into {self.dtype}, or is not below 2^53")
            raise Refused("overflow", f"{size} does not fit into the slope's type")
        return constant(stored, self.dtype)


def prove(form: str, a: Array, dtype: DTypeLike) -> Proof:
    """The first expression of ``form`` that is a PReLU with slope ``a``, as it will be stored in ``dtype``.

    Args:
        form: A key of :data:`FORMS`.
        a: The slope, float64 values representable in ``dtype``, any shape.
        dtype: The type in which constants are stored.

    Raises:
        Refused: No expression of the form is that PReLU; the reason is the first expression's.

    >>> prove("mirror", np.array([0.25, 3.0]), np.float32).equal_bits
    True
    >>> prove("max", np.array([1.5]), np.float32).ops
    ('Mul', 'Min')
    """
    refusal: Refused | None = None
    if form in _SLOPELESS and np.any(a != (own := _own_slope(FORMS[form][0]))):
        raise _other_slope(form, own, a)
    for expression in FORMS[form]:
        try:
            return _prove(form, expression, np.asarray(a, np.float64), dtype)
        except Refused as refused:
            refusal = refusal or refused
    assert refusal is not None, f"form {form} has no expression"
    raise refusal


def _prove(form: str, expression: Expression, a: Array, dtype: DTypeLike) -> Proof:
    builder = _RaysBuilder(dtype)
    try:
        rays = expression(builder, IDENTITY, a, builder.constant)
        found = round_to(slope(rays), dtype)
    except Refused as refused:
        if refused.reason.code != "positive-side":
            raise
        raise Refused("positive-side", f"{form} with slope {show(a)}: {refused.reason.text}") from None
    if np.any(found != a):
        raise _other_slope(form, found, a)
    equal_bits = (is_integer(dtype) or correctly_rounded(rays)) and bool(np.all(rays.neg == a))
    return Proof(expression, rays, tuple(builder.ops), equal_bits)


def _other_slope(form: str, found: Array, a: Array) -> Refused:
    return Refused("other-slope", f"{form} has slope {show(found)}, and the slope here is {show(a)}")


@cache
def _own_slope(expression: Expression) -> Array:
    """The slope of an expression that reads none, evaluated once for all sites."""
    return slope(expression(_RaysBuilder(np.float64), IDENTITY, None, lambda _: None))


RUNTIME_SAMPLES = np.array([-2.5, -0.5, 0.0, 0.25, 0.75, 1.0, 1.5, 3.0])
"""Slopes at which a form is proved when its slope is only known at run time. Every expression of :data:`FORMS` is
piecewise linear in a with breaks at 0 and 1 only; two points inside each piece settle it for every a."""


class RuntimeSlope:
    """A slope that is a tensor of the graph: in an expression it can be used as it is, or as 1 − a, a − 1 and −a.

    Attributes:
        tensor: The tensor's name.
        minus: What is made of it: ``""``, ``"1-a"``, ``"a-1"`` or ``"-a"``.
    """

    def __init__(self, tensor: str, minus: str = "") -> None:
        self.tensor, self.minus = tensor, minus

    def __rsub__(self, one: float) -> RuntimeSlope:
        assert one == 1
        return RuntimeSlope(self.tensor, "1-a")

    def __sub__(self, one: float) -> RuntimeSlope:
        assert one == 1
        return RuntimeSlope(self.tensor, "a-1")

    def __neg__(self) -> RuntimeSlope:
        return RuntimeSlope(self.tensor, "-a")

    def __gt__(self, other: float) -> bool:
        raise Refused(
            "runtime-slope",
            "this needs to know which slopes are above 1, and they are only known at run time",
        )


def prove_runtime(form: str, dtype: DTypeLike) -> Proof:
    """The first expression of ``form`` that is a PReLU for every slope, for a slope that is read at run time.

    What holds for real numbers holds for integers, where nothing is rounded.

    Raises:
        Refused: No expression of the form is right for every slope.

    >>> prove_runtime("mirror", np.float32).ops
    ('Relu', 'Neg', 'Relu', 'Mul', 'Sub')
    """
    refusal: Refused | None = None
    for expression in FORMS[form]:
        try:
            proof = _prove(form, expression, RUNTIME_SAMPLES, np.float64 if is_integer(dtype) else dtype)
            expression(_Text(), "x", RuntimeSlope("a"), lambda _: "c")
        except Refused as refused:
            refusal = refusal or refused
        else:
            return replace(proof, equal_bits=proof.equal_bits or is_integer(dtype))
    assert refusal is not None, f"form {form} has no expression"
    text = f"the slope is only known at run time, and the form is not right for every slope: {refusal.reason.text}"
    raise Refused("runtime-slope", text)


class _Text:
    """Writes an expression as text."""

    def __getattr__(self, op: str) -> Callable[..., str]:
        return lambda *inputs, **_: spelled(op, inputs)


COMMUTATIVE = frozenset({"Add", "Max", "Min", "Mul", "Sum"})


def spelled(op: str, inputs: Iterable[str]) -> str:
    """One op over inputs that are already text; the operands of a commutative op stand in one order.

    >>> spelled("Mul", ["x", "c"])
    'Mul(c, x)'
    """
    return f"{op}({', '.join(sorted(inputs) if op in COMMUTATIVE else inputs)})"


def spell(proof: Proof, a: Any) -> str:
    """How an expression reads, with x for the tensor and c for a constant: ``Add(Relu(x), Mul(c, Relu(Neg(x))))``."""
    text: str = proof.expression(_Text(), "x", a, lambda _: "c")
    return text


def is_special(a: Array) -> bool:
    """True if all slopes are 0 (a plain Relu), all 1 (Identity) or all −1 (Abs)."""
    first = float(a.flat[0]) if a.size else math.nan
    return first in (0.0, 1.0, -1.0) and bool(np.all(a == first))
