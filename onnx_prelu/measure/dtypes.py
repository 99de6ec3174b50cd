"""Element types as numpy has them, with ml_dtypes for the rest."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
from onnx import TensorProto
from onnx.helper import tensor_dtype_to_np_dtype

# Older releases of onnx map these to wider types.
_SMALL = {
    number: np.dtype(dtype)
    for name, dtype in {
        "BFLOAT16": ml_dtypes.bfloat16,
        "FLOAT8E4M3FN": ml_dtypes.float8_e4m3fn,
        "FLOAT8E4M3FNUZ": ml_dtypes.float8_e4m3fnuz,
        "FLOAT8E5M2": ml_dtypes.float8_e5m2,
        "FLOAT8E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
        "INT4": ml_dtypes.int4,
        "UINT4": ml_dtypes.uint4,
    }.items()
    if (number := getattr(TensorProto, name, None)) is not None
}
_FLOATS = frozenset(dtype for dtype in _SMALL.values() if dtype.name.startswith(("bfloat", "float")))


def numpy_dtype(number: int) -> np.dtype[Any]:
    """The dtype of arrays of a ``TensorProto.DataType``; object for strings."""
    return _SMALL.get(number) or np.dtype(tensor_dtype_to_np_dtype(number))


def is_float(dtype: np.dtype[Any]) -> bool:
    """Whether values of a dtype are rounded real numbers."""
    return dtype.kind == "f" or dtype in _FLOATS


def type_name(number: int) -> str:
    """A type as ONNX calls it, in small letters.

    >>> type_name(TensorProto.FLOAT16)
    'float16'
    """
    return str(TensorProto.DataType.Name(number)).lower()
