"""Inputs that the user gives, as an npz file or as arrays."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import BadInput
from .dtypes import numpy_dtype, type_name
from .spec import InputSpec, shape_text


def given(source: Path | Mapping[str, NDArray[Any]], wanted: tuple[InputSpec, ...]) -> dict[str, NDArray[Any]]:
    """The arrays that the user gives, each of the type and rank that its input has, nothing converted.

    Args:
        source: An npz file, or arrays by input.
        wanted: The model's inputs. One that is not given is drawn.

    Raises:
        BadInput: The file cannot be read, or an array's name, type or shape is not that of an input.
    """
    arrays, where = opened(source)
    by_name = {spec.name: spec for spec in wanted}
    return {name: _fitting(value, name, by_name, where) for name, value in arrays.items()}


def opened(source: Path | Mapping[str, NDArray[Any]]) -> tuple[dict[str, NDArray[Any]], str]:
    """The arrays as they are, and what an error calls their source.

    Raises:
        BadInput: The file cannot be read.
    """
    where = f"--inputs {source}" if isinstance(source, Path) else "the given inputs"
    arrays = _read(source, where) if isinstance(source, Path) else source
    return {name: np.asarray(value) for name, value in arrays.items()}, where


def _read(path: Path, where: str) -> dict[str, NDArray[Any]]:
    todo = "name a file that numpy.savez wrote, with an array for each input"
    try:
        loaded = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            raise BadInput("holds one array without a name", where=where, todo=todo)
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except OSError as error:
        raise BadInput(f"cannot be read ({error.strerror or 'it is cut short'})", where=where, todo=todo) from None
    except (EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        what = "holds pickled objects" if "Object arrays" in str(error) else "is no npz file"
        raise BadInput(what, where=where, todo=todo) from None


def known(name: str, wanted: Mapping[str, InputSpec], where: str) -> InputSpec:
    """The input of this name.

    Raises:
        BadInput: There is none.
    """
    if name not in wanted:
        todo = f"the inputs to feed are {', '.join(wanted) or 'none'}"
        raise BadInput(f"'{name}' is no input of the model that is fed", where=where, todo=todo)
    return wanted[name]


def _fitting(value: NDArray[Any], name: str, wanted: Mapping[str, InputSpec], where: str) -> NDArray[Any]:
    spec = known(name, wanted, where)
    value = typed(value, spec, where)
    declared = spec.shape
    if declared is not None and not (
        len(declared) == value.ndim
        and all(not isinstance(d, int) or d == size for d, size in zip(declared, value.shape, strict=True))
    ):
        what = f"'{name}' is {shape_text(value.shape)}, but the model takes {shape_text(declared)}"
        raise BadInput(what, where=where, todo="give it that shape")
    return value


def typed(value: NDArray[Any], spec: InputSpec, where: str) -> NDArray[Any]:
    """The array, if it is of the input's type.

    Raises:
        BadInput: It is not.
    """
    dtype = numpy_dtype(spec.dtype)
    if value.dtype == dtype:
        return value
    if value.dtype.kind == "U" and dtype.kind == "O":
        return value.astype(object)
    if value.dtype.kind == "V" and value.dtype.itemsize == dtype.itemsize:  # how npz keeps what ml_dtypes adds
        return value.view(dtype)
    what = f"'{spec.name}' is {value.dtype}, but the model takes {type_name(spec.dtype)}"
    raise BadInput(what, where=where, todo="convert it")
