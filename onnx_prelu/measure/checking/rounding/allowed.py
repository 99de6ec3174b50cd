"""What rounding may make of each element of each output: the tolerance of a check, with its reason.

Two measures, each loose where the other is not:

- **The bound**: an error is carried beside the values (``walk.py``). It adds up what rounding can do as if it had one
  sign, so it is near for a few layers and grows with depth. Within 4 times it, |a − b| passes.
- **The sensitivity**: all weights moved by one float (``perturbed.py``), twice. It knows how errors cancel, at
  any depth and for any op, but nothing of what no weight touches. Within 16 times its rms, |a − b| passes: that of the
  element or over its sample, whichever is larger.

An element is allowed the smaller one of the two, of the original alone. Where that is passed, the second model is
measured too, and the larger one counts, the second's up to a multiple of the first's: a rewrite may round more than the
original, but a broken model must not widen its own tolerance. The rms of a sample of few elements says little (on a
coarse grid they may stay where they are), so weights are then moved more often. Where one weight cancels itself, as in
(x + c) − c, moving it tells nothing of the rounding between: there the sensitivity is too small for a correct rewrite.

Of 1,008 correct rewrites of drawn networks (six forms, slopes up to ±25, half in float16) none fails. On the inputs
that are drawn at random, |a − b| came to 1.2 times the bound and 6.6 times the rms at most; those on which two models
are farthest apart come nearer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import numpy as np

from ....graph.model import Model
from ....graph.types import infer
from ...costs.macs import macs
from ...inputs.draw import Feed
from ...inputs.dtypes import is_float
from ...inputs.extremes import EXTREMES
from ...providers.names import short
from ...providers.runtime import CannotRun, open_runner
from ..trials import Trial
from .bounded import Array, unit
from .perturbed import perturbed
from .walk import BoundedRun

_BOUNDS = 4  # times the bound pass, and ...
_DEVIATIONS = 16  # ... times the rms of the perturbed
_CAP = 16  # how much farther off the second model may be than the first
_MOST = 5e7  # multiplications in all batches that are walked: about 0.2 s in float64
_AN_ELEMENT = 32  # of them, that the ops around an element take as long as, and ...
_A_NODE = 40_000  # ... a node whatever its size
_TIMES = 2  # that the weights are moved, where few elements are not asked for more:
_ENOUGH = 32  # elements that move, of a sample, all times together, ...
_MANY_TIMES = 16  # ... in this many times at most

Allowed: TypeAlias = list[list[Array | None]]
"""The largest |a − b| that passes, for each trial and output; see :func:`explained`."""

Explained: TypeAlias = Callable[[], Allowed]
"""Tells it, when it is asked."""


@dataclass(frozen=True)
class Measured:
    """How far off rounding may carry an output, element by element.

    Attributes:
        bound: By the bound; None behind an op that has no rule, and where a walk would take too long.
        moved: By the sensitivity; None where weights cannot be moved.
    """

    bound: Array | None
    moved: Array | None

    def seen(self, view: Callable[[Array], Array]) -> Measured:
        """The same of what is seen of the output, a part of it or a multiple."""
        return Measured(*(None if each is None else np.abs(view(each)) for each in (self.bound, self.moved)))

    def or_more(self, other: Measured) -> Measured:
        """The same, or what another one of the same output says, where that is more."""
        moved = other.moved if self.moved is None or other.moved is None else np.fmax(self.moved, other.moved)
        return Measured(self.bound, moved)


def steps(a: Model, b: Model, provider: str, trials: Sequence[Trial], seed: int) -> tuple[Explained, ...]:
    """How far two models that compute the same may be apart by rounding: each step allows more, and takes longer.

    The original's own measures are the first step, those of both models, with weights moved often enough, the second.

    Args:
        a: The original.
        b: The other one.
        provider: Where they run.
        trials: What they run on.
        seed: Of the directions in which weights are moved.
    """
    feeds, expected = [trial.feed for trial in trials], [trial.expected for trial in trials]
    names = [output.name for output in a.proto.graph.output]
    times = often(expected[0])
    first = cache(lambda times: measured(a, provider, feeds, seed, times, expected))
    least = _least(trials)

    def of(firsts: Iterable[dict[str, Measured]], seconds: Iterable[dict[str, Measured]]) -> Allowed:
        return [
            [
                explained(one[name], two[name], value, known)
                for name, value, known in zip(names, values, own, strict=True)
            ]
            for one, two, values, own in zip(firsts, seconds, expected, least, strict=True)
        ]

    def alone() -> Allowed:
        return of(first(_TIMES), first(_TIMES))

    def together() -> Allowed:
        pairs = zip(first(_TIMES), first(times), strict=True)
        more = ({name: few[name].or_more(many[name]) for name in names} for few, many in pairs)
        return of(more, measured(b, provider, feeds, seed, times))

    return cache(alone), cache(together)


def often(outputs: Iterable[Array]) -> int:
    """How often weights have to be moved for an rms that can be trusted of each sample, however few elements it has."""
    least = min((math.prod(each.shape[1:]) for each in outputs if is_float(each.dtype) and each.size), default=_ENOUGH)
    return max(_TIMES, min(_MANY_TIMES, -(-_ENOUGH // least)))


def measured(
    model: Model,
    provider: str,
    feeds: Sequence[Feed],
    seed: int,
    times: int,
    made: Sequence[Sequence[Array]] | None = None,
) -> list[dict[str, Measured]]:
    """How far off rounding may carry each output of a model, for each batch.

    Args:
        model: The model.
        provider: Where it runs.
        feeds: The batches.
        seed: Of the directions in which weights are moved.
        times: How often they are moved.
        made: What comes out there; None where that is not known yet.
    """
    names = [output.name for output in model.proto.graph.output]
    bounds, moved = _walked(model, feeds), _sensitivity(model, provider, feeds, seed, times, made)
    return [
        {name: Measured(*both) for name, *both in zip(names, *rows, strict=True)}
        for rows in zip(bounds, moved, strict=True)
    ]


def _least(trials: Sequence[Trial]) -> list[list[float]]:
    """For each trial and output, what its largest value is off by when it is stored: nothing is known better.

    Extremes, of denormals say, are as large as what they are drawn to compare with: below the normal range rounding is
    no share of a value, so moving weights does not tell of it.
    """
    own = [[_stored(value) for value in trial.expected] for trial in trials]
    groups: dict[tuple[float, float], list[float]] = {}
    for trial, least in zip(trials, own, strict=True):
        groups[trial.group] = list(map(max, groups.get(trial.group, least), least))
    return [groups[trial.group] if trial.kind in EXTREMES else least for trial, least in zip(trials, own, strict=True)]


def explained(first: Measured, second: Measured, expected: Array, least: float | None = None) -> Array | None:
    """The largest |a − b| that passes, element by element.

    Args:
        first: Of the original.
        second: Of the other model.
        expected: What the original computes.
        least: What nothing of it is known better than; None for what its largest value is off by when it is stored.

    Returns:
        NaN or infinite where neither measure tells, and None where none tells anything of the output.
    """
    if not is_float(expected.dtype):
        return None
    least = _stored(expected) if least is None else least
    return _smaller(_larger(first.bound, second.bound, least), _larger(first.moved, second.moved, least))


def _larger(first: Array | None, second: Array | None, least: float) -> Array | None:
    """The larger one of two models' measures, the second's up to a multiple of the largest of the first's."""
    if first is None:
        return None
    first = np.maximum(first, least)
    if second is None or second.shape != first.shape:
        return first
    most = _CAP * float(np.max(first, where=np.isfinite(first), initial=0.0))
    return np.fmax(first, np.minimum(second, most))


def _stored(expected: Array) -> float:
    """What the largest value of an output is off by when it is stored; 0 of what is no float."""
    if not is_float(expected.dtype):
        return 0.0
    size = np.abs(expected.astype(np.float64))
    return unit(expected.dtype) * float(np.max(size, where=np.isfinite(size), initial=0.0))


def _smaller(bound: Array | None, moved: Array | None) -> Array | None:
    if bound is None:
        return None if moved is None else _DEVIATIONS * moved
    return _BOUNDS * bound if moved is None else np.fmin(_BOUNDS * bound, _DEVIATIONS * moved)


def _walked(model: Model, feeds: Sequence[Feed]) -> Allowed:
    """The bound of each output on each batch that is walked, of the outputs' shape; None behind what is not covered."""
    run = BoundedRun(model)
    bounds: Allowed = [[None] * len(model.proto.graph.output) for _ in feeds]
    for at in _soon(model, feeds) if run.covers else ():
        bounds[at] = [None if each is None else each.error for each in run.bounds(feeds[at])]
    return bounds


def _soon(model: Model, feeds: Sequence[Feed]) -> list[int]:
    """Which batches can be walked sooner than people begin to wait, evenly over all of them."""
    types = infer(model, {name: value.shape for name, value in feeds[0].items()})
    layers = macs(model.proto, types)
    if layers is None:
        return []
    elements = sum(math.prod(shape) for each in types.values() if (shape := each.fixed) is not None)
    count = min(int(_MOST / (layers + _AN_ELEMENT * elements + _A_NODE * len(model.proto.graph.node))), len(feeds))
    return [len(feeds) * (2 * at + 1) // (2 * count) for at in range(count)]


def _sensitivity(
    model: Model,
    provider: str,
    feeds: Sequence[Feed],
    seed: int,
    times: int,
    made: Sequence[Sequence[Array]] | None,
) -> Allowed:
    """The rms by which the outputs move with the weights; None where they cannot be moved."""
    nothing: Allowed = [[None] * len(model.proto.graph.output) for _ in feeds]
    if short(provider) == "reference":  # it is too slow for that
        return nothing
    rng = np.random.default_rng([seed, 1])
    try:
        known = _run(model, provider, feeds) if made is None else made
        spreads = [[_Spread(value) for value in row] for row in known]
        for _ in range(times):
            moved = perturbed(model, rng)
            if moved is None:
                return nothing
            for row, values in zip(spreads, _run(moved, provider, feeds), strict=True):
                for spread, value in zip(row, values, strict=True):
                    spread.add(value)
    except CannotRun:
        return nothing
    return [[spread.rms() for spread in row] for row in spreads]


def _run(model: Model, provider: str, feeds: Sequence[Feed]) -> Iterator[Sequence[Array]]:
    runner = open_runner(model, provider)
    return (runner.run(feed) for feed in feeds)


class _Spread:
    """How far arrays, told one after the other, lie from a first one."""

    def __init__(self, first: Array) -> None:
        self._first = first
        self._count = 0
        self._squares: Array | float = 0.0
        self._alike = True

    def add(self, made: Array) -> None:
        self._alike = self._alike and is_float(made.dtype) and made.shape == self._first.shape
        if self._alike:
            with np.errstate(all="ignore"):
                self._squares = self._squares + (made.astype(np.float64) - self._first.astype(np.float64)) ** 2
            self._count += 1

    def rms(self) -> Array | None:
        """Of each element, or over its sample (all axes but the first): the larger one."""
        if not self._alike or not self._count:
            return None
        with np.errstate(all="ignore"):
            squares = np.asarray(self._squares) / self._count
            axes = tuple(range(1, squares.ndim))
            return np.asarray(np.sqrt(np.maximum(squares, np.mean(squares, axis=axes, keepdims=True))))
