"""The statistics, on distributions whose truth is known."""

import os

import numpy as np
import pytest

from onnx_prelu.measure.latency.stats import detectable, interval, noise_floor, outliers, verdict

SIMULATIONS = 500 if os.environ.get("ONNX_PRELU_FULL") else 50


def three_sessions(
    rng: np.random.Generator, rounds: int, *, between: float, within: float, effect: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Ratios of after and of a second before, over before: sessions with offsets, times with a long upper tail."""
    offset = rng.normal(0, between, (3, rounds, 1))
    jitter = rng.normal(0, within, (3, rounds, 60)) + 0.3 * within * np.abs(rng.standard_t(2, (3, rounds, 60)))
    before, after, again = np.exp(offset + jitter)
    return after * effect / before, again / before


def judge(ratios: np.ndarray, itself: np.ndarray) -> str:
    return verdict(float(np.median(ratios)), *interval(ratios), noise_floor(itself))


@pytest.mark.parametrize(
    ("rounds", "between", "within"),
    [(8, 0.008, 0.01), (8, 0.008, 0.05), (8, 0.0, 0.05), (8, 0.003, 0.1), (5, 0.001, 0.001), (5, 0.008, 0.01)],
)
def test_a_model_against_its_copy_is_no_difference(rounds, between, within):
    rng = np.random.default_rng(0)
    verdicts = [judge(*three_sessions(rng, rounds, between=between, within=within)) for _ in range(SIMULATIONS)]
    assert verdicts.count("no difference") >= 0.96 * SIMULATIONS


@pytest.mark.parametrize(("effect", "expected"), [(0.96, "faster"), (1.04, "slower")])
def test_four_percent_are_seen_through_sessions_that_differ_by_one(effect, expected):
    rng = np.random.default_rng(0)
    verdicts = [judge(*three_sessions(rng, 8, between=0.008, within=0.02, effect=effect)) for _ in range(SIMULATIONS)]
    assert verdicts.count(expected) >= 0.95 * SIMULATIONS


def test_what_is_said_to_be_detectable_is_detected_in_most_cases():
    """Four of five at the median of what such measurements say; a wide band, since rounds are few."""
    rng = np.random.default_rng(0)
    said = []
    for _ in range(20):
        ratios, itself = three_sessions(rng, 8, between=0.008, within=0.02)
        said.append(detectable(float(np.median(ratios)), *interval(ratios), noise_floor(itself)))
    effect = 1 + float(np.median(said))
    seen = [
        judge(*three_sessions(rng, 8, between=0.008, within=0.02, effect=effect)) == "slower"
        for _ in range(SIMULATIONS)
    ]
    assert 0.65 <= np.mean(seen) <= 0.97


def test_detectable_is_beyond_both_the_noise_and_half_the_interval():
    assert detectable(1.0, 1.0, 1.0, noise=0.02) == 0.02
    assert detectable(1.0, 0.99, 1.01, noise=0.0) == pytest.approx(0.01 * (1 + 0.8416 / 1.96), rel=1e-3)
    assert detectable(0.5, 0.495, 0.505, noise=0.0) == pytest.approx(detectable(1.0, 0.99, 1.01, noise=0.0))
    assert detectable(1.0, 0.99, 1.01, noise=0.0, power=0.5) == pytest.approx(0.01)


def test_the_interval_of_independent_pairs_is_that_of_a_median():
    """A normal sample's median has the standard error √(π/2)·σ/√n; resampling on two levels counts it twice."""
    ratios = np.random.default_rng(0).normal(2.0, 0.1, (50, 40))
    low, high = interval(ratios)
    assert low < 2.0 < high
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(2 * np.pi / 2) * 0.1 / np.sqrt(2000), rel=0.1)


def test_the_interval_covers_the_offsets_of_the_rounds():
    """Pairs without any jitter: what is uncertain is which rounds were drawn, so all of their range counts."""
    rounds = np.array([0.98, 0.99, 1.0, 1.01, 1.02])
    assert interval(np.repeat(rounds[:, None], 100, axis=1)) == (0.98, 1.02)


def test_a_wider_level_is_a_wider_interval():
    ratios = np.random.default_rng(0).normal(1.0, 0.1, (8, 30))
    low, high = interval(ratios, level=0.5)
    lower, higher = interval(ratios, level=0.99)
    assert lower < low < high < higher


def test_equal_seeds_give_equal_intervals():
    ratios = np.random.default_rng(0).normal(1.0, 0.1, (8, 30))
    assert interval(ratios, seed=3) == interval(ratios, seed=3) != interval(ratios, seed=4)


def test_one_round_of_one_pair_is_its_own_interval():
    assert interval(np.array([[1.25]])) == (1.25, 1.25)


@pytest.mark.parametrize(("ratio", "noise"), [(1.0, 0.0), (1.002, 0.002), (1.25, 0.25), (0.8, 0.25)])
def test_noise_is_the_same_for_a_ratio_and_its_inverse(ratio, noise):
    assert noise_floor(np.full((5, 10), ratio)) == pytest.approx(noise)


@pytest.mark.parametrize(
    ("ratio", "low", "high", "noise", "expected"),
    [
        (0.80, 0.78, 0.82, 0.02, "faster"),
        (1.25, 1.20, 1.30, 0.02, "slower"),
        (0.98, 0.96, 1.01, 0.0, "no difference"),  # the interval holds 1
        (1.02, 1.00, 1.04, 0.0, "no difference"),  # and so it does at its end
        (0.98, 0.97, 0.99, 0.03, "no difference"),  # within the noise
        (1.02, 1.01, 1.03, 0.03, "no difference"),
        (0.98, 0.97, 0.99, 0.01, "faster"),
    ],
)
def test_verdicts(ratio, low, high, noise, expected):
    assert verdict(ratio, low, high, noise) == expected


def test_outliers_are_counted_above_only():
    """Quartiles of 0 … 100 are 25 and 75: far out is above 225."""
    times = np.arange(101, dtype=float)
    assert outliers(times) == 0
    assert outliers(np.append(times, [-1000.0, 220.0])) == 0
    assert outliers(np.append(times, [400.0, 1000.0])) == 2
