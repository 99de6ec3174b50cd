"""Ranges that the user gives for inputs: what they have to be, and values within them."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import ml_dtypes
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import BadInput, BadUsage
from .arrays import read_npz
from .dtypes import is_float, numpy_dtype, type_name
from .sizes import Open, Shape
from .spec import InputSpec, shape_text

Asked: TypeAlias = tuple[ArrayLike, ArrayLike] | str | os.PathLike[str]
"""The lowest and the highest value, numbers or arrays; or an npz file that holds them as ``low`` and ``high``."""


@dataclass(frozen=True, eq=False)
class Range:
    """The values that an input may have, both ends included.

    Attributes:
        low: The lowest of each element, float64, of a shape that broadcasts to the input's.
        high: The highest, likewise.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @classmethod
    def between(cls, low: ArrayLike, high: ArrayLike) -> Range:
        """The range between two numbers or arrays.

        Raises:
            ValueError: One of them is no number. So is TypeError.
        """
        return cls(np.asarray(low, np.float64), np.asarray(high, np.float64))

    @property
    def shape(self) -> Shape:
        """What both ends broadcast to.

        Raises:
            ValueError: They do not.
        """
        return np.broadcast_shapes(self.low.shape, self.high.shape)

    def middle(self, dtype: np.dtype[Any], shape: Shape, rng: np.random.Generator) -> NDArray[Any]:
        """Evenly spread over the whole range; whole numbers for integers."""
        low, high = _within(self, dtype)
        if not is_float(dtype):
            wide = np.uint64 if dtype.kind == "u" else np.int64
            return np.asarray(
                rng.integers(low.astype(wide), high.astype(wide), shape, wide, endpoint=True), wide
            ).astype(dtype)
        share = rng.random(shape)
        return self.kept((1 - share) * self.low + share * self.high, dtype)  # high − low could overflow

    def corners(self, dtype: np.dtype[Any], shape: Shape, rng: np.random.Generator) -> NDArray[Any]:
        """Each element at one end or the other."""
        return self.kept(np.where(rng.random(shape) < 0.5, self.low, self.high), dtype)

    def kept(self, value: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Values brought into the range, in the type; no value of the type beyond an end is rounded to."""
        low, high = _within(self, dtype)
        wide = np.asarray(value, np.float64)
        below, above = wide <= low.astype(np.float64), wide >= high.astype(np.float64)
        inside = np.clip(np.where(below | above, 0, wide).astype(dtype), low, high)
        return np.asarray(np.where(below, low, np.where(above, high, inside)), dtype)


def asked_ranges(asked: Mapping[str, Asked]) -> dict[str, Range]:
    """The ranges that the user asks for, by input.

    Raises:
        BadInput: A file cannot be read, or does not hold ``low`` and ``high``.
        BadUsage: The ends are no numbers, or of shapes that do not go together.
    """
    return {name: _asked(f"--input-range {name}", each) for name, each in asked.items()}


def _asked(where: str, asked: Asked) -> Range:
    low, high = _read(f"{where}={asked}", Path(asked)) if isinstance(asked, str | os.PathLike) else asked
    try:
        found = Range.between(low, high)
        found.shape  # noqa: B018
    except (TypeError, ValueError):
        raise BadUsage(
            "its ends are no numbers, or no arrays of one shape", where=where, todo="give two of a kind"
        ) from None
    return found


def _read(where: str, file: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    arrays = read_npz(file, where)
    if arrays.keys() != {"low", "high"}:
        held = ", ".join(f"'{name}'" for name in arrays) or "nothing"
        raise BadInput(f"holds {held}", where=where, todo="give it two arrays, 'low' and 'high'")
    return arrays["low"], arrays["high"]


def require_ranges(
    ranges: Mapping[str, Range], wanted: Collection[InputSpec], known: Mapping[str, Open], given: Collection[str]
) -> None:
    """Find out whether ranges make sense.

    Args:
        ranges: The ranges, by input.
        wanted: The model's inputs.
        known: Their shapes as far as anything fixes them. Along a dimension that is open, a range is the same
            everywhere.
        given: The inputs that the user gives values for.

    Raises:
        BadUsage: An input is not known, given already, or no number; the range does not broadcast to it, or no value
            of its type lies in it.
    """
    by_name = {spec.name: spec for spec in wanted}
    for name, each in ranges.items():
        where = f"--input-range {name}"
        if name not in by_name:
            raise BadUsage(f"{where}: the model has no such input to feed", todo=f"it takes {', '.join(by_name)}")
        if name in given:
            raise BadUsage(f"{where}: --inputs gives its values", todo="drop one of them")
        dtype = numpy_dtype(by_name[name].dtype)
        if dtype.kind in "OUb":
            raise BadUsage(
                f"{where}: the input is {type_name(by_name[name].dtype)}, which has no range", todo="drop it"
            )
        if not _fits(each.shape, known[name]):
            what = f"{where}: its ends are {shape_text(each.shape)}, but the input is {shape_text(known[name])}"
            raise BadUsage(what, todo="give ends that broadcast to it, of 1 along what is open")
        _require_order(where, each, dtype, type_name(by_name[name].dtype))


def _fits(shape: Shape, known: Open) -> bool:
    """Whether ends of a shape broadcast to an input, and do not enlarge it."""
    if known is None:
        return math.prod(shape) == 1
    if len(shape) > len(known):
        return False
    return all(size == 1 or size == d for size, d in zip(reversed(shape), reversed(known), strict=False))


def _require_order(where: str, asked: Range, dtype: np.dtype[Any], kind: str) -> None:
    low, high = np.broadcast_arrays(asked.low, asked.high)

    def refuse(wrong: NDArray[np.bool_], what: str, todo: str) -> None:
        if wrong.any():
            at = tuple(map(int, np.argwhere(wrong)[0]))
            which = f" at {shape_text(at)}" if at else ""
            raise BadUsage(f"{where}: {low[at]:g},{high[at]:g}{which} is {what}", todo=todo)

    refuse(~(np.isfinite(low) & np.isfinite(high)), "no range", "give ends that are numbers")
    refuse(low > high, "no range", "give the lower end first")
    limits = _limits(dtype)
    outside = (low < float(limits.min)) | (high > float(limits.max))
    refuse(outside, f"not within {kind}", "give ends that it holds")
    lowest, highest = _within(Range(low, high), dtype)
    refuse(np.asarray(lowest > highest), f"not within {kind}", "give ends that it holds")


def _limits(dtype: np.dtype[Any]) -> Any:
    return ml_dtypes.finfo(dtype) if is_float(dtype) else ml_dtypes.iinfo(dtype)


def _within(asked: Range, dtype: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The lowest and the highest values of the type in the range."""
    limits = _limits(dtype)
    if not is_float(dtype):  # a float64 end of int64 can lie beyond it: Python's integers tell
        ends = [max(math.ceil(end), int(limits.min)) for end in asked.low.flat]
        others = [min(math.floor(end), int(limits.max)) for end in asked.high.flat]
        return np.array(ends, dtype).reshape(asked.low.shape), np.array(others, dtype).reshape(asked.high.shape)
    low, high = asked.low.astype(dtype), asked.high.astype(dtype)
    up, down = np.nextafter(low, np.asarray(limits.max, dtype)), np.nextafter(high, np.asarray(limits.min, dtype))
    return (
        np.where(low.astype(np.float64) < asked.low, up, low),
        np.where(high.astype(np.float64) > asked.high, down, high),
    )
