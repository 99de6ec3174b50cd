"""Which of several models is fastest, within a budget: those that are clearly slower drop out on the way."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .stats import Verdict, interval, noise_floor, verdict
from .timing import CannotTime, Clock, Feed, Open, Track, wall

_ROUNDS = 8  # that the budget is planned for, were nobody dropped
_MOST_TURNS = 30  # a round: intervals are computed after every round, of all that still run
_SETTLED = 5  # rounds, from which on a race of two may end before its time
_SESSIONS = 0.05  # what a ratio of two sessions may be off by, whatever is timed in them; √n less over n rounds


@dataclass(frozen=True)
class Standing:
    """How a candidate stands against the first. Numbers are None where it was never timed.

    Attributes:
        ms: Median time of a run, milliseconds.
        ratio: Median of its time over the first's, pair by pair: below 1 it is faster.
        low: Lower end of the ratio's 95 % bootstrap interval.
        high: Its upper end.
        noise: How far from 1 a ratio means nothing yet: what the first shows against itself, and what so few
            sessions leave open.
        verdict: What follows from these.
        rounds: Rounds that it ran in, each with a session of its own.
        dropped: Whether it left the race, clearly slower than another.
        reason: Why it cannot run, in words; None where it can.
    """

    ms: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    noise: float | None = None
    verdict: Verdict | None = None
    rounds: int = 0
    dropped: bool = False
    reason: str | None = None


class Interrupted(KeyboardInterrupt):
    """The user interrupted a race.

    Attributes:
        standings: What the finished rounds say, as :func:`race` would have returned it.
    """

    def __init__(self, standings: tuple[Standing, ...]) -> None:
        super().__init__()
        self.standings = standings


Progress = Callable[[float, Sequence[Standing]], None]


def race(
    candidates: Sequence[Open],
    feeds: Sequence[Feed],
    budget: float,
    *,
    clock: Clock = wall,
    progress: Progress | None = None,
) -> tuple[Standing, ...]:
    """Time several models against the first, and find the fastest.

    All run interleaved, as :class:`~.timing.Track` says, and with them a second session of the first, which shows
    the noise. After every round, who is slower than the fastest so far by more than chance and sessions explain
    drops out, so rounds become shorter and the time goes to those between which it is close. The first always
    stays. The race ends when the next round would not fit into the budget, when only the first is left, or when
    one is left beside it and it is clear which of the two is faster.

    All sessions of a round are open at once: memory bounds how many candidates one race can take.

    Args:
        candidates: Each opens a session of one model, as ``partial(open_runner, model, "cpu", threads=1,
            checking=False)`` does. The first is what the others are compared with.
        feeds: Inputs to rotate through, as :func:`~.rotation.rotation` makes them.
        budget: Seconds to spend, opening sessions included. One round is run whatever it takes.
        clock: What runs are timed by; the budget is always by the wall.
        progress: Called after every round with the share of the budget that is spent, from 0 to 1, and the standings.

    Returns:
        One standing a candidate, in their order; the first's ratio is 1. A candidate that cannot run says why.
        Where there is nothing to compare the first with, nothing is timed.

    Raises:
        CannotTime: The first cannot run.
        Interrupted: A KeyboardInterrupt came; the sessions are closed, and the exception has what was measured.
    """
    running = _Race(candidates, feeds, budget, clock)
    start = time.perf_counter()
    spent = last = 0.0
    interrupted = False
    try:
        while not running.decided and spent + last <= budget:
            running.round()
            last, spent = time.perf_counter() - start - spent, time.perf_counter() - start
            if progress is not None:
                progress(min(spent / budget, 1.0), running.standings)
    except KeyboardInterrupt:
        interrupted = True
    if interrupted:  # out of the handler, whose traceback would keep the sessions open
        raise Interrupted(running.standings)
    return running.standings


class _Race:
    """The times so far, and who still runs."""

    def __init__(self, candidates: Sequence[Open], feeds: Sequence[Feed], budget: float, clock: Clock) -> None:
        self._again = len(candidates)
        self._track = Track([*candidates, candidates[0]], feeds, budget / _ROUNDS, most_turns=_MOST_TURNS, clock=clock)
        self._running = list(range(len(candidates)))
        self._times: list[list[NDArray[np.float64]]] = [[] for _ in range(len(candidates) + 1)]
        self._standings = [Standing() for _ in candidates]

    @property
    def standings(self) -> tuple[Standing, ...]:
        return tuple(self._standings)

    @property
    def decided(self) -> bool:
        """Whether more rounds would change nothing that matters."""
        if len(self._running) == 1:
            return True
        other = self._standings[self._running[1]]
        return len(self._running) == 2 and other.rounds >= _SETTLED and other.verdict != "no difference"

    def round(self) -> None:
        """Time all that run, once more, and judge them; what cannot run leaves the race."""
        while True:
            running = [*self._running, self._again]
            try:
                times = self._track.round(running)
            except CannotTime as refusal:
                if refusal.which in (0, self._again):
                    raise
                self._running.remove(refusal.which)
                self._standings[refusal.which] = Standing(reason=refusal.reason)
            else:
                break
        for which, taken in zip(running, times, strict=True):
            self._times[which].append(taken)
        self._judge()
        self._drop()

    def _judge(self) -> None:
        first, again = np.stack(self._times[0]), np.stack(self._times[self._again])
        rounds = len(first)
        noise = max(noise_floor(again / first), _SESSIONS / math.sqrt(rounds))
        for which in self._running:
            times = np.stack(self._times[which])
            ratio = float(np.median(times / first))
            low, high = interval(times / first)
            said = verdict(ratio, low, high, noise)
            ms = float(np.median(times)) * 1e3
            self._standings[which] = Standing(ms, ratio, low, high, noise, said, rounds)

    def _drop(self) -> None:
        """Let go who is slower than the fastest, pair by pair, beyond what its sessions explain."""
        fastest = min(self._running, key=lambda which: self._standings[which].ratio or math.inf)
        best = np.stack(self._times[fastest])
        for which in self._running[1:]:
            ratios = np.stack(self._times[which]) / best
            least = 1 + _SESSIONS / math.sqrt(len(ratios))
            if np.median(ratios) > least and interval(ratios)[0] > least:
                self._running.remove(which)
                self._standings[which] = replace(self._standings[which], dropped=True)
