"""How long a check goes on: one round of inputs for each seed, until all had theirs or the time is up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..inputs.draw import Feeds, InputOptions


@dataclass(frozen=True)
class Effort:
    """How much is tried on each provider; whichever ends first. The first seed is always tried.

    Attributes:
        seeds: How many seeds, from the one of the options on; None for as many as there is time for.
        seconds: For how long to begin with further ones; None for no limit.
    """

    seeds: int | None = 1
    seconds: float | None = None


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
