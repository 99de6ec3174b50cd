"""How long a check goes on: one round of inputs for each seed, until all had theirs or the time is up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ...errors import BadUsage
from ...graph.model import Model
from ..inputs.draw import Feeds, InputOptions, settled


@dataclass(frozen=True)
class Effort:
    """How much is tried on each provider; whichever ends first. The first seed is always tried.

    Attributes:
        seeds: How many seeds, from the one of the options on; None for as many as there is time for.
        seconds: For how long to begin with further ones; None for no limit.
    """

    seeds: int | None = 1
    seconds: float | None = None

    def notes(self, tried: int) -> Iterator[str]:
        """What the reader should know where fewer seeds than were asked for had their turn."""
        if self.seeds is not None and tried < self.seeds:
            why = "the time was up, or the first model does not run on the others"
            yield f"{tried} of {self.seeds} seeds were tried: {why}"


def require_drawn(model: Model, options: InputOptions, effort: Effort) -> None:
    """Find out whether further rounds would be other ones.

    Args:
        model: The model that is fed.
        options: What is fixed about its inputs.
        effort: How much is to be tried.

    Raises:
        BadInput: The given data cannot be read, or do not fit the model's inputs.
        BadUsage: Several seeds are asked for, and nothing is left to draw; or the options make no sense.
    """
    wanted, sets, _ = settled(model, options)
    if (effort.seeds or 1) > 1 and options.inputs is not None and len(sets[0].inputs) == len(wanted):
        raise BadUsage(f"--seeds {effort.seeds}: --inputs gives all values", todo="drop one of them")


def further(options: InputOptions, feeds: Feeds, effort: Effort, started: float) -> Iterator[InputOptions]:
    """What to draw by after the first round.

    Args:
        options: What the first round was drawn by.
        feeds: Its inputs. Where none was drawn, a further round would be the same.
        effort: When to end.
        started: When the first round began, by :func:`time.monotonic`.
    """
    count = 1
    while feeds.drawn and (effort.seeds is None or count < effort.seeds):
        if effort.seconds is not None and time.monotonic() - started >= effort.seconds:
            return
        yield replace(options, seed=options.seed + count)
        count += 1
