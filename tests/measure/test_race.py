"""Who drops out of a race, when it ends, and what an interrupt leaves, by a clock of the tests' own."""

from collections.abc import Callable

import pytest
from clock import FEEDS, Clock

from onnx_prelu.measure.latency import race as room
from onnx_prelu.measure.latency import timing
from onnx_prelu.measure.latency.race import Interrupted, Standing, race
from onnx_prelu.measure.providers.runner import CannotRun, Runner


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    for module in (timing, room):
        monkeypatch.setattr(module, "time", clock)
    return clock


def refuse() -> Runner:
    raise CannotRun("no such op")


def test_standings_are_ratios_to_the_first(clock: Clock):
    first, same, faster, slower = race(clock.openers(a=0.01, b=0.01, c=0.009, d=0.02), FEEDS, 10.0)
    assert (first.ratio, first.verdict, first.reason) == (1.0, "no difference", None)
    assert first.ms == pytest.approx(10.0)
    assert (same.ratio, same.verdict) == (pytest.approx(1.0), "no difference")
    assert (faster.ratio, faster.low, faster.high) == pytest.approx((0.9, 0.9, 0.9))
    assert (faster.verdict, slower.verdict) == ("faster", "slower")
    assert slower.ratio == pytest.approx(2.0)


def test_the_clearly_slower_drop_out_and_their_time_goes_to_the_others(clock: Clock):
    first, close, slower = race(clock.openers(a=0.010, b=0.0101, c=0.012), FEEDS, 10.0)
    assert (first.dropped, close.dropped, slower.dropped) == (False, False, True)
    assert slower.rounds == 1
    assert first.rounds == close.rounds > 8
    assert clock.now == pytest.approx(10.0, rel=0.1)


def test_a_few_percent_take_more_rounds_to_drop(clock: Clock):
    standings = race(clock.openers(a=0.010, b=0.0103, c=0.0101), FEEDS, 100.0)
    assert standings[1].dropped
    assert 2 <= standings[1].rounds < standings[2].rounds


def test_a_race_that_is_decided_ends_before_its_time(clock: Clock):
    first, faster, slower = race(clock.openers(a=0.010, b=0.005, c=0.02), FEEDS, 100.0)
    assert (faster.verdict, faster.rounds, faster.dropped) == ("faster", 5, False)
    assert (first.dropped, slower.dropped) == (False, True)
    assert clock.now < 70


def test_where_nothing_is_faster_the_first_is_left(clock: Clock):
    first, slower = race(clock.openers(a=0.010, b=0.02), FEEDS, 100.0)
    assert (first.rounds, slower.rounds, slower.dropped) == (1, 1, True)


def test_the_first_alone_is_a_short_race(clock: Clock):
    assert race(clock.openers(a=0.01), FEEDS, 10.0) == (Standing(),)
    assert not clock.ran


def test_what_cannot_run_says_why_and_does_not_stop_the_others(clock: Clock):
    standings = race([clock.opener("a", 0.01), refuse, clock.opener("c", 0.009)], FEEDS, 5.0)
    assert standings[1] == Standing(reason="no such op")
    assert standings[2].verdict == "faster"


def test_a_first_that_cannot_run_is_an_error(clock: Clock):
    with pytest.raises(timing.CannotTime, match="no such op"):
        race([refuse, clock.opener("b", 0.01)], FEEDS, 5.0)


def test_the_budget_holds_opening_too_and_one_round_is_run_whatever_it_takes(clock: Clock):
    slow = [clock.opener(name, 0.01, opening=2.0) for name in "ab"]
    assert race(slow, FEEDS, 20.0)[1].rounds == 2  # three sessions to open: more than six seconds a round
    assert clock.now <= 20.0
    assert race(slow, FEEDS, 0.1)[1].rounds == 1


def test_few_rounds_do_not_prove_a_small_gain(clock: Clock):
    """Two sessions of one file differ by a percent: 3 % over one pair of sessions may be no gain at all."""
    slow = [clock.opener(name, seconds, opening=5.0) for name, seconds in (("a", 0.01), ("b", 0.0097))]
    assert race(slow, FEEDS, 1.0)[1].verdict == "no difference"
    assert race(clock.openers(a=0.01, b=0.0097), FEEDS, 10.0)[1].verdict == "faster"


def interrupting(clock: Clock, opener: Callable[[], Runner], times: int) -> Callable[[], Runner]:
    left = [times]

    def opened() -> Runner:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return opener()

    return opened


@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_an_interrupt_brings_what_was_measured(clock: Clock, rounds):
    second = interrupting(clock, clock.opener("b", 0.01), rounds)
    with pytest.raises(Interrupted) as caught:
        race([clock.opener("a", 0.01), second], FEEDS, 10.0)
    assert [standing.rounds for standing in caught.value.standings] == [rounds, rounds]
    assert caught.value.__context__ is None  # its traceback would hold the sessions


def test_progress_tells_the_share_and_the_standings(clock: Clock):
    seen: list[tuple[float, int]] = []
    race(clock.openers(a=0.01, b=0.01), FEEDS, 8.0, progress=lambda share, now: seen.append((share, now[1].rounds)))
    shares = [share for share, _ in seen]
    assert shares == sorted(shares)
    assert 0.9 < shares[-1] <= 1
    assert [rounds for _, rounds in seen] == list(range(1, len(seen) + 1))
