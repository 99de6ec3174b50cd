"""Element types as numpy has them, with ml_dtypes for the rest."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
from onnx import TensorProto
from onnx.helper import tensor_dtype_to_np_dtype

# numpy files these under "other", not under floats.
_MORE_FLOATS = frozenset(
    np.dtype(dtype)
    for dtype in (
        ml_dtypes.bfloat16,
        ml_dtypes.float8_e4m3fn,
        ml_dtypes.float8_e4m3fnuz,
        ml_dtypes.float8_e5m2,
        ml_dtypes.float8_e5m2fnuz,
    )
)


def numpy_dtype(number: int) -> np.dtype[Any]:
    """The dtype of arrays of a ``TensorProto.DataType``; object for strings."""
    return np.dtype(tensor_dtype_to_np_dtype(number))


def is_float(dtype: np.dtype[Any]) -> bool:
    """Whether values of a dtype are rounded real numbers."""
    return dtype.kind == "f" or dtype in _MORE_FLOATS


def type_name(number: int) -> str:
    """A type as ONNX calls it, in small letters.

    >>> type_name(TensorProto.FLOAT16)
    'float16'
    """
    return str(TensorProto.DataType.Name(number)).lower()
