"""NaN and infinities that one model makes of ordinary numbers and the other one does not: that is a difference.

Where numbers overflow, nothing is promised. So an element counts only where it still is NaN or infinite when the inputs
are made next to nothing: that is no overflow, but a NaN among the weights. And none counts unless one does on inputs
that are given or random: on extreme ones, 0/0 may become the quotient of two roundings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..inputs.dtypes import is_float
from ..providers.runner import CannotRun, Runner
from .judge import Output
from .trials import ORDINARY, Trial, all_finite, next_to_nothing

Mask = NDArray[np.bool_]


def made_nan(trials: Sequence[Trial], first: Runner, second: Runner) -> list[list[Mask]]:
    """For each trial and output, where the original alone is NaN or infinite, and not for the size of the inputs.

    Args:
        trials: Inputs, and what the original computes.
        first: The original.
        second: The second model; where its outputs are of other shapes or types, nothing is said.

    Raises:
        CannotRun: The second model does not run on the inputs.
    """
    masks = [_made_nan(trial, first, second) for trial in trials]
    if any(mask.any() for trial, each in zip(trials, masks, strict=True) if trial.kind in ORDINARY for mask in each):
        return masks
    return [_nowhere(trial) for trial in trials]


def _made_nan(trial: Trial, first: Runner, second: Runner) -> list[Mask]:
    if all_finite(trial.expected) or not all_finite(trial.feed.values()):
        return _nowhere(trial)
    small = next_to_nothing(trial.feed)
    found = _first_alone(trial.expected, second.run(trial.feed))
    try:
        again = _first_alone(first.run(small), second.run(small))
    except CannotRun:
        return _nowhere(trial)
    return [
        mask & still if mask.shape == still.shape else np.zeros_like(mask)
        for mask, still in zip(found, again, strict=True)
    ]


def _nowhere(trial: Trial) -> list[Mask]:
    return [np.zeros(array.shape, bool) for array in trial.expected]


def held_to_numbers(
    rows: Sequence[Output], trials: Sequence[Trial], first: Runner, second: Runner
) -> tuple[Output, ...]:
    """The outputs as they were judged, failed where the original alone makes NaN or infinity of ordinary numbers.

    Args:
        rows: How each output compares.
        trials: What they were judged by.
        first: The original.
        second: The second model.
    """
    masks = made_nan(trials, first, second)
    return tuple(_held(row, [mask[at] for mask in masks]) for at, row in enumerate(rows))


def _held(row: Output, masks: Sequence[Mask]) -> Output:
    count = sum(int(mask.sum()) for mask in masks)
    if row.failure or not count:
        return row
    where = next(tuple(map(int, np.argwhere(mask)[0])) for mask in masks if mask.any())
    found = row.difference
    lost = replace(
        found,
        lost=count,
        where=where,
        allowed=None,
        nonfinite=found.nonfinite - count,
        patterns=found.patterns - count,
    )
    at = f"[{', '.join(map(str, where))}]"
    what = f"is NaN or infinite in {count} elements of the first model where the second is finite, as at {at}"
    return replace(row, difference=lost, failure=f"{what}: the first model makes that of finite inputs")


def _first_alone(first: Sequence[NDArray[Any]], second: Sequence[NDArray[Any]]) -> list[Mask]:
    return [
        np.asarray(~np.isfinite(a) & np.isfinite(b))
        if is_float(a.dtype) and a.shape == b.shape and a.dtype == b.dtype
        else np.zeros(a.shape, bool)
        for a, b in zip(first, second, strict=True)
    ]
