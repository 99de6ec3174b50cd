"""An input on which a check fails: found, made small, and saved with the line that runs it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...graph.model import Model
from ..inputs.draw import Feed, Feeds
from ..inputs.folders import write_test_data
from ..inputs.minimise import minimised
from ..inputs.ranges import Range
from ..inputs.spec import specs
from ..inputs.values import SCALES
from ..providers.runner import CannotRun, Runner
from .judge import Limits, judge
from .made_nan import held_to_numbers
from .rounding.allowed import steps
from .tolerance import Given
from .trials import Trial, trials

SECOND = "second.onnx"
"""What the second model is called beside an input that fails."""


@dataclass(frozen=True)
class Saving:
    """Where failing inputs go.

    Attributes:
        folder: The folder.
        second: What the second model is called in the line that runs an input again; None if it has no file yet and
            belongs beside the input, as :data:`SECOND`.
    """

    folder: Path
    second: str | None


@dataclass(frozen=True)
class Failing:
    """An input on which a check fails.

    Attributes:
        folder: Where it was saved, as an ONNX test data set with the first model's outputs.
        kind: What kind of input it was made of.
        sizes: The shapes of its inputs.
        values: How many values it has.
        nonzero: How many of them are not 0.
        again: The line that checks on it again.
    """

    folder: str
    kind: str
    sizes: dict[str, tuple[int, ...]]
    values: int
    nonzero: int
    again: str


@dataclass(frozen=True)
class Failure:
    """Two models that differ somewhere.

    Attributes:
        a: The first model.
        b: The second.
        first: Where the first runs.
        second: Where the second runs.
        limits: What passes.
        deterministic: Whether the first model repeats itself, so that rounding can explain a difference.
        ranges: Where inputs have to lie, by name.
    """

    a: Model
    b: Model
    first: Runner
    second: Runner
    limits: Limits
    deterministic: bool
    ranges: Mapping[str, Range]

    def saved(self, tried: Sequence[Trial], saving: Saving) -> Failing | None:
        """Find an input that fails alone, make it small and save it; None where none fails alone.

        Raises:
            BadUsage: It cannot be saved there.
        """
        found = next((trial for trial in tried if self._fails(trial.feed)), None)
        if found is None:
            return None
        feed = minimised(found.feed, specs(self.a.proto), self._fails, self.ranges)
        outputs = dict(zip(self.first.outputs, self.first.run(feed), strict=True))
        place = write_test_data(saving.folder, feed, outputs)
        return Failing(
            str(place),
            found.kind,
            {name: value.shape for name, value in feed.items()},
            sum(value.size for value in feed.values()),
            sum(int(np.count_nonzero(value)) for value in feed.values()),
            self._again(place, saving),
        )

    def _fails(self, feed: Feed) -> bool:
        sizes = {name: value.shape for name, value in feed.items()}
        try:
            inside, _ = trials(self.first, Feeds(sizes, (feed,), SCALES[:1], frozenset()))
        except CannotRun:
            return False
        explained = steps(self.a, self.b, self.first.provider, inside, 0) if self.deterministic else ()
        try:
            rows = judge(inside, self.first.outputs, self.second, self.limits, explained)
            return any(row.failure for row in held_to_numbers(rows, inside, self.first, self.second))
        except CannotRun:
            return True

    def _again(self, place: Path, saving: Saving) -> str:
        given = self.limits.given
        if self.limits.exact and given == Given():
            given = Given(0.0, 0.0)
        words = ["onnx-prelu", "check", self.a.name, saving.second or str(place / SECOND), "--inputs", str(place)]
        words += ["--provider", self.first.provider] if self.first.provider != "cpu" else []
        words += [word for name, share in _shares(given) for word in (f"--{name}", share)]
        for output, own in self.limits.own.items():
            words += ["--tol", f"{output}:{','.join('='.join(each) for each in _shares(own))}"]
        return shlex.join([*words, *(["--signed-zeros"] if self.limits.signed_zeros else [])])


def _shares(given: Given) -> list[tuple[str, str]]:
    """What is given, as options call it."""
    shares = ("atol", given.atol), ("rtol", given.rtol)  # an approximation's bound is no option: it passes more
    return [(name, repr(share)) for name, share in shares if share is not None]
