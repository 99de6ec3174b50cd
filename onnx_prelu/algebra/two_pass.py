"""PReLU in two passes over the data, with the factors that its neighbours take: numpy in, numpy out.

fold    PReLU_a(z) = (1−a)·(k·z + Relu(z)),  k = a/(1−a);  for a < 1 the factor may go in: k·z' + Relu(z'), z' = (1−a)·z
turn    PReLU_a(z) = σ·(σ·a·z + Relu(|1−a|·z)),  σ = −1 where a > 1
"""

from __future__ import annotations

import ml_dtypes
import numpy as np
from numpy.typing import DTypeLike

from ..errors import Refused
from .floats import Array, round_to
from .rays import show


def fold(a: Array, dtype: DTypeLike) -> tuple[Array, Array]:
    """The factor 1−a and the constant k = a/(1−a) of each unit, as float64; k is rounded to ``dtype``.

    Where a is 1 they are 2^−e and 2^e, with an e at which the one Relu that remains is below half an ulp of the result.

    Raises:
        Refused: ``overflow``: one of them, or its inverse, is beyond the square root of the type's largest number, so
            that ordinary values would leave the type on the way.

    >>> [values.tolist() for values in fold(np.array([0.5, -1.0, 2.0]), np.float32)]
    [[0.5, 2.0, -1.0], [1.0, -0.5, -2.0]]
    >>> [float(np.log2(value)) for value in fold(np.array(1.0), np.float32)]
    [-30.0, 30.0]
    """
    info = ml_dtypes.finfo(dtype)
    tiny = 2.0 ** -(int(info.nmant) + 7)
    factor = np.where(a == 1, tiny, 1 - a)
    k = round_to(a / factor, dtype)
    limit = float(info.max) ** 0.5
    beyond = (np.abs(k) > limit) | (np.abs(factor) > limit) | (1 / np.abs(factor) > limit)
    if np.any(beyond):
        text = f"a/(1−a) of a slope of {show(a[beyond])} is beyond what {np.dtype(dtype)} has room for"
        raise Refused("overflow", text)
    return factor, k


def turn(a: Array) -> tuple[Array, Array, Array]:
    """The sign σ of each unit, −1 where a > 1, and the factors σ·a and |1−a| on the two ways.

    >>> turn(np.array([0.25, -1.0, 3.0]))
    (array([ 1.,  1., -1.]), array([ 0.25, -1.  , -3.  ]), array([0.75, 2.  , 2.  ]))
    """
    sign = np.where(a > 1, -1.0, 1.0)
    return sign, sign * a, np.abs(1 - a)
