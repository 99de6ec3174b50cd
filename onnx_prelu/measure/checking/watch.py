"""Which units of the original the inputs drive to both sides of zero: the share that a check can speak for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...graph.extract import exposing
from ...graph.model import Model
from ..inputs.draw import Feed
from ..providers.runtime import CannotRun, open_runner

_KINKED = frozenset({"Relu", "PRelu", "LeakyRelu"})


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
        """Count a value. At other sizes, where every element is a unit, there are other units: they do not count."""
        below, above = self._units(np.asarray(value < 0)), self._units(np.asarray(value > 0))
        if self._below is not None and self._below.shape != below.shape:
            return
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


class Probe:
    """The original with its pre-activations as outputs.

    Args:
        model: The original.
        provider: Where to run it.
        watch: What to watch.

    Raises:
        CannotRun: It does not run like that.
    """

    def __init__(self, model: Model, provider: str, watch: Sequence[Watch]) -> None:
        self._watch = tuple(watch)
        self._runner = open_runner(exposing(model, [each.tensor for each in watch]), provider)
        self._at = {name: index for index, name in enumerate(self._runner.outputs)}

    def __call__(self, feed: Feed) -> list[NDArray[Any]]:
        """What is watched, on inputs.

        Raises:
            CannotRun: It does not run on them.
        """
        results = self._runner.run(feed)
        return [feed[each.tensor] if each.tensor in feed else results[self._at[each.tensor]] for each in self._watch]


class Coverage:
    """How many units of each site saw both sides of zero, over all inputs so far.

    Args:
        model: The original.
        provider: Where to run it.
        watch: What to watch and count. Where that is nothing, its kinks are watched, and nothing is counted.

    Attributes:
        probe: What sees into the original; None if there is nothing to see, or it does not run like that.
    """

    def __init__(self, model: Model, provider: str, watch: Sequence[Watch]) -> None:
        watched = tuple(watch) or kinks(model)
        self.probe: Probe | None = None
        self._refused: str | None = None
        self._seen = [_Seen(each.axis) for each in watch]
        self._watch = watch
        try:
            self.probe = Probe(model, provider, watched) if watched else None
        except CannotRun as refusal:
            self._refused = refusal.reason

    def add(self, feeds: Iterable[Feed]) -> None:
        """Run the original on further inputs, and count."""
        if self.probe is None or self._refused is not None or not self._seen:
            return
        try:
            for feed in feeds:
                for value, units in zip(self.probe(feed), self._seen, strict=True):
                    units.add(value)
        except CannotRun as refusal:
            self._refused = refusal.reason

    def spreads(self) -> tuple[Spread, ...]:
        """What was counted, site by site; nothing where the original does not run like that."""
        if self._refused is not None:
            return ()
        return tuple(units.spread(each.node) for each, units in zip(self._watch, self._seen, strict=True))

    def notes(self) -> tuple[str, ...]:
        """Why nothing was counted, where there was something to count."""
        if self._refused is None or not self._watch:
            return ()
        return (f"which units saw both sides of zero is not known: {self._refused}",)


def kinks(model: Model) -> tuple[Watch, ...]:
    """What goes into the activations of a graph that have a kink at 0, by their ops.

    Of a body or a function the inside cannot be watched; nor is it known what the units of a tensor are.
    """
    return tuple(
        Watch(node.name or node.output[0], node.input[0], None)
        for node in model.proto.graph.node
        if node.op_type in _KINKED and node.domain in ("", "ai.onnx")
    )
