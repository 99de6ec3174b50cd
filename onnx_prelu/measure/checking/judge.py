"""A model held to what the original computed, output by output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..inputs.dtypes import is_float
from ..inputs.spec import shape_text
from ..providers.runner import Runner
from .compare import Difference, compare, magnitude
from .tolerance import Tolerance, tolerance
from .trials import Trial

_FEW = 3  # different values in all of an output, at most, where it is saturated ...
_SAMPLE = 4096  # ... looked for among its first elements


@dataclass(frozen=True)
class Limits:
    """What passes.

    Attributes:
        exact: Floats have to be equal, but for the sign of a zero.
        signed_zeros: Signs of zeros have to be equal.
        atol: In place of the type's own.
        rtol: In place of the type's own.
    """

    exact: bool = False
    signed_zeros: bool = False
    atol: float | None = None
    rtol: float | None = None

    def tolerance(self, dtype: np.dtype[Any]) -> Tolerance:
        """What may lie between two values of a type; nothing where they have to be equal."""
        return Tolerance(0.0, 0.0) if self.exact else tolerance(dtype, self.atol, self.rtol)


@dataclass(frozen=True)
class Output:
    """How an output of two models compares.

    Attributes:
        name: Its name.
        dtype: Its type, as numpy calls it.
        shape: Its shape on the first batch.
        tolerance: What is allowed; None where the values have to be equal.
        difference: What was found, over all batches.
        shows: False if a difference could hardly show here: the output takes a few values only, the same ones
            whatever comes in (saturated), or is no float (ArgMax).
        random: True if the original, run twice on the same inputs, does not give the same within the tolerance.
        failure: What is wrong, in words; None if it passes.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    tolerance: Tolerance | None
    difference: Difference
    shows: bool = True
    random: bool = False
    failure: str | None = None


def judge(trials: Sequence[Trial], names: Sequence[str], runner: Runner, limits: Limits) -> tuple[Output, ...]:
    """Run a model on every trial, and compare with what is expected.

    Args:
        trials: Inputs, and what is expected.
        names: The names of the outputs.
        runner: The model.
        limits: What passes.

    Raises:
        CannotRun: The model does not run on inputs on which the original runs.
    """
    scales = _scales(trials)
    found = [Difference() for _ in names]
    reshaped: list[str | None] = [None for _ in names]
    for trial in trials:
        for at, (a, b) in enumerate(zip(trial.expected, runner.run(trial.feed), strict=True)):
            if a.shape != b.shape or a.dtype != b.dtype:
                reshaped[at] = f"is {b.dtype}{shape_text(b.shape)} instead of {a.dtype}{shape_text(a.shape)}"
            else:
                found[at] += compare(a, b, limits.tolerance(a.dtype), scales[trial.group][at])
    return tuple(
        _output(name, [trial.expected[at] for trial in trials], found[at], reshaped[at], limits)
        for at, name in enumerate(names)
    )


def repeats(trial: Trial, again: Sequence[NDArray[Any]], limits: Limits) -> list[Difference]:
    """What lies between two runs of the original on the same inputs, for each output.

    A difference in shape counts as one of infinite excess.
    """
    return [
        compare(a, b, limits.tolerance(a.dtype), magnitude([a]))
        if a.shape == b.shape
        else Difference(unequal=max(a.size, b.size), excess=np.inf)
        for a, b in zip(trial.expected, again, strict=True)
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
    name: str, expected: Sequence[NDArray[Any]], found: Difference, reshaped: str | None, limits: Limits
) -> Output:
    first = expected[0]
    allowed = limits.tolerance(first.dtype)
    equal = allowed == Tolerance(0.0, 0.0)
    return Output(
        name,
        str(first.dtype),
        first.shape,
        None if equal else allowed,
        found,
        shows=_shows(expected),
        failure=reshaped or _failure(found, allowed, equal, limits),
    )


def _failure(found: Difference, allowed: Tolerance, equal: bool, limits: Limits) -> str | None:
    if found.passes(exact=equal, signed_zeros=limits.signed_zeros):
        return None
    if found.lost:
        return f"is NaN or infinite in {found.lost} elements where the original is finite, as at {_at(found)}"
    if equal and found.unequal:
        much = f" by up to {found.max_abs:.3g}, {found.max_ulp:.0f} ulp" if found.max_abs else ""
        return f"differs{much} in {found.unequal} of {found.compared} elements, as at {_at(found)}, and has to be equal"
    if found.excess > 1:
        rel = f" ({found.max_rel:.2g} of the largest value)" if found.max_rel is not None else ""
        much = f"{found.excess:.3g} times what" if np.isfinite(found.excess) else "where nothing"
        limit = f"atol {allowed.atol:g} of the largest value, rtol {allowed.rtol:g}"
        return f"differs by up to {found.max_abs:.3g}{rel}, {much} is allowed at {_at(found)} ({limit})"
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
