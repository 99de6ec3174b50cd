"""Which units of the original the inputs drive to both sides of zero: the share that a check can speak for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...graph.extract import exposing
from ...graph.model import Model
from ..inputs.draw import Feed
from ..providers.runtime import open_runner


@dataclass(frozen=True)
class Watch:
    """A pre-activation to watch.

    Attributes:
        node: The site's name.
        tensor: The tensor's name in the original.
        axis: The axis of its units; None if every element is one.
    """

    node: str
    tensor: str
    axis: int | None


@dataclass(frozen=True)
class Spread:
    """How many units of a site saw values of both signs.

    Attributes:
        node: The site's name.
        units: How many units it has.
        both: How many of them were below 0 somewhere and above 0 somewhere.
    """

    node: str
    units: int
    both: int

    @property
    def share(self) -> float:
        """The share of units that saw both sides."""
        return self.both / self.units if self.units else 0.0


class _Seen:
    """Which units of one tensor were below and above 0 so far."""

    def __init__(self, axis: int | None) -> None:
        self._axis = axis
        self._below: NDArray[np.bool_] | None = None
        self._above: NDArray[np.bool_] | None = None

    def add(self, value: NDArray[Any]) -> None:
        below, above = self._units(np.asarray(value < 0)), self._units(np.asarray(value > 0))
        self._below = below if self._below is None else self._below | below
        self._above = above if self._above is None else self._above | above

    def _units(self, found: NDArray[np.bool_]) -> NDArray[np.bool_]:
        if self._axis is None:
            return found
        return np.asarray(np.moveaxis(found, self._axis, 0).reshape(found.shape[self._axis], -1).any(axis=1))

    def spread(self, node: str) -> Spread:
        if self._below is None or self._above is None:
            return Spread(node, 0, 0)
        return Spread(node, self._below.size, int(np.sum(self._below & self._above)))


def spreads(model: Model, provider: str, watch: Sequence[Watch], feeds: Sequence[Feed]) -> tuple[Spread, ...]:
    """Run the original with its pre-activations as outputs, and count.

    Args:
        model: The original.
        provider: Where to run it.
        watch: What to watch.
        feeds: What to run it on.

    Raises:
        CannotRun: It does not run like that.
    """
    if not watch:
        return ()
    runner = open_runner(exposing(model, [each.tensor for each in watch]), provider)
    at = {name: index for index, name in enumerate(runner.outputs)}
    seen = [_Seen(each.axis) for each in watch]
    for feed in feeds:
        results = runner.run(feed)
        for each, units in zip(watch, seen, strict=True):
            value = feed[each.tensor] if each.tensor in feed else results[at[each.tensor]]
            units.add(value)
    return tuple(units.spread(each.node) for each, units in zip(watch, seen, strict=True))
