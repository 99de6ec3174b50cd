"""What each op does to values and to how far they may be off: one function an op, or a kind of ops.

Everywhere, what an op computes is rounded once more to the type that it is stored in.
"""

from __future__ import annotations

import numpy as np

from . import layers, moving, pointwise
from .bounded import add, divide, multiply, subtract
from .call import Rule

RULES: dict[str, Rule] = {
    "Abs": pointwise.magnitude,
    "Add": pointwise.of_two(add),
    "And": pointwise.logical(np.logical_and),
    "AveragePool": moving.average_pool,
    "BatchNormalization": layers.batch_normalization,
    "Cast": pointwise.cast,
    "CastLike": pointwise.cast,
    "Clip": pointwise.clip,
    "Conv": layers.conv,
    "ConvTranspose": layers.conv_transpose,
    "Div": pointwise.of_two(divide),
    "Dropout": moving.dropout,
    "Erf": pointwise.erf,
    "Exp": pointwise.exp,
    "Gemm": layers.gemm,
    "GlobalAveragePool": pointwise.global_mean,
    "GlobalMaxPool": moving.global_max,
    "Greater": pointwise.compared(np.greater),
    "GreaterOrEqual": pointwise.compared(np.greater_equal),
    "InstanceNormalization": layers.instance_normalization,
    "LayerNormalization": layers.layer_normalization,
    "LeakyRelu": pointwise.leaky_relu,
    "Less": pointwise.compared(np.less),
    "LessOrEqual": pointwise.compared(np.less_equal),
    "MatMul": layers.matmul,
    "Max": pointwise.largest(np.maximum),
    "MaxPool": moving.max_pool,
    "Min": pointwise.largest(np.minimum),
    "Mul": pointwise.of_two(multiply),
    "Neg": pointwise.neg,
    "Not": pointwise.negation,
    "Or": pointwise.logical(np.logical_or),
    "PRelu": pointwise.prelu,
    "Pad": moving.pad,
    "ReduceMean": pointwise.reduce_mean,
    "ReduceSum": pointwise.reduce_sum,
    "Relu": pointwise.relu,
    "Sigmoid": pointwise.sigmoid,
    "Softmax": pointwise.softmax,
    "Sqrt": pointwise.sqrt,
    "Sub": pointwise.of_two(subtract),
    "Sum": pointwise.total,
    "Tanh": pointwise.tanh,
    "Where": pointwise.where,
    **dict.fromkeys(moving.MOVING, moving.moved),
}
