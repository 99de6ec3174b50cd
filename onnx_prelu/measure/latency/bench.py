"""Latency of two models against each other, on each provider."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...graph.model import Model
from ..inputs.draw import InputOptions, draw
from ..providers.runtime import CannotRun, Request, open_runner, requests
from .rotation import rotation
from .stats import LEAST_NOISE, Verdict, interval, noise_floor, outliers, verdict
from .timing import measure

_ANY = InputOptions()
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
        noise: How far from 1 the first model gets against itself, as a relative difference; at least
            :data:`~.stats.LEAST_NOISE`.
        verdict: What follows from these.
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
        where = self.provider.upper() if self.provider.islower() else self.provider
        if self.ratio is None or self.ci_low is None or self.ci_high is None or self.noise is None:
            return f"not run on {where}: {self.reason}"
        where += f", {self.threads} thread{'s' * (self.threads != 1)}"
        digits = 3 if 0.9 < self.ratio < 1.1 else 2
        if self.verdict != "no difference":
            faster = self.verdict == "faster"
            ends = (
                (1 / self.ratio, 1 / self.ci_high, 1 / self.ci_low)
                if faster
                else (self.ratio, self.ci_low, self.ci_high)
            )
            times, low, high = (f"{end:.{digits}f}" for end in ends)
            return f"{times}x {self.verdict} [{low}, {high}] on {where}"
        ratio = f"ratio {self.ratio:.3f} [{self.ci_low:.3f}, {self.ci_high:.3f}], noise ±{100 * self.noise:.1f} %"
        longer = f"; --duration {max(_LONGER, 4 * self.duration):g} resolves less" if self.noise > LEAST_NOISE else ""
        return f"no difference on {where} ({ratio}){longer}"


def bench(
    a: Model,
    b: Model,
    *,
    providers: Sequence[str] | None = None,
    options: InputOptions = _ANY,
    threads: int = 1,
    duration: float = 3.0,
    progress: Callable[[str], None] | None = None,
) -> tuple[Latency, ...]:
    """Time two models that take the same inputs against each other, and the first against itself.

    Args:
        a: The model before.
        b: The model after.
        providers: Providers by name, all required; None for the CPU, and CUDA where it truly runs.
        options: Sizes and values of the inputs.
        threads: Threads that a session computes with.
        duration: Seconds for each provider; models that open or run slowly take longer.
        progress: Called with what is being done now.

    Returns:
        One result for each provider. A provider that cannot run one of the models is ``not_run``.

    Raises:
        BadInput: The inputs that were asked for do not fit the model.
    """
    return tuple(_on(request, a, b, options, threads, duration, progress or _silent) for request in requests(providers))


def _on(
    request: Request,
    a: Model,
    b: Model,
    options: InputOptions,
    threads: int,
    duration: float,
    progress: Callable[[str], None],
) -> Latency:
    provider = request.provider
    before, after = (partial(open_runner, model, provider, threads=threads, checking=False) for model in (a, b))

    def done(share: float) -> None:
        progress(f"bench on {provider} {100 * share:.0f} %")

    done(0)
    try:
        feeds = draw(a, options, before())
        times = measure([before, after, before], rotation(feeds, options.seed), duration, done)
    except CannotRun as refusal:
        return Latency(provider, "not_run", request.required, threads, duration, reason=refusal.reason)
    return Latency(provider, "measured", request.required, threads, duration, sizes=feeds.sizes, **_judged(times * 1e3))


def _judged(times: NDArray[np.float64]) -> dict[str, Any]:
    """What the times say, by the names that :class:`Latency` has for it.

    Args:
        times: Milliseconds, (3, rounds, pairs), as :func:`measure` gives them.
    """
    before, after, again = times
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
        "rounds": before.shape[0],
        "pairs": before.size,
        "outliers": outliers(before) + outliers(after),
        "times_before_ms": tuple(before.ravel().tolist()),
        "times_after_ms": tuple(after.ravel().tolist()),
        "times_again_ms": tuple(again.ravel().tolist()),
    }


def _silent(_: str) -> None:
    """Progress that nobody asked to see."""
