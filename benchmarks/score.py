"""What times say about a network, and about many."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

_FELT = 0.02  # of the floor: where PReLU costs less than this, a share of it is noise


@dataclass(frozen=True)
class Score:
    """Times of a network, milliseconds a run.

    Attributes:
        network: Its name.
        group: Where it is listed.
        runtime: The version of ONNX Runtime.
        prelu: With PRelu, as it came.
        ours: As it is rewritten.
        relu: With Relu, the floor.
        laid: With Relu, and laid out by the same rules as ours; None where these were forbidden.
    """

    network: str
    group: str
    runtime: str
    prelu: float
    ours: float
    relu: float
    laid: float | None = None

    @property
    def prelu_over_floor(self) -> float:
        """What PReLU costs: 1 would be nothing."""
        return self.prelu / self.relu

    @property
    def ours_over_floor(self) -> float:
        """What is left of it."""
        return self.ours / self.relu

    @property
    def ours_over_laid(self) -> float | None:
        """What is left of it where the floor has the same layout rules."""
        return None if self.laid is None else self.ours / self.laid

    @property
    def speed_up(self) -> float:
        """How many times as fast as it came."""
        return self.prelu / self.ours

    @property
    def removed(self) -> float | None:
        """The share of PReLU's cost that is gone: 1 is the floor, 0 nothing; None where it costs next to nothing."""
        cost = self.prelu - self.relu
        return (self.prelu - self.ours) / cost if cost > _FELT * self.relu else None


@dataclass(frozen=True)
class Summary:
    """Many networks in one line: geometric means of the ratios, the mean of the shares that are gone.

    None where no network has a number.
    """

    prelu_over_floor: float | None
    ours_over_floor: float | None
    ours_over_laid: float | None
    speed_up: float | None
    removed: float | None


def summary(scores: Iterable[Score]) -> Summary:
    """The means over networks."""
    scores = list(scores)
    shares = [score.removed for score in scores if score.removed is not None]
    return Summary(
        geometric_mean(score.prelu_over_floor for score in scores),
        geometric_mean(score.ours_over_floor for score in scores),
        geometric_mean(score.ours_over_laid for score in scores),
        geometric_mean(score.speed_up for score in scores),
        sum(shares) / len(shares) if shares else None,
    )


def geometric_mean(ratios: Iterable[float | None]) -> float | None:
    """The geometric mean of those that are there; None if none is.

    >>> geometric_mean([2.0, None, 0.5])
    1.0
    """
    logarithms = [math.log(ratio) for ratio in ratios if ratio is not None]
    return math.exp(sum(logarithms) / len(logarithms)) if logarithms else None
