"""What each op does to values and to how far they may be off: one function an op, or a kind of ops.

Everywhere, what an op computes is rounded once more to the type that it is stored in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from onnx import NodeProto
from onnx.helper import get_attribute_value, tensor_dtype_to_np_dtype
from scipy.special import erf, expit

from .bounded import Array, Bounded, add, divide, exact, mean, multiply, subtract, summed
from .windows import convolve, pooled, spread, window

Rule: TypeAlias = "Callable[[Call], Bounded | list[Bounded]]"

_FLAT = 4  # ulps of the largest value that a runtime's Sigmoid, Tanh, Exp and Erf are off by themselves


class Uncovered(Exception):
    """There is no bound for what a node does.

    Attributes:
        what: The op, or what of it.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


@dataclass(frozen=True)
class Call:
    """A node at work.

    Attributes:
        node: The node.
        inputs: What it reads; None where an input is left out.
        reference: Runs the node on plain arrays, by onnx's reference evaluator.
        opset: The version of its op set.
    """

    node: NodeProto
    inputs: Sequence[Bounded | None]
    reference: Callable[[Sequence[Array | None]], list[Array]]
    opset: int

    @property
    def attributes(self) -> dict[str, Any]:
        """The node's attributes by name."""
        return {attribute.name: get_attribute_value(attribute) for attribute in self.node.attribute}

    def __getitem__(self, at: int) -> Bounded:
        given = self.get(at)
        if given is None:
            raise Uncovered(f"{self.node.op_type} without input {at}")
        return given

    def get(self, at: int) -> Bounded | None:
        """An input that may be left out."""
        return self.inputs[at] if at < len(self.inputs) else None

    def numbers(self, at: int, attribute: str, default: Any = None) -> Any:
        """What newer opsets read from an input and older ones from an attribute, as a list."""
        given = self.get(at)
        return self.attributes.get(attribute, default) if given is None else given.value.tolist()


# ── layers ────────────────────────────────────────────────────────────────────────────────────────────────────


def _linear(x: Bounded, w: Bounded, times: Callable[[Array, Array], Array], terms: int, b: Array | float) -> Bounded:
    """A product x·W + b, by a product that is linear in both: E·|W| + (|x| + E)·E_W + √k·u·(|x|·|W| + |b|)."""
    size = np.abs(w.value)
    share = summed(terms, x.dtype)
    error = times(x.error + share * np.abs(x.value), size)
    if not w.certain:
        error = error + times(np.abs(x.value) + x.error, w.error)
    return Bounded(times(x.value, w.value) + b, error + share * np.abs(b), x.dtype)


def _gemm(call: Call) -> Bounded:
    given = call.attributes
    x, w = (_turned(call[at], bool(given.get(key))) for at, key in enumerate(("transA", "transB")))
    alpha, beta = given.get("alpha", 1.0), given.get("beta", 1.0)
    bias = call.get(2)
    w = replace(w, value=alpha * w.value, error=abs(alpha) * w.error)
    made = _linear(x, w, np.matmul, x.value.shape[-1] + 1, 0.0 if bias is None else beta * bias.value)
    return (made if bias is None else replace(made, error=made.error + abs(beta) * bias.error)).stored()


def _turned(x: Bounded, turned: bool) -> Bounded:
    return replace(x, value=x.value.T, error=x.error.T) if turned else x


def _matmul(call: Call) -> Bounded:
    return _linear(call[0], call[1], np.matmul, call[0].value.shape[-1], 0.0).stored()


def _conv(call: Call) -> Bounded:
    x, kernel, given = call[0], call[1], call.attributes
    moved = window(given, kernel.value.shape[2:], x.value.shape[2:])
    groups = given.get("group", 1)
    terms = int(np.prod(kernel.value.shape[1:])) + 1

    def times(x: Array, w: Array) -> Array:
        return convolve(x, w, moved, groups)

    return _with_bias(_linear(x, kernel, times, terms, 0.0), call.get(2))


def _conv_transpose(call: Call) -> Bounded:
    x, kernel, given = call[0], call[1], call.attributes
    if given.get("auto_pad", b"NOTSET") != b"NOTSET" or "output_shape" in given:
        raise Uncovered("ConvTranspose with its size given")
    groups = given.get("group", 1)
    terms = x.value.shape[1] // groups * int(np.prod(kernel.value.shape[2:])) + 1

    def times(x: Array, w: Array) -> Array:
        return spread(x, w, given, groups)

    return _with_bias(_linear(x, kernel, times, terms, 0.0), call.get(2))


def _with_bias(made: Bounded, bias: Bounded | None) -> Bounded:
    return made.stored() if bias is None else add(made, _along(bias, made))


def _along(channels: Bounded, x: Bounded) -> Bounded:
    """One value a channel, in a shape that broadcasts to x (N, C, …)."""
    shape = (1, -1, *(1 for _ in x.value.shape[2:]))
    return replace(channels, value=channels.value.reshape(shape), error=channels.error.reshape(shape))


# ── arithmetic ────────────────────────────────────────────────────────────────────────────────────────────────


def _of_two(combine: Callable[[Bounded, Bounded], Bounded]) -> Rule:
    return lambda call: combine(call[0], call[1])


def _sum(call: Call) -> Bounded:
    made = call[0]
    for at in range(1, len(call.inputs)):
        made = add(made, call[at])
    return made


def _largest(choose: Callable[[Array, Array], Array]) -> Rule:
    def rule(call: Call) -> Bounded:
        """No farther off than the farthest of those that may be chosen."""
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


def _neg(call: Call) -> Bounded:
    return replace(call[0], value=-call[0].value)


def _sqrt(call: Call) -> Bounded:
    return _root(call[0])


def _root(x: Bounded) -> Bounded:
    value = np.sqrt(x.value)
    least = np.sqrt(np.maximum(x.value - x.error, 0.0))
    above = value + least
    return Bounded(value, np.where(above > 0, x.error / np.where(above > 0, above, 1.0), 0.0), x.dtype).stored()


def _reduce_mean(call: Call) -> Bounded:
    axes = call.numbers(1, "axes")
    if not axes and call.attributes.get("noop_with_empty_axes"):
        return call[0]
    return mean(call[0], axes or None, keepdims=bool(call.attributes.get("keepdims", 1)))


def _reduce_sum(call: Call) -> Bounded:
    made = _reduce_mean(call)
    return replace(made, **_times(made, call[0].value.size / max(made.value.size, 1)))


def _times(x: Bounded, count: float) -> dict[str, Any]:
    return {"value": count * x.value, "error": count * x.error}


def _global_mean(call: Call) -> Bounded:
    return mean(call[0], range(2, call[0].value.ndim), keepdims=True)


# ── activations ───────────────────────────────────────────────────────────────────────────────────────────────


def _two_slopes(x: Bounded, slope: Bounded) -> Bounded:
    """PReLU: off by what the slopes of the sides that it may be on make of the error."""
    below, above = x.value - x.error < 0, x.value + x.error >= 0
    error = np.maximum(np.where(above, x.error, 0.0), np.where(below, x.error * np.abs(slope.value), 0.0))
    value = np.where(x.value >= 0, x.value, x.value * slope.value)
    error = error + np.where(below, (np.abs(x.value) + x.error) * slope.error, 0.0)
    return Bounded(value, error, x.dtype)


def _prelu(call: Call) -> Bounded:
    return _two_slopes(call[0], call[1]).stored()


def _leaky_relu(call: Call) -> Bounded:
    return _two_slopes(call[0], exact(np.array(call.attributes.get("alpha", 0.01)))).stored()


def _relu(call: Call) -> Bounded:
    return _two_slopes(call[0], exact(np.array(0.0)))


def _abs(call: Call) -> Bounded:
    return replace(call[0], value=np.abs(call[0].value))


def _clip(call: Call) -> Bounded:
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


def _sigmoid(call: Call) -> Bounded:
    near = expit(_nearest(call[0]))
    return _smooth(call[0], expit(call[0].value), near * (1 - near))


def _tanh(call: Call) -> Bounded:
    return _smooth(call[0], np.tanh(call[0].value), 1 - np.tanh(_nearest(call[0])) ** 2)


def _erf(call: Call) -> Bounded:
    return _smooth(call[0], erf(call[0].value), 2 / np.sqrt(np.pi) * np.exp(-(_nearest(call[0]) ** 2)))


def _exp(call: Call) -> Bounded:
    return _grown(np.exp(call[0].value), call[0].error, call[0].dtype, _FLAT)


def _grown(value: Array, error: Array, dtype: np.dtype[Any], kernel: float) -> Bounded:
    """A positive value whose logarithm is off by an error."""
    return Bounded(value, value * np.expm1(error + kernel * summed(1, dtype)), dtype).stored()


def _softmax(call: Call) -> Bounded:
    axis = call.attributes.get("axis", -1 if call.opset >= 13 else 1)
    x = call[0]
    if call.opset < 13 and axis % x.value.ndim != x.value.ndim - 1:
        raise Uncovered("Softmax of several axes")
    powers = np.exp(x.value - x.value.max(axis=axis, keepdims=True))
    value = powers / powers.sum(axis=axis, keepdims=True)
    error = x.error + np.sum(value * x.error, axis=axis, keepdims=True)
    spread_ = np.abs(x.value - x.value.max(axis=axis, keepdims=True)) * summed(1, x.dtype)
    return _grown(value, error + spread_, x.dtype, _FLAT + float(np.sqrt(x.value.shape[axis])))


# ── normalisations ────────────────────────────────────────────────────────────────────────────────────────────


def _batch_normalization(call: Call) -> Bounded:
    x = call[0]
    if call.attributes.get("training_mode") or len(call.node.output) > 1:
        raise Uncovered("BatchNormalization in training")
    scale, shift, average, variance = (_along(call[at], x) for at in range(1, 5))
    factor = divide(scale, _root(_plus(variance, call.attributes.get("epsilon", 1e-5))))
    # A runtime may multiply out (x − μ)·f + b, or fold it into the layer before: no better than its parts.
    return add(subtract(multiply(x, factor), multiply(average, factor)), shift)


def _plus(x: Bounded, epsilon: float) -> Bounded:
    return replace(x, value=x.value + epsilon)


def _instance_normalization(call: Call) -> Bounded:
    made = _normalized(call[0], range(2, call[0].value.ndim), call.attributes.get("epsilon", 1e-5))
    return add(multiply(made, _along(call[1], made)), _along(call[2], made))


def _layer_normalization(call: Call) -> Bounded:
    if len(call.node.output) > 1:
        raise Uncovered("LayerNormalization with its statistics")
    x = call[0]
    axis = call.attributes.get("axis", -1) % x.value.ndim
    made = multiply(_normalized(x, range(axis, x.value.ndim), call.attributes.get("epsilon", 1e-5)), call[1])
    shift = call.get(2)
    return made if shift is None else add(made, shift)


def _normalized(x: Bounded, axes: Sequence[int], epsilon: float) -> Bounded:
    away = subtract(x, mean(x, axes, keepdims=True))
    return divide(away, _root(_plus(mean(multiply(away, away), axes, keepdims=True), epsilon)))


# ── pools, and what only moves values ─────────────────────────────────────────────────────────────────────────


def _max_pool(call: Call) -> Bounded:
    if len(call.node.output) > 1:
        raise Uncovered("MaxPool with its indices")
    x, given = call[0], call.attributes
    moved = window(given, given["kernel_shape"], x.value.shape[2:])
    return Bounded(pooled(x.value, moved, -np.inf, np.max), pooled(x.error, moved, 0.0, np.max), x.dtype)


def _average_pool(call: Call) -> Bounded:
    x, given = call[0], call.attributes
    if given.get("ceil_mode"):
        raise Uncovered("AveragePool with ceil_mode")
    moved = window(given, given["kernel_shape"], x.value.shape[2:])
    size = int(np.prod(moved.kernel))
    within = size if given.get("count_include_pad") else pooled(np.ones_like(x.value), moved, 0.0, np.sum)
    value, error, terms = (pooled(part, moved, 0.0, np.sum) / within for part in (x.value, x.error, np.abs(x.value)))
    return Bounded(value, error + summed(size, x.dtype) * terms, x.dtype).stored()


def _global_max(call: Call) -> Bounded:
    axes = tuple(range(2, call[0].value.ndim))
    value, error = (part.max(axis=axes, keepdims=True) for part in (call[0].value, call[0].error))
    return Bounded(value, error, call[0].dtype)


def _moved(call: Call) -> list[Bounded]:
    """Errors go where their values go; what steers them has to be certain."""
    moving = [at for at in _MOVING[call.node.op_type] if at < len(call.inputs)] or range(len(call.inputs))
    if any(given is not None and not given.certain for at, given in enumerate(call.inputs) if at not in moving):
        raise Uncovered(f"{call.node.op_type} steered by what is rounded")
    values = [None if given is None else given.value for given in call.inputs]
    errors = [None if g is None else g.error if at in moving else g.value for at, g in enumerate(call.inputs)]
    dtype = next(call[at].dtype for at in moving)
    made = zip(call.reference(values), call.reference(errors), strict=True)
    return [Bounded(value, np.abs(error), dtype) for value, error in made]


_MOVING: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(
        (
            "DepthToSpace",
            "Expand",
            "Flatten",
            "Gather",
            "GatherElements",
            "GatherND",
            "Identity",
            "Reshape",
            "Slice",
            "SpaceToDepth",
            "Split",
            "Squeeze",
            "Tile",
            "Transpose",
            "Unsqueeze",
        ),
        (0,),
    ),
    "Concat": (),  # all of them
}


def _dropout(call: Call) -> Bounded:
    training = call.get(2)
    if len(call.node.output) > 1 or (training is not None and training.value.any()):
        raise Uncovered("Dropout in training")
    return call[0]


def _pad(call: Call) -> Bounded:
    x = call[0]
    mode = call.attributes.get("mode", b"constant").decode()
    pads = call.numbers(1, "pads")
    if call.get(3) is not None or min(pads) < 0 or mode not in ("constant", "edge", "reflect"):
        raise Uncovered("Pad of some axes, to the inside, or round")
    widths = list(zip(pads[: x.value.ndim], pads[x.value.ndim :], strict=True))
    if mode != "constant":
        value, error = (np.pad(part, widths, mode=mode) for part in (x.value, x.error))
        return Bounded(value, error, x.dtype)
    fill = call.get(2)
    with_ = call.attributes.get("value", 0.0) if fill is None else fill.value.item()
    return Bounded(np.pad(x.value, widths, constant_values=with_), np.pad(x.error, widths), x.dtype)


# ── masks and types ───────────────────────────────────────────────────────────────────────────────────────────


def _compared(compare: Callable[[Array, Array], Array]) -> Rule:
    def rule(call: Call) -> Bounded:
        """What may come out either way is an error of 1."""
        x, y = call[0], call[1]
        near = (np.abs(x.value - y.value) <= x.error + y.error) & (x.error + y.error > 0)
        return Bounded(compare(x.value, y.value), near.astype(np.float64), np.dtype(bool))

    return rule


def _logical(combine: Callable[[Array, Array], Array]) -> Rule:
    return lambda call: Bounded(
        combine(call[0].value, call[1].value), np.maximum(*np.broadcast_arrays(call[0].error, call[1].error)), _BOOL
    )


_BOOL = np.dtype(bool)


def _not(call: Call) -> Bounded:
    return replace(call[0], value=~call[0].value)


def _where(call: Call) -> Bounded:
    mask, x, y = call[0], call[1], call[2]
    value = np.where(mask.value, x.value, y.value)
    error = np.where(mask.value, x.error, y.error)
    both = np.maximum(np.abs(x.value - value) + x.error, np.abs(y.value - value) + y.error)
    return Bounded(value, np.where(mask.error > 0, both, error), x.dtype)


def _cast(call: Call) -> Bounded:
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


RULES: dict[str, Rule] = {
    "Abs": _abs,
    "Add": _of_two(add),
    "And": _logical(np.logical_and),
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_normalization,
    "Cast": _cast,
    "CastLike": _cast,
    "Clip": _clip,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Div": _of_two(divide),
    "Dropout": _dropout,
    "Erf": _erf,
    "Exp": _exp,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_mean,
    "GlobalMaxPool": _global_max,
    "Greater": _compared(np.greater),
    "GreaterOrEqual": _compared(np.greater_equal),
    "InstanceNormalization": _instance_normalization,
    "LayerNormalization": _layer_normalization,
    "LeakyRelu": _leaky_relu,
    "Less": _compared(np.less),
    "LessOrEqual": _compared(np.less_equal),
    "MatMul": _matmul,
    "Max": _largest(np.maximum),
    "MaxPool": _max_pool,
    "Min": _largest(np.minimum),
    "Mul": _of_two(multiply),
    "Neg": _neg,
    "Not": _not,
    "Or": _logical(np.logical_or),
    "PRelu": _prelu,
    "Pad": _pad,
    "ReduceMean": _reduce_mean,
    "ReduceSum": _reduce_sum,
    "Relu": _relu,
    "Sigmoid": _sigmoid,
    "Softmax": _softmax,
    "Sqrt": _sqrt,
    "Sub": _of_two(subtract),
    "Sum": _sum,
    "Tanh": _tanh,
    "Where": _where,
    **dict.fromkeys(_MOVING, _moved),
}
