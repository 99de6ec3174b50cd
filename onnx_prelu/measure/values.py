"""Values for inputs: of several scales and both signs, so that a difference shows."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from .dtypes import is_float

SCALES = (1.0, 1.0, 30.0, 1e-3, 1e3, 1.0)
"""What batches are drawn at. At 1 more than once: that is what most models were trained on."""

_WORDS = ("", "a", "text", "ONNX")


def values(dtype: np.dtype[Any], shape: tuple[int, ...], which: int, rng: np.random.Generator) -> NDArray[Any]:
    """An array for one input of one batch.

    Floats are normal, of the batch's scale as far as the type holds it, some of them 0. In every second batch,
    each sample and channel has a level of its own as well: independent values average out over a layer, so that
    many units of a deep net would never change sign. Integers are 0 and 1, since many of them are indexes.

    Args:
        dtype: The array's type; object for strings.
        shape: The array's shape.
        which: The batch, an index into :data:`SCALES`.
        rng: Where the randomness comes from.
    """
    if dtype.kind == "O":
        return rng.choice(np.array(_WORDS, object), shape)
    if dtype.kind == "c":
        return np.asarray(rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype)
    if not is_float(dtype):
        return rng.integers(0, 2, shape).astype(dtype)
    drawn = rng.standard_normal(shape)
    if which % 2:
        drawn += 2 * rng.standard_normal(_levels(shape))
    drawn[rng.random(shape) < 1 / 16] = 0
    return (drawn * _held(SCALES[which], dtype)).astype(dtype)


def _levels(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of one value a sample, and a channel where there is something within the channels."""
    own = 2 if len(shape) > 2 else 1
    return (*shape[:own], *(1 for _ in shape[own:]))


def _held(scale: float, dtype: np.dtype[Any]) -> float:
    """The scale, but such that its square is still a normal number of the type: float16 ends at 65504."""
    limits = ml_dtypes.finfo(dtype)
    low, high = math.sqrt(float(limits.smallest_normal)), math.sqrt(float(limits.max))
    return min(max(scale, low), high)
