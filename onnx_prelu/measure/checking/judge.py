"""A model held to what the original computed, output by output."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..inputs.dtypes import is_float
from ..inputs.spec import shape_text
from ..providers.runner import Runner
from .compare import Difference, compare, magnitude
from .rounding.allowed import Allowed, Explained
from .tolerance import Given, Tolerance, tolerance
from .trials import ORDINARY, Trial

_FEW = 3  # different values in all of an output, at most, where it is saturated ...
_SAMPLE = 4096  # ... looked for among its first elements
_NOTHING = Tolerance(0.0, 0.0)
_BLURRED = 0.01  # of its largest value: where rounding explains so much, an output shows little


@dataclass(frozen=True)
class Limits:
    """What passes.

    Attributes:
        exact: Floats have to be equal, but for the sign of a zero, where the user gives no tolerance.
        signed_zeros: Signs of zeros have to be equal.
        given: What the user gives in place of the rounding, for all outputs.
        own: The same by output, which counts before that.
    """

    exact: bool = False
    signed_zeros: bool = False
    given: Given = field(default_factory=Given)
    own: Mapping[str, Given] = field(default_factory=dict)

    def tolerance(self, name: str, dtype: np.dtype[Any]) -> Tolerance:
        """What may lie between two values of an output, but for rounding; nothing where they have to be equal."""
        if self.exact and not self.is_given(name):
            return Tolerance(0.0, 0.0)
        each = self.of(name)
        return tolerance(dtype, each.atol, each.rtol, each.bound)

    def is_given(self, name: str) -> bool:
        """Whether the user says what passes at an output."""
        return self.of(name) != Given()

    def of(self, name: str) -> Given:
        """What the user gives for an output."""
        return self.own.get(name, self.given)


@dataclass(frozen=True)
class Rounding:
    """How near an output comes to what rounding may make of it.

    Attributes:
        reached: The largest share of what is allowed that any element reaches; above 1 is a failure.
        allowed: The largest ``|a − b|`` that is allowed there; None where all values are equal.
    """

    reached: float
    allowed: float | None


@dataclass(frozen=True)
class Output:
    """How an output of two models compares.

    Attributes:
        name: Its name.
        dtype: Its type, as numpy calls it.
        shape: Its shape on the first batch.
        tolerance: What is allowed; None where the values have to be equal, or where rounding decides.
        difference: What was found, over all batches.
        shows: False if a difference could hardly show here: the output takes a few values only, the same ones
            whatever comes in (saturated), is no float (ArgMax), or rounding alone may move it by a percent.
        random: True if the original, run twice on the same inputs, does not give the same within the tolerance.
        failure: What is wrong, in words; None if it passes.
        rounding: How near it comes to what rounding may make of it; None where a tolerance decides.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    tolerance: Tolerance | None
    difference: Difference
    shows: bool = True
    random: bool = False
    failure: str | None = None
    rounding: Rounding | None = None

    @property
    def equal(self) -> bool:
        """Whether values have to be equal."""
        return self.tolerance is None and self.rounding is None


def judge(
    trials: Sequence[Trial], names: Sequence[str], runner: Runner, limits: Limits, explained: Sequence[Explained] = ()
) -> tuple[Output, ...]:
    """Run a model on every trial, and compare with what is expected.

    Args:
        trials: Inputs, and what is expected.
        names: The names of the outputs.
        runner: The model.
        limits: What passes.
        explained: Tell what rounding explains, each more than the one before. The first is asked where values differ
            that need not be equal, the next where one does not let them pass. Without any, a tolerance decides.

    Raises:
        CannotRun: The model does not run on inputs on which the original runs.
    """
    made = [runner.run(trial.feed) for trial in trials]
    rounded = {
        at
        for at, (name, first) in enumerate(zip(names, trials[0].expected, strict=True))
        if explained and is_float(first.dtype) and not limits.is_given(name) and not limits.exact
    }
    differs = any(
        not np.array_equal(trial.expected[at], row[at], equal_nan=True)
        for trial, row in zip(trials, made, strict=True)
        for at in rounded
    )
    for allowed in (each() for each in explained) if differs else (None,):
        rows = _compared(trials, names, made, limits, rounded, allowed)
        if not any(row.failure and row.rounding for row in rows):
            break
    return rows


def _compared(
    trials: Sequence[Trial],
    names: Sequence[str],
    made: Sequence[Sequence[NDArray[Any]]],
    limits: Limits,
    rounded: Collection[int],
    allowed: Allowed | None,
) -> tuple[Output, ...]:
    """The outputs, with those that are rounded held to what is allowed of them; nothing is where they are equal."""
    scales = _scales(trials)
    ordinary = [trial for trial in trials if trial.kind in ORDINARY] or trials  # extremes get out of any saturation
    rows = []
    for at, name in enumerate(names):
        own = [None] * len(trials) if allowed is None or at not in rounded else [row[at] for row in allowed]
        by_rounding = at in rounded and (allowed is None or all(each is not None for each in own))
        found, reshaped, blurred = Difference(), None, False
        for trial, values, rounding in zip(trials, made, own, strict=True):
            a, b, scale = trial.expected[at], values[at], scales[trial.group][at]
            if a.shape != b.shape or a.dtype != b.dtype:
                reshaped = reshaped or f"is {b.dtype}{shape_text(b.shape)} instead of {a.dtype}{shape_text(a.shape)}"
                continue
            rounding = rounding if by_rounding else None
            if rounding is not None and trial.kind in ORDINARY:
                blurred |= bool(np.median(rounding) > _BLURRED * scale)
            found += compare(a, b, limits.tolerance(name, a.dtype), scale, rounding)
        row = _output(name, [trial.expected[at] for trial in ordinary], found, reshaped, limits, by_rounding)
        rows.append(replace(row, shows=row.shows and not blurred))
    return tuple(rows)


def merged(one: Output, other: Output) -> Output:
    """How an output compares over what two judgements saw, and what is allowed where it comes nearest to that."""
    nearer = max(one, other, key=lambda row: (row.failure is not None, not row.equal, row.difference.excess))
    return replace(
        nearer,
        difference=one.difference + other.difference,
        shows=one.shows or other.shows,
        random=one.random or other.random,
        failure=one.failure or other.failure,
    )


def repeats(trial: Trial, again: Sequence[NDArray[Any]], names: Sequence[str], limits: Limits) -> list[Difference]:
    """What lies between two runs of the original on the same inputs, for each output.

    A difference in shape counts as one of infinite excess.
    """
    return [
        compare(a, b, limits.tolerance(name, a.dtype), magnitude([a]))
        if a.shape == b.shape
        else Difference(unequal=max(a.size, b.size), excess=np.inf)
        for name, a, b in zip(names, trial.expected, again, strict=True)
    ]


def _scales(trials: Sequence[Trial]) -> dict[tuple[float, float], list[float]]:
    """The largest magnitude of each output in each group of trials."""
    scales: dict[tuple[float, float], list[float]] = {}
    for trial in trials:
        own = [magnitude([array]) for array in trial.expected]
        known = scales.get(trial.group, own)
        scales[trial.group] = [max(pair) for pair in zip(known, own, strict=True)]
    return scales


def _output(
    name: str,
    expected: Sequence[NDArray[Any]],
    found: Difference,
    reshaped: str | None,
    limits: Limits,
    by_rounding: bool,
) -> Output:
    first = expected[0]
    allowed = limits.tolerance(name, first.dtype)
    row = Output(
        name,
        str(first.dtype),
        first.shape,
        None if by_rounding or allowed == _NOTHING else allowed,
        found,
        shows=_shows(expected),
        rounding=Rounding(found.excess, found.allowed) if by_rounding else None,
    )
    return replace(row, failure=reshaped or _failure(row, limits))


def _failure(row: Output, limits: Limits) -> str | None:
    found = row.difference
    if found.passes(exact=row.equal, signed_zeros=limits.signed_zeros):
        return None
    if found.lost:
        return f"is NaN or infinite in {found.lost} elements where the original is finite, as at {_at(found)}"
    if row.equal and found.unequal:
        much = f" by up to {found.max_abs:.3g}, {found.max_ulp:.0f} ulp" if found.max_abs else ""
        return f"differs{much} in {found.unequal} of {found.compared} elements, as at {_at(found)}, and has to be equal"
    if found.excess > 1:
        rel = f" ({found.max_rel:.2g} of the largest value)" if found.max_rel is not None else ""
        differs = f"differs by up to {found.max_abs:.3g}{rel}"
        if row.tolerance is None:
            explained = f"{found.excess:.3g} times the {found.allowed:.3g} that rounding explains"
            return f"{differs}; at {_at(found)}, by {explained}"
        much = f"{found.excess:.3g} times what" if np.isfinite(found.excess) else "more than"
        limit = f"atol {row.tolerance.atol:g} of the largest value, rtol {row.tolerance.rtol:g}"
        if row.tolerance.bound:
            limit = f"{row.tolerance.bound:.3g}, {limit}"
        return f"{differs}; at {_at(found)}, by {much} is allowed ({limit})"
    return f"has zeros of the other sign in {found.zero_signs} elements"


def _at(found: Difference) -> str:
    return shape_text(found.where or ())


def _shows(expected: Sequence[NDArray[Any]]) -> bool:
    if not is_float(expected[0].dtype):
        return False
    some = [array.ravel()[:_SAMPLE].astype(np.float64) for array in expected]
    if len(some) > 1 and all(np.array_equal(some[0], other, equal_nan=True) for other in some[1:]):
        return False
    values = np.concatenate(some)
    return values.size <= 2 * _FEW or np.unique(values).size > _FEW
