"""The statistics of a comparison: median paired ratio, bootstrap interval, noise floor, verdict.

Two sessions of one and the same file differ by about a percent, each for as long as it lives, so many pairs
from one pair of sessions say little. Measurements therefore come in rounds, each with sessions of its own, as
an array of ratios (rounds, pairs); and what the original shows against itself, treated in the same way, says
how far from 1 a ratio gets without a reason.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Verdict = Literal["faster", "slower", "no difference"]
Ratios = NDArray[np.float64]

_RESAMPLES = 1000
_AT_ONCE = 50  # resamples drawn together: bounds the memory


def interval(ratios: Ratios, *, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Bootstrap percentile interval of the median, resampling rounds and then pairs within them.

    Resampling few rounds flatters, and resampling within them as well makes up for it. Simulated, at 95 %: it
    holds the true ratio in 97 % of the cases where pairs scatter more than rounds (it is √2 too wide where
    rounds do not differ at all), and where rounds scatter most in 87 % with five, 91 % with eight, 95 % with
    thirty.

    Args:
        ratios: Paired ratios, (rounds, pairs), at least one of each. Costs 1,000 medians over all of them:
            0.1 s for 3,000 pairs.
        level: Probability that the interval holds the true median.
        seed: Of the resampling; equal seeds give equal intervals.

    Returns:
        The lower and the upper end.

    >>> interval(np.full((5, 40), 0.5))
    (0.5, 0.5)
    """
    rng = np.random.default_rng(seed)
    rounds, pairs = ratios.shape
    medians = np.empty(_RESAMPLES)
    for start in range(0, _RESAMPLES, _AT_ONCE):
        chosen = rng.integers(rounds, size=(_AT_ONCE, rounds, 1))
        drawn = ratios[chosen, rng.integers(pairs, size=(_AT_ONCE, rounds, pairs))]
        medians[start : start + _AT_ONCE] = np.median(drawn.reshape(_AT_ONCE, -1), axis=1)
    low, high = np.quantile(medians, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def noise_floor(ratios: Ratios, *, seed: int = 0) -> float:
    """How far from 1 a ratio gets without a reason: the interval's far end, for the original against itself.

    Args:
        ratios: Paired ratios of two sessions of one file, (rounds, pairs).
        seed: Of the resampling.

    Returns:
        A relative difference: 0.02 says that ratios from 1/1.02 to 1.02 mean nothing.
    """
    return max(_distance(end) for end in interval(ratios, seed=seed))


def verdict(ratio: float, low: float, high: float, noise: float) -> Verdict:
    """Judge a median ratio, after over before, that has the interval [low, high].

    There is a difference only if the interval excludes 1 and the ratio is further from 1 than the noise. Simulated,
    with sessions that differ by 0.8 %, that calls a model different from its copy in 2 % of the cases at most,
    though the interval of few rounds is too narrow: rounds that happen to scatter little show little noise, but
    both are then close to 1.

    >>> verdict(0.80, 0.78, 0.82, noise=0.02), verdict(1.01, 1.005, 1.015, noise=0.02)
    ('faster', 'no difference')
    """
    if low <= 1 <= high or _distance(ratio) <= noise:
        return "no difference"
    return "faster" if ratio < 1 else "slower"


def detectable(ratio: float, low: float, high: float, noise: float, *, power: float = 0.8) -> float:
    """The smallest true difference that a measurement like this one would call a difference, most of the time.

    For a verdict, the measured ratio has to leave the noise, and its interval has to leave 1. It scatters around
    the true one as its interval says, so a bit more than either is needed to be seen with some probability.

    Args:
        ratio: The median ratio.
        low: The lower end of its 95 % interval.
        high: The upper end.
        noise: The noise floor.
        power: The probability that such a difference is seen.

    Returns:
        A relative difference.

    >>> f"{detectable(1.0, 0.99, 1.01, noise=0.012):.4f}"
    '0.0163'
    """
    half = (high - low) / 2 / ratio
    quantile = NormalDist().inv_cdf
    return max(half, noise) + quantile(power) * half / quantile(0.975)


def outliers(times: NDArray[np.float64]) -> int:
    """Count the times beyond three interquartile ranges above the third quartile (Tukey's "far out").

    They are told, not dropped: a median does not move by them.
    """
    first, third = np.quantile(times, [0.25, 0.75])
    return int(np.count_nonzero(times > third + 3 * (third - first)))


def _distance(ratio: float) -> float:
    """The relative difference of a ratio from 1, the same for a ratio and its inverse: 2 and ½ give 1."""
    return max(ratio, 1 / ratio) - 1
