"""Folders of data: npz files, npy files, or the test data sets of ONNX's model zoo."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ...errors import BadInput, BadUsage
from ...graph.atomic import replacing, writing
from .arrays import read_npy, read_npz, read_tensor, tensor_bytes
from .spec import InputSpec

SET = "test_data_set_"
"""What the folder of a data set is called, before its number."""


@dataclass(frozen=True)
class Found:
    """What a folder, or a file in it, holds.

    Attributes:
        where: The file or folder, as an error calls it.
        name: What tells it from others in the folder.
        inputs: Arrays by input.
        outputs: What should come out; None where that is not told.
    """

    where: str
    name: str
    inputs: Mapping[str, NDArray[Any]]
    outputs: tuple[NDArray[Any], ...] | None = None


def read_folder(folder: Path, wanted: tuple[InputSpec, ...], outputs: int) -> list[Found]:
    """The data sets in a folder, in the order of their numbers or names.

    A folder that holds ``input_0.pb``, or folders that do, is taken as ONNX's test data: inputs by their place, and
    ``output_0.pb`` and so on for what should come out. Otherwise each npz file is a data set; or all npy files
    together are one, each named after its input.

    Args:
        folder: The folder.
        wanted: The model's inputs, in order.
        outputs: How many outputs the model has.

    Raises:
        BadInput: It holds none of these, or not for each input; or a file cannot be read.
    """
    where = f"--inputs {folder}"
    inside = sorted(folder.iterdir(), key=_by_number)
    named = [folder, *(each for each in inside if each.is_dir())]
    sets = [each for each in named if any(each.glob("input_*.pb"))]
    npz = [file for file in inside if file.suffix == ".npz"]
    npy = [file for file in inside if file.suffix == ".npy"]
    if sets:
        return [_test_data(each, wanted, outputs) for each in sets]
    if npz and npy:
        raise BadInput("holds both npz and npy files", where=where, todo="name a folder that holds one kind")
    if npz:
        return [Found(f"--inputs {file}", file.name, read_npz(file, f"--inputs {file}")) for file in npz]
    if npy:
        return [Found(where, folder.name, {file.stem: read_npy(file, f"--inputs {file}") for file in npy})]
    todo = f"put npz files there, one npy file an input, or {SET}0/input_0.pb and so on"
    raise BadInput("holds no data", where=where, todo=todo)


def write_test_data(folder: Path, inputs: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]]) -> Path:
    """Write a data set as ONNX's test data, under the first number that is free in the folder.

    Args:
        folder: The folder, which is made if there is none.
        inputs: Arrays by input, in the model's order.
        outputs: Arrays by output, in the model's order.

    Returns:
        The folder of the data set.

    Raises:
        BadUsage: It cannot be written there.
    """
    number = 0
    while (place := folder / f"{SET}{number}").exists():
        number += 1
    try:
        place.mkdir(parents=True)
    except OSError as error:
        raise BadUsage(
            f"no folder can be made there ({error.strerror})", where=str(place), todo="name another"
        ) from None
    for kind, arrays in (("input", inputs), ("output", outputs)):
        for at, (name, value) in enumerate(arrays.items()):
            file = place / f"{kind}_{at}.pb"
            with writing(file), replacing(file) as stream:
                stream.write(tensor_bytes(name, value))
    return place


def _test_data(folder: Path, wanted: tuple[InputSpec, ...], outputs: int) -> Found:
    where = f"--inputs {folder}"
    inputs = _numbered(folder, "input")
    if len(inputs) != len(wanted):
        what = f"holds {len(inputs)} inputs, but the model takes {len(wanted)}"
        raise BadInput(what, where=where, todo="give input_K.pb for each, K from 0 on")
    expected = _numbered(folder, "output")
    if expected and len(expected) != outputs:
        what = f"holds {len(expected)} outputs, but the model gives {outputs}"
        raise BadInput(what, where=where, todo="give output_K.pb for each, or for none")
    by_name = {spec.name: value for spec, value in zip(wanted, inputs, strict=True)}
    return Found(where, folder.name, by_name, tuple(expected) or None)


def _numbered(folder: Path, kind: str) -> list[NDArray[Any]]:
    """The tensors in ``kind_0.pb``, ``kind_1.pb`` and so on."""
    found: list[NDArray[Any]] = []
    while (file := folder / f"{kind}_{len(found)}.pb").is_file():
        found.append(read_tensor(file, f"--inputs {file}"))
    return found


def _by_number(path: Path) -> list[tuple[int, str]]:
    """A key by which ``set_10`` comes after ``set_9``."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]
