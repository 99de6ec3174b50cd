"""Values for inputs: of several scales and both signs, so that a difference shows."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from .dtypes import is_float
from .ranges import Range

SCALES = (1.0, 30.0, 1e-3, 1e3)
"""Standard deviations that batches are drawn with. Most models were trained on inputs of the first."""

_WORDS = ("", "a", "text", "ONNX")


def values(
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    scale: float,
    which: int,
    rng: np.random.Generator,
    within: Range | None = None,
) -> NDArray[Any]:
    """An array for one input of one batch.

    Floats are normal, some of them 0. In every second batch, each sample and channel has a level of its own as
    well: independent values average out over a layer, so that many units of a deep net would never change sign.
    Integers are 0 and 1, since many of them are indexes.

    Args:
        dtype: The array's type; object for strings.
        shape: The array's shape.
        scale: The standard deviation of floats, as far as the type holds it.
        which: Which batch of this scale it is.
        rng: Where the randomness comes from.
        within: The range that the values may have. What stands for scale 1 is spread over it then, and larger scales
            are its two ends.
    """
    if within is not None and scale >= 1:
        return (within.middle if scale == 1 else within.corners)(dtype, shape, rng)
    drawn = _free(dtype, shape, scale, which, rng)
    return drawn if within is None else within.kept(drawn, dtype)


def _free(
    dtype: np.dtype[Any], shape: tuple[int, ...], scale: float, which: int, rng: np.random.Generator
) -> NDArray[Any]:
    if dtype.kind == "O":
        return np.asarray(rng.choice(np.array(_WORDS, object), shape), object)
    if not is_float(dtype):
        return np.asarray(rng.integers(0, 2, shape)).astype(dtype)
    drawn = np.asarray(rng.standard_normal(shape))
    if which % 2:
        drawn += 2 * rng.standard_normal(_levels(shape))
    drawn[rng.random(shape) < 1 / 16] = 0
    return np.asarray(drawn * _held(scale, dtype), dtype)


def _levels(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of one value a sample, and a channel where there is something within the channels."""
    own = 2 if len(shape) > 2 else 1
    return (*shape[:own], *(1 for _ in shape[own:]))


def _held(scale: float, dtype: np.dtype[Any]) -> float:
    """The scale, with room for sums of products on either side of it: float16 ends at 65504, so it gets 64."""
    limits = ml_dtypes.finfo(dtype)
    low, high = math.sqrt(float(limits.smallest_normal)), math.sqrt(float(limits.max)) / 4
    return min(max(scale, low), high)
