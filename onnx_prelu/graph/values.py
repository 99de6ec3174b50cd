"""The value of a tensor, whichever way it is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from onnx import numpy_helper

from ..errors import BadInput
from .external import is_external, read

# onnx stores these as bare bits, and reads them differently from version to version (float32, a structured
# type, ml_dtypes); taken as bits, they are the same everywhere.
_AS_BITS: dict[int, np.dtype[Any]] = {
    number: np.dtype(dtype)
    for name, dtype in {
        "BFLOAT16": ml_dtypes.bfloat16,
        "FLOAT8E4M3FN": ml_dtypes.float8_e4m3fn,
        "FLOAT8E4M3FNUZ": ml_dtypes.float8_e4m3fnuz,
        "FLOAT8E5M2": ml_dtypes.float8_e5m2,
        "FLOAT8E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
    }.items()
    if (number := getattr(onnx.TensorProto, name, None)) is not None
}


def array(tensor: onnx.TensorProto, folder: Path | None) -> np.ndarray[Any, np.dtype[Any]]:
    """The value of a tensor, as stored: no rounding, no conversion.

    Args:
        tensor: The tensor; it is not changed.
        folder: Where the location of an external tensor is resolved.

    Returns:
        An array of the tensor's shape, maybe read-only; bfloat16 and float8 by ml_dtypes, the rest as onnx
        gives it.

    Raises:
        BadInput: The external data cannot be read, or the data do not fit the tensor's type and shape.
    """
    if is_external(tensor):
        bytes_ = read(tensor, folder)
        tensor = onnx.TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims, raw_data=bytes_)
    try:
        if tensor.data_type in _AS_BITS:
            return _from_bits(tensor, _AS_BITS[tensor.data_type])
        return numpy_helper.to_array(tensor)
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise BadInput(
            f"its data do not fit its type and shape {list(tensor.dims)} ({error})",
            where=f"tensor '{tensor.name}'",
            todo="export the model again",
        ) from None


def _from_bits(tensor: onnx.TensorProto, dtype: np.dtype[Any]) -> np.ndarray[Any, np.dtype[Any]]:
    if tensor.HasField("raw_data"):
        return np.frombuffer(tensor.raw_data, dtype).reshape(tensor.dims)
    bits = np.array(tensor.int32_data, np.int32).astype(f"u{dtype.itemsize}")
    return bits.view(dtype).reshape(tensor.dims)
