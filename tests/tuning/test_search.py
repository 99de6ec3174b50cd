"""The search for the fastest decisions, with a bench whose times are known."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from onnx_prelu.tuning.search import Bench, Decisions, Group, Timed, tune

COSTS = {"prelu": 10.0, "skip": 4.0, "max": 5.0, "mirror": 8.0}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Table:
    """Models that take what their sites take, and a site's time can depend on the layout."""

    def __init__(self, clock: Clock, costs: dict[str, dict[str, float]], layout: float = 0.0) -> None:
        self.clock, self.costs, self.layout = clock, costs, layout
        self.asked: list[list[Decisions | None]] = []

    def key(self, decisions: Decisions) -> object:
        forms = {site: decisions.forms.get(site, "prelu") for site in self.costs}
        return None if set(forms.values()) == {"prelu"} and not decisions.layout else (decisions.layout, repr(forms))

    def cost(self, decisions: Decisions | None) -> float:
        decisions = decisions or Decisions()
        sites = sum(costs[decisions.forms.get(site, "prelu")] for site, costs in self.costs.items())
        return sites + self.layout * len(decisions.layout)

    def time(self, decisions: Sequence[Decisions | None], seconds: float) -> list[Timed]:
        self.clock.now += seconds
        self.asked.append(list(decisions))
        first = self.cost(decisions[0])
        ratios = [self.cost(each) / first for each in decisions[1:]]
        return [Timed(ratio, ratio * 0.999, ratio * 1.001) for ratio in ratios]


def searched(table: Table, starts: dict[str, Decisions], groups: list[Group], rules: tuple[str, ...] = (), budget=60.0):
    told: list[str] = []
    tuned = tune(Bench(table.key, table.time), starts, groups, rules, budget, told.append, table.clock)
    return tuned, told


def everywhere(form: str, *sites: str) -> Decisions:
    return Decisions((), dict.fromkeys(sites, form))


def test_each_group_gets_its_fastest_form():
    costs = {"a": COSTS, "b": {**COSTS, "skip": 9.0}, "c": {**COSTS, "skip": 9.0}}
    groups = [Group(("a",), tuple(COSTS)), Group(("b", "c"), tuple(COSTS))]
    tuned, told = searched(Table(Clock(), costs), {"skip everywhere": everywhere("skip", "a", "b", "c")}, groups)
    assert tuned.decisions == Decisions((), {"a": "skip", "b": "max", "c": "max"})
    assert "tune: skip everywhere" in told
    assert [tuned.trials[0].what, tuned.trials[-1].what] == ["skip everywhere", "max at b and 1 more"]
    assert tuned.trials[-1].against == "the input"
    assert tuned.trials[-1].timed.ratio == (4 + 5 + 5) / 30


def test_the_input_stays_where_nothing_is_clearly_faster():
    costs = {"a": {"prelu": 10.0, "skip": 9.9, "max": 9.86, "mirror": 12.0}}
    tuned, _ = searched(Table(Clock(), costs), {"skip": everywhere("skip", "a")}, [Group(("a",), ("skip", "max"))])
    assert tuned.decisions is None
    assert tuned.trials


def test_a_lucky_model_has_to_win_once_more():
    table = Table(Clock(), {"a": COSTS})
    honest = table.time

    def lucky_once(decisions: Sequence[Decisions | None], seconds: float) -> list[Timed]:
        times = honest(decisions, seconds)
        return times if len(table.asked) == 1 else [Timed(1.0, 0.99, 1.01) for _ in times]

    table.time = lucky_once
    tuned, _ = searched(table, {"skip": everywhere("skip", "a")}, [])
    assert tuned.decisions is None


def test_a_step_that_was_luck_does_not_cost_what_was_gained_before_it():
    table = Table(Clock(), {"a": COSTS, "b": {**COSTS, "max": 4.2}})
    honest = table.time

    def lucky_step(decisions: Sequence[Decisions | None], seconds: float) -> list[Timed]:
        times = honest(decisions, seconds)
        for which, each in enumerate(decisions[1:]):
            if each == Decisions((), {"a": "skip", "b": "max"}):
                times[which] = Timed(0.9, 0.89, 0.91) if decisions[0] is not None else Timed(0.9, 0.7, 1.1)
        return times

    table.time = lucky_step
    tuned, _ = searched(table, {"skip": everywhere("skip", "a", "b")}, [Group(("b",), ("max",))])
    assert tuned.decisions == everywhere("skip", "a", "b")


def test_layout_rules_are_left_out_and_taken():
    starts = {"with": Decisions(("lift", "pad"), {"a": "skip"})}
    tuned, _ = searched(Table(Clock(), {"a": COSTS}, layout=1.0), starts, [], ("lift", "pad"))
    assert tuned.decisions == Decisions((), {"a": "skip"})
    tuned, _ = searched(Table(Clock(), {"a": COSTS}, layout=-1.0), {"s": everywhere("skip", "a")}, [], ("lift", "pad"))
    assert tuned.decisions == Decisions(("lift", "pad"), {"a": "skip"})


def test_equal_models_are_timed_once():
    table = Table(Clock(), {"a": COSTS})
    starts = {"one": everywhere("skip", "a"), "two": everywhere("skip", "a"), "input": everywhere("prelu", "a")}
    searched(table, starts, [])
    assert table.asked[0] == [None, everywhere("skip", "a")]


def test_the_budget_is_kept():
    clock = Clock()
    costs = dict.fromkeys("abcdefghijklmnopqrstuvwxyz", COSTS)
    groups = [Group((name,), tuple(COSTS)) for name in costs]
    tuned, _ = searched(Table(clock, costs), {"mirror": everywhere("mirror", *costs)}, groups, budget=20.0)
    assert clock.now <= 20 + 1e-6
    assert tuned.seconds == clock.now


@pytest.mark.parametrize(("after", "form"), [(1, "max"), (2, "skip")])
def test_an_interrupt_keeps_the_best_so_far(after, form):
    table = Table(Clock(), {"a": COSTS})
    honest = table.time

    def interrupted(decisions: Sequence[Decisions | None], seconds: float) -> list[Timed]:
        if len(table.asked) == after:
            raise KeyboardInterrupt
        return honest(decisions, seconds)

    table.time = interrupted
    tuned, _ = searched(table, {"max": everywhere("max", "a")}, [Group(("a",), ("skip",))])
    assert tuned.interrupted
    assert tuned.decisions == everywhere(form, "a")
