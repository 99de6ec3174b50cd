"""Layers and normalisations: what sums products up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from .bounded import Array, Bounded, add, divide, mean, multiply, subtract, unit
from .call import Call, Uncovered, along
from .pointwise import root
from .windows import convolve, spread, window


def _linear(x: Bounded, w: Bounded, times: Callable[[Array, Array], Array], terms: int, b: Array | float) -> Bounded:
    """A product x·W + b, by a product that is linear in both: E·|W| + (|x| + E)·E_W + √k·u·(|x|·|W| + |b|).

    u is that of the type in which the weights are stored, though a sum of float16 is computed in float32: a rewrite may
    have scaled each of them, and rounded it again.
    """
    size = np.abs(w.value)
    share = float(np.sqrt(max(terms, 1))) * unit(x.dtype)
    error = times(x.error + share * np.abs(x.value), size)
    if not w.certain:
        error = error + times(np.abs(x.value) + x.error, w.error)
    return Bounded(times(x.value, w.value) + b, error + share * np.abs(b), x.dtype)


def gemm(call: Call) -> Bounded:
    """Α·A·B + β·C, either one turned."""
    given = call.attributes
    x, w = (_turned(call[at], bool(given.get(key))) for at, key in enumerate(("transA", "transB")))
    alpha, beta = given.get("alpha", 1.0), given.get("beta", 1.0)
    bias = call.get(2)
    w = replace(w, value=alpha * w.value, error=abs(alpha) * w.error)
    made = _linear(x, w, np.matmul, x.value.shape[-1] + 1, 0.0 if bias is None else beta * bias.value)
    return (made if bias is None else replace(made, error=made.error + abs(beta) * bias.error)).stored()


def _turned(x: Bounded, turned: bool) -> Bounded:
    return replace(x, value=x.value.T, error=x.error.T) if turned else x


def matmul(call: Call) -> Bounded:
    """A product of matrices, over whatever batches."""
    return _linear(call[0], call[1], np.matmul, call[0].value.shape[-1], 0.0).stored()


def conv(call: Call) -> Bounded:
    """A convolution, in groups, with its bias."""
    x, kernel, given = call[0], call[1], call.attributes
    moved = window(given, kernel.value.shape[2:], x.value.shape[2:])
    groups = given.get("group", 1)
    terms = int(np.prod(kernel.value.shape[1:])) + 1

    def times(x: Array, w: Array) -> Array:
        return convolve(x, w, moved, groups)

    return _with_bias(_linear(x, kernel, times, terms, 0.0), call.get(2))


def conv_transpose(call: Call) -> Bounded:
    """A transposed convolution; without one whose size is given."""
    x, kernel, given = call[0], call[1], call.attributes
    if given.get("auto_pad", b"NOTSET") != b"NOTSET" or "output_shape" in given:
        raise Uncovered("ConvTranspose with its size given")
    groups = given.get("group", 1)
    terms = x.value.shape[1] // groups * int(np.prod(kernel.value.shape[2:])) + 1

    def times(x: Array, w: Array) -> Array:
        return spread(x, w, given, groups)

    return _with_bias(_linear(x, kernel, times, terms, 0.0), call.get(2))


def _with_bias(made: Bounded, bias: Bounded | None) -> Bounded:
    return made.stored() if bias is None else add(made, along(bias, made))


def batch_normalization(call: Call) -> Bounded:
    """(x − μ)·s/√(σ² + ε) + b by stored statistics."""
    x = call[0]
    if call.attributes.get("training_mode") or len(call.node.output) > 1:
        raise Uncovered("BatchNormalization in training")
    scale, shift, average, variance = (along(call[at], x) for at in range(1, 5))
    factor = divide(scale, root(_plus(variance, call.attributes.get("epsilon", 1e-5))))
    # A runtime may multiply out (x − μ)·f + b, or fold it into the layer before: no better than its parts.
    return add(subtract(multiply(x, factor), multiply(average, factor)), shift)


def _plus(x: Bounded, epsilon: float) -> Bounded:
    return replace(x, value=x.value + epsilon)


def instance_normalization(call: Call) -> Bounded:
    """Each channel of each sample by its own mean and deviation."""
    made = _normalized(call[0], range(2, call[0].value.ndim), call.attributes.get("epsilon", 1e-5))
    return add(multiply(made, along(call[1], made)), along(call[2], made))


def layer_normalization(call: Call) -> Bounded:
    """The same over the last axes."""
    if len(call.node.output) > 1:
        raise Uncovered("LayerNormalization with its statistics")
    x = call[0]
    axis = call.attributes.get("axis", -1) % x.value.ndim
    made = multiply(_normalized(x, range(axis, x.value.ndim), call.attributes.get("epsilon", 1e-5)), call[1])
    shift = call.get(2)
    return made if shift is None else add(made, shift)


def _normalized(x: Bounded, axes: Sequence[int], epsilon: float) -> Bounded:
    away = subtract(x, mean(x, axes, keepdims=True))
    return divide(away, root(_plus(mean(multiply(away, away), axes, keepdims=True), epsilon)))
