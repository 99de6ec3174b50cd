"""Sizes of inputs: what the user, the data and the model fix, and what to try for the rest."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from numpy.typing import NDArray

from ...errors import BadUsage
from .spec import InputSpec, shape_text

GROWTH = (1, 2, 4, 8, 12, 16, 32, 64, 128, 256)
"""What the dimensions without a value are tried with, in this order."""

_LARGEST = 1 << 24  # elements of all inputs: what is larger is not tried, unless the model asks for it
_RANKS = (2, 4, 3, 1, 5, 0)  # for an input of unknown rank, likely ones first

Shape = tuple[int, ...]
Open = tuple[int | None, ...] | None  # None for a dimension without a value; None altogether for an unknown rank


def fixed(
    wanted: tuple[InputSpec, ...],
    shapes: Mapping[str, Shape],
    dims: Mapping[str, int],
    data: Mapping[str, NDArray[Any]],
) -> dict[str, Open]:
    """Each input's shape, as far as anything fixes it.

    A symbolic dimension that one input's shape gives a size has it everywhere.

    Args:
        wanted: The model's inputs.
        shapes: Shapes that the user asks for, by input.
        dims: Sizes of symbolic dimensions that the user asks for, by their names.
        data: Arrays that the user gives, by input.

    Raises:
        BadUsage: One of these names what the model does not have, or they contradict each other or the model.
    """
    by_name = {spec.name: spec for spec in wanted}
    _require_symbols(wanted, dims)
    _require_sizes({**{name: (size,) for name, size in dims.items()}, **shapes})
    for name, shape in shapes.items():
        if name not in by_name:
            has = f"its inputs are {', '.join(by_name) or 'none'}"
            raise BadUsage(f"--input-shape {name}: the model has no such input to feed", todo=has)
        if name in data and data[name].shape != tuple(shape):
            is_, asked = shape_text(data[name].shape), shape_text(tuple(shape))
            raise BadUsage(
                f"'{name}' in --inputs is {is_}, but --input-shape asks for {asked}", todo="drop one of them"
            )
    known = {name: tuple(shape) for name, shape in shapes.items()}
    known |= {name: value.shape for name, value in data.items()}
    sizes = dict(dims)
    for name, shape in known.items():
        _require_agreement(by_name[name], shape, dims)
        for d, size in zip(by_name[name].shape or (), shape, strict=False):
            if isinstance(d, str):
                sizes.setdefault(d, size)
    return {spec.name: known.get(spec.name, _sized(spec, sizes)) for spec in wanted}


def _require_symbols(wanted: tuple[InputSpec, ...], dims: Mapping[str, int]) -> None:
    symbols = dict.fromkeys(d for spec in wanted for d in spec.shape or () if isinstance(d, str))
    for name in dims:
        if name not in symbols:
            has = f"its named ones are {', '.join(symbols)}" if symbols else "it has no named ones: use --input-shape"
            raise BadUsage(f"--dim {name}: no input of the model has a dimension of that name", todo=has)


def _require_sizes(shapes: Mapping[str, Shape]) -> None:
    for name, shape in shapes.items():
        if any(size < 0 for size in shape):
            raise BadUsage(f"'{name}' cannot be {shape_text(tuple(shape))}", todo="give sizes from 0 on")


def _require_agreement(spec: InputSpec, shape: Shape, dims: Mapping[str, int]) -> None:
    if spec.shape is None:
        return
    declared = tuple(dims.get(d, d) if isinstance(d, str) else d for d in spec.shape)
    if len(declared) != len(shape) or any(
        isinstance(d, int) and d != size for d, size in zip(declared, shape, strict=True)
    ):
        what = f"input '{spec.name}' cannot be {shape_text(shape)}: it is {shape_text(declared)}"
        raise BadUsage(what, todo="ask for a shape that fits")


def _sized(spec: InputSpec, sizes: Mapping[str, int]) -> Open:
    if spec.shape is None:
        return None
    return tuple(sizes.get(d) if isinstance(d, str) else d for d in spec.shape)


def candidates(known: Mapping[str, Open]) -> Iterator[dict[str, Shape]]:
    """Sizes to try, small ones first: all open dimensions of one size; then with 1 for those that come first."""
    ranks = _RANKS if None in known.values() else (0,)
    smallest = sum(math.prod(d or 1 for d in shape or ()) for shape in known.values())
    tried: list[dict[str, Shape]] = []
    for size in GROWTH:
        for first in (size, 1):
            for rank in ranks:
                sizes = {name: _filled(shape, rank, first, size) for name, shape in known.items()}
                elements = sum(math.prod(shape) for shape in sizes.values())
                if sizes not in tried and elements <= max(_LARGEST, smallest):
                    tried.append(sizes)
                    yield sizes


def _filled(shape: Open, rank: int, first: int, size: int) -> Shape:
    shape = (None,) * rank if shape is None else shape
    return tuple((size if axis else first) if d is None else d for axis, d in enumerate(shape))


def others(
    wanted: tuple[InputSpec, ...], known: Mapping[str, Open], sizes: Mapping[str, Shape]
) -> Iterator[dict[str, Shape]]:
    """Sizes beside those that a model ran at: a batch of 1, one of 3, and odd sizes of what else is open.

    Dimensions of one name keep one size. What is fixed stays.

    Args:
        wanted: The model's inputs.
        known: Their shapes as far as anything fixes them.
        sizes: Their shapes as they ran.

    >>> spec = InputSpec("x", 1, ("N", 3, "H"))
    >>> [size["x"] for size in others((spec,), {"x": (None, 3, None)}, {"x": (1, 3, 4)})]
    [(3, 3, 4), (1, 3, 9)]
    """
    first = {spec.shape[0] for spec in wanted if spec.shape and isinstance(spec.shape[0], str)}

    def changed(spec: InputSpec, batch: int | None, scale: int, more: int) -> Shape:
        ran = sizes[spec.name]
        open_, names = (shape or (None,) * len(ran) for shape in (known[spec.name], spec.shape))
        shape = []
        for axis, size in enumerate(ran):
            if open_[axis] is not None:
                shape.append(size)
            elif axis == 0 or names[axis] in first:
                shape.append(batch or size)
            else:
                shape.append(scale * size + more)
        return tuple(shape)

    tried = [dict(sizes)]
    for batch, scale, more in ((1, 1, 0), (3, 1, 0), (None, 2, 1)):
        other = {spec.name: changed(spec, batch, scale, more) for spec in wanted}
        if other not in tried and sum(math.prod(shape) for shape in other.values()) <= _LARGEST:
            tried.append(other)
            yield other
