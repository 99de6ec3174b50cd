"""Latency of models against the first of them, on each provider."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...graph.model import Model
from ..inputs.draw import InputOptions
from ..providers.runtime import CannotRun, Request, requests
from .setting import prepared, shares
from .stats import Verdict, detectable, interval, noise_floor, outliers, verdict
from .timing import measure

_ANY = InputOptions()
_FINE = 0.02  # a difference that nobody looks further for
_LONGER = 20  # seconds to suggest, at least, where no difference was seen


@dataclass(frozen=True)
class Latency:
    """How long two models take on one provider. Times are milliseconds a run, numbers None if not measured.

    Attributes:
        provider: Where they ran.
        status: Whether it came to that.
        required: Whether this provider was asked for by name.
        threads: Threads that a session computes with.
        reason: Why it did not come to that, in words.
        before_ms: Median time of the first model.
        after_ms: Median time of the second model.
        ratio: Median of after over before, pair by pair: below 1 the second model is faster.
        ci_low: Lower end of the ratio's 95 % bootstrap interval.
        ci_high: Its upper end.
        noise: How far from 1 the first model gets against itself, as a relative difference.
        verdict: What follows from these.
        detectable: The smallest relative difference that four of five such measurements would have found.
        against: The second model's name.
        duration: Seconds that the measurement was asked to take.
        sizes: The input shapes that ran.
        rounds: Rounds of measurement, each with sessions of its own.
        pairs: Pairs of times in all rounds.
        outliers: How many times, of both models, lie far out. They are told, not dropped.
        times_before_ms: All times of the first model, round after round.
        times_after_ms: All times of the second model, in the same order.
        times_again_ms: All times of a second session of the first model.
    """

    provider: str
    status: Literal["measured", "not_run"]
    required: bool
    threads: int
    duration: float
    reason: str | None = None
    sizes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    before_ms: float | None = None
    after_ms: float | None = None
    ratio: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    noise: float | None = None
    verdict: Verdict | None = None
    detectable: float | None = None
    against: str = ""
    rounds: int = 0
    pairs: int = 0
    outliers: int = 0
    times_before_ms: tuple[float, ...] = ()
    times_after_ms: tuple[float, ...] = ()
    times_again_ms: tuple[float, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The attributes as a dict that JSON can hold; times to four significant digits."""
        times = {
            name: [float(f"{time:.4g}") for time in getattr(self, name)]
            for name in ("times_before_ms", "times_after_ms", "times_again_ms")
        }
        return asdict(self) | times | {"sizes": {name: list(shape) for name, shape in self.sizes.items()}}

    def sentence(self) -> str:
        """The result in one line.

        >>> Latency("cuda", "not_run", False, 1, 3.0, reason="no device").sentence()
        'not run on CUDA: no device'
        """
        if self.ratio is None or self.noise is None:
            return f"not run on {_place(self.provider)}: {self.reason}"
        if self.verdict != "no difference":
            return f"{self.change()} on {self.place}"
        fine = self.detectable is None or self.detectable <= _FINE
        longer = "" if fine else f"; --duration {max(_LONGER, 4 * self.duration):g} resolves less"
        return f"no difference on {self.place} ({self._ratio()}, noise ±{100 * self.noise:.1f} %){longer}"

    @property
    def place(self) -> str:
        """Where they ran, for people: ``"CPU, 1 thread"``."""
        return f"{_place(self.provider)}, {self.threads} thread{'s' * (self.threads != 1)}"

    def change(self) -> str:
        """What the second model is, compared with the first: ``"1.62x faster [1.58, 1.66]"``."""
        if self.verdict == "no difference":
            return f"no difference, {self._ratio()}"
        if self.ratio is None or self.ci_low is None or self.ci_high is None:
            return "not run"
        ends = (self.ratio, self.ci_low, self.ci_high)
        if self.verdict == "faster":
            ends = (1 / self.ratio, 1 / self.ci_high, 1 / self.ci_low)
        times, low, high = (f"{end:.{3 if 0.9 < self.ratio < 1.1 else 2}f}" for end in ends)
        return f"{times}x {self.verdict} [{low}, {high}]"

    def _ratio(self) -> str:
        return f"ratio {self.ratio:.3f} [{self.ci_low:.3f}, {self.ci_high:.3f}]"


def _place(provider: str) -> str:
    return provider.upper() if provider.islower() else provider


def bench(
    first: Model,
    *others: Model,
    providers: Sequence[str] | None = None,
    options: InputOptions = _ANY,
    threads: int = 1,
    duration: float = 3.0,
    progress: Callable[[str], None] | None = None,
) -> tuple[Latency, ...]:
    """Time models that take the same inputs against the first, and the first against itself, all in one run.

    Args:
        first: The model that the others are compared with.
        others: The others.
        providers: Providers by name, all required; None for the CPU, and CUDA where it truly runs.
        options: Sizes and values of the inputs.
        threads: Threads that a session computes with.
        duration: Seconds for each provider; models that open or run slowly take longer.
        progress: Called with what is being done now.

    Returns:
        For each provider, one result for each of the others. Where a provider cannot run one of the models, all
        of them are ``not_run``.

    Raises:
        BadInput: The inputs that were asked for do not fit the model.
        BadUsage: A shape or dimension is asked for that the model does not have.
    """
    tell = progress or silent
    return tuple(
        latency
        for request in requests(providers)
        for latency in _on(request, (first, *others), options, threads, duration, tell)
    )


def silent(_: str) -> None:
    """Progress that nobody asked to see."""


def _on(
    request: Request,
    models: Sequence[Model],
    options: InputOptions,
    threads: int,
    duration: float,
    progress: Callable[[str], None],
) -> list[Latency]:
    provider = request.provider
    unrun = [
        Latency(provider, "not_run", request.required, threads, duration, against=model.name) for model in models[1:]
    ]
    done = shares(progress, f"bench on {provider}")
    done(0)
    try:
        setting = prepared(models[0], provider, options, threads)
        openers = [setting.opener(model) for model in (*models, models[0])]
        times = measure(openers, setting.inputs, duration, done) * 1e3
    except CannotRun as refusal:
        return [replace(latency, reason=refusal.reason) for latency in unrun]
    before, again = times[0], times[-1]
    return [
        replace(latency, status="measured", sizes=setting.feeds.sizes, **_judged(before, after, again))
        for latency, after in zip(unrun, times[1:-1], strict=True)
    ]


def _judged(before: NDArray[np.float64], after: NDArray[np.float64], again: NDArray[np.float64]) -> dict[str, Any]:
    """What the times say, by the names that :class:`Latency` has for it; each of them milliseconds, (rounds, pairs)."""
    ratio = float(np.median(after / before))
    low, high = interval(after / before)
    noise = noise_floor(again / before)
    return {
        "before_ms": float(np.median(before)),
        "after_ms": float(np.median(after)),
        "ratio": ratio,
        "ci_low": low,
        "ci_high": high,
        "noise": noise,
        "verdict": verdict(ratio, low, high, noise),
        "detectable": detectable(ratio, low, high, noise),
        "rounds": before.shape[0],
        "pairs": before.size,
        "outliers": outliers(before) + outliers(after),
        "times_before_ms": tuple(before.ravel().tolist()),
        "times_after_ms": tuple(after.ravel().tolist()),
        "times_again_ms": tuple(again.ravel().tolist()),
    }
