"""Taking times: sessions of several models in turn, in rounds with sessions of their own."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..providers.installed import errors, onnxruntime, told
from ..providers.runner import CannotRun, Runner

Feed = Mapping[str, NDArray[Any]]
Open = Callable[[], Runner]
Clock = Callable[[], int]

_ROUNDS = 8  # that a duration is planned for; how long sessions take to open decides how many it becomes
_FEWEST_ROUNDS = 5
_MOST_TURNS = 100  # a round: more would cost memory and add little, so fast models run several times a sample
_FEWEST_TURNS = 2
_SHORTEST = 50e-6  # seconds a sample: below, the clock and the call weigh in
_STABLE = 0.97  # warm is what no longer gets 3 % faster ...
_PATIENCE = 3  # ... three samples in a row
_WARMING = 0.25  # of a round's time, at most


def wall() -> int:
    """Nanoseconds as they go by."""
    return time.perf_counter_ns()


def own() -> int:
    """Nanoseconds that the processor spent on this thread.

    Where one thread computes, that is the time of a run, and what else the machine does hardly disturbs it.
    """
    return time.thread_time_ns()


def clock_for(provider: str, threads: int) -> Clock:
    """The clock that is least disturbed by what else the machine does, and still tells the time of a run."""
    return own if provider == "cpu" and threads == 1 else wall


def measure(
    openers: Sequence[Open],
    feeds: Sequence[Feed],
    duration: float,
    done: Callable[[float], None],
    clock: Clock = wall,
) -> NDArray[np.float64]:
    """Time models against each other, all in one run.

    Opening sessions counts towards the duration. A round has at least two turns and there are at least five
    rounds, so models that run or open slowly take longer than asked.

    Args:
        openers: Each opens a session of one model.
        feeds: Inputs to rotate through. A single one would be learnt by the branch predictor.
        duration: Seconds to spend.
        done: Told after every round how much of the work is behind, from 0 to 1.
        clock: What runs are timed by; the duration is always by the wall.

    Returns:
        Seconds a run, (models, rounds, turns).

    Raises:
        CannotTime: A model cannot be opened or does not run on the inputs.
    """
    track = Track(openers, feeds, duration / _ROUNDS, clock=clock)
    rounds: list[NDArray[np.float64]] = []
    start = time.perf_counter()
    while (spent := time.perf_counter() - start) < duration or len(rounds) < _FEWEST_ROUNDS:
        if rounds:
            done(min(max(spent / duration, 1 / _ROUNDS), len(rounds) / _FEWEST_ROUNDS))
        rounds.append(track.round(range(len(openers))))
    done(1.0)
    return np.stack(rounds, axis=1)


class CannotTime(CannotRun):
    """A model among several cannot be opened, or does not run.

    Attributes:
        which: Its number.
    """

    def __init__(self, which: int, reason: str) -> None:
        super().__init__(reason)
        self.which = which


class Track:
    """Where models are timed against each other, in rounds.

    Every round opens its sessions anew, in random order, because two sessions of one file differ by about a
    percent for as long as they live. In a round, turns follow each other in which each session takes the same
    inputs, in random order, and none runs twice in a row. How many turns a round has, and how many runs a
    sample, is planned in the first and kept.

    Args:
        openers: Each opens a session of one model.
        feeds: Inputs to rotate through.
        seconds: What a round of all of them is to take, opening the sessions not counted.
        most_turns: Turns of a round, at most.
        clock: What runs are timed by.
    """

    def __init__(
        self,
        openers: Sequence[Open],
        feeds: Sequence[Feed],
        seconds: float,
        *,
        most_turns: int = _MOST_TURNS,
        clock: Clock = wall,
    ) -> None:
        self._openers, self._feeds, self._clock = openers, feeds, clock
        self._seconds, self._most_turns = seconds, most_turns
        self._rng = np.random.default_rng()
        self._plan: tuple[int, int] | None = None

    def round(self, running: Sequence[int]) -> NDArray[np.float64]:
        """Open sessions of these models, warm them, time them, and close them.

        Args:
            running: Numbers of models; all of them in the first round.

        Returns:
            Seconds a run, (running, turns).

        Raises:
            CannotTime: One of them cannot be opened or does not run on the inputs.
        """
        with _no_collection():
            order = self._rng.permutation(running).tolist()
            opened = {which: _Lane(which, self._openers[which], self._feeds, self._clock) for which in order}
            lanes = [opened[which] for which in running]
            limit = self._seconds * _WARMING / len(self._openers)
            times = [lane.warm(limit) for lane in lanes]
            self._plan = self._plan or _planned(times, self._seconds, self._most_turns)
            return _turns(lanes, *self._plan, self._rng)


def _planned(times: Sequence[float], budget: float, most_turns: int) -> tuple[int, int]:
    """Runs a sample and turns a round, for sessions that take so many seconds a run."""
    sample = max(_SHORTEST, budget / most_turns / len(times))
    runs = math.ceil(sample / max(times))
    turns = int(budget / (runs * sum(times)))
    return runs, min(max(turns, _FEWEST_TURNS), most_turns)


def _turns(lanes: Sequence[_Lane], runs: int, turns: int, rng: np.random.Generator) -> NDArray[np.float64]:
    times = np.empty((len(lanes), turns))
    for turn, order in enumerate(orders(len(lanes), turns, rng)):
        for which in order:
            times[which, turn] = lanes[which].sample(turn * runs, runs)
    return times


def orders(count: int, turns: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """A random order of all for each turn, where none comes twice in a row, not even across two turns.

    What ran just before finds its data in the caches, so a repeat would be timed too fast.
    """
    last = -1
    for _ in range(turns):
        order = rng.permutation(count)
        if order[0] == last and count > 1:
            other = int(rng.integers(1, count))
            order[0], order[other] = order[other], last
        last = int(order[-1])
        yield order


class _Lane:
    """A session with its inputs in place."""

    def __init__(self, which: int, opener: Open, feeds: Sequence[Feed], clock: Clock) -> None:
        self._which, self._clock = which, clock
        try:
            runner = opener()
            self._calls = [_call(runner, feed) for feed in feeds]
        except CannotRun as refusal:
            raise CannotTime(which, refusal.reason) from None

    def sample(self, first: int, runs: int) -> float:
        """Seconds a run, over so many runs on inputs from the first one on."""
        calls = [self._calls[(first + run) % len(self._calls)] for run in range(runs)]
        try:
            start = self._clock()
            for call in calls:
                call()
            return (self._clock() - start) / 1e9 / runs
        except CannotRun as refusal:
            raise CannotTime(self._which, refusal.reason) from None

    def warm(self, limit: float) -> float:
        """Run until it no longer gets faster, or for so many seconds; the best seconds a run."""
        start = time.perf_counter()
        best, first, calm = self.sample(0, 1), 1, 0
        runs = math.ceil(_SHORTEST / best)
        while calm < _PATIENCE and time.perf_counter() - start < limit:
            now = self.sample(first, runs)
            calm = calm + 1 if now > best * _STABLE else 0
            best, first = min(best, now), first + runs
        return best


def _call(runner: Runner, feed: Feed) -> Callable[[], object]:
    native = all(value.dtype.isbuiltin == 1 for value in feed.values())
    return _on_device(runner, feed) if runner.provider == "cuda" and native else partial(runner.run, feed)


def _on_device(runner: Runner, feed: Feed) -> Callable[[], object]:
    """A run whose inputs and outputs stay on the CUDA device, and that returns when the device is done.

    Only for numpy's own types: bfloat16 cannot be put there by ONNX Runtime's Python interface.
    """
    failures = errors()
    make, binding = onnxruntime().OrtValue, runner.session.io_binding()
    for name, value in feed.items():
        binding.bind_ortvalue_input(name, make.ortvalue_from_numpy(value, "cuda", 0))
    for name in runner.outputs:
        binding.bind_output(name, "cuda", 0)

    def run() -> None:
        try:
            runner.session.run_with_iobinding(binding)
            binding.synchronize_outputs()
        except failures as error:
            raise CannotRun(told(str(error))) from None

    return run


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the garbage collector out of the times."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
