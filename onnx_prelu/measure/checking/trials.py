"""What the original computes on each batch, kept to finite values: that is what a rewrite is held to.

A form promises nothing where inputs are NaN or infinite, or where the original overflows. Such a batch is set aside, to
be reported, and a tame one is judged in its place, so that something is verified.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..inputs.draw import Feed, Feeds
from ..inputs.dtypes import is_float
from ..providers.runner import CannotRun, Runner

ORDINARY = frozenset({"given", "random"})
"""Kinds of inputs that a model has to run on."""

_STEP = 1 / 8  # an overflowing batch is made smaller by this factor, again and again
_STEPS = 12


@dataclass(frozen=True)
class Trial:
    """A batch, and what the original computes on it.

    Attributes:
        feed: The inputs.
        expected: The original's outputs.
        group: What the inputs have in common in scale: outputs of one group have magnitudes that compare.
        kind: What kind of inputs these are, as :class:`~..inputs.draw.Feeds` tells.
    """

    feed: Feed
    expected: list[NDArray[Any]]
    group: tuple[float, float]
    kind: str = "random"


def trials(runner: Runner, feeds: Feeds) -> tuple[list[Trial], list[Trial]]:
    """Run the original on each batch.

    Args:
        runner: The original.
        feeds: The batches.

    Returns:
        The trials to judge by, and those outside of what is promised, which stand among the first in tame form.

    Raises:
        CannotRun: The original does not run on a batch that is given or random. Of the other kinds, what it does not
            run on is left out.
    """
    inside: list[Trial] = []
    outside: list[Trial] = []
    for batch, scale, kind in zip(feeds.batches, feeds.scales, feeds.trial_kinds(), strict=True):
        try:
            first = Trial(batch, runner.run(batch), (scale, 1.0), kind)
        except CannotRun:
            if kind in ORDINARY:
                raise
            continue
        tame = _tame(runner, first, feeds.drawn)
        inside.append(tame)
        if tame is not first:
            outside.append(first)
    return inside, outside


def _tame(runner: Runner, trial: Trial, drawn: frozenset[str]) -> Trial:
    """The trial itself if all is finite, else one like it: NaN and infinite inputs 0, drawn ones small enough."""
    if not all_finite(trial.feed.values()):
        feed = {name: _finite_part(value) for name, value in trial.feed.items()}
        trial = replace(trial, feed=feed, expected=runner.run(feed))
    if all_finite(trial.expected) or not drawn:
        return trial
    smaller = trial
    for _ in range(_STEPS):
        feed = {name: _scaled(value, _STEP) if name in drawn else value for name, value in smaller.feed.items()}
        group = (trial.group[0], smaller.group[1] * _STEP)
        smaller = replace(trial, feed=feed, expected=runner.run(feed), group=group)
        if all_finite(smaller.expected):
            return smaller
    return trial  # NaN or infinite whatever comes in: those elements are left out, one by one


def all_finite(arrays: Iterable[NDArray[Any]]) -> bool:
    """True where no float is NaN or infinite."""
    return all(bool(np.isfinite(array).all()) for array in arrays if is_float(array.dtype))


def next_to_nothing(feed: Feed) -> Feed:
    """The inputs as small as an overflowing batch is made at most."""
    return {name: _scaled(value, _STEP**_STEPS) for name, value in feed.items()}


def _finite_part(value: NDArray[Any]) -> NDArray[Any]:
    return np.where(np.isfinite(value), value, np.zeros((), value.dtype)) if is_float(value.dtype) else value


def _scaled(value: NDArray[Any], factor: float) -> NDArray[Any]:
    return np.asarray(value.astype(np.float64) * factor, value.dtype) if is_float(value.dtype) else value
