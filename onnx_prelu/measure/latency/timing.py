"""Taking times: three sessions in turn, in rounds with sessions of their own, until the time is used up."""

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

BEFORE, AFTER, AGAIN = range(3)  # AGAIN is a second session of BEFORE: what differs between these two is noise

_ROUNDS = 8  # that a duration is planned for; how long sessions take to open decides how many it becomes
_FEWEST_ROUNDS = 5
_MOST_TURNS = 100  # a round: more would cost memory and add little, so fast models run several times a sample
_FEWEST_TURNS = 2
_SHORTEST = 50e-6  # seconds a sample: below, the clock and the call weigh in
_STABLE = 0.97  # warm is what no longer gets 3 % faster ...
_PATIENCE = 3  # ... three samples in a row
_WARMING = 0.25  # of a round's time, at most


def measure(
    before: Open, after: Open, feeds: Sequence[Feed], duration: float, done: Callable[[float], None]
) -> NDArray[np.float64]:
    """Time two models against each other, and the first against itself.

    Every round opens its sessions anew, in random order, because two sessions of one file differ by about a
    percent for as long as they live. In a round, turns follow each other in which each session takes the same
    inputs, in random order. Opening sessions counts towards the duration. A round has at least two turns and
    there are at least five rounds, so models that run or open slowly take longer than asked.

    Args:
        before: Opens a session of the first model.
        after: Opens a session of the second model.
        feeds: Inputs to rotate through. A single one would be learnt by the branch predictor.
        duration: Seconds to spend.
        done: Told after every round how much of the work is behind, from 0 to 1.

    Returns:
        Seconds a run, (3, rounds, turns): of before, of after, and of a second session of before.

    Raises:
        CannotRun: A model cannot be opened or does not run on the inputs.
    """
    rng = np.random.default_rng()
    rounds: list[NDArray[np.float64]] = []
    start = time.perf_counter()
    plan: tuple[int, int] | None = None
    while (spent := time.perf_counter() - start) < duration or len(rounds) < _FEWEST_ROUNDS:
        if rounds:
            done(min(max(spent / duration, 1 / _ROUNDS), len(rounds) / _FEWEST_ROUNDS))
        with _no_collection():
            lanes = _open((before, after, before), feeds, rng)
            times = [lane.warm(duration / _ROUNDS * _WARMING / 3) for lane in lanes]
            runs, turns = plan = plan or _plan(times, duration / _ROUNDS)
            rounds.append(_round(lanes, runs, turns, rng))
    done(1.0)
    return np.stack(rounds, axis=1)


def _plan(times: Sequence[float], budget: float) -> tuple[int, int]:
    """Runs a sample and turns a round, for sessions that take so many seconds a run."""
    sample = max(_SHORTEST, budget / _MOST_TURNS / len(times))
    runs = math.ceil(sample / max(times))
    turns = int(budget / (runs * sum(times)))
    return runs, min(max(turns, _FEWEST_TURNS), _MOST_TURNS)


def _round(lanes: Sequence[_Lane], runs: int, turns: int, rng: np.random.Generator) -> NDArray[np.float64]:
    times = np.empty((len(lanes), turns))
    for turn in range(turns):
        for which in rng.permutation(len(lanes)):
            times[which, turn] = lanes[which].sample(turn * runs, runs)
    return times


def _open(openers: Sequence[Open], feeds: Sequence[Feed], rng: np.random.Generator) -> list[_Lane]:
    opened = {which: _Lane(openers[which](), feeds) for which in rng.permutation(len(openers))}
    return [opened[which] for which in range(len(openers))]


class _Lane:
    """A session with its inputs in place."""

    def __init__(self, runner: Runner, feeds: Sequence[Feed]) -> None:
        self._calls = [_call(runner, feed) for feed in feeds]

    def sample(self, first: int, runs: int) -> float:
        """Seconds a run, over so many runs on inputs from the first one on."""
        calls = [self._calls[(first + run) % len(self._calls)] for run in range(runs)]
        start = time.perf_counter_ns()
        for call in calls:
            call()
        return (time.perf_counter_ns() - start) / 1e9 / runs

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
