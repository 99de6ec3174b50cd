"""What works on each element by itself: arithmetic, activations, masks, types; and means."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from onnx.helper import tensor_dtype_to_np_dtype

from .bounded import Array, Bounded, add, exact, mean, summed
from .call import Call, Rule, Uncovered

_FLAT = 4  # ulps of the largest value that a runtime's Sigmoid, Tanh, Exp and Erf are off by themselves

_erf = np.vectorize(math.erf, otypes=[np.float64])  # which numpy lacks


def _sigmoid(x: Array) -> Array:
    """1/(1 + e^−x), without an overflow on either side."""
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1.0, small) / (1 + small))


def of_two(combine: Callable[[Bounded, Bounded], Bounded]) -> Rule:
    """The rule of an op on two tensors."""
    return lambda call: combine(call[0], call[1])


def total(call: Call) -> Bounded:
    """Any number of tensors, one after the other."""
    made = call[0]
    for at in range(1, len(call.inputs)):
        made = add(made, call[at])
    return made


def largest(choose: Callable[[Array, Array], Array]) -> Rule:
    """A rule for Max and Min: no farther off than the farthest of those that may be chosen."""

    def rule(call: Call) -> Bounded:
        made = call[0]
        for at in range(1, len(call.inputs)):
            other = call[at]
            value = choose(made.value, other.value)
            reach = made.error + other.error
            may = (np.abs(made.value - value) <= reach, np.abs(other.value - value) <= reach)
            error = np.maximum(np.where(may[0], made.error, 0.0), np.where(may[1], other.error, 0.0))
            made = Bounded(value, error, made.dtype)
        return made

    return rule


def neg(call: Call) -> Bounded:
    """The other sign, exactly."""
    return replace(call[0], value=-call[0].value)


def sqrt(call: Call) -> Bounded:
    """The square root."""
    return root(call[0])


def root(x: Bounded) -> Bounded:
    """The square root of what is never below 0."""
    value = np.sqrt(x.value)
    least = np.sqrt(np.maximum(x.value - x.error, 0.0))
    above = value + least
    return Bounded(value, np.where(above > 0, x.error / np.where(above > 0, above, 1.0), 0.0), x.dtype).stored()


def reduce_mean(call: Call) -> Bounded:
    """The mean over some axes."""
    axes = call.numbers(1, "axes")
    if not axes and call.attributes.get("noop_with_empty_axes"):
        return call[0]
    return mean(call[0], axes or None, keepdims=bool(call.attributes.get("keepdims", 1)))


def reduce_sum(call: Call) -> Bounded:
    """The sum over some axes."""
    made = reduce_mean(call)
    return replace(made, **_times(made, call[0].value.size / max(made.value.size, 1)))


def _times(x: Bounded, count: float) -> dict[str, Any]:
    return {"value": count * x.value, "error": count * x.error}


def global_mean(call: Call) -> Bounded:
    """The mean of each channel."""
    return mean(call[0], range(2, call[0].value.ndim), keepdims=True)


def _two_slopes(x: Bounded, slope: Bounded) -> Bounded:
    """PReLU: off by what the slopes of the sides that it may be on make of the error."""
    below, above = x.value - x.error < 0, x.value + x.error >= 0
    error = np.maximum(np.where(above, x.error, 0.0), np.where(below, x.error * np.abs(slope.value), 0.0))
    value = np.where(x.value >= 0, x.value, x.value * slope.value)
    error = error + np.where(below, (np.abs(x.value) + x.error) * slope.error, 0.0)
    return Bounded(value, error, x.dtype)


def prelu(call: Call) -> Bounded:
    """One slope below 0, stored in its own shape."""
    return _two_slopes(call[0], call[1]).stored()


def leaky_relu(call: Call) -> Bounded:
    """A PReLU of one slope."""
    return _two_slopes(call[0], exact(np.array(call.attributes.get("alpha", 0.01)))).stored()


def relu(call: Call) -> Bounded:
    """A PReLU of slope 0, which rounds nothing."""
    return _two_slopes(call[0], exact(np.array(0.0)))


def magnitude(call: Call) -> Bounded:
    """The magnitude, exactly."""
    return replace(call[0], value=np.abs(call[0].value))


def clip(call: Call) -> Bounded:
    """Within two limits; an error beyond them is gone."""
    low, high = (
        given.value if (given := call.get(at)) is not None else call.attributes.get(name, end)
        for at, name, end in ((1, "min", -np.inf), (2, "max", np.inf))
    )
    x = call[0]
    inside = (x.value + x.error >= low) & (x.value - x.error <= high)
    return Bounded(np.minimum(np.maximum(x.value, low), high), np.where(inside, x.error, 0.0), x.dtype)


def _smooth(x: Bounded, value: Array, steepest: Array) -> Bounded:
    """A bounded function of x by its steepest slope in reach, and what a runtime's approximation of it is off by."""
    kernel = _FLAT * summed(1, x.dtype)
    return Bounded(value, steepest * x.error + kernel * np.max(np.abs(value), initial=0.0), x.dtype).stored()


def _nearest(x: Bounded) -> Array:
    """The smallest magnitude in reach."""
    return np.asarray(np.maximum(np.abs(x.value) - x.error, 0.0))


def sigmoid(call: Call) -> Bounded:
    """1/(1 + exp(−x))."""
    near = _sigmoid(_nearest(call[0]))
    return _smooth(call[0], _sigmoid(call[0].value), near * (1 - near))


def tanh(call: Call) -> Bounded:
    """The hyperbolic tangent."""
    return _smooth(call[0], np.tanh(call[0].value), 1 - np.tanh(_nearest(call[0])) ** 2)


def erf(call: Call) -> Bounded:
    """The error function."""
    return _smooth(call[0], _erf(call[0].value), 2 / np.sqrt(np.pi) * np.exp(-(_nearest(call[0]) ** 2)))


def exp(call: Call) -> Bounded:
    """The exponential function."""
    return _grown(np.exp(call[0].value), call[0].error, call[0].dtype, _FLAT)


def _grown(value: Array, error: Array, dtype: np.dtype[Any], kernel: float) -> Bounded:
    """A positive value whose logarithm is off by an error."""
    return Bounded(value, value * np.expm1(error + kernel * summed(1, dtype)), dtype).stored()


def softmax(call: Call) -> Bounded:
    """Shares of exponentials along an axis."""
    axis = call.attributes.get("axis", -1 if call.opset >= 13 else 1)
    x = call[0]
    if call.opset < 13 and axis % x.value.ndim != x.value.ndim - 1:
        raise Uncovered("Softmax of several axes")
    powers = np.exp(x.value - x.value.max(axis=axis, keepdims=True))
    value = powers / powers.sum(axis=axis, keepdims=True)
    error = x.error + np.sum(value * x.error, axis=axis, keepdims=True)
    spread_ = np.abs(x.value - x.value.max(axis=axis, keepdims=True)) * summed(1, x.dtype)
    return _grown(value, error + spread_, x.dtype, _FLAT + float(np.sqrt(x.value.shape[axis])))


def compared(compare: Callable[[Array, Array], Array]) -> Rule:
    """A rule for comparisons: what may come out either way has an error of 1."""

    def rule(call: Call) -> Bounded:
        x, y = call[0], call[1]
        near = (np.abs(x.value - y.value) <= x.error + y.error) & (x.error + y.error > 0)
        return Bounded(compare(x.value, y.value), near.astype(np.float64), np.dtype(bool))

    return rule


def logical(combine: Callable[[Array, Array], Array]) -> Rule:
    """A rule for And and Or: rounding may turn what it may turn of either."""

    def rule(call: Call) -> Bounded:
        error = np.maximum(*np.broadcast_arrays(call[0].error, call[1].error))
        return Bounded(combine(call[0].value, call[1].value), error, np.dtype(bool))

    return rule


def negation(call: Call) -> Bounded:
    """The other one."""
    return replace(call[0], value=~call[0].value)


def where(call: Call) -> Bounded:
    """One of two; where rounding may choose the other one, as far off as that."""
    mask, x, y = call[0], call[1], call[2]
    value = np.where(mask.value, x.value, y.value)
    error = np.where(mask.value, x.error, y.error)
    both = np.maximum(np.abs(x.value - value) + x.error, np.abs(y.value - value) + y.error)
    return Bounded(value, np.where(mask.error > 0, both, error), x.dtype)


def cast(call: Call) -> Bounded:
    """To another type, in which it is rounded; without floats to integers that rounding may change."""
    like = call.get(1)
    to = tensor_dtype_to_np_dtype(call.attributes["to"]) if like is None else like.dtype
    return _as_type(call[0], np.dtype(to))


def _as_type(x: Bounded, to: np.dtype[Any]) -> Bounded:
    wide = Bounded(x.value.astype(np.float64), x.error, to)
    if wide.floats:
        return wide.stored()
    if not x.certain:
        raise Uncovered("Cast of what is rounded to integers")
    return Bounded(x.value.astype(to), x.error, to)
