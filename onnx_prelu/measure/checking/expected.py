"""Both models held to what a data set says should come out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..inputs.data import DataSet
from ..inputs.values import SCALES
from ..providers.runner import CannotRun, Runner
from .judge import Limits, Output, judge
from .trials import Trial


@dataclass(frozen=True)
class Expected:
    """How both models compare with the outputs of a data set.

    Attributes:
        name: The data set.
        first: What the first model gives otherwise, in words; None if it gives what is expected.
        second: The same of the second.
    """

    name: str
    first: str | None
    second: str | None

    @property
    def failure(self) -> str | None:
        """Why the second model fails: the first gives what is expected, and it does not."""
        if self.first is not None or self.second is None:
            return None
        return f"{self.second}, compared with what '{self.name}' expects, which the first model gives"

    def sentence(self) -> str | None:
        """Which models give something else, in words; None where both give what is expected."""
        which = (("first", self.first), ("second", self.second))
        told = [f"the {model} model's {otherwise}" for model, otherwise in which if otherwise is not None]
        return f"'{self.name}' expects other outputs: {'; '.join(told)}" if told else None


def against_expected(sets: Sequence[DataSet], first: Runner, second: Runner, limits: Limits) -> Iterator[Expected]:
    """Compare both models with each data set, within the tolerance: where it is from, all was rounded otherwise.

    Args:
        sets: Data sets that have outputs.
        first: The first model.
        second: The second.
        limits: What passes; equal values are asked of nobody.
    """
    loose = replace(limits, exact=False, signed_zeros=False)
    for each in sets:
        trial = Trial(dict(each.inputs), list(each.outputs or ()), (SCALES[0], 1.0), "given")
        yield Expected(each.name, *(_otherwise(trial, runner, loose) for runner in (first, second)))


def _otherwise(trial: Trial, runner: Runner, limits: Limits) -> str | None:
    try:
        rows = judge([trial], runner.outputs, runner, limits)
    except CannotRun as refusal:
        return f"run fails: {refusal.reason}"
    return next((f"output '{row.name}' {wrong}" for row in rows if (wrong := _wrong(row))), None)


def _wrong(row: Output) -> str | None:
    """What is wrong with an output: here NaN and infinities are expected like other values."""
    if row.failure or not row.difference.patterns:
        return row.failure
    return f"differs in {row.difference.patterns} elements where NaN or infinity is expected"
