"""Kinds of magnitude that floats are drawn with: ordinary, tiny, large, and all of them mixed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from .sizes import Shape

Magnitudes = Callable[[np.dtype[Any], Shape, np.random.Generator], NDArray[np.float64]]
"""Absolute values for a type and a shape."""

_ZEROS = 1 / 16


def signed(magnitudes: Magnitudes, dtype: np.dtype[Any], shape: Shape, rng: np.random.Generator) -> NDArray[Any]:
    """Values of this kind in a float type, of both signs, and some of them 0."""
    drawn = magnitudes(dtype, shape, rng) * rng.choice((-1.0, 1.0), shape)
    return np.asarray(np.where(rng.random(shape) < _ZEROS, 0.0, drawn), dtype)


def ordinary(_dtype: np.dtype[Any], shape: Shape, rng: np.random.Generator) -> NDArray[np.float64]:
    """Around 1."""
    return np.asarray(np.abs(rng.standard_normal(shape)))


def tiny(dtype: np.dtype[Any], shape: Shape, rng: np.random.Generator) -> NDArray[np.float64]:
    """Around 1e-6, and every second one below the normal range."""
    return np.where(rng.random(shape) < 0.5, 1e-6 * ordinary(dtype, shape, rng), denormal(dtype, shape, rng))


def denormal(dtype: np.dtype[Any], shape: Shape, rng: np.random.Generator) -> NDArray[np.float64]:
    """A few of the type's smallest steps."""
    return np.asarray(float(ml_dtypes.finfo(dtype).smallest_subnormal) * rng.integers(1, 64, shape))


def large(dtype: np.dtype[Any], shape: Shape, rng: np.random.Generator) -> NDArray[np.float64]:
    """Around 1e4; around 100 in float16, which ends at 65504."""
    size: float = min(1e4, float(ml_dtypes.finfo(dtype).max) ** 0.5 / 2.5)
    return size * ordinary(dtype, shape, rng)


def mixed(dtype: np.dtype[Any], shape: Shape, rng: np.random.Generator) -> NDArray[np.float64]:
    """Ordinary, tiny and large ones, side by side."""
    kinds = [kind(dtype, shape, rng) for kind in (ordinary, tiny, large)]
    return np.asarray(np.choose(rng.integers(0, len(kinds), shape), kinds))
