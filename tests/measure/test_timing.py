"""How sessions take turns, by a clock of the tests' own."""

import gc
import itertools
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
from clock import FEEDS, Clock

from onnx_prelu.measure.latency import timing
from onnx_prelu.measure.providers.runner import CannotRun, Runner


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timing, "time", clock)
    return clock


def silent(_: float) -> None:
    """Progress that nobody looks at."""


def test_times_are_those_of_the_clock(clock: Clock):
    times = timing.measure(clock.openers(a=0.002, b=0.001, c=0.003, d=0.002), FEEDS, 3.0, silent)
    assert times.shape[0] == 4
    assert np.median(times, axis=(1, 2)) == pytest.approx([0.002, 0.001, 0.003, 0.002], rel=1e-6)
    assert clock.now == pytest.approx(3.0, rel=0.2)


def test_fast_models_run_several_times_a_sample(clock: Clock):
    times = timing.measure(clock.openers(a=1e-6, b=1e-6, c=1e-6), FEEDS, 0.1, silent)
    assert np.allclose(times, 1e-6)
    assert len(clock.ran) / times.size > 40


def test_slow_models_run_a_few_times_whatever_the_duration(clock: Clock):
    times = timing.measure(clock.openers(a=2.0, b=1.0, c=2.0), FEEDS, 0.1, silent)
    assert times.shape == (3, 5, 2)
    assert len(clock.ran) == 3 * 5 * (1 + 2)  # sessions, rounds, a warm-up and two turns


def test_all_models_see_the_same_inputs_in_any_order(clock: Clock):
    timing.measure(clock.openers(a=0.05, b=0.05, c=0.05), FEEDS, 30.0, silent)
    turns = [clock.ran[start : start + 3] for start in range(0, len(clock.ran), 3)]
    measured = [turn for turn in turns if len({number for _, number in turn}) == 1 and turn[0][1] > 0]
    assert {tuple(name for name, _ in turn) for turn in measured} == set(itertools.permutations("abc"))
    assert {number for _, number in clock.ran} == set(range(8))


@pytest.mark.parametrize("count", [2, 3, 5])
def test_orders_are_random_and_none_comes_twice_in_a_row(count):
    drawn = [tuple(order) for order in timing.orders(count, 2000, np.random.default_rng(0))]
    assert all(sorted(order) == list(range(count)) for order in drawn)
    runs = list(itertools.chain.from_iterable(drawn))
    assert all(one != other for one, other in itertools.pairwise(runs))
    if count > 2:  # two can only alternate
        firsts = np.bincount([order[0] for order in drawn], minlength=count)
        assert firsts == pytest.approx(np.full(count, 2000 / count), rel=0.15)


def test_one_alone_repeats_itself():
    assert [order.tolist() for order in timing.orders(1, 3, np.random.default_rng(0))] == [[0]] * 3


def test_every_round_opens_its_sessions_anew(clock: Clock):
    track = timing.Track(clock.openers(a=0.01, b=0.01, c=0.01), FEEDS, 0.3)
    shapes = [track.round(running).shape for running in ((0, 1, 2), (0, 2), (0, 2))]
    assert sorted(clock.opened) == [*"aaa", "b", *"ccc"]
    assert {shape[1] for shape in shapes} == {10}
    assert [shape[0] for shape in shapes] == [3, 2, 2]


def test_who_cannot_run_is_named(clock: Clock):
    def refuse() -> Runner:
        raise CannotRun("no such op")

    def breaks() -> Runner:
        def run(_: object) -> None:
            raise CannotRun("it does not take this shape")

        return SimpleNamespace(run=run, provider="cpu", session=None)

    for broken, reason in ((refuse, "no such op"), (breaks, "it does not take this shape")):
        with pytest.raises(timing.CannotTime, match=reason) as caught:
            timing.measure([clock.opener("a", 0.1), broken], FEEDS, 0.1, silent)
        assert caught.value.which == 1


def test_cuda_keeps_inputs_and_outputs_on_the_device(monkeypatch):
    """The binding as ONNX Runtime documents it; a stand-in takes the place of a device."""
    calls: list[tuple[object, ...]] = []

    class Binding:
        def __getattr__(self, name: str) -> Callable[..., None]:
            return lambda *values: calls.append((name, *values))

    session = SimpleNamespace(io_binding=Binding, run_with_iobinding=lambda _: calls.append(("run",)))
    values = SimpleNamespace(ortvalue_from_numpy=lambda array, device, number: (array.shape, device, number))
    monkeypatch.setattr(timing, "onnxruntime", lambda: SimpleNamespace(OrtValue=values))
    monkeypatch.setattr(timing, "errors", lambda: (RuntimeError,))
    runner = SimpleNamespace(provider="cuda", session=session, outputs=("y",), run=None)
    call = timing._call(runner, {"x": np.zeros((2, 3), np.float32)})
    assert calls == [("bind_ortvalue_input", "x", ((2, 3), "cuda", 0)), ("bind_output", "y", "cuda", 0)]
    calls.clear()
    call()
    assert calls == [("run",), ("synchronize_outputs",)]


def test_the_collector_is_off_meanwhile_and_on_again(clock: Clock, monkeypatch):
    states: list[bool] = []
    opener = clock.opener("a", 0.1)

    def opened() -> Runner:
        states.append(gc.isenabled())
        return opener()

    assert gc.isenabled()
    timing.measure([opened, opened], FEEDS, 0.1, silent)
    assert gc.isenabled()
    assert not any(states)
