"""Many samples in one file: cut along the first axis into inputs that a model takes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ...errors import BadInput
from .data import known, opened, typed
from .spec import InputSpec, shape_text

Feed = dict[str, NDArray[Any]]


def samples(
    source: str | os.PathLike[str] | Mapping[str, NDArray[Any]], wanted: tuple[InputSpec, ...], batch: int = 1
) -> list[Feed]:
    """The inputs that a model takes one after the other.

    An array has the rank of its input, and is cut along the first axis into batches; or it has one axis more, in front,
    that counts them. What does not fill a batch at the end is left out.

    Args:
        source: An npz file, or arrays by input: all that the model takes.
        wanted: The model's inputs.
        batch: How many samples are a batch where the model leaves that open.

    Raises:
        BadInput: The file cannot be read, an array is missing, is of another type, does not fit, or the arrays hold
            unequal numbers of batches.

    >>> spec = InputSpec("x", 1, ("N", 4))
    >>> len(samples({"x": np.zeros((10, 4), np.float32)}, (spec,), batch=3))
    3
    """
    arrays, where = opened(Path(source) if isinstance(source, str | os.PathLike) else source)
    by_name = {spec.name: spec for spec in wanted}
    cut = {name: _cut(typed(value, known(name, by_name, where), where), by_name[name], batch, where)
           for name, value in arrays.items()}  # fmt: skip
    missing = [name for name in by_name if name not in cut]
    if missing:
        raise BadInput(f"holds nothing for '{missing[0]}'", where=where, todo="give an array for each input")
    counts = {name: len(parts) for name, parts in cut.items()}
    if len(set(counts.values())) > 1 or not all(counts.values()):
        found = ", ".join(f"{count} for '{name}'" for name, count in counts.items())
        raise BadInput(
            f"holds unequal numbers of batches: {found}", where=where, todo="give equally many, at least one"
        )
    return [dict(zip(cut, parts, strict=True)) for parts in zip(*cut.values(), strict=True)]


def _cut(value: NDArray[Any], spec: InputSpec, batch: int, where: str) -> list[NDArray[Any]]:
    declared = spec.shape if spec.shape is not None else (None,) * value.ndim
    if value.ndim == len(declared) + 1 and _fits(value.shape[1:], declared):
        return list(value)
    if not declared or value.ndim != len(declared) or not _fits(value.shape[1:], declared[1:]):
        what = f"'{spec.name}' is {shape_text(value.shape)}, but the model takes {shape_text(declared)}"
        raise BadInput(what, where=where, todo="give many of them, along the first axis")
    size = declared[0] if isinstance(declared[0], int) else batch
    return [value[start : start + size] for start in range(0, len(value) - size + 1, size)]


def _fits(shape: tuple[int, ...], declared: tuple[int | str | None, ...]) -> bool:
    return len(shape) == len(declared) and all(
        not isinstance(d, int) or d == size for d, size in zip(declared, shape, strict=True)
    )
