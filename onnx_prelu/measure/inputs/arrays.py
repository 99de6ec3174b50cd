"""Arrays in files: npz, npy, and tensors as ONNX writes them."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import numpy_helper

from ...errors import BadInput


def read_npz(path: Path, where: str) -> dict[str, NDArray[Any]]:
    """The arrays of an npz file by name.

    Raises:
        BadInput: It cannot be read, or is something else; the message starts with ``where``.
    """
    todo = "name a file that numpy.savez wrote, with an array for each input"
    loaded = _loaded(path, where, "npz", todo)
    if not isinstance(loaded, np.lib.npyio.NpzFile):
        raise BadInput("holds one array without a name", where=where, todo=todo)
    with loaded:
        return {name: _member(loaded, name, where, todo) for name in loaded.files}


def read_npy(path: Path, where: str) -> NDArray[Any]:
    """The array of an npy file.

    Raises:
        BadInput: It cannot be read, or is something else.
    """
    todo = "write it with numpy.save"
    loaded = _loaded(path, where, "npy", todo)
    if not isinstance(loaded, np.ndarray):
        loaded.close()
        raise BadInput("holds several arrays", where=where, todo=todo)
    return loaded


def read_tensor(path: Path, where: str) -> NDArray[Any]:
    """The array of a file that holds a TensorProto.

    Raises:
        BadInput: It cannot be read, or is something else.
    """
    todo = "write onnx.numpy_helper.from_array(x).SerializeToString()"
    try:
        tensor = onnx.TensorProto.FromString(path.read_bytes())
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise BadInput("keeps its values in another file", where=where, todo=todo)
        return np.asarray(numpy_helper.to_array(tensor))
    except OSError as error:
        raise BadInput(f"cannot be read ({error.strerror})", where=where, todo=todo) from None
    except (DecodeError, TypeError, ValueError, KeyError):
        raise BadInput("is no tensor", where=where, todo=todo) from None


def tensor_bytes(name: str, value: NDArray[Any]) -> bytes:
    """An array as such a file holds it."""
    return numpy_helper.from_array(value, name).SerializeToString()


def _loaded(path: Path, where: str, kind: str, todo: str) -> Any:
    try:
        return np.load(path, allow_pickle=False)
    except OSError as error:
        raise BadInput(f"cannot be read ({error.strerror or 'it is cut short'})", where=where, todo=todo) from None
    except (EOFError, ValueError, zipfile.BadZipFile) as error:
        raise BadInput(_what(error, kind), where=where, todo=todo) from None


def _member(loaded: Any, name: str, where: str, todo: str) -> NDArray[Any]:
    try:
        return np.asarray(loaded[name])
    except OSError as error:
        raise BadInput(f"cannot be read ({error.strerror or 'it is cut short'})", where=where, todo=todo) from None
    except (EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise BadInput(_what(error, "npz"), where=where, todo=todo) from None


def _what(error: Exception, kind: str) -> str:
    return "holds pickled objects" if "Object arrays" in str(error) else f"is no {kind} file"
