"""Batches of extreme values, at the sizes of the others: zeros, next to nothing, all mixed, integers, range ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .dtypes import is_float
from .magnitudes import Magnitudes, denormal, mixed, signed
from .ranges import Range
from .sizes import Shape
from .values import SCALES, values

Feed = dict[str, NDArray[Any]]

_FEW = 10  # integers of a wide type are below this: many are indexes or sizes


def zero(_dtype: np.dtype[Any], shape: Shape, _rng: np.random.Generator) -> NDArray[np.float64]:
    """Nothing but 0."""
    return np.zeros(shape)


EXTREMES: Mapping[str, tuple[float, Magnitudes]] = MappingProxyType(
    {"zeros": (min(SCALES), zero), "denormals": (min(SCALES), denormal), "mixed": (max(SCALES), mixed)}
)
"""Kind of batch to the scale that its outputs compare with, and the magnitudes of its floats."""


def extremes(
    kinds: Mapping[str, tuple[np.dtype[Any], Shape]], ranges: Mapping[str, Range], seed: int
) -> Iterator[tuple[str, float, Feed]]:
    """The kind of each batch, the scale that its outputs compare with, and values for the inputs that are drawn.

    Args:
        kinds: Type and shape of each input that is drawn.
        ranges: The ranges that some of them have: values beyond are brought in, and there are two more batches, of
            the low and of the high ends.
        seed: Of the values.
    """
    rng = np.random.default_rng([seed, len(SCALES)])
    for kind, (scale, magnitudes) in EXTREMES.items():
        feed = {}
        for name, (dtype, shape) in kinds.items():
            draw = partial(signed, magnitudes) if is_float(dtype) else partial(_other, kind)
            drawn = draw(dtype, shape, rng)
            feed[name] = ranges[name].kept(drawn, dtype) if name in ranges else drawn
        yield kind, scale, feed
    whole = {name: kind for name, kind in kinds.items() if kind[0].kind in "iu"}
    for least in (0, -_FEW) if whole else ():
        feed = {name: _integers(*kind, least, rng) for name, kind in whole.items()}
        feed |= {name: ranges[name].kept(feed[name], feed[name].dtype) for name in ranges.keys() & feed.keys()}
        yield "integers", max(SCALES), feed
    for end in ("low", "high") if ranges else ():
        yield (
            f"all {end}",
            SCALES[0],
            {
                name: ranges[name].kept(np.full(shape, getattr(ranges[name], end)), dtype)
                if name in ranges
                else values(dtype, shape, SCALES[0], 0, rng)
                for name, (dtype, shape) in kinds.items()
            },
        )


def _other(kind: str, dtype: np.dtype[Any], shape: Shape, rng: np.random.Generator) -> NDArray[Any]:
    """What is no float is 0 where floats are, and drawn as ever elsewhere."""
    if kind == "zeros" and dtype.kind != "O":
        return np.zeros(shape, dtype)
    return values(dtype, shape, SCALES[0], 0, rng)


def _integers(dtype: np.dtype[Any], shape: Shape, least: int, rng: np.random.Generator) -> NDArray[Any]:
    """Any of a type of 8 or 16 bits; of a wider one, which may be an index or a size, from a least one up to 9."""
    limits = np.iinfo(dtype)
    low, high = (limits.min, limits.max) if limits.bits <= 16 else (max(least, limits.min), _FEW - 1)
    return rng.integers(low, high, shape, dtype, endpoint=True)
