"""Expected values computed by hand in float64. Imports nothing of the package."""

from __future__ import annotations

import numpy as np


def prelu(x: np.ndarray, a: np.ndarray | float) -> np.ndarray:
    """The definition."""
    return np.where(x >= 0, x, np.asarray(a) * x)


#: Each op in numpy, as the ONNX specification words it.
OPS = {
    "Abs": np.abs,
    "Add": np.add,
    "Cast": lambda a: a,
    "CastLike": lambda a, _: a,
    "Div": np.divide,
    "Greater": lambda a, b: (a > b).astype(float),
    "GreaterOrEqual": lambda a, b: (a >= b).astype(float),
    "Identity": lambda a: a,
    "LeakyRelu": lambda a, alpha: np.where(a >= 0, a, np.float64(np.float32(alpha)) * a),
    "Less": lambda a, b: (a < b).astype(float),
    "LessOrEqual": lambda a, b: (a <= b).astype(float),
    "Max": lambda *v: np.maximum.reduce(np.broadcast_arrays(*v)),
    "Min": lambda *v: np.minimum.reduce(np.broadcast_arrays(*v)),
    "Mul": np.multiply,
    "Neg": np.negative,
    "Not": lambda a: 1 - a,
    "PRelu": prelu,
    "Relu": lambda a: np.maximum(a, 0),
    "Sign": np.sign,
    "Sub": np.subtract,
    "Sum": lambda *v: sum(v),
    "ThresholdedRelu": lambda a, alpha: np.where(a > alpha, a, 0),
    "Where": lambda c, a, b: np.where(c != 0, a, b),
}


def clip(a: np.ndarray, low: float | None, high: float | None) -> np.ndarray:
    return np.clip(a, -np.inf if low is None else low, np.inf if high is None else high)
