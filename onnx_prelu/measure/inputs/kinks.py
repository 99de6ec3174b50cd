"""Inputs near the kinks of activations: moved until what goes into them stands on both sides of 0.

Where a unit is above 0 on all inputs, a wrong slope cannot show; and inputs that are drawn leave many such units in a
deep net. No gradient is needed: between two inputs, and a little beyond them, an activation's input is nearly a
straight line, and where it crosses 0 is known from its two ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .dtypes import is_float
from .ranges import Range

Feed = dict[str, NDArray[Any]]
Probe = Callable[[Feed], Sequence[NDArray[Any]]]
"""What goes into each activation, for inputs."""

_BEYOND = 1.0  # so far past either of two inputs, in their distance from each other
_LARGEST = 4.0  # times the largest value of an input is as far as it is moved in all


def near_kinks(
    probe: Probe, starts: Sequence[Feed], moved: Sequence[str], ranges: Mapping[str, Range], steps: int, seed: int
) -> list[Feed]:
    """Inputs, each moved to where activations of one tensor cross 0: those of which fewest have seen both signs first.

    Of the elements that were on one side of 0 only, half of those that a step can bring to the other side get there,
    and the next ones stop short of 0. Where there are none, half of all elements are brought across the kink.

    Args:
        probe: What goes into each activation; asked once for each start, and each step but the last.
        starts: Inputs of one size to start from, two at least.
        moved: The inputs that may be moved, all floats.
        ranges: Ranges that some of them have to stay in.
        steps: How many inputs to make.
        seed: Of the choice of the inputs to start from.

    Raises:
        CannotRun: The probe does.
    """
    rng = np.random.default_rng([seed, steps])
    feeds = list(starts)
    seen = [[np.asarray(value, np.float64) for value in probe(feed)] for feed in feeds]
    bounds = {name: _LARGEST * max(float(np.max(np.abs(feed[name]), initial=0)) for feed in starts) for name in moved}
    found: list[Feed] = []
    for step in range(steps):
        at = _lagging(seen, step)
        if at is None:
            break
        one, other = rng.choice(len(feeds), 2, replace=False)
        share = _crossing([values[at] for values in seen], int(one), int(other), rng)
        feed = dict(feeds[one])
        for name in moved:
            start, end = (np.asarray(feeds[which][name], np.float64) for which in (one, other))
            there = np.clip(start + share * (end - start), -bounds[name], bounds[name])
            dtype = feeds[one][name].dtype
            feed[name] = ranges[name].kept(there, dtype) if name in ranges else np.asarray(there, dtype)
        found.append(feed)
        if len(found) == steps:
            break
        feeds.append(feed)
        seen.append([np.asarray(value, np.float64) for value in probe(feed)])
    return found


def movable(feed: Feed, drawn: frozenset[str]) -> list[str]:
    """The inputs that can be moved: drawn floats with something in them."""
    return [name for name, value in feed.items() if name in drawn and is_float(value.dtype) and value.size]


def _lagging(seen: Sequence[Sequence[NDArray[np.float64]]], step: int) -> int | None:
    """The tensor whose turn it is: each step takes the next one, by the share of elements that saw both signs."""
    shares = {}
    for at in range(len(seen[0])):
        if seen[0][at].size and all(values[at].shape == seen[0][at].shape for values in seen):
            shares[at] = float(np.mean(_both([values[at] for values in seen])))
    order = sorted(shares, key=lambda at: shares[at])
    return order[step % len(order)] if order else None


def _both(values: Sequence[NDArray[np.float64]]) -> NDArray[np.bool_]:
    return np.asarray((np.min(values, axis=0) < 0) & (np.max(values, axis=0) > 0))


def _crossing(values: Sequence[NDArray[np.float64]], one: int, other: int, rng: np.random.Generator) -> float:
    """How far to go from one input towards the other, to be where elements cross 0 on the line through both."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        zeros = -values[one] / (values[other] - values[one])
    left = zeros[~_both(values) & np.isfinite(zeros)]
    behind, beyond = left[(left < 0) & (left >= -_BEYOND)], left[(left > 1) & (left <= 1 + _BEYOND)]
    reached = max(behind, beyond, key=len)
    if not reached.size:
        reached = zeros[(zeros > 0) & (zeros < 1)]
    return float(np.median(reached)) if reached.size else float(rng.uniform(-_BEYOND, 1 + _BEYOND))
