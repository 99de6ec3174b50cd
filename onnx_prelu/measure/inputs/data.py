"""Inputs that the user gives: arrays, files, folders of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import BadInput
from .arrays import read_npz
from .dtypes import numpy_dtype, type_name
from .folders import Found, read_folder
from .spec import InputSpec, shape_text


@dataclass(frozen=True)
class DataSet:
    """Values for inputs that belong together.

    Attributes:
        name: Where they are from, to tell several apart.
        inputs: Arrays by input. One that is not there is drawn.
        outputs: What should come out, in the order of the model's outputs; None where nothing is known of that.
    """

    name: str = ""
    inputs: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    outputs: tuple[NDArray[Any], ...] | None = None


def data_sets(
    source: Path | Mapping[str, NDArray[Any]], wanted: tuple[InputSpec, ...], outputs: int
) -> tuple[DataSet, ...]:
    """The arrays that the user gives, each of the type and rank that its input has, nothing converted.

    Args:
        source: An npz file; a folder as :func:`~.folders.read_folder` takes it; or arrays by input.
        wanted: The model's inputs.
        outputs: How many outputs the model has.

    Raises:
        BadInput: The data cannot be read, an array's name, type or shape is not that of an input, or the data sets
            have not all the same inputs.
    """
    found = _found(source, wanted, outputs)
    by_name = {spec.name: spec for spec in wanted}
    for each in found[1:]:
        for name in each.inputs.keys() ^ found[0].inputs.keys():
            raise BadInput(
                f"only one of this and {found[0].name} holds '{name}'", where=each.where, todo="give all in all"
            )
    return tuple(
        DataSet(
            each.name,
            {name: _fitting(value, name, by_name, each.where) for name, value in each.inputs.items()},
            each.outputs,
        )
        for each in found
    )


def _found(source: Path | Mapping[str, NDArray[Any]], wanted: tuple[InputSpec, ...], outputs: int) -> list[Found]:
    if isinstance(source, Path) and source.is_dir():
        return read_folder(source, wanted, outputs)
    arrays, where = opened(source)
    return [Found(where, where, arrays)]


def opened(source: Path | Mapping[str, NDArray[Any]]) -> tuple[dict[str, NDArray[Any]], str]:
    """The arrays as they are, and what an error calls their source.

    Raises:
        BadInput: The file cannot be read.
    """
    where = f"--inputs {source}" if isinstance(source, Path) else "the given inputs"
    arrays = read_npz(source, where) if isinstance(source, Path) else source
    return {name: np.asarray(value) for name, value in arrays.items()}, where


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
